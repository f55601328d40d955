//! What clients and agents are told of tasks: TASK-2, TASK-3, and TASK-1 as they see it.
//!
//! What an agent gives follows from its input, but for the marks of attempts; so what every step of a workflow has to be given,
//! and has to come to, is worked out when it is submitted, by the definition and nothing else.

use super::super::{MeshChecks, TASK_1, TASK_2, TASK_3, TASK_4};
use super::attempts::{Attempts, unmarked};
use super::expected::{Expected, Place, expected};
use super::times::Times;
use crate::check::Findings;
use crate::time::TrueTime;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use relaymesh_core::codec::decode_value;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::replication::{LogSequence, Service};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Fate, Reply as Answer, Request as Question};
use relaymesh_core::shards::state::{Answer as Said, TASKS, task_query};
use relaymesh_core::task::answer::{Answer as Told, Query, Refusal, Status};
use relaymesh_core::task::command::{Command, Entry, Submit};
use relaymesh_core::task::id::{StepKey, TaskNumber};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::view::{StepStatus, TaskView};
use relaymesh_core::task::worker::view::{self, Order, Run, RunEnd, RunKey};
use relaymesh_core::task::workflow::{Name, Retry};

#[derive(Debug)]
struct Watched {
    expected: BTreeMap<Place, Expected>,
    /// Steps that have ended well, as whoever ran them has said.
    succeeded: BTreeSet<Place>,
    /// Somebody was told that it is there.
    is_acknowledged: bool,
    /// How it ended, as was told first.
    ended: Option<Status>,
    /// Somebody has asked for it to begin again: that it is dead is not the last word any more, whenever it was said.
    is_replayed: bool,
}

/// All tasks of a run.
#[derive(Debug)]
pub(in super::super) struct Tasks {
    tasks: BTreeMap<(ShardId, SubmissionId), Watched>,
    runs: BTreeMap<RunKey, ((ShardId, SubmissionId), Place)>,
    attempts: Attempts,
    /// How many were said to have ended, once each.
    ended: u64,
    /// How a task was known to have ended when a client asked for it.
    asked: BTreeMap<u32, Option<Status>>,
    /// An operator may give up what is acknowledged.
    is_watched: bool,
}

impl Tasks {
    pub(super) fn new(is_watched: bool) -> Self {
        Self {
            tasks: BTreeMap::new(),
            runs: BTreeMap::new(),
            attempts: Attempts::default(),
            ended: 0,
            asked: BTreeMap::new(),
            is_watched,
        }
    }

    /// Nobody gives up what is acknowledged.
    pub(super) const fn is_watched(&self) -> bool {
        self.is_watched
    }

    fn submitted(&mut self, shard: ShardId, submit: &Submit) {
        self.tasks.entry((shard, submit.id)).or_insert_with(|| Watched {
            expected: expected(submit),
            succeeded: BTreeSet::new(),
            is_acknowledged: false,
            ended: None,
            is_replayed: false,
        });
    }

    /// A person agrees, or may have.
    fn approved(&mut self, name: (ShardId, SubmissionId), step: Name) {
        if let Some(task) = self.tasks.get_mut(&name) {
            task.succeeded.insert((Some(step), None));
        }
    }

    /// A client asks what has become of a task.
    fn asked_for(&mut self, client: u32, name: &(ShardId, SubmissionId)) {
        let known = self.tasks.get(name).and_then(|task| task.ended);
        self.asked.insert(client, known);
    }

    /// A task begins again, or may.
    fn replayed(&mut self, name: &(ShardId, SubmissionId)) {
        if let Some(task) = self.tasks.get_mut(name) {
            (task.ended, task.is_replayed) = (None, true);
        }
    }

    /// What is wrong with having that run.
    fn problem_of_run(&mut self, run: &Run, now: TrueTime) -> Option<(&'static str, String)> {
        let (name, place) = ((run.key.shard, run.task), (run.name.clone(), run.item));
        if self.runs.insert(run.key, (name, place.clone())).is_some() {
            return Some((TASK_2, "is run twice under one fence".into()));
        }
        if let Some(what) = self.attempts.began(run, now).filter(|_| self.is_watched) {
            return Some((TASK_2, what));
        }
        let task = self.tasks.get(&name)?;
        let Some(expected) = task.expected.get(&place) else { return Some((TASK_3, "is no step of its task".into())) };
        if unmarked(&run.input.0) != expected.input {
            let (given, due) = (String::from_utf8_lossy(&run.input.0), String::from_utf8_lossy(&expected.input));
            return Some((TASK_3, format!("is given {given:?} in the place of {due:?}")));
        }
        if let Some(missing) = expected.after.iter().find(|place| !task.succeeded.contains(place)) {
            return Some((TASK_3, format!("starts before {missing:?} has succeeded")));
        }
        match task.ended {
            Some(status) => Some((TASK_3, format!("starts, and the task was said to be {status:?}"))),
            None => None,
        }
    }

