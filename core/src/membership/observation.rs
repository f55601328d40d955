//! What membership lets operators see.

use super::verdict::Status;
use crate::identity::NodeId;

crate::observations! {
    /// What membership lets operators see.
    pub enum MembershipObservation {
        /// Members that are alive or suspected, this node included.
        Gauge Health Count "relaymesh_gossip_members" => Members { members: u64, rows: u64 },
        /// A member is held to be something else than before.
        Counter Health Count "relaymesh_member_status_changes_total" => StatusChanged { node: NodeId, status: Status, incarnation: u64, accuser: NodeId },
        /// A member was heard of for the first time.
        Counter Health Count "relaymesh_members_joined_total" => Joined { node: NodeId, status: Status, incarnation: u64 },
        /// A member came back on another store: it has lost its disk.
        Counter Health Count "relaymesh_member_stores_replaced_total" => StoreReplaced { node: NodeId },
        /// A member is to be reached at another endpoint.
        Counter Health Count "relaymesh_member_moves_total" => Moved { node: NodeId },
        /// A member counts as alive again after it was healthy for long enough.
        Counter Health Count "relaymesh_member_recoveries_total" => Recovered { node: NodeId },
        /// A member stopped counting as alive.
        Counter Health Count "relaymesh_membership_recovery_suppressed_total" => Held { node: NodeId, seconds: u64 },
        /// Two members are called the same; both stay.
        Counter Health Count "relaymesh_member_name_conflicts_total" => NameConflict { node: NodeId, other: NodeId },
        /// Another process claims this node's identity.
        Counter Health Count "relaymesh_identity_conflicts_total" => IdentityConflict { claims: u64 },
        /// A probe was not answered, neither directly nor through others.
        Counter Health Count "relaymesh_probes_failed_total" => ProbeFailed { node: NodeId, health: u64 },
        /// Only others can reach a member.
        Counter Health Count "relaymesh_links_down_total" => LinkDown { node: NodeId },
        /// This node refuted what was said of it.
        Counter Health Count "relaymesh_refutations_total" => Refuted { incarnation: u64 },
        /// A rumor was heard for the first time; how long it had been under way.
        Gauge Health Nanoseconds "relaymesh_gossip_convergence_seconds" => RumorHeard { age: u64 },
        /// An accusation was passed on without being believed.
        Counter Health Count "relaymesh_accusations_disbelieved_total" => Disbelieved { node: NodeId, accuser: NodeId },
        /// An exchange of digests found rows that differ.
        Counter Health Count "relaymesh_anti_entropy_merge_total" => Exchanged { peer: NodeId, rows: u64 },
        /// The measured round trip to a member.
        Gauge Health Nanoseconds "relaymesh_gossip_rtt_seconds" => RoundTrip { nanoseconds: u64, node: NodeId },
        /// A message was refused as malformed.
        Counter Health Count "relaymesh_gossip_malformed_total" => Refused { node: NodeId },
        /// The row of a member that died or left long ago was forgotten.
        Counter Health Count "relaymesh_mesh_nodes_pruned_total" => Forgotten { node: NodeId },
        /// A bound is used to four fifths or more.
        Gauge Health Count "relaymesh_capacity_used" => Capacity { used: u64, limit: u64, what: &'static str },
        /// A member could not be taken into the view, which is full.
        Counter Health Count "relaymesh_members_refused_total" => ViewFull { node: NodeId },
        /// This node was stopped or busy for so long that it accuses nobody of what it did not hear meanwhile.
        Counter Health Nanoseconds "relaymesh_pauses_total" => Paused { nanoseconds: u64 },
    }
}
