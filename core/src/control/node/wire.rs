//! What the control groups of two nodes say to each other.

use super::view::{Reply, Request};
use crate::control::{commands, group};
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
}

impl Message {
    /// Whether the gate holds it.
    pub fn gating(&self) -> Gating {
        match self {
            // The group sees itself to what its messages rest on; of a session nothing is said that is not committed.
            Self::Group(_) | Self::Lease(_) => Gating::Ungated,
            // An outcome shows the state, an entry may name what was read from it.
            Self::Commands(_) | Self::Ask { .. } | Self::Answer { .. } => Gating::Gated,
        }
    }
}
