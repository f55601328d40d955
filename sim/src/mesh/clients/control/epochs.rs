//! Raises the epoch now and then, and waits until nobody writes under an older one any more.

use super::guess::Guess;
use super::{AGAIN, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::control::node::{Refusal, Reply as Answer, Request as Question};
use relaymesh_core::control::state::Text;
use relaymesh_core::epoch::ClusterEpoch;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing is to be done.
    Rest,
    /// To see the epoch.
    Look,
    /// To raise it above this one.
    Bump(ClusterEpoch),
    /// To hear that it is known.
    Await(ClusterEpoch),
}

#[derive(Debug)]
pub(super) struct Epochs {
    every: Duration,
    stream: Stream,
    leader: Guess,
    step: Step,
    /// The epoch that was to be raised, if that was asked for.
    begun_at: Option<ClusterEpoch>,
    rest_until: Option<TrueTime>,
}

impl Epochs {
    pub(super) fn new(every: Duration, stream: Stream) -> Self {
        let leader = Guess::default();
        Self { every, stream, leader, step: Step::Rest, begun_at: None, rest_until: None }
    }

    /// What an answer leads to; nothing if it does not help.
    fn next_step(&self, answer: Option<&Answer>) -> Option<Step> {
        match (self.step, answer?) {
            (Step::Look, Answer::Status(status)) => {
                let epoch = status.lineage.epoch;
                let has_risen = self.begun_at.is_some_and(|begun| epoch > begun);
                Some(if has_risen { Step::Await(epoch) } else { Step::Bump(epoch) })
            }
            (_, Answer::EpochKnown(_)) => Some(Step::Rest),
            (_, Answer::Refused(Refusal::NotKnownYet(epoch))) => Some(Step::Await(*epoch)),
            // Whether it has risen is to be seen.
            (Step::Bump(_), Answer::Executed(_) | Answer::Refused(Refusal::Unknown)) => Some(Step::Look),
            _ => None,
        }
    }
}

impl Part for Epochs {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        let rest = *self.rest_until.get_or_insert(now + self.every);
        if rest > now {
            return Turn::Rest(rest);
        }
        if self.step == Step::Rest {
            if !offering {
                return Turn::Done;
            }
            self.step = Step::Look;
        }
        let host = self.leader.host(shared);
        match self.step {
            Step::Rest | Step::Look => ask(host, Question::Status),
            Step::Bump(expected) => {
                self.begun_at = Some(expected);
                // Far below the bound.
                let Ok(text) = Text::new(b"drill") else { return Turn::Done };
                ask(host, Question::BumpEpoch { expected, reason: text, actor: text })
            }
            Step::Await(epoch) => ask(host, Question::AwaitEpoch(epoch)),
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let answer = answer(outcome);
        self.leader.hears(shared, answer.as_ref(), &mut self.stream);
        match self.next_step(answer.as_ref()) {
            Some(Step::Rest) => {
                (self.step, self.begun_at, self.rest_until) = (Step::Rest, None, Some(now + self.every))
            }
            Some(step) => self.step = step,
            None => {
                // A bump that nobody answers may have been made.
                self.step = if matches!(self.step, Step::Bump(_)) { Step::Look } else { self.step };
                self.rest_until = Some(now + AGAIN);
            }
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Rest).then(|| format!("the epoch to rise: {:?}", self.step))
    }
}
