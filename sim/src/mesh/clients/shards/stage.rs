//! Sets the stage: has every shard handed to one node, and looks until that is so.

use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::format;
use alloc::string::String;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Reply as Answer, Request as Question, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// To see who owns what.
    Look,
    /// To have this one handed over.
    HandOver(ShardId),
    Done,
}

#[derive(Debug)]
pub(super) struct Stage {
    rest_until: TrueTime,
    step: Step,
}

impl Stage {
    pub(super) fn new(at: TrueTime) -> Self {
        Self { rest_until: at, step: Step::Look }
    }

    /// The first shard that somebody else owns, if all of them are there.
    fn looked(&mut self, shared: &Shared, table: &Table) {
        if table.rows.len() < shared.load.shards as usize {
            return;
        }
        let owner = node_id(shared.load.owner);
        let is_elsewhere = |owned: Option<_>| owned != Some(owner);
        let other = table.rows.iter().find(|row| is_elsewhere(row.record.owner.map(|process| process.node)));
        self.step = other.map_or(Step::Done, |row| Step::HandOver(row.shard));
    }
}

impl Part for Stage {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        let owner = shared.load.owner;
        match self.step {
            Step::Look => ask(owner, Question::List { after: None }, PATIENCE),
            Step::HandOver(shard) => ask(owner, Question::HandOver { shard, to: Some(node_id(owner)) }, PATIENCE),
            Step::Done => Turn::Done,
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        match answer(outcome) {
            Some(Answer::Shards(table)) => self.looked(shared, &table),
            _ => self.step = Step::Look,
        }
        if self.step == Step::Look {
            self.rest_until = now + AGAIN;
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Done).then(|| format!("the shards to be handed over: {:?}", self.step))
    }
}
