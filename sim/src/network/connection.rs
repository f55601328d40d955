//! What a kernel keeps for one direction of one stream: messages in order, tries again, and an end.
//!
//! A segment that is lost is sent again after 200 ms, then after twice as long each time; behind it everything waits.
//! After 15 s without success the connection breaks, and what waits on it is lost, as is what was on the way to a
//! process that ends. What the receiving process has not taken yet counts against the connection's bound.

use crate::time::TrueTime;
use alloc::collections::VecDeque;
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::Class;
use relaymesh_core::time::Duration;

/// Messages that a connection holds at most.
pub const MESSAGES_MAX: usize = 256;
/// Bytes that a connection holds at most.
pub const BYTES_MAX: usize = 1 << 20;
/// After a loss, the time until the first new try.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Time without success after which a connection breaks.
const BREAKS_AFTER: Duration = Duration::from_secs(15);

/// One direction of one class between two nodes: what keeps its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The host that sends.
    pub from: u32,
    /// The node that it is for.
    pub to: u32,
    /// The class.
    pub class: Class,
}

/// A message that waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where its packet stands.
    pub place: u32,
    /// How long it is.
    pub bytes: usize,
}

/// What to do after a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLoss {
    /// Try again then.
    Again(TrueTime),
    /// Break the connection.
    Breaks,
}

/// One connection of a lane.
#[derive(Debug)]
pub struct Connection {
    number: u32,
    host: u32,
    endpoint: Endpoint,
    waiting: VecDeque<Segment>,
    /// Messages and bytes that the receiver has not taken yet.
    messages: usize,
    bytes: usize,
    /// Since when both ends know of one another.
    ready_at: Option<TrueTime>,
    last_arrival: TrueTime,
    /// Since when its first message gets nowhere, and how often it was tried.
    failing: Option<(TrueTime, u32)>,
    /// Whether an appointment is made for the next try.
    is_held: bool,
    is_full: bool,
}

impl Connection {
    /// A connection, not yet made, to `endpoint`, where `host` is now. `number` tells it from any other.
    pub const fn new(number: u32, host: u32, endpoint: Endpoint) -> Self {
        Self {
            number,
            host,
            endpoint,
            waiting: VecDeque::new(),
            messages: 0,
            bytes: 0,
            ready_at: None,
            last_arrival: TrueTime(0),
            failing: None,
            is_held: false,
            is_full: false,
        }
    }

    /// Its number.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The host that it leads to.
    pub const fn host(&self) -> u32 {
        self.host
    }

