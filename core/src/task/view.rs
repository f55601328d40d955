//! What is told of tasks, steps and limits, for people.

use super::answer::Status;
use super::command::{CancelMode, Ended, Policy};
use super::id::StepKey;
use super::limit::{Bounds, LimitName};
use super::payload::Payload;
use super::schedule::Schedule;
use super::workflow::{Name, Priority};
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::replication::once::SubmissionId;
use crate::time::WallTime;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A task, for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskView {
    /// Its name.
    pub id: SubmissionId,
    /// The place of the entry that submitted it.
    pub number: u64,
    /// What the workflow is called, or its agent.
    pub name: Option<Name>,
    /// What has become of it.
    pub status: Status,
    /// How urgent.
    pub priority: Priority,
    /// When it was taken.
    pub created: WallTime,
    /// When it ended.
    pub ended: Option<WallTime>,
    /// Replays, so far.
    pub generation: u32,
    /// How it was cancelled, and why.
    pub cancel: Option<(CancelMode, Box<str>)>,
    /// For people.
    pub labels: Vec<(Name, Box<str>)>,
    /// Who submitted it.
    pub principal: Option<Box<str>>,
    /// Steps, instances included.
    pub rows: u32,
    /// Some of them.
    pub steps: Vec<StepView>,
}

/// A step, for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepView {
    /// Which.
    pub row: u32,
    /// What the workflow calls it.
    pub name: Option<Name>,
    /// Which item of a list it is for.
    pub item: Option<u32>,
    /// Who does it; nobody where a person is asked.
    pub agent: Option<Name>,
    /// What has become of it.
    pub state: StepStatus,
    /// The first of the steps that it waits for.
    pub waits_for: Option<Name>,
    /// Attempts so far.
    pub attempts: u16,
    /// What went wrong last.
    pub words: Option<Box<str>>,
    /// What happened, in order.
    pub history: Vec<Moment>,
}

/// What has become of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StepStatus {
    /// Waits for so many others.
    Waiting {
        /// How many.
        left: u16,
    },
    /// Waits for its time.
    Delayed {
        /// Until when.
        due: WallTime,
    },
    /// Waits for a person.
    Asking,
    /// Waits for a worker.
    Ready {
        /// How many are in front of it, as far as is counted.
        ahead: u32,
        /// No step of its agent is given out.
        is_paused: bool,
    },
    /// A worker has it.
    Running {
        /// Who.
        worker: Incarnation,
        /// Of the attempt.
        fence: FenceToken,
    },
    /// Its instances are under way.
    Expanded {
        /// How many have not succeeded.
        left: u32,
        /// How many there are.
        count: u32,
    },
    /// It is done.
    Succeeded {
        /// What it gave; of one with instances, they have it.
        output: Option<Payload>,
    },
    /// It failed for good.
    Dead,
    /// It was cancelled.
    Cancelled,
    /// Waits for a limit.
    Limited {
        /// Which.
        limit: Option<LimitName>,
    },
}

/// Something that happened to a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// When, by the owner's wall clock.
    pub at: WallTime,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Happened {
    /// All it depends on succeeded, and its time has come.
    Ready,
    /// A worker took it.
    Claimed(Incarnation),
    /// It succeeded.
    Succeeded,
    /// It failed, and is tried again.
    Failed,
    /// The worker gave it back.
    GivenBack,
    /// Its claim ended.
    ClaimEnded(Ended),
    /// It failed for good.
    Died,
    /// A person was asked.
    Asked,
    /// Cancelled.
    Cancelled,
    /// Replayed.
    Replayed,
    /// All it depends on succeeded, and it waits for limits.
    Limited,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// Tasks.
    pub tasks: u64,
    /// Of these, ended.
    pub ended: u64,
    /// Steps and instances.
    pub steps: u64,
    /// Of these, waiting for a worker.
    pub ready: u64,
    /// With a worker.
    pub running: u64,
    /// Waiting for their time.
    pub delayed: u64,
    /// Things that are done piece by piece.
    pub chores: u64,
}

/// A claim or a report that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conflict {
    /// When.
    pub at: WallTime,
    /// What was reported of.
    pub step: StepKey,
    /// The fence that was offered.
    pub offered: FenceToken,
    /// The one that would have been right.
    pub expected: Option<FenceToken>,
}

/// A limit, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LimitView {
    /// What it allows.
    pub bounds: Bounds,
    /// Steps that may run, or do.
    pub held: u32,
    /// Of the span of its rate, so many have begun, or may at any time.
    pub spent: u32,
    /// Steps that wait.
    pub waiting: u64,
}

/// What is known of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AgentView {
    /// Which.
    pub agent: Name,
    /// What holds for its steps, where they say nothing.
    pub policy: Option<Policy>,
    /// No step of it is given out.
    pub is_paused: bool,
    /// Steps that wait for a worker, as far as they were counted.
    pub ready: u64,
    /// Steps of it, whatever has become of them.
    pub steps: u64,
}

/// What is known of a worker that has a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WorkerView {
    /// Who.
    pub worker: Incarnation,
    /// What it runs: steps of each agent, as far as they were counted.
    pub running: Vec<(Name, u32)>,
}

/// A schedule, for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScheduleView {
    /// Its name.
    pub name: Name,
    /// When it is due.
    pub schedule: Schedule,
    /// The agent, or what the workflow is called.
    pub what: Option<Name>,
    /// Of its tasks one is open at a time.
    pub unique: Option<Name>,
    /// When it is due next, as far as its owner has said.
    pub next: Option<WallTime>,
    /// It is not due any more.
    pub is_over: bool,
    /// Nothing is made of it.
    pub is_paused: bool,
    /// Due times that were made something of.
    pub fired: u64,
    /// Those that were not, as their owner came too late.
    pub missed: u64,
    /// The newest of the first kind, and the task.
    pub last: Option<(WallTime, SubmissionId)>,
}
