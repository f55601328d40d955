//! The section `[control]`: who founds the control group, who holds scopes, and what clients ask of it.

use super::units::{Share, Span, SpanRange};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;
use serde::{Deserialize, Serialize};

/// How many voters a group may be founded with.
const VOTERS: [u32; 5] = [0, 1, 3, 5, 7];
/// Named scopes: with `global` a quarter of what the state has room for, since few are ever retired here.
const SCOPES_MAX: u32 = 1_023;
/// Registers that clients may use.
const REGISTERS_MAX: u32 = 64;
/// Clients of one kind.
const CLIENTS_MAX: u32 = 64;

/// Of what another history begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoverySource {
    /// Of what is left on the first of its voters.
    Own,
    /// Of a backup that was taken from a voter.
    Backup,
}

/// Another history begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryLoad {
    /// Of what.
    pub source: RecoverySource,
    /// When a backup is taken. Means nothing otherwise.
    #[serde(default)]
    pub backup_at: Span,
    /// When it begins.
    pub at: Span,
    /// Who votes in it, in the end. It begins on the first one, or on one of the others that has more of the log.
    pub voters: Vec<u32>,
    /// The quorum was not lost: it runs on, or comes back with its disks. LEASE-1 and EPOC-1 are not held against anybody,
    /// nor that tokens of the history before are granted beside newer ones. LEASE-3 is.
    #[serde(default)]
    pub is_mistaken: bool,
}

/// What is asked of the control group. Without voters nobody founds one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlLoad {
    /// The first so many nodes are the first voters.
    pub voters: u32,
    /// When the group is founded.
    pub found_at: Span,
    /// Named scopes, besides `global`.
    pub scopes: u32,
    /// Members, the first ones, that want to hold every scope.
    pub candidates: u32,
    /// Clients that act under leases.
    pub actors: u32,
    /// Share of their writes that come with a token of long ago.
    pub late: Share,
    /// Registers.
    pub registers: u32,
    /// Clients that read and write them.
    pub writers: u32,
    /// Clients that have a scope of their own held and dropped, and then retired: a command of version 2.
    pub retirers: u32,
    /// From when on an operator asks for version 2 to be activated, again and again until it is, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activate_at: Option<Span>,
    /// Pause of each client between an answer and the next request.
    pub pace: SpanRange,
    /// How often an operator raises the epoch, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bump_every: Option<Span>,
    /// How often an operator has a scope handed over, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_every: Option<Span>,
    /// How often an operator puts a later member in the place of a voter, while there are any, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_every: Option<Span>,
    /// How often an operator looks whether a voter has another store, and makes that one the voter, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair_every: Option<Span>,
    /// Another history that operators begin, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryLoad>,
    /// When operators let the node `leader` lead and have every scope handed to the node `holder`, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrange_at: Option<Span>,
    /// How often they do so again from then on, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrange_every: Option<Span>,
    /// Who is to lead then.
    pub leader: u32,
    /// Who is to hold every scope then.
    pub holder: u32,
    /// Clocks may stray by more than ε, so that LEASE-1 is not held against anybody. LEASE-2 and LEASE-3 are.
    pub clocks_stray: bool,
}

impl Default for ControlLoad {
    fn default() -> Self {
        Self {
            voters: 0,
            found_at: Span(Duration::from_secs(3)),
            scopes: 2,
            candidates: 3,
            actors: 8,
            late: Share(200_000),
            registers: 2,
            writers: 4,
            retirers: 0,
            activate_at: None,
            pace: SpanRange { from: Duration::from_millis(20), to: Duration::from_millis(400) },
            bump_every: None,
            transfer_every: None,
            replace_every: None,
            repair_every: None,
            recovery: None,
            arrange_at: None,
            arrange_every: None,
            leader: 0,
            holder: 0,
            clocks_stray: false,
        }
    }
}

impl ControlLoad {
    /// Whether there is a control group.
    pub fn is_founded(&self) -> bool {
        self.voters > 0
    }

    /// How many members want to hold every scope: the first ones.
    pub fn candidates(&self) -> u32 {
        if self.is_founded() { self.candidates } else { 0 }
    }