    /// With what a run shares a limit.
    fn key_of(&self, run: &Run) -> Option<Name> {
        let task = self.tasks.get(&(run.key.shard, run.task))?;
        task.expected.get(&(run.name.clone(), run.item))?.key.clone()
    }

    /// What is wrong with that having become of a task.
    fn problem_of_status(&mut self, client: u32, name: (ShardId, SubmissionId), status: Status) -> Option<String> {
        let known = self.asked.remove(&client).flatten();
        let task = self.tasks.get_mut(&name)?;
        if task.is_replayed && (status == Status::Dead || known == Some(Status::Dead)) {
            return None;
        }
        // What others were told since it was asked may be newer than this.
        if let Some(before) = known.filter(|before| *before != status) {
            return Some(format!("is {status:?} after it was {before:?}"));
        }
        let ended = task.ended.filter(|_| status.has_ended());
        if let Some(before) = ended.filter(|before| *before != status) {
            return Some(format!("has ended as {status:?}, and as {before:?}"));
        }
        if task.ended.is_none() && status.has_ended() {
            (task.ended, self.ended) = (Some(status), self.ended + 1);
        }
        None
    }

    /// What is wrong with what a task is said to be.
    fn problem_of_view(
        &mut self,
        (client, shard): (u32, ShardId),
        view: &TaskView,
        times: &mut Times,
    ) -> Option<(&'static str, String)> {
        if let Some(what) = self.problem_of_status(client, (shard, view.id), view.status) {
            return Some((TASK_2, what));
        }
        let task = self.tasks.get(&(shard, view.id))?;
        for step in &view.steps {
            let due = task.expected.get(&(step.name.clone(), step.item));
            let retry = due.map_or_else(Retry::default, |due| due.retry);
            let key = StepKey { task: TaskNumber(LogSequence(view.number)), row: step.row };
            let ran = |from, to| self.attempts.ran_between(shard, key, from, to);
            if let Some((invariant, what)) = due.and_then(|_| times.problem(step, retry, ran)) {
                return Some((invariant, format!("has {:?}, which {what}", (&step.name, step.item))));
            }
            let StepStatus::Succeeded { output: Some(Payload::Inline(output)) } = &step.state else { continue };
            let place = (&step.name, step.item);
            if due.is_none_or(|due| due.output != unmarked(output)) {
                let (output, due) =
                    (String::from_utf8_lossy(output), due.map(|due| String::from_utf8_lossy(&due.output)));
                return Some((TASK_2, format!("has come to {output:?} at {place:?}, and not to {due:?}")));
            }
            if let Some(what) = self.attempts.committed(shard, key, output).filter(|_| self.is_watched) {
                return Some((TASK_2, format!("has {place:?}, which {what}")));
            }
        }
        None
    }
}

/// A command for the tasks of a shard.
pub(super) fn command(bytes: &[u8]) -> Option<Command> {
    let (first, rest) = bytes.split_first()?;
    Some(Entry::read(rest).filter(|_| *first == TASKS)?.command)
}

fn query(bytes: &[u8]) -> Option<Query> {
    let (first, rest) = bytes.split_first()?;
    decode_value(rest).ok().filter(|_| *first == TASKS)
}

impl MeshChecks {
    /// A client, or whoever runs agents, asks.
    pub(super) fn tasks_asked(&mut self, (client, host): (u32, u32), request: &Request, found: &Findings) {
        let tasks = &mut self.shards.tasks;
        match request {
            Request::Shards(Question::SubmitOnce { shard, command: bytes, .. }) => {
                if let Some(Command::Submit(submit)) = command(&bytes.0) {
                    tasks.submitted(*shard, &submit);
                }
            }
            Request::Shards(Question::Submit { shard, command: bytes }) => match command(&bytes.0) {
                Some(Command::Schedule(scheduled)) => self.shards.schedules.said(&scheduled.name, found.now),
                Some(Command::Decide { task, step, is_approved: true, .. }) => tasks.approved((*shard, task), step),
                Some(Command::Replay { task, .. }) => tasks.replayed(&(*shard, task)),
                Some(Command::Cancel { task, .. }) => tasks.asked_for(client, &(*shard, task)),
                _ => {}
            },
            Request::Shards(Question::Read { shard, query: bytes }) => {
                if let Some(Query::Task { task, .. }) = query(&bytes.0) {
                    tasks.asked_for(client, &(*shard, task));
                }
            }
            // Whoever runs agents has begun anew: nothing runs there.
            Request::Work(view::Request::Attach { .. }) => self.shards.limits.died(host),
            Request::Work(view::Request::Ended { run, end }) => {
                self.shards.limits.ended(run);
                if !matches!(end, RunEnd::Succeeded { .. }) {
                    return;
                }
                if let Some((name, place)) = tasks.runs.get(run).cloned()
                    && let Some(task) = tasks.tasks.get_mut(&name)
                {
                    task.succeeded.insert(place);
                }
            }
            _ => {}
        }
    }

