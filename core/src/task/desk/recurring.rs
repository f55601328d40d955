//! Says of the schedules of one shard what has become due, and what is next (rule T12).
//!
//! What it says is worked out from the row and this owner's wall clock; the entry names what the row waits for, and does nothing
//! where that is something else by then. So whoever owned the shard before, and whatever clocks show, a due time fires once.

use super::Tasks;
use crate::task::command::{Command, Fire};
use crate::task::tasks::Waiting;
use crate::time::WallTime;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Schedules that are under way at once.
const UNDER_WAY_MAX: usize = 64;

/// What was asked for the schedules of one shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Recurring {
    /// Versions of those of which something was asked, and not answered.
    under_way: BTreeSet<u64>,
    /// Of those of which this build cannot say when they are due.
    strange: BTreeSet<u64>,
}

impl Recurring {
    /// What is to be written, by the versions of what was said of the schedules. O(what is due), which is nothing but for a moment.
    pub(super) fn look(&mut self, wall: WallTime, tasks: &Tasks) -> Vec<(u64, Command)> {
        let mut asks = Vec::new();
        for waiting in tasks.recurring(wall) {
            if self.under_way.len() >= UNDER_WAY_MAX {
                break;
            }
            let version = waiting.version;
            if self.under_way.contains(&version) || self.strange.contains(&version) {
                continue;
            }
            match fire(&waiting, wall) {
                Some(fire) => {
                    self.under_way.insert(version);
                    asks.push((version, Command::Fire(fire)));
                }
                None => drop(self.strange.insert(version)),
            }
        }
        asks
    }

    /// It is written, or will not be.
    pub(super) fn done(&mut self, version: u64) {
        self.under_way.remove(&version);
    }
}

/// What a schedule comes to; nothing where this build knows its time zone not, and another one did.
fn fire(waiting: &Waiting<'_>, wall: WallTime) -> Option<Fire> {
    waiting.schedule.check().ok()?;
    let Waiting { name, schedule, version, due, last } = *waiting;
    let fire = Fire { name: name.clone(), version, due, fires: None, missed: 0, next: None };
    Some(match due {
        // What is due from now on; a clock that was put back shows again what is over.
        None => Fire { next: schedule.next_after(last.map_or(wall, |last| last.max(wall))), ..fire },
        Some(due) => {
            let found = schedule.catch_up(due, wall);
            Fire { fires: Some(found.fires), missed: found.missed, next: found.next, ..fire }
        }
    })
}
