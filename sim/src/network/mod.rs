//! The network between hosts: what becomes of each packet, directed link by directed link.
//!
//! Without faults a packet takes a drawn delay and arrives. Each active fault may change that; each kind of fault draws
//! from its own stream, and only for packets it concerns. Datagrams are routed one by one; of a stream the network
//! carries segments, and [`connection`] makes messages of them that arrive once and in order.

mod condition;
pub mod connection;

use crate::scenario::{FaultKind, NetworkSettings, PlannedFault};
use crate::streams::{Stream, Streams};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use condition::Condition;
use relaymesh_core::envelope::Class;
use relaymesh_core::machine::Chooser;
use relaymesh_core::time::Duration;

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// When it arrives, and whether its bytes are changed on the way.
    pub first: Option<Flight>,
    /// When it arrives once more.
    pub second: Option<Flight>,
    /// When somebody who kept a copy delivers it.
    pub replayed: Option<TrueTime>,
    /// Somebody without a key sends a copy, too.
    pub intruder: Option<Intruder>,
    /// The sender's queue is full: until when.
    pub full_until: Option<TrueTime>,
}

/// A copy of a packet that somebody without a key has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intruder {
    /// When it arrives.
    pub at: TrueTime,
    /// Whether it claims another cluster rather than being sealed with a key that nobody holds.
    pub is_foreign: bool,
}

/// What becomes of one segment of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It takes that long.
    Across(Duration),
    /// It gets lost, or is changed on the way, which comes to the same.
    Lost,
    /// The link has no room for it before then.
    NotBefore(TrueTime),
}

/// One copy of a packet on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// When it arrives.
    pub at: TrueTime,
    /// Whether bits are flipped.
    pub corrupt: bool,
}

/// The network.
#[derive(Debug)]
pub struct Network {
    settings: NetworkSettings,
    active: Vec<(usize, Condition)>,
    queues: BTreeMap<(u32, u32, Class), TrueTime>,
    full: BTreeMap<(u32, u32, Class), TrueTime>,
    fired: BTreeMap<FaultKind, u64>,
    /// Packets that each kind of fault had to decide about, and delays that were needed: what the streams must have been
    /// drawn for, counted apart from the drawing.
    judged: BTreeMap<FaultKind, u64>,
    delays: u64,
    delay: Stream,
    tail: Stream,
    loss: Stream,
    duplicate: Stream,
    copy_delay: Stream,
    reorder: Stream,
    corrupt: Stream,
    flip: Stream,
    replay: Stream,
    intrude: Stream,
}

impl Network {
    /// A network without faults.
    pub fn new(settings: NetworkSettings, streams: &mut Streams) -> Self {
        Self {
            settings,
            active: Vec::new(),
            queues: BTreeMap::new(),
            full: BTreeMap::new(),
            fired: BTreeMap::new(),
            judged: BTreeMap::new(),
            delays: 0,
            delay: streams.open("network delay"),
            tail: streams.open("network delay tail"),
            loss: streams.open("network loss"),
            duplicate: streams.open("network duplicate"),
            copy_delay: streams.open("network delay of copies"),
            reorder: streams.open("network reorder"),
            corrupt: streams.open("network corrupt"),
            flip: streams.open("network flipped bits"),
            replay: streams.open("network replay"),
            intrude: streams.open("network intruder"),
        }
    }

    /// A fault of the network begins.
    pub fn begin(&mut self, number: usize, fault: &PlannedFault, nodes: u32) {
        self.active.push((number, Condition::of(fault, nodes)));
    }

    /// A fault of the network ends.
    pub fn end(&mut self, number: usize) {
        self.active.retain(|(active, _)| *active != number);
    }

