//! What replicas let operators see.

use crate::identity::NodeId;

crate::observations! {
    /// What replicas of shards let operators see.
    pub enum ReplicationObservation {
        /// This node became owner of a shard and asks for promises.
        Counter State Count "relaymesh_shard_takeovers_total" => TakingOver { cluster: u64, epoch: u64 },
        /// It serves.
        Counter State Nanoseconds "relaymesh_shard_takeover_nanoseconds" => Serves { elapsed: u64, cluster: u64, epoch: u64 },
        /// It does not own the shard any more.
        Counter State Count "relaymesh_shard_stepdowns_total" => SteppedDown { cluster: u64, epoch: u64, unanswered: u64 },
        /// A message of an epoch that is over was refused.
        Counter State Count "relaymesh_shard_stale_messages_total" => Stale { from: NodeId, cluster: u64, epoch: u64 },
        /// A message was refused that no sound peer sends.
        Counter Health Count "relaymesh_shard_rejected_messages_total" => Rejected { from: NodeId, reason: &'static str },
        /// A member is proposed for removal: it is behind, does not answer, or is wanted elsewhere.
        Counter State Count "relaymesh_shard_removals_proposed_total" => Dropped { node: NodeId },
        /// A replica that holds everything is proposed as a member.
        Counter State Count "relaymesh_shard_additions_proposed_total" => CaughtUp { node: NodeId },
        /// An owner's snapshot took the place of log and state.
        Counter State Count "relaymesh_shard_snapshots_installed_total" => Installed { sequence: u64, pieces: u64 },
        /// An object of a blob was missing or damaged on this node's disk when it was read.
        Counter Health Count "relaymesh_shard_blobs_damaged_total" => BlobDamaged { object: u64 },
        /// It was got from another member, and stored again.
        Counter Health Count "relaymesh_shard_blobs_repaired_total" => BlobRepaired { from: NodeId, object: u64 },
        /// No other member has it either.
        Counter Health Count "relaymesh_shard_blobs_lost_total" => BlobLost { object: u64 },
        /// Objects that nobody wants were discarded.
        Counter Health Count "relaymesh_shard_blob_objects_discarded_total" => BlobsDiscarded { objects: u64 },
    }
}
