//! Reading the journal back at the start of a process: a bounded number of loads under way, one slot per event.

use super::loads::{READINGS_MAX, Ticket};
use crate::record::{Damage, Frame, Recovered, Recovery, Sequence};

/// Slots that are asked for ahead of the one being read.
const READ_AHEAD: u64 = 64;

/// The reading of a journal under way.
#[derive(Clone, Debug)]
pub(super) struct Startup {
    recovery: Recovery,
    last: Sequence,
    /// The next slot to be fed.
    due: Sequence,
    /// The next slot to be asked for.
    ask: Sequence,
    /// Answers to earlier tickets are void: the slot is being read again.
    valid_from: Ticket,
    readings: u8,
}

/// What to do after one slot.
pub(super) enum Fed<'a> {
    /// Nothing more.
    Skipped,
    /// The slot is asked for once more.
    Reread,
    /// Give the record to the application.
    Kept(Frame<'a>),
}

impl Startup {
    /// Reads the slots up to `last`, from the first on: a journal whose first slot is empty is not whole.
    pub(super) fn new(last: Sequence) -> Self {
        Self {
            recovery: Recovery::new(),
            last,
            due: Sequence::FIRST,
            ask: Sequence::FIRST,
            valid_from: Ticket(0),
            readings: 1,
        }
    }

    /// The next slot to ask for, while fewer than the read-ahead are under way.
    pub(super) fn next_to_ask(&mut self) -> Option<Sequence> {
        if self.ask > self.last || self.ask.0 >= self.due.0 + READ_AHEAD {
            return None;
        }
        let slot = self.ask;
        self.ask = slot.next();
        Some(slot)
    }

    /// Takes the content of a slot. A slot that would end the journal is read again first: `next` is the first ticket
    /// of the new readings.
    pub(super) fn feed<'a>(
        &mut self,
        ticket: Ticket,
        slot: Sequence,
        bytes: Option<&'a [u8]>,
        next: Ticket,
    ) -> Result<Fed<'a>, Damage> {
        if ticket < self.valid_from || slot != self.due {
            return Ok(Fed::Skipped);
        }
        if bytes.is_none_or(|bytes| self.recovery.doubts(slot, bytes)) && self.readings < READINGS_MAX {
            self.readings += 1;
            self.valid_from = next;
            self.ask = slot;
            return Ok(Fed::Reread);
        }
        self.readings = 1;
        self.due = slot.next();
        Ok(self.recovery.feed(slot, bytes)?.map_or(Fed::Skipped, Fed::Kept))
    }

    /// Whether every slot was fed.
    pub(super) fn is_complete(&self) -> bool {
        self.due > self.last
    }

    /// The verdict, and how many slots are given up: each may hold the boot record of a process that has spoken.
    pub(super) fn finish(self) -> Result<(Recovered, u64), Damage> {
        let last = self.last;
        let recovered = self.recovery.finish()?;
        let given_up = last.0.saturating_sub(recovered.end.0);
        Ok((recovered, given_up))
    }
}