    /// What becomes of a datagram of `bytes` bytes sent now.
    pub fn route(&mut self, now: TrueTime, from: u32, to: u32, class: Class, bytes: usize) -> Route {
        let mut flight = Flight { at: now + self.draw_delay(), corrupt: false };
        if self.active.is_empty() {
            return Route { first: Some(flight), ..Route::default() };
        }
        let mut route = Route::default();
        let mut copies = 1;
        let (mut replayed, mut intruder) = (None, None);
        for at in 0..self.active.len() {
            let condition = &self.active[at].1;
            let (kind, share, amount) = (condition.kind, condition.share, condition.amount);
            if condition.cuts(now, from, to) {
                self.fire(kind);
                return route;
            }
            if !condition.touches(from, to) {
                continue;
            }
            self.judge(kind);
            match kind {
                FaultKind::Loss if self.loss.decide().happens(share) => {
                    self.fire(kind);
                    return route;
                }
                FaultKind::Duplicate if self.duplicate.decide().happens(share) => {
                    self.fire(kind);
                    copies = 2;
                }
                FaultKind::Reorder if self.reorder.decide().happens(share) => {
                    self.fire(kind);
                    flight.at = flight.at + self.reorder.decide().span(Duration::ZERO, amount);
                }
                FaultKind::Delay => {
                    self.fire(kind);
                    flight.at = flight.at + amount;
                }
                FaultKind::Corrupt if self.corrupt.decide().happens(share) => {
                    self.fire(kind);
                    flight.corrupt = true;
                }
                FaultKind::Bandwidth => match self.queue(at, now, (from, to, class), bytes) {
                    Ok(wait) => flight.at = flight.at + wait,
                    Err(until) => {
                        self.fire(kind);
                        route.full_until = self.newly_full(now, (from, to, class), until);
                        return route;
                    }
                },
                FaultKind::Replay if self.replay.decide().happens(share) => {
                    self.fire(kind);
                    replayed = Some(self.replay.decide().span(Duration::ZERO, amount));
                }
                FaultKind::Intrude if self.intrude.decide().happens(share) => {
                    self.fire(kind);
                    intruder = Some(self.draw_intruder(now));
                }
                _ => {}
            }
        }
        route.first = Some(flight);
        route.replayed = replayed.map(|later| flight.at + later);
        route.intruder = intruder;
        if copies == 2 {
            let at = now + self.copy_delay.decide().span(self.settings.delay.from, self.settings.delay.to);
            route.second = Some(Flight { at, corrupt: false });
        }
        route
    }

    /// What becomes of a segment of `bytes` bytes of a stream, tried now. What would double a datagram does nothing to it,
    /// and what would let others overtake it holds up those behind it.
    pub fn carry(&mut self, now: TrueTime, from: u32, to: u32, class: Class, bytes: usize) -> Carried {
        let mut delay = self.draw_delay();
        for at in 0..self.active.len() {
            let condition = &self.active[at].1;
            let (kind, share, amount) = (condition.kind, condition.share, condition.amount);
            if condition.cuts_streams(now, from, to) {
                self.fire(kind);
                return Carried::Lost;
            }
            if !condition.touches(from, to) {
                continue;
            }
            match kind {
                FaultKind::Loss if self.judge(kind).loss.decide().happens(share) => {
                    self.fire(kind);
                    return Carried::Lost;
                }
                FaultKind::Corrupt if self.judge(kind).corrupt.decide().happens(share) => {
                    self.fire(kind);
                    return Carried::Lost;
                }
                FaultKind::Reorder if self.judge(kind).reorder.decide().happens(share) => {
                    self.fire(kind);
                    delay = delay + self.reorder.decide().span(Duration::ZERO, amount);
                }
                FaultKind::Delay => {
                    self.fire(kind);
                    delay = delay + amount;
                }
                FaultKind::Bandwidth => match self.queue(at, now, (from, to, class), bytes) {
                    Ok(wait) => delay = delay + wait,
                    Err(until) => {
                        self.fire(kind);
                        return Carried::NotBefore(until);
                    }
                },
                _ => {}
            }
        }
        Carried::Across(delay)
    }

