//! Has the namespace declared: asks any member, again and again until that is done.

use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};

#[derive(Debug)]
pub(super) struct Declarer {
    stream: Stream,
    rest_until: TrueTime,
    refusals: u32,
    last: Option<Answer>,
}

impl Declarer {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, rest_until: TrueTime(0), refusals: 0, last: None }
    }
}

impl Part for Declarer {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        if shared.is_declared {
            return Turn::Done;
        }
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        let (namespace, load) = (shared.namespace, &shared.load);
        let (shards, copies, minimum) = (load.shards, load.copies, load.minimum);
        let question = Question::Declare { namespace, shards, copies, minimum };
        ask(shared.some_member(&mut self.stream), question, PATIENCE)
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        self.last = answer(outcome);
        shared.is_declared = matches!(self.last, Some(Answer::Declared));
        self.refusals += u32::from(!shared.is_declared);
        self.rest_until = now + AGAIN;
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        let what = || format!("the shards to be declared, {} times in vain: {:?}", self.refusals, self.last);
        (!shared.is_declared).then(what)
    }

    fn declares(&self) -> bool {
        true
    }
}
