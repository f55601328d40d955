//! Has the namespace declared, and limits of tasks in each of its shards: asks any member, again and again until that is done.

use super::{AGAIN, PATIENCE, Part, Shared, answer, ask, tasks};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::shards::state::task_command;
use relaymesh_core::task::command::Command;

#[derive(Debug)]
pub(super) struct Declarer {
    stream: Stream,
    rest_until: TrueTime,
    refusals: u32,
    last: Option<Answer>,
    /// The namespace is there; so many limits are.
    are_shards_there: bool,
    limits: u32,
}

impl Declarer {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, rest_until: TrueTime(0), refusals: 0, last: None, are_shards_there: false, limits: 0 }
    }
}

impl Declarer {
    /// The next limit, of the next shard.
    fn limit(&self, shared: &Shared) -> Question {
        let shard = shared.shard(self.limits % shared.load.shards);
        let (limit, declared) = tasks::limits().swap_remove((self.limits / shared.load.shards) as usize);
        Question::Submit { shard, command: task_command(&Command::Limit { limit, declared }).unwrap_or_default() }
    }
}

impl Part for Declarer {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        if shared.is_declared {
            return Turn::Done;
        }
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        let (namespace, load) = (shared.namespace, &shared.load);
        let (shards, copies, minimum) = (load.shards, load.copies, load.minimum);
        let question = match self.are_shards_there {
            false => Question::Declare { namespace, shards, copies, minimum },
            true => self.limit(shared),
        };
        ask(shared.some_member(&mut self.stream), question, PATIENCE)
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        self.last = answer(outcome);
        match self.last {
            Some(Answer::Declared) => self.are_shards_there = true,
            Some(Answer::Done(_)) => self.limits += 1,
            _ => {}
        }
        let limits = if shared.tasks.limits { tasks::limits().len() as u32 * shared.load.shards } else { 0 };
        shared.is_declared = self.are_shards_there && self.limits >= limits;
        self.refusals += u32::from(!shared.is_declared);
        let is_well = matches!(self.last, Some(Answer::Declared | Answer::Done(_)));
        self.rest_until = if is_well { now } else { now + AGAIN };
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        let what = || format!("the shards to be declared, {} times in vain: {:?}", self.refusals, self.last);
        (!shared.is_declared).then(what)
    }

    fn declares(&self) -> bool {
        true
    }
}
