//! What follows from a step of the crate: writes, messages, and entries to apply, in the only safe order.
//!
//! Writes are asked for at once, and the crate goes on as if they were done, except that nothing which rests on one is
//! said or counted before `Durable` covers it. A leader's messages rest on nothing of its own log: it may replicate
//! while it writes (thesis, 10.2.1), unless its very term is not durable yet.

use super::Replicated;
use super::convert::{entry_out, message_out, round_of};
use super::log::bytes_of;
use super::machine::Action;
use super::member::Member;
use super::members::VoterId;
use super::wire::Record;
use crate::machine::{Ctx, Sink};
use crate::record::Sequence;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use raft::eraftpb::{Entry, HardState, Message, MessageType};
use raft::{Ready, StateRole};

/// Steps of the crate that one event may lead to; what is left over waits for a wake.
const STEPS_PER_EVENT: u32 = 16;

/// What is on its way to the disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// The record that the next write becomes.
    next: Sequence,
    durable: Sequence,
    /// The last record of a term or vote,
    hard: Sequence,
    /// and what it promised.
    pub(super) promised: (u64, u64),
    outstanding: VecDeque<Outstanding>,
}

/// One step of the crate whose writes, or those before it, are not durable yet.
#[derive(Debug)]
struct Outstanding {
    number: u64,
    upto: Sequence,
    /// The snapshot that it installed.
    snapshot: Option<u64>,
    /// What may be said then.
    messages: Vec<Message>,
}

impl Disk {
    /// Of a member that promised this term and vote, durably.
    pub(super) fn new(promised: (u64, u64)) -> Self {
        Self { promised, ..Self::default() }
    }

    /// An event begins, whose first write becomes the record `next`.
    pub(super) fn begin(&mut self, next: Sequence) {
        self.next = next;
    }

    /// Nothing is said before all that was written so far is durable.
    pub(super) fn wait_for_all(&mut self) {
        let upto = Sequence(self.next.0.saturating_sub(1));
        self.hard = upto;
        self.outstanding.push_back(Outstanding { number: 0, upto, snapshot: None, messages: Vec::new() });
    }

    pub(super) fn wrote(&mut self) -> Sequence {
        let written = self.next;
        self.next = written.next();
        written
    }

    pub(super) fn is_durable(&self, record: Sequence) -> bool {
        record <= self.durable
    }

    /// Whether all that the crate has is durable.
    pub(super) fn is_clean(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Whether a snapshot is on its way to the disk.
    pub(super) fn is_installing(&self) -> bool {
        self.outstanding.iter().any(|step| step.snapshot.is_some())
    }
}

impl<S: Replicated> Member<S> {
    /// Does what follows from the crate's last steps, and begins what can begin.
    pub(super) fn follow(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action<S>>) {
        self.settle_timeout(ctx);
        for _ in 0..STEPS_PER_EVENT {
            if self.is_halted {
                return;
            }
            if self.raft.has_ready() {
                self.follow_one(out);
                self.settle_timeout(ctx);
                self.tell(out);
                continue;
            }
            self.asks.answer_confirmed(self.raft.raft.term, self.applied.index, out);
            if !self.begin_round() && !self.leave_joint() && !self.advance_procedure(ctx.now, out) {
                return;
            }
        }
        self.clock.has_work = Some(ctx.now);
    }

    fn follow_one(&mut self, out: &mut impl Sink<Action<S>>) {
        let mut ready = self.raft.ready();
        let before = self.disk.next;
        let snapshot = self.install(&ready, out);
        self.write_step(&mut ready, out);
        let upto = (self.disk.next > before).then(|| Sequence(self.disk.next.0 - 1));
        self.read(ready.take_read_states());
        let at_once = ready.take_messages();
        let after_sync = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        let number = ready.number();
        self.raft.advance_append_async(ready);

        let is_term_durable = self.disk.is_durable(self.disk.hard);
        let (now, later) =
            if is_term_durable { (at_once, after_sync) } else { (Vec::new(), [at_once, after_sync].concat()) };
        self.post(now, out);
        match upto.or_else(|| self.disk.outstanding.back().map(|step| step.upto)) {
            Some(upto) => {
                let step = Outstanding { number, upto, snapshot, messages: later };
                self.disk.outstanding.push_back(step);
            }
            None => {
                self.raft.on_persist_ready(number);
                self.post(later, out);
            }
        }
        // Who was deposed hears of it before anything that happens under another leader.
        self.tell(out);
        self.apply(committed, out);
    }

