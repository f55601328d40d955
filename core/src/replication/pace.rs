//! How gently a spare replica is sent what it lacks: a few blocks or pieces, and then nothing for some times as long as it took
//! until it held them.
//!
//! A replica is spare that is to have a copy while the set has as many as it ought to: a shard moves, and nobody waits for
//! that. What its disk and its owner's core do for it clients' work goes without. Where copies are missing nothing rests; nor
//! where resting would never come to an end, since the log grows as fast as it is sent.

use super::log::{JOINED_BYTES_MAX, JOINED_ENTRIES_MAX};
use super::state::{Intention, Phase};
use crate::shards::{ReplicaId, ShardRecord};
use crate::time::{Duration, Time};

/// Bytes that a spare replica is sent at once.
pub(super) const SPARE_BYTES: u64 = 4 * JOINED_BYTES_MAX as u64;
/// No rest is longer.
const REST_MAX: Duration = Duration::from_millis(500);
/// Nothing rests any more so long after the first rest: whoever moves shards waits for them no longer than a few times that.
const GENTLE_MAX: Duration = Duration::from_secs(30);

/// What one peer is sent, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Pace {
    /// When what is under way was sent, if a rest follows it.
    sent_at: Option<Time>,
    /// Nothing is sent before.
    pub(super) rest_until: Option<Time>,
    /// Entries that it lacked when it had the last one.
    lacked: Option<u64>,
    /// When the first rest began.
    since: Option<Time>,
    /// It has been brought a snapshot before.
    was_brought: bool,
    /// It came no nearer to the end of the log by resting, or has rested for long enough.
    is_hurried: bool,
}

/// Whether the shard is served, and its set has as many members as it ought to without that replica, more than it must have, and
/// none of its node: then nobody waits for it. Nobody is spare where there are to be no rests.
pub(super) fn is_spare(
    rests: u32,
    record: Option<&ShardRecord>,
    (phase, intention): (Phase, Option<&Intention>),
    replica: ReplicaId,
) -> bool {
    let is_proposed = intention.is_some_and(|intention| intention.change.added() == Some(replica));
    let is_enough = |record: &ShardRecord| {
        let members = record.in_sync.len();
        members >= record.copies.into() && members > record.minimum.into() && !record.is_on(replica.node)
    };
    rests > 0 && matches!(phase, Phase::Serving { .. }) && !is_proposed && record.is_some_and(is_enough)
}

impl Pace {
    /// Whether it is sent a little at a time.
    pub(super) fn is_gentle(&self, is_spare: bool) -> bool {
        is_spare && !self.is_hurried
    }

    /// A block of so many entries and bytes is on its way. Behind a small one, which may be the last, nothing rests.
    pub(super) fn sent(&mut self, now: Time, entries: usize, bytes: usize) {
        if entries >= JOINED_ENTRIES_MAX / 2 || bytes >= JOINED_BYTES_MAX / 2 {
            self.sent_piece(now);
        }
    }

    /// A piece is.
    pub(super) fn sent_piece(&mut self, now: Time) {
        self.sent_at.get_or_insert(now);
    }

    /// It holds what was under way, and lacks so many entries.
    pub(super) fn held(&mut self, now: Time, lacks: u64, rests: u32) {
        if self.sent_at.is_some() {
            self.is_hurried |= self.lacked.replace(lacks).is_some_and(|before| lacks >= before);
            self.held_pieces(now, rests);
        }
    }

    /// It holds the pieces that were under way.
    pub(super) fn held_pieces(&mut self, now: Time, rests: u32) {
        let Some(sent_at) = self.sent_at.take() else { return };
        self.is_hurried |= now.since(*self.since.get_or_insert(now)) >= GENTLE_MAX;
        let rest = now.since(sent_at).saturating_mul(rests.into()).min(REST_MAX);
        self.rest_until = (!self.is_hurried && rest > Duration::ZERO).then(|| now.saturating_add(rest));
    }

    /// It is to be brought a snapshot; the second one means that the log has gone on without it.
    pub(super) fn brought(&mut self) {
        self.is_hurried |= core::mem::replace(&mut self.was_brought, true);
    }

