//! Acknowledging: what every required replica holds durably counts, is applied, and is answered (rules W1 to W6).

use super::block::Entry;
use super::machine::{Action, Reply, Ticket};
use super::observation::ReplicationObservation;
use super::position::{LogSequence, Position};
use super::service::Service;
use super::state::{Phase, Replica, Unsynced};
use super::step::Step;
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::record::Sequence;
use crate::shards::ReplicaId;
use crate::time::Time;

impl<S: Service> Replica<S> {
    /// The own disk has come so far.
    pub(super) fn persisted(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, upto: Sequence) {
        while let Some((_, what)) = self.unsynced.pop_front_if(|(at, _)| *at <= upto) {
            match what {
                Unsynced::Promise(epoch) => self.durable_promise = epoch,
                Unsynced::Entries(last) => self.durable = last,
                Unsynced::Snapshot(at) => self.durable_snapshot = at,
            }
        }
        self.adopt_if_all_promised(step);
        self.acknowledge(step);
    }

    /// A peer holds everything up to there.
    pub(super) fn held_by(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        upto: LogSequence,
    ) {
        let (last, retry, rests) = (self.log.last().sequence, self.settings.retry, self.settings.rests);
        let Some(tenure) = &mut self.tenure else { return };
        if upto > last || tenure.phase.start().is_none() {
            let reason = "holds what was never sent";
            return step.observe(ReplicationObservation::Rejected { from: from.node, reason });
        }
        let Some(peer) = tenure.peers.get_mut(&from) else { return };
        peer.holds(upto);
        if peer.under_way.is_empty() {
            peer.pace.held(step.now, last.0 - peer.held.0, rests);
        }
        peer.has_answered();
        let is_first = !core::mem::replace(&mut peer.is_streaming, true);
        peer.retry_at = (!peer.under_way.is_empty()).then(|| step.now.saturating_add(retry));
        self.acknowledge(step);
        self.feed(step, from);
        if is_first {
            self.tell_late(step.now, from);
        }
        self.consider_change(step);
    }

    /// How far every required replica holds the log, this one included.
    fn held_by_all(&self) -> LogSequence {
        let held = |peer: ReplicaId| {
            let peers = self.tenure.as_ref().map(|tenure| &tenure.peers);
            peers.and_then(|peers| peers.get(&peer)).map_or(LogSequence(0), |peer| peer.held)
        };
        self.required().map(held).fold(self.durable, LogSequence::min)
    }

    /// Moves the mark to what everybody holds, the start of the epoch at least (rules W5, U6).
    pub(super) fn acknowledge(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let upto = self.held_by_all();
        let tell = step.now.saturating_add(self.settings.tell);
        let Some(tenure) = &mut self.tenure else { return };
        let Some(start) = tenure.phase.start().filter(|start| *start <= upto) else { return };
        if upto <= self.mark {
            return;
        }
        if let Phase::Starting { .. } = tenure.phase {
            tenure.phase = Phase::Serving { start };
            let (elapsed, epoch) = (step.now.since(tenure.began).as_nanos(), tenure.epoch);
            step.observe(ReplicationObservation::Serves { elapsed, cluster: epoch.cluster.0, epoch: epoch.lease });
        }
        while tenure.blocks.pop_front_if(|last| *last <= upto).is_some() {}
        tenure.impatient_at = None;
        for peer in tenure.peers.values_mut().filter(|peer| peer.is_streaming) {
            peer.tell(tell);
        }
        self.advance(upto);
        self.grow_impatient(step);
        self.flush(step);
        self.consider_change(step);
    }

    /// Entries up to there are acknowledged.
    pub(super) fn advance(&mut self, upto: LogSequence) {
        assert!(upto <= self.log.last().sequence, "what is acknowledged is in the log");
        self.mark = self.mark.max(upto);
    }

    /// Applies what is acknowledged, so much as one event may, and answers whoever waits for it (rule W6).
    pub(super) fn apply_some(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let last = LogSequence(self.mark.0.min(self.applied.0.saturating_add(self.settings.apply_max)));
        while self.applied < last {
            let next = self.applied.next();
            let Some(block) = self.log.block_of(next).cloned() else {
                panic!("entry {next} is acknowledged and not in the log");
            };
            let epoch = block.first().epoch;
            for entry in block.entries_from(next).take((last.0 - self.applied.0) as usize) {
                self.apply(step, epoch, entry);
            }
        }
        self.stop_if_drained(step);
    }

    fn apply(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, epoch: Epoch, entry: Entry<'_>) {
        self.applied = self.applied.next();
        let at = self.applied;
        let command = match entry {
            Entry::Start => return,
            Entry::Command(command) => command,
            Entry::Brings { address, length } => return self.apply_brings(step, at, address, length),
            Entry::Drops { address, idle_since } => return self.apply_drops(step, address, idle_since),
        };
        let answer = self.above.apply(command, Position { epoch, sequence: at });
        let pending = self.tenure.as_mut().map(|tenure| &mut tenure.pending);
        if let Some((_, ticket)) = pending.and_then(|pending| pending.pop_front_if(|(waits_for, _)| *waits_for == at)) {
            self.answer(step, ticket, answer);
        }
    }

    /// Answers now, or when the view of the session is valid again (rule V2).
    pub(super) fn answer(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        ticket: Ticket,
        answer: S::Answer,
    ) {
        match self.view.filter(|until| step.now <= *until) {
            None => self.answers.push_back((ticket, answer)),
            not_after => step.push(Action::Reply { ticket, reply: Reply::Done(answer), not_after }),
        }
    }

    /// The view of the session has changed.
    pub(super) fn view(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, until: Option<Time>) {
        self.view = until;
        let Some(not_after) = until.filter(|until| step.now <= *until) else { return };
        for (ticket, answer) in self.answers.drain(..) {
            step.push(Action::Reply { ticket, reply: Reply::Done(answer), not_after: Some(not_after) });
        }
    }
}
