//! What is to be run, and how it ended.

use std::time::Duration;

/// What the caller calls a run. Unique among those under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey(pub u64);

/// One attempt at one step.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the caller calls it.
    pub key: RunKey,
    /// Which agent.
    pub agent: String,
    /// What the agent reads.
    pub input: Vec<u8>,
    /// What else the agent is told.
    pub attempt: Attempt,
    /// Time it may take, where that is less than the agent may.
    pub timeout: Option<Duration>,
}

/// What an agent is told about the attempt that it is, in its environment.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// `RELAYMESH_FENCE`: the fence token, for whatever the agent writes to.
    pub fence: String,
    /// `RELAYMESH_IDEMPOTENCY_KEY`: the same in every attempt at this step.
    pub idempotency_key: String,
    /// `TRACEPARENT`, as in W3C Trace Context.
    pub traceparent: String,
    /// `RELAYMESH_TASK`.
    pub task: String,
    /// `RELAYMESH_STEP`.
    pub step: String,
    /// `RELAYMESH_ATTEMPT`, from 1.
    pub attempt: u32,
}

/// Names that a node sets itself begin with this, or are [`TRACEPARENT`].
pub(super) const RESERVED_PREFIX: &str = "RELAYMESH_";
/// The one name of a standard.
pub(super) const TRACEPARENT: &str = "TRACEPARENT";

impl Attempt {
    /// Names and values, as the agent finds them.
    pub(super) fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("RELAYMESH_FENCE", self.fence.clone()),
            ("RELAYMESH_IDEMPOTENCY_KEY", self.idempotency_key.clone()),
            (TRACEPARENT, self.traceparent.clone()),
            ("RELAYMESH_TASK", self.task.clone()),
            ("RELAYMESH_STEP", self.step.clone()),
            ("RELAYMESH_ATTEMPT", self.attempt.to_string()),
        ]
    }
}

/// What is heard of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How far it says it is. At most four a second; of those in between, the latest.
    Progress(Progress),
    /// It has ended, and nothing of it is left.
    Ended(Outcome),
}

/// How far a run says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// At most [`PROGRESS_TEXT_BYTES_MAX`] bytes, without control characters.
    pub text: String,
}

/// Bytes of the text of a [`Progress`].
pub const PROGRESS_TEXT_BYTES_MAX: usize = 256;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The agent did what it was asked.
    Succeeded {
        /// What it wrote to its standard output.
        output: Vec<u8>,
    },
    /// It did not.
    Failed {
        /// Whether another attempt may end otherwise: false only where the agent says that none will.
        retry: bool,
        /// What happened.
        why: Why,
        /// The end of what it wrote to its standard error.
        stderr: Vec<u8>,
    },
}

impl Outcome {
    /// A failure that another attempt may not meet, before or without any process.
    pub(super) const fn failed(why: Why) -> Self {
        Self::Failed { retry: true, why, stderr: Vec::new() }
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its exit code says so.
    #[error("the agent ended with exit code {0}")]
    Exit(i32),
    /// A signal that the node did not send ended it.
    #[error("signal {0} ended the agent")]
    Signal(i32),
    /// It took longer than it may.
    #[error("the agent was still at it after {} ms", .0.as_millis())]
    Timeout(Duration),
    /// It wrote more than it may.
    #[error("the agent wrote more than {limit} bytes; `output_bytes_max` of the agent is the limit")]
    OutputTooLarge {
        /// Bytes that it may write.
        limit: usize,
    },
    /// It did not come to run.
    #[error("the agent was not started: {error}")]
    NotStarted {
        /// What went wrong, and with what.
        error: String,
    },
    /// It was to be killed.
    #[error("the agent was killed, as ordered")]
    Killed,
    /// This node has no agent of that name.
    #[error("this node has no agent of that name; agents.toml is where it would stand")]
    UnknownAgent,
    /// The input of a built-in agent cannot be understood.
    #[error("the built-in agent does not understand its input: {0}")]
    BadInput(&'static str),
    /// The built-in agent `fail` did what it is for.
    #[error("the built-in agent `fail` fails")]
    OnPurpose,
    /// The process above the agent was killed, so how the agent ended is not known. Nothing in its session is left.
    #[error("the process that watched the agent was killed from outside; how the agent ended is not known")]
    Unwatched,
}
