//! Acts under leases: asks a node under which token it may act, and after a while writes with that token somewhere else.
//! Now and then such a write has been under way for very long.

use super::{PATIENCE, Part, Shared};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::control::state::Scope;
use relaymesh_core::epoch::FenceToken;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::fence::{Reply as Answer, Request as Question};
use relaymesh_core::mesh::{Reply, Request};

/// Writes that may be under way.
const UNDER_WAY_MAX: usize = 32;

/// A write: for which scope, under which token, by whom.
type Write = (Scope, FenceToken, u32);

#[derive(Debug)]
pub(super) struct Actor {
    stream: Stream,
    rest_until: TrueTime,
    /// What was last asked: for which scope, of whom.
    asked: Option<(Scope, u32)>,
    /// What is to be written next.
    next: Option<Write>,
    /// What has been under way for long.
    old: Vec<Write>,
}

impl Actor {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, rest_until: TrueTime(0), asked: None, next: None, old: Vec::new() }
    }

    fn next_write(&mut self, shared: &Shared) -> Option<Write> {
        let is_late = self.stream.happens(shared.load.late.0);
        if is_late && !self.old.is_empty() {
            let at = self.stream.below(self.old.len() as u64) as usize;
            return Some(self.old[at]);
        }
        self.next.take()
    }

    /// Somebody else whom the write reaches.
    fn acceptor(&mut self, shared: &Shared, who: u32) -> u32 {
        let others = u64::from(shared.members.max(2)) - 1;
        (who + 1 + self.stream.below(others) as u32) % shared.members
    }

    fn keep(&mut self, write: Write) {
        self.next = Some(write);
        if self.old.len() < UNDER_WAY_MAX {
            self.old.push(write);
        } else {
            let at = self.stream.below(UNDER_WAY_MAX as u64) as usize;
            self.old[at] = write;
        }
    }
}

impl Part for Actor {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if !offering {
            return Turn::Done;
        }
        let (host, question) = match self.next_write(shared) {
            Some((scope, token, who)) => {
                let epoch = token.epoch();
                (self.acceptor(shared, who), Question::Accept { scope, epoch, who: node_id(who) })
            }
            None => {
                let scope = shared.scopes[self.stream.below(shared.scopes.len() as u64) as usize];
                // Who held it may do so for too long, whoever else holds it may do so too soon.
                let anybody = shared.some_voter(&mut self.stream);
                let holder = shared.holders.get(&scope).filter(|_| self.stream.below(2) == 0);
                let host = holder.copied().unwrap_or(anybody);
                self.asked = Some((scope, host));
                (host, Question::Act(scope))
            }
        };
        Turn::Ask { host, request: Request::Fence(question), timeout: PATIENCE }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        self.rest_until = now + shared.pause(&mut self.stream);
        if let Some((scope, host)) = self.asked.take()
            && let Outcome::Reply(Reply::Fence(Answer::Acts(token))) = outcome
        {
            shared.holders.insert(scope, host);
            self.keep((scope, token, host));
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
