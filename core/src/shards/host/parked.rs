//! Submissions that this node keeps until they have taken effect: which, within bounds, and when each shard's are submitted
//! again (rules K1, K3, K7).
//!
//! A shard's are a lane of their own: as long as submitting fails, one at a time, and after longer and longer pauses.

use super::settings::Settings;
use super::wire::Submission;
use crate::bytes::Blob;
use crate::replication::once::SubmissionId;
use crate::shards::ShardId;
use crate::time::{Duration, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;

/// Submissions of one shard that are under way at once.
const UNDER_WAY_MAX: usize = 16;
/// A pause is doubled this often.
const DOUBLINGS_MAX: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    since: u64,
    command: Blob,
    /// How many disks have it, as far as is known.
    copies: u8,
}

/// Those of one shard.
#[derive(Clone, Debug, Default)]
struct Lane {
    entries: BTreeMap<SubmissionId, Entry>,
    bytes: usize,
    under_way: BTreeSet<SubmissionId>,
    /// The last one submitted.
    last: Option<SubmissionId>,
    due: Option<Time>,
    /// Rounds in a row that have failed.
    failures: u32,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Parked {
    lanes: BTreeMap<ShardId, Lane>,
    due: BTreeSet<(Time, ShardId)>,
    count: usize,
    bytes: usize,
    /// Those that are over, and that the journal still has.
    over: BTreeSet<(ShardId, SubmissionId)>,
}

impl Parked {
    /// Takes one back after a restart. It was within bounds.
    pub(super) fn replay(&mut self, submission: Submission, since: u64) {
        let shard = submission.shard;
        self.put(submission, since);
        self.set_due(shard, Some(Time::ZERO));
    }

    fn put(&mut self, submission: Submission, since: u64) {
        let Submission { shard, id, command } = submission;
        let bytes = command.0.len();
        let lane = self.lanes.entry(shard).or_default();
        let old = lane.entries.insert(id, Entry { since, command, copies: 1 });
        self.count += usize::from(old.is_none());
        let old = old.map_or(0, |old| old.command.0.len());
        lane.bytes = lane.bytes + bytes - old;
        self.bytes = self.bytes + bytes - old;
    }

    /// Keeps one more, to be submitted by itself at `due`, unless another is before it.
    pub(super) fn keep(&mut self, submission: &Submission, since: u64, due: Time) {
        self.put(submission.clone(), since);
        let due = self.lanes.get(&submission.shard).and_then(|lane| lane.due).map_or(due, |other| other.min(due));
        self.set_due(submission.shard, Some(due));
    }

    /// Whether there is room for a command of so many bytes.
    pub(super) fn has_room(&self, settings: &Settings, shard: &ShardId, bytes: usize) -> bool {
        let (count, used) = self.lanes.get(shard).map_or((0, 0), |lane| (lane.entries.len(), lane.bytes));
        self.count < settings.parked_max
            && self.bytes + bytes <= settings.parked_bytes_max
            && count < settings.parked_of_shard_max
            && used + bytes <= settings.parked_bytes_of_shard_max
    }

    /// Whether it is kept, and is not over.
    pub(super) fn has(&self, shard: &ShardId, id: &SubmissionId) -> bool {
        self.copies(shard, id).is_some()
    }

    /// Whether it is over, and the journal still has it.
    pub(super) fn is_over(&self, shard: &ShardId, id: &SubmissionId) -> bool {
        self.over.contains(&(*shard, *id))
    }

    /// How many disks have it, as far as is known, if it is kept.
    pub(super) fn copies(&self, shard: &ShardId, id: &SubmissionId) -> Option<u8> {
        let entry = self.lanes.get(shard)?.entries.get(id)?;
        (!self.over.contains(&(*shard, *id))).then_some(entry.copies)
    }

