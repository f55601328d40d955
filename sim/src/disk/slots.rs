//! What a disk holds: the platter and the cache are each a set of slots.

use super::Bytes;
use alloc::collections::{BTreeMap, BTreeSet};
use relaymesh_core::record::Sequence;

/// One change of one slot.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Store(Sequence, Bytes),
    /// Empties one slot. An erasure of several slots is as many operations: it may get stuck half-way.
    Empty(Sequence),
}

impl Operation {
    /// The slot it changes.
    pub(super) const fn slot(&self) -> Sequence {
        match self {
            Self::Store(at, _) | Self::Empty(at) => *at,
        }
    }
}

/// Slots with their bytes, and which of them hold changed ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    pub(super) bytes: BTreeMap<u64, Bytes>,
    pub(super) rotten: BTreeSet<u64>,
}

impl Slots {
    pub(super) fn apply(&mut self, operation: Operation) {
        self.rotten.remove(&operation.slot().0);
        match operation {
            Operation::Store(at, bytes) => drop(self.bytes.insert(at.0, bytes)),
            Operation::Empty(at) => drop(self.bytes.remove(&at.0)),
        }
    }

    pub(super) fn rot(&mut self, at: u64, bytes: Bytes) {
        self.bytes.insert(at, bytes);
        self.rotten.insert(at);
    }
}
