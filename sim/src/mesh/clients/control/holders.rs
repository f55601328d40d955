//! Lets one candidate hold every scope. A process that has restarted wants nothing until it is told again.

use super::{AGAIN, Part, Shared, answer, ask};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::time::Duration;

/// Pause before the candidate is told again.
const ROUND: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Holder {
    /// The candidate.
    host: u32,
    /// The scope that is asked for.
    scope: usize,
    rest_until: TrueTime,
    /// The last round has begun: each scope until it is taken.
    is_last: bool,
    is_done: bool,
}

impl Holder {
    pub(super) fn new(host: u32) -> Self {
        Self { host, scope: 0, rest_until: TrueTime(0), is_last: false, is_done: false }
    }
}

impl Part for Holder {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.is_done {
            return Turn::Done;
        }
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        self.is_last |= self.scope == 0 && !offering;
        ask(self.host, Question::Hold(shared.scopes[self.scope]))
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        match answer(outcome) {
            Some(Answer::Taken) => self.scope += 1,
            _ if self.is_last => self.rest_until = now + AGAIN,
            // It may be another process when it listens again.
            _ => (self.scope, self.rest_until) = (0, now + AGAIN),
        }
        if self.scope == shared.scopes.len() {
            (self.scope, self.is_done, self.rest_until) = (0, self.is_last, now + ROUND);
        }
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        let host = self.host;
        (!self.is_done).then(|| format!("n{host} to be told to hold {}", shared.scopes[self.scope]))
    }
}
