//! Who submits tasks under keys, cancels some of them, approves and replays, and asks in the end what became of all.

use super::super::{Part, Shared, answer, ask};
use super::stories::{APPROVED, draw};
use crate::streams::{MILLION, Stream};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use relaymesh_core::bytes::Blob;
use relaymesh_core::codec::decode_value;
use relaymesh_core::machine::{Chooser, Seeded};
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::shards::state::{task_command, task_query};
use relaymesh_core::task::answer::{Answer as Told, Query, Refusal, Status};
use relaymesh_core::task::command::{CancelMode, Command};
use relaymesh_core::task::view::{StepStatus, TaskView};
use relaymesh_core::time::Duration;

/// Of questions for approval, the share that is answered with no.
const REJECTED: u64 = MILLION / 5;
/// Share of what died that is replayed.
const REPLAYED: u64 = MILLION / 2;
/// Of what is done while there is load, the share of questions what has become of something.
const LOOKED_AT: u64 = MILLION / 8;
/// A key is submitted again so often, where it is not known what became of it.
const AGAIN_MAX: u32 = 3;
/// Pause between two questions what became of something.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// What was asked.
#[derive(Clone, Debug)]
enum Asked {
    Submit {
        number: u64,
        times: u32,
    },
    /// What nobody has to know more of than that it was asked.
    Other,
    Status,
}

#[derive(Debug)]
pub(in super::super) struct Submitter {
    number: u64,
    stream: Stream,
    rest_until: TrueTime,
    count: u64,
    asked: Option<Asked>,
    /// What is to be submitted again.
    again: Option<(u64, u32)>,
    /// What is to be said of a task.
    next: Option<(u64, Command)>,
    /// What was taken, or may have been, and is not known to have ended.
    open: VecDeque<u64>,
    last: Option<String>,
}

impl Submitter {
    pub(in super::super) fn new(number: u32, stream: Stream) -> Self {
        Self {
            number: u64::from(number),
            stream,
            rest_until: TrueTime(0),
            count: 0,
            asked: None,
            again: None,
            next: None,
            open: VecDeque::new(),
            last: None,
        }
    }

    fn key(&self, number: u64) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.number.to_le_bytes());
        key[8..].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn place(&self, shared: &Shared, number: u64) -> (ShardId, SubmissionId) {
        let key = self.key(number);
        (ShardId::of_key(shared.namespace, shared.load.shards, &key), SubmissionId::of(&shared.namespace, &key))
    }

    fn ask(&mut self, shared: &Shared, asked: Asked, question: Question) -> Turn<Request> {
        self.asked = Some(asked);
        ask(shared.some_member(&mut self.stream), question, shared.load.timeout.0)
    }

    fn submit(&mut self, shared: &Shared, number: u64, times: u32) -> Turn<Request> {
        let (shard, id) = self.place(shared, number);
        // What is submitted again is the same.
        let mut drawn = Seeded::new(self.number, number);
        let command = command(&Command::Submit(draw(id, number, &shared.tasks, &mut drawn).into()));
        let question = Question::SubmitOnce { shard, key: Blob(self.key(number).into()), command };
        self.ask(shared, Asked::Submit { number, times }, question)
    }

    /// Cancels it, perhaps.
    fn may_cancel(&mut self, shared: &Shared, number: u64) {
        if self.stream.happens(shared.tasks.cancels.0) {
            let (_, task) = self.place(shared, number);
            let mode = if self.stream.below(2) == 0 { CancelMode::Soft } else { CancelMode::Hard };
            self.next = Some((number, Command::Cancel { task, mode, reason: "changed my mind".into() }));
        }
    }

    /// What a person does who looks at a task.
    fn may_decide(&mut self, number: u64, view: &TaskView) {
        let task = view.id;
        let asking = view.steps.iter().find(|step| step.state == StepStatus::Asking).and_then(|step| step.name.clone());
        if let Some(step) = asking {
            let is_approved = !self.stream.happens(REJECTED);
            let words = if is_approved { APPROVED } else { "no" }.into();
            self.next = Some((number, Command::Decide { task, step, item: None, is_approved, words }));
        } else if view.status == Status::Dead && view.generation == 0 && self.stream.happens(REPLAYED) {
            self.next = Some((number, Command::Replay { task, generation: 0 }));
        }
    }

    fn status(&mut self, shared: &Shared, number: u64) -> Turn<Request> {
        let (shard, task) = self.place(shared, number);
        let query = task_query(&Query::Task { task, from: 0 });
        self.ask(shared, Asked::Status, Question::Read { shard, query })
    }

    fn submitted(&mut self, shared: &Shared, number: u64, times: u32, answer: Option<&Answer>) {
        match answer {
            Some(Answer::Done(_) | Answer::Taken | Answer::Parked { .. }) => {
                self.open.push_back(number);
                self.may_cancel(shared, number);
            }
            _ if times < AGAIN_MAX => self.again = Some((number, times + 1)),
            _ => {}
        }
    }

    fn status_told(&mut self, shared: &Shared, answer: Option<&Answer>) {
        let Some(number) = self.open.pop_front() else { return };
        let told = match answer {
            Some(Answer::Done(bytes)) => decode_value::<Told>(&bytes.0).ok(),
            _ => None,
        };
        if let Some(Told::Task(view)) = told.as_ref().filter(|_| shared.tasks.people) {
            self.may_decide(number, view);
        }
        let is_over = match &told {
            Some(Told::Task(task)) => task.status.has_ended() && self.next.is_none(),
            // What was parked may be lost with the disks that kept it; what was acknowledged, checkers watch.
            Some(Told::Refused(Refusal::NoTask)) => true,
            _ => false,
        };
        if !is_over {
            self.last = Some(format!("{number}: {told:?}, {answer:?}"));
            self.open.push_back(number);
        }
    }
}

fn command(command: &Command) -> Blob {
    task_command(command).unwrap_or_default()
}

impl Part for Submitter {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if let Some((number, times)) = self.again.take() {
            return self.submit(shared, number, times);
        }
        if let Some((number, said)) = self.next.take() {
            let (shard, _) = self.place(shared, number);
            return self.ask(shared, Asked::Other, Question::Submit { shard, command: command(&said) });
        }
        if offering && (self.open.is_empty() || !self.stream.happens(LOOKED_AT)) {
            self.count += 1;
            return self.submit(shared, self.count, 0);
        }
        match self.open.front().copied() {
            Some(number) => self.status(shared, number),
            None => Turn::Done,
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let think = self.stream.span(shared.load.think.from, shared.load.think.to);
        let answer = answer(outcome);
        let asked = self.asked.take();
        self.rest_until = now + if matches!(asked, Some(Asked::Status)) { ASK_EVERY } else { think };
        match asked {
            Some(Asked::Submit { number, times }) => self.submitted(shared, number, times, answer.as_ref()),
            Some(Asked::Status) => self.status_told(shared, answer.as_ref()),
            Some(Asked::Other) | None => {}
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        let (left, last) = (self.open.len(), &self.last);
        (left > 0).then(|| format!("{left} of {} tasks that have not ended; {last:?}", self.count))
    }
}
