//! What a node and the leader say to each other about a session.
//!
//! None of it rests on an unsynced write of its sender: sessions and epochs are committed before they are named. So it
//! need not wait at the gate, and a slow disk costs no lease.

use crate::control::state::SessionId;
use crate::epoch::ClusterEpoch;
use crate::identity::NodeId;
use serde::{Deserialize, Serialize};

/// A process says that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Renew {
    /// Its session.
    pub session: SessionId,
    /// To be named in the answer. Only the sender knows when it sent that (rule R4).
    pub number: u64,
    /// The newest cluster epoch it knows: it writes under no older token any more (rule C2).
    pub epoch: ClusterEpoch,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// I live.
    Renew(Renew),
    /// The session lived when this arrived: confirmed by a majority (rules R1 to R3).
    Renewed {
        /// Which session.
        session: SessionId,
        /// Which renewal.
        number: u64,
    },
    /// Somebody else leads.
    NotLeader {
        /// Who, if known.
        hint: Option<NodeId>,
    },
}
