//! Entries that were written together: what a journal record and an append carry.
//!
//! Entries of a block share an epoch and follow one another, and their bytes lie in one piece, so that an entry costs no
//! allocation.

use super::position::{LogSequence, Position};
use crate::epoch::Epoch;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Entries of one block, at most.
pub const BLOCK_ENTRIES_MAX: usize = 4_096;
/// Bytes of all entries of one block, at most. Well below what a record and a packet may have.
pub const BLOCK_BYTES_MAX: usize = 256 << 10;
/// No sequence comes near the end of its type: a peer that claims one is refused.
pub(super) const SEQUENCE_MAX: u64 = u64::MAX / 2;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry<'a> {
    /// An epoch begins: the first entry that its owner writes.
    Start,
    /// A command for the state above the log.
    Command(&'a [u8]),
}

/// At least one entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Block {
    first: LogSequence,
    epoch: Epoch,
    /// The only entry is the start of the epoch.
    is_start: bool,
    /// Where each entry ends in `bytes`.
    ends: Box<[u32]>,
    #[serde(with = "crate::bytes")]
    bytes: Box<[u8]>,
}

impl Block {
    /// The start of an epoch.
    pub(super) fn start(at: Position) -> Self {
        Self { first: at.sequence, epoch: at.epoch, is_start: true, ends: Box::new([0]), bytes: Box::new([]) }
    }

    /// A block of these commands; nothing where there are none, or more than one block may have.
    pub fn of(first: Position, commands: &[&[u8]]) -> Option<Self> {
        let mut open = Open::default();
        for command in commands {
            if !open.has_room(command.len()) {
                return None;
            }
            open.push(command);
        }
        open.close(first)
    }

    /// Where its first entry stands.
    pub fn first(&self) -> Position {
        Position { epoch: self.epoch, sequence: self.first }
    }

    /// Where its last entry stands.
    pub fn last(&self) -> Position {
        Position { epoch: self.epoch, sequence: LogSequence(self.first.0 + self.len() as u64 - 1) }
    }

    /// How many entries there are.
    #[allow(clippy::len_without_is_empty, reason = "a block is never empty")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all entries.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The entry with that sequence. O(1).
    pub fn entry(&self, at: LogSequence) -> Option<Entry<'_>> {
        let index = usize::try_from(at.0.checked_sub(self.first.0)?).ok()?;
        let end = *self.ends.get(index)? as usize;
        if self.is_start {
            return Some(Entry::Start);
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        Some(Entry::Command(&self.bytes[start..end]))
    }

    /// The entries from that sequence on, none if it lies behind the block.
    pub(super) fn entries_from(&self, first: LogSequence) -> impl Iterator<Item = Entry<'_>> {
        (first.0.max(self.first.0)..=self.last().sequence.0).filter_map(|at| self.entry(LogSequence(at)))
    }

    /// The first entries, up to that sequence, which must be in the block.
    pub(super) fn up_to(&self, last: LogSequence) -> Self {
        let ends: Box<[u32]> = self.ends[..=(last.0 - self.first.0) as usize].into();
        let bytes = self.bytes[..ends[ends.len() - 1] as usize].into();
        Self { ends, bytes, ..*self }
    }

    /// The entries from that sequence on, which must be in the block.
    pub(super) fn from(&self, first: LogSequence) -> Self {
        let skipped = (first.0 - self.first.0) as usize;
        let cut = if skipped == 0 { 0 } else { self.ends[skipped - 1] };
        let ends = self.ends[skipped..].iter().map(|end| end - cut).collect();
        Self { first, ends, bytes: self.bytes[cut as usize..].into(), ..*self }
    }

    /// Blocks that follow one another under one epoch, and together are no larger than a block may be, as one.
    pub(super) fn joined<'a>(blocks: impl Iterator<Item = &'a Arc<Self>> + Clone) -> Option<Self> {
        let first = blocks.clone().next()?;
        let mut ends = Vec::with_capacity(blocks.clone().map(|block| block.len()).sum());
        let mut bytes = Vec::with_capacity(blocks.clone().map(|block| block.size()).sum());
        for block in blocks {
            let shift = bytes.len() as u32;
            ends.extend(block.ends.iter().map(|end| end + shift));
            bytes.extend_from_slice(&block.bytes);
        }
        Some(Self { ends: ends.into(), bytes: bytes.into(), ..**first })
    }

    /// Whether another one that follows this one may be joined with it.
    pub(super) fn is_like(&self, next: &Self) -> bool {
        self.epoch == next.epoch && !self.is_start && !next.is_start
    }

    /// Whether a peer's block is what a block must be.
    pub(super) fn is_sound(&self) -> bool {
        let count = self.ends.len();
        let rises = self.ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let is_whole = self.ends.last().is_some_and(|end| *end as usize == self.bytes.len());
        let is_short = count <= BLOCK_ENTRIES_MAX && self.bytes.len() <= BLOCK_BYTES_MAX;
        let is_placed = self.first > LogSequence(0) && self.first.0 <= SEQUENCE_MAX;
        let is_start_alone = !self.is_start || (count == 1 && self.bytes.is_empty());
        rises && is_whole && is_short && is_placed && is_start_alone
    }
}

/// Entries that are gathered for the next block. Its buffers are used again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Open {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Open {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether an entry of so many bytes still fits.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.ends.len() < BLOCK_ENTRIES_MAX && self.bytes.len() + bytes <= BLOCK_BYTES_MAX
    }

    pub(super) fn push(&mut self, command: &[u8]) {
        self.bytes.extend_from_slice(command);
        self.ends.push(self.bytes.len() as u32);
    }

    /// The block of all that was gathered, if there is anything.
    pub(super) fn close(&mut self, first: Position) -> Option<Block> {
        if self.is_empty() {
            return None;
        }
        let (ends, bytes) = (self.ends.as_slice().into(), self.bytes.as_slice().into());
        self.clear();
        Some(Block { first: first.sequence, epoch: first.epoch, is_start: false, ends, bytes })
    }

    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }
}
