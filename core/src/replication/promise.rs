//! Promises: what a follower does when somebody takes over, and what the owner does with its answer (rules P1 to P5).

use super::blobs::Putting;
use super::machine::{Action, Reply};
use super::observation::ReplicationObservation;
use super::position::{LogSequence, Position};
use super::service::Service;
use super::state::{Phase, Replica, Unsynced};
use super::step::Step;
use super::wire::{Message, Record};
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::shards::ReplicaId;

impl<S: Service> Replica<S> {
    /// Somebody takes over, or says so once more.
    pub(super) fn promise(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, from: ReplicaId, epoch: Epoch) {
        if !self.accepts(step, from, epoch) {
            return;
        }
        let (end, mark) = (self.log.last(), self.mark);
        step.send(from, Message::Promised { epoch, end, mark });
    }

    /// Whether a message of that epoch's owner is to be looked at. If so, nothing older will be from now on (rules P1, P3).
    pub(super) fn accepts(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        epoch: Epoch,
    ) -> bool {
        if epoch < self.promised {
            step.observe(ReplicationObservation::Stale {
                from: from.node,
                cluster: epoch.cluster.0,
                epoch: epoch.lease,
            });
            step.send(from, Message::Fenced { epoch, promised: self.promised });
            return false;
        }
        let owner = self.record.as_ref().filter(|record| record.epoch == epoch).and_then(|record| record.owner);
        let is_own = self.tenure.as_ref().is_some_and(|tenure| tenure.epoch == epoch);
        if is_own || owner.is_some_and(|owner| ReplicaId::from(owner) != from) {
            step.observe(ReplicationObservation::Rejected { from: from.node, reason: "not the owner of that epoch" });
            return false;
        }
        self.promise_own(step, epoch);
        true
    }

    /// Remembers that nothing older than `epoch` is accepted; a tenure under an older one is over.
    pub(super) fn promise_own(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, epoch: Epoch) {
        if epoch <= self.promised {
            return;
        }
        self.promised = epoch;
        self.blobs.forget_gate();
        self.forget_incoming(epoch);
        let at = step.write(Record::Promised(epoch));
        self.unsynced.push_back((at, Unsynced::Promise(epoch)));
        self.fenced(step, epoch);
    }

    /// Somebody has promised a newer epoch: what this process did under an older one is over.
    pub(super) fn fenced(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, promised: Epoch) {
        if self.tenure.as_ref().is_some_and(|tenure| tenure.epoch < promised) {
            self.step_down(step);
        }
    }

    /// A peer has promised. Later than the own start, its answer is of no use any more (rule U5).
    pub(super) fn promised_by(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        end: Position,
        mark: LogSequence,
    ) {
        let Some(tenure) = &mut self.tenure else { return };
        if end.epoch > tenure.epoch || mark > end.sequence {
            step.observe(ReplicationObservation::Rejected { from: from.node, reason: "an end that cannot be" });
            return;
        }
        let Some(peer) = tenure.peers.get_mut(&from) else { return };
        if tenure.phase == Phase::Promising {
            peer.promised = Some((end, mark));
            self.adopt_if_all_promised(step);
        }
    }

    /// This process does not act as owner any more. Whoever waits is told that the outcome is unknown (rule V4).
    pub(super) fn step_down(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let Some(tenure) = self.tenure.take() else { return };
        let unanswered = (tenure.pending.len() + self.answers.len()) as u64;
        let (cluster, epoch) = (tenure.epoch.cluster.0, tenure.epoch.lease);
        step.observe(ReplicationObservation::SteppedDown { cluster, epoch, unanswered });
        let putters = tenure.puts.into_values().flat_map(Putting::into_tickets);
        let waiting = tenure.pending.into_iter().map(|(_, ticket)| ticket).chain(putters);
        for ticket in self.answers.drain(..).map(|(ticket, _)| ticket).chain(waiting) {
            step.push(Action::Reply { ticket, reply: Reply::Unknown, not_after: None });
        }
        self.forget_putters(step);
    }
}
