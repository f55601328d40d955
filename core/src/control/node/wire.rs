//! What the control groups of two nodes say to each other.

use super::view::{Reply, Request};
use crate::control::group::wire::Blob;
use crate::control::state::{Delta, Lineage};
use crate::control::{commands, group};
use crate::envelope::Class;
use crate::epoch::ClusterEpoch;
use crate::identity::NodeId;
use crate::lease;
use crate::node::Gating;
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// What is stored: the group's records, and no others.
pub use crate::control::group::Record;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Between members of the group.
    Group(group::Message),
    /// Between a process and the leader, about its session.
    Lease(lease::Message),
    /// Between a process and the leader, about its commands.
    Commands(commands::Message),
    /// A node without a copy of the state of its own wants to have one.
    Follow(Follow),
    /// What it gets.
    Followed {
        /// The number of its request.
        number: u64,
        /// What follows.
        what: Followed,
    },
    /// The sender leads from now on, and these vote.
    Leads {
        /// Who.
        voters: Box<[NodeId]>,
        /// In which history.
        lineage: Lineage,
    },
    /// An operator of the sender asks for what only a leader can do.
    Ask {
        /// To be named in the answer.
        number: u64,
        /// What is asked.
        request: Box<Request>,
    },
    /// That is what the leader answers.
    Answer {
        /// The number of the request.
        number: u64,
        /// The answer.
        reply: Box<Reply>,
    },
    /// The sender is about to begin another history.
    Survey {
        /// To be named in the answer.
        number: u64,
    },
    /// What it has to know.
    Surveyed {
        /// The number of its question.
        number: u64,
        /// The answer.
        survey: Surveyed,
    },
    /// The history that the receiver leads is over: the sender goes by a later one.
    Later {
        /// Which.
        lineage: Lineage,
    },
}

/// What a node has of the history that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surveyed {
    /// The newest cluster epoch that it has ever stored.
    pub stored: ClusterEpoch,
    /// Term and index of the last entry it has, committed or not.
    pub last: (u64, u64),
    /// Who leads it, if it has heard of that lately.
    pub leader: Option<NodeId>,
}

/// Where a copy of the state ends, and what its owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// To be named in the answer.
    pub number: u64,
    /// The last entry of the copy; nothing where there is none that is of use.
    pub applied: Option<u64>,
    /// The snapshot that it reads, and the piece it wants next.
    pub piece: (u64, u32),
}

/// What a node that follows gets. All of it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Followed {
    /// This node does not lead.
    Elsewhere {
        /// Who may.
        leader: Option<NodeId>,
        /// Who votes, as far as known.
        voters: Box<[NodeId]>,
    },
    /// What was committed when the sender was last confirmed to lead, after the request had arrived (rule F3).
    Delta(Delta),
    /// A piece of a snapshot.
    Piece {
        /// The last entry that the snapshot holds.
        index: u64,
        /// Counts from zero.
        number: u32,
        /// Its bytes.
        bytes: Blob,
    },
    /// As many entries as fit of what was committed: there are more, to be asked for next.
    Part(Delta),
}

impl Message {
    /// The lane it takes.
    pub const fn class(&self) -> Class {
        match self {
            Self::Group(message) => message.class(),
            // Said again, in other words, until it is answered.
            Self::Lease(_) => Class::Gossip,
            _ => Class::Control,
        }
    }

    /// Whether the gate holds it.
    pub fn gating(&self) -> Gating {
        match self {
            // The group sees itself to what its messages rest on; of a session nothing is said that is not committed.
            Self::Group(_) | Self::Lease(_) => Gating::Ungated,
            // What a copy is made of is committed.
            Self::Follow(_) | Self::Followed { .. } | Self::Leads { .. } | Self::Later { .. } => Gating::Ungated,
            Self::Survey { .. } => Gating::Ungated,
            // An outcome shows the state, an entry may name what was read from it.
            Self::Commands(_) | Self::Ask { .. } | Self::Answer { .. } => Gating::Gated,
            // What it names has to be stored.
            Self::Surveyed { .. } => Gating::Gated,
        }
    }
}
