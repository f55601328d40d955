//! Tasks, told from outside: what commands come to, and what can be seen afterwards.
//!
//! After each command everything that follows from the rows is checked against them (`check`).

mod cancel;
mod check;
mod chores;
mod claims;
mod ends;
mod flows;
mod limits;
mod order;
mod people;
mod pieces;
mod random;
mod reference;
mod replay;
mod reports;
mod retention;
mod retries;
mod schedules;
mod submissions;
mod who;

use super::Tasks;
use crate::blob::BlobAddress;
use crate::codec::encode_value;
use crate::control::state::Name as Namespace;
use crate::epoch::{ClusterEpoch, Epoch};
use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use crate::replication::blobs::{BlobTable, References};
use crate::replication::once::SubmissionId;
use crate::replication::{LogSequence, Position, Service};
use crate::task::answer::{Answer, Job, Query, Refusal, Status};
use crate::task::command::{CancelMode, Claim, Command, Ended, Entry, Outcome, Submit, What};
use crate::task::payload::Payload;
use crate::task::view::{Counts, StepStatus, StepView, TaskView};
use crate::task::workflow::{Name, Priority, StepIndex, Workflow};
use crate::time::{Duration, WallTime};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Rows above which a state is not checked after each command.
const CHECKED_ROWS_MAX: u64 = 200;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// What the client calls `key`.
fn id(key: &str) -> SubmissionId {
    SubmissionId::of(&Namespace::new("n").unwrap(), key.as_bytes())
}

fn worker(number: u8) -> Incarnation {
    Incarnation { node: NodeId::from_bytes([number; 16]), store: StoreIncarnation(1), boot: BootIncarnation(1) }
}

fn wall(seconds: u64) -> WallTime {
    WallTime::from_unix_nanos(seconds * 1_000_000_000)
}

fn address(number: u8) -> BlobAddress {
    BlobAddress([number; 24])
}

fn blob(number: u8) -> Payload {
    Payload::Blob { address: address(number), bytes: 20_000 }
}

fn labels(texts: &[(&str, &str)]) -> Vec<(Name, Box<str>)> {
    texts.iter().map(|(key, text)| (name(key), (*text).into())).collect()
}

/// One step for that agent.
fn one(key: &str, agent: &str) -> Submit {
    let what = What::agent(name(agent));
    Submit::new(id(key), what)
}

/// A workflow of these steps, as JSON.
fn flow(key: &str, steps: &str) -> Submit {
    let json = format!("{{\"steps\":[{steps}]}}");
    Submit { what: What::Workflow(Workflow::from_json(json.as_bytes()).unwrap()), ..one(key, "unused") }
}

/// A step of a workflow with the agent `x`, and what else is said of it.
fn step(id: &str, rest: &str) -> String {
    format!("{{\"id\":\"{id}\",\"agent\":\"x\"{}{rest}}}", if rest.is_empty() { "" } else { "," })
}

fn succeeded(output: &str) -> Outcome {
    Outcome::Succeeded { output: Payload::inline(output.as_bytes()), counts: vec![] }
}

/// It succeeded, and the lists for those steps have so many items.
fn listed(counts: &[(u16, u32)]) -> Outcome {
    let counts = counts.iter().map(|(step, count)| (StepIndex(*step), *count)).collect();
    Outcome::Succeeded { output: Payload::inline(b"[]"), counts }
}

fn failed(is_worth_retrying: bool) -> Outcome {
    Outcome::Failed { is_worth_retrying, words: "no".into() }
}

fn no_more() -> Answer {
    Answer::Done { has_more: false }
}

/// The tasks of a shard, and the log that leads to them.
#[derive(Clone, Default)]
struct Shard {
    tasks: Tasks,
    blobs: BlobTable,
    sequence: u64,
    /// What the owner's wall clock shows.
    now: WallTime,
    /// The numbers of the workers' last claims.
    claims: Vec<(Incarnation, u64)>,
}

impl Tasks {
    /// Something of it runs with that worker, under that fence.
    fn is_running(&self, step: crate::task::id::StepKey, worker: Incarnation, fence: crate::epoch::FenceToken) -> bool {
        let row = self.tables.steps.get(&step).and_then(|row| row.running());
        row.is_some_and(|running| (running.worker, running.fence) == (worker, fence))
    }
}

