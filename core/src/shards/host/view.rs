//! What operators and clients ask about shards, and what they are told.

use super::load::Load;
use super::plan_view::{PlacementView, PlanAsked};
use crate::blob::{BlobError, BlobObject};
use crate::bytes::Blob;
use crate::control::state::{self, Name};
use crate::identity::{Incarnation, NodeId};
use crate::replication::once::SubmissionId;
use crate::replication::{Position, Standing};
use crate::shards::placement::Moved;
use crate::shards::{ReplicaId, ShardId, ShardRecord};
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Shards that one answer names, at most.
pub const SHARDS_SHOWN_MAX: usize = 256;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// There is to be such a namespace. Asked again, it goes on where it ended.
    Declare {
        /// Which.
        namespace: Name,
        /// Its shards, for ever.
        shards: u32,
        /// Replicas of each.
        copies: u8,
        /// Replicas that have to hold an entry before it is acknowledged, at least.
        minimum: u8,
    },
    /// Which shards are there, and what does this node know of them?
    List {
        /// Those behind this one; from the first one on without.
        after: Option<ShardId>,
    },
    /// Take a command into a shard's log. Any node passes it on to the owner.
    Submit {
        /// Which shard.
        shard: ShardId,
        /// What, for the state above the log.
        command: Blob,
    },
    /// Ask the state above a shard's log, linearizably.
    Read {
        /// Which shard.
        shard: ShardId,
        /// What.
        query: Blob,
    },
    /// Let the shard be owned by another member, without refusing anything for longer than that takes.
    HandOver {
        /// Which shard.
        shard: ShardId,
        /// By whom; the one that suits it best unless given.
        to: Option<NodeId>,
    },
    /// After a recovery: go on with the replicas of the shard that are there, although members are missing. What was
    /// acknowledged and only those hold is lost.
    Rebuild {
        /// Which shard.
        shard: ShardId,
    },
    /// Take a command into a shard's log so that it takes effect once, however often it is submitted under this key. Where no
    /// owner can take it in time it is parked, and takes effect when one can.
    SubmitOnce {
        /// Which shard: the same one for a key, always ([`ShardId::of_key`] where nothing else tells).
        shard: ShardId,
        /// What the client calls it: 1 to [`KEY_BYTES_MAX`](crate::replication::once::KEY_BYTES_MAX) bytes.
        key: Blob,
        /// What, for the state above the log.
        command: Blob,
    },
    /// What became of what was submitted under a key? The owner tells; where none answers, this node, as far as it knows.
    Outcome {
        /// Which shard.
        shard: ShardId,
        /// What the client calls it.
        key: Blob,
    },
    /// Store an object of a blob, its manifest first. May be asked again.
    Put {
        /// Which shard.
        shard: ShardId,
        /// Which object.
        object: BlobObject,
        /// What it holds.
        bytes: Blob,
    },
    /// Read an object of a blob.
    Get {
        /// Which shard.
        shard: ShardId,
        /// Which object.
        object: BlobObject,
    },
    /// Where shards ought to be, and what is done about it.
    Placement {
        /// Of which namespace.
        namespace: Name,
        /// What of it.
        asked: PlanAsked,
    },
    /// How much have nodes to do? All of them are asked.
    Loads,
}

impl Request {
    /// The shard that it is about, for what one node does for all.
    pub const fn shard(&self) -> Option<ShardId> {
        match self {
            Self::Submit { shard, .. } | Self::Read { shard, .. } => Some(*shard),
            Self::HandOver { shard, .. } | Self::Rebuild { shard } => Some(*shard),
            Self::SubmitOnce { shard, .. } | Self::Outcome { shard, .. } => Some(*shard),
            Self::Put { shard, .. } | Self::Get { shard, .. } => Some(*shard),
            Self::Declare { .. } | Self::List { .. } | Self::Placement { .. } | Self::Loads => None,
        }
    }

    /// Bytes that a node holds for it while it is under way, its own fields aside.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Submit { command: bytes, .. } | Self::Read { query: bytes, .. } | Self::Put { bytes, .. } => {
                bytes.0.len()
            }
            Self::SubmitOnce { command, key, .. } => command.0.len() + key.0.len(),
            Self::Outcome { key, .. } => key.0.len(),
            _ => 0,
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// All of them are there.
    Declared,
    /// What this node knows.
    Shards(Table),
    /// It took effect, and is on every disk that it has to be on; or this is what was asked. What it means the state above
    /// the log says.
    Done(Blob),
    /// The owner goes about it.
    HandingOver,
    /// What is there is gathered, and gone on with.
    Rebuilding,
    /// It may have taken effect, or may still.
    Unknown,
    /// Nothing happened.
    Refused(Refusal),
    /// It took effect before. What it came to is not known any more.
    Taken,
    /// It is not acknowledged: it is on so many disks, and takes effect when an owner of the shard can be reached. It may have
    /// taken effect already. Submitted again under its key it still takes effect once.
    Parked {
        /// The name that it has in the cluster.
        id: SubmissionId,
        /// How many disks have it.
        copies: u8,
    },
    /// What became of it.
    Outcome(Fate),
    /// The object is durable at the owner; the blob lacks others.
    Wants {
        /// The first of them.
        object: u32,
    },
    /// The blob is on every disk that it has to be on. Until something refers to it, it is kept for the time of grace.
    Held,
    /// How placement stands.
    Placement(Box<PlacementView>),
    /// What a plan moves.
    Moves(Vec<Moved>),
    /// There is a plan, which waits for approval.
    Planned {
        /// Its name.
        plan: u64,
        /// Of the table that it leads to.
        checksum: u64,
    },
    /// All is where it ought to be: there is no plan.
    NothingToMove,
    /// The cluster has agreed.
    Agreed,
    /// So much nodes have to do, each that has a session.
    Loads(Vec<NodeLoad>),
}

