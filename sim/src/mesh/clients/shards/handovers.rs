//! Has shards handed over: to the one that suits, or to a member that is drawn, whether it can own the shard or not.

use super::times::{Due, Times};
use super::{PATIENCE, Part, Shared, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::string::String;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::Request as Question;
use relaymesh_core::time::Duration;

#[derive(Debug)]
pub(super) struct HandOvers {
    stream: Stream,
    times: Times,
}

impl HandOvers {
    /// So many, between two instants.
    pub(super) fn new(count: u32, between: (Duration, Duration), mut stream: Stream) -> Self {
        let times = Times::new(count, between, &mut stream);
        Self { stream, times }
    }
}

impl Part for HandOvers {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        match self.times.next(now, offering) {
            Due::At(at) => Turn::Rest(at),
            Due::Now => {
                let shard = shared.shard(shared.some_shard(&mut self.stream));
                let is_named = self.stream.below(2) == 0;
                let to = is_named.then(|| node_id(shared.some_member(&mut self.stream)));
                ask(shared.some_member(&mut self.stream), Question::HandOver { shard, to }, PATIENCE)
            }
            Due::Never => Turn::Done,
        }
    }

    fn outcome(&mut self, _: &mut Shared, _: TrueTime, _: Outcome<Reply>) {}

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