    /// What the file's form cannot express: the field, and what is wrong with it. `members` belong to the mesh.
    pub(super) fn problem(&self, members: u32) -> Option<(&'static str, &'static str)> {
        let periods = [self.bump_every, self.transfer_every, self.replace_every, self.repair_every, self.arrange_every];
        let takes_time = |period: Option<Span>| period.is_none_or(|period| period.0 > Duration::ZERO);
        let rules = [
            (VOTERS.contains(&self.voters), "voters", "a group has 1, 3, 5 or 7 voters; 0 for no group"),
            (self.voters <= members, "voters", "the mesh has not that many members"),
            (self.candidates() <= members, "candidates", "the mesh has not that many members"),
            (self.scopes <= SCOPES_MAX, "scopes", "at most 1023"),
            (self.actors <= CLIENTS_MAX, "actors", "at most 64"),
            (self.writers <= CLIENTS_MAX, "writers", "at most 64"),
            (self.retirers <= CLIENTS_MAX, "retirers", "at most 64"),
            (self.retirers == 0 || self.candidates > 0, "retirers", "need a candidate to hold what they retire"),
            (self.registers <= REGISTERS_MAX, "registers", "at most 64"),
            (self.writers == 0 || self.registers > 0, "registers", "writers need at least one"),
            (self.pace.from > Duration::ZERO, "pace", "must be longer than nothing, or time would stand still"),
            (self.arrange_at.is_none() || self.leader < self.voters, "leader", "must be a voter"),
            (self.arrange_at.is_none() || self.holder < self.candidates(), "holder", "must be a candidate"),
            (self.arrange_every.is_none() || self.arrange_at.is_some(), "arrange_every", "needs arrange_at"),
            (self.is_recovery_sound(members), "recovery", "must name 1, 3, 5 or 7 different members"),
            (periods.into_iter().all(takes_time), "period", "must be longer than nothing"),
        ];
        rules.into_iter().find(|(holds, ..)| !holds).map(|(_, field, problem)| (field, problem))
    }

    fn is_recovery_sound(&self, members: u32) -> bool {
        let Some(recovery) = &self.recovery else { return true };
        let named: BTreeSet<_> = recovery.voters.iter().filter(|voter| **voter < members).collect();
        named.len() == recovery.voters.len() && VOTERS[1..].contains(&(named.len() as u32))
    }

    /// All spans that the file gives.
    pub(super) fn spans(&self) -> [Duration; 11] {
        let period = |period: Option<Span>| period.unwrap_or_default().0;
        [
            self.found_at.0,
            self.pace.to,
            period(self.bump_every),
            period(self.transfer_every),
            period(self.replace_every),
            period(self.repair_every),
            period(self.arrange_at),
            period(self.arrange_every),
            period(self.activate_at),
            self.recovery.as_ref().map_or(Duration::ZERO, |recovery| recovery.backup_at.0),
            self.recovery.as_ref().map_or(Duration::ZERO, |recovery| recovery.at.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> ControlLoad {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn without_voters_there_is_no_group() {
        assert!(!ControlLoad::default().is_founded());
        assert_eq!(ControlLoad::default().problem(1), None);
        assert_eq!(ControlLoad::default().candidates(), 0);
    }

    #[test]
    fn members_are_candidates_whether_they_vote_or_not() {
        let load = load("voters = 3\ncandidates = 5\nbump_every = \"10s\"");
        assert!(load.is_founded());
        assert_eq!(load.candidates(), 5);
        assert_eq!(load.problem(5), None);
        assert_eq!(load.problem(4).map(|(field, _)| field), Some("candidates"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_field() {
        for (text, field) in [
            ("voters = 2", "voters"),
            ("voters = 7", "voters"),
            ("scopes = 1024", "scopes"),
            ("actors = 65", "actors"),
            ("writers = 65", "writers"),
            ("retirers = 65", "retirers"),
            ("retirers = 1\ncandidates = 0", "retirers"),
            ("registers = 65", "registers"),
            ("registers = 0", "registers"),
            ("pace = \"0s..1s\"", "pace"),
            ("transfer_every = \"0s\"", "period"),
            ("voters = 3\n[recovery]\nsource = \"own\"\nat = \"9s\"\nvoters = [3, 3, 4]", "recovery"),
            ("voters = 3\n[recovery]\nsource = \"own\"\nat = \"9s\"\nvoters = [3, 4]", "recovery"),
            ("voters = 3\n[recovery]\nsource = \"backup\"\nat = \"9s\"\nvoters = [5]", "recovery"),
            ("voters = 3\narrange_at = \"5s\"\nleader = 3", "leader"),
            ("voters = 3\narrange_every = \"5s\"", "arrange_every"),
            ("voters = 3\narrange_at = \"5s\"\ncandidates = 1\nholder = 1", "holder"),
        ] {
            assert_eq!(load(text).problem(5).map(|(field, _)| field), Some(field), "{text}");
        }
    }
}
