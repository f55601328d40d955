//! What the control group has agreed on of shards, entry by entry: the log is gathered from the wire, and applied to a state of
//! the checker's own. What each entry may do to an owner is in `granted`, what it may do to a table in `steps`.
//!
//! Whom an entry is about is read off the entry; so a state that is wrong in the same way everywhere is found, too. Where not
//! all of the log is on the wire (one voter alone), or another history begins, nothing is watched.

use super::super::MeshChecks;
use crate::check::Findings;
use crate::scenario::Scenario;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem::take;
use relaymesh_core::control::group::GroupId;
use relaymesh_core::control::group::wire::{Body, Entry as Logged, Message, Payload};
use relaymesh_core::control::node::{Founding, Request};
use relaymesh_core::control::state::{At, Change, Command, Entry, Genesis, LeaderCommand, Lineage, NEWEST, State};
use relaymesh_core::epoch::ClusterEpoch;
use relaymesh_core::identity::Incarnation;

/// Where the first entry of a group stands, which its founders make alike.
const FOUNDED: At = At { index: 1, term: 1 };

/// The log, as far as it is known to be agreed on.
#[derive(Debug)]
pub(super) struct Agreed {
    is_watched: bool,
    group: GroupId,
    /// Nothing before the group is founded, nor where nothing is watched.
    pub(super) state: Option<State>,
    /// What was sent behind that: by the leader of the newest term.
    sent: BTreeMap<u64, (u64, Logged)>,
}

/// An entry that is agreed on and makes sense, before it is applied.
pub(super) struct Step {
    pub(super) index: u64,
    /// Which process wants what; nothing of the leader's own.
    pub(super) command: Option<(Incarnation, Command)>,
}

impl Agreed {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let is_watched = scenario.shards.shards > 0 && scenario.control.recovery.is_none();
        Self { is_watched, group: GroupId(0), state: None, sent: BTreeMap::new() }
    }

    /// An operator founds a group.
    pub(super) fn asked(&mut self, request: &Request) {
        match request {
            Request::Found(founding) if self.is_watched && self.state.is_none() => self.found(founding),
            Request::Recover(_) => self.give_up(),
            _ => {}
        }
    }

    fn found(&mut self, founding: &Founding) {
        let Founding { nonce, recovery, voters, span_max } = founding;
        let lineage = Lineage { epoch: ClusterEpoch(1), recovery: *recovery };
        let mut state = State::new(Genesis { lineage, span_max: *span_max });
        let members = voters.iter().map(|voter| (voter.node, voter.store)).collect();
        let entry = Entry::Leader { term: FOUNDED.term, command: LeaderCommand::RecordVoters { members } };
        let is_applied = |bytes: Vec<u8>| state.apply(FOUNDED, &bytes, NEWEST, &mut Vec::new()).is_ok();
        if entry.to_bytes().is_ok_and(is_applied) {
            (self.group, self.state) = (GroupId::of(*nonce, voters), Some(state));
        }
    }

    fn give_up(&mut self) {
        (self.is_watched, self.state) = (false, None);
        self.sent.clear();
    }

    /// Takes what a leader sends; of two that differ the one of the newer term counts, which a committed one cannot be.
    /// How far the log is agreed on.
    fn sent(&mut self, message: &Message) -> u64 {
        match &message.body {
            Body::Append { index, commit, entries, .. } => {
                let applied = self.state.as_ref().map_or(0, State::applied);
                for (at, entry) in (index + 1..).zip(entries).filter(|(at, _)| *at > applied) {
                    if self.sent.get(&at).is_none_or(|(term, _)| *term < message.term) {
                        self.sent.insert(at, (message.term, entry.clone()));
                    }
                }
                *commit
            }
            Body::Heartbeat { commit, .. } => *commit,
            _ => 0,
        }
    }
}

impl MeshChecks {
    /// A member of the control group says something.
    pub(super) fn group_sent(&mut self, message: &Message, found: &mut Findings) {
        let it = &mut self.shards.agreed;
        if it.state.is_none() || message.group != it.group {
            return;
        }
        let commit = it.sent(message);
        while self.shards.agreed.state.as_ref().is_some_and(|state| state.applied() < commit) {
            self.agree(found);
        }
    }

    /// The next entry is agreed on.
    fn agree(&mut self, found: &mut Findings) {
        let Some(mut state) = take(&mut self.shards.agreed.state) else { return };
        let Some((_, entry)) = self.shards.agreed.sent.remove(&(state.applied() + 1)) else {
            return self.shards.agreed.give_up();
        };
        let at = At { index: state.applied() + 1, term: entry.term };
        let bytes: &[u8] = if let Payload::Command(bytes) = &entry.payload { &bytes.0 } else { &[] };
        let command = match Entry::from_bytes(bytes) {
            Ok(Entry::Client { client, command, .. }) => Some((client, *command)),
            _ => None,
        };
        let step = Step { index: at.index, command };
        let before = self.before_step(&state, &step);
        let mut changes = Vec::new();
        if state.apply(at, bytes, NEWEST, &mut changes).is_err() {
            return self.shards.agreed.give_up();
        }
        self.owners_changed(&state, &step, &changes, found);
        self.table_stepped(&state, &step, before, found);
        self.shards.agreed.state = Some(state);
    }
}

/// Whether a session of that process has ended by this.
pub(super) fn has_ended(changes: &[Change], process: Incarnation) -> bool {
    changes.iter().any(|change| matches!(change, Change::Ended { owner, .. } if *owner == process))
}
