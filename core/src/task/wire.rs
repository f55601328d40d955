//! What a worker and an owner say to each other, besides what stands in the log.

use super::id::StepKey;
use super::workflow::Name;
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::node::Gating;
use crate::shards::ShardId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Shards that one message names, at most.
pub const SHARDS_NAMED_MAX: usize = 4_096;

/// Bytes of the text of a [`Progress`].
pub const PROGRESS_BYTES_MAX: usize = 128;
/// Steps of which one beat says how far they are.
pub const PROGRESS_MAX: usize = 64;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A worker is there, has these claims, and could do more (rule T4a).
    Beat(Box<Beat>),
    /// The owner of shards answers.
    Beaten {
        /// The number of the beat.
        number: u64,
        /// Shards in which the claims of the worker live on, counted from when the beat was sent (rule T4b).
        kept: Vec<ShardId>,
        /// Shards in which the worker has no claim any more.
        ended: Vec<ShardId>,
        /// What the worker is to stop, because its task is cancelled (rule T8).
        stop: Vec<(ShardId, StepKey, FenceToken)>,
    },
    /// There is something for the worker in this shard.
    Offer {
        /// Which.
        shard: ShardId,
    },
    /// Which workers has the receiver heard of lately? People ask that.
    AskOffers {
        /// To be named in the answer.
        number: u64,
        /// Those behind this one.
        after: Option<Incarnation>,
    },
    /// These.
    Offers {
        /// The number of the question.
        number: u64,
        /// Some of them, in order.
        offers: Vec<Offered>,
        /// There are others behind this one.
        next: Option<Incarnation>,
    },
}

/// What a worker offers, as an owner has heard it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Who.
    pub worker: Incarnation,
    /// What it can do.
    pub offer: Offer,
    /// Steps that it could take.
    pub free: u16,
}

impl Message {
    /// Whether the gate holds it.
    pub const fn gating(&self) -> Gating {
        match self {
            // That a process lives, and that there is something to do, nothing rests on: a disk that is stuck is not to end
            // what runs.
            Self::Beat(_) | Self::Offer { .. } | Self::AskOffers { .. } | Self::Offers { .. } => Gating::Ungated,
            Self::Beaten { .. } => Gating::Gated,
        }
    }
}

/// A worker is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// To be named in the answer.
    pub number: u64,
    /// Shards of the receiver in which it has claims, as far as it knows.
    pub holds: Vec<Held>,
    /// What it could do.
    pub offer: Offer,
    /// Steps it could take.
    pub free: u16,
}

/// What a worker has of a shard (rule T2b).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which shard.
    pub shard: ShardId,
    /// Its newest claim that was answered.
    pub upto: u64,
    /// All steps that it has of claims up to that one: none is left out before its report was answered.
    pub steps: Vec<(StepKey, FenceToken)>,
    /// How far some of them say they are.
    pub progress: Vec<(StepKey, FenceToken, Progress)>,
}

/// How far an attempt says it is. It is told to people, and nothing rests on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// At most [`PROGRESS_BYTES_MAX`] bytes.
    pub text: Box<str>,
}

impl Progress {
    /// As much of it as is told.
    pub fn new(percent: u8, text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(PROGRESS_BYTES_MAX)];
        Self { percent: percent.min(100), text: text.into() }
    }

    /// It is within bounds.
    pub fn is_sound(&self) -> bool {
        self.percent <= 100 && self.text.len() <= PROGRESS_BYTES_MAX
    }
}

/// What a worker can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The agents that it has.
    pub agents: Vec<Name>,
    /// The labels that it has.
    pub labels: Vec<(Name, Box<str>)>,
}
