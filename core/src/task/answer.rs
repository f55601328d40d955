//! What a command of a shard's tasks comes to, and what can be asked.

use super::id::StepKey;
use super::limit::LimitName;
use super::payload::Payload;
use super::view::{AgentView, Conflict, Counts, LimitView, ScheduleView, TaskView, WorkerView};
use super::workflow::{Name, Step, StepIndex};
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::replication::once::SubmissionId;
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Tasks, steps or conflicts that one answer names, at most.
pub const ROWS_SHOWN_MAX: usize = 64;

/// What a command or a query comes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// The task is there: now, or since it was submitted before.
    Submitted {
        /// It was before, and nothing was done.
        is_known: bool,
        /// What has become of it.
        status: Status,
    },
    /// What the worker has to do. Fewer than it asked for where there is no more, or no room in the answer.
    Claimed(Vec<Job>),
    /// What the attempt came to is committed.
    Reported,
    /// It is done, or there was nothing to do.
    Done {
        /// There is more to do at once.
        has_more: bool,
    },
    /// How far the cancel has come.
    Cancel(Status),
    /// A task.
    Task(Box<TaskView>),
    /// Some tasks, the newest first.
    Tasks {
        /// At most [`ROWS_SHOWN_MAX`].
        tasks: Vec<TaskView>,
        /// Where the next ones begin.
        next: Option<u64>,
    },
    /// What steps gave, in the order of their rows.
    Outputs {
        /// The step is there once for each item of a list, and these are what its instances gave.
        is_list: bool,
        /// As many as there is room for.
        outputs: Vec<Payload>,
        /// There are others behind these.
        has_more: bool,
    },
    /// How much there is.
    Counts(Counts),
    /// Claims and reports that were refused, the newest first.
    Conflicts(Vec<Conflict>),
    /// Nothing happened.
    Refused(Refusal),
    /// A limit.
    Limit(LimitView),
    /// Agents, in the order of their names.
    Agents {
        /// Nothing is given out, of any agent.
        is_paused: bool,
        /// At most [`ROWS_SHOWN_MAX`].
        agents: Vec<AgentView>,
        /// There are others behind this one.
        next: Option<Name>,
    },
    /// Workers that have a claim, in order.
    Workers {
        /// At most [`ROWS_SHOWN_MAX`].
        workers: Vec<WorkerView>,
        /// There are others behind this one.
        next: Option<Incarnation>,
    },
    /// Another task with the same unique key is open, and nothing was done.
    Unique {
        /// Which.
        task: SubmissionId,
        /// What has become of it.
        status: Status,
    },
    /// Schedules, in the order of their names.
    Schedules {
        /// At most [`ROWS_SHOWN_MAX`].
        schedules: Vec<ScheduleView>,
        /// There are others behind these.
        has_more: bool,
    },
}

