//! Wall time. The only place of the command line that looks at a clock; the simulator has none.

use jiff::Timestamp;
use relaymesh_core::time::WallTime;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Since the start.
    pub(crate) fn seconds(self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

/// Now, as `2026-11-21T13:40:06Z`.
pub(crate) fn utc() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    spelled(since_epoch.as_secs())
}

/// So many seconds since 1970, likewise; the last instant that has a spelling where it is later.
pub(crate) fn spelled(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// An instant, as it is typed: `2026-11-21T13:40:06Z`, or with another offset.
pub(crate) fn instant(text: &str) -> Result<WallTime, String> {
    let problem = || "written as 2026-11-21T13:40:06Z, or with an offset such as +01:00".to_owned();
    let parsed: Timestamp = text.parse().map_err(|_| problem())?;
    u64::try_from(parsed.as_nanosecond()).map(WallTime::from_unix_nanos).map_err(|_| problem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_spelled_as_the_calendar_has_them() {
        assert_eq!(spelled(0), "1970-01-01T00:00:00Z");
        assert_eq!(spelled(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(spelled(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(spelled(1_795_268_406), "2026-11-21T13:40:06Z");
        assert!(spelled(u64::MAX).starts_with("9999-12-3"));
    }

    #[test]
    fn an_instant_is_understood_with_any_offset_and_none_without() {
        let at = WallTime::from_unix_nanos(1_795_268_406_000_000_000);
        assert_eq!(instant("2026-11-21T13:40:06Z"), Ok(at));
        assert_eq!(instant("2026-11-21T14:40:06+01:00"), Ok(at));
        for text in ["2026-11-21T13:40:06", "tomorrow", "1960-01-01T00:00:00Z", ""] {
            assert!(instant(text).unwrap_err().contains("2026-11-21T13:40:06Z"), "{text}");
        }
    }
}
