//! What the group lets operators see.

use crate::identity::NodeId;

crate::observations! {
    /// What the group lets operators see.
    pub enum GroupObservation {
        /// A message was refused before anything looked into it.
        Counter Health Count "relaymesh_control_messages_refused_total" => Refused { node: NodeId, fault: &'static str },
        /// The term or the leader changed, as this member sees it.
        Counter Health Count "relaymesh_control_leader_changes_total" => LeaderChanged { term: u64, voter: u64 },
        /// This member stands for election.
        Counter Health Count "relaymesh_control_elections_total" => Stood { term: u64 },
        /// This leader could not commit what there was to commit, and leads no more.
        Counter Health Count "relaymesh_control_leaders_given_up_total" => GaveUp { term: u64, committed: u64, last: u64 },
        /// The members changed.
        Counter Health Count "relaymesh_control_member_changes_total" => MembersChanged { voters: u64, learners: u64, joint: u64 },
        /// A committed change of members did not fit, and had no effect.
        Counter Health Count "relaymesh_control_member_changes_void_total" => ChangeVoid { index: u64 },
        /// The log was compacted behind a snapshot.
        Counter Health Count "relaymesh_control_compactions_total" => Compacted { index: u64, pieces: u64 },
        /// A snapshot of the leader replaced the state.
        Counter Health Count "relaymesh_control_snapshots_installed_total" => Installed { index: u64, pieces: u64 },
        /// A member could not be brought a snapshot in time.
        Counter Health Count "relaymesh_control_snapshots_failed_total" => TransferFailed { voter: u64, index: u64 },
        /// What is committed or stored needs a newer build: the member has stopped.
        Counter Health Count "relaymesh_control_halts_total" => Halted { index: u64 },
    }
}
