//! What the shards of two nodes say to each other, and what a node stores of its own.

use super::load::Load;
use super::view::{Refusal, Request};
use crate::bytes::Blob;
use crate::envelope::Class;
use crate::identity::StoreIncarnation;
use crate::node::Gating;
use crate::replication;
use crate::replication::once::SubmissionId;
use crate::shards::{Kept, ShardId};
use crate::time::WallTime;
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
    /// A client of the sender submits what is to take effect once, or the sender keeps that; the receiver owns the shard, as
    /// far as the sender knows.
    Once {
        /// To be named in the answer.
        number: u64,
        /// How many ids the shard had taken before this could first take effect; nothing where the sender does not know,
        /// and asks (rule K4a).
        since: Option<u64>,
        /// What.
        submission: Box<Submission>,
    },
    /// Keep this until it has taken effect, as a member of the set; or say since when it may, where nothing is said of that.
    Keep {
        /// To be named in the answer.
        number: u64,
        /// As in [`Message::Once`].
        since: Option<u64>,
        /// What.
        submission: Box<Submission>,
    },
    /// What became of that.
    Keeping {
        /// The number of the request.
        number: u64,
        /// The answer.
        keeping: Keeping,
    },
    /// What does your wall clock show?
    Clock {
        /// To be named in the answer.
        number: u64,
    },
    /// That.
    ClockShows {
        /// The number of the question.
        number: u64,
        /// What it shows.
        wall: WallTime,
    },
    /// How much have you to do?
    Load {
        /// To be named in the answer.
        number: u64,
    },
    /// So much.
    LoadIs {
        /// The number of the question.
        number: u64,
        /// How much.
        load: Load,
    },
}

/// A command that is to take effect once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// In which shard.
    pub shard: ShardId,
    /// Its name.
    pub id: SubmissionId,
    /// What, for the state above the log.
    pub command: Blob,
}

/// What a member of the set says that was asked to keep something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeping {
    /// Its disk has it.
    Kept,
    /// It took effect, and came to that, if that is known.
    Taken(Option<Blob>),
    /// It is not among the ids that were taken up to that number, as far as they are known.
    Since(u64),
    /// No: it is no member, or has no room.
    Refused,
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
    /// It took effect before, and came to that, if that is known.
    Taken(Option<Blob>),
    /// It has not taken effect, as far as ids are known.
    NotTaken,
    /// Nothing happened: whether it took effect before is not known any more; or nothing was said of since when.
    Expired {
        /// How many ids the shard has taken.
        taken: u64,
    },
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
            Self::Once { .. } | Self::Keep { .. } | Self::Keeping { .. } => Class::Priority,
            Self::Clock { .. } | Self::ClockShows { .. } | Self::Load { .. } | Self::LoadIs { .. } => Class::Control,
        }
    }

    /// Whether the gate holds it.
    pub fn gating(&self) -> Gating {
        match self {
            Self::Replica { message, .. } => message.gating(),
            // It repeats what a client asked.
            Self::Ask { .. } | Self::Once { .. } | Self::Keep { .. } => Gating::Ungated,
            // Of nothing that a crash could undo.
            Self::Clock { .. } | Self::ClockShows { .. } | Self::Load { .. } | Self::LoadIs { .. } => Gating::Ungated,
            // What it names has to be stored.
            Self::Answer { .. } | Self::Kept { .. } | Self::Keeping { .. } => Gating::Gated,
        }
    }
}

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Of a replica.
    Replica {
        /// Of which shard.
        shard: ShardId,
        /// What.
        record: replication::Record,
    },
    /// A submission that this node keeps until it has taken effect.
    Parked {
        /// What.
        submission: Box<Submission>,
        /// As in [`Message::Once`].
        since: u64,
    },
    /// It keeps that no more.
    Forgotten {
        /// Of which shard.
        shard: ShardId,
        /// Which.
        id: SubmissionId,
    },
}