    /// Writes what the step changed: term and vote, then entries together with the commit known by now.
    fn write_step(&mut self, ready: &mut Ready, out: &mut impl Sink<Action<S>>) {
        let commit = self.raft.raft.raft_log.committed;
        if let Some(hard) = ready.hs().filter(|hard| self.is_new_promise(hard)) {
            let vote = (hard.vote != 0).then_some(VoterId(hard.vote));
            let record = Record::Hard { term: hard.term, vote, commit: hard.commit };
            self.disk.promised = (hard.term, hard.vote);
            self.disk.hard = self.write(record, out);
        }
        let entries = ready.take_entries();
        let mut rest = &entries[..];
        while let Some(first) = rest.first() {
            let (chunk, later) = rest.split_at(self.fits_one_record(rest));
            let entries = chunk.iter().map(entry_out).collect();
            self.overwrites(first.index);
            self.write(Record::Entries { first: first.index, commit, entries }, out);
            rest = later;
        }
        self.raft.mut_store().append(entries);
    }

    /// The commit alone is not worth a record: it comes with the next entry, or from the leader.
    fn is_new_promise(&self, hard: &HardState) -> bool {
        self.disk.promised != (hard.term, hard.vote)
    }

    fn fits_one_record(&self, entries: &[Entry]) -> usize {
        let limit = self.settings.bounds.record_bytes as usize;
        let mut bytes = 0;
        let fits = entries.iter().take_while(|entry| {
            bytes += bytes_of(entry);
            bytes <= limit
        });
        fits.count().max(1)
    }

    /// Records up to this one are durable.
    pub(super) fn durable(&mut self, ctx: &mut Ctx<'_>, upto: Sequence, out: &mut impl Sink<Action<S>>) {
        self.disk.durable = self.disk.durable.max(upto);
        let mut number = None;
        let mut installed = None;
        let mut messages = Vec::new();
        while let Some(step) = self.disk.outstanding.pop_front_if(|step| step.upto <= upto) {
            number = Some(step.number);
            installed = step.snapshot.or(installed);
            messages.extend(step.messages);
        }
        if let Some(number) = number {
            self.raft.on_persist_ready(number);
        }
        if let Some(index) = installed.filter(|index| *index > self.raft.raft.raft_log.applied) {
            self.raft.advance_apply_to(index);
        }
        self.post(messages, out);
        self.rebased(out);
        self.follow(ctx, out);
    }

    /// Sends what may be sent, sorted by receiver: the crate walks hash maps. What one receiver gets keeps its order.
    fn post(&mut self, mut messages: Vec<Message>, out: &mut impl Sink<Action<S>>) {
        messages.sort_by_key(|message| message.to);
        for message in &messages {
            let to = VoterId(message.to);
            match message.get_msg_type() {
                MessageType::MsgSnapshot => self.begin_transfer(to, out),
                kind => {
                    self.note_question(kind, message.term);
                    let Some(voter) = self.address(to) else { continue };
                    let Some(message) = message_out(self.group, voter.store, message) else { continue };
                    out.push(Action::Send { to: voter.node, class: message.class(), message });
                }
            }
        }
    }

    /// Remembers that votes were asked for, which their answers are held against.
    fn note_question(&mut self, kind: MessageType, term: u64) {
        match kind {
            MessageType::MsgRequestVote => self.asked = Some((term, StateRole::Candidate)),
            MessageType::MsgRequestPreVote => self.asked = Some((term - 1, StateRole::PreCandidate)),
            _ => {}
        }
    }

    fn read(&mut self, states: Vec<raft::ReadState>) {
        for state in states {
            self.asks.confirmed(round_of(&state.request_ctx), state.index);
        }
    }
}