    /// So many disks have it.
    pub(super) fn has_copies(&mut self, shard: &ShardId, id: &SubmissionId, copies: u8) {
        let entry = self.lanes.get_mut(shard).and_then(|lane| lane.entries.get_mut(id));
        entry.into_iter().for_each(|entry| entry.copies = entry.copies.max(copies));
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Nothing is known of it any more.
    pub(super) fn forget(&mut self, shard: &ShardId, id: &SubmissionId) {
        let Some(lane) = self.lanes.get_mut(shard) else { return };
        let Some(entry) = lane.entries.remove(id) else { return };
        let bytes = entry.command.0.len();
        lane.bytes -= bytes;
        (self.bytes, self.count) = (self.bytes - bytes, self.count - 1);
        if lane.entries.is_empty() {
            self.set_due(*shard, None);
            self.lanes.remove(shard);
        }
    }

    /// It is over: to be forgotten by the journal, too.
    pub(super) fn end(&mut self, shard: ShardId, id: SubmissionId) {
        if self.has(&shard, &id) {
            self.over.insert((shard, id));
        }
    }

    /// One that is over.
    pub(super) fn next_over(&mut self) -> Option<(ShardId, SubmissionId)> {
        let (shard, id) = self.over.pop_first()?;
        self.forget(&shard, &id);
        Some((shard, id))
    }

    /// The first one behind that, for a checkpoint.
    pub(super) fn behind(&self, last: Option<(ShardId, SubmissionId)>) -> Option<(Submission, u64)> {
        let of = |(shard, (id, entry)): (&ShardId, (&SubmissionId, &Entry))| {
            (Submission { shard: *shard, id: *id, command: entry.command.clone() }, entry.since)
        };
        let (from, in_lane) = match last {
            None => (Bound::Unbounded, None),
            Some((shard, id)) => {
                let lane = self.lanes.get(&shard);
                let next = lane.and_then(|lane| lane.entries.range((Bound::Excluded(id), Bound::Unbounded)).next());
                (Bound::Excluded(shard), next.map(|next| of((&shard, next))))
            }
        };
        let next_lane = || self.lanes.range((from, Bound::Unbounded)).next();
        in_lane.or_else(|| next_lane().and_then(|(shard, lane)| Some(of((shard, lane.entries.iter().next()?)))))
    }

    fn set_due(&mut self, shard: ShardId, due: Option<Time>) {
        let Some(lane) = self.lanes.get_mut(&shard) else { return };
        if let Some(at) = core::mem::replace(&mut lane.due, due) {
            self.due.remove(&(at, shard));
        }
        self.due.extend(due.map(|at| (at, shard)));
    }

    /// Something has changed that may let a shard's submissions through.
    pub(super) fn hurry(&mut self, shard: &ShardId, now: Time) {
        if let Some(lane) = self.lanes.get_mut(shard) {
            lane.failures = lane.failures.min(1);
            self.set_due(*shard, Some(now));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        if !self.over.is_empty() {
            return Some(Time::ZERO);
        }
        self.due.first().map(|(at, _)| *at)
    }

    /// A shard of which something is to be submitted now.
    pub(super) fn next_due(&mut self, now: Time) -> Option<ShardId> {
        let (_, shard) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.set_due(shard, None);
        Some(shard)
    }

    /// The next one of a shard that is to be submitted, in turn, and since when; from now on it is under way.
    pub(super) fn start(&mut self, shard: &ShardId) -> Option<(Submission, u64)> {
        let lane = self.lanes.get_mut(shard)?;
        let room = if lane.failures > 0 { 1 } else { UNDER_WAY_MAX };
        if lane.under_way.len() >= room {
            return None;
        }
        let is_free = |id: &SubmissionId| !lane.under_way.contains(id) && !self.over.contains(&(*shard, *id));
        let from = lane.last.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = lane.entries.range((from, Bound::Unbounded));
        let (id, entry) = behind.chain(&lane.entries).take(UNDER_WAY_MAX * 4).find(|(id, _)| is_free(id))?;
        let started = (Submission { shard: *shard, id: *id, command: entry.command.clone() }, entry.since);
        lane.last = Some(started.0.id);
        lane.under_way.insert(started.0.id);
        Some(started)
    }

    /// What was under way has come to an end: the next one goes at once, or after a pause.
    pub(super) fn stopped(&mut self, now: Time, shard: &ShardId, id: &SubmissionId, is_over: bool, pause: Duration) {
        let Some(lane) = self.lanes.get_mut(shard) else { return };
        lane.under_way.remove(id);
        let due = match is_over {
            true => {
                lane.failures = 0;
                Some(now)
            }
            // One of a round has failed already.
            false if lane.due.is_some_and(|due| due > now) => lane.due,
            false => {
                let pause = pause.saturating_mul(1 << lane.failures.min(DOUBLINGS_MAX));
                lane.failures = lane.failures.saturating_add(1);
                Some(now.saturating_add(pause))
            }
        };
        self.set_due(*shard, due);
    }
}
