//! Sets the stage: lets one node lead, and has every scope handed to one node; where the scenario asks for it, again and again.

use super::guess::Guess;
use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::format;
use alloc::string::String;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::mesh::{Reply, Request, fence};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// To hear who leads.
    Look,
    /// To let the right one lead.
    Lead,
    /// To hear whether the right one acts for the next scope.
    Act,
    /// To have the scope handed over by whoever acts for it.
    Transfer,
    /// All is as it should be.
    Set,
}

#[derive(Debug)]
pub(super) struct Stage {
    stream: Stream,
    rest_until: TrueTime,
    /// When the stage is set the next time.
    next: Option<TrueTime>,
    was_set: bool,
    guess: Guess,
    step: Step,
    scope: usize,
}

impl Stage {
    pub(super) fn new(at: TrueTime, stream: Stream) -> Self {
        Self {
            stream,
            rest_until: at,
            next: Some(at),
            was_set: false,
            guess: Guess::default(),
            step: Step::Set,
            scope: 0,
        }
    }

    /// Waits for the next time, or begins.
    fn wait(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        let Some(at) = self.next.filter(|_| offering) else { return Turn::Done };
        if at > now {
            return Turn::Rest(at);
        }
        self.next = shared.load.arrange_every.map(|every| at + every.0);
        (self.step, self.scope) = (Step::Look, 0);
        ask(shared.load.leader, Question::Status)
    }
}

impl Part for Stage {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if self.was_set && !offering {
            // Others may go on handing scopes about; once is what the scenario may count on.
            self.step = Step::Set;
        }
        let load = &shared.load;
        let scope = shared.scopes.get(self.scope);
        match (self.step, scope) {
            (Step::Look, _) => ask(load.leader, Question::Status),
            (Step::Lead, _) => ask(self.guess.host(shared), Question::Lead(node_id(load.leader))),
            (Step::Act, Some(scope)) => {
                let request = Request::Fence(fence::Request::Act(*scope));
                Turn::Ask { host: load.holder, request, timeout: PATIENCE }
            }
            (Step::Transfer, Some(scope)) => {
                let holder = shared.holders.get(scope).copied().unwrap_or(load.holder);
                ask(holder, Question::Transfer { scope: *scope, to: node_id(load.holder) })
            }
            (Step::Set, _) | (_, None) => self.wait(shared, now, offering),
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        if self.step == Step::Act {
            match outcome {
                Outcome::Reply(Reply::Fence(fence::Reply::Acts(_))) => self.scope += 1,
                _ => self.step = Step::Transfer,
            }
            if self.scope == shared.scopes.len() {
                (self.step, self.was_set) = (Step::Set, true);
            }
            return;
        }
        let answer = answer(outcome);
        self.guess.hears(shared, answer.as_ref(), &mut self.stream);
        let leads_here = matches!(&answer, Some(Answer::Status(it)) if it.leader == Some(node_id(shared.load.leader)));
        self.step = match self.step {
            Step::Look if leads_here => return self.step = Step::Act,
            Step::Look => Step::Lead,
            Step::Transfer => Step::Act,
            _ => Step::Look,
        };
        self.rest_until = now + AGAIN;
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Set).then(|| format!("the stage to be set: {:?}", self.step))
    }
}
