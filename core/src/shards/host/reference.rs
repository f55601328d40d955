//! When a set time is, by clocks for all: so that owners of many shards stop at one instant, although the wall clocks of their
//! nodes differ.
//!
//! The clocks are those of the few nodes whose sessions are the oldest; what most of them take for the set time it is, so that
//! one that is wrong does no harm. Whoever is to stop at a set time asks what they show, often just before that, and takes of the
//! last answers of each the one that came back the soonest: it is wrong by half of that way at most, and by what the two clocks have
//! drifted apart since. The instant is one of the node's own monotonic clock, which nobody sets. Without any answer the node's
//! own wall clock has to do.
//!
//! Nothing is safe because of this: who stops too early or too late hands over as always (docs/placement.md, P3).

use super::machine::{Action, Host, Sees};
use super::wire::Message;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::replication::Service;
use crate::time::{Duration, Time, WallTime};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// Clocks that are asked.
const CLOCKS: usize = 5;
/// How long before a set time they are asked often.
const NEAR: Duration = Duration::from_secs(2);
/// How often, then.
const OFTEN: Duration = Duration::from_millis(100);
/// How often before.
const SELDOM: Duration = Duration::from_secs(5);
/// What a clock has shown longer ago than that says nothing any more.
const OLD: Duration = Duration::from_secs(12);
/// How long answers are awaited before the node's own clock has to do.
const PATIENCE: Duration = Duration::from_secs(1);
/// Questions whose answers still count.
const QUESTIONS: usize = 8;
/// Set times that are known to be over.
const OVER_MAX: usize = 16;

/// What is known of the clocks for all.
#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    /// The next set time at which this node has something to do, and since when that is known.
    wanted: Option<(WallTime, Time)>,
    ask_at: Option<Time>,
    /// The last questions, and when they were asked.
    asked: VecDeque<(u64, Time)>,
    clocks: BTreeMap<NodeId, Option<Heard>>,
    /// The node's own is one of them.
    is_own: bool,
    /// Set times that are over, the last of them: no clock brings them back.
    over: BTreeSet<WallTime>,
}

/// What a clock has shown.
#[derive(Clone, Copy, Debug)]
struct Heard {
    wall: WallTime,
    /// In the middle between question and answer.
    at: Time,
    round_trip: Duration,
}

impl Reference {
    /// There is something to do at a set time.
    pub(super) fn want(&mut self, now: Time, at: WallTime) {
        if self.wanted.is_none_or(|(wanted, _)| at < wanted) {
            self.wanted = Some((at, now));
            self.ask_at = Some(now);
        }
    }

    /// When a set time is, by this node's monotonic clock, as far as that is known: soon where answers are awaited, so that it
    /// is asked again then. What is over was at zero.
    pub(super) fn due(&self, (now, wall): (Time, WallTime), at: WallTime) -> Time {
        if self.over.contains(&at) {
            return Time::ZERO;
        }
        let by = |(then, shown): (Time, WallTime)| match at >= shown {
            true => then.saturating_add(at.since(shown)),
            false => then.saturating_sub(shown.since(at)),
        };
        let fresh = self.clocks.values().flatten().filter(|heard| heard.at.saturating_add(OLD) > now);
        let heard = fresh.map(|heard| by((heard.at, heard.wall)));
        let mut all: Vec<Time> = heard.chain(self.is_own.then(|| by((now, wall)))).collect();
        let is_majority = all.len() * 2 > self.clocks.len() + usize::from(self.is_own);
        if !is_majority && self.wanted.is_none_or(|(_, since)| since.saturating_add(PATIENCE) > now) {
            return now.saturating_add(OFTEN);
        }
        if !is_majority && !self.is_own {
            all.push(by((now, wall)));
        }
        all.sort_unstable();
        let middle = all.len().saturating_sub(1) / 2;
        all.get(middle).copied().unwrap_or(now)
    }

    /// When it is to be looked again whether a set time has come that is due then.
    pub(super) fn look_at(now: Time, due: Time) -> Time {
        let near = due.saturating_sub(NEAR);
        let next = if near <= now { now.saturating_add(OFTEN) } else { near.min(now.saturating_add(SELDOM)) };
        next.min(due)
    }

    pub(super) const fn next_deadline(&self) -> Option<Time> {
        self.ask_at
    }

    /// Those clocks count, and no others.
    fn count(&mut self, nodes: &[NodeId], own: NodeId) {
        self.is_own = nodes.contains(&own);
        self.clocks.retain(|node, _| nodes.contains(node));
        for node in nodes.iter().filter(|node| **node != own) {
            self.clocks.entry(*node).or_default();
        }
    }

    fn hears(&mut self, now: Time, from: NodeId, number: u64, wall: WallTime) {
        let Some((_, sent)) = self.asked.iter().find(|(asked, _)| *asked == number).copied() else { return };
        let Some(known) = self.clocks.get_mut(&from) else { return };
        let round_trip = now.since(sent);
        let half = Duration::from_nanos(round_trip.as_nanos() / 2);
        let heard = Heard { wall, at: sent.saturating_add(half), round_trip };
        let is_better = |old: &Heard| old.at.saturating_add(NEAR) <= now || round_trip <= old.round_trip;
        if known.as_ref().is_none_or(is_better) {
            *known = Some(heard);
        }
    }
}

