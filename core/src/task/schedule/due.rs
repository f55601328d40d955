//! The rule for clock changes: from local times that match to the instant that is due.
//!
//! Time is walked in stretches of one offset. In each, local time runs evenly, and the only question is from which local
//! time on it counts: for a schedule of every hour, from what the clock shows first; for others, from where the stretch
//! before has ended, be that earlier (a gap, whose times are due at once) or later (a fold, whose times were due).

use super::fields::{Fields, LocalMinute};
use super::zone::{Stretch, Zone};

/// Stretches that are walked, at most. A zone changes its offset a few times a year, and days are sought 41 years ahead.
const STRETCHES_MAX: u32 = 512;

/// The first second that is due after the second `after`.
pub(super) fn next_after(fields: &Fields, zone: &Zone, after: i64) -> Option<i64> {
    let mut stretch = zone.stretch_at(after)?;
    let mut from = LocalMinute::from_second(after + 1 + stretch.offset).max(counted_from(fields, &stretch));
    for _ in 0..STRETCHES_MAX {
        let minute = fields.next(from)?;
        let due = (minute.second() - stretch.offset).max(stretch.start);
        if due < stretch.end {
            return Some(due);
        }
        stretch = zone.stretch_behind(&stretch)?;
        from = counted_from(fields, &stretch);
    }
    None
}

/// The first local minute of a stretch that is due in it.
fn counted_from(fields: &Fields, stretch: &Stretch) -> LocalMinute {
    let offset = if fields.is_every_hour() { stretch.offset } else { stretch.offset_before };
    LocalMinute::from_second(stretch.start + offset)
}
