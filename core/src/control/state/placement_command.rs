//! What can be asked about where shards ought to be, and how much of it at once. What comes of it is in [`plans`](super::plans).

use super::Name;
use super::placement::{Cause, Seat};
use crate::identity::NodeId;
use crate::shards::placement::Strategy;
use crate::time::WallTime;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Rows in one command, at most.
pub const ROWS_AT_ONCE: usize = 64;
/// Nodes of which a draft says that nothing new is to be placed on them, at most.
pub const DOUBTFUL_MAX: usize = 64;
/// Shards that one command pauses, at most.
pub const PAUSED_AT_ONCE: usize = 512;
/// Shards that may move at once.
pub const PARALLEL_MAX: u16 = 256;

/// What can be asked about where shards ought to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PlacementCommand {
    /// The node of this process as a place for shards.
    Seat(Seat),
    /// A plan begins: its sites are those that there are now. One that is not approved makes room.
    Draft {
        /// For which namespace.
        namespace: Name,
        /// For which version of its table.
        on: u64,
        /// In which order sites suit a shard from then on.
        strategy: Strategy,
        /// Of all draws.
        seed: u64,
        /// Why.
        cause: Cause,
        /// Nodes that keep what they have and get nothing: in order, and at most [`DOUBTFUL_MAX`].
        doubtful: Vec<NodeId>,
        /// Nodes that have more to do than they can: they weigh half of what they say. In order, and at most [`DOUBTFUL_MAX`].
        strained: Vec<NodeId>,
        /// Shards that move at once, at most.
        parallel: u16,
    },
    /// Rows that are to be others.
    Rows {
        /// Of which namespace.
        namespace: Name,
        /// Of which plan.
        plan: u64,
        /// Of each shard its sites, the owner first; at most [`ROWS_AT_ONCE`] shards.
        rows: Vec<(u32, Vec<u16>)>,
    },
    /// That is all: the table that the plan leads to has this checksum.
    Seal {
        /// Of which namespace.
        namespace: Name,
        /// Which plan.
        plan: u64,
        /// Of the table that whoever worked it out has.
        checksum: u64,
    },
    /// Carry the plan out.
    Approve {
        /// Of which namespace.
        namespace: Name,
        /// Which plan.
        plan: u64,
        /// On the version of the table that whoever approves has seen.
        version: u64,
        /// Of the table that they have seen it to lead to.
        checksum: u64,
        /// When owners are to change, all at once; as soon as each can, so many at a time, without.
        at: Option<WallTime>,
    },
    /// The shards that move have done so: the next ones.
    Advance {
        /// Of which namespace.
        namespace: Name,
        /// Which plan.
        plan: u64,
        /// The last one of those.
        last: Option<u32>,
    },
    /// The plan is given up. What has not moved yet and can go back does.
    Cancel {
        /// Of which namespace.
        namespace: Name,
        /// Which plan.
        plan: u64,
    },
    /// Shards are to take nothing from clients any more, or are to again.
    Pause {
        /// Of which namespace.
        namespace: Name,
        /// Which, in order: at most [`PAUSED_AT_ONCE`].
        shards: Vec<u32>,
        /// Whether they are to take nothing.
        is_paused: bool,
    },
}
