//! The log in memory: blocks behind a base. What is durable of it, others know.

use super::block::{BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, Block, Entry};
use super::position::{LogSequence, Position};
use crate::epoch::Epoch;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

/// Entries and bytes of blocks that are sent as one, at most: joining larger ones gains nothing.
pub(super) const JOINED_ENTRIES_MAX: usize = BLOCK_ENTRIES_MAX / 4;
pub(super) const JOINED_BYTES_MAX: usize = BLOCK_BYTES_MAX / 4;

/// Entries from behind the base on. Epochs never fall along a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// What stands before the first entry: a snapshot's position, or nothing.
    base: Position,
    blocks: VecDeque<Arc<Block>>,
}

/// How a peer's entries fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All of them are there.
    Present,
    /// From this one on they are new; whatever is there from it on differs, and goes.
    From(LogSequence),
}

impl Log {
    /// What stands before the first entry.
    pub fn base(&self) -> Position {
        self.base
    }

    /// The last entry, or the base.
    pub fn last(&self) -> Position {
        self.blocks.back().map_or(self.base, |block| block.last())
    }

    /// The epoch of the entry at that place; nothing where it is unknown. O(log n).
    pub fn epoch_at(&self, at: LogSequence) -> Option<Epoch> {
        if at == self.base.sequence {
            return Some(self.base.epoch);
        }
        self.block_of(at).map(|block| block.first().epoch)
    }

    /// Whether the log has exactly that entry, or has it in its snapshot.
    pub fn has(&self, position: Position) -> bool {
        self.epoch_at(position.sequence) == Some(position.epoch)
    }

    /// An entry. O(log n).
    pub fn entry(&self, at: LogSequence) -> Option<Entry<'_>> {
        self.block_of(at)?.entry(at)
    }

    /// The block that an entry is in. O(log n), and O(1) at the end.
    pub(super) fn block_of(&self, at: LogSequence) -> Option<&Arc<Block>> {
        // Nearly always it is the last one that is asked for.
        let block = match self.blocks.back()? {
            last if last.first().sequence <= at => last,
            _ => {
                let next = self.blocks.partition_point(|block| block.first().sequence <= at);
                self.blocks.get(next.checked_sub(1)?)?
            }
        };
        (at <= block.last().sequence).then_some(block)
    }

    /// The block that an entry is in, and small ones behind it, as one: who catches up gets few large messages, however
    /// the entries were written. One that stays alone is shared. O(log n + bytes).
    pub(super) fn blocks_from(&self, at: LogSequence) -> Option<Arc<Block>> {
        let start = self.blocks.partition_point(|block| block.last().sequence < at);
        let first = self.blocks.get(start).filter(|block| block.first().sequence <= at)?;
        let (mut entries, mut bytes) = (first.len(), first.size());
        let is_joined = |block: &&Arc<Block>| {
            (entries, bytes) = (entries + block.len(), bytes + block.size());
            first.is_like(block) && entries <= JOINED_ENTRIES_MAX && bytes <= JOINED_BYTES_MAX
        };
        match self.blocks.range(start + 1..).take_while(is_joined).count() {
            0 => Some(first.clone()),
            more => Block::joined(self.blocks.range(start..=start + more)).map(Arc::new),
        }
    }

    /// What stands before an entry that is in the log.
    pub(super) fn before(&self, at: LogSequence) -> Position {
        let sequence = at.before();
        Position { epoch: self.epoch_at(sequence).unwrap_or(self.base.epoch), sequence }
    }

    /// The last entry at or before a place that is no younger than that: where a log that has `limit` there may agree
    /// with this one at most (Raft §5.3). O(log n).
    pub(super) fn at_most(&self, limit: Position) -> Position {
        let older = self
            .blocks
            .partition_point(|block| block.first().sequence <= limit.sequence && block.first().epoch <= limit.epoch);
        match older.checked_sub(1).and_then(|at| self.blocks.get(at)) {
            None => self.base,
            Some(block) => {
                let last = block.last();
                Position { sequence: last.sequence.min(limit.sequence), ..last }
            }
        }
    }

    /// How a peer's block fits behind what is there. O(blocks that overlap).
    pub(super) fn fit(&self, block: &Block) -> Fit {
        let (first, last) = (block.first(), block.last());
        let mut at = first.sequence.max(self.base.sequence.next());
        while at <= last.sequence {
            match self.block_of(at) {
                Some(own) if own.first().epoch == last.epoch => at = own.last().sequence.next(),
                _ => return Fit::From(at),
            }
        }
        Fit::Present
    }

    /// Puts a block behind the entry before its first one; what stood there goes.
    pub(super) fn put(&mut self, block: Arc<Block>) {
        self.cut_from(block.first().sequence);
        assert!(block.first().sequence == self.last().sequence.next(), "a block follows the entry before it");
        self.blocks.push_back(block);
    }

    /// Nothing but a snapshot.
    pub(super) fn behind(base: Position) -> Self {
        Self { base, blocks: VecDeque::new() }
    }

    /// Forgets the oldest blocks, those up to there, so many at most: the log then stands on the last of them. The newest
    /// block stays: who is sent it says what it has. Whether any went.
    pub(super) fn forget(&mut self, upto: LogSequence, blocks_max: usize) -> bool {
        let before = self.base;
        for _ in 0..blocks_max.min(self.blocks.len().saturating_sub(1)) {
            let Some(block) = self.blocks.pop_front_if(|block| block.last().sequence <= upto) else { break };
            self.base = block.last();
        }
        self.base != before
    }

    /// Stands on a snapshot of exactly that position, which is in the log. O(blocks that go).
    pub(super) fn rebase(&mut self, base: Position) {
        while self.blocks.pop_front_if(|block| block.last().sequence <= base.sequence).is_some() {}
        if let Some(block) = self.blocks.pop_front_if(|block| block.first().sequence <= base.sequence) {
            self.blocks.push_front(Arc::new(block.from(base.sequence.next())));
        }
        self.base = base;
    }

    /// Puts what follows behind it.
    pub(super) fn join(&mut self, other: Self) {
        other.blocks.into_iter().for_each(|block| self.put(block));
    }

    /// Drops all entries from that one on.
    pub(super) fn cut_from(&mut self, at: LogSequence) {
        while let Some(block) = self.blocks.pop_back_if(|block| block.last().sequence >= at) {
            if block.first().sequence < at {
                self.blocks.push_back(Arc::new(block.up_to(at.before())));
            }
        }
    }
}
