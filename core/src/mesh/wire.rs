//! Everything the production node says, stores and answers, by machine.

use super::fence;
use crate::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use crate::control::{node as control, state};
use crate::epoch::FenceToken;
use crate::lease::acceptor::Accepted;
use crate::membership;
use crate::node::{self, Gating};
use crate::shards::ShardId;
use crate::shards::host as shards;
use crate::task::desk;
use crate::task::id::StepKey;
use crate::task::wire as task;
use crate::task::worker::view as worker;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The oldest version this build understands.
pub const OLDEST_VERSION: BodyVersion = BodyVersion(1);
/// The newest version that this build speaks: that of the commands it can log and apply. What was said and stored in version 1
/// is written as such still, so that a build that speaks less can read it.
pub const NEWEST_VERSION: BodyVersion = state::NEWEST;

/// What nodes say to one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Who is there.
    Membership(membership::Message),
    /// What the cluster agrees on.
    Control(control::Message),
    /// Shards: what is in their logs, and what clients ask of them. Of version 2.
    Shards(shards::Message),
    /// Workers, and those who give work out. Of version 2.
    Tasks(task::Message),
}

impl Message {
    /// The version that whoever is to read it has to understand.
    pub const fn version(&self) -> BodyVersion {
        match self {
            Self::Membership(_) | Self::Control(_) => OLDEST_VERSION,
            Self::Shards(_) | Self::Tasks(_) => state::SHARDS,
        }
    }
}

impl node::Message for Message {
    fn gating(&self) -> Gating {
        match self {
            // Probes and gossip: a node's own incarnation is durable before it is used.
            Self::Membership(_) => Gating::Ungated,
            Self::Control(message) => message.gating(),
            Self::Shards(message) => message.gating(),
            Self::Tasks(message) => message.gating(),
        }
    }
}

/// What the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Of membership.
    Membership(membership::Record),
    /// Of the control group.
    Control(control::wire::Record),
    /// Under what writes were accepted.
    Fence(Accepted),
    /// Of a replica of a shard. Of version 2.
    Shards(shards::Record),
}

impl Record {
    /// The version that whoever is to read it has to understand.
    pub const fn version(&self) -> BodyVersion {
        match self {
            Self::Membership(_) | Self::Control(_) | Self::Fence(_) => OLDEST_VERSION,
            Self::Shards(_) => state::SHARDS,
        }
    }
}

/// What operators and clients ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Of membership.
    Membership(membership::Request),
    /// Of the control group.
    Control(control::Request),
    /// Of the fence.
    Fence(fence::Request),
    /// Of shards.
    Shards(shards::Request),
    /// Of the worker, by whoever runs its agents.
    Work(worker::Request),
    /// How far attempts say they are, as far as this node knows: as the owner of their shard, or as their worker.
    Progress {
        /// Of which shard.
        shard: ShardId,
        /// Which; [`PROGRESS_MAX`](task::PROGRESS_MAX) of them are looked at.
        attempts: Vec<(StepKey, FenceToken)>,
    },
    /// Of the desk.
    Desk(desk::Question),
}

/// What they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// By membership.
    Membership(membership::Reply),
    /// By the control group.
    Control(control::Reply),
    /// By the fence.
    Fence(fence::Reply),
    /// By shards, or whoever owns one.
    Shards(shards::Reply),
    /// By the worker.
    Work(worker::Reply),
    /// How far they are, in the order of the question; nothing of those of which nothing is known.
    Progress(Vec<Option<task::Progress>>),
    /// By the desk.
    Desk(desk::Told),
}

macro_rules! bodies {
    ($($type:ty),+) => {$(
        impl Body for $type {
            const OLDEST: BodyVersion = OLDEST_VERSION;
            const NEWEST: BodyVersion = NEWEST_VERSION;

            fn encode(&self, version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                match (self.version()..=NEWEST_VERSION).contains(&version) {
                    true => encode_value(self, limit, out),
                    false => Err(EncodeError::NotInVersion { version }),
                }
            }

            fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
                let (found, oldest, newest) = (version, OLDEST_VERSION, NEWEST_VERSION);
                if !(oldest..=newest).contains(&found) {
                    return Err(DecodeError::UnknownVersion { found, oldest, newest });
                }
                let body: Self = decode_value(bytes)?;
                if body.version() > found {
                    return Err(DecodeError::Malformed { length: bytes.len() });
                }
                Ok(body)
            }
        }
    )+};
}

bodies!(Message, Record);

macro_rules! local_bodies {
    ($($type:ty),+) => {$(
        impl Body for $type {
            const OLDEST: BodyVersion = OLDEST_VERSION;
            const NEWEST: BodyVersion = OLDEST_VERSION;

            fn encode(&self, version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                match version == OLDEST_VERSION {
                    true => encode_value(self, limit, out),
                    false => Err(EncodeError::NotInVersion { version }),
                }
            }

            fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
                match version == OLDEST_VERSION {
                    true => decode_value(bytes),
                    false => Err(DecodeError::UnknownVersion {
                        found: version,
                        oldest: OLDEST_VERSION,
                        newest: OLDEST_VERSION,
                    }),
                }
            }
        }
    )+};
}

// Between a client and the node beside it.
local_bodies!(Request, Reply);
