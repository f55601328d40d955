//! What the control group has agreed on of shards, entry by entry: the log is gathered from the wire, and applied to a state of
//! the checker's own. What each entry may do to an owner is in `granted`, what it may do to a table in `steps`.
//!
//! Whom an entry is about is read off the entry; so a state that is wrong in the same way everywhere is found, too. Where another
//! history begins nothing is watched any more, nor where it cannot be known which of two entries was agreed on. An entry that was
//! agreed on and never sent is a finding itself, unless one voter alone may agree on one.

use super::super::{MeshChecks, OWNR_2};
use crate::check::Findings;
use crate::scenario::Scenario;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::mem::take;
use relaymesh_core::control::group::GroupId;
use relaymesh_core::control::group::wire::{Body, Entry as Logged, Message, Payload};
use relaymesh_core::control::node::{Founding, Request};
use relaymesh_core::control::state::{At, Change, Command, Entry, NEWEST, State};
use relaymesh_core::identity::Incarnation;

/// The log, as far as it is known to be agreed on.
#[derive(Debug)]
pub(super) struct Agreed {
    is_watched: bool,
    group: GroupId,
    /// Nothing before the group is founded, nor where nothing is watched.
    pub(super) state: Option<State>,
    /// What was sent behind that: by the leader of the newest term.
    sent: BTreeMap<u64, Sent>,
    voters: usize,
}

/// An entry that was sent.
#[derive(Debug)]
struct Sent {
    /// The term of the leader that sent it last.
    by: u64,
    entry: Logged,
    /// An earlier leader has sent another one.
    is_contested: bool,
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
        Self { is_watched, group: GroupId(0), state: None, sent: BTreeMap::new(), voters: 0 }
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
        self.state = founding.state(NEWEST);
        (self.group, self.voters) = (GroupId::of(founding.nonce, &founding.voters), founding.voters.len());
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
                    let known = self.sent.get(&at);
                    if known.is_none_or(|known| known.by < message.term) {
                        let is_other = known.is_some_and(|known| known.is_contested || known.entry.term != entry.term);
                        let sent = Sent { by: message.term, entry: entry.clone(), is_contested: is_other };
                        self.sent.insert(at, sent);
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
            self.agree(message.term, found);
        }
    }

    /// The next entry is agreed on, as the leader of that term says.
    fn agree(&mut self, term: u64, found: &mut Findings) {
        let Some(mut state) = take(&mut self.shards.agreed.state) else { return };
        let next = state.applied() + 1;
        let Some(Sent { by, entry, is_contested }) = self.shards.agreed.sent.remove(&next) else {
            if self.shards.agreed.voters > 1 {
                found.fail(OWNR_2, &[], format!("entry {next} is agreed on, and no leader has sent it"));
            }
            return self.shards.agreed.give_up();
        };
        // Whoever leads now may have had an earlier one all the while, and has not had to send it (Raft, figure 8).
        if is_contested && by != term {
            return self.shards.agreed.give_up();
        }
        let at = At { index: next, term: entry.term };
        let bytes: &[u8] = if let Payload::Command(bytes) = &entry.payload { &bytes.0 } else { &[] };
        let command = match Entry::from_bytes(bytes) {
            Ok(Entry::Client { client, command, .. }) => Some((client, *command)),
            _ => None,
        };
        let step = Step { index: at.index, command };
        let before = self.before_step(&state, &step);
        let mut changes = Vec::new();
        if let Err(error) = state.apply(at, bytes, NEWEST, &mut changes) {
            found.fail(OWNR_2, &[], format!("what is agreed on cannot be applied: {error}"));
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
