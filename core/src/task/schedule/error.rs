//! Why something is no schedule: which field, what was found there, what was expected.

use super::{CRON_BYTES_MAX, PERIOD_MAX, PERIOD_MIN, ZONE_BYTES_MAX};
use crate::time::Duration;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Characters of a text that an error repeats.
const EXCERPT_MAX: usize = 40;

/// Why there is no such schedule. Nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression is too long to be kept.
    #[error("the expression has {found} bytes, at most {CRON_BYTES_MAX} are taken")]
    TooLong {
        /// Bytes found.
        found: u32,
    },
    /// There are not five fields.
    #[error("found {found} fields, expected five: minute, hour, day-of-month, month, day-of-week{}", hint(*found))]
    FieldCount {
        /// Fields found.
        found: u32,
    },
    /// An expression that begins with `@` is none of the usual ones.
    #[error("found {found:?}, expected @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually")]
    UnknownName {
        /// The beginning of what was found.
        found: String,
    },
    /// A field cannot be read.
    #[error("{field}: found {found:?}, expected {}", expected.text(*field))]
    Field {
        /// Where.
        field: CronField,
        /// The beginning of what was found.
        found: String,
        /// What could have stood there.
        expected: Expected,
    },
    /// The time zone is not in the data of this build, or has no name that could be.
    #[error(
        "found the time zone {found:?}, expected a name of the IANA database of at most {ZONE_BYTES_MAX} bytes, such as \
         Europe/Berlin or UTC; this build has release {}",
        super::zone_data_version()
    )]
    UnknownZone {
        /// The beginning of what was found.
        found: String,
    },
    /// The period is too short or too long.
    #[error("found a period of {found}, expected {PERIOD_MIN} to {PERIOD_MAX}")]
    Period {
        /// The period found.
        found: Duration,
    },
    /// What was stored or sent was not made by [`Cron::parse`](super::Cron::parse).
    #[error("{field}: found a set that is empty or has other values, expected {}", Expected::Value.text(*field))]
    Damaged {
        /// Where.
        field: CronField,
    },
}

fn hint(fields: u32) -> &'static str {
    match fields > 5 {
        true => "; there is no field for seconds, an interval (`Every`) may be as short as one",
        false => "",
    }
}

/// A field of an expression, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CronField {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or JAN to DEC.
    Month,
    /// 0 to 7, both of which are Sunday, or SUN to SAT.
    DayOfWeek,
}

impl CronField {
    /// The least value that may stand there.
    pub const fn lowest(self) -> u8 {
        match self {
            Self::Minute | Self::Hour | Self::DayOfWeek => 0,
            Self::DayOfMonth | Self::Month => 1,
        }
    }

    /// The greatest value that may stand there.
    pub const fn highest(self) -> u8 {
        match self {
            Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::DayOfWeek => 7,
        }
    }

    /// Names that may stand for values, from the lowest on.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
            Self::Month => &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
            Self::DayOfWeek => &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        }
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        })
    }
}

/// What could have stood in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expected {
    /// A number or a name.
    Value,
    /// A range that does not run backwards.
    Range,
    /// The number behind a `/`.
    Step,
    /// Something that has steps, before a `/`.
    Steps,
}

impl Expected {
    fn text(self, field: CronField) -> String {
        let (lowest, highest) = (field.lowest(), field.highest());
        match (self, field.names()) {
            (Self::Value, [first, .., last]) => {
                format!("a number from {lowest} to {highest} or a name from {first} to {last}")
            }
            (Self::Value, _) => format!("a number from {lowest} to {highest}"),
            (Self::Range, _) => "a range whose last value is not below its first".into(),
            (Self::Step, _) => format!("a step from 1 to {highest}"),
            (Self::Steps, _) => format!("a step behind * or a range, as in {lowest}-{highest}/5"),
        }
    }
}

/// As much of a text as an error repeats.
pub(super) fn excerpt(text: &str) -> String {
    let mut kept: String = text.chars().take(EXCERPT_MAX).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}
