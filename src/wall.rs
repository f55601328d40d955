//! Wall time. The only place of the command line that looks at a clock; the simulator has none.

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
    spell(since_epoch.as_secs())
}

/// So many seconds since 1970, likewise.
pub(crate) fn spelled(seconds: u64) -> String {
    spell(seconds)
}

/// Seconds since 1970 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn spell(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::spell;

    #[test]
    fn dates_are_spelled_as_the_calendar_has_them() {
        assert_eq!(spell(0), "1970-01-01T00:00:00Z");
        assert_eq!(spell(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(spell(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(spell(1_795_268_406), "2026-11-21T13:40:06Z");
    }
}
