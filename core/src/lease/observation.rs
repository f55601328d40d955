//! What leases let operators see.

use crate::identity::NodeId;

crate::observations! {
    /// What leases let operators see.
    pub enum LeaseObservation {
        /// Sessions that live, as the leader knows.
        Gauge Health Count "relaymesh_sessions" => Sessions { sessions: u64, waiting: u64 },
        /// A session was not heard of for its time to live and ε; the leader proposes its end.
        Counter Health Count "relaymesh_sessions_expired_total" => Expired { node: NodeId, session: u64 },
        /// A leader was stopped or busy for so long that it ends nothing for a while.
        Counter Health Nanoseconds "relaymesh_session_graces_total" => Grace { nanoseconds: u64 },
        /// A renewal named a session of another process.
        Counter Health Count "relaymesh_renewals_refused_total" => Refused { node: NodeId },
        /// This node's view of its session has lapsed; it does nothing under a lease.
        Counter Health Count "relaymesh_session_suspensions_total" => Suspended { scopes: u64 },
        /// It was renewed again before it ended.
        Counter Health Nanoseconds "relaymesh_session_resumptions_total" => Resumed { suspended: u64 },
        /// This node began or ceased to act for a scope.
        Counter State Count "mesh_leadership_transitions_total" => Leadership { held: u64, term: u64 },
        /// A write under an older epoch was refused.
        Counter State Count "relaymesh_lease_conflict_total" => Conflict { expected_cluster: u64, expected: u64, actual_cluster: u64, actual: u64, node: NodeId },
    }
}
