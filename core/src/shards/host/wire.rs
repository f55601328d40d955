//! What the shards of two nodes say to each other, and what a node stores of its own.

use super::view::{Refusal, Request};
use crate::bytes::Blob;
use crate::envelope::Class;
use crate::identity::StoreIncarnation;
use crate::node::Gating;
use crate::replication;
use crate::shards::{Kept, ShardId};
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Between replicas of a shard.
    Replica {
        /// Which shard.
        shard: ShardId,
        /// The replica that is meant is in this store: another one knows nothing of what was said before.
        store: StoreIncarnation,
        /// What.
        message: replication::Message,
    },
    /// A client of the sender asks; the receiver owns the shard, as far as the sender knows.
    Ask {
        /// To be named in the answer.
        number: u64,
        /// What.
        request: Box<Request>,
    },
    /// After a recovery: what the sender's replica of a shard has kept.
    Kept {
        /// Of which shard.
        shard: ShardId,
        /// What.
        kept: Box<Kept>,
    },
    /// What became of it.
    Answer {
        /// The number of the question.
        number: u64,
        /// The answer.
        answer: Answer,
    },
}

/// What an owner, or who was taken for it, answers another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It took effect; or this is what was asked.
    Done(Blob),
    /// It goes about it.
    HandingOver,
    /// It goes on with what is there, as soon as that is enough.
    Rebuilding,
    /// It may have taken effect.
    Unknown,
    /// Nothing happened: it does not serve the shard, and knows the record in that version.
    Elsewhere {
        /// The version.
        version: u64,
    },
    /// Nothing happened.
    Refused(Refusal),
    /// The object is durable there; the blob lacks others.
    Wants {
        /// The first of them.
        object: u32,
    },
    /// The blob is on every disk that it has to be on.
    Held,
}

impl Message {
    /// The lane it takes: entries are many, and not to be in the way of promises.
    pub const fn class(&self) -> Class {
        match self {
            Self::Replica { message: replication::Message::Append { .. }, .. } => Class::Priority,
            Self::Replica { message: replication::Message::Snapshot { .. }, .. } => Class::Bulk,
            Self::Replica { message: replication::Message::Given { .. }, .. } => Class::Bulk,
            Self::Replica { .. } | Self::Kept { .. } => Class::Control,
            Self::Ask { .. } | Self::Answer { .. } => Class::Priority,
        }
    }

    /// Whether the gate holds it.
    pub fn gating(&self) -> Gating {
        match self {
            Self::Replica { message, .. } => message.gating(),
            // It repeats what a client asked.
            Self::Ask { .. } => Gating::Ungated,
            // What it names has to be stored.
            Self::Answer { .. } | Self::Kept { .. } => Gating::Gated,
        }
    }
}

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of which shard.
    pub shard: ShardId,
    /// What.
    pub record: replication::Record,
}
