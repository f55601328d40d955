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
    }
}