/// How much a node has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLoad {
    /// Which.
    pub node: NodeId,
    /// How much, if it has said so in time.
    pub load: Option<Load>,
    /// Against what is usual among all, in percent: the worst of what is under way, how long its disk takes, and how
    /// many commands fail.
    pub level_percent: u32,
    /// Whether it has had more to do than it can for long enough to count as half of what it says.
    pub is_strained: bool,
}

/// What became of a submission with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It took effect, and came to that, if that is known.
    Taken(Option<Blob>),
    /// It is not known to have taken effect, and this node keeps it until it has.
    Parked {
        /// How many disks have it, as far as this node knows.
        copies: u8,
    },
    /// It has not taken effect, as far back as ids are known, and this node does not keep it.
    NotTaken,
}

/// The shards, as a node knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The control entry that changed any of them last: whoever has an older one has other owners in mind.
    pub version: u64,
    /// Of every record: two nodes at one version have the same.
    pub checksum: u64,
    /// How many there are.
    pub shards: u64,
    /// Some of them, in order.
    pub rows: Vec<Row>,
}

/// One shard, as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which.
    pub shard: ShardId,
    /// What the cluster agrees on.
    pub record: ShardRecord,
    /// The replica of this node, if it has one.
    pub own: Option<OwnReplica>,
}

/// A replica, as its node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnReplica {
    /// What it is to the shard.
    pub standing: Standing,
    /// Where its log ends.
    pub last: Position,
    /// Up to where it knows entries to be acknowledged.
    pub acknowledged: u64,
    /// Who it would have a copy with, if it owns the shard.
    pub placed: Vec<ReplicaId>,
}

/// Why nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The node does not speak yet.
    #[error("the node has not started yet; ask again")]
    NotStarted,
    /// The node knows of no control group.
    #[error("this node knows of no control group; found one, or wait until it has heard of it")]
    NoGroup,
    /// There is no such shard, as far as this node knows.
    #[error("there is no such shard; `relaymesh mesh shards list` says which there are")]
    NoShard,
    /// Nobody who could take it was found in time.
    #[error("no owner of the shard took it in time; look at `relaymesh mesh shards list` and ask again")]
    NoOwner {
        /// The owner as this node knows it.
        owner: Option<Incarnation>,
    },
    /// Too much is under way.
    #[error("too much is under way; ask again later")]
    Busy,
    /// It is too large.
    #[error("more than {limit} bytes; refer to a blob instead")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// Such a namespace there cannot be.
    #[error(
        "1 to {shards_max} shards, a minimum of at least 1 and at most the copies, and at most {copies_max} copies"
    )]
    BadShape {
        /// Shards of a namespace.
        shards_max: u32,
        /// Copies of a shard.
        copies_max: u8,
    },
    /// The control group refused.
    #[error(transparent)]
    Control(#[from] state::Refusal),
    /// A key there cannot be.
    #[error("an idempotency key has 1 to {limit} bytes")]
    BadKey {
        /// Bytes.
        limit: u64,
    },
    /// Whether it took effect before is not known any more.
    #[error(
        "the shard has taken so much since this was first submitted that nobody knows whether it took effect; look at the \
         state, and submit it under a new key if it did not"
    )]
    Expired,
    /// No owner took it in time, and there is no room to park it.
    #[error("no owner of the shard took it in time, and too much is parked; submit it again later")]
    NoRoom,
    /// There is no such blob.
    #[error("there is no such blob in this shard; it was never put, or nothing referred to it any more")]
    NoBlob,
    /// It is lost.
    #[error("no member of the shard has an undamaged copy of that part of the blob; put it again")]
    BlobLost,
    /// The bytes are not what was named.
    #[error("that is no object of the blob: {0}; cut the blob again")]
    BadObject(BlobError),
    /// Only nodes say that: a claim, a report, a word of another shard.
    #[error("that is for nodes to say to one another; clients submit, cancel, decide and ask")]
    OfNodes,
    /// That is too far ahead.
    #[error("at most {days} days ahead")]
    TooFarAhead {
        /// Days.
        days: u64,
    },
    /// It takes nothing from clients.
    #[error("the shard is paused: it takes nothing until `relaymesh mesh shards resume`")]
    Paused,
}