    /// Where it leads to.
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Whether it has room for a message of so many bytes.
    pub const fn has_room(&self, bytes: usize) -> bool {
        self.messages < MESSAGES_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// Notes that its sender is told that it is full; `false` when the sender knows already.
    pub const fn becomes_full(&mut self) -> bool {
        !core::mem::replace(&mut self.is_full, true)
    }

    /// Whether its sender was told that it is full, and not since that there is room.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes a message. Whether it is its turn at once.
    pub fn push(&mut self, segment: Segment) -> bool {
        self.messages += 1;
        self.bytes += segment.bytes;
        self.waiting.push_back(segment);
        !self.is_held
    }

    /// The message whose turn it is.
    pub fn next(&self) -> Option<Segment> {
        self.waiting.front().copied()
    }

    /// Whether both ends know of one another: else the next message needs a round trip before it leaves.
    pub const fn is_ready(&self) -> bool {
        self.ready_at.is_some()
    }

    /// Both ends know of one another from then on.
    pub const fn becomes_ready(&mut self, at: TrueTime) {
        self.ready_at = Some(at);
    }

    /// Its first message gets across, `delay` after it leaves: when it arrives, behind all before it.
    pub fn crosses(&mut self, now: TrueTime, delay: Duration) -> TrueTime {
        self.waiting.pop_front();
        self.failing = None;
        let leaves_at = self.ready_at.map_or(now, |ready_at| ready_at.max(now));
        self.last_arrival = self.last_arrival.max(leaves_at + delay);
        self.last_arrival
    }

    /// Its first message was lost.
    pub fn loses(&mut self, now: TrueTime) -> AfterLoss {
        let (since, tries) = self.failing.unwrap_or((now, 0));
        if now.since(since) >= BREAKS_AFTER {
            return AfterLoss::Breaks;
        }
        self.failing = Some((since, tries + 1));
        self.is_held = true;
        let wait = RETRY_FIRST.saturating_mul(1 << tries.min(16));
        AfterLoss::Again((now + wait).min(since + BREAKS_AFTER))
    }

    /// Its first message has to wait for the link, which is no loss.
    pub const fn waits(&mut self) {
        self.failing = None;
        self.is_held = true;
    }

    /// The appointment for the next try is kept. Whether it is too late for one.
    pub fn is_due(&mut self, now: TrueTime) -> AfterLoss {
        self.is_held = false;
        match self.failing {
            Some((since, _)) if now.since(since) >= BREAKS_AFTER => AfterLoss::Breaks,
            _ => AfterLoss::Again(now),
        }
    }

    /// The receiver has taken a message of so many bytes. Whether a sender that was told of no room has room again.
    pub const fn taken(&mut self, bytes: usize) -> bool {
        self.messages -= 1;
        self.bytes -= bytes;
        let has_room = self.messages <= MESSAGES_MAX / 2 && self.bytes <= BYTES_MAX / 2;
        has_room && core::mem::replace(&mut self.is_full, false)
    }

    /// What waits, in order: it is lost with the connection.
    pub fn waiting(&self) -> impl Iterator<Item = Segment> + '_ {
        self.waiting.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn connection() -> Connection {
        Connection::new(1, 1, Endpoint::v4([10, 0, 0, 1], 1))
    }

    fn push(connection: &mut Connection) -> bool {
        connection.push(Segment { place: 0, bytes: 100 })
    }

    #[test]
    fn what_leaves_later_never_arrives_earlier() {
        let mut it = connection();
        assert!(push(&mut it) && push(&mut it));
        it.becomes_ready(TrueTime(2 * MS));
        let first = it.crosses(TrueTime(0), Duration::from_millis(9));
        assert_eq!(first, TrueTime(11 * MS), "the first message waits for the handshake");
        assert_eq!(it.crosses(TrueTime(MS), Duration::from_millis(1)), first);
        assert_eq!(it.crosses(TrueTime(20 * MS), Duration::from_millis(1)), TrueTime(21 * MS));
    }

    #[test]
    fn tries_are_twice_as_far_apart_each_time_until_the_connection_breaks() {
        let mut it = connection();
        push(&mut it);
        let (mut now, mut tries) = (TrueTime(0), std::vec::Vec::new());
        while let AfterLoss::Again(at) = it.loses(now) {
            assert!(!push(&mut it), "what comes later waits");
            tries.push(at.0 / MS);
            now = at;
            if it.is_due(now) == AfterLoss::Breaks {
                break;
            }
        }
        assert_eq!(tries, [200, 600, 1_400, 3_000, 6_200, 12_600, 15_000]);
    }

    #[test]
    fn success_forgives_earlier_losses() {
        let mut it = connection();
        push(&mut it);
        it.loses(TrueTime(0));
        it.is_due(TrueTime(14_000 * MS));
        it.crosses(TrueTime(14_000 * MS), Duration::ZERO);
        push(&mut it);
        assert_eq!(it.loses(TrueTime(16_000 * MS)), AfterLoss::Again(TrueTime(16_200 * MS)));
    }

    #[test]
    fn a_full_connection_says_so_once_and_has_room_when_half_was_taken() {
        let mut it = connection();
        while it.has_room(100) {
            push(&mut it);
        }
        assert!(it.becomes_full() && !it.becomes_full());
        let told = (0..MESSAGES_MAX).filter(|_| it.taken(100)).count();
        assert_eq!(told, 1);
        assert!(!connection().has_room(BYTES_MAX + 1));
    }
}
