//! What shards say to one another: each word is in the log of both, and is taken once (rule T11).

use super::command::Submit;
use super::id::StepKey;
use super::limit::{Declared, LimitName};
use super::workflow::Priority;
use crate::control::state::Name as Namespace;
use crate::shards::ShardId;
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// Words that are said at once, at most.
pub const WORDS_MAX: usize = 256;

/// What one shard says to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Word {
    /// To the shard of a limit: a step wants to run.
    Ask {
        /// Of which limit.
        limit: LimitName,
        /// For what.
        permit: Permit,
        /// How urgent.
        priority: Priority,
        /// What is known of the limit where the step is.
        declared: Declared,
    },
    /// The step has begun.
    Began {
        /// Of which limit.
        limit: LimitName,
        /// For what.
        permit: Permit,
    },
    /// It is over: its end is confirmed, or its claim has ended. Or it does not want to run any more.
    Over {
        /// Of which limit.
        limit: LimitName,
        /// For what.
        permit: Permit,
        /// It had begun.
        has_begun: bool,
    },
    /// From the shard of a limit: the step may run, as far as that limit goes.
    Given {
        /// To which shard.
        to: u32,
        /// Which limit.
        limit: LimitName,
        /// For what.
        permit: Permit,
    },
    /// A task is to be.
    Submit(Box<Submit>),
}

/// Names one wish of a step to run. Each attempt has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permit {
    /// Which step of the shard that asks.
    pub step: StepKey,
    /// The how manieth wish of that shard it is.
    pub number: u64,
}

impl Word {
    /// Which of so many shards it is for.
    pub fn to(&self, namespace: Namespace, shards: u32) -> u32 {
        match self {
            Self::Ask { limit, .. } | Self::Began { limit, .. } | Self::Over { limit, .. } => limit.shard(shards),
            Self::Given { to, .. } => *to,
            Self::Submit(submit) => ShardId::of_submission(namespace, shards.max(1), &submit.id).number,
        }
    }

    /// It is said alone: it may be as long as an entry, and a task is named by the place of its entry.
    pub const fn stands_alone(&self) -> bool {
        matches!(self, Self::Submit(_))
    }
}
