//! What must be known to everybody within a bound: who has ended (MEMB-1), who has started (JOIN-1), who has left
//! (LEFT-1).

use super::{JOIN_1, LEFT_1, MEMB_1, MeshChecks};
use crate::check::Findings;
use crate::time::TrueTime;
use alloc::collections::VecDeque;
use alloc::format;
use relaymesh_core::membership::{Settings, Status, suspicion};
use relaymesh_core::time::Duration;

/// Something that happened to a host, and until when it must be known.
#[derive(Clone, Copy, Debug)]
struct Pending {
    until: TrueTime,
    host: u32,
    at: TrueTime,
}

/// What is still spreading; each queue in the order in which its bounds run out.
#[derive(Clone, Debug, Default)]
pub(super) struct Spreading {
    ends: VecDeque<Pending>,
    starts: VecDeque<Pending>,
    departures: VecDeque<Pending>,
}

impl Spreading {
    /// Whether a bound has run out. O(1).
    pub(super) fn is_due(&self, now: TrueTime) -> bool {
        [&self.ends, &self.starts, &self.departures].iter().any(|queue| due(queue, now))
    }
}

fn due(queue: &VecDeque<Pending>, now: TrueTime) -> bool {
    queue.front().is_some_and(|first| first.until <= now)
}

/// Gossip has told everybody, but for the few that it misses: rounds grow with the logarithm of the members.
pub(super) fn gossip_bound(members: u32, settings: &Settings) -> Duration {
    settings.gossip_interval.saturating_mul(u64::from(members.ilog2()) + 10)
}

/// Those whom gossip missed have been told, too: their next exchange is at most one interval and a half away.
pub(super) fn repair_bound(members: u32, settings: &Settings) -> Duration {
    settings.sync_interval.saturating_mul(2) + gossip_bound(members, settings)
}

impl MeshChecks {
    /// Within which a crash must be known to everybody: until the last of the members could have probed it by then, the
    /// probe itself, the longest suspicion, and the spreading of the news.
    ///
    /// Rounds of different nodes are independent, so the first probe of a crashed member takes one interval on average,
    /// and more than 24 once in 10¹⁰ times; a lap of two rounds bounds it in a small mesh.
    pub fn crash_bound(&self) -> Duration {
        let members = self.truth.members();
        let rounds = u64::from((2 * members).min(24)) + 2;
        let longest = suspicion::timeout(0, members, &self.settings);
        self.settings.probe_interval.saturating_mul(rounds) + longest + gossip_bound(members, &self.settings)
    }

    /// Within which a start must be known to everybody: a few searches for seeds, the news, and its repair.
    pub fn join_bound(&self) -> Duration {
        self.settings.seek_interval.saturating_mul(10) + repair_bound(self.truth.members(), &self.settings)
    }

    /// Within which a good-bye must be known to everybody.
    pub fn leave_bound(&self) -> Duration {
        repair_bound(self.truth.members(), &self.settings)
    }

    pub(super) fn end_spreads(&mut self, host: u32, at: TrueTime) {
        let until = at + self.crash_bound();
        self.spreading.ends.push_back(Pending { until, host, at });
    }

    pub(super) fn start_spreads(&mut self, host: u32, at: TrueTime) {
        let until = at + self.join_bound();
        self.spreading.starts.push_back(Pending { until, host, at });
    }

    pub(super) fn departure_spreads(&mut self, host: u32, at: TrueTime) {
        let until = at + self.leave_bound();
        self.spreading.departures.push_back(Pending { until, host, at });
    }

    /// Looks at what should be known by now.
    pub(super) fn look_at_bounds(&mut self, found: &mut Findings) {
        if !self.spreading.is_due(found.now) {
            return;
        }
        while let Some(ended) = self.spreading.ends.pop_front_if(|first| first.until <= found.now) {
            self.check_end(ended, found);
        }
        while let Some(started) = self.spreading.starts.pop_front_if(|first| first.until <= found.now) {
            self.check_start(started, found);
        }
        while let Some(left) = self.spreading.departures.pop_front_if(|first| first.until <= found.now) {
            self.check_departure(left, found);
        }
    }

    /// MEMB-1: whoever was well when it ended, and since, holds it dead, or gone.
    fn check_end(&mut self, ended: Pending, found: &mut Findings) {
        let subject = ended.host;
        if self.truth.down_since(subject) != Some(ended.at) {
            return;
        }
        for observer in 0..self.truth.members() {
            let Some(held) = self.views.get(observer, subject).status else { continue };
            if !self.truth.is_well_since(observer, self.before(ended.at, self.grace)) {
                continue;
            }
            self.exercised.memb_1 += 1;
            if held.is_member() {
                let ago = found.now.since(ended.at);
                let detail = format!("n{subject} ended {ago} ago, and n{observer} still holds it {}", held.name());
                found.fail(MEMB_1, &[observer, subject], detail);
            }
        }
    }

    /// JOIN-1: whoever was well before it started, and since, holds it to be there, if a seed was well, too.
    fn check_start(&mut self, started: Pending, found: &mut Findings) {
        let (subject, before) = (started.host, self.before(started.at, self.grace));
        let is_still_there = self.truth.up_since(subject) == Some(started.at);
        let has_seed = (0..self.seeds).any(|seed| seed != subject && self.truth.is_well_since(seed, before));
        if !is_still_there || !has_seed || !self.truth.is_well_since(subject, started.at) {
            return;
        }
        for observer in 0..self.truth.members() {
            if observer == subject || !self.truth.is_well_since(observer, before) {
                continue;
            }
            self.exercised.join_1 += 1;
            let held = self.views.get(observer, subject).status;
            if !held.is_some_and(Status::is_member) {
                let ago = found.now.since(started.at);
                let detail = format!(
                    "n{subject} started {ago} ago, and n{observer} holds it {}",
                    held.map_or("unknown", Status::name)
                );
                found.fail(JOIN_1, &[observer, subject], detail);
            }
        }
    }

    /// LEFT-1: whoever was well before it left, and since, and remembers it, holds it gone rather than dead.
    fn check_departure(&mut self, left: Pending, found: &mut Findings) {
        let subject = left.host;
        if !self.truth.has_left(subject) {
            return;
        }
        for observer in 0..self.truth.members() {
            let Some(held) = self.views.get(observer, subject).status else { continue };
            if observer == subject || !self.truth.is_well_since(observer, self.before(left.at, self.grace)) {
                continue;
            }
            self.exercised.left_1 += 1;
            if held != Status::Left {
                let ago = found.now.since(left.at);
                let detail = format!("n{subject} has left {ago} ago, and n{observer} holds it {}", held.name());
                found.fail(LEFT_1, &[observer, subject], detail);
            }
        }
    }
}
