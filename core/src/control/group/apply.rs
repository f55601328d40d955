//! Committed entries, applied one after the other; and who is told.

use super::convert::{change_of, conf_change};
use super::machine::Action;
use super::member::Member;
use super::members::VoterId;
use super::observation::GroupObservation;
use super::view::{Reply, Role};
use super::wire::{Body, Change};
use super::{At, CannotApply, Replicated};
use crate::machine::{Lift, Sink};
use alloc::boxed::Box;
use alloc::vec::Vec;
use raft::eraftpb::Entry;
use raft::{GetEntriesContext, StateRole};

impl<S: Replicated> Member<S> {
    pub(super) fn apply(&mut self, entries: Vec<Entry>, out: &mut impl Sink<Action<S>>) {
        if entries.is_empty() || self.is_halted {
            return;
        }
        for entry in &entries {
            self.apply_one(entry, out);
            if self.is_halted {
                return;
            }
        }
        self.raft.advance_apply_to(self.applied.index);
        self.note_ready(out);
    }

    /// The entries behind `after` up to `upto`, as they were applied.
    pub(super) fn applied_between(&self, after: u64, upto: u64, bytes: usize) -> Option<Vec<(u64, Box<[u8]>)>> {
        if upto > self.applied.index || !self.leads_on_from(after) {
            return None;
        }
        let mut room = bytes;
        (after + 1..=upto)
            .map(|index| {
                let entry = self.raft.raft.raft_log.store.get(index)?;
                let content: Box<[u8]> =
                    if change_of(entry).is_some() { Box::default() } else { entry.data[..].into() };
                room = room.checked_sub(content.len())?;
                Some((entry.term, content))
            })
            .collect()
    }

    /// Whether the log has every entry behind that one.
    pub(super) fn leads_on_from(&self, after: u64) -> bool {
        after + 1 >= self.first_index() && after <= self.applied.index
    }

    /// The last entry of the log, and the state with everything up to it.
    pub(super) fn end_of_log(&self) -> Result<Option<(At, S)>, CannotApply> {
        let Some(mut state) = self.state.clone() else { return Ok(None) };
        let mut at = self.applied;
        let log = &self.raft.raft.raft_log;
        let behind = log.entries(self.applied.index + 1, None, GetEntriesContext::empty(false)).unwrap_or_default();
        for entry in behind {
            at = At { index: entry.index, term: entry.term };
            let bytes: &[u8] = if change_of(&entry).is_some() { &[] } else { &entry.data };
            state.apply(at, bytes, self.settings.speaks, &mut Vec::new())?;
        }
        Ok(Some((at, state)))
    }

    fn apply_one(&mut self, entry: &Entry, out: &mut impl Sink<Action<S>>) {
        let at = At { index: entry.index, term: entry.term };
        assert!(at.index == self.applied.index + 1, "entry {} applied after {}", at.index, self.applied.index);
        let Some(state) = &mut self.state else { panic!("entry {} came before any snapshot", at.index) };
        let change = change_of(entry);
        let bytes: &[u8] = if change.is_some() { &[] } else { &entry.data };
        let speaks = self.settings.speaks;
        let Ok(outcome) = state.apply(at, bytes, speaks, &mut Lift::new(out, Action::Changed)) else {
            return self.halt(at.index, out);
        };
        self.applied = at;
        if let Some(ticket) = self.asks.decided(at) {
            out.push(Action::Reply(ticket, Ok(Reply::Done { at, outcome })));
        }
        if let Some(change) = change {
            self.apply_change(at, &change, out);
        }
    }

    /// Takes no part any more, since an entry needs a newer build: this process neither votes nor leads, and keeps what it
    /// has stored as it is.
    pub(super) fn halt(&mut self, index: u64, out: &mut impl Sink<Action<S>>) {
        self.is_halted = true;
        self.observe(GroupObservation::Halted { index }, out);
        self.asks.drop_all(super::Refusal::Halted, out);
        self.drop_procedure(super::Refusal::Halted, out);
        self.transfers.clear();
        (self.build, self.incoming) = (None, None);
        if self.told.1 == StateRole::Leader {
            out.push(Action::Role(Role::Deposed));
        }
        let term = self.raft.raft.term;
        self.raft.raft.become_follower(term, raft::INVALID_ID);
        self.told = (term, StateRole::Follower, raft::INVALID_ID);
        out.push(Action::Leader(None));
        out.push(Action::Halted);
    }

