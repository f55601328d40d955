//! Acts under leases: asks all who might hold a scope under which token they may act, without a pause and twice, so that
//! two who believe so at one time are seen; after a while it writes with a token somewhere else. Now and then such a write
//! has been under way for very long.

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
    /// Who is to be asked next, without a pause.
    to_ask: Vec<u32>,
    /// What is to be written next.
    next: Option<Write>,
    /// What has been under way for long.
    old: Vec<Write>,
}

impl Actor {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, rest_until: TrueTime(0), asked: None, to_ask: Vec::new(), next: None, old: Vec::new() }
    }

    fn next_write(&mut self, shared: &Shared) -> Option<Write> {
        let is_late = self.stream.happens(shared.load.late.0);
        if is_late && !self.old.is_empty() {
            let at = self.stream.below(self.old.len() as u64) as usize;
            return Some(self.old[at]);
        }
        self.next.take()
    }

    /// All candidates, in an order that begins anywhere; then all of them once more.
    fn begin_round(&mut self, shared: &Shared) {
        let mut round: Vec<u32> = shared.candidates().collect();
        let first = self.stream.below(round.len().max(1) as u64) as usize;
        round.rotate_left(first);
        self.to_ask = round.iter().chain(&round).copied().collect();
    }

    fn next_of_round(&mut self, scope: Scope) -> Turn<Request> {
        let host = self.to_ask.pop().unwrap_or(0);
        self.asked = Some((scope, host));
        Turn::Ask { host, request: Request::Fence(Question::Act(scope)), timeout: PATIENCE }
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
        if let Some((scope, _)) = self.asked {
            return self.next_of_round(scope);
        }
        if !offering {
            return Turn::Done;
        }
        let Some((scope, token, who)) = self.next_write(shared) else {
            let scope = shared.scopes[self.stream.below(shared.scopes.len() as u64) as usize];
            self.begin_round(shared);
            return self.next_of_round(scope);
        };
        let (host, epoch) = (self.acceptor(shared, who), token.epoch());
        let request = Request::Fence(Question::Accept { scope, epoch, who: node_id(who) });
        Turn::Ask { host, request, timeout: PATIENCE }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        if let Some((scope, host)) = self.asked
            && let Outcome::Reply(Reply::Fence(Answer::Acts(token))) = outcome
        {
            shared.holders.insert(scope, host);
            self.keep((scope, token, host));
        }
        if self.to_ask.is_empty() {
            self.asked = None;
            self.rest_until = now + shared.pause(&mut self.stream);
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