    /// They are told something.
    pub(super) fn tasks_answered(
        &mut self,
        (client, host): (u32, u32),
        request: &Request,
        reply: &Reply,
        found: &mut Findings,
    ) {
        match (request, reply) {
            (_, Reply::Work(view::Reply::Orders(orders))) => {
                for order in orders {
                    let Order::Run(run) = order else { continue };
                    self.exercised.task_3 += 1;
                    let behind = self.problem_of_cancelled(run).map(|what| (TASK_3, what));
                    if let Some((invariant, what)) = self.shards.tasks.problem_of_run(run, found.now).or(behind) {
                        found.fail(invariant, &[host], format!("{:?} of {} {what}", run.key, run.task));
                    }
                    let key = self.shards.tasks.key_of(run);
                    let limits = &mut self.shards.limits;
                    if let Some(what) = limits.began(host, run, key) {
                        found.fail(TASK_4, &[host], format!("{:?} of {} {what}", run.key, run.task));
                    }
                    self.exercised.task_4 = limits.exercised();
                }
            }
            (Request::Shards(Question::SubmitOnce { shard, command: bytes, .. }), Reply::Shards(answer)) => {
                let Some(Command::Submit(submit)) = command(&bytes.0) else { return };
                let is_there = match answer {
                    Answer::Done(bytes) => matches!(decode_value(&bytes.0), Ok(Told::Submitted { .. })),
                    Answer::Taken | Answer::Outcome(Fate::Taken(_)) => true,
                    _ => false,
                };
                if let Some(task) = self.shards.tasks.tasks.get_mut(&(*shard, submit.id)).filter(|_| is_there) {
                    task.is_acknowledged = true;
                }
            }
            (Request::Shards(Question::Submit { shard, command: bytes }), Reply::Shards(Answer::Done(told))) => {
                if let (Some(Command::Cancel { task, .. }), Ok(Told::Cancel(status))) =
                    (command(&bytes.0), decode_value(&told.0))
                {
                    if matches!(status, Status::Cancelling | Status::Cancelled) {
                        self.shards.said.cancelled(*shard, task);
                    }
                    if let Some(what) = self.shards.tasks.problem_of_status(client, (*shard, task), status) {
                        found.fail(TASK_2, &[host], format!("task {task} of {shard} {what}"));
                    }
                }
            }
            (Request::Shards(Question::Read { shard, query: bytes }), Reply::Shards(Answer::Done(told))) => {
                if let (Some(Query::Task { task, .. }), Ok(told)) = (query(&bytes.0), decode_value(&told.0)) {
                    self.task_told((client, host), (*shard, task), &told, found);
                }
            }
            _ => {}
        }
    }

    fn task_told(
        &mut self,
        (client, host): (u32, u32),
        (shard, id): (ShardId, SubmissionId),
        told: &Told,
        found: &mut Findings,
    ) {
        let (tasks, times) = (&mut self.shards.tasks, &mut self.shards.times);
        let problem = match told {
            Told::Task(view) => {
                let problem = tasks.problem_of_view((client, shard), view, times);
                (self.exercised.task_2, self.exercised.task_6) = (tasks.ended, times.retries);
                self.exercised.task_7 = times.silences;
                problem
            }
            Told::Refused(Refusal::NoTask) => {
                let is_lost =
                    tasks.tasks.get(&(shard, id)).is_some_and(|task| task.is_acknowledged && tasks.is_watched);
                is_lost.then(|| (TASK_1, "was acknowledged, and is not there".into()))
            }
            _ => None,
        };
        if let Some((invariant, what)) = problem {
            found.fail(invariant, &[host], format!("task {id} of {shard} {what}"));
        }
    }

    /// TASK-1: the run is over, and everything is healed.
    pub(in super::super) fn check_tasks(&mut self, found: &mut Findings) {
        let shards = &self.shards;
        for ((shard, id), _) in
            shards.tasks.tasks.iter().filter(|(_, task)| task.is_acknowledged && shards.tasks.is_watched)
        {
            let Some(state) = shards.digests.newest(shard) else { continue };
            let query = task_query(&Query::Task { task: *id, from: 0 });
            if let Said::Tasks(Told::Refused(Refusal::NoTask)) = state.service().read(&query.0) {
                found.fail(TASK_1, &[], format!("task {id} of {shard} was acknowledged, and no replica has it"));
            }
        }
    }
}
