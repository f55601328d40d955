//! Which local times an expression matches: five sets, and the next match from a local time on. No zone, no instant.

use super::error::{CronField, ScheduleError};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

const MINUTES_PER_DAY: i64 = 24 * 60;
const SECONDS_PER_DAY: i64 = MINUTES_PER_DAY * 60;

/// How far ahead days are sought. A month, a day of it and a day of the week meet again within 40 years or never: 29
/// February falls on each day of the week every 28 years, and every 40 across a century without a leap day.
const MONTHS_AHEAD: u32 = 41 * 12;

/// A minute of a local calendar, counted from 1970 in that calendar. It is an instant only together with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LocalMinute(i64);

impl LocalMinute {
    /// The first minute that begins at `second` of the same calendar or later.
    pub(super) fn from_second(second: i64) -> Self {
        Self((second + 59).div_euclid(60))
    }

    /// The second at which the minute begins.
    pub(super) fn second(self) -> i64 {
        self.0 * 60
    }
}

/// The values that match, as one bit each: bit 0 of the minutes is minute 0, bit 1 of the months is January.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Fields {
    pub(super) minutes: u64,
    pub(super) hours: u32,
    pub(super) days: u32,
    pub(super) months: u16,
    /// Sunday is bit 0, and there is no bit 7.
    pub(super) weekdays: u8,
    /// A day matches that is in either set of days; otherwise in both.
    pub(super) is_either_day: bool,
}

impl Fields {
    /// Whether each set is one that parsing makes.
    ///
    /// # Errors
    /// [`ScheduleError::Damaged`] with the first that is empty or has values that its field has not.
    pub(super) fn check(&self) -> Result<(), ScheduleError> {
        let sets = [
            (CronField::Minute, self.minutes, 0..=59u32),
            (CronField::Hour, self.hours.into(), 0..=23),
            (CronField::DayOfMonth, self.days.into(), 1..=31),
            (CronField::Month, self.months.into(), 1..=12),
            (CronField::DayOfWeek, self.weekdays.into(), 0..=6),
        ];
        let is_wrong = |set: u64, may: core::ops::RangeInclusive<u32>| {
            set == 0 || set & !may.fold(0, |all, bit| all | 1 << bit) != 0
        };
        let wrong = sets.into_iter().find(|(_, set, may)| is_wrong(*set, may.clone()));
        wrong.map_or(Ok(()), |(field, ..)| Err(ScheduleError::Damaged { field }))
    }

    /// Whether all hours match, so that the expression follows the clock on the wall through its changes.
    pub(super) fn is_every_hour(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// The first minute that matches, from `from` on; `None` if there is none within 41 years, which is never.
    pub(super) fn next(&self, from: LocalMinute) -> Option<LocalMinute> {
        let (today, minute) = (from.0.div_euclid(MINUTES_PER_DAY), from.0.rem_euclid(MINUTES_PER_DAY));
        let day = self.day_from(today)?;
        if day == today
            && let Some(minute) = self.minute_from(minute)
        {
            return Some(LocalMinute(day * MINUTES_PER_DAY + minute));
        }
        let day = if day == today { self.day_from(today + 1)? } else { day };
        Some(LocalMinute(day * MINUTES_PER_DAY + self.minute_from(0)?))
    }

    /// The first minute of a day that matches, from `from` on.
    fn minute_from(&self, from: i64) -> Option<i64> {
        let (hour, minute) = (from / 60, from % 60);
        let this_hour = bit_from(self.hours.into(), hour).filter(|found| *found == hour);
        if let Some(minute) = this_hour.and_then(|_| bit_from(self.minutes, minute)) {
            return Some(hour * 60 + minute);
        }
        Some(bit_from(self.hours.into(), hour + 1)? * 60 + bit_from(self.minutes, 0)?)
    }

    /// The first day that matches, from `from` on; both counted from 1 January 1970.
    fn day_from(&self, from: i64) -> Option<i64> {
        let start = date(from)?;
        let (mut year, mut month, mut day) = (start.year(), start.month(), start.day());
        for _ in 0..MONTHS_AHEAD {
            if let Some(found) = bit_from(self.days_of(year, month)?, day.into()) {
                return day_number(Date::new(year, month, i8::try_from(found).ok()?).ok()?);
            }
            (year, month, day) = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
        }
        None
    }

    /// The days of a month that match, one bit each.
    fn days_of(&self, year: i16, month: i8) -> Option<u64> {
        if self.months >> month & 1 == 0 {
            return Some(0);
        }
        let first = Date::new(year, month, 1).ok()?;
        let in_month = ((1u64 << first.days_in_month()) - 1) << 1;
        let by_weekday = weekdays_from(self.weekdays, first.weekday().to_sunday_zero_offset());
        let by_day = u64::from(self.days);
        Some(in_month & if self.is_either_day { by_day | by_weekday } else { by_day & by_weekday })
    }
}

/// The days of a month whose first is the weekday `first`, one bit each, that are one of `weekdays`.
fn weekdays_from(weekdays: u8, first: i8) -> u64 {
    let week = u64::from(weekdays);
    let from_first = (week >> first | week << (7 - first)) & 0x7F;
    (0..5).fold(0, |days, nth| days | from_first << (7 * nth + 1))
}

/// The lowest bit of `set` that is not below `from`.
fn bit_from(set: u64, from: i64) -> Option<i64> {
    let rest = set.checked_shr(u32::try_from(from).ok()?)?;
    (rest != 0).then(|| from + i64::from(rest.trailing_zeros()))
}

fn date(day: i64) -> Option<Date> {
    let midnight = Timestamp::from_second(day.checked_mul(SECONDS_PER_DAY)?).ok()?;
    Some(Offset::UTC.to_datetime(midnight).date())
}

fn day_number(date: Date) -> Option<i64> {
    let midnight = Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()?;
    Some(midnight.as_second().div_euclid(SECONDS_PER_DAY))
}
