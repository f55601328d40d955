//! Reads, writes, compares-and-sets and adds, one operation at a time, each a new one with a value that was never written.
//! In the end each has written the shards that are its to write.
//!
//! Registers with small numbers are written. Counters, one for four clients, are added to: each client counts in bits of its
//! own, so that a sum tells whose additions are in it.

use super::keyed::Keyed;
use super::{Part, Shared, answer, ask};
use crate::streams::{MILLION, Stream};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use relaymesh_core::codec::decode_value;
use relaymesh_core::control::group::wire::Blob;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::replication::registers::{Answer as Told, Command};
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};

/// The first counter; registers below are written.
pub(in crate::mesh) const COUNTERS: u64 = 1 << 32;
/// Clients that share a counter.
const LANES: u32 = 4;
/// Bits of a counter that one of them counts in.
pub(in crate::mesh) const LANE_BITS: u32 = 16;
/// Additions of one client to one counter, or it would count in the bits of the next one.
const ADDITIONS_MAX: u32 = 60_000;
/// Share of reads that go through the log, like writes.
const LOGGED_READS: u64 = MILLION / 4;

#[derive(Debug)]
pub(super) struct User {
    number: u32,
    stream: Stream,
    rest_until: TrueTime,
    /// The last value written.
    value: u64,
    additions: u32,
    /// What each register was last seen to hold.
    seen: BTreeMap<(u32, u64), Option<u64>>,
    asked: Option<(u32, Command)>,
    /// Whether the last operation was answered.
    is_answered: bool,
    /// Operations in a row that were not.
    refusals: u32,
    last: Option<Answer>,
    keyed: Keyed,
    /// Shards that are to be written once nothing is offered any more.
    to_write: VecDeque<u32>,
}

impl User {
    pub(super) fn new(number: u32, shared: &Shared, stream: Stream) -> Self {
        let own = |shard: &u32| shard % shared.load.clients.max(1) == number;
        Self {
            number,
            stream,
            rest_until: TrueTime(0),
            value: (u64::from(number) + 1) << 32,
            additions: 0,
            seen: BTreeMap::new(),
            asked: None,
            is_answered: true,
            refusals: 0,
            last: None,
            keyed: Keyed::new(number),
            to_write: (0..shared.load.shards).filter(own).collect(),
        }
    }

    fn next_value(&mut self) -> u64 {
        self.value += 1;
        self.value
    }

    /// An operation, and whether it goes through the log.
    fn draw(&mut self, shared: &Shared) -> (u32, Command, bool) {
        let shard = shared.some_shard(&mut self.stream);
        let place = self.stream.below(u64::from(shared.load.registers) + 1);
        let is_counter = place == u64::from(shared.load.registers) && self.additions < ADDITIONS_MAX;
        let counter = COUNTERS + u64::from(self.number / LANES);
        let register = if is_counter { counter } else { place % u64::from(shared.load.registers) };
        if self.stream.happens(shared.load.reads.0) {
            return (shard, Command::Read { register }, self.stream.happens(LOGGED_READS));
        }
        if is_counter {
            self.additions += 1;
            return (shard, Command::Add { register, by: 1 << (LANE_BITS * (self.number % LANES)) }, true);
        }
        let value = self.next_value();
        if self.stream.below(2) == 0 {
            return (shard, Command::Write { register, value }, true);
        }
        let expected = self.seen.get(&(shard, register)).copied().flatten();
        (shard, Command::CompareAndSet { register, expected, value }, true)
    }

    fn begin(&mut self, shared: &Shared, (number, command, is_logged): (u32, Command, bool)) -> Turn<Request> {
        (self.asked, self.is_answered) = (Some((number, command)), false);
        let (shard, bytes) = (shared.shard(number), Blob(command.to_bytes().into_boxed_slice()));
        let question = match is_logged {
            true => Question::Submit { shard, command: bytes },
            false => Question::Read { shard, query: bytes },
        };
        ask(shared.some_member(&mut self.stream), question, shared.load.timeout.0)
    }

    fn learns(&mut self, told: Told) {
        let Some((shard, command)) = self.asked else { return };
        let (Told::Holds(value) | Told::Differs(value)) = told else { return };
        match command {
            Command::Write { register, .. } | Command::CompareAndSet { register, .. } | Command::Read { register } => {
                self.seen.insert((shard, register), value);
            }
            Command::Add { .. } | Command::Refer { .. } => {}
        }
    }
}

impl Part for User {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if offering {
            if let Some(turn) = self.keyed.turn(shared, &mut self.stream, now) {
                return turn;
            }
            let drawn = self.draw(shared);
            return self.begin(shared, drawn);
        }
        match self.to_write.front() {
            Some(shard) => {
                let shard = *shard;
                let value = self.next_value();
                self.begin(shared, (shard, Command::Write { register: 0, value }, true))
            }
            None if self.is_answered => self.keyed.finale(shared, &mut self.stream).unwrap_or(Turn::Done),
            None => {
                let drawn = self.draw(shared);
                self.begin(shared, drawn)
            }
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        self.rest_until = now + self.stream.span(shared.load.think.from, shared.load.think.to);
        self.last = answer(outcome);
        if self.asked.is_none() && self.keyed.outcome(now, self.last.as_ref()) {
            return;
        }
        if let Some(Answer::Done(Blob(bytes))) = &self.last {
            (self.is_answered, self.refusals) = (true, 0);
            let told = decode_value(bytes);
            let wrote = |shard: &mut u32| {
                self.asked.is_some_and(|(asked, command)| {
                    asked == *shard && matches!(command, Command::Write { register: 0, .. })
                })
            };
            self.to_write.pop_front_if(wrote);
            if let Ok(told) = told {
                self.learns(told);
            }
        } else {
            self.refusals += 1;
        }
        self.asked = None;
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        let waits = !self.is_answered || !self.to_write.is_empty() || self.keyed.parked() > 0;
        let parked = self.keyed.parked();
        let (times, last, left) = (self.refusals, &self.last, self.to_write.len());
        waits
            .then(|| {
                format!(
                    "an operation on a shard, {times} times in vain, last answered {last:?}; {left} to write, {parked} parked"
                )
            })
    }
}
