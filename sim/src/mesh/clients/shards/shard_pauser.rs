//! Pauses a shard at drawn times, and lets it go on after a while. In the end none is paused.

use super::times::{Due, Times};
use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use relaymesh_core::control::state::PAUSED_AT_ONCE;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::plan_view::PlanAsked;
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::time::Duration;

/// How long a shard stays paused, at most.
const PAUSED_MAX: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Rest,
    Pause(u32),
    Resume(u32),
    /// What nobody knows the outcome of may take effect behind what takes it back: in the end all go on.
    ResumeAll,
    Done,
}

#[derive(Debug)]
pub(super) struct ShardPauser {
    stream: Stream,
    times: Times,
    rest_until: TrueTime,
    step: Step,
}

impl ShardPauser {
    /// So many pauses, between two instants.
    pub(super) fn new(count: u32, between: (Duration, Duration), mut stream: Stream) -> Self {
        let times = Times::new(count, between, &mut stream);
        Self { stream, times, rest_until: TrueTime(0), step: Step::Rest }
    }
}

impl Part for ShardPauser {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if self.step == Step::Rest {
            self.step = match self.times.next(now, offering) {
                Due::Now => Step::Pause(shared.some_shard(&mut self.stream)),
                Due::At(at) => return Turn::Rest(at),
                Due::Never if offering => return Turn::Rest(now + AGAIN),
                Due::Never => Step::ResumeAll,
            };
        }
        let asked = match self.step {
            Step::Pause(shard) => PlanAsked::Pause { shards: vec![shard], is_paused: true },
            Step::Resume(shard) => PlanAsked::Pause { shards: vec![shard], is_paused: false },
            Step::ResumeAll => {
                PlanAsked::Pause { shards: (0..shared.load.shards).take(PAUSED_AT_ONCE).collect(), is_paused: false }
            }
            Step::Rest | Step::Done => return Turn::Done,
        };
        let question = Question::Placement { namespace: shared.namespace, asked };
        ask(shared.some_member(&mut self.stream), question, PATIENCE)
    }

    fn outcome(&mut self, _: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let is_agreed = matches!(answer(outcome), Some(Answer::Agreed));
        (self.step, self.rest_until) = match self.step {
            Step::Pause(shard) => (Step::Resume(shard), now + self.stream.span(Duration::ZERO, PAUSED_MAX)),
            Step::Resume(_) if is_agreed => (Step::Rest, now),
            Step::ResumeAll if is_agreed => (Step::Done, now),
            step => (step, now + AGAIN),
        };
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Done).then(|| format!("a shard to be paused, and to go on: {:?}", self.step))
    }
}
