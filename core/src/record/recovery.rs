//! What is left of a journal after the process stopped, slot by slot.
//!
//! Fed in ascending order, one slot per call, so that no step is long. The rule, and why:
//! 1. Keep the longest prefix whose frames are valid, in sequence and chained. Anything beyond was never acknowledged,
//!    unless a surviving synced mark says otherwise.
//! 2. A mark beyond the prefix means that bytes once synced are gone: damage, not a crash. Nothing is touched.
//! 3. What lies beyond the last mark may stand in the page cache only: it is rewritten, the rest erased, and both
//!    synced, before the node says a word. Otherwise a second crash could take back what a reader saw, or an old
//!    record could come back behind a new one.

use super::frame::{Chain, Frame, FrameError, Genesis, Kind, read_frame, read_genesis};
use super::{Sequence, Writer};
use crate::identity::BootIncarnation;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Reads a journal from its first slot to its last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recovery {
    end: Sequence,
    chain: Chain,
    boot: BootIncarnation,
    mark: Sequence,
    mark_beyond: Sequence,
    broken: bool,
    leftover: Option<Sequence>,
    last_fed: Sequence,
    unmarked: VecDeque<(Sequence, Vec<u8>)>,
}

/// A journal that was found whole, and what has to be done before the node may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
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
            end: Sequence(0),
            chain: Chain([0; 16]),
            boot: BootIncarnation(0),
            mark: Sequence(0),
            mark_beyond: Sequence(0),
            broken: false,
            leftover: None,
            last_fed: Sequence(0),
            unmarked: VecDeque::new(),
        }
    }

    /// Whether a driver should read `slot` again before the bytes are believed: they do not hold by themselves, or
    /// they would end the journal here. The fault may lie in the reading.
    pub fn doubts(&self, slot: Sequence, bytes: &[u8]) -> bool {
        !read_frame(bytes).is_ok_and(|frame| self.broken || self.continues(slot, &frame))
    }

    /// Takes the content of `slot`, `None` where the slot is empty. Returns the frame when it extends the prefix.
    ///
    /// # Errors
    /// [`Damage`] when the journal cannot have come about by a crash.
    pub fn feed<'a>(&mut self, slot: Sequence, bytes: Option<&'a [u8]>) -> Result<Option<Frame<'a>>, Damage> {
        if slot <= self.last_fed {
            return Err(Damage::OutOfOrder { at: slot, after: self.last_fed });
        }
        self.last_fed = slot;
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
    /// [`Damage::LostSynced`] when a mark outlived what it vouches for.
    pub fn finish(self) -> Result<Recovered, Damage> {
        if self.mark_beyond > self.end {
            return Err(Damage::LostSynced { end: self.end, mark: self.mark_beyond });
        }
        let synced = self.mark.max(self.mark_beyond);
        let mut rewrite = self.unmarked;
        rewrite.retain(|(sequence, _)| *sequence > synced);
        Ok(Recovered {
            end: self.end,
            chain: self.chain,
            boot: self.boot,
            synced,
            rewrite,
            leftover: self.leftover.is_some(),
        })
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
        Self { end, chain, boot, synced, rewrite: VecDeque::new(), leftover: false }
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
        match read_genesis(frame) {
            Ok(found) if found.cluster == expected.cluster && found.node == expected.node => Ok(found),
            _ => Err(Damage::Foreign),
        }
    }
}
