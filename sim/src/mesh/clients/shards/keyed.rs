//! Submissions with a key of one client: each adds one to a register of its own, so that what the register holds tells how
//! often that took effect.
//!
//! Of two neighbours, each uses half of the time a key that only time names, so that both come to submit under one key, often
//! on two sides of a split network. A key names its shard. What is unknown or refused is submitted again a few times; what was
//! parked is asked after, in the end, until it was taken.

use super::{Shared, ask};
use crate::streams::Stream;
use crate::subject::Turn;
use crate::time::TrueTime;
use alloc::collections::VecDeque;
use relaymesh_core::bytes::Blob;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::Request;
use relaymesh_core::replication::registers::Command;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Fate, Reply as Answer, Request as Question};
use relaymesh_core::time::Duration;

/// The first register of a key; registers below are written, or counters.
pub(in crate::mesh) const KEYED: u64 = 1 << 40;
/// For so long two neighbours use one key.
const WINDOW_NANOSECONDS: u64 = 2_000_000_000;
/// Owners say for so long of what was parked that it was not taken, before it is given up: whoever kept it may have lost its
/// disk. Counted from the first time, whatever was asked after: what was parked behind it has waited as long.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);
/// A key is submitted again so often.
const AGAIN_MAX: u32 = 3;

/// What one client has submitted under keys.
#[derive(Debug)]
pub(super) struct Keyed {
    /// Of two neighbours, the even one.
    pair: u64,
    own: u64,
    count: u64,
    /// What is to be submitted again, and how often it was.
    again: Option<(u64, u32)>,
    asked: Option<u64>,
    parked: VecDeque<u64>,
    missed: Option<TrueTime>,
}

impl Keyed {
    pub(super) fn new(client: u32) -> Self {
        let (pair, own) = (u64::from(client / 2), u64::from(client % 2));
        Self { pair, own, count: 0, again: None, asked: None, parked: VecDeque::new(), missed: None }
    }

    /// The next submission, if it is this one's turn.
    pub(super) fn turn(&mut self, shared: &Shared, stream: &mut Stream, now: TrueTime) -> Option<Turn<Request>> {
        let share = shared.load.keyed.0;
        if share == 0 || !(self.again.is_some() || stream.happens(share)) {
            return None;
        }
        let register = match self.again {
            Some((register, _)) => register,
            None if stream.below(2) == 0 => KEYED + (self.pair << 24) + (1 << 23) + now.0 / WINDOW_NANOSECONDS,
            None => {
                self.count += 1;
                KEYED + (self.pair << 24) + (self.own << 22) + self.count
            }
        };
        self.asked = Some(register);
        let (shard, key) = (shard(shared, register), key(register));
        let command = Blob(Command::Add { register, by: 1 }.to_bytes().into());
        let question = Question::SubmitOnce { shard, key, command };
        Some(ask(shared.some_member(stream), question, shared.load.timeout.0))
    }

    /// What became of the first one that was parked?
    pub(super) fn finale(&mut self, shared: &Shared, stream: &mut Stream) -> Option<Turn<Request>> {
        let register = *self.parked.front()?;
        let question = Question::Outcome { shard: shard(shared, register), key: key(register) };
        Some(ask(shared.some_member(stream), question, shared.load.timeout.0))
    }

    /// Whether the answer was to something of this.
    pub(super) fn outcome(&mut self, now: TrueTime, answer: Option<&Answer>) -> bool {
        if let Some(Answer::Outcome(fate)) = answer {
            let is_missed = *fate == Fate::NotTaken;
            let is_lost = is_missed && now.since(*self.missed.get_or_insert(now)) >= GIVEN_UP_AFTER;
            if is_lost || matches!(fate, Fate::Taken(_)) {
                self.parked.pop_front();
            }
            return true;
        }
        let Some(register) = self.asked.take() else { return false };
        let times = self.again.take().map_or(0, |(_, times)| times);
        match answer {
            Some(Answer::Done(_) | Answer::Taken) => {}
            Some(Answer::Parked { .. }) => self.parked.push_back(register),
            _ if times < AGAIN_MAX => self.again = Some((register, times + 1)),
            _ => {}
        }
        true
    }

    /// How many were parked that are not known to be taken.
    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }
}

/// What a register's key is.
pub(in crate::mesh) fn key(register: u64) -> Blob {
    Blob(register.to_le_bytes().into())
}

fn shard(shared: &Shared, register: u64) -> ShardId {
    ShardId::of_key(shared.namespace, shared.load.shards, &key(register).0)
}