/// Why nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no command, or no query.
    #[error("the bytes are no command of tasks that this build knows")]
    Malformed,
    /// Something is longer than allowed.
    #[error("{what} is more than {limit}")]
    TooMuch {
        /// What.
        what: Box<str>,
        /// How much is allowed.
        limit: u64,
    },
    /// The workflow cannot be.
    #[error("the workflow is refused: {0}")]
    Workflow(Box<str>),
    /// The shard has as many tasks as it may.
    #[error("the shard has {limit} tasks; purge what has ended, or wait")]
    Full {
        /// How many it may have.
        limit: u64,
    },
    /// The blob of a payload is not there.
    #[error("a payload refers to a blob that this shard does not have; put it, and submit again")]
    NoBlob,
    /// There is no such task.
    #[error("there is no such task; it was never submitted, or its retention is over")]
    NoTask,
    /// There is no such step.
    #[error("the task has no such step")]
    NoStep,
    /// The fence is not the one of the attempt that runs (rule T3).
    #[error("fence {offered} is stale: the step {}", match .now { Some(now) => alloc::format!("was claimed again under {now}"), None => "is not running any more".into() })]
    Stale {
        /// The fence that was offered.
        offered: FenceToken,
        /// The one of the attempt that runs.
        now: Option<FenceToken>,
    },
    /// A claim of the worker with a higher number was taken.
    #[error("claim {offered} is stale: claim {taken} of the same worker was taken")]
    StaleClaim {
        /// The number that was offered.
        offered: u64,
        /// The highest that was taken.
        taken: u64,
    },
    /// The task is not in the state for that.
    #[error("the task is {status:?}, and that needs another state")]
    Status {
        /// The state it is in.
        status: Status,
    },
    /// The step is no approval that is waited for.
    #[error("the step does not wait for an approval")]
    NotAsking,
    /// Nothing would ever be allowed, or more than can be counted.
    #[error(
        "no limit: at least one at once; at least one and at most 1,000,000 in a span of more than nothing and at most 366 days"
    )]
    NoLimit,
    /// How long an attempt may take, or how often it is made, is out of bounds.
    #[error("the policy of attempts is refused: {0}")]
    Attempts(Box<str>),
    /// Steps of the shard need as many kinds of agents with labels as they may.
    #[error(
        "steps of the shard need {limit} kinds of agents with labels; use fewer labels, or wait until tasks are purged"
    )]
    Classes {
        /// How many there may be.
        limit: u64,
    },
    /// There is no such schedule.
    #[error("there is no such schedule; `relaymesh schedules` lists them")]
    NoSchedule,
    /// Another task with the same unique key is open.
    #[error("task {task} with the same unique key is open; wait until it has ended, or cancel it")]
    NotUnique {
        /// Which.
        task: SubmissionId,
    },
}

/// What has become of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// There is something to do.
    Open,
    /// It was cancelled, and something of it may still run.
    Cancelling,
    /// All steps have succeeded.
    Succeeded,
    /// A step is dead, and nothing else can be done.
    Dead,
    /// It was cancelled, and nothing of it runs.
    Cancelled,
}

impl Status {
    /// It changes no more, but by an operator's replay.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled)
    }
}

/// What a worker has to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// Which step.
    pub step: StepKey,
    /// Of which task.
    pub task: SubmissionId,
    /// What the workflow calls it.
    pub name: Option<Name>,
    /// Which item of a list it is for.
    pub item: Option<u32>,
    /// Of this attempt.
    pub fence: FenceToken,
    /// The how manieth it is, from 1.
    pub attempt: u16,
    /// Who does it.
    pub agent: Name,
    /// From what.
    pub input: JobInput,
    /// How long it may take.
    pub timeout: Duration,
    /// W3C trace context of the submission.
    pub traceparent: Option<Box<str>>,
    /// Steps that are to be there once for each item of a list in the output: to be counted.
    pub lists: Vec<(StepIndex, Box<str>)>,
    /// It counts for limits: it does not outlive the session of its node, not even for the rest of its claim.
    pub is_limited: bool,
}

/// What a job is made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobInput {
    /// This.
    Given(Option<Payload>),
    /// What the step's template says, of outputs of earlier steps.
    Made {
        /// The step.
        step: Box<Step>,
        /// The input of the workflow.
        workflow: Option<Payload>,
        /// Outputs that it refers to, as far as there is room; others are to be asked for.
        outputs: Vec<(StepIndex, Payload)>,
    },
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Query {
    /// What became of a task?
    Task {
        /// Which.
        task: SubmissionId,
        /// Steps from this row on.
        from: u32,
    },
    /// Which tasks are there?
    Tasks {
        /// In that state only.
        status: Option<Status>,
        /// Older than that one.
        before: Option<u64>,
    },
    /// What did a step give; of one that is there once for each item, what did its instances?
    Outputs {
        /// Of which task.
        task: SubmissionId,
        /// Which step.
        step: StepIndex,
        /// From that instance on.
        from: u32,
    },
    /// How much is there?
    Counts,
    /// What was refused?
    Conflicts,
    /// What of a limit that lives in this shard?
    Limit(LimitName),
    /// Which agents are needed, or is something said of?
    Agents {
        /// Those behind this one.
        after: Option<Name>,
    },
    /// Who has a claim, and runs what?
    Workers {
        /// Those behind this one.
        after: Option<Incarnation>,
    },
    /// What recurs?
    Schedules {
        /// Behind that one.
        after: Option<Name>,
    },
}
