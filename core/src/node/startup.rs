//! Reading the journal back at the start of a process: a bounded number of loads under way, one slot per event.

use super::loads::{READINGS_MAX, Ticket};
use super::trimming::Size;
use crate::record::anchor::PLACES;
use crate::record::{Anchor, Damage, Frame, Recovered, Recovery, Sequence};

/// Slots that are asked for ahead of the one being read.
const READ_AHEAD: u64 = 64;

/// The reading of a journal under way.
#[derive(Clone, Debug)]
pub(super) struct Startup {
    recovery: Recovery,
    last: Sequence,
    /// The next slot to be asked for.
    ask: Sequence,
    /// Answers to earlier tickets are void: the slot is being read again, or is not wanted any more.
    valid_from: Ticket,
    readings: u8,
    sizes: Sizes,
}

/// What was kept, by what the anchor covers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// Written before it.
    pub(super) covered: Size,
    /// Written since.
    pub(super) grown: Size,
}

/// What to do after one slot.
pub(super) enum Fed<'a> {
    /// Nothing more.
    Skipped,
    /// The slot is asked for once more.
    Reread,
    /// The journal starts from this anchor.
    Anchored(Anchor),
    /// Give the record to the application.
    Kept(Frame<'a>),
}

/// What a journal that was read amounts to.
pub(super) struct Read {
    pub(super) recovered: Recovered,
    /// How many slots are given up: each may hold the boot record of a process that has spoken.
    pub(super) given_up: u64,
    pub(super) sizes: Sizes,
}

impl Startup {
    /// Reads the places of anchors, and then the slots up to `last` from where the journal starts: one whose first slot
    /// is empty is not whole.
    pub(super) fn new(last: Sequence) -> Self {
        Self {
            recovery: Recovery::new(),
            last: last.max(PLACES[1]),
            ask: PLACES[0],
            valid_from: Ticket(0),
            readings: 1,
            sizes: Sizes::default(),
        }
    }

    /// The next slot to ask for, while fewer than the read-ahead are under way, and not before it is known where the
    /// journal starts.
    pub(super) fn next_to_ask(&mut self) -> Option<Sequence> {
        let due = self.recovery.due();
        let until = if due <= PLACES[1] { PLACES[1] } else { self.last };
        if self.ask > until || self.ask.0 >= due.0 + READ_AHEAD {
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
        if ticket < self.valid_from || slot != self.recovery.due() {
            return Ok(Fed::Skipped);
        }
        if self.recovery.doubts(slot, bytes) && self.readings < READINGS_MAX {
            self.readings += 1;
            self.valid_from = next;
            self.ask = slot;
            return Ok(Fed::Reread);
        }
        self.readings = 1;
        if let Some(frame) = self.recovery.feed(slot, bytes)? {
            let covered = self.recovery.anchor().is_some_and(|it| frame.sequence <= it.covers);
            let size = if covered { &mut self.sizes.covered } else { &mut self.sizes.grown };
            size.add(bytes.map_or(0, <[u8]>::len) as u64);
            return Ok(Fed::Kept(frame));
        }
        match self.recovery.anchor().filter(|_| slot == PLACES[1]) {
            Some(anchored) => {
                self.ask = anchored.anchor.first;
                Ok(Fed::Anchored(anchored.anchor))
            }
            None => Ok(Fed::Skipped),
        }
    }

    /// Whether every slot was fed.
    pub(super) fn is_complete(&self) -> bool {
        self.recovery.due() > self.last
    }

    /// The verdict.
    pub(super) fn finish(self) -> Result<Read, Damage> {
        let recovered = self.recovery.finish()?;
        let given_up = self.last.0.saturating_sub(recovered.end.0);
        Ok(Read { recovered, given_up, sizes: self.sizes })
    }
}
