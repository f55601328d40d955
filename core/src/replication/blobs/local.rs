//! What a replica has of its shard's blobs, as far as it knows in this life (rule B3).

use super::receive::Receiving;
use super::serve::Reading;
use super::table::BlobTable;
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
    /// What entries behind the state bring, by what, and by which entry.
    ahead: BTreeSet<(BlobAddress, LogSequence)>,
    ahead_at: BTreeMap<LogSequence, BlobAddress>,
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

    /// A block is in the log, in the place of what stood there. O(what it brings, and what it takes the place of).
    pub(in crate::replication) fn took(&mut self, block: &Block) {
        let first = block.first().sequence;
        for (at, address) in self.ahead_at.split_off(&first) {
            self.ahead.remove(&(address, at));
        }
        self.took_behind(block, first);
    }

    /// A block of the log behind the state, from that entry on, after a restart.
    pub(in crate::replication) fn took_behind(&mut self, block: &Block, first: LogSequence) {
        for (at, address) in block.brought_from(first) {
            self.ahead.insert((address, at));
            self.ahead_at.insert(at, address);
        }
    }

    /// What an entry brings is in the state.
    pub(super) fn is_applied(&mut self, address: BlobAddress, at: LogSequence) {
        self.ahead.remove(&(address, at));
        self.ahead_at.remove(&at);
    }

    /// The state is another one, and nothing stands behind it: what is done without of what it does not have nobody will ask for
    /// any more.
    pub(in crate::replication) fn restarts(&mut self, table: &BlobTable) {
        self.ahead.clear();
        self.ahead_at.clear();
        self.gate = None;
        self.without.retain(|address, _| table.row(address).is_some());
    }

    /// Whoever is the owner now sends its entries anew.
    pub(in crate::replication) fn forget_gate(&mut self) {
        self.gate = None;
    }

    /// Whether entries of that epoch wait for a blob.
    pub(in crate::replication) fn has_gate(&self, epoch: Epoch) -> bool {
        self.gate.is_some_and(|gate| gate.epoch == epoch)
    }

    /// Whether entries of that epoch wait for a blob that is being got. What is got no more nobody waits for: the owner has to
    /// hear how far the log goes, and sends them, or a snapshot, once more.
    pub(in crate::replication) fn is_gated(&self, epoch: Epoch) -> bool {
        self.gate.is_some_and(|gate| gate.epoch == epoch && self.receiving.contains_key(&gate.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::ADDRESS_BYTES;
    use crate::epoch::ClusterEpoch;
    use crate::replication::position::Position;

    #[test]
    fn what_is_cut_off_is_not_ahead_any_more() {
        let [one, other] = [3, 4].map(|byte| BlobAddress([byte; ADDRESS_BYTES]));
        let at = |lease, sequence| Position {
            epoch: Epoch { cluster: ClusterEpoch(1), lease },
            sequence: LogSequence(sequence),
        };
        let mut blobs = Blobs::default();
        for (sequence, address) in [(2, one), (5, other), (8, one)] {
            blobs.took(&Block::with_blob(at(1, sequence), b"command", address, 9).unwrap());
        }
        blobs.is_applied(one, LogSequence(3));
        assert!(blobs.is_ahead(&one) && blobs.is_ahead(&other));
        blobs.took(&Block::of(at(2, 8), &[b"command"]).unwrap());
        assert!(!blobs.is_ahead(&one) && blobs.is_ahead(&other));
        blobs.took(&Block::of(at(2, 6), &[b"command"]).unwrap());
        assert_eq!(blobs, Blobs::default());
    }
}
