//! Shards: what the cluster agrees on about each, and who may change that.
//!
//! A namespace has a fixed number of shards. Of each the control group keeps a [`ShardRecord`]: the epoch, the owner, and
//! the replicas that hold all that is acknowledged. The record is changed by committed entries only, and every node has a
//! copy. What is written in a shard, and when it counts, is [`replication`](crate::replication)'s.
//!
//! The [`Host`](host::Host) is what a node has of them: its replicas, and the way of a request to an owner.
//!
//! [`placement`] works out where shards ought to be. The cluster agrees on that, and on the plan by which it becomes something
//! else, in the control group's [`state`](crate::control::state); the host brings it about.

pub mod host;
mod id;
pub mod placement;
mod record;
pub mod state;

pub use id::{ReplicaId, SHARDS_PER_NAMESPACE_MAX, ShardId, best, weight};
pub use record::{
    COPIES_MAX, Change, ChangeRefused, IN_SYNC_MAX, Kept, LogEnd, RebuildRefused, ShardRecord, newest_kept, rebuilt,
};

#[cfg(test)]
mod tests;
