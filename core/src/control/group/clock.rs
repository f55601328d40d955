//! Ticks of the crate's logical clock, from deadlines; and chance, from `Ctx`.
//!
//! Nobody wakes a member for a tick that would do nothing: the next deadline is the tick that may matter. After a pause
//! of the process only a heartbeat's worth of ticks is counted, since what was sent meanwhile may lie in its queues.

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
        Self { tick, last: now, timeout: 0, drawn_for: (0, StateRole::Follower), now, has_work: None }
    }

    /// Ticks since the last one counted, which are counted now: at most `most`.
    fn count(&mut self, now: Time, most: u64) -> u64 {
        let passed = now.since(self.last).as_nanos() / self.tick.as_nanos();
        if passed > most {
            self.last = now;
            return most;
        }
        self.last = self.last.saturating_add(self.tick.saturating_mul(passed));
        passed
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

    /// Lets the ticks pass that have.
    pub(super) fn tick(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action<S>>) {
        let (heartbeat, ..) = self.settings.ticks();
        for _ in 0..self.clock.count(ctx.now, heartbeat) {
            let is_leader = self.is_leader();
            if !is_leader && !self.may_stand() {
                continue;
            }
            let stands_again = self.raft.raft.election_elapsed + 1 >= self.raft.raft.randomized_election_timeout();
            self.raft.tick();
            self.settle_timeout(ctx);
            if !is_leader && stands_again && self.raft.raft.promotable() {
                // Two that stand at once must not do so again at once.
                self.draw_timeout(ctx);
                self.observe(GroupObservation::Stood { term: self.raft.raft.term }, out);
            }
            // What a step leads to is seen to before the next one.
            self.follow(ctx, out);
        }
    }

    /// When this member has to be woken.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.is_halted {
            return None;
        }
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
        let tick = ticks.map(|ticks| self.clock.after(ticks));
        [tick, self.clock.has_work, self.next_transfer(), self.next_procedure()].into_iter().flatten().min()
    }
}
