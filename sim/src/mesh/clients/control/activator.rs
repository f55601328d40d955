//! Has version 2 of commands activated: asks again and again until that is done, whether all builds understand it or not.

use super::guess::Guess;
use super::{AGAIN, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::control::state::{self, Refusal};
use relaymesh_core::mesh::{Reply, Request};

/// What is to be activated.
const VERSION: u8 = 2;

#[derive(Debug)]
pub(super) struct Activator {
    stream: Stream,
    leader: Guess,
    rest_until: TrueTime,
    refusals: u32,
    is_done: bool,
}

impl Activator {
    pub(super) fn new(at: TrueTime, stream: Stream) -> Self {
        Self { stream, leader: Guess::default(), rest_until: at, refusals: 0, is_done: false }
    }
}

/// Whether an answer says that version 2 is in use.
pub(in crate::mesh) fn is_activated(answer: &Answer) -> bool {
    match answer {
        Answer::Executed(state::Outcome::Done(state::Answer::Set)) => true,
        // It was activated before, perhaps by a request that nobody answered.
        Answer::Executed(state::Outcome::Refused(Refusal::Outdated { found, .. })) => *found >= u64::from(VERSION),
        _ => false,
    }
}

impl Part for Activator {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        if self.is_done {
            return Turn::Done;
        }
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        ask(self.leader.host(shared), Question::Activate { version: VERSION })
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        let answer = answer(outcome);
        self.leader.hears(shared, answer.as_ref(), &mut self.stream);
        self.is_done = answer.as_ref().is_some_and(is_activated);
        self.refusals += u32::from(!self.is_done);
        self.rest_until = now + AGAIN;
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (!self.is_done).then(|| format!("version {VERSION} to be activated, {} times in vain", self.refusals))
    }
}
