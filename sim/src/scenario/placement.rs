//! The section `[placement]`: what nodes are as places for shards, and what operators ask about where shards ought to be.

use super::units::Span;
use relaymesh_core::shards::placement::Strategy;
use relaymesh_core::time::Duration;
use serde::{Deserialize, Serialize};

/// Zones that members may be in.
const ZONES_MAX: u32 = 16;
/// Drains of one run, and plans of one run.
const ASKED_MAX: u32 = 200;
/// Owners change all at once no sooner than that: shards are to be there when the plan is made.
const CUT_OVER_MIN: Duration = Duration::from_secs(14);

/// What is done about where shards ought to be. Given or not, shards have a table that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlacementLoad {
    /// Zones that members are in, one after the other; all in one without.
    pub zones: u32,
    /// Whether every third member weighs twice as much as the others.
    pub weights: bool,
    /// Whether a member weighs twice as much when it is started again, and what it did before the next time.
    pub reweighs: bool,
    /// Whether what nothing forces is moved without being approved.
    pub automatic: bool,
    /// Members that an operator drains at drawn times, each until nothing is left on it, and then takes back.
    pub drains: u32,
    /// Which member these are, and no other one; drawn without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<u32>,
    /// When an operator has owners change all at once, by a plan that is made 8 s before, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_over_at: Option<Span>,
    /// Plans that operators ask for and approve at drawn times of the safety phase: some twice, some on what is out of date.
    pub plans: u32,
    /// Pauses of drawn shards at drawn times, for up to two seconds each.
    pub pauses: u32,
    /// The strategy that some of these change to; as it is without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How long a node has to be gone before what it had is placed elsewhere for good.
    pub gone_after: Span,
    /// Shards that a plan moves at once.
    pub parallel: u16,
}

impl Default for PlacementLoad {
    fn default() -> Self {
        Self {
            zones: 0,
            weights: false,
            reweighs: false,
            automatic: false,
            drains: 0,
            drained: None,
            cut_over_at: None,
            plans: 0,
            pauses: 0,
            strategy: None,
            gone_after: Span(Duration::from_secs(15)),
            parallel: 2,
        }
    }
}

impl PlacementLoad {
    /// What the file's form cannot express: the field, and what is wrong with it.
    pub(super) fn problem(&self, has_shards: bool, members: u32) -> Option<(&'static str, &'static str)> {
        let asks = self.drains > 0 || self.plans > 0 || self.automatic || self.pauses > 0 || self.cut_over_at.is_some();
        let rules = [
            (!asks || has_shards, "drains", "there is nothing to move; set shards.shards"),
            (
                !self.reweighs || self.automatic || self.plans > 0,
                "reweighs",
                "nothing follows from it; set automatic or plans",
            ),
            (self.zones <= ZONES_MAX, "zones", "at most 16"),
            (self.drains <= ASKED_MAX, "drains", "at most 200"),
            (self.drains == 0 || members > 1, "drains", "there is nowhere to move anything to"),
            (self.drained.is_none_or(|member| member < members), "drained", "there is no such member"),
            (self.cut_over_at.is_none_or(|at| at.0 >= CUT_OVER_MIN), "cut_over_at", "14s at the earliest"),
            (self.plans <= ASKED_MAX, "plans", "at most 200"),
            (self.pauses <= ASKED_MAX, "pauses", "at most 200"),
            (self.gone_after.0 > Duration::ZERO, "gone_after", "must be longer than nothing"),
            ((1..=64).contains(&self.parallel), "parallel", "1 to 64"),
        ];
        rules.into_iter().find(|(holds, ..)| !holds).map(|(_, field, problem)| (field, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_the_field() {
        let load = |text: &str| -> PlacementLoad { toml::from_str(text).unwrap() };
        assert_eq!(PlacementLoad::default().problem(false, 1), None);
        for (text, field) in [
            ("zones = 17", "zones"),
            ("drains = 201", "drains"),
            ("plans = 201", "plans"),
            ("pauses = 201", "pauses"),
            ("reweighs = true", "reweighs"),
            ("drained = 3", "drained"),
            ("cut_over_at = \"13s\"", "cut_over_at"),
            ("gone_after = \"0s\"", "gone_after"),
            ("parallel = 0", "parallel"),
            ("parallel = 65", "parallel"),
        ] {
            assert_eq!(load(text).problem(true, 3).map(|(field, _)| field), Some(field), "{text}");
        }
        assert_eq!(load("plans = 1").problem(false, 3).map(|(field, _)| field), Some("drains"));
        assert_eq!(load("drains = 1").problem(true, 1).map(|(field, _)| field), Some("drains"));
    }
}
