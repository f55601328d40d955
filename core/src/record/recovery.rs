//! What is left of a journal after the process stopped, slot by slot.
//!
//! Fed in ascending order, one slot per call, so that no step is long. The rule, and why:
//! 1. Keep the longest prefix whose frames are valid, in sequence and chained. Anything beyond was never acknowledged,
//!    unless a surviving synced mark says otherwise.
//! 2. A mark beyond the prefix means that bytes once synced are gone: damage, not a crash. Nothing is touched.
//! 3. What lies beyond the last mark may stand in the page cache only: it is rewritten, the rest erased, and both
//!    synced, before the node says a word. Otherwise a second crash could take back what a reader saw, or an old
//!    record could come back behind a new one.
//! 4. The prefix begins where the newest anchor says, with the genesis otherwise. What the anchor covers is marked. The
//!    anchor itself may stand in the page cache only, too: it is rewritten with the rest.
//!
//! The places of anchors are fed first; [`Recovery::due`] then says where to go on.

use super::anchor::{Anchored, is_place};
use super::frame::{Chain, Frame, FrameError, Genesis, Kind, read_frame, read_genesis};
use super::{Sequence, Writer};
use crate::identity::BootIncarnation;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Reads a journal from its first slot to its last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recovery {
    anchor: Option<Anchored>,
    /// Whether something stands in the first place of anchors, whatever it is.
    was_anchored: bool,
    end: Sequence,
    chain: Chain,
    boot: BootIncarnation,
    mark: Sequence,
    mark_beyond: Sequence,
    broken: bool,
    leftover: Option<Sequence>,
    due: Sequence,
    unmarked: VecDeque<(Sequence, Vec<u8>)>,
}

/// A journal that was found whole, and what has to be done before the node may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The anchor that it starts from, to be written again as it is; `None` where it starts with its genesis.
    pub anchor: Option<Anchored>,
    /// Position of the last record kept; zero for an empty journal.
    pub end: Sequence,
    /// Its checksum.
    pub chain: Chain,
    /// The last boot recorded.
    pub boot: BootIncarnation,
    /// Everything up to here is known synced.
    pub synced: Sequence,
    /// Frames beyond the mark, to be written again as they are.
    pub rewrite: VecDeque<(Sequence, Vec<u8>)>,
    /// Whether slots beyond `end` hold something, which has to be erased.
    pub leftover: bool,
}

/// The journal has lost what it once held durably. It was left as it is; the node may return only with a new store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The valid prefix ends before a record that was synced.
    #[error(
        "the journal is valid up to record {end}, but record {mark} was once synced: the store is damaged; keep it for inspection and start the node on an empty one"
    )]
    LostSynced {
        /// Last record of the valid prefix.
        end: Sequence,
        /// The highest mark found beyond it.
        mark: Sequence,
    },
    /// A boot that is not newer than the one before it.
    #[error(
        "record {at} was written by boot {found} after boot {before}: the store went back in time; start the node on an empty one"
    )]
    BootBackwards {
        /// The record.
        at: Sequence,
        /// Its boot.
        found: BootIncarnation,
        /// The boot before it.
        before: BootIncarnation,
    },
    /// The journal was trimmed once, and neither an anchor nor a genesis can be read.
    #[error(
        "where the journal starts cannot be read any more: the store is damaged; keep it for inspection and start the node on an empty one"
    )]
    LostStart,
    /// The first record is not a genesis record, or a later one is.
    #[error("record {at} is out of place: the store was not written by this program; start the node on an empty one")]
    Misplaced {
        /// The record.
        at: Sequence,
    },
    /// The journal belongs to another node or cluster.
    #[error("the journal belongs to another node or cluster; check the data folder of this node")]
    Foreign,
    /// A slot came out of order, which is a defect of the driver.
    #[error("slot {at} was read after slot {after}")]
    OutOfOrder {
        /// The slot.
        at: Sequence,
        /// The one read before it.
        after: Sequence,
    },
}

