//! Ticks of the crate's logical clock, from deadlines; and chance, from `Ctx`.
//!
//! Nobody wakes a member for a tick that would do nothing: the next deadline is the tick that may matter. A member that
//! is woken much later than it asked for was stopped; of that time only a heartbeat's worth is counted, since what was
//! sent to it meanwhile may lie in its queues. For the same reason a message is looked at before a follower stands.

use super::Replicated;
use super::machine::Action;
use super::member::Member;
use super::observation::GroupObservation;
use crate::machine::{Ctx, Sink};
use crate::time::{Duration, Time};
use raft::StateRole;

/// The logical clock of a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    tick: Duration,
    /// The instant of the last tick counted.
    last: Time,
    /// When it asked to be woken for the next tick that may matter.
    expected: Time,
    /// Ticks counted that the crate has not seen.
    owed: u64,
    /// What the crate had counted towards the next election when the event came.
    elapsed: usize,
    /// The election timeout drawn last, in ticks.
    timeout: u64,
    /// For which term and role it was drawn.
    drawn_for: (u64, StateRole),
    /// The instant of the event being handled.
    pub(super) now: Time,
    /// Work is left over from the last event.
    pub(super) has_work: Option<Time>,
}

impl Clock {
    pub(super) fn new(now: Time, tick: Duration) -> Self {
        Self {
            tick,
            last: now,
            expected: now,
            owed: 0,
            elapsed: 0,
            timeout: 0,
            drawn_for: (0, StateRole::Follower),
            now,
            has_work: None,
        }
    }

    /// Counts the ticks since the last one counted; of a pause at most `most`.
    fn count(&mut self, most: u64) {
        let until = self.now.min(self.expected.max(self.last).saturating_add(self.tick.saturating_mul(most)));
        let passed = until.since(self.last).as_nanos() / self.tick.as_nanos();
        let is_pause = until < self.now;
        self.last = if is_pause { self.now } else { self.last.saturating_add(self.tick.saturating_mul(passed)) };
        self.owed += passed;
    }

    fn after(&self, ticks: u64) -> Time {
        self.last.saturating_add(self.tick.saturating_mul(ticks.max(1)))
    }
}

impl<S: Replicated> Member<S> {
    /// Draws a new election timeout.
    pub(super) fn draw_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let (_, least, most) = self.settings.ticks();
        self.clock.timeout = least + ctx.below(most - least);
        self.clock.drawn_for = (self.raft.raft.term, self.role());
        self.raft.raft.set_randomized_election_timeout(self.clock.timeout as usize);
    }

    /// Puts our own draw in place of one that the crate may have made from the process's randomness. It draws whenever
    /// term or role change, and nowhere else.
    pub(super) fn settle_timeout(&mut self, ctx: &mut Ctx<'_>) {
        if self.clock.drawn_for != (self.raft.raft.term, self.role()) {
            return self.draw_timeout(ctx);
        }
        self.raft.raft.set_randomized_election_timeout(self.clock.timeout as usize);
    }

    /// Lets the time pass that has, short of standing for election: others ask whether the leader was heard of lately.
    pub(super) fn catch_up_clock(&mut self) {
        let (heartbeat, ..) = self.settings.ticks();
        self.clock.count(heartbeat);
        if !self.is_leader() {
            let raft = &mut self.raft.raft;
            let room = (self.clock.timeout as usize).saturating_sub(raft.election_elapsed + 1);
            let passed = room.min(self.clock.owed as usize);
            raft.election_elapsed += passed;
            self.clock.owed -= passed as u64;
        }
        self.clock.elapsed = self.raft.raft.election_elapsed;
    }

    /// Lets the ticks pass that are left.
    pub(super) fn tick(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action<S>>) {
        let owed = core::mem::take(&mut self.clock.owed);
        if !self.is_leader() && self.raft.raft.election_elapsed < self.clock.elapsed {
            // The leader has spoken.
            return;
        }
        for _ in 0..owed {
            let is_leader = self.is_leader();
            if !is_leader && !self.may_stand() {
                continue;
            }
            let stands = self.raft.raft.election_elapsed + 1 >= self.raft.raft.randomized_election_timeout();
            self.raft.tick();
            self.watch_progress(out);
            self.settle_timeout(ctx);
            if !is_leader && stands && self.raft.raft.promotable() {
                // Two that stand at once must not do so again at once.
                self.draw_timeout(ctx);
                self.observe(GroupObservation::Stood { term: self.raft.raft.term }, out);
            }
            // What a step leads to is seen to before the next one.
            self.follow(ctx, out);
        }
    }

    /// The tick that may matter next.
    fn next_tick(&self) -> Option<Time> {
        let raft = &self.raft.raft;
        let left = |elapsed: usize, timeout: usize| timeout.saturating_sub(elapsed) as u64;
        let ticks = match raft.state {
            StateRole::Leader => {
                let beat = left(raft.heartbeat_elapsed(), raft.heartbeat_timeout());
                Some(beat.min(left(raft.election_elapsed, raft.election_timeout())))
            }
            _ if raft.promotable() => Some(left(raft.election_elapsed, raft.randomized_election_timeout())),
            _ => None,
        };
        ticks.map(|ticks| self.clock.after(ticks))
    }

    /// Remembers when it is to be woken, so that a pause shows.
    pub(super) fn expect(&mut self) {
        self.clock.expected = self.next_tick().unwrap_or(self.clock.now);
    }

    /// When this member has to be woken.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.is_halted {
            return None;
        }
        [self.next_tick(), self.clock.has_work, self.next_transfer(), self.next_procedure()].into_iter().flatten().min()
    }
}
