//! A cron expression in a time zone: what it is made from, what it keeps, how it is stored.

use super::error::{ScheduleError, excerpt};
use super::fields::Fields;
use super::zone::{self, Zone};
use super::{due, parse};
use crate::time::WallTime;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes of an expression, at most.
pub const CRON_BYTES_MAX: u32 = 256;
/// Bytes of the name of a time zone, at most; the longest today has 32.
pub const ZONE_BYTES_MAX: u32 = 64;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A cron expression in a time zone.
///
/// Its meaning is stored beside its text, so that a later version, whose parser may read the text in another way, keeps
/// to what was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Form")]
pub struct Cron {
    fields: Fields,
    zone: String,
    expression: String,
}

impl Cron {
    /// Reads five fields (minute, hour, day-of-month, month, day-of-week), or `@hourly` and its like, as crontab(5) has
    /// them; `zone` is a name of the IANA database, in upper or lower case.
    ///
    /// A field is `*`, a value, a range `1-5`, one of the first and last with a step `*/15`, or a list of these. Months and
    /// days of the week have names of three letters; Sunday is 0 and 7, and may end a range. When both fields of days are
    /// restricted, that is, neither begins with `*`, a day that matches either is due.
    ///
    /// # Errors
    /// [`ScheduleError`] says which field, what was found and what was expected. A day that no calendar has is no error:
    /// the schedule is never due.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        check_length(expression)?;
        let fields = parse::fields(expression)?;
        let name = zone::canonical_name(zone).ok_or_else(|| unknown_zone(zone))?;
        Ok(Self { fields, zone: name.into(), expression: expression.into() })
    }

    /// The expression as it was given.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of the time zone, as the IANA database spells it.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    pub(super) fn next_after(&self, after: WallTime) -> Option<WallTime> {
        let zone = Zone::open(&self.zone)?;
        let seconds = i64::try_from(after.as_unix_nanos() / NANOS_PER_SECOND).ok()?;
        let due = due::next_after(&self.fields, &zone, seconds)?;
        u64::try_from(due).ok()?.checked_mul(NANOS_PER_SECOND).map(WallTime::from_unix_nanos)
    }

    pub(super) fn check(&self) -> Result<(), ScheduleError> {
        Zone::open(&self.zone).map(|_| ()).ok_or_else(|| unknown_zone(&self.zone))
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.expression, self.zone)
    }
}

fn check_length(expression: &str) -> Result<(), ScheduleError> {
    let found = u32::try_from(expression.len()).unwrap_or(u32::MAX);
    if found <= CRON_BYTES_MAX { Ok(()) } else { Err(ScheduleError::TooLong { found }) }
}

fn unknown_zone(zone: &str) -> ScheduleError {
    ScheduleError::UnknownZone { found: excerpt(zone) }
}

/// A cron expression as it is stored or sent, before it was looked at.
#[derive(Deserialize)]
struct Form {
    fields: Fields,
    zone: String,
    expression: String,
}

impl TryFrom<Form> for Cron {
    type Error = ScheduleError;
    /// A zone that this build does not know is kept: a replica must be able to apply what its owner accepted.
    fn try_from(form: Form) -> Result<Self, ScheduleError> {
        check_length(&form.expression)?;
        form.fields.check()?;
        if form.zone.len() > ZONE_BYTES_MAX as usize {
            return Err(unknown_zone(&form.zone));
        }
        Ok(Self { fields: form.fields, zone: form.zone, expression: form.expression })
    }
}
