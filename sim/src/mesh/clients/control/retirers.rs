//! Has a scope of its own held, dropped and retired, by whoever is there, again and again. Where version 2 is to be
//! activated, it does not rest before one was retired.

use super::guess::Guess;
use super::{Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::control::state::{self, Name, Refusal, Scope};
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hold,
    Drop,
    Retire,
}

#[derive(Debug)]
pub(super) struct Retirer {
    scope: Scope,
    stream: Stream,
    leader: Guess,
    rest_until: TrueTime,
    step: Step,
    /// Who holds it.
    host: u32,
    retired: u32,
}

impl Retirer {
    /// None where its scope cannot have a name.
    pub(super) fn new(number: u32, stream: Stream) -> Option<Self> {
        let scope = Scope::Named(Name::new(&format!("spare-{number}")).ok()?);
        let leader = Guess::default();
        Some(Self { scope, stream, leader, rest_until: TrueTime(0), step: Step::Hold, host: 0, retired: 0 })
    }

    fn next_step(&mut self, answer: Option<&Answer>) -> Step {
        match (self.step, answer) {
            (Step::Hold, Some(Answer::Taken)) => Step::Drop,
            (Step::Hold, _) => Step::Hold,
            (Step::Drop, Some(Answer::Taken)) => Step::Retire,
            // Whoever was to drop it may be another process by now.
            (Step::Drop, _) => Step::Retire,
            (Step::Retire, Some(Answer::Executed(state::Outcome::Done(_)))) => {
                self.retired += 1;
                Step::Hold
            }
            (Step::Retire, Some(Answer::Executed(state::Outcome::Refused(Refusal::InUse)))) => Step::Drop,
            (Step::Retire, Some(Answer::Executed(state::Outcome::Refused(Refusal::UnknownScope)))) => Step::Hold,
            (Step::Retire, _) => Step::Retire,
        }
    }

    fn is_awaited(&self, shared: &Shared) -> bool {
        shared.load.activate_at.is_some() && self.retired == 0
    }
}

impl Part for Retirer {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if !offering && !self.is_awaited(shared) {
            return Turn::Done;
        }
        match self.step {
            Step::Hold => {
                self.host = self.stream.below(u64::from(shared.load.candidates())) as u32;
                ask(self.host, Question::Hold(self.scope))
            }
            Step::Drop => ask(self.host, Question::Drop(self.scope)),
            Step::Retire => {
                let goes_elsewhere = self.stream.below(2) == 0;
                let host = if goes_elsewhere { shared.some_voter(&mut self.stream) } else { self.leader.host(shared) };
                ask(host, Question::Retire(self.scope))
            }
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        self.rest_until = now + shared.pause(&mut self.stream);
        let answer = answer(outcome);
        self.leader.hears(shared, answer.as_ref(), &mut self.stream);
        self.step = self.next_step(answer.as_ref());
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        self.is_awaited(shared).then(|| format!("{} to be retired: {:?}", self.scope, self.step))
    }
}
