//! What the log of a shard says of tasks.
//!
//! An entry is a stamp, which its owner sets when it takes it, and a command (rule T5). Whoever submits leaves the stamp as
//! [`Entry::unstamped`] makes it.

use super::id::StepKey;
use super::limit::{Declared, LimitName};
use super::payload::Payload;
use super::schedule::Schedule;
use super::word::Word;
use super::workflow::{Name, Priority, Retry, StepIndex, Workflow};
use crate::codec::{EncodeError, decode_value, encode_value};
use crate::control::state::Name as Namespace;
use crate::control::state::SessionId;
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::replication::COMMAND_BYTES_MAX;
use crate::replication::once::SubmissionId;
use crate::time::{Duration, WallTime};
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes of the stamp, in front of the command.
const STAMP_BYTES: usize = 8;
/// Bytes of a text that says what went wrong, or why somebody did something.
pub const WORDS_BYTES_MAX: usize = 1_024;
/// Labels that a worker has, or that a task asks for.
pub const LABELS_MAX: usize = 16;
/// Agents that one worker offers.
pub const AGENTS_MAX: usize = 256;
/// Steps that one claim asks for.
pub const CLAIM_MAX: u16 = 256;

/// An entry of the log, read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The wall clock of the owner that took it.
    pub at: WallTime,
    /// What.
    pub command: Command,
}

impl Entry {
    /// A command as it is submitted.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] when the log has no room for it.
    pub fn unstamped(command: &Command) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::from([0; STAMP_BYTES]);
        encode_value(command, COMMAND_BYTES_MAX - STAMP_BYTES, &mut bytes)?;
        Ok(bytes)
    }

    /// Sets the stamp. What is no entry stays what it is.
    pub fn stamp(bytes: &mut [u8], at: WallTime) {
        if let Some(stamp) = bytes.first_chunk_mut::<STAMP_BYTES>() {
            *stamp = at.as_unix_nanos().to_le_bytes();
        }
    }

    /// Whether only nodes say that: workers, and owners. Told by the first byte of the command, which is the number of its kind,
    /// since a command may be long.
    pub fn is_of_nodes(bytes: &[u8]) -> bool {
        // Claim, Report, End and Due; Take and Taken; Fire. Behind 251 and more the same numbers could be written longer.
        matches!(bytes.get(STAMP_BYTES), Some(1..=4 | 12 | 13 | 17 | 251..))
    }

    /// The entry that the log holds; nothing for what is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (stamp, command) = bytes.split_first_chunk::<STAMP_BYTES>()?;
        let at = WallTime::from_unix_nanos(u64::from_le_bytes(*stamp));
        Some(Self { at, command: decode_value(command).ok()? })
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// A task (rule T1).
    Submit(Box<Submit>),
    /// A worker takes what is ready (rules T2, T2a).
    Claim(Box<Claim>),
    /// A worker says what became of an attempt (rule T3).
    Report {
        /// Which step.
        step: StepKey,
        /// The fence of the attempt.
        fence: FenceToken,
        /// What.
        outcome: Outcome,
    },
    /// The owner ends a worker's claims: those up to that number (rule T4).
    End {
        /// Whose.
        worker: Incarnation,
        /// The newest claim that is to end.
        upto: u64,
        /// Why.
        why: Ended,
    },
    /// What is due by the stamp becomes so, and chores go on (rules T5, T13).
    Due,
    /// A task is to stop (rule T8).
    Cancel {
        /// Which.
        task: SubmissionId,
        /// How.
        mode: CancelMode,
        /// Why, for people.
        reason: Box<str>,
    },
    /// A dead task begins again (rule T9).
    Replay {
        /// Which.
        task: SubmissionId,
        /// The generation that is dead.
        generation: u32,
    },
    /// A person answers an approval.
    Decide {
        /// Of which task.
        task: SubmissionId,
        /// Which step.
        step: Name,
        /// For which item, of one that is there once for each.
        item: Option<u32>,
        /// Yes.
        is_approved: bool,
        /// Who, and why, for people.
        words: Box<str>,
    },
    /// What holds for all tasks of an agent, unless they say otherwise.
    Policy {
        /// Which agent.
        agent: Name,
        /// What; nothing for the defaults.
        policy: Option<Policy>,
    },
    /// No step of an agent, or of any, is given out; or they are again.
    Pause {
        /// Which agent; all of them without.
        agent: Option<Name>,
        /// They are not given out.
        is_paused: bool,
    },
    /// What has ended long enough ago goes, before its retention is over.
    Purge {
        /// It ended before that.
        before: WallTime,
    },
    /// How many steps may run at once, or begin (rule T10).
    Limit {
        /// Of which limit.
        limit: LimitName,
        /// What is said of it.
        declared: Declared,
    },
    /// Another shard says something (rule T11).
    Take {
        /// Which one of the namespace.
        from: u32,
        /// What, in the order of its numbers.
        words: Vec<(u64, Word)>,
    },
    /// Other shards have taken what this one said.
    Taken {
        /// The numbers.
        numbers: Vec<u64>,
    },
    /// Something is to recur (rule T12).
    Schedule(Box<Scheduled>),
    /// It recurs no more. What was made of it stays.
    Unschedule {
        /// Which.
        name: Name,
    },
    /// Nothing is made of it for a while, or something is again.
    PauseSchedule {
        /// Which.
        name: Name,
        /// Nothing is made of it.
        is_paused: bool,
    },
    /// The owner says what has become due of a schedule, and what is next (rule T12).
    Fire(Fire),
}

