//! Reads of single slots while the node runs, each tried again before it is called damaged.

use crate::record::{Frame, Kind, Sequence, read_frame};
use alloc::collections::VecDeque;

/// Readings of one slot before its bytes are believed to be wrong. A disk that returns 4 % of all readings changed does so
/// eight times in a row once in 10¹¹ slots; with five readings it took a sound store from its node in one of 300 runs.
pub(super) const READINGS_MAX: u8 = 8;
/// Loads that an application may have under way at once. It bounds its own: more is a defect, and asserted.
pub const LOADS_MAX: usize = 1_024;

/// Names one load, in the order asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Loads that the application waits for, in the order asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    next: Ticket,
    waiting: VecDeque<(Ticket, Sequence, u8)>,
}

/// What to do about the content of a slot.
pub(super) enum Reading<'a> {
    /// Nobody waits for it.
    Unwanted,
    /// Ask once more, under this ticket.
    Again(Ticket),
    /// It is what was written.
    Good(Frame<'a>),
    /// It stays wrong.
    Damaged,
}

impl Loads {
    /// A ticket that no load had.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.next.0 += 1;
        self.next
    }

    /// Asks for `sequence`; `None` when too many loads are under way.
    pub(super) fn ask(&mut self, sequence: Sequence) -> Option<Ticket> {
        if self.waiting.len() >= LOADS_MAX {
            return None;
        }
        let ticket = self.ticket();
        self.waiting.push_back((ticket, sequence, 1));
        Some(ticket)
    }

    /// Judges what was read under `ticket`. A load that is asked again goes to the back of the queue.
    pub(super) fn judge<'a>(&mut self, ticket: Ticket, bytes: Option<&'a [u8]>) -> Reading<'a> {
        let Some(at) = self.waiting.iter().position(|(waiting, ..)| *waiting == ticket) else {
            return Reading::Unwanted;
        };
        let Some((_, sequence, readings)) = self.waiting.remove(at) else {
            return Reading::Unwanted;
        };
        match bytes.map(read_frame) {
            Some(Ok(frame)) if frame.sequence == sequence && frame.kind == Kind::Application => Reading::Good(frame),
            _ if readings < READINGS_MAX => {
                let ticket = self.ticket();
                self.waiting.push_back((ticket, sequence, readings + 1));
                Reading::Again(ticket)
            }
            _ => Reading::Damaged,
        }
    }
}
