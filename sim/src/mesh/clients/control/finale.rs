//! Once nothing is offered any more: somebody must act for every scope, and every register must be written and read.

use super::guess::Guess;
use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::control::state;
use relaymesh_core::mesh::{Reply, Request, fence};

/// How long it waits before it looks whether anything is still offered.
const UNTIL_LOOK: relaymesh_core::time::Duration = relaymesh_core::time::Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Finale {
    stream: Stream,
    rest_until: TrueTime,
    leader: Guess,
    /// Scopes that somebody acts for, and whom to ask next.
    scope: usize,
    candidate: u32,
    /// Candidates in a row that do not act for the scope.
    refusals: u32,
    /// Registers written, and registers read.
    written: usize,
    read: usize,
    value: u64,
}

/// What is wanted next.
enum Wanted {
    Scope,
    Write,
    Read,
    Nothing,
}

impl Finale {
    pub(super) fn new(stream: Stream) -> Self {
        let (rest_until, leader) = (TrueTime(0), Guess::default());
        Self { stream, rest_until, leader, scope: 0, candidate: 0, refusals: 0, written: 0, read: 0, value: 0 }
    }

    fn wanted(&self, shared: &Shared) -> Wanted {
        let scopes = if shared.candidates().is_empty() { 0 } else { shared.scopes.len() };
        match shared.registers.len() {
            registers if self.written < registers => Wanted::Write,
            registers if self.read < registers => Wanted::Read,
            _ if self.scope < scopes => Wanted::Scope,
            _ => Wanted::Nothing,
        }
    }
}

impl Part for Finale {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if offering {
            return Turn::Rest(now + UNTIL_LOOK);
        }
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        match self.wanted(shared) {
            Wanted::Write => {
                self.value += 1;
                let (register, value) = (shared.registers[self.written], self.value);
                ask(self.leader.host(shared), Question::Write { register, value })
            }
            Wanted::Read => ask(self.leader.host(shared), Question::Read(shared.registers[self.read])),
            Wanted::Scope => {
                let host = self.candidate % shared.load.candidates().max(1);
                let request = Request::Fence(fence::Request::Act(shared.scopes[self.scope]));
                Turn::Ask { host, request, timeout: PATIENCE }
            }
            Wanted::Nothing => Turn::Done,
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        if let Wanted::Scope = self.wanted(shared) {
            if matches!(outcome, Outcome::Reply(Reply::Fence(fence::Reply::Acts(_)))) {
                (self.scope, self.refusals) = (self.scope + 1, 0);
                return;
            }
            (self.candidate, self.refusals) = (self.candidate + 1, self.refusals + 1);
            if self.refusals.is_multiple_of(shared.load.candidates().max(1)) {
                self.rest_until = now + AGAIN;
            }
            return;
        }
        let answer = answer(outcome);
        self.leader.hears(shared, answer.as_ref(), &mut self.stream);
        match answer {
            Some(Answer::Executed(state::Outcome::Done(state::Answer::Set))) => self.written += 1,
            Some(Answer::Value(_)) => self.read += 1,
            _ => self.rest_until = now + AGAIN,
        }
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        if !shared.is_founded {
            return None;
        }
        match self.wanted(shared) {
            Wanted::Write => Some(format!("{} to be written", shared.registers[self.written])),
            Wanted::Read => Some(format!("{} to be read", shared.registers[self.read])),
            Wanted::Scope => Some(format!("anybody to act for {}", shared.scopes[self.scope])),
            Wanted::Nothing => None,
        }
    }
}
