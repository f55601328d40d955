//! What whoever runs the agents of a node asks of its worker, and is told.
//!
//! A runner attaches, says what it has, and then asks for the next orders, again and again; such a question is answered when
//! there is an order, or after a while without one. It says how each run ended.

use crate::bytes::Blob;
use crate::epoch::FenceToken;
use crate::replication::once::SubmissionId;
use crate::shards::ShardId;
use crate::task::id::StepKey;
use crate::task::wire::{Offer, Progress};
use crate::task::workflow::Name;
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a runner asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// It is there, and can do that. What one that was there before had is killed.
    Attach {
        /// Its agents, and its labels.
        offer: Offer,
        /// Runs at once.
        capacity: u16,
    },
    /// What is to be done?
    Next,
    /// A run has ended.
    Ended {
        /// Which.
        run: RunKey,
        /// How.
        end: RunEnd,
    },
    /// A run says how far it is. The latest counts.
    Progress {
        /// Which.
        run: RunKey,
        /// How far.
        progress: Progress,
    },
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is known.
    Attached,
    /// What is to be done, in that order; nothing, for now, if there is none.
    Orders(Vec<Order>),
    /// That is known.
    Taken,
    /// No runner is attached: attach first.
    NotAttached,
    /// It offers more agents or labels than are allowed.
    TooMuch,
}

/// Names a run: an attempt at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// Of which shard.
    pub shard: ShardId,
    /// Which step.
    pub step: StepKey,
    /// Which attempt.
    pub fence: FenceToken,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Run an agent.
    Run(Box<Run>),
    /// Kill a run, and everything that it has started. Said again where there is less time than it was given.
    Kill {
        /// Which.
        run: RunKey,
        /// Why, which says how much time it has.
        why: Killed,
    },
}

/// Why a run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Killed {
    /// The task is cancelled (rule T8): it may use its grace.
    Cancelled,
    /// The claim is over (rule T4c): at once, since another attempt may run already.
    ClaimOver,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// To be named when it has ended.
    pub key: RunKey,
    /// Of which task: its idempotency key for systems outside is made of that, and of the step.
    pub task: SubmissionId,
    /// What the workflow calls the step.
    pub name: Option<Name>,
    /// For which item of a list.
    pub item: Option<u32>,
    /// The how manieth attempt it is, from 1.
    pub attempt: u16,
    /// Who does it.
    pub agent: Name,
    /// From what.
    pub input: Blob,
    /// How long it may take.
    pub timeout: Duration,
    /// W3C trace context of the submission.
    pub traceparent: Option<Box<str>>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunEnd {
    /// Well.
    Succeeded {
        /// What it gave.
        output: Blob,
    },
    /// Badly.
    Failed {
        /// It may be tried again.
        is_worth_retrying: bool,
        /// Why, for people.
        words: Box<str>,
    },
    /// It was killed, and nothing of it is left.
    Killed,
    /// It was not begun, and is nobody's fault.
    NotRun,
}
