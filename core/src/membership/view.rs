//! What operators ask of membership, and what they are told.

use super::description::{Description, DescriptionError, Profile};
use super::verdict::{IncarnationNumber, Status};
use crate::envelope::KeyId;
use crate::identity::NodeId;
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What operators ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Who is there?
    Members,
    /// Say good-bye; answered once enough have heard it.
    Leave,
    /// From now on this node is called and described so.
    Describe {
        /// What people call it.
        name: Box<str>,
        /// The rest.
        profile: Profile,
    },
    /// Seal with this key, which must be installed here.
    UseKey {
        /// The key.
        id: KeyId,
        /// Also when some members could not open what it seals.
        force: bool,
    },
    /// Drop this key.
    RemoveKey {
        /// The key.
        id: KeyId,
        /// Also when some members still seal with it.
        force: bool,
    },
}

/// What they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Everyone, by id, this node included.
    Members(Vec<MemberView>),
    /// The mesh knows that this node leaves.
    Left,
    /// The description spreads.
    Described,
    /// The keyring is being changed.
    KeyChanged,
    /// Nothing changed.
    Refused(Refusal),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The node has left.
    #[error("the node has left the mesh; start it again to rejoin")]
    Gone,
    /// The key is not here.
    #[error("key {0} is not in this node's keyring; install it first")]
    UnknownKey(KeyId),
    /// Somebody could not open what the key seals.
    #[error(
        "key {id} is not installed on {missing} members, the unreachable ones included; install it there, or force it and lose them"
    )]
    NotCovered {
        /// The key.
        id: KeyId,
        /// Members without it.
        missing: u32,
    },
    /// Somebody still seals with the key.
    #[error(
        "key {id} is still used by {users} members, the unreachable ones included; let them use another one, or force it and lose them"
    )]
    InUse {
        /// The key.
        id: KeyId,
        /// Members that seal with it.
        users: u32,
    },
    /// The description is too large: text.
    #[error("{bytes} bytes of text are too many for a description; shorten its labels")]
    DescriptionTooLong {
        /// Bytes given.
        bytes: u32,
    },
    /// The description is too large as a whole.
    #[error("{bytes} bytes are too many for a description; give it fewer labels and endpoints")]
    DescriptionTooLarge {
        /// Bytes it would take.
        bytes: u32,
    },
    /// The description is too large: entries.
    #[error("{entries} labels, capabilities or endpoints are too many for a description")]
    DescriptionTooMany {
        /// Entries given.
        entries: u32,
    },
}

impl From<DescriptionError> for Refusal {
    fn from(error: DescriptionError) -> Self {
        match error {
            DescriptionError::TooLong { bytes } => Self::DescriptionTooLong { bytes: bytes as u32 },
            DescriptionError::TooLarge { bytes } => Self::DescriptionTooLarge { bytes: bytes as u32 },
            DescriptionError::TooMany { entries } => Self::DescriptionTooMany { entries: entries as u32 },
        }
    }
}

/// How a member is reached from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Link {
    /// It is this node.
    Own,
    /// It has not been probed from here yet.
    Untried,
    /// It answers.
    Direct,
    /// It does not answer here, but others.
    Indirect,
}

impl Link {
    /// Its name for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Untried => "untried",
            Self::Direct => "direct",
            Self::Indirect => "indirect",
        }
    }
}

/// One member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Who.
    pub node: NodeId,
    /// What it is held to be.
    pub status: Status,
    /// Its incarnation.
    pub incarnation: IncarnationNumber,
    /// For how long its status has been the same here.
    pub since: Duration,
    /// Whether it counts as alive for placement.
    pub in_good_standing: bool,
    /// If it is healthy but does not count yet: when it will, if it stays so.
    pub counts_in: Option<Duration>,
    /// How it is reached.
    pub link: Link,
    /// The round trip to it, averaged.
    pub round_trip: Option<Duration>,
    /// The round trip that coordinates predict.
    pub predicted: Option<Duration>,
    /// What it says about itself.
    pub description: Option<Arc<Description>>,
}
