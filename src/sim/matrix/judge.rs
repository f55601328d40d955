//! What a matrix proves. A zero proves nothing: where something expected never came about, the matrix fails.

use super::Tally;
use crate::error::Exit;
use relaymesh_sim::scenario::Scenario;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Runs of a scenario from which on a zero counts against it.
pub(crate) const ZERO_COUNTS_FROM: u64 = 20;

/// Something that should have come about and never did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Zero {
    /// The scenario; `None` for the matrix as a whole.
    pub(crate) scenario: Option<String>,
    /// `fault`, `consequence` or `invariant`.
    pub(crate) what: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// Whether the matrix fails for it.
    pub(crate) fails: bool,
}

/// A run that was excused more often than its scenario allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OverExcused {
    /// The scenario.
    pub(crate) scenario: String,
    /// The seed.
    pub(crate) seed: u64,
    /// What the scenario allows.
    pub(crate) excuses_max: u32,
}

/// What a matrix proves and what it does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    /// What stayed at zero.
    pub(crate) zeros: Vec<Zero>,
    /// Runs with too many excuses.
    pub(crate) over_excused: Vec<OverExcused>,
    safety: u64,
    liveness: u64,
    pub(crate) runs: u64,
}

/// How strictly zeros are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Zeros are only reported.
    pub(crate) allow_zero: bool,
    /// The scenarios were chosen one by one, so that together they need not exercise everything.
    pub(crate) is_narrowed: bool,
}

impl Judgement {
    /// Judges the tallies of some scenarios.
    pub(crate) fn of<'a>(all: impl Iterator<Item = (&'a Scenario, &'a Tally)>, rules: Rules) -> Self {
        let mut judged = Self::default();
        let mut together: BTreeMap<&str, u64> = BTreeMap::new();
        let mut fewest = u64::MAX;
        for (scenario, tally) in all {
            judged.add(scenario, tally, rules);
            tally.exercised.iter().for_each(|(name, count)| *together.entry(name).or_default() += count);
            fewest = fewest.min(tally.seeds);
        }
        if !rules.is_narrowed {
            let fails = fewest >= ZERO_COUNTS_FROM && !rules.allow_zero;
            let nowhere = together.into_iter().filter(|(_, count)| *count == 0);
            judged.zeros.extend(nowhere.map(|(name, _)| Zero {
                scenario: None,
                what: "invariant",
                name: name.into(),
                fails,
            }));
        }
        judged
    }

    fn add(&mut self, scenario: &Scenario, tally: &Tally, rules: Rules) {
        self.runs += tally.seeds;
        self.safety += tally.safety;
        self.liveness += tally.liveness;
        self.over_excused.extend(tally.over_excused.iter().map(|seed| OverExcused {
            scenario: scenario.name.clone(),
            seed: *seed,
            excuses_max: scenario.expect.excuses_max,
        }));
        let fails = tally.seeds >= ZERO_COUNTS_FROM && !rules.allow_zero;
        let never = |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).copied().unwrap_or(0) == 0;
        let kinds: BTreeSet<&str> = scenario.faults.iter().map(|fault| fault.kind.name()).collect();
        let expect = &scenario.expect;
        let faults = kinds.iter().map(|name| ("fault", *name, never(&tally.faults, name)));
        let fired = expect.fired.iter().filter(|name| !kinds.contains(name.as_str()));
        let consequences = fired.map(|name| ("consequence", name.as_str(), never(&tally.faults, name)));
        let exercised = expect.exercised.iter();
        let invariants = exercised.map(|name| ("invariant", name.as_str(), never(&tally.exercised, name)));
        for (what, name, _) in faults.chain(consequences).chain(invariants).filter(|(_, _, is_zero)| *is_zero) {
            self.zeros.push(Zero { scenario: Some(scenario.name.clone()), what, name: name.into(), fails });
        }
    }

    /// What the matrix came to, in one word.
    pub(crate) fn verdict(&self) -> &'static str {
        match self {
            _ if self.safety > 0 => "safety",
            _ if self.liveness > 0 => "liveness",
            _ if !self.over_excused.is_empty() => "excused",
            _ if self.zeros.iter().any(|zero| zero.fails) || self.runs == 0 => "unexercised",
            _ => "held",
        }
    }

    /// The exit code that belongs to it: the worst that was found.
    pub(crate) fn exit(&self) -> Exit {
        match self.verdict() {
            "safety" => Exit::Safety,
            "liveness" => Exit::Liveness,
            "held" => Exit::Held,
            _ => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASHES: &str = r#"
        name = "crashes"
        about = "A node loses power."
        nodes = 2
        phases = { safety = "1s", liveness = "1s" }
        fault = [{ kind = "crash", at = "1s", lasts = "1s" }]
        expect = { exercised = ["DUR-1"], fired = ["torn_write"] }
    "#;

    fn judged(change: impl FnOnce(&mut Tally), rules: Rules) -> Judgement {
        let scenario = relaymesh_sim::scenario::parse(CRASHES).unwrap();
        let counts = |names: &[&str]| names.iter().map(|name| (name.to_string(), 1)).collect();
        let mut tally = Tally { seeds: 20, held: 20, ..Tally::default() };
        tally.faults = counts(&["crash", "torn_write"]);
        tally.exercised = counts(&["DUR-1"]);
        change(&mut tally);
        Judgement::of([(&scenario, &tally)].into_iter(), rules)
    }

    const STRICT: Rules = Rules { allow_zero: false, is_narrowed: false };

    #[test]
    fn a_matrix_in_which_everything_came_about_holds() {
        assert_eq!(judged(|_| {}, STRICT).exit(), Exit::Held);
    }

    #[test]
    fn a_zero_fails_the_matrix_whatever_it_is_of() {
        let zeros = judged(|tally| (tally.faults.clear(), tally.exercised.clear()).1, STRICT);
        let named: Vec<_> = zeros.zeros.iter().map(|zero| (zero.what, zero.name.as_str())).collect();
        assert_eq!(named, [("fault", "crash"), ("consequence", "torn_write"), ("invariant", "DUR-1")]);
        assert_eq!(zeros.exit(), Exit::Failed);
    }

    #[test]
    fn a_zero_of_few_seeds_or_one_that_is_allowed_is_only_reported() {
        let few = judged(|tally| (tally.faults.clear(), tally.seeds = 19).1, STRICT);
        assert_eq!((few.zeros.len(), few.exit()), (2, Exit::Held));
        let allowed = judged(|tally| tally.faults.clear(), Rules { allow_zero: true, ..STRICT });
        assert_eq!((allowed.zeros.len(), allowed.exit()), (2, Exit::Held));
    }

    #[test]
    fn an_invariant_that_no_scenario_exercised_counts_unless_the_matrix_was_narrowed() {
        let nowhere = |tally: &mut Tally| *tally.exercised.entry("WIRE-1".into()).or_default() = 0;
        assert_eq!(judged(nowhere, STRICT).exit(), Exit::Failed);
        assert_eq!(judged(nowhere, Rules { is_narrowed: true, ..STRICT }).exit(), Exit::Held);
    }

    #[test]
    fn the_worst_that_was_found_decides() {
        let excused = |tally: &mut Tally| tally.over_excused.push(7);
        assert_eq!(judged(excused, STRICT).exit(), Exit::Failed);
        assert_eq!(judged(|tally| (excused(tally), tally.liveness = 1).1, STRICT).exit(), Exit::Liveness);
        assert_eq!(judged(|tally| (tally.liveness, tally.safety) = (1, 1), STRICT).exit(), Exit::Safety);
    }
}
