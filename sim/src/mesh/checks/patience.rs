//! How long a suspicion lasts, where the members that its owner holds are known only between bounds.

use relaymesh_core::membership::{Settings, suspicion};
use relaymesh_core::time::Duration;

/// In a mesh of at least so many, as many can confirm as count, and a suspicion is the longer, the more members there are.
const LARGE_ENOUGH: u32 = 5;

/// The longest that a suspicion of so many accusers may last in a mesh that had between `fewest` and `most` members.
pub(super) fn longest(accusers: usize, (fewest, most): (u32, u32), settings: &Settings) -> Duration {
    let lasts = |members: u32| suspicion::timeout(accusers as u32 - 1, members, settings);
    (fewest..LARGE_ENOUGH.min(most)).map(lasts).fold(lasts(most), Duration::max)
}

/// The shortest.
pub(super) fn shortest(accusers: usize, (fewest, most): (u32, u32), settings: &Settings) -> Duration {
    let lasts = |members: u32| suspicion::timeout(accusers as u32 - 1, members, settings);
    let large = lasts(fewest.max(LARGE_ENOUGH).min(most));
    (fewest..LARGE_ENOUGH.min(most)).map(lasts).fold(large, Duration::min)
}