impl<S: Service> Host<S> {
    /// Asks the clocks, where something is to be done at a set time.
    pub(super) fn wake_reference(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        if self.reference.ask_at.take_if(|at| *at <= ctx.now).is_none() {
            return;
        }
        let Some((((wanted, _), life), state)) = self.reference.wanted.zip(self.life).zip(sees.state) else {
            self.reference.wanted = None;
            return;
        };
        let oldest: Vec<NodeId> = state.sessions().take(CLOCKS).map(|(_, session)| session.owner.node).collect();
        self.reference.count(&oldest, life.node);
        let due = self.reference.due((ctx.now, ctx.wall), wanted);
        if due <= ctx.now {
            // Whoever has something to do at a later time says so again when it is looked at.
            self.reference.wanted = None;
            self.reference.over.insert(wanted);
            if self.reference.over.len() > OVER_MAX {
                self.reference.over.pop_first();
            }
            return;
        }
        self.reference.ask_at = Some(Reference::look_at(ctx.now, due));
        let number = self.asks.next_number();
        self.reference.asked.push_back((number, ctx.now));
        if self.reference.asked.len() > QUESTIONS {
            self.reference.asked.pop_front();
        }
        for to in self.reference.clocks.keys() {
            out.push(Action::Send { to: *to, message: Message::Clock { number }, not_after: None });
        }
    }

    /// What the clock of another node shows.
    pub(super) fn clock_shows(&mut self, now: Time, from: NodeId, number: u64, wall: WallTime) {
        self.reference.hears(now, from, number, wall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn wall(millis: u64) -> WallTime {
        WallTime::from_unix_nanos(millis * 1_000_000)
    }

    const fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 16])
    }

    fn asks(of: &[u8]) -> Reference {
        let mut reference = Reference::default();
        reference.count(&of.iter().map(|n| node(*n)).collect::<Vec<_>>(), node(9));
        reference
    }

    fn hears(reference: &mut Reference, from: u8, (sent, now): (u64, u64), shown: u64) {
        reference.asked = [(7, at(sent))].into();
        reference.hears(at(now), node(from), 7, wall(shown));
    }

    #[test]
    fn answers_are_awaited_and_then_the_own_clock_has_to_do() {
        let mut reference = asks(&[1, 2, 3]);
        let own = |reference: &Reference, now| reference.due((at(now), wall(4_900 + now)), wall(7_000));
        assert_eq!(own(&reference, 100), at(200), "soon, to be asked again");
        reference.want(at(100), wall(7_000));
        assert_eq!(own(&reference, 1_099), at(1_199));
        assert_eq!(own(&reference, 1_100), at(2_100), "the own clock");
        // The own clock is ahead by 1,000; asked at 1,100 and answered at 1,104, the other showed 5,000 at 1,102.
        hears(&mut reference, 1, (1_100, 1_104), 5_000);
        assert_eq!(own(&reference, 1_110), at(2_100), "one of three is no majority");
        hears(&mut reference, 2, (1_100, 1_104), 5_000);
        assert_eq!(own(&reference, 1_110), at(3_102));
        assert_eq!(own(&reference, 20_000), at(2_100), "that was too long ago");
        reference.over.insert(wall(7_000));
        assert_eq!(own(&reference, 1_110), at(0));
    }

    #[test]
    fn the_answer_that_came_back_the_soonest_counts_unless_it_is_old() {
        let mut reference = asks(&[1]);
        hears(&mut reference, 1, (100, 102), 1_001);
        hears(&mut reference, 1, (200, 240), 1_130);
        assert_eq!(reference.due((at(300), wall(0)), wall(2_000)), at(1_100), "the first one");
        hears(&mut reference, 1, (2_200, 2_240), 3_121);
        assert_eq!(reference.due((at(2_300), wall(0)), wall(4_000)), at(3_099), "the others are too long ago");
    }

    #[test]
    fn a_clock_that_is_wrong_does_no_harm_among_others() {
        let mut reference = asks(&[1, 2, 9]);
        hears(&mut reference, 1, (100, 100), 1_000);
        hears(&mut reference, 2, (100, 100), 9_000_000);
        // Its own, which is one of the three, is two milliseconds ahead.
        assert_eq!(reference.due((at(100), wall(1_002)), wall(1_500)), at(598));
        reference.count(&[node(1), node(9)], node(9));
        assert_eq!(reference.clocks.len(), 1, "the other does not count any more");
    }

    #[test]
    fn an_answer_that_nobody_has_asked_for_counts_for_nothing() {
        let mut reference = asks(&[1]);
        reference.asked = [(3, at(0))].into();
        reference.hears(at(1), node(2), 3, wall(9_000));
        reference.hears(at(1), node(1), 4, wall(9_000));
        assert!(reference.clocks.values().all(Option::is_none));
    }
}
