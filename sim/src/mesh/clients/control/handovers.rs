//! Has scopes handed over to other candidates, by whoever was last seen to hold them.

use super::{Part, Shared, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::string::String;
use relaymesh_core::control::node::Request as Question;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::time::Duration;

#[derive(Debug)]
pub(super) struct Handovers {
    every: Duration,
    stream: Stream,
    rest_until: Option<TrueTime>,
}

impl Handovers {
    pub(super) fn new(every: Duration, stream: Stream) -> Self {
        Self { every, stream, rest_until: None }
    }
}

impl Part for Handovers {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        let rest = *self.rest_until.get_or_insert(now + self.every);
        if rest > now {
            return Turn::Rest(rest);
        }
        if !offering {
            return Turn::Done;
        }
        let scope = shared.scopes[self.stream.below(shared.scopes.len() as u64) as usize];
        let holder = shared.holders.get(&scope);
        let others = || shared.candidates().filter(|host| Some(host) != holder);
        let to = self.stream.below(others().count().max(1) as u64) as usize;
        match (holder, others().nth(to)) {
            (Some(holder), Some(to)) => ask(*holder, Question::Transfer { scope, to: node_id(to) }),
            _ => {
                self.rest_until = Some(now + self.every);
                Turn::Rest(now + self.every)
            }
        }
    }

    fn outcome(&mut self, _: &mut Shared, now: TrueTime, _: Outcome<Reply>) {
        self.rest_until = Some(now + self.every);
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
