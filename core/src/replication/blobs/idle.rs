//! An owner: what nothing refers to for the time of grace is dropped by an entry (rules B6, B7).
//!
//! The log has no time. So the owner remembers what was applied at one moment, and when the time of grace has passed since,
//! drops what nothing has referred to since that entry.

use crate::blob::BlobAddress;
use crate::machine::Sink;
use crate::replication::machine::Action;
use crate::replication::position::LogSequence;
use crate::replication::service::Service;
use crate::replication::state::Replica;
use crate::replication::step::Step;
use crate::time::Time;
use alloc::vec::Vec;

/// Blobs that one event drops.
const DROPPED_AT_ONCE: usize = 64;

/// What was applied at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::replication) struct Lap {
    began: Time,
    at: LogSequence,
}

impl<S: Service> Replica<S> {
    /// Drops some of what is due.
    pub(in crate::replication) fn drop_idle(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let grace = self.settings.blob_grace;
        let next = self.above.blobs.has_idle().then_some(Lap { began: step.now, at: self.applied });
        let is_serving = self.is_serving();
        let tenure = self.tenure.as_mut().filter(|tenure| is_serving && tenure.drained_by.is_none());
        let Some(tenure) = tenure else { return };
        let Some(lap) = tenure.lap else {
            tenure.lap = next;
            return;
        };
        if lap.began.saturating_add(grace) > step.now {
            return;
        }
        let idle = self.above.blobs.idle_since(lap.at);
        let is_wanted = |address: &BlobAddress| tenure.dropping.contains(address) || tenure.puts.contains_key(address);
        let due: Vec<_> = idle.filter(|(_, address)| !is_wanted(address)).take(DROPPED_AT_ONCE).collect();
        if due.len() < DROPPED_AT_ONCE {
            tenure.lap = next;
        }
        for (since, address) in due {
            if self.log_blob_entry(step, |open| open.push_drops(address, since)).is_some()
                && let Some(tenure) = &mut self.tenure
            {
                tenure.dropping.insert(address);
            }
        }
        self.flush(step);
    }

    /// An entry that drops a blob is applied.
    pub(in crate::replication) fn apply_drops(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        address: BlobAddress,
        idle_since: LogSequence,
    ) {
        if let Some(tenure) = &mut self.tenure {
            tenure.dropping.remove(&address);
        }
        if self.above.blobs.drop_blob(address, idle_since) {
            self.blobs.without.remove(&address);
            step.push(Action::Sweep);
        }
    }

    /// When something is due to be dropped.
    pub(in crate::replication) fn idle_deadline(&self) -> Option<Time> {
        let lap = self.tenure.as_ref().filter(|tenure| tenure.drained_by.is_none())?.lap?;
        self.is_serving().then(|| lap.began.saturating_add(self.settings.blob_grace))
    }
}
