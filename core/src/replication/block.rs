//! Entries that were written together: what a journal record and an append carry.
//!
//! Entries of a block share an epoch and follow one another, and their bytes lie in one piece, so that an entry costs no
//! allocation. Where an entry ends says also whether it is a command, or brings or drops a blob.

use super::position::{LogSequence, Position};
use crate::blob::{ADDRESS_BYTES, BLOB_BYTES_MAX, BlobAddress};
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
/// The entry that ends there brings a blob.
const BRINGS: u32 = 1 << 31;
/// The entry that ends there drops a blob.
const DROPS: u32 = 1 << 30;
/// Where it ends.
const END: u32 = DROPS - 1;
/// Bytes of an entry that brings or drops a blob: an address, and a number.
const BLOB_ENTRY_BYTES: usize = ADDRESS_BYTES + 8;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry<'a> {
    /// An epoch begins: the first entry that its owner writes.
    Start,
    /// A command for the state above the log.
    Command(&'a [u8]),
    /// There is such a blob from now on, on every replica that holds the entry (rule B2).
    Brings {
        /// Which.
        address: BlobAddress,
        /// Its bytes.
        length: u64,
    },
    /// There is no such blob any more, unless something has referred to it since (rule B7).
    Drops {
        /// Which.
        address: BlobAddress,
        /// The entry since which nothing did.
        idle_since: LogSequence,
    },
}

/// At least one entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Block {
    first: LogSequence,
    epoch: Epoch,
    /// The only entry is the start of the epoch.
    is_start: bool,
    /// Where each entry ends in `bytes`, and what kind it is.
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

    /// A block of a command, an entry that brings a blob of so many bytes, and one that drops it, since its first entry.
    pub fn with_blob(first: Position, command: &[u8], address: BlobAddress, length: u64) -> Option<Self> {
        let mut open = Open::default();
        if !open.has_room(command.len() + 2 * BLOB_ENTRY_BYTES) {
            return None;
        }
        open.push(command);
        open.push_brings(address, length);
        open.push_drops(address, first.sequence);
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
        let end = *self.ends.get(index)?;
        if self.is_start {
            return Some(Entry::Start);
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] & END };
        let bytes = &self.bytes[start as usize..(end & END) as usize];
        match (end & !END, of_blob(bytes)) {
            (BRINGS, Some((address, length))) => Some(Entry::Brings { address, length }),
            (DROPS, Some((address, since))) => Some(Entry::Drops { address, idle_since: LogSequence(since) }),
            _ => Some(Entry::Command(bytes)),
        }
    }

    /// The blobs that entries from that sequence on bring, and which entries. O(n), and O(1) for each that brings none.
    pub(super) fn brought_from(&self, first: LogSequence) -> impl Iterator<Item = (LogSequence, BlobAddress)> {
        let skipped = first.0.saturating_sub(self.first.0) as usize;
        let kinds = self.ends.iter().enumerate().skip(skipped).filter(|(_, end)| **end & BRINGS != 0);
        kinds.filter_map(|(index, _)| {
            let at = LogSequence(self.first.0 + index as u64);
            match self.entry(at)? {
                Entry::Brings { address, .. } => Some((at, address)),
                _ => None,
            }
        })
    }

    /// The entries from that sequence on, none if it lies behind the block.
    pub(super) fn entries_from(&self, first: LogSequence) -> impl Iterator<Item = Entry<'_>> {
        (first.0.max(self.first.0)..=self.last().sequence.0).filter_map(|at| self.entry(LogSequence(at)))
    }

    /// The first entries, up to that sequence, which must be in the block.
    pub(super) fn up_to(&self, last: LogSequence) -> Self {
        let ends: Box<[u32]> = self.ends[..=(last.0 - self.first.0) as usize].into();
        let bytes = self.bytes[..(ends[ends.len() - 1] & END) as usize].into();
        Self { ends, bytes, ..*self }
    }

    /// The entries from that sequence on, which must be in the block.
    pub(super) fn from(&self, first: LogSequence) -> Self {
        let skipped = (first.0 - self.first.0) as usize;
        let cut = if skipped == 0 { 0 } else { self.ends[skipped - 1] & END };
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
        let rises = self.ends.windows(2).all(|pair| pair[0] & END <= pair[1] & END);
        let is_whole = self.ends.last().is_some_and(|end| (*end & END) as usize == self.bytes.len());
        let is_short = count <= BLOCK_ENTRIES_MAX && self.bytes.len() <= BLOCK_BYTES_MAX;
        let is_placed = self.first > LogSequence(0) && self.first.0 <= SEQUENCE_MAX;
        let is_start_alone = !self.is_start || (*self.ends == [0] && self.bytes.is_empty());
        rises && is_whole && is_short && is_placed && is_start_alone && self.are_blobs_sound()
    }

    /// Whether what is said of blobs can be. The ends rise.
    fn are_blobs_sound(&self) -> bool {
        let mut start = 0;
        self.ends.iter().all(|end| {
            let bytes = self.bytes.get(start..(end & END) as usize).unwrap_or_default();
            start = (end & END) as usize;
            match (end & !END, of_blob(bytes)) {
                (0, _) => true,
                (BRINGS, Some((_, length))) => (1..=BLOB_BYTES_MAX).contains(&length),
                (DROPS, Some((_, since))) => (1..=SEQUENCE_MAX).contains(&since),
                _ => false,
            }
        })
    }
}

/// What an entry that brings or drops a blob holds.
fn of_blob(bytes: &[u8]) -> Option<(BlobAddress, u64)> {
    let (address, number) = bytes.split_first_chunk::<ADDRESS_BYTES>()?;
    Some((BlobAddress(*address), u64::from_le_bytes(number.try_into().ok()?)))
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

    /// Whether an entry that brings or drops a blob still fits.
    pub(super) fn has_room_for_blob(&self) -> bool {
        self.has_room(BLOB_ENTRY_BYTES)
    }

    /// An entry that brings a blob.
    pub(super) fn push_brings(&mut self, address: BlobAddress, length: u64) {
        self.push_blob(BRINGS, address, length);
    }

    /// An entry that drops a blob.
    pub(super) fn push_drops(&mut self, address: BlobAddress, idle_since: LogSequence) {
        self.push_blob(DROPS, address, idle_since.0);
    }

    fn push_blob(&mut self, kind: u32, address: BlobAddress, number: u64) {
        self.bytes.extend_from_slice(&address.0);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.ends.push(self.bytes.len() as u32 | kind);
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