    /// Stops where the state, or an entry of the log that was stored, needs a newer build: this one was started by mistake.
    pub(super) fn halt_if_too_old(&mut self, out: &mut impl Sink<Action<S>>) {
        let speaks = self.settings.speaks;
        let is_state_newer = self.state.as_ref().is_some_and(|state| state.needs() > speaks);
        let first =
            self.raft.raft.raft_log.store.find(|entry| {
                change_of(entry).is_none() && !entry.data.is_empty() && !S::understands(&entry.data, speaks)
            });
        if is_state_newer || first.is_some() {
            self.halt(if is_state_newer { self.applied.index } else { first.unwrap_or_default() }, out);
        }
    }

    fn apply_change(&mut self, at: At, change: &Change, out: &mut impl Sink<Action<S>>) {
        let Ok(after) = self.members.after(change) else {
            return self.observe(GroupObservation::ChangeVoid { index: at.index }, out);
        };
        let gone = self.members.gone_in(&after);
        self.say_farewell(at, &gone, out);
        if let Err(error) = self.raft.apply_conf_change(&conf_change(change)) {
            panic!("the members allow {change:?}, the crate does not: {error}");
        }
        self.members = after;
        for id in gone {
            self.transfers.remove(&id);
        }
        if !self.members.votes(self.id) && self.role() != StateRole::Follower {
            // The crate would go on leading, or might yet be elected, and look for itself in vain.
            let term = self.raft.raft.term;
            self.raft.raft.become_follower(term, raft::INVALID_ID);
        }
        let (voters, learners) = (self.members.voters.len() as u64, self.members.learners.len() as u64);
        let joint = u64::from(self.members.is_joint());
        self.observe(GroupObservation::MembersChanged { voters, learners, joint }, out);
        out.push(Action::Members);
    }

    /// Who is removed would not hear any more that it was: it is told the commit while it still is a member. Should that
    /// get lost, it stands for elections in vain.
    fn say_farewell(&self, at: At, gone: &[VoterId], out: &mut impl Sink<Action<S>>) {
        if !self.is_leader() {
            return;
        }
        for id in gone.iter().filter(|id| **id != self.id) {
            let matched = self.raft.raft.prs().get(id.0).map_or(0, |progress| progress.matched);
            if matched >= at.index {
                self.send(*id, self.raft.raft.term, Body::Heartbeat { commit: at.index, round: 0 }, out);
            }
        }
    }

    /// Tells siblings once that this leader has applied an entry of its own term.
    fn note_ready(&mut self, out: &mut impl Sink<Action<S>>) {
        let term = self.raft.raft.term;
        if self.is_leader() && self.told.1 == StateRole::Leader && self.applied.term == term && self.ready_term < term {
            self.ready_term = term;
            out.push(Action::Role(Role::Ready { term }));
        }
    }

    /// Tells siblings of changes of term, role and leader.
    pub(super) fn tell(&mut self, out: &mut impl Sink<Action<S>>) {
        let raft = &self.raft.raft;
        let now = (raft.term, raft.state, raft.leader_id);
        if self.is_halted {
            return;
        }
        let before = core::mem::replace(&mut self.told, now);
        if before == now {
            return;
        }
        let led = before.1 == StateRole::Leader;
        let leads = now.1 == StateRole::Leader;
        if led && (!leads || before.0 != now.0) {
            let hint = self.leader();
            self.asks.drop_all(super::Refusal::Lost { hint }, out);
            self.drop_procedure(super::Refusal::Lost { hint }, out);
            self.transfers.clear();
            out.push(Action::Role(Role::Deposed));
        }
        if leads && (!led || before.0 != now.0) {
            out.push(Action::Role(Role::Led { term: now.0 }));
        }
        if before.2 != now.2 {
            out.push(Action::Leader(if leads { Some(self.life.node) } else { self.leader() }));
            self.observe(GroupObservation::LeaderChanged { term: now.0, voter: now.2 }, out);
        }
        self.note_ready(out);
    }
}