    /// What was under way is taken for lost.
    pub(super) fn lost(&mut self) {
        self.sent_at = None;
    }

    /// A rest is over.
    pub(super) fn wake(&mut self, now: Time) {
        self.rest_until.take_if(|until| *until <= now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::ClusterEpoch;
    use crate::identity::{NodeId, StoreIncarnation};
    use crate::replication::LogSequence;
    use crate::shards::Change;

    const fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_replica_is_spare_that_nobody_waits_for() {
        let replica = |node: u8| ReplicaId { node: NodeId::from_bytes([node; 16]), store: StoreIncarnation(1) };
        let serving = Phase::Serving { start: LogSequence(1) };
        let record = |members: u8, minimum| {
            let in_sync = (0..members).map(replica).collect();
            ShardRecord::new(ClusterEpoch(1), 1, in_sync, minimum).unwrap().shaped(1, 3)
        };
        let (whole, fewer, least) = (record(3, 2), record(2, 1), record(3, 3));
        let intention = |change| Intention { version: 1, change, again_at: Time::ZERO };
        let (comes, goes) = (intention(Change::Add(replica(9))), intention(Change::Remove(replica(1))));
        let is = |record, phase, intention, node| is_spare(3, Some(record), (phase, intention), replica(node));
        assert!(is(&whole, serving, None, 9) && is(&whole, serving, Some(&goes), 9));
        assert!(!is(&fewer, serving, None, 9), "a copy is missing");
        assert!(!is(&least, serving, None, 9), "no member can go");
        assert!(!is(&whole, Phase::Starting { start: LogSequence(1) }, None, 9), "nothing is served");
        assert!(!is(&whole, serving, Some(&comes), 9), "it is waited for");
        assert!(!is(&whole, serving, None, 2), "it is a member");
        assert!(!is_spare(0, Some(&whole), (serving, None), replica(9)), "there are to be no rests");
    }

    #[test]
    fn a_rest_is_so_many_times_as_long_as_what_it_follows() {
        let mut pace = Pace::default();
        pace.sent(at(10), JOINED_ENTRIES_MAX, 1);
        pace.held(at(14), 5_000, 3);
        assert_eq!(pace.rest_until, Some(at(26)));
        pace.wake(at(25));
        assert_eq!(pace.rest_until, Some(at(26)), "it is not over");
        pace.wake(at(26));
        assert_eq!(pace.rest_until, None);
        pace.sent(at(26), 1, JOINED_BYTES_MAX);
        pace.held(at(10_026), 4_000, 3);
        assert_eq!(pace.rest_until, Some(at(10_526)), "and not longer than anybody waits");
    }

    #[test]
    fn nothing_rests_behind_a_small_block_nor_where_there_are_to_be_no_rests() {
        let mut pace = Pace::default();
        pace.sent(at(1), 3, 100);
        pace.held(at(2), 0, 3);
        assert_eq!(pace.rest_until, None);
        pace.sent(at(3), JOINED_ENTRIES_MAX, 1);
        pace.held(at(4), 0, 0);
        assert_eq!(pace.rest_until, None);
    }

    #[test]
    fn who_comes_no_nearer_by_resting_rests_no_more() {
        let mut pace = Pace::default();
        for (lacks, is_gentle) in [(5_000, true), (4_999, true), (4_999, false), (10, false)] {
            pace.sent(at(1), JOINED_ENTRIES_MAX, 1);
            pace.held(at(2), lacks, 3);
            assert_eq!(pace.is_gentle(true), is_gentle, "{lacks}");
        }
        assert!(pace.rest_until.is_none());
        let mut pace = Pace::default();
        for (now, is_gentle) in [(1, true), (30_000, true), (30_001, false), (30_002, false)] {
            pace.sent_piece(at(now));
            pace.held_pieces(at(now), 3);
            assert_eq!(pace.is_gentle(true), is_gentle, "{now}");
        }
        let mut pace = Pace::default();
        pace.brought();
        assert!(pace.is_gentle(true) && !pace.is_gentle(false));
        pace.brought();
        assert!(!pace.is_gentle(true), "the log has gone on");
    }
}
