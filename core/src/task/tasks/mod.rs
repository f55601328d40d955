//! The tasks of a shard: the state above its log, and the one place where a task changes.
//!
//! | file | holds |
//! | --- | --- |
//! | `rows` | what there is of each task, step, class and worker |
//! | `tables` | the rows by name, and what can be told from them: who is ready, who is due |
//! | `classes` | steps that need the same |
//! | `submit` | a task comes to be |
//! | `graph` | a step begins, succeeds or dies, and what follows from that for others |
//! | `claim` | a worker takes what is ready |
//! | `report` | an attempt is over |
//! | `permits` | a step that wants to run under limits |
//! | `gates` | a limit, and who has a permit of it |
//! | `post` | what the shard says to others, and hears of them |
//! | `due` | what waits for its time, and chores |
//! | `operate` | cancel, replay, approval, pause, policy, purge |
//! | `schedules` | what recurs, and what was made of it |
//! | `view` | what is told of tasks |
//! | `who` | what is told of agents and workers |
//! | `pieces` | snapshots |
//!
//! Everything here is a function of the entries before: nothing reads a clock, draws a number, or asks another shard.
//!
//! Absent on purpose: when an entry is written, which is the owner's to decide.

mod claim;
mod classes;
mod due;
mod gates;
mod graph;
mod operate;
mod permits;
mod pieces;
mod post;
mod report;
mod rows;
mod schedules;
mod submit;
mod tables;
mod view;
mod who;

#[cfg(test)]
mod tests;

pub use self::pieces::TasksReader;
pub use self::schedules::Waiting;

use self::tables::Tables;
use super::answer::{Answer, Query, Refusal};
use super::command::{Claim, Command, Entry, WORDS_BYTES_MAX};
use super::id::{StepKey, TaskNumber};
use super::word::Word;
use crate::blob::BlobAddress;
use crate::codec::decode_value;
use crate::control::state::SessionId;
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::replication::blobs::References;
use crate::replication::{PIECE_BYTES_MAX, PieceError, Position, Progress, Service};
use crate::time::{Duration, WallTime};
use core::hash::{Hash, Hasher};
use core::ops::Bound;

/// Tasks of a shard, at most.
pub const TASKS_MAX: usize = if cfg!(test) { 4_096 } else { 4_000_000 };
/// Classes of a shard, which are agents with labels, at most: a claim looks at each that its worker can serve.
pub const CLASSES_MAX: usize = if cfg!(test) { 128 } else { 4_096 };
/// Schedules of a shard, at most.
pub const SCHEDULES_MAX: usize = if cfg!(test) { 130 } else { 4_096 };
/// How long a task is kept when it has ended, unless it says otherwise.
pub const RETENTION: Duration = Duration::from_secs(7 * 86_400);
/// How long an attempt may take, unless somebody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of a submission: a task is one row of a snapshot, with the reason for which it is cancelled, and numbers.
pub const SUBMIT_BYTES_MAX: usize = PIECE_BYTES_MAX - WORDS_BYTES_MAX - 512;
/// Bytes of what is to recur: a schedule is one row of a snapshot, too, and what is made of it a submission.
pub const SCHEDULE_BYTES_MAX: usize = SUBMIT_BYTES_MAX - 1_024;
/// Steps that one entry makes due, and chores that it does.
pub const WORK_MAX: usize = 256;

/// The tasks of a shard.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tables: Tables,
    capture: pieces::Capture,
}

impl PartialEq for Tasks {
    fn eq(&self, other: &Self) -> bool {
        self.tables == other.tables
    }
}

impl Eq for Tasks {}

impl Hash for Tasks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tables.hash(state);
    }
}

/// The entry that is being applied.
#[derive(Clone, Copy, Debug)]
struct At {
    /// Its place, which names a task, as a fence names an attempt.
    number: TaskNumber,
    fence: FenceToken,
    wall: WallTime,
}

impl Tasks {
    /// When something becomes due, by a wall clock that shows `now`; the past where there is work already.
    pub fn next_due(&self, now: WallTime) -> Option<WallTime> {
        match self.tables.chores.live().is_empty() {
            true => self.tables.next_due(now),
            false => Some(WallTime::from_unix_nanos(0)),
        }
    }

    /// Whether a claim would be given something. O(classes of its agents).
    pub fn has_for(&self, claim: &Claim) -> bool {
        self.tables.matching(claim).any(|(class, _)| self.tables.has_ready(class))
    }

    /// Workers that have a claim, and the number of their newest one.
    pub fn workers(&self) -> impl Iterator<Item = (Incarnation, u64)> {
        self.tables.workers.live().iter().map(|(worker, row)| (*worker, row.number))
    }

    /// The session in which the newest claim of a worker was made.
    pub fn session_of(&self, worker: Incarnation) -> Option<SessionId> {
        self.tables.workers.get(&worker).and_then(|row| row.session)
    }

    /// The number of a worker's newest claim, if it has one.
    pub fn claim_of(&self, worker: Incarnation) -> Option<u64> {
        self.tables.workers.get(&worker).map(|row| row.number)
    }

    /// Rises when a step becomes ready. O(1).
    pub fn newest_ready(&self) -> u64 {
        self.tables.head.order
    }

    /// Steps that wait for a worker. O(1).
    pub fn ready(&self) -> usize {
        self.tables.ready.len()
    }

    /// What a worker has that it is to stop (rule T8).
    pub fn to_stop(&self, worker: Incarnation) -> impl Iterator<Item = (StepKey, FenceToken)> {
        self.tables.to_stop(worker)
    }