/// What is to recur.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scheduled {
    /// Its name.
    pub name: Name,
    /// When it is due.
    pub schedule: Schedule,
    /// What is made of it. Its id names the schedule; the ids of the tasks follow from that, and from their due times.
    pub submit: Box<Submit>,
}

impl Scheduled {
    /// The name of the schedule of that name, which says in which shard it is.
    pub fn id(namespace: &Namespace, name: &Name) -> SubmissionId {
        SubmissionId::of(namespace, &[b"schedule/", name.as_str().as_bytes()].concat())
    }
}

/// What has become due of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fire {
    /// Which.
    pub name: Name,
    /// The place of the entry that said last what is to recur.
    pub version: u64,
    /// What it waits for; nothing for what waits to hear when it is due.
    pub due: Option<WallTime>,
    /// The latest due time that has come, if it waits for one: the task of that one is made.
    pub fires: Option<WallTime>,
    /// Those between, of which none is.
    pub missed: u32,
    /// What it waits for next; nothing when it is not due any more.
    pub next: Option<WallTime>,
}

/// A task, as it is submitted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Submit {
    /// Its name: of the namespace and the idempotency key.
    pub id: SubmissionId,
    /// What is to be done.
    pub what: What,
    /// The input of the task; of a workflow, what its steps call `workflow.input`.
    pub input: Option<Payload>,
    /// How urgent; of a workflow, where its steps do not say.
    pub priority: Priority,
    /// Not before this.
    pub not_before: Option<WallTime>,
    /// For people, and for finding it.
    pub labels: Vec<(Name, Box<str>)>,
    /// Who submitted it.
    pub principal: Option<Box<str>>,
    /// W3C trace context of the submission.
    pub traceparent: Option<Box<str>>,
    /// How long it is kept when it has ended; the default unless given.
    pub retention: Option<Duration>,
    /// While a task with this key is open no other is made. All with one key have to be in one shard:
    /// [`SubmissionId::beside`](SubmissionId::beside).
    pub unique: Option<Name>,
}

impl Submit {
    /// Beside this one are all tasks with that unique key.
    pub fn place_of(namespace: &Namespace, unique: &Name) -> SubmissionId {
        SubmissionId::of(namespace, &[b"unique/", unique.as_str().as_bytes()].concat())
    }
}

impl Submit {
    /// One of which nothing else is said.
    pub const fn new(id: SubmissionId, what: What) -> Self {
        Self {
            id,
            what,
            input: None,
            priority: Priority::Normal,
            not_before: None,
            labels: Vec::new(),
            principal: None,
            traceparent: None,
            retention: None,
            unique: None,
        }
    }
}

/// What a task is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum What {
    /// One step.
    Agent {
        /// Who does it.
        agent: Name,
        /// Labels that a worker must have.
        needs: Vec<(Name, Box<str>)>,
        /// How long an attempt may take.
        timeout: Option<Duration>,
        /// How often, and how soon again.
        retry: Option<Retry>,
        /// Steps with the same key share a limit.
        concurrency_key: Option<Name>,
    },
    /// Steps that depend on one another.
    Workflow(Workflow),
}

impl What {
    /// What people call it: the workflow's name, or the agent's.
    pub const fn name(&self) -> Option<&Name> {
        match self {
            Self::Agent { agent, .. } => Some(agent),
            Self::Workflow(workflow) => workflow.name.as_ref(),
        }
    }
}

