//! Schedules against a reference that knows no shortcut: it goes through time minute by minute, asks the zone what the
//! clock on the wall shows, and takes the rule at its word.
//!
//! The comparison was seen to fail for each of these mistakes in the code, most within some dozens of cases: the first
//! local time of a stretch taken from its own offset for every schedule (a gap is skipped, a fold fires twice); from that
//! of the stretch before for every schedule (an hourly one rests for an hour); for the first stretch from `after` alone
//! (what was due in a fold is due again; 570 cases); no `max` with the start of the stretch (a time in a gap fires
//! before it); `<=` where a stretch ends; `after` not left out; days that match either set where both are asked for, and
//! the other way round; another weekday for the first of a month; the minute kept when the hour moves on. It also found a
//! change of the clock that never was, see `Zone::stretch_at`.

use super::zone;
use crate::task::schedule::{Cron, Schedule};
use crate::time::WallTime;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe", // by 30 minutes
    "America/Santiago",    // at midnight
    "America/Havana",      // at one, back to midnight
    "Africa/Casablanca",   // four times a year, with Ramadan
    "Antarctica/Troll",    // by two hours
    "Asia/Kathmandu",      // never, at an odd offset
    "Pacific/Apia",        // without a day in 2011
];

const MONTHS: [&str; 12] = ["jan", "Feb", "MAR", "apr", "May", "JUN", "jul", "Aug", "SEP", "oct", "Nov", "DEC"];
const DAYS: [&str; 7] = ["sun", "Mon", "TUE", "wed", "Thu", "FRI", "sat"];

/// The longest time that a clock is put back by, in minutes.
const FOLD_MAX: i64 = 180;

/// A field: its text, and the values that it stands for.
type Field = (String, BTreeSet<i8>);

#[derive(Clone, Debug)]
struct Drawn {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Drawn {
    fn text(&self) -> String {
        [&self.minute, &self.hour, &self.day, &self.month, &self.weekday].map(|(text, _)| text.as_str()).join(" ")
    }

    fn matches(&self, local: DateTime) -> bool {
        let day = self.day.1.contains(&local.day());
        let weekday = self.weekday.1.contains(&local.weekday().to_sunday_zero_offset());
        let is_restricted = |field: &Field| !field.0.starts_with('*');
        let is_day = match is_restricted(&self.day) && is_restricted(&self.weekday) {
            true => day || weekday,
            false => day && weekday,
        };
        let is_time = self.minute.1.contains(&local.minute()) && self.hour.1.contains(&local.hour());
        is_day && is_time && self.month.1.contains(&local.month())
    }

    /// Whether the minute that begins at `instant` is due.
    fn is_due(&self, zone: &TimeZone, instant: i64) -> bool {
        let local = |minutes_ago: i64| zone.to_datetime(Timestamp::from_second(instant - minutes_ago * 60).unwrap());
        let now = local(0);
        if self.hour.1.len() == 24 {
            return self.matches(now);
        }
        let mut skipped = local(1) + 1.minute();
        while skipped < now {
            if self.matches(skipped) {
                return true;
            }
            skipped += 1.minute();
        }
        self.matches(now) && !(1..=FOLD_MAX).any(|ago| local(ago) == now)
    }

    /// The due times after `after` and until `until`, not more than `count`.
    fn due(&self, zone: &TimeZone, after: u64, until: u64, count: usize) -> Vec<u64> {
        let minutes = after / 60 + 1..=until / 60;
        let instants = minutes.map(|minute| minute * 60);
        instants.filter(|instant| self.is_due(zone, *instant as i64)).take(count).collect()
    }
}

/// An item of a field from `lowest` to `highest`, not all of it.
fn item(lowest: i8, highest: i8, names: &'static [&'static str]) -> impl Strategy<Value = Field> {
    let word = move |value: i8, is_named: bool| match names.get((value - lowest) as usize) {
        Some(name) if is_named => name.to_string(),
        _ => value.to_string(),
    };
    let drawn = (lowest..=highest, lowest..=highest, 1..=highest.min(20), 0..5u8, any::<bool>());
    drawn.prop_map(move |(one, other, step, kind, is_named)| {
        let (first, last) = (one.min(other), one.max(other));
        let range = format!("{}-{}", word(first, is_named), word(last, is_named));
        let stepped = |first: i8, last: i8| (first..=last).step_by(step as usize).collect();
        match kind {
            0 | 1 => (word(one, is_named), BTreeSet::from([one])),
            2 => (range, (first..=last).collect()),
            3 => (format!("{range}/{step}"), stepped(first, last)),
            _ => (format!("*/{step}"), stepped(lowest, highest)),
        }
    })
}

/// A field that is all of it as often as `all` says, against 4 for lists.
fn field(all: u32, lowest: i8, highest: i8, names: &'static [&'static str]) -> impl Strategy<Value = Field> {
    let list = prop::collection::vec(item(lowest, highest, names), 1..4).prop_map(|items| {
        let texts: Vec<String> = items.iter().map(|(text, _)| text.clone()).collect();
        (texts.join(","), items.into_iter().flat_map(|(_, values)| values).collect())
    });
    prop_oneof![all => Just(("*".to_string(), (lowest..=highest).collect())), 4 => list]
}

/// Sunday is 0 and 7 in the text, and 0 in the set.
fn weekday() -> impl Strategy<Value = Field> {
    let sunday_once = |values: BTreeSet<i8>| values.into_iter().map(|value| value % 7).collect();
    field(8, 0, 7, &DAYS).prop_map(move |(text, values)| (text, sunday_once(values)))
}

/// Hours near those at which clocks change, more often than others.
fn hour() -> impl Strategy<Value = Field> {
    prop_oneof![2 => field(4, 0, 23, &[]), 1 => field(1, 0, 3, &[]).prop_filter("all of four hours is not all", |field| {
        !field.0.contains('*')
    })]
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let fields = (field(1, 0, 59, &[]), hour(), field(8, 1, 31, &[]), field(12, 1, 12, &MONTHS), weekday());
    fields.prop_map(|(minute, hour, day, month, weekday)| Drawn { minute, hour, day, month, weekday })
}

/// A zone and a second in it: any from 1975 to 2100, or one close to a change of the clock.
fn instant() -> impl Strategy<Value = (&'static str, u64)> {
    let second = 157_766_400..4_102_444_800u64;
    let drawn = (prop::sample::select(ZONES), second, any::<u8>(), -7_200..7_200i64);
    drawn.prop_map(|(name, second, near, distance)| {
        let zone = zone(name);
        let change = zone.following(Timestamp::from_second(second as i64).unwrap()).next();
        match change {
            Some(change) if near < 192 => (name, (change.timestamp().as_second() + distance * 4) as u64),
            _ => (name, second),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn schedules_are_due_when_the_reference_says(
        drawn in drawn(),
        (name, after) in instant(),
        nanos in 0..1_000_000_000u64,
        days in prop_oneof![4 => Just(3u64), 1 => Just(40)],
    ) {
        let until = after + days * 24 * 60 * 60;
        let expected = drawn.due(&zone(name), after, until, 80);

        let schedule = Schedule::Cron(Cron::parse(&drawn.text(), name).unwrap());
        let start = schedule.next_after(WallTime::from_unix_nanos(after * 1_000_000_000 + nanos));
        let found = core::iter::successors(start, |due| schedule.next_after(*due));
        let found = found.map(|due| due.as_unix_nanos() / 1_000_000_000).take_while(|due| *due <= until);
        prop_assert_eq!(found.take(80).collect::<Vec<_>>(), expected, "{} in {} after {}", drawn.text(), name, after);
    }
}
