//! Names: of shards, of replicas, and how well a replica suits a shard.

use crate::control::state::Name;
use crate::identity::{Incarnation, NodeId, StoreIncarnation};
use crate::replication::once::SubmissionId;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Shards of one namespace.
pub const SHARDS_PER_NAMESPACE_MAX: u32 = 4_096;

/// One shard of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    /// The namespace.
    pub namespace: Name,
    /// Which of its shards, from 0.
    pub number: u32,
}

impl ShardId {
    /// The shard of a namespace with so many shards that an idempotency key belongs to, where nothing else tells: a key is
    /// known in one shard only.
    ///
    /// # Panics
    /// When there are no shards.
    pub fn of_key(namespace: Name, shards: u32, key: &[u8]) -> Self {
        Self::of_submission(namespace, shards, &SubmissionId::of(&namespace, key))
    }

    /// The same, by the submission's name.
    ///
    /// # Panics
    /// When there are no shards.
    pub fn of_submission(namespace: Name, shards: u32, id: &SubmissionId) -> Self {
        let mut number = [0; SubmissionId::PLACE_BYTES];
        number.copy_from_slice(&id.as_bytes()[..SubmissionId::PLACE_BYTES]);
        Self { namespace, number: (u64::from_le_bytes(number) % u64::from(shards)) as u32 }
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.number)
    }
}

/// A copy of a shard: a node that lost its disk has forgotten what it held and promised, and is another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId {
    /// The node.
    pub node: NodeId,
    /// The store that the copy is in.
    pub store: StoreIncarnation,
}

impl From<Incarnation> for ReplicaId {
    fn from(process: Incarnation) -> Self {
        Self { node: process.node, store: process.store }
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:x}", self.node, self.store.0)
    }
}

/// How well a node suits a shard: the highest of all nodes suits it best (rendezvous hashing, Thaler & Ravishankar 1998).
/// One that joins or leaves moves only what it gets or had.
pub fn weight(shard: &ShardId, node: NodeId) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 rendezvous of a shard and a node");
    hasher.update(&shard.number.to_le_bytes()).update(node.as_bytes()).update(shard.namespace.as_str().as_bytes());
    let mut weight = [0; 8];
    weight.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(weight)
}

/// The replicas that suit a shard best, so many of them. They are on different nodes. O(n log n).
pub fn best(shard: &ShardId, from: impl Iterator<Item = ReplicaId>, count: usize) -> BTreeSet<ReplicaId> {
    let mut ranked: Vec<(u64, ReplicaId)> = from.map(|replica| (weight(shard, replica.node), replica)).collect();
    ranked.sort_unstable_by(|one, other| other.cmp(one));
    ranked.into_iter().take(count).map(|(_, replica)| replica).collect()
}
