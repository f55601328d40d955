//! Who has tasks recur, and in the end has that stop, so that what was made of it can be counted.

use super::super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use super::stories::schedules;
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use relaymesh_core::codec::decode_value;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::shards::state::task_command;
use relaymesh_core::task::answer::{Answer as Told, Refusal};
use relaymesh_core::task::command::{Command, Scheduled};

#[derive(Debug)]
pub(in super::super) struct Recurrer {
    stream: Stream,
    rest_until: TrueTime,
    /// Schedules that are there.
    said: usize,
    /// Those of which it is said that they are to stop.
    stopped: usize,
    is_stopping: bool,
    last: Option<String>,
}

impl Recurrer {
    pub(in super::super) fn new(stream: Stream) -> Self {
        Self { stream, rest_until: TrueTime(0), said: 0, stopped: 0, is_stopping: false, last: None }
    }

    fn ask(&mut self, shared: &Shared, name: &Scheduled, command: &Command) -> Turn<Request> {
        let id = Scheduled::id(&shared.namespace, &name.name);
        let shard = ShardId::of_submission(shared.namespace, shared.load.shards, &id);
        let question = Question::Submit { shard, command: task_command(command).unwrap_or_default() };
        ask(shared.some_member(&mut self.stream), question, PATIENCE)
    }
}

impl Part for Recurrer {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        self.is_stopping = !offering;
        let all = schedules(&shared.namespace);
        match (offering, all.get(if offering { self.said } else { self.stopped })) {
            (true, None) => Turn::Rest(now + AGAIN),
            (false, None) => Turn::Done,
            (true, Some(next)) => self.ask(shared, next, &Command::Schedule(Box::new(next.clone()))),
            (false, Some(next)) => {
                let command = Command::PauseSchedule { name: next.name.clone(), is_paused: true };
                self.ask(shared, next, &command)
            }
        }
    }

    fn outcome(&mut self, _: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let told = match answer(outcome) {
            Some(Answer::Done(bytes)) => decode_value::<Told>(&bytes.0).ok(),
            _ => None,
        };
        let is_done = matches!(told, Some(Told::Done { .. } | Told::Refused(Refusal::NoSchedule)));
        match self.is_stopping {
            false => self.said += usize::from(is_done),
            true => self.stopped += usize::from(is_done),
        }
        self.last = Some(format!("{told:?}"));
        self.rest_until = if is_done { now } else { now + AGAIN };
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        let left = schedules(&shared.namespace).len() - self.stopped;
        (left > 0).then(|| format!("{left} schedules to stop; {:?}", self.last))
    }
}
