//! Everything the production node says, stores and answers, by machine.

use super::fence;
use crate::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use crate::control::{node as control, state};
use crate::lease::acceptor::Accepted;
use crate::membership;
use crate::node::{self, Gating};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The oldest version this build understands.
pub const OLDEST_VERSION: BodyVersion = BodyVersion(1);
/// The newest version that this build speaks: that of the commands it can log and apply. Messages and records are still
/// those of version 1, and are written as such, so that a build that speaks less can read them.
pub const NEWEST_VERSION: BodyVersion = state::NEWEST;

/// What nodes say to one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Who is there.
    Membership(membership::Message),
    /// What the cluster agrees on.
    Control(control::Message),
}

impl node::Message for Message {
    fn gating(&self) -> Gating {
        match self {
            // Probes and gossip: a node's own incarnation is durable before it is used.
            Self::Membership(_) => Gating::Ungated,
            Self::Control(message) => message.gating(),
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
}

macro_rules! bodies {
    ($newest:expr => $($type:ty),+) => {$(
        impl Body for $type {
            const OLDEST: BodyVersion = OLDEST_VERSION;
            const NEWEST: BodyVersion = $newest;

            fn encode(&self, version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                match (OLDEST_VERSION..=$newest).contains(&version) {
                    true => encode_value(self, limit, out),
                    false => Err(EncodeError::NotInVersion { version }),
                }
            }

            fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
                let (found, oldest, newest) = (version, OLDEST_VERSION, $newest);
                match (oldest..=newest).contains(&found) {
                    true => decode_value(bytes),
                    false => Err(DecodeError::UnknownVersion { found, oldest, newest }),
                }
            }
        }
    )+};
}

// What a packet's envelope may say that its sender speaks.
bodies!(NEWEST_VERSION => Message);
bodies!(OLDEST_VERSION => Record, Request, Reply);
