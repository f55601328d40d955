//! What replicas say to one another, and what a replica's journal keeps.

use super::block::Block;
use super::position::{LogSequence, Position};
use crate::blob::{BlobAddress, BlobObject};
use crate::epoch::Epoch;
use crate::node::Gating;
use crate::shards::{Change, ShardRecord};
use alloc::boxed::Box;
use alloc::sync::Arc;
use serde::{Deserialize, Serialize};

/// What is said. Each message names the epoch of the owner that it is from or for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Refuse everything older from now on, and say where your log ends (rule P1).
    Promise {
        /// The owner's.
        epoch: Epoch,
    },
    /// It is promised, durably.
    Promised {
        /// What was promised.
        epoch: Epoch,
        /// Where the log ends.
        end: Position,
        /// Entries up to there are known to be acknowledged.
        mark: LogSequence,
    },
    /// That epoch is over (rule P5).
    Fenced {
        /// The one refused.
        epoch: Epoch,
        /// The newer one that was promised.
        promised: Epoch,
    },
    /// Entries, or only how far they are acknowledged.
    Append {
        /// The owner's.
        epoch: Epoch,
        /// What stands before them in the owner's log (rule L2).
        before: Position,
        /// Entries up to there are acknowledged.
        mark: LogSequence,
        /// The entries.
        block: Option<Arc<Block>>,
    },
    /// Everything up to there is as in the owner's log, and durable (rule W2).
    Held {
        /// The owner's.
        epoch: Epoch,
        /// The last one.
        upto: LogSequence,
    },
    /// The log does not have what stands before those entries.
    Differs {
        /// The owner's.
        epoch: Epoch,
        /// Where it may agree at most.
        at_most: Position,
    },
    /// Tell me what you hold behind that entry, which we both have (rule U4).
    Fetch {
        /// The owner's.
        epoch: Epoch,
        /// The entry.
        after: LogSequence,
    },
    /// Entries for an owner that adopts.
    Fetched {
        /// The owner's.
        epoch: Epoch,
        /// What stands before them.
        before: Position,
        /// The entries; nothing when there are none, or no more in the log.
        block: Option<Arc<Block>>,
    },
    /// A piece of a snapshot of the owner's state (rules Z1 to Z3).
    Snapshot {
        /// The owner's.
        epoch: Epoch,
        /// The last entry whose effect is in it.
        at: Position,
        /// Which piece, from 0.
        number: u32,
        /// No other follows.
        is_last: bool,
        /// The piece, for the state above the log.
        #[serde(with = "crate::bytes")]
        bytes: Arc<[u8]>,
    },
    /// So many of that snapshot's first pieces are durable here, or none any more.
    SnapshotHeld {
        /// The owner's.
        epoch: Epoch,
        /// Which snapshot.
        at: Position,
        /// How many.
        pieces: u32,
    },
    /// An entry is about to bring that blob: get it (rule B4).
    Offer {
        /// The owner's.
        epoch: Epoch,
        /// Which.
        address: BlobAddress,
    },
    /// Every object of it is durable here.
    Stored {
        /// The owner's.
        epoch: Epoch,
        /// Which.
        address: BlobAddress,
    },
    /// Give me that object of a blob.
    Want {
        /// The newest one that the sender has promised.
        epoch: Epoch,
        /// Which.
        object: BlobObject,
        /// Only if it is on the disk, and whatever the log says of it.
        is_repair: bool,
    },
    /// What was asked for.
    Given {
        /// The newest one that the sender has promised.
        epoch: Epoch,
        /// Which.
        object: BlobObject,
        /// What there is of it.
        what: Given,
    },
}

/// What there is of an object that another replica has asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Given {
    /// These bytes; whoever gets them checks them (rule B1).
    Object(#[serde(with = "crate::bytes")] Arc<[u8]>),
    /// Not here.
    Lacking,
    /// It was dropped, or no member has it: entries up to there need it no more (rule B9).
    Without {
        /// What the sender has applied.
        upto: LogSequence,
    },
}

impl Message {
    /// The epoch of the owner that it is from or for.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Promise { epoch }
            | Self::Promised { epoch, .. }
            | Self::Fenced { epoch, .. }
            | Self::Append { epoch, .. }
            | Self::Held { epoch, .. }
            | Self::Differs { epoch, .. }
            | Self::Fetch { epoch, .. }
            | Self::Fetched { epoch, .. }
            | Self::Snapshot { epoch, .. }
            | Self::SnapshotHeld { epoch, .. }
            | Self::Offer { epoch, .. }
            | Self::Stored { epoch, .. }
            | Self::Want { epoch, .. }
            | Self::Given { epoch, .. } => *epoch,
        }
    }

    /// Whether the gate holds messages of this kind (rule L6).
    pub fn gating(&self) -> Gating {
        match self {
            Self::Append { .. } => Gating::Ungated,
            _ => Gating::Gated,
        }
    }
}

/// What a replica's journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// Nothing older than this epoch is accepted any more.
    Promised(Epoch),
    /// These entries stand behind the one before their first; what stood there before is gone (rule L3).
    Entries(Arc<Block>),
    /// The newest record of the shard that the replica knows.
    Known(Box<ShardRecord>),
    /// The replica, as owner, is about to propose a change on that version of the record (rule I6).
    Intended {
        /// Under which epoch.
        epoch: Epoch,
        /// On which version.
        version: u64,
        /// Which change.
        change: Change,
    },
    /// A piece of a snapshot. All of them together stand for the entries up to `at`, and an owner's for the whole log.
    Snapshot {
        /// Under which epoch an owner sent it; nothing for one of the replica's own making.
        origin: Option<Epoch>,
        /// The last entry whose effect is in it.
        at: Position,
        /// Which piece, from 0.
        number: u32,
        /// With this one it is whole.
        is_last: bool,
        /// The piece.
        #[serde(with = "crate::bytes")]
        bytes: Arc<[u8]>,
    },
    /// These entries are in the log, written again for a checkpoint; what stands behind them stays.
    Kept(Arc<Block>),
}
