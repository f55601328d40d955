//! What a replica has of its shard's blobs, as far as it knows in this life (rule B3).

use super::receive::Receiving;
use super::serve::Reading;
use crate::blob::{BlobAddress, BlobObject};
use crate::epoch::Epoch;
use crate::replication::block::Block;
use crate::replication::position::LogSequence;
use crate::shards::ReplicaId;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What one replica has, and what it is about to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::replication) struct Blobs {
    /// Every object was stored or read back since the process began, and is durable.
    pub(super) present: BTreeMap<BlobAddress, Present>,
    /// What is done without, for entries up to there (rule B9).
    pub(super) without: BTreeMap<BlobAddress, LogSequence>,
    /// What entries behind the state bring.
    pub(super) ahead: BTreeSet<(BlobAddress, LogSequence)>,
    pub(super) receiving: BTreeMap<BlobAddress, Receiving>,
    /// Objects that are being written.
    pub(super) keeping: BTreeSet<BlobObject>,
    /// Objects that are being read from the disk.
    pub(super) fetching: BTreeSet<BlobObject>,
    pub(super) readings: Vec<Reading>,
    /// An owner's entries wait for a blob.
    pub(super) gate: Option<Gate>,
}

/// A blob that is whole and durable here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Present {
    pub(super) since: Time,
    pub(super) length: u64,
}

/// What entries wait for, and whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gate {
    pub(super) address: BlobAddress,
    pub(super) at: LogSequence,
    pub(super) from: ReplicaId,
    pub(super) epoch: Epoch,
}

impl Blobs {
    /// Whether an entry there may bring that blob (rules B2, B9).
    pub(super) fn may_bring(&self, address: &BlobAddress, at: LogSequence) -> bool {
        self.present.contains_key(address) || self.without.get(address).is_some_and(|upto| at <= *upto)
    }

    /// Whether an entry of the log, behind the state, brings it.
    pub(super) fn is_ahead(&self, address: &BlobAddress) -> bool {
        self.ahead.range((*address, LogSequence(0))..=(*address, LogSequence(u64::MAX))).next().is_some()
    }

    /// A block is in the log, in the place of what stood there.
    pub(in crate::replication) fn took(&mut self, block: &Block) {
        let first = block.first().sequence;
        if self.ahead.iter().any(|(_, at)| *at >= first) {
            self.ahead.retain(|(_, at)| *at < first);
        }
        self.ahead.extend(block.brought_from(first).map(|(at, address)| (address, at)));
    }

    /// A block of the log behind the state, from that entry on, after a restart.
    pub(in crate::replication) fn took_behind(&mut self, block: &Block, first: LogSequence) {
        self.ahead.extend(block.brought_from(first).map(|(at, address)| (address, at)));
    }

    /// Nothing stands behind the state.
    pub(in crate::replication) fn forget_ahead(&mut self) {
        self.ahead.clear();
    }

    /// Whoever is the owner now sends its entries anew.
    pub(in crate::replication) fn forget_gate(&mut self) {
        self.gate = None;
    }

    /// Whether entries of that epoch wait for a blob.
    pub(in crate::replication) fn is_gated(&self, epoch: Epoch) -> bool {
        self.gate.is_some_and(|gate| gate.epoch == epoch)
    }
}