impl Recovery {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Self {
            anchor: None,
            was_anchored: false,
            end: Sequence(0),
            chain: Chain([0; 16]),
            boot: BootIncarnation(0),
            mark: Sequence(0),
            mark_beyond: Sequence(0),
            broken: false,
            leftover: None,
            due: Sequence(0),
            unmarked: VecDeque::new(),
        }
    }

    /// The next slot to be fed. Those before it need not be read: they are no part of the journal.
    pub const fn due(&self) -> Sequence {
        self.due
    }

    /// The anchor that the journal starts from, once the places of anchors were fed.
    pub const fn anchor(&self) -> Option<&Anchored> {
        self.anchor.as_ref()
    }

    /// Whether a driver should read `slot` again before what it found is believed: the bytes do not hold by themselves,
    /// or the journal would end here. The fault may lie in the reading.
    pub fn doubts(&self, slot: Sequence, bytes: Option<&[u8]>) -> bool {
        let is_anchor = |bytes| is_place(slot) && Anchored::read(slot, bytes).is_some();
        match bytes {
            None => !is_place(slot) || slot == Sequence::FIRST && self.anchor.is_none(),
            Some(bytes) if is_anchor(bytes) => false,
            Some(_) if slot < Sequence::FIRST => true,
            Some(bytes) => !read_frame(bytes).is_ok_and(|frame| self.broken || self.continues(slot, &frame)),
        }
    }

    /// Takes the content of `slot`, `None` where the slot is empty. Returns the frame when it extends the prefix.
    ///
    /// # Errors
    /// [`Damage`] when the journal cannot have come about by a crash.
    pub fn feed<'a>(&mut self, slot: Sequence, bytes: Option<&'a [u8]>) -> Result<Option<Frame<'a>>, Damage> {
        if slot < self.due {
            return Err(Damage::OutOfOrder { at: slot, after: self.due.before() });
        }
        self.due = slot.next();
        if is_place(slot) && self.seek_anchor(slot, bytes) {
            return Ok(None);
        }
        let Some(bytes) = bytes else {
            self.broken = true;
            return Ok(None);
        };
        match read_frame(bytes) {
            Ok(frame) if !self.broken && self.continues(slot, &frame) => self.extend(frame, bytes).map(Some),
            Ok(frame) => {
                self.mark_beyond = self.mark_beyond.max(frame.synced);
                self.pass_over(slot);
                Ok(None)
            }
            Err(FrameError::Length { .. } | FrameError::Format | FrameError::Checksum | FrameError::Mark { .. }) => {
                self.pass_over(slot);
                Ok(None)
            }
        }
    }

    /// The verdict, once every slot was fed.
    ///
    /// # Errors
    /// [`Damage::LostSynced`] when a mark outlived what it vouches for; [`Damage::LostStart`] when there is no journal
    /// where one was trimmed.
    pub fn finish(self) -> Result<Recovered, Damage> {
        let synced = self.mark.max(self.mark_beyond);
        if synced > self.end {
            return Err(Damage::LostSynced { end: self.end, mark: synced });
        }
        // An anchor is written when there is a journal that was durable, and torn it leaves that untouched.
        if self.was_anchored && self.end == Sequence(0) {
            return Err(Damage::LostStart);
        }
        let mut rewrite = self.unmarked;
        rewrite.retain(|(sequence, _)| *sequence > synced);
        Ok(Recovered {
            anchor: self.anchor,
            end: self.end,
            chain: self.chain,
            boot: self.boot,
            synced,
            rewrite,
            leftover: self.leftover.is_some(),
        })
    }

    /// Looks for an anchor in one of its places. Whether that is all the slot is there for.
    fn seek_anchor(&mut self, place: Sequence, bytes: Option<&[u8]>) -> bool {
        let found = bytes.and_then(|bytes| Anchored::read(place, bytes));
        let known = self.anchor.as_ref().map(|it| it.anchor.first);
        if found.as_ref().is_some_and(|it| Some(it.anchor.first) > known) {
            self.anchor = found;
        }
        if place < Sequence::FIRST {
            self.was_anchored = bytes.is_some();
            return true;
        }
        let Some(Anchored { anchor, chain, covers, .. }) = &self.anchor else { return false };
        (self.end, self.chain) = (anchor.first.before(), *chain);
        (self.boot, self.mark, self.due) = (anchor.boot, *covers, anchor.first);
        true
    }

    fn continues(&self, slot: Sequence, frame: &Frame<'_>) -> bool {
        slot == self.end.next() && frame.sequence == slot && frame.previous == self.chain
    }

    fn extend<'a>(&mut self, frame: Frame<'a>, bytes: &[u8]) -> Result<Frame<'a>, Damage> {
        let at = frame.sequence;
        if (at == Sequence::FIRST) != (frame.kind == Kind::Genesis) {
            return Err(Damage::Misplaced { at });
        }
        let boot_is_legal = match frame.kind {
            // None has the sequence of a slot that is no place of anchors.
            Kind::Anchor => return Err(Damage::Misplaced { at }),
            // The first boot is recorded right behind the genesis that it wrote.
            Kind::Boot => frame.boot > self.boot || at == Sequence(2) && frame.boot == self.boot,
            Kind::Genesis | Kind::Application => frame.boot == self.boot || at == Sequence::FIRST,
        };
        if !boot_is_legal {
            return Err(Damage::BootBackwards { at, found: frame.boot, before: self.boot });
        }
        self.end = at;
        self.chain = frame.chain;
        self.boot = frame.boot;
        self.mark = self.mark.max(frame.synced);
        while self.unmarked.front().is_some_and(|(sequence, _)| *sequence <= self.mark) {
            self.unmarked.pop_front();
        }
        self.unmarked.push_back((at, bytes.to_vec()));
        Ok(frame)
    }

    fn pass_over(&mut self, slot: Sequence) {
        self.broken = true;
        self.leftover.get_or_insert(slot);
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Self::new()
    }
}

impl Recovered {
    /// A journal with nothing in it.
    pub const fn empty() -> Self {
        let (end, chain, boot, synced) = (Sequence(0), Chain([0; 16]), BootIncarnation(0), Sequence(0));
        Self { anchor: None, end, chain, boot, synced, rewrite: VecDeque::new(), leftover: false }
    }

    /// A writer that continues the journal under `boot`.
    pub const fn writer(&self, boot: BootIncarnation) -> Writer {
        Writer::new(self.end, self.chain, boot, self.synced)
    }

    /// Checks that a genesis frame names this node.
    ///
    /// # Errors
    /// [`Damage::Foreign`] when it names another one, or cannot be read.
    pub fn check_owner(frame: &Frame<'_>, expected: &Genesis) -> Result<Genesis, Damage> {
        read_genesis(frame).map_err(|_| Damage::Foreign).and_then(|found| found.owned_by(expected))
    }
}