impl Shard {
    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = wall(seconds);
        self
    }

    /// A blob is there, by an entry of its own.
    fn bring(&mut self, number: u8) {
        self.sequence += 1;
        assert!(self.blobs.bring(address(number), 20_000, LogSequence(self.sequence)));
    }

    fn references(&self, number: u8) -> u64 {
        self.blobs.row(&address(number)).map_or(0, |row| row.references)
    }

    fn apply_bytes(&mut self, command: &[u8]) -> Answer {
        self.sequence += 1;
        let sequence = LogSequence(self.sequence);
        let position = Position { epoch: Epoch { cluster: ClusterEpoch(1), lease: 1 }, sequence };
        self.tasks.apply(position, command, &mut References::new(&mut self.blobs, sequence))
    }

    fn apply(&mut self, command: &Command) -> Answer {
        let mut bytes = Entry::unstamped(command).unwrap();
        Tasks::stamp(&mut bytes, self.now);
        let answer = self.apply_bytes(&bytes);
        if self.counts().steps <= CHECKED_ROWS_MAX {
            check::holds(&self.tasks, &self.blobs);
        }
        answer
    }

    fn submit(&mut self, submit: Submit) -> Answer {
        self.apply(&Command::Submit(Box::new(submit)))
    }

    /// A submission that is new, and open.
    fn add(&mut self, submit: Submit) {
        let answer = self.submit(submit);
        assert!(matches!(answer, Answer::Submitted { is_known: false, .. }), "{answer:?}");
    }

    /// The next claim of a worker.
    fn next_claim(&mut self, number: u8, agents: &[&str], count: u16) -> Claim {
        let worker = worker(number);
        if !self.claims.iter().any(|(known, _)| *known == worker) {
            self.claims.push((worker, 0));
        }
        let (_, last) = self.claims.iter_mut().find(|(known, _)| *known == worker).unwrap();
        *last += 1;
        let agents = agents.iter().map(|it| name(it)).collect();
        Claim { worker, session: None, number: *last, agents, labels: vec![], count }
    }

    fn claim_as(&mut self, claim: Claim) -> Vec<Job> {
        match self.apply(&Command::Claim(Box::new(claim))) {
            Answer::Claimed(jobs) => jobs,
            other => panic!("a claim was answered {other:?}"),
        }
    }

    fn claim(&mut self, number: u8, agents: &[&str], count: u16) -> Vec<Job> {
        let claim = self.next_claim(number, agents, count);
        self.claim_as(claim)
    }

    /// One step of the agent `x`, for worker 1.
    fn take(&mut self) -> Job {
        self.claim(1, &["x"], 1).pop().expect("something is ready")
    }

    /// The names of the steps, or the keys they cannot have, that worker 1 is given, for `x`.
    fn names(&mut self, count: u16) -> Vec<String> {
        let jobs = self.claim(1, &["x"], count);
        let called = |job: &Job| job.name.as_ref().map_or_else(String::new, |name| name.as_str().into());
        jobs.iter().map(|job| called(job) + &job.item.map_or_else(String::new, |item| format!(".{item}"))).collect()
    }

    fn report(&mut self, job: &Job, outcome: Outcome) -> Answer {
        self.apply(&Command::Report { step: job.step, fence: job.fence, outcome })
    }

    fn succeed(&mut self, job: &Job) {
        assert_eq!(self.report(job, succeeded("1")), Answer::Reported);
    }

    /// Takes the next step of `x`, which has that name, and does it.
    fn does(&mut self, called: &str, outcome: Outcome) -> Job {
        let job = self.take();
        assert_eq!(job.name.as_ref().map(Name::as_str), Some(called));
        assert_eq!(self.report(&job, outcome), Answer::Reported);
        job
    }

    fn end(&mut self, number: u8, upto: u64, why: Ended) -> Answer {
        self.apply(&Command::End { worker: worker(number), upto, why })
    }

    fn due(&mut self) -> Answer {
        self.apply(&Command::Due)
    }

    /// Goes on until there is nothing to do at this time; after how many entries.
    fn drain(&mut self) -> u32 {
        for entries in 1..1_000 {
            if self.due() == no_more() {
                return entries;
            }
        }
        panic!("there is always more to do");
    }

    fn cancel(&mut self, key: &str, mode: CancelMode) -> Answer {
        self.apply(&Command::Cancel { task: id(key), mode, reason: "why not".into() })
    }

    fn replay(&mut self, key: &str, generation: u32) -> Answer {
        self.apply(&Command::Replay { task: id(key), generation })
    }

    fn decide(&mut self, key: &str, step: &str, is_approved: bool) -> Answer {
        let (task, step) = (id(key), name(step));
        self.apply(&Command::Decide { task, step, item: None, is_approved, words: "so be it".into() })
    }

    fn read(&self, query: &Query) -> Answer {
        let mut bytes = vec![];
        encode_value(query, 1 << 16, &mut bytes).unwrap();
        self.tasks.read(&bytes)
    }

    fn view(&self, key: &str) -> Option<TaskView> {
        let mut view: Option<TaskView> = None;
        loop {
            let from = view.as_ref().and_then(|view| view.steps.last()).map_or(0, |step| step.row + 1);
            match self.read(&Query::Task { task: id(key), from }) {
                Answer::Refused(Refusal::NoTask) => return None,
                Answer::Task(more) if more.steps.is_empty() => return view.or(Some(*more)),
                Answer::Task(more) => match &mut view {
                    Some(view) => view.steps.extend(more.steps),
                    None => view = Some(*more),
                },
                other => panic!("a task is shown as {other:?}"),
            }
        }
    }

    fn status(&self, key: &str) -> Status {
        self.view(key).expect("the task is there").status
    }

    fn steps(&self, key: &str) -> Vec<StepView> {
        self.view(key).expect("the task is there").steps
    }

    fn step(&self, key: &str, row: u32) -> StepView {
        self.steps(key).into_iter().find(|step| step.row == row).expect("the step is there")
    }

    /// The states of a task's steps, in a word each.
    fn states(&self, key: &str) -> String {
        let words: Vec<&str> = self.steps(key).iter().map(|step| word(&step.state)).collect();
        words.join(" ")
    }

    fn counts(&self) -> Counts {
        match self.read(&Query::Counts) {
            Answer::Counts(counts) => counts,
            other => panic!("counts are {other:?}"),
        }
    }
}

fn word(state: &StepStatus) -> &'static str {
    match state {
        StepStatus::Waiting { .. } => "waiting",
        StepStatus::Delayed { .. } => "delayed",
        StepStatus::Asking => "asking",
        StepStatus::Ready { .. } => "ready",
        StepStatus::Running { .. } => "running",
        StepStatus::Expanded { .. } => "expanded",
        StepStatus::Succeeded { .. } => "succeeded",
        StepStatus::Dead => "dead",
        StepStatus::Cancelled => "cancelled",
        StepStatus::Limited { .. } => "limited",
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
