//! What this node says to itself waits as what it says to others does.
//!
//! A holder that leads could otherwise hand a scope over, and have that committed by the others' disks, while an answer
//! that it gave under the lease still waits at the gate for its own: that answer would leave after the next holder has
//! begun (rule S2). Sent to another leader the command would stand behind the answer.

use super::wire::Message;
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
}

impl OwnGate {
    /// Everything is durable: the process begins.
    pub(super) fn begin(&mut self, written: Sequence) {
        *self = Self { written, durable: written, waiting: VecDeque::new() };
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

    /// Records up to there are durable.
    pub(super) fn durable(&mut self, upto: Sequence) {
        self.durable = self.durable.max(upto);
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
    fn a_renewal_does_not_wait() {
        let mut gate = OwnGate::default();
        gate.wrote(Sequence(1));
        let message = Message::Lease(lease::Message::NotLeader { hint: None });
        assert_eq!(gate.pass(message.clone()), Some(message));
    }
}
