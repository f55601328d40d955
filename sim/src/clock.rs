//! The clocks of one host: a monotonic one and a wall clock, each with its own rate, over true time.
//!
//! Rates are in parts per billion and all arithmetic is in integers. A suspended host stops handling events; whether
//! its monotonic clock counts the suspended time is part of the fault.

use crate::time::TrueTime;
use relaymesh_core::time::{Duration, Time, WallTime};

const BILLION: i128 = 1_000_000_000;
/// What a wall clock shows then that is right.
pub const fn wall_at(now: TrueTime) -> WallTime {
    WallTime::from_unix_nanos(EPOCH_NANOS + now.0)
}

/// The wall time at the beginning of every run: 2026-01-01.
const EPOCH_NANOS: u64 = 1_767_225_600_000_000_000;

/// Both clocks of a host.
#[derive(Clone, Debug)]
pub struct HostClock {
    monotonic: Line,
    wall: Line,
}

/// A reading that advances at a constant rate since `since`.
#[derive(Clone, Copy, Debug)]
struct Line {
    since: TrueTime,
    reading: u64,
    rate_ppb: i64,
}

impl Line {
    fn at(&self, now: TrueTime) -> u64 {
        let elapsed = now.since(self.since).as_nanos();
        if self.rate_ppb == 0 {
            return self.reading + elapsed;
        }
        self.reading + (i128::from(elapsed) * (BILLION + i128::from(self.rate_ppb)) / BILLION) as u64
    }

    fn set_rate(&mut self, now: TrueTime, rate_ppb: i64) {
        if self.rate_ppb != rate_ppb {
            self.rebase(now);
            self.rate_ppb = rate_ppb;
        }
    }

    fn rebase(&mut self, now: TrueTime) {
        self.reading = self.at(now);
        self.since = now;
    }

    /// The first true instant at which the reading is at least `target`.
    fn when(&self, target: u64) -> TrueTime {
        let ahead = target.saturating_sub(self.reading);
        if self.rate_ppb == 0 {
            return self.since + Duration::from_nanos(ahead.min(u64::MAX - self.since.0));
        }
        let pace = BILLION + i128::from(self.rate_ppb);
        let elapsed = (i128::from(ahead) * BILLION + pace - 1) / pace;
        TrueTime(u64::try_from(i128::from(self.since.0) + elapsed).unwrap_or(u64::MAX))
    }
}

impl HostClock {
    /// Clocks that started `uptime` ago and keep true time.
    pub const fn new(uptime: Duration) -> Self {
        Self {
            monotonic: Line { since: TrueTime(0), reading: uptime.as_nanos(), rate_ppb: 0 },
            wall: Line { since: TrueTime(0), reading: EPOCH_NANOS, rate_ppb: 0 },
        }
    }

    /// What the monotonic clock shows.
    pub fn monotonic(&self, now: TrueTime) -> Time {
        Time::from_nanos(self.monotonic.at(now))
    }

    /// What the wall clock shows.
    pub fn wall(&self, now: TrueTime) -> WallTime {
        WallTime::from_unix_nanos(self.wall.at(now))
    }

    /// The first true instant at which the monotonic clock shows at least `target`.
    pub fn when(&self, target: Time) -> TrueTime {
        self.monotonic.when(target.as_nanos())
    }

    /// Lets the monotonic clock run fast (positive) or slow from now on.
    pub fn set_rate(&mut self, now: TrueTime, rate_ppb: i64) {
        self.monotonic.set_rate(now, rate_ppb);
    }

    /// Lets the wall clock run fast (positive) or slow from now on.
    pub fn set_wall_rate(&mut self, now: TrueTime, rate_ppb: i64) {
        self.wall.set_rate(now, rate_ppb);
    }

    /// Steps the wall clock, forwards or back.
    pub fn step_wall(&mut self, now: TrueTime, nanos: i64) {
        self.wall.rebase(now);
        self.wall.reading = self.wall.reading.saturating_add_signed(nanos);
    }

    /// The monotonic clock shows `reading` again: it has not counted the time since it last did.
    pub fn resume_at(&mut self, now: TrueTime, reading: Time) {
        self.monotonic.since = now;
        self.monotonic.reading = reading.as_nanos();
    }

    /// The machine was switched off and on: its monotonic clock begins anew.
    pub fn restart(&mut self, now: TrueTime, uptime: Duration) {
        self.resume_at(now, Time::from_nanos(uptime.as_nanos()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_fast_clock_gains_what_its_rate_says() {
        let mut clock = HostClock::new(Duration::ZERO);
        clock.set_rate(TrueTime(0), 1_000_000);
        assert_eq!(clock.monotonic(TrueTime(SECOND)), Time::from_nanos(SECOND + 1_000_000));
    }

    #[test]
    fn a_deadline_is_reached_at_the_instant_computed_for_it() {
        for rate in [-300_000_000, -1, 0, 1, 500_000_000] {
            let mut clock = HostClock::new(Duration::from_secs(3));
            clock.set_rate(TrueTime(SECOND), rate);
            let target = Time::from_nanos(9 * SECOND);
            let when = clock.when(target);
            assert!(clock.monotonic(when) >= target, "rate {rate}");
            assert!(clock.monotonic(TrueTime(when.0 - 2)) < target, "rate {rate}");
        }
    }

    #[test]
    fn a_sleep_that_is_not_counted_leaves_the_clock_where_it_was() {
        let mut clock = HostClock::new(Duration::ZERO);
        clock.set_rate(TrueTime(0), -400_000_000);
        let asleep = clock.monotonic(TrueTime(SECOND));
        clock.resume_at(TrueTime(3 * SECOND), asleep);
        assert_eq!(clock.monotonic(TrueTime(3 * SECOND)), asleep);
    }

    #[test]
    fn a_step_moves_the_wall_and_not_the_monotonic_clock() {
        let mut clock = HostClock::new(Duration::ZERO);
        let before = clock.wall(TrueTime(SECOND));
        clock.step_wall(TrueTime(SECOND), -5);
        assert_eq!(clock.wall(TrueTime(SECOND)).as_unix_nanos(), before.as_unix_nanos() - 5);
        assert_eq!(clock.monotonic(TrueTime(SECOND)), Time::from_nanos(SECOND));
    }
}