    fn judge(&mut self, kind: FaultKind) -> &mut Self {
        *self.judged.entry(kind).or_default() += 1;
        self
    }

    fn draw_intruder(&mut self, now: TrueTime) -> Intruder {
        let at = now + self.intrude.decide().span(self.settings.delay.from, self.settings.delay.to);
        Intruder { at, is_foreign: self.intrude.decide().below(2) == 1 }
    }

    fn draw_delay(&mut self) -> Duration {
        self.delays += 1;
        let delay = self.delay.decide().span(self.settings.delay.from, self.settings.delay.to);
        let is_late = self.settings.tail.0 > 0 && self.tail.decide().happens(self.settings.tail.0);
        if is_late { delay.saturating_mul(10) } else { delay }
    }

    /// How long the packet waits for its lane, or until when the lane's queue has no room. Lanes do not wait for one another.
    fn queue(
        &mut self,
        condition: usize,
        now: TrueTime,
        lane: (u32, u32, Class),
        bytes: usize,
    ) -> Result<Duration, TrueTime> {
        let bytes_per_second = self.active[condition].1.bytes_per_second;
        let time_of = |bytes: u64| Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / bytes_per_second);
        let free_at = self.queues.entry(lane).or_insert(now);
        let backlog = free_at.since(now);
        if backlog > time_of(self.settings.queue_bytes) {
            return Err(now + Duration::from_nanos(backlog.as_nanos() / 2));
        }
        let wait = backlog + time_of(bytes as u64);
        *free_at = now + wait;
        Ok(wait)
    }

    /// Remembers until when the sender was told, so that it is told once, and told again once it was told of room.
    fn newly_full(&mut self, now: TrueTime, lane: (u32, u32, Class), until: TrueTime) -> Option<TrueTime> {
        if self.full.get(&lane).is_some_and(|room_at| *room_at > now) {
            return None;
        }
        self.full.insert(lane, until);
        Some(until)
    }

    /// Flips one to three bits next to one another, so that none is flipped back.
    pub fn flip_bits(&mut self, bytes: &mut [u8]) {
        let bits = bytes.len() * 8;
        let first = self.flip.decide().below(bits as u64) as usize;
        let count = 1 + self.flip.decide().below(3) as usize;
        for bit in (first..first + count).map(|bit| bit % bits) {
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    fn fire(&mut self, kind: FaultKind) {
        *self.fired.entry(kind).or_default() += 1;
    }

    /// How many packets each kind of fault changed.
    pub const fn fired(&self) -> &BTreeMap<FaultKind, u64> {
        &self.fired
    }

    /// The network's streams with the draws that each must have given, for DRAW-1.
    pub fn draws_expected(&self) -> [(&'static str, &Stream, u64); 10] {
        let count = |counts: &BTreeMap<FaultKind, u64>, kind| counts.get(&kind).copied().unwrap_or(0);
        let judged = |kind| count(&self.judged, kind);
        let fired = |kind| count(&self.fired, kind);
        let tails = if self.settings.tail.0 > 0 { self.delays } else { 0 };
        [
            ("delay", &self.delay, self.delays),
            ("delay tail", &self.tail, tails),
            ("loss", &self.loss, judged(FaultKind::Loss)),
            ("duplicate", &self.duplicate, judged(FaultKind::Duplicate)),
            ("delay of copies", &self.copy_delay, self.copy_delay.decisions()),
            ("reorder", &self.reorder, judged(FaultKind::Reorder) + fired(FaultKind::Reorder)),
            ("corrupt", &self.corrupt, judged(FaultKind::Corrupt)),
            ("flipped bits", &self.flip, self.flip.decisions()),
            ("replay", &self.replay, judged(FaultKind::Replay) + fired(FaultKind::Replay)),
            ("intruder", &self.intrude, judged(FaultKind::Intrude) + 2 * fired(FaultKind::Intrude)),
        ]
    }
}
