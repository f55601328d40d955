//! Reads, writes and compares-and-sets registers, one thing at a time. No value is written twice.

use super::guess::Guess;
use super::{Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::string::String;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::control::state::{self, Name};
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};

/// Shares of reads and of writes, of ten; the rest compares and sets.
const READS: u64 = 4;
const WRITES: u64 = 3;

#[derive(Debug)]
pub(super) struct Writer {
    stream: Stream,
    rest_until: TrueTime,
    leader: Guess,
    /// The last value written.
    value: u64,
    /// What each register was last seen to hold.
    seen: BTreeMap<Name, Option<u64>>,
    asked: Option<(Name, u64)>,
}

impl Writer {
    pub(super) fn new(number: u32, stream: Stream) -> Self {
        let (rest_until, leader, seen) = (TrueTime(0), Guess::default(), BTreeMap::new());
        Self { stream, rest_until, leader, value: (u64::from(number) + 1) << 32, seen, asked: None }
    }

    fn next(&mut self, shared: &Shared) -> (u32, Question) {
        let register = shared.registers[self.stream.below(shared.registers.len() as u64) as usize];
        let what = self.stream.below(10);
        self.asked = Some((register, self.value + 1));
        if what < READS {
            return (self.leader.host(shared), Question::Read(register));
        }
        self.value += 1;
        let value = self.value;
        // Every member knows the way to the leader.
        let goes_elsewhere = self.stream.below(2) == 0;
        let host = if goes_elsewhere { shared.some_voter(&mut self.stream) } else { self.leader.host(shared) };
        if what < READS + WRITES {
            return (host, Question::Write { register, value });
        }
        let expected = self.seen.get(&register).copied().flatten();
        (host, Question::CompareAndSet { register, expected, value })
    }
}

impl Part for Writer {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if !offering {
            return Turn::Done;
        }
        let (host, question) = self.next(shared);
        ask(host, question)
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        self.rest_until = now + shared.pause(&mut self.stream);
        let answer = answer(outcome);
        self.leader.hears(shared, answer.as_ref(), &mut self.stream);
        let Some((register, value)) = self.asked.take() else { return };
        match answer {
            Some(Answer::Value(read)) => self.seen.insert(register, read),
            Some(Answer::Executed(state::Outcome::Done(state::Answer::Set))) => self.seen.insert(register, Some(value)),
            Some(Answer::Executed(state::Outcome::Done(state::Answer::Differs(found)))) => {
                self.seen.insert(register, found)
            }
            _ => return,
        };
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
