//! What this node says to itself waits as what it says to others does.
//!
//! A holder that leads could otherwise hand a scope over, and have that committed by the others' disks, while an answer
//! that it gave under the lease still waits at the gate for its own: that answer would leave after the next holder has
//! begun (rule S2). Sent to another leader the command would stand behind the answer.

use super::wire::Message;
use crate::epoch::ClusterEpoch;
use crate::node::Gating;
use crate::record::Sequence;
use alloc::collections::VecDeque;

/// Messages that wait at most.
const WAITING_MAX: usize = 1_024;

/// Messages of this node to itself, each with the last record that was written before it.
#[derive(Debug, Default)]
pub(super) struct OwnGate {
    written: Sequence,
    durable: Sequence,
    waiting: VecDeque<(Sequence, Message)>,
    /// The newest epoch under which, or a newer one, all answers are that may still wait at the gate.
    settled: ClusterEpoch,
    /// A newer one, which has settled once that record is durable.
    settling: Option<(Sequence, ClusterEpoch)>,
}

impl OwnGate {
    /// Everything is durable: the process begins.
    pub(super) fn begin(&mut self, written: Sequence) {
        *self = Self { written, durable: written, ..Self::default() };
    }

    /// The node has written up to there, whichever of its machines has.
    pub(super) fn wrote(&mut self, upto: Sequence) {
        self.written = self.written.max(upto);
    }

    /// Gives the message back if it need not wait.
    pub(super) fn pass(&mut self, message: Message) -> Option<Message> {
        let need_not_wait = self.written <= self.durable && self.waiting.is_empty();
        if need_not_wait || message.gating() == Gating::Ungated {
            return Some(message);
        }
        // Whatever is dropped is sent again, as what a network loses.
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((self.written, message));
        }
        None
    }

    /// The epoch that a renewal may name, where this is known (rule C2): nothing that was said under an older one is
    /// still to leave.
    pub(super) fn settle(&mut self, known: ClusterEpoch) -> ClusterEpoch {
        if self.written <= self.durable {
            (self.settled, self.settling) = (self.settled.max(known), None);
        } else if known > self.settled && self.settling.is_none() {
            self.settling = Some((self.written, known));
        }
        self.settled
    }

    /// Records up to there are durable.
    pub(super) fn durable(&mut self, upto: Sequence) {
        self.durable = self.durable.max(upto);
        if let Some((_, epoch)) = self.settling.take_if(|(needed, _)| *needed <= upto) {
            self.settled = self.settled.max(epoch);
        }
    }

    /// What has waited for long enough.
    pub(super) fn next(&mut self) -> Option<Message> {
        let durable = self.durable;
        self.waiting.pop_front_if(|(needed, _)| *needed <= durable).map(|(_, message)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands;
    use crate::lease;

    fn command(number: u64) -> Message {
        Message::Commands(commands::Message::NotLeader { number, hint: None })
    }

    #[test]
    fn a_command_waits_for_all_that_was_written_before_it() {
        let mut gate = OwnGate::default();
        gate.begin(Sequence(4));
        assert_eq!(gate.pass(command(1)), Some(command(1)), "everything is durable");
        gate.wrote(Sequence(6));
        assert_eq!(gate.pass(command(2)), None);
        gate.durable(Sequence(5));
        assert_eq!(gate.next(), None);
        gate.durable(Sequence(6));
        assert_eq!(gate.pass(command(3)), None, "in order");
        assert_eq!((gate.next(), gate.next(), gate.next()), (Some(command(2)), Some(command(3)), None));
    }

    #[test]
    fn an_epoch_is_named_once_what_was_said_before_it_has_left() {
        let mut gate = OwnGate::default();
        gate.begin(Sequence(4));
        assert_eq!(gate.settle(ClusterEpoch(1)), ClusterEpoch(1));
        gate.wrote(Sequence(5));
        assert_eq!(gate.settle(ClusterEpoch(2)), ClusterEpoch(1));
        gate.wrote(Sequence(6));
        assert_eq!(gate.settle(ClusterEpoch(3)), ClusterEpoch(1));
        gate.durable(Sequence(5));
        assert_eq!(gate.settle(ClusterEpoch(3)), ClusterEpoch(2));
        gate.durable(Sequence(6));
        assert_eq!(gate.settle(ClusterEpoch(3)), ClusterEpoch(3));
    }

    #[test]
    fn a_renewal_does_not_wait() {
        let mut gate = OwnGate::default();
        gate.wrote(Sequence(1));
        let message = Message::Lease(lease::Message::NotLeader { hint: None });
        assert_eq!(gate.pass(message.clone()), Some(message));
    }
}