    /// Schedules of which something is to be said at that time, the first due first: what has become due, or when they are.
    pub fn recurring(&self, wall: WallTime) -> impl Iterator<Item = Waiting<'_>> {
        let waiting = self.tables.recurring.range(..=(wall, u64::MAX));
        waiting.filter_map(|(_, name)| Some(self.tables.schedules.get(name)?.waiting(name)))
    }

    /// When another one becomes due.
    pub fn next_recurring(&self, wall: WallTime) -> Option<WallTime> {
        let behind = (Bound::Excluded((wall, u64::MAX)), Bound::Unbounded);
        self.tables.recurring.range(behind).next().map(|((due, _), _)| *due)
    }

    /// What is to be said to other shards, from that number on, in the order of the numbers (rule T11).
    pub fn words(&self, from: u64) -> impl Iterator<Item = (u64, &Word)> {
        self.tables.outbox.live().range(from..).map(|(number, word)| (*number, word))
    }

    /// One of these, if nobody is known to have taken it.
    pub fn word(&self, number: u64) -> Option<&Word> {
        self.tables.outbox.get(&number)
    }

    /// Steps that a worker was given by its claims up to that one, and that run.
    pub fn given_to(&self, worker: Incarnation, upto: u64) -> impl Iterator<Item = (StepKey, FenceToken)> {
        let given = self.tables.running_of(worker, upto);
        given.filter_map(|step| Some((step, self.tables.steps.get(&step)?.running()?.fence)))
    }

    /// Whether a step runs under that fence.
    pub fn runs(&self, step: StepKey, fence: FenceToken) -> bool {
        self.tables.steps.get(&step).and_then(|row| row.running()).is_some_and(|running| running.fence == fence)
    }

    fn execute(&mut self, at: At, command: Command, blobs: &mut References<'_>) -> Answer {
        let tables = &mut self.tables;
        let done = match command {
            Command::Submit(submit) => tables.submit(at, *submit, blobs),
            Command::Claim(claim) => tables.claim(at, &claim),
            Command::Report { step, fence, outcome } => tables.report(at, (step, fence), outcome, blobs),
            Command::End { worker, upto, why } => Ok(tables.end_claims(at, worker, upto, why)),
            Command::Due => Ok(tables.due(at, blobs)),
            Command::Cancel { task, mode, reason } => tables.cancel(&task, mode, reason),
            Command::Replay { task, generation } => tables.replay(&task, generation),
            Command::Decide { task, step, item, is_approved, words } => {
                tables.decide(at, &task, (&step, item), (is_approved, words))
            }
            Command::Policy { agent, policy } => tables.set_policy(agent, policy),
            Command::Pause { agent, is_paused } => tables.pause(agent, is_paused),
            Command::Purge { before } => Ok(tables.purge(before)),
            Command::Limit { limit, declared } => {
                tables.declare(limit, declared).map(|()| Answer::Done { has_more: false })
            }
            Command::Take { from, words } => tables.take(at, from, words, blobs),
            Command::Taken { numbers } => Ok(tables.taken(&numbers)),
            Command::Schedule(scheduled) => tables.schedule(at, *scheduled),
            Command::Unschedule { name } => tables.unschedule(name),
            Command::PauseSchedule { name, is_paused } => tables.pause_schedule(at, name, is_paused),
            Command::Fire(fire) => Ok(tables.fire(at, fire)),
        };
        done.unwrap_or_else(Answer::Refused)
    }
}

impl Service for Tasks {
    type Answer = Answer;
    type Reader = TasksReader;

    fn stamp(command: &mut [u8], wall: WallTime) {
        Entry::stamp(command, wall);
    }

    fn apply(&mut self, at: Position, command: &[u8], blobs: &mut References<'_>) -> Answer {
        let bytes = command.len();
        let Some(Entry { at: wall, command }) = Entry::read(command) else {
            return Answer::Refused(Refusal::Malformed);
        };
        let limit = match &command {
            Command::Submit(_) => SUBMIT_BYTES_MAX,
            Command::Schedule(_) => SCHEDULE_BYTES_MAX,
            _ => usize::MAX,
        };
        if bytes > limit {
            return Answer::Refused(Refusal::TooMuch { what: "the submission".into(), limit: limit as u64 });
        }
        let fence = FenceToken::new(at.epoch.cluster, at.sequence.0);
        self.execute(At { number: TaskNumber(at.sequence), fence, wall }, command, blobs)
    }

    fn read(&self, query: &[u8]) -> Answer {
        match decode_value::<Query>(query) {
            Ok(query) => self.tables.answer(query).unwrap_or_else(Answer::Refused),
            Err(_) => Answer::Refused(Refusal::Malformed),
        }
    }

    fn backlog(&self) -> u64 {
        self.tables.ready.len() as u64
    }

    fn freeze(&mut self) {
        self.tables.freeze();
        self.capture = pieces::Capture::of(&self.tables);
    }

    fn next_piece(&mut self, limit: usize) -> Progress {
        self.capture.next(&mut self.tables, limit)
    }

    fn thaw(&mut self) {
        self.tables.thaw();
        self.capture = pieces::Capture::default();
    }

    fn take_piece(
        reader: &mut TasksReader,
        piece: &[u8],
        refers: &mut impl FnMut(BlobAddress),
    ) -> Result<(), PieceError> {
        reader.take(piece, refers)
    }

    fn finish(reader: TasksReader) -> Result<Self, PieceError> {
        Ok(Self { tables: reader.finish()?, capture: pieces::Capture::default() })
    }
}
