//! What has become due of a schedule, when its owner comes to look: now, or after an outage.

use super::Schedule;
use crate::time::{Duration, WallTime};

/// Due times that are counted, at most, as missed: who was away for long need not know better, and whoever looks has other things
/// to do.
pub const MISSED_MAX: u32 = 100;
/// The search for the latest due time ends in a span in which there is none but the first.
const SEARCH_END: Duration = super::PERIOD_MIN;

/// What has become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// The latest due time that has come. It is made up for.
    pub fires: WallTime,
    /// Those before it that have come, too, and are not. [`MISSED_MAX`] stands for any more.
    pub missed: u32,
    /// The due time behind it, unless there is none.
    pub next: Option<WallTime>,
}

impl Schedule {
    /// What has become due by `now` of a schedule that waits for `due`, which has come. O([`MISSED_MAX`]) due times, however long ago
    /// that was.
    pub fn catch_up(&self, due: WallTime, now: WallTime) -> CaughtUp {
        let (mut fires, mut missed) = (due, 0);
        loop {
            match self.next_after(fires) {
                Some(next) if next <= now && missed == MISSED_MAX => fires = self.latest(next, now),
                Some(next) if next <= now => (fires, missed) = (next, missed + 1),
                next => return CaughtUp { fires, missed, next },
            }
        }
    }

    /// The latest due time, or one shortly before it, of those from `due` on that have come.
    fn latest(&self, due: WallTime, now: WallTime) -> WallTime {
        let (mut due, mut bound) = (due.as_unix_nanos(), now.as_unix_nanos());
        while bound - due > SEARCH_END.as_nanos() {
            let middle = due + (bound - due) / 2;
            match self.next_after(WallTime::from_unix_nanos(middle)) {
                Some(next) if next <= now => due = next.as_unix_nanos(),
                _ => bound = middle,
            }
        }
        WallTime::from_unix_nanos(due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cron;
    use super::*;

    fn second(seconds: u64) -> WallTime {
        WallTime::from_unix_nanos(seconds * 1_000_000_000)
    }

    fn every(seconds: u64) -> Schedule {
        Schedule::every(Duration::from_secs(seconds), second(1_000)).unwrap()
    }

    #[test]
    fn what_is_due_on_time_has_missed_nothing() {
        let found = every(10).catch_up(second(1_000), second(1_009));
        assert_eq!(found, CaughtUp { fires: second(1_000), missed: 0, next: Some(second(1_010)) });
    }

    #[test]
    fn after_an_outage_the_latest_is_made_up_for_and_the_others_are_counted() {
        let found = every(10).catch_up(second(1_000), second(1_050));
        assert_eq!(found, CaughtUp { fires: second(1_050), missed: 5, next: Some(second(1_060)) });
    }

    #[test]
    fn after_a_long_outage_the_latest_is_found_all_the_same() {
        for now in [2_000, 3_333_333, 1_000_000_000] {
            for period in [1, 7, 3_600] {
                let found = every(period).catch_up(second(1_000), second(now));
                let latest = now - (now - 1_000) % period;
                let missed = ((latest - 1_000) / period).min(u64::from(MISSED_MAX)) as u32;
                let expected = CaughtUp { fires: second(latest), missed, next: Some(second(latest + period)) };
                assert_eq!(found, expected, "every {period} s until {now}");
            }
        }
        // What is due in one hour of the year alone, each minute of it; looked at just before the next one.
        let cron = Schedule::Cron(Cron::parse("* 5 1 1 *", "UTC").unwrap());
        let (first, year) = (second(1_735_707_600), 365 * 86_400);
        let found = cron.catch_up(first, second(1_735_707_600 + year - 1));
        assert_eq!(found.fires, second(1_735_707_600 + 59 * 60));
        assert_eq!((found.missed, found.next), (59, Some(second(1_735_707_600 + year))));
    }

    #[test]
    fn one_that_is_never_due_again_says_so() {
        let last = WallTime::from_unix_nanos(u64::MAX);
        let found = every(10).catch_up(second(1_000), last);
        assert_eq!((found.missed, found.next), (MISSED_MAX, None));
    }
}
