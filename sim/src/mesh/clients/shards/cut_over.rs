//! Has many shards change owners at a set time: draws the table anew some time before, approves that with the time, and looks
//! until it is done. Where nodes were not there then, the plan may have been given up.

use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::clock::wall_at;
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::plan_view::PlanAsked;
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::time::Duration;

/// How long before the time the plan is made: replicas that are to own have to come in.
const AHEAD: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Draft,
    Look,
    Approve { plan: u64, version: u64, checksum: u64 },
    Await,
    Done,
}

#[derive(Debug)]
pub(super) struct CutOver {
    at: TrueTime,
    stream: Stream,
    rest_until: TrueTime,
    step: Step,
}

impl CutOver {
    pub(super) fn new(at: Duration, stream: Stream) -> Self {
        let rest_until = TrueTime(0) + at.saturating_sub(AHEAD);
        Self { at: TrueTime(0) + at, stream, rest_until, step: Step::Draft }
    }
}

impl Part for CutOver {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        // What could not be made in time is not made any more.
        if now >= self.at && !matches!(self.step, Step::Await | Step::Done) {
            self.step = Step::Await;
        }
        let asked = match self.step {
            Step::Draft => {
                // The first owners become the last ones, and so on: all of them change with another strategy.
                let (strategy, seed) = (shared.placement.strategy, Some(1 + self.stream.below(1_000)));
                let parallel = Some(shared.placement.parallel);
                PlanAsked::Draft { strategy, seed, moves_max: Some(u32::MAX), parallel, is_back: false }
            }
            Step::Approve { plan, version, checksum } => {
                PlanAsked::Approve { plan, version, checksum, at: Some(wall_at(self.at)) }
            }
            Step::Done => return Turn::Done,
            Step::Look | Step::Await => PlanAsked::Show { after: None },
        };
        let question = Question::Placement { namespace: shared.namespace, asked };
        ask(shared.some_member(&mut self.stream), question, PATIENCE)
    }

    fn outcome(&mut self, _: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let next = match (self.step, answer(outcome)) {
            (Step::Draft, Some(Answer::Planned { .. })) => Step::Look,
            (Step::Look, Some(Answer::Placement(view))) => {
                let plan = view.plan.as_ref().filter(|plan| !plan.is_approved);
                match plan.and_then(|plan| Some((plan.id, plan.checksum?))) {
                    Some((plan, checksum)) => Step::Approve { plan, version: view.version, checksum },
                    None => Step::Draft,
                }
            }
            (Step::Approve { .. }, Some(Answer::Agreed)) => Step::Await,
            (Step::Approve { .. }, _) => Step::Look,
            (Step::Await, Some(Answer::Placement(view))) => {
                let is_under_way = view.plan.as_ref().is_some_and(|plan| plan.is_approved);
                if is_under_way || now < self.at { Step::Await } else { Step::Done }
            }
            (step, _) => step,
        };
        if next == self.step {
            self.rest_until = now + AGAIN;
        }
        self.step = next;
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Done).then(|| format!("a cut-over at {}: {:?}", self.at, self.step))
    }
}
