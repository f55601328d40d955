//! When a recurring task is due: [`Cron`] expressions in a time zone, and plain intervals.
//!
//! A schedule is a value and [`Schedule::next_after`] a function of it and of the time zone data that this build
//! carries: no clock is read, the system's time zones are never looked at. The owner of a shard computes a due time and
//! writes it into the log; whoever applies the entry takes the time from there and never computes it anew. So two
//! versions with different time zone data may disagree about the future, but not about what was fired.
//!
//! # Clock changes
//! Two rules, and the hours of an expression say which of them holds; `docs/schedules.md` has examples:
//!
//! - **A schedule of some hours is due once for each local time.** A time that does not exist, since the clock was put
//!   forward past it, is due at the first instant after the gap, once for all times in the gap. A time that comes twice,
//!   since the clock was put back, is due the first time.
//! - **A schedule of every hour follows the clock on the wall.** It is due whenever that shows a matching minute: also
//!   the second time, and never for what was not shown. So it goes on through changes of whole hours as if there were
//!   none.
//!
//! Hours count as their set: `0-23` and `*/1` are every hour as `*` is. Vixie's cron(8) draws the line in nearly the
//! same place (by a `*` in the hour or the minute); with `* 2 * * *` it would drop the whole night of a gap, which is
//! why the minute does not count here. systemd drops what falls into a gap (systemd/systemd#5595) and, for a whole
//! hour, what comes twice (#8647): what is to happen each night does not happen in one of them.
//!
//! [`Schedule::catch_up`] says what has become due when its owner comes late.
//!
//! Absent: what is made of a due time, and whether the last task has ended ([`tasks`](super::tasks)).

mod catch_up;
mod cron;
mod due;
mod error;
mod fields;
mod parse;
#[cfg(test)]
mod tests;
mod zone;

pub use catch_up::{CaughtUp, MISSED_MAX};
pub use cron::{CRON_BYTES_MAX, Cron, ZONE_BYTES_MAX};
pub use error::{CronField, Expected, ScheduleError};

use crate::time::{Duration, WallTime};
use serde::{Deserialize, Serialize};

/// The shortest period of [`Schedule::Every`].
pub const PERIOD_MIN: Duration = Duration::from_secs(1);
/// The longest one: a leap year.
pub const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The release of the IANA time zone database that this build carries, such as `2025b`.
pub fn zone_data_version() -> &'static str {
    zone::version()
}

/// When something recurring is due.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Form")]
pub enum Schedule {
    /// At times of the calendar and of the clock on the wall.
    Cron(Cron),
    /// At `anchor`, and each `period` from then on, by elapsed time.
    Every {
        /// From [`PERIOD_MIN`] to [`PERIOD_MAX`]; with any other it is never due.
        period: Duration,
        /// The first time that is due.
        anchor: WallTime,
    },
}

impl Schedule {
    /// What is due at `anchor` and each `period` from then on.
    ///
    /// # Errors
    /// [`ScheduleError::Period`] unless the period is from [`PERIOD_MIN`] to [`PERIOD_MAX`].
    pub fn every(period: Duration, anchor: WallTime) -> Result<Self, ScheduleError> {
        match (PERIOD_MIN..=PERIOD_MAX).contains(&period) {
            true => Ok(Self::Every { period, anchor }),
            false => Err(ScheduleError::Period { found: period }),
        }
    }

    /// The first due time strictly after `after`.
    ///
    /// `None` when there is none: the day is in no calendar (30 February), or time has ended (in 2554). Also when this
    /// build cannot say, see [`check`](Self::check). Costs some microseconds, for what is due once in decades some hundreds:
    /// the zone is read anew each time, which allocates; days are found month by month, at most 41 years ahead.
    pub fn next_after(&self, after: WallTime) -> Option<WallTime> {
        match self {
            Self::Cron(cron) => cron.next_after(after),
            Self::Every { period, anchor } => next_of_period(*period, *anchor, after),
        }
    }

    /// Whether this build can compute due times of the schedule. Another one, with other time zone data, may have made it.
    ///
    /// # Errors
    /// [`ScheduleError::UnknownZone`] or [`ScheduleError::Period`]: what is missing or wrong.
    pub fn check(&self) -> Result<(), ScheduleError> {
        match self {
            Self::Cron(cron) => cron.check(),
            Self::Every { period, anchor } => Self::every(*period, *anchor).map(|_| ()),
        }
    }
}

fn next_of_period(period: Duration, anchor: WallTime, after: WallTime) -> Option<WallTime> {
    Schedule::every(period, anchor).ok()?;
    let Some(passed) = after.as_unix_nanos().checked_sub(anchor.as_unix_nanos()) else {
        return Some(anchor);
    };
    let next = passed / period.as_nanos() + 1;
    let due = period.as_nanos().checked_mul(next)?.checked_add(anchor.as_unix_nanos())?;
    Some(WallTime::from_unix_nanos(due))
}

/// A schedule as it is stored or sent, before it was looked at.
#[derive(Deserialize)]
enum Form {
    Cron(Cron),
    Every { period: Duration, anchor: WallTime },
}

impl TryFrom<Form> for Schedule {
    type Error = ScheduleError;
    fn try_from(form: Form) -> Result<Self, ScheduleError> {
        match form {
            Form::Cron(cron) => Ok(Self::Cron(cron)),
            Form::Every { period, anchor } => Self::every(period, anchor),
        }
    }
}
