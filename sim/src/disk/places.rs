//! What a disk holds: the platter and the cache are each a set of places with their bytes.

use super::Bytes;
use alloc::collections::{BTreeMap, BTreeSet};
use relaymesh_core::object::ObjectId;
use relaymesh_core::record::Sequence;

/// Where something stands. Slots come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A slot of the journal.
    Slot(Sequence),
    /// An object.
    Object(ObjectId),
}

impl Place {
    pub(super) const fn slot(self) -> Option<Sequence> {
        match self {
            Self::Slot(at) => Some(at),
            Self::Object(_) => None,
        }
    }

    pub(super) const fn object(self) -> Option<ObjectId> {
        match self {
            Self::Slot(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}

/// Behind every slot, and before every object.
pub(super) const OBJECTS: Place = Place::Object(ObjectId { address: [0; 32], piece: 0 });

/// One change of one place.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Store(Place, Bytes),
    /// Empties one place. An erasure of several slots is as many operations: it may get stuck half-way.
    Empty(Place),
}

impl Operation {
    /// The place it changes.
    pub(super) const fn place(&self) -> Place {
        match self {
            Self::Store(at, _) | Self::Empty(at) => *at,
        }
    }
}

/// Places with their bytes, and which of them hold changed ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) bytes: BTreeMap<Place, Bytes>,
    pub(super) rotten: BTreeSet<Place>,
}

impl Places {
    pub(super) fn apply(&mut self, operation: Operation) {
        self.rotten.remove(&operation.place());
        match operation {
            Operation::Store(at, bytes) => drop(self.bytes.insert(at, bytes)),
            Operation::Empty(at) => drop(self.bytes.remove(&at)),
        }
    }

    /// What stands there changes for good, or is gone.
    pub(super) fn rot(&mut self, at: Place, bytes: Option<Bytes>) {
        match bytes {
            Some(bytes) => drop(self.bytes.insert(at, bytes)),
            None => drop(self.bytes.remove(&at)),
        }
        self.rotten.insert(at);
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (Sequence, &Bytes)> {
        self.bytes.range(..OBJECTS).filter_map(|(at, bytes)| at.slot().map(|at| (at, bytes)))
    }

    pub(super) fn rotten_slots(&self) -> impl Iterator<Item = Sequence> {
        self.rotten.range(..OBJECTS).filter_map(|at| at.slot())
    }
}
