//! Drains members: one at a time, until no shard is owned or kept there, and then takes it back. In the end all are back.

use super::times::{Due, Times};
use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::scenario::PlacementLoad;
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::control::node::{Reply as ControlAnswer, Request as ControlQuestion};
use relaymesh_core::control::state::Cordon;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Reply as Answer, Request as Question, Row, Table};
use relaymesh_core::time::Duration;

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Rest,
    /// To have it drained.
    Drain(u32),
    /// To see whether anything is left on it.
    Look(u32),
    /// To take it back.
    TakeBack(u32),
}

#[derive(Debug)]
pub(super) struct Drainer {
    /// Which member, and no other.
    only: Option<u32>,
    stream: Stream,
    times: Times,
    rest_until: TrueTime,
    step: Step,
    left: Vec<u32>,
    /// The last shard that was looked at.
    after: Option<ShardId>,
}

impl Drainer {
    /// Drains, between two instants.
    pub(super) fn new(load: &PlacementLoad, between: (Duration, Duration), mut stream: Stream) -> Self {
        let times = Times::new(load.drains, between, &mut stream);
        let only = load.drained;
        Self { only, stream, times, rest_until: TrueTime(0), step: Step::Rest, left: Vec::new(), after: None }
    }

    fn cordon(&mut self, shared: &Shared, host: u32, cordon: Cordon) -> Turn<Request> {
        let request = Request::Control(ControlQuestion::Cordon { node: node_id(host), cordon });
        Turn::Ask { host: shared.some_member(&mut self.stream), request, timeout: PATIENCE }
    }

    /// A page of who has what: on with the next one while there is nothing on the node.
    fn looked(&mut self, host: u32, table: &Table) -> Step {
        let has = |row: &&Row| row.record.is_on(node_id(host));
        self.left = table.rows.iter().filter(has).map(|row| row.shard.number).collect();
        self.after = table.rows.last().map(|row| row.shard).filter(|_| self.left.is_empty());
        if self.left.is_empty() && self.after.is_none() { Step::TakeBack(host) } else { Step::Look(host) }
    }
}

impl Part for Drainer {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if self.step == Step::Rest {
            match self.times.next(now, offering) {
                Due::Now => {}
                Due::At(at) => return Turn::Rest(at),
                Due::Never => return Turn::Done,
            }
            let host = self.only.unwrap_or_else(|| shared.some_member(&mut self.stream));
            self.step = Step::Drain(host);
        }
        match self.step {
            Step::Drain(host) => self.cordon(shared, host, Cordon::Draining),
            Step::TakeBack(host) => self.cordon(shared, host, Cordon::None),
            _ => ask(shared.some_member(&mut self.stream), Question::List { after: self.after }, PATIENCE),
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let is_done = matches!(outcome, Outcome::Reply(Reply::Control(ControlAnswer::Executed(_))));
        let next = match self.step {
            Step::Drain(host) if is_done => Step::Look(host),
            Step::TakeBack(_) if is_done => Step::Rest,
            Step::Look(host) => match answer(outcome) {
                Some(Answer::Shards(table)) if table.shards >= u64::from(shared.load.shards) => {
                    self.looked(host, &table)
                }
                _ => Step::Look(host),
            },
            step => step,
        };
        // Page by page without a pause.
        if next == self.step && self.after.is_none() {
            self.rest_until = now + AGAIN;
        }
        self.step = next;
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Rest).then(|| format!("a drain: {:?}, left {:?}", self.step, self.left))
    }
}
