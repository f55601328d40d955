//! Asks voters, one after the other, how the group looks.

use super::{Part, Shared, ask};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::string::String;
use relaymesh_core::control::node::Request as Question;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::time::Duration;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Watcher {
    next: usize,
    rest_until: TrueTime,
}

impl Part for Watcher {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if !offering {
            return Turn::Done;
        }
        self.next += 1;
        ask(shared.voters[self.next % shared.voters.len()].0, Question::Status)
    }

    fn outcome(&mut self, _: &mut Shared, now: TrueTime, _: Outcome<Reply>) {
        self.rest_until = now + PAUSE;
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
