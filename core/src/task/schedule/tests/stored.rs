//! What is stored or sent: it comes back as it was, and what no parser made is refused.

use super::{at, cron};
use crate::codec::{DecodeError, decode_value, encode_value};
use crate::task::schedule::{Cron, Schedule, ScheduleError};
use crate::time::{Duration, WallTime};
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(value, 1_024, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_schedule_comes_back_as_it_was() {
    let every = Schedule::every(Duration::from_secs(60), at("2024-01-01T00:00:00Z")).unwrap();
    for schedule in [cron("*/5 8-17 1,15 JAN-JUN MON", "Europe/Berlin"), cron("@hourly", "UTC"), every] {
        assert_eq!(decode_value(&encoded(&schedule)), Ok(schedule));
    }
}

#[test]
fn a_zone_that_this_build_does_not_know_is_kept_and_never_due() {
    let known = encoded(&cron("@daily", "Europe/Berlin"));
    let place = known.windows(6).position(|window| window == b"Berlin").unwrap();
    let mut unknown = known;
    unknown[place..place + 6].copy_from_slice(b"Bonn__");

    let schedule: Schedule = decode_value(&unknown).unwrap();
    assert_eq!(schedule.next_after(at("2024-01-01T00:00:00Z")), None);
    assert_eq!(schedule.check(), Err(ScheduleError::UnknownZone { found: "Europe/Bonn__".into() }));
}

#[test]
fn what_no_parser_made_is_refused() {
    // Sets in the order of the fields, whether either day will do, zone, text: as a cron expression is stored.
    let stored = |sets: (u64, u32, u32, u16, u8), zone: &str, text: &str| {
        decode_value::<Cron>(&encoded(&(sets, false, zone, text)))
    };
    assert!(stored((1, 1, 2, 2, 1), "UTC", "0 0 1 1 0").is_ok());
    let damaged =
        [(0, 1, 2, 2, 1), (1 << 60, 1, 2, 2, 1), (1, 1 << 24, 2, 2, 1), (1, 1, 3, 2, 1), (1, 1, 2, 1 << 13, 1)];
    for sets in damaged.into_iter().chain([(1, 1, 2, 2, 1 << 7), (1, 1, 2, 2, 0)]) {
        assert!(matches!(stored(sets, "UTC", ""), Err(DecodeError::Malformed { .. })), "{sets:?}");
    }
    assert!(stored((1, 1, 2, 2, 1), &"z".repeat(65), "").is_err());
    assert!(stored((1, 1, 2, 2, 1), "UTC", &"*".repeat(257)).is_err());

    let never = Schedule::Every { period: Duration::ZERO, anchor: WallTime::from_unix_nanos(0) };
    assert!(decode_value::<Schedule>(&encoded(&never)).is_err());
    let refused = ScheduleError::Damaged { field: crate::task::schedule::CronField::Hour };
    assert_eq!(
        refused.to_string(),
        "hour: found a set that is empty or has other values, expected a number from 0 to 23"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_or_computing_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), after in any::<u64>()) {
        if let Ok(schedule) = decode_value::<Schedule>(&bytes) {
            let _ = schedule.next_after(WallTime::from_unix_nanos(after));
        }
    }

    #[test]
    fn no_sets_make_computing_panic(
        sets in any::<(u64, u32, u32, u16, u8, bool)>(),
        zone in prop::sample::select(&["UTC", "Africa/Casablanca", "Pacific/Apia"][..]),
        after in any::<u64>(),
    ) {
        let (minutes, hours, days, months, weekdays, either) = sets;
        let within = (minutes >> 4, hours >> 8, days & !1, months >> 4 << 1, weekdays >> 1, either);
        if let Ok(cron) = decode_value::<Cron>(&encoded(&(within, zone, ""))) {
            let after = WallTime::from_unix_nanos(after);
            prop_assert!(Schedule::Cron(cron).next_after(after).is_none_or(|due| due > after));
        }
    }
}
