//! Proposals and confirmations of leadership under way, bounded.
//!
//! A confirmation takes a quorum round that begins after it was asked for (ReadIndex): those that wait meanwhile share
//! the next round. The crate drops a round silently before the first commit of its term, so none begins before that;
//! one that gets lost is repeated with each heartbeat.

use super::machine::Action;
use super::member::Member;
use super::view::{Refusal, Reply, Ticket};
use super::{At, Replicated};
use crate::machine::Sink;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What siblings wait for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    /// Proposals by the index they were appended at.
    proposals: BTreeMap<u64, Proposal>,
    bytes: u64,
    /// Confirmations that no round covers yet.
    waiting: Vec<Ticket>,
    /// Those whom the round under way will confirm.
    round: u64,
    under_way: Vec<Ticket>,
    /// Those who wait until this index is applied.
    confirmed: Vec<(u64, Ticket)>,
}

#[derive(Clone, Copy, Debug)]
struct Proposal {
    term: u64,
    ticket: Ticket,
    bytes: u64,
}

impl Asks {
    fn confirmations(&self) -> u64 {
        (self.waiting.len() + self.under_way.len() + self.confirmed.len()) as u64
    }

    /// The ticket of the proposal that this entry is.
    pub(super) fn decided(&mut self, at: At) -> Option<Ticket> {
        let proposal = self.proposals.remove(&at.index)?;
        self.bytes -= proposal.bytes;
        // Another leader's entry at that place would have deposed this one, which drops all proposals.
        assert!(proposal.term == at.term, "the proposal at {} was replaced unnoticed", at.index);
        Some(proposal.ticket)
    }

    /// A round was confirmed: who leads has committed everything up to `index` before it began.
    pub(super) fn confirmed(&mut self, round: u64, index: u64) {
        if round == self.round {
            self.confirmed.extend(self.under_way.drain(..).map(|ticket| (index, ticket)));
        }
    }

    /// Answers those whose index is applied.
    pub(super) fn answer_confirmed<S: Replicated>(&mut self, term: u64, applied: u64, out: &mut impl Sink<Action<S>>) {
        self.confirmed.retain(|(index, ticket)| {
            let is_applied = *index <= applied;
            if is_applied {
                out.push(Action::Reply(*ticket, Ok(Reply::Confirmed { term, applied })));
            }
            !is_applied
        });
    }

    /// Nothing of it will be answered any more.
    pub(super) fn drop_all<S: Replicated>(&mut self, refusal: Refusal, out: &mut impl Sink<Action<S>>) {
        let Self { proposals, bytes, waiting, under_way, confirmed, .. } = self;
        let tickets = core::mem::take(proposals).into_values().map(|proposal| proposal.ticket);
        let asked = waiting.drain(..).chain(under_way.drain(..)).chain(confirmed.drain(..).map(|(_, ticket)| ticket));
        for ticket in tickets.chain(asked) {
            out.push(Action::Reply(ticket, Err(refusal)));
        }
        *bytes = 0;
    }
}

impl<S: Replicated> Member<S> {
    /// Appends an entry, if this member leads.
    pub(super) fn propose(&mut self, ticket: Ticket, entry: Box<[u8]>, term: Option<u64>) -> Result<(), Refusal> {
        let own = self.raft.raft.term;
        if !self.is_leader() || term.is_some_and(|term| term != own) {
            return Err(self.not_leader());
        }
        let bounds = &self.settings.bounds;
        let bytes = entry.len() as u64;
        if entry.is_empty() || bytes > u64::from(bounds.entry_bytes) || !S::understands(&entry, self.settings.speaks) {
            return Err(Refusal::BadEntry);
        }
        let is_full = self.asks.proposals.len() as u64 >= u64::from(bounds.proposals);
        if is_full || self.asks.bytes + bytes > bounds.proposal_bytes {
            return Err(Refusal::Overloaded);
        }
        if self.raft.raft.lead_transferee.is_some() {
            return Err(Refusal::Busy);
        }
        self.raft.propose(Vec::new(), entry.into_vec()).map_err(|_| Refusal::Overloaded)?;
        self.asks.proposals.insert(self.last_index(), Proposal { term: own, ticket, bytes });
        self.asks.bytes += bytes;
        Ok(())
    }

    /// Asks for a round that begins now or later.
    pub(super) fn confirm(&mut self, ticket: Ticket) -> Result<(), Refusal> {
        if !self.is_leader() {
            return Err(self.not_leader());
        }
        if self.asks.confirmations() >= u64::from(self.settings.bounds.confirmations) {
            return Err(Refusal::Overloaded);
        }
        self.asks.waiting.push(ticket);
        Ok(())
    }

    /// Begins the next round, once the one before is done. Whether it did anything.
    pub(super) fn begin_round(&mut self) -> bool {
        let has_committed = self.raft.raft.commit_to_current_term();
        if !self.is_leader() || !has_committed || self.asks.waiting.is_empty() || !self.asks.under_way.is_empty() {
            return false;
        }
        self.asks.round += 1;
        self.asks.under_way = core::mem::take(&mut self.asks.waiting);
        self.raft.read_index(self.asks.round.to_le_bytes().to_vec());
        true
    }
}
