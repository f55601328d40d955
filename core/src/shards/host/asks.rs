//! Questions of this node's clients, and of the submissions that it keeps: which are under way, where each is, and when it is
//! due. Bounded by their number and by their bytes.

use super::once::Keyed;
use super::settings::Settings;
use super::view::Request;
use crate::identity::{NodeId, RequestId};
use crate::machine::Ctx;
use crate::replication::once::SubmissionId;
use crate::shards::ShardId;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// A process begins to count somewhere below this: two of one node do not come to the same numbers.
const FIRST_NUMBER_BELOW: u64 = 1 << 62;

#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) by: By,
    pub(super) shard: ShardId,
    pub(super) what: What,
    pub(super) until: Time,
    pub(super) state: Where,
    /// How often it was refused in a row because too much was under way.
    pub(super) busy: u32,
}

/// Whose question it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A client of this node.
    Client(RequestId),
    /// This node keeps it.
    Keeper(SubmissionId),
    /// A machine of this node, by the number that it has there.
    Sibling(u64),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Once, but for reads.
    Request(Request),
    /// What takes effect once.
    Once(Keyed),
}

/// Where a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// With the replica of this node.
    Here,
    /// With another node, as the owner.
    With(NodeId),
    /// Nowhere: it is asked again then, or when the record is another one.
    Waits { again_at: Time },
}

/// Questions under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    /// The number of the newest question.
    last: u64,
    asks: BTreeMap<u64, Ask>,
    /// Bytes of what is asked.
    bytes: usize,
    by_shard: BTreeSet<(ShardId, u64)>,
    due: BTreeSet<(Time, u64)>,
    /// Shards whose record is another one, and the first of their questions that was not looked at since.
    learned: BTreeMap<ShardId, u64>,
}

impl What {
    /// Bytes that it has a client's node, and the owner, hold while it is under way.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Request(request) => request.bytes(),
            Self::Once(keyed) => keyed.submission.command.0.len(),
        }
    }
}

impl Ask {
    fn due(&self) -> Time {
        match self.state {
            Where::Waits { again_at } => self.until.min(again_at),
            Where::Here | Where::With(_) => self.until,
        }
    }

    /// Whether it may be asked twice: a read, or what is the same however often it is done.
    fn is_read(&self) -> bool {
        use Request::{Get, Outcome, Put, Read};
        matches!(self.what, What::Request(Read { .. } | Outcome { .. } | Put { .. } | Get { .. }))
    }

    pub(super) fn may_be_asked_again(&self) -> bool {
        self.is_read() || matches!(self.what, What::Once(_))
    }

    /// Whether somebody may have it take effect, for all that is known.
    pub(super) fn is_in_doubt(&self) -> bool {
        let is_sent = !matches!(self.state, Where::Waits { .. });
        match &self.what {
            What::Request(_) => is_sent && !self.is_read(),
            What::Once(keyed) => keyed.is_in_doubt || (is_sent && keyed.since.is_some()),
        }
    }
}

impl Asks {
    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>) {
        self.last = ctx.below(FIRST_NUMBER_BELOW);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        if !self.learned.is_empty() {
            return Some(Time::ZERO);
        }
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether there is room for one more of so many bytes, beside so many others that clients wait for.
    pub(super) fn has_room(&self, settings: &Settings, bytes: usize, (others, of_others): (usize, usize)) -> bool {
        let held = self.bytes.saturating_add(of_others).saturating_add(bytes);
        self.asks.len() + others < settings.asks_max && held <= settings.asks_bytes_max
    }

    pub(super) fn get(&self, number: u64) -> Option<&Ask> {
        self.asks.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Ask> {
        self.asks.get_mut(&number)
    }

    /// A number that nothing else of this process has.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn insert(&mut self, ask: Ask) -> u64 {
        self.next_number();
        self.by_shard.insert((ask.shard, self.last));
        self.due.insert((ask.due(), self.last));
        self.bytes += ask.what.bytes();
        self.asks.insert(self.last, ask);
        self.last
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Ask> {
        let ask = self.asks.remove(&number)?;
        self.by_shard.remove(&(ask.shard, number));
        self.due.remove(&(ask.due(), number));
        self.bytes -= ask.what.bytes();
        Some(ask)
    }

    pub(super) fn put(&mut self, number: u64, state: Where) {
        let Some(ask) = self.asks.get_mut(&number) else { return };
        self.due.remove(&(ask.due(), number));
        ask.state = state;
        self.due.insert((ask.due(), number));
    }

    /// The first ones that are due.
    pub(super) fn due(&self, now: Time, at_once: usize) -> Vec<u64> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now).take(at_once);
        due.map(|(_, number)| *number).collect()
    }

    /// The record of a shard is another one: its questions are to be looked at.
    pub(super) fn learn(&mut self, shard: ShardId) {
        if self.by_shard.range((shard, 0)..=(shard, u64::MAX)).next().is_some() {
            self.learned.insert(shard, 0);
        }
    }

    /// Some of the questions that are to be looked at, of one shard.
    pub(super) fn next_learned(&mut self, at_once: usize) -> Option<(ShardId, Vec<u64>)> {
        let (shard, from) = self.learned.pop_first()?;
        let mut numbers = self.by_shard.range((shard, from)..=(shard, u64::MAX)).map(|(_, number)| *number);
        let some: Vec<u64> = numbers.by_ref().take(at_once).collect();
        let rest = numbers.next();
        self.learned.extend(rest.map(|next| (shard, next)));
        Some((shard, some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Blob;
    use crate::control::state::Name;

    fn ask(number: u32, bytes: usize) -> Ask {
        let shard = ShardId { namespace: Name::new("n").unwrap(), number };
        let what = What::Request(Request::Submit { shard, command: Blob(alloc::vec![7; bytes].into()) });
        let (by, until) = (By::Client(RequestId(1)), Time::MAX);
        Ask { by, shard, what, until, state: Where::Waits { again_at: Time::MAX }, busy: 0 }
    }

    #[test]
    fn there_is_room_for_so_many_and_for_so_many_bytes() {
        let settings = Settings { asks_max: 3, asks_bytes_max: 100, ..Settings::default() };
        let mut asks = Asks::default();
        let first = asks.insert(ask(0, 60));
        assert!(asks.has_room(&settings, 40, (0, 0)) && !asks.has_room(&settings, 41, (0, 0)));
        assert!(!asks.has_room(&settings, 40, (1, 1)) && !asks.has_room(&settings, 0, (2, 0)));
        asks.remove(first);
        assert!(asks.has_room(&settings, 100, (0, 0)));
    }

    #[test]
    fn questions_of_shards_whose_records_changed_are_looked_at_a_few_at_a_time() {
        let mut asks = Asks::default();
        let numbers: Vec<u64> = [0, 1, 0, 0].map(|number| asks.insert(ask(number, 1))).into();
        (0..3).for_each(|number| asks.learn(ask(number, 1).shard));
        assert_eq!(asks.next_deadline(), Some(Time::ZERO));
        let mut next = || asks.next_learned(2).map(|(shard, numbers)| (shard.number, numbers));
        assert_eq!(next(), Some((0, Vec::from([numbers[0], numbers[2]]))));
        assert_eq!(next(), Some((0, Vec::from([numbers[3]]))));
        assert_eq!((next(), next()), (Some((1, Vec::from([numbers[1]]))), None));
    }
}
