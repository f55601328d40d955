//! Ask for plans and have them carried out: one at a time, of any member. Some approvals are given twice, and to two members,
//! some on a version or a checksum that is not the plan's, and some for a set time; some plans are given up half-way, and some take the last one back.
//! In the end no plan is under way, and every shard is where the table says.

use super::times::{Due, Times};
use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::clock::wall_at;
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::plan_view::{PlacementView, PlanAsked};
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::time::{Duration, WallTime};

/// How far ahead a time is set at which owners change.
const SET_AHEAD_MAX: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Rest,
    Draft,
    /// To see on which version it is.
    Look,
    /// To have that one approved, so many times.
    Approve {
        plan: u64,
        version: u64,
        checksum: u64,
        times: u32,
        at: Option<WallTime>,
    },
    /// To have it given up.
    Cancel {
        plan: u64,
    },
    /// To see that no plan is under way any more.
    Await,
}

#[derive(Debug)]
pub(super) struct Planner {
    /// The second of two leaves it to the first to see that all comes to an end.
    is_first: bool,
    stream: Stream,
    times: Times,
    rest_until: TrueTime,
    step: Step,
    last: Option<String>,
}

impl Planner {
    /// So many plans, between two instants.
    pub(super) fn new(number: u32, count: u32, between: (Duration, Duration), mut stream: Stream) -> Self {
        let times = Times::new(count, between, &mut stream);
        let (rest_until, step, last) = (TrueTime(0), Step::Rest, None);
        Self { is_first: number == 0, stream, times, rest_until, step, last }
    }

    fn draft(&mut self, shared: &Shared) -> PlanAsked {
        let strategy = shared.placement.strategy.filter(|_| self.stream.below(3) == 0);
        let seed = (self.stream.below(4) == 0).then(|| self.stream.below(1_000));
        let moves_max = (self.stream.below(2) == 0).then_some(u32::MAX);
        let is_back = self.stream.below(5) == 0;
        PlanAsked::Draft { strategy, seed, moves_max, parallel: Some(shared.placement.parallel), is_back }
    }

    fn looked(&mut self, now: TrueTime, view: &PlacementView) {
        let plan = view.plan.as_ref().filter(|plan| !plan.is_approved);
        self.step = match plan.and_then(|plan| Some((plan.id, plan.checksum?))) {
            Some((plan, _)) if self.stream.below(8) == 0 => Step::Cancel { plan },
            Some((plan, checksum)) => {
                let version = view.version - self.stream.below(6).saturating_sub(4);
                let checksum = checksum ^ self.stream.below(6).saturating_sub(4);
                let times = 1 + self.stream.below(3) as u32 / 2;
                let is_set = self.stream.below(5) == 0;
                let span = self.stream.span(Duration::ZERO, SET_AHEAD_MAX);
                let at = is_set.then(|| wall_at(now + span));
                Step::Approve { plan, version, checksum, times, at }
            }
            None => Step::Await,
        };
    }
}

impl Part for Planner {
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
            self.step = Step::Draft;
        }
        let asked = match self.step {
            Step::Draft => self.draft(shared),
            Step::Approve { plan, version, checksum, at, .. } => PlanAsked::Approve { plan, version, checksum, at },
            Step::Cancel { plan } => PlanAsked::Cancel { plan },
            _ => PlanAsked::Show { after: None },
        };
        let question = Question::Placement { namespace: shared.namespace, asked };
        ask(shared.some_member(&mut self.stream), question, PATIENCE)
    }

    fn outcome(&mut self, _: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let answer = answer(outcome);
        match (self.step, answer) {
            (Step::Draft, Some(Answer::Planned { .. })) => self.step = Step::Look,
            (Step::Draft, Some(Answer::NothingToMove)) => self.step = Step::Await,
            (Step::Draft, _) => self.step = Step::Await,
            (Step::Look, Some(Answer::Placement(view))) => self.looked(now, &view),
            (Step::Approve { plan, version, checksum, times, at }, _) => {
                self.step = match times {
                    0 | 1 => Step::Await,
                    more => Step::Approve { plan, version, checksum, times: more - 1, at },
                };
            }
            (Step::Cancel { .. }, _) => self.step = Step::Await,
            (Step::Await, Some(Answer::Placement(view))) => {
                let is_under_way = view.plan.as_ref().is_some_and(|plan| plan.is_approved);
                self.last = view.plan.map(|plan| format!("{plan:?}"));
                match is_under_way && self.is_first {
                    true => self.rest_until = now + AGAIN,
                    false => self.step = Step::Rest,
                }
            }
            _ => self.rest_until = now + AGAIN,
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Rest).then(|| format!("a plan: {:?}, {:?}", self.step, self.last))
    }
}
