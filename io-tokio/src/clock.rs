//! The node's two clocks, as [`Ctx`](relaymesh_core::machine::Ctx) wants them.

use relaymesh_core::time::{Time, WallTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The monotonic clock that counts suspend: a lease must run out while the machine sleeps. Sample it after taking an
/// event, never before.
pub fn now() -> Time {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    // On these systems the monotonic clock's behaviour in suspend differs; the bound ε has to cover it.
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    Time::from_nanos(nanos(clock_gettime(CLOCK)))
}

/// The wall clock, for stamps and due times.
pub fn wall() -> WallTime {
    WallTime::from_unix_nanos(nanos(clock_gettime(ClockId::Realtime)))
}

/// A time before the clock's origin (a wall clock set before 1970) reads as the origin.
fn nanos(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000) + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_never_runs_backwards() {
        let samples: Vec<Time> = (0..1_000).map(|_| now()).collect();
        assert!(samples.is_sorted());
    }

    #[test]
    fn wall_time_is_later_than_the_writing_of_this_test() {
        assert!(wall() > WallTime::from_unix_nanos(1_750_000_000_000_000_000));
    }
}