impl What {
    /// One step of that agent, of which nothing else is said.
    pub const fn agent(agent: Name) -> Self {
        Self::Agent { agent, needs: Vec::new(), timeout: None, retry: None, concurrency_key: None }
    }
}

/// A worker takes what is ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Who.
    pub worker: Incarnation,
    /// In which session of its node: the end of that ends the claim, and the end of an earlier one does not.
    pub session: Option<SessionId>,
    /// Its number, one higher than the last one's that was answered; from 1.
    pub number: u64,
    /// The agents that it has.
    pub agents: Vec<Name>,
    /// The labels that it has.
    pub labels: Vec<(Name, Box<str>)>,
    /// Steps at most.
    pub count: u16,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done.
    Succeeded {
        /// What it gave.
        output: Payload,
        /// How many items the lists in the output have of which a step is to be there once for each.
        counts: Vec<(StepIndex, u32)>,
    },
    /// It is not.
    Failed {
        /// It may be tried again.
        is_worth_retrying: bool,
        /// Why, for people.
        words: Box<str>,
    },
    /// The agent was stopped, because the task was cancelled.
    Stopped,
    /// It was not begun, or given up without being at fault: it counts as no attempt.
    GivenBack,
}

/// Why claims end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ended {
    /// The worker was silent for the time to live of its claims.
    Silent,
    /// The session of its node has ended.
    Gone,
}

/// How a task is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CancelMode {
    /// What runs may end; nothing else begins.
    Soft,
    /// What runs is stopped, too.
    Hard,
}

/// What holds for all tasks of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// How often, and how soon again.
    pub retry: Option<Retry>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::ClusterEpoch;
    use crate::identity::{BootIncarnation, NodeId, StoreIncarnation};
    use crate::replication::LogSequence;
    use crate::task::id::TaskNumber;

    #[test]
    fn what_only_nodes_say_is_told_from_what_clients_say() {
        let (wall, name) = (WallTime::from_unix_nanos(1), Name::new("x").unwrap());
        let (task, step) = (SubmissionId::from_bytes([1; 16]), StepKey { task: TaskNumber(LogSequence(1)), row: 0 });
        let node = NodeId::from_bytes([1; 16]);
        let worker = Incarnation { node, store: StoreIncarnation(1), boot: BootIncarnation(1) };
        let (agents, labels) = (Vec::new(), Vec::new());
        let claim = Claim { worker, session: None, number: 1, agents, labels, count: 1 };
        let fire = Fire { name: name.clone(), version: 1, due: None, fires: None, missed: 0, next: None };
        let submit = || Box::new(Submit::new(task, What::agent(Name::new("x").unwrap())));
        let schedule = Schedule::every(Duration::from_secs(1), wall).unwrap();
        let said = |command: &Command| Entry::is_of_nodes(&Entry::unstamped(command).unwrap());
        let of_nodes = [
            Command::Claim(Box::new(claim)),
            Command::Report { step, fence: FenceToken::new(ClusterEpoch(1), 1), outcome: Outcome::GivenBack },
            Command::End { worker, upto: 1, why: Ended::Silent },
            Command::Due,
            Command::Take { from: 1, words: Vec::new() },
            Command::Taken { numbers: Vec::new() },
            Command::Fire(fire),
        ];
        let of_clients = [
            Command::Submit(submit()),
            Command::Cancel { task, mode: CancelMode::Soft, reason: "".into() },
            Command::Replay { task, generation: 0 },
            Command::Decide { task, step: name.clone(), item: None, is_approved: true, words: "".into() },
            Command::Policy { agent: name.clone(), policy: None },
            Command::Pause { agent: None, is_paused: true },
            Command::Purge { before: wall },
            Command::Limit { limit: LimitName::Key(name.clone()), declared: Declared { version: 1, bounds: None } },
            Command::Schedule(Box::new(Scheduled { name: name.clone(), schedule, submit: submit() })),
            Command::Unschedule { name: name.clone() },
            Command::PauseSchedule { name, is_paused: true },
        ];
        assert!(of_nodes.iter().all(said) && !of_clients.iter().any(said));
        assert!(!Entry::is_of_nodes(&[1; 3]));
        // The number of a claim, in three bytes.
        let longer = [&[0; STAMP_BYTES][..], &[251, 1, 0]].concat();
        assert!(Entry::is_of_nodes(&longer));
    }
}
