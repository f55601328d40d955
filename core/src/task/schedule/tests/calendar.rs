//! Days, months and weekdays; intervals; and what is never due.

use super::{at, cron, due, shown_due};
use crate::task::schedule::{PERIOD_MAX, PERIOD_MIN, Schedule, ScheduleError};
use crate::time::{Duration, WallTime};

/// Expression, an instant, and what it is due at from then on, in UTC.
const CASES: &[(&str, &str, &[&str])] = &[
    ("* * * * *", "2024-02-28T23:58:59.999999999Z", &["2024-02-28 23:59", "2024-02-29 00:00"]),
    ("*/25 * * * *", "2024-01-01T00:00:00Z", &["2024-01-01 00:25", "2024-01-01 00:50", "2024-01-01 01:00"]),
    ("10-40/15 8-9 * * *", "2024-01-01T08:20:00Z", &["2024-01-01 08:25", "2024-01-01 08:40", "2024-01-01 09:10"]),
    ("0 0 31 * *", "2024-01-31T00:00:00Z", &["2024-03-31 00:00", "2024-05-31 00:00", "2024-07-31 00:00"]),
    ("0 12 29 2 *", "2096-03-01T00:00:00Z", &["2104-02-29 12:00", "2108-02-29 12:00"]),
    ("0 9 * * MON-FRI", "2024-03-01T09:00:00Z", &["2024-03-04 09:00", "2024-03-05 09:00"]),
    ("0 9 * * sat-sun", "2024-03-01T09:00:00Z", &["2024-03-02 09:00", "2024-03-03 09:00", "2024-03-09 09:00"]),
    ("0 9 * * 7", "2024-03-01T09:00:00Z", &["2024-03-03 09:00", "2024-03-10 09:00"]),
    ("0 9 * * 0", "2024-03-01T09:00:00Z", &["2024-03-03 09:00", "2024-03-10 09:00"]),
    ("0 0 1 jan,JUL *", "2024-03-01T00:00:00Z", &["2024-07-01 00:00", "2025-01-01 00:00"]),
    // Both days restricted: either will do. A field that begins with `*` is not restricted: both have to match.
    ("0 0 13 * FRI", "2024-09-10T00:00:00Z", &["2024-09-13 00:00", "2024-09-20 00:00", "2024-09-27 00:00"]),
    ("0 0 1-31 * FRI", "2024-09-10T00:00:00Z", &["2024-09-11 00:00", "2024-09-12 00:00"]),
    ("0 0 */2 * FRI", "2024-09-10T00:00:00Z", &["2024-09-13 00:00", "2024-09-27 00:00", "2024-10-11 00:00"]),
    ("0 0 13 * */5", "2024-09-10T00:00:00Z", &["2024-09-13 00:00", "2024-10-13 00:00", "2024-12-13 00:00"]),
    ("@hourly", "2024-12-31T23:30:00Z", &["2025-01-01 00:00", "2025-01-01 01:00"]),
    ("@daily", "2024-12-31T23:30:00Z", &["2025-01-01 00:00", "2025-01-02 00:00"]),
    ("@midnight", "2024-12-31T23:30:00Z", &["2025-01-01 00:00", "2025-01-02 00:00"]),
    ("@Weekly", "2024-12-31T23:30:00Z", &["2025-01-05 00:00", "2025-01-12 00:00"]),
    ("@monthly", "2024-12-31T23:30:00Z", &["2025-01-01 00:00", "2025-02-01 00:00"]),
    ("@yearly", "2024-12-31T23:30:00Z", &["2025-01-01 00:00", "2026-01-01 00:00"]),
    (" @annually ", "2024-12-31T23:30:00Z", &["2025-01-01 00:00", "2026-01-01 00:00"]),
    // The longest waits there are: 29 February on one day of the week, across a year 2100 that has none.
    ("0 0 29 2 */7", "2088-02-29T00:00:00Z", &["2128-02-29 00:00", "2156-02-29 00:00"]),
];

#[test]
fn each_expression_is_due_when_its_fields_say() {
    for (expression, after, expected) in CASES {
        let found = shown_due(expression, "UTC", after, expected.len());
        let found: alloc::vec::Vec<&str> = found.iter().map(|due| due.trim_end_matches(" +00")).collect();
        assert_eq!(found, *expected, "{expression} after {after}");
    }
}

#[test]
fn what_no_calendar_has_is_never_due() {
    for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "*/5 * 31 2 *"] {
        for zone in ["UTC", "Europe/Berlin", "Africa/Casablanca"] {
            assert_eq!(cron(expression, zone).next_after(at("2024-01-01T00:00:00Z")), None, "{expression} in {zone}");
        }
    }
}

#[test]
fn time_ends_without_a_panic() {
    for zone in ["UTC", "Europe/Berlin", "Pacific/Kiritimati"] {
        assert_eq!(cron("@yearly", zone).next_after(WallTime::from_unix_nanos(u64::MAX)), None);
        assert_eq!(cron("* * * * *", zone).next_after(WallTime::from_unix_nanos(u64::MAX)), None);
        assert!(cron("* * * * *", zone).next_after(WallTime::from_unix_nanos(0)).is_some());
    }
}

#[test]
fn an_interval_is_due_at_its_anchor_and_each_period_after() {
    let every = Schedule::every(Duration::from_secs(90), at("2024-01-01T00:00:05Z")).unwrap();
    let expected = ["2024-01-01T00:00:05Z", "2024-01-01T00:01:35Z", "2024-01-01T00:03:05Z"].map(at);
    assert_eq!(due(&every, at("1999-01-01T00:00:00Z"), 3), expected);
    assert_eq!(due(&every, at("2024-01-01T00:00:05Z"), 2), expected[1..]);
    assert_eq!(due(&every, at("2024-01-01T00:01:34.999Z"), 2), expected[1..]);
    assert_eq!(every.next_after(WallTime::from_unix_nanos(u64::MAX)), None);
}

#[test]
fn a_period_out_of_bounds_makes_no_schedule_and_is_never_due() {
    let anchor = WallTime::from_unix_nanos(0);
    let (too_short, too_long) = (PERIOD_MIN.as_nanos() - 1, PERIOD_MAX.as_nanos() + 1);
    for period in [0, too_short, too_long, u64::MAX].map(Duration::from_nanos) {
        assert_eq!(Schedule::every(period, anchor), Err(ScheduleError::Period { found: period }));
        let made_by_hand = Schedule::Every { period, anchor };
        assert_eq!(made_by_hand.next_after(anchor), None);
        assert_eq!(made_by_hand.check(), Err(ScheduleError::Period { found: period }));
    }
    for period in [PERIOD_MIN, PERIOD_MAX] {
        let next = Schedule::every(period, anchor).unwrap().next_after(anchor);
        assert_eq!(next, Some(WallTime::from_unix_nanos(period.as_nanos())));
    }
}
