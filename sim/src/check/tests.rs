//! Every checker of the engine is shown to fire: each test breaks one promise.

use super::Expected;
use super::engine::EngineChecks;
use super::*;
use crate::disk::{Bytes, Disk, DiskCondition};
use crate::streams::{MILLION, Streams};
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::envelope::{KeyId, KeyIds, OpenError};
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::identity::{BootIncarnation, ClusterId, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::record::{Anchor, Chain, Genesis, Sequence, Writer};
use relaymesh_core::time::{Duration, Time};
use std::string::String;
use std::vec::Vec;

mod objects;

/// One host with its disk and the checkers that watch it.
struct Watch {
    checks: EngineChecks,
    disk: Disk,
    condition: DiskCondition,
    found: Findings,
}

impl Watch {
    fn new() -> Self {
        Self::with_chance(1)
    }

    fn with_chance(seed: u64) -> Self {
        let instant = (Duration::ZERO, Duration::ZERO);
        let condition = DiskCondition {
            sync: instant,
            read: instant,
            slowdown: 1,
            torn: 0,
            write_fails: 0,
            sync_fails: 0,
            read_corrupts: 0,
            full: false,
        };
        let disk = Disk::new(&mut Streams::new(seed), 0);
        Self { checks: EngineChecks::new(1), disk, condition, found: Findings::default() }
    }

    fn append(&mut self, event: u64, slot: u64) -> &mut Self {
        self.append_frame(event, slot, &frame(slot, event))
    }

    fn append_frame(&mut self, event: u64, slot: u64, frame: &[u8]) -> &mut Self {
        let bytes: Bytes = frame.into();
        let (event, write, at) = (CauseId(event), WriteNumber(event), Sequence(slot));
        self.checks.appended(0, event, write, at, &bytes, &self.disk, &mut self.found);
        self.disk.store(&self.condition, write, at, bytes).unwrap();
        self
    }

    fn anchor(&mut self, event: u64, place: u64, anchor: &[u8]) -> &mut Self {
        self.append_frame(event, place, anchor)
    }

    fn trim(&mut self, event: u64, from: u64, below: u64) -> &mut Self {
        let (cause, write, from, below) = (CauseId(event), WriteNumber(event), Sequence(from), Sequence(below));
        self.checks.trimmed(0, cause, write, from, below, &self.disk, &mut self.found);
        self.disk.trim(&self.condition, write, from, below).unwrap();
        self
    }

    fn sync(&mut self) -> &mut Self {
        self.disk.begin_sync(&self.condition);
        // A failed sync is what some of these stories are about.
        let _ = self.disk.end_sync(&self.condition);
        self
    }

    fn boot(&mut self) -> &mut Self {
        self.disk.begin_process();
        self.checks.booted(0, &self.disk);
        self
    }

    fn leaves(&mut self, event: u64) -> &mut Self {
        self.checks.left(0, CauseId(event), &self.disk, &mut self.found);
        self
    }

    fn verdict(&self) -> Vec<&'static str> {
        self.found.violations.iter().map(|violation| violation.invariant).collect()
    }

    fn detail(&self) -> String {
        self.found.violations.iter().map(|violation| violation.detail.as_str()).collect()
    }
}

/// A frame for `slot` that no other `boot` writes.
fn frame(slot: u64, boot: u64) -> Vec<u8> {
    let mut writer = Writer::new(Sequence(slot - 1), Chain([0; 16]), BootIncarnation(boot), Sequence(0));
    let mut bytes = Vec::new();
    writer.application(BodyVersion(1), &mut bytes, |_| Ok(())).unwrap();
    bytes
}

/// A frame for `slot` that tells what is synced.
fn marked(slot: u64, synced: u64) -> Vec<u8> {
    let mut writer = Writer::new(Sequence(slot - 1), Chain([0; 16]), BootIncarnation(1), Sequence(synced));
    let mut bytes = Vec::new();
    writer.application(BodyVersion(1), &mut bytes, |_| Ok(())).unwrap();
    bytes
}

/// An anchor that says that the journal starts at `first`, where `before` is the frame before that.
fn anchor(place: u64, first: u64, covers: u64, before: &[u8]) -> Vec<u8> {
    let genesis = Genesis {
        cluster: ClusterId::from_bytes([1; 16]),
        node: NodeId::from_bytes([2; 16]),
        store: StoreIncarnation(70_000),
    };
    let chain = Chain(*before.last_chunk().unwrap());
    let writer = Writer::new(Sequence(covers), chain, BootIncarnation(1), Sequence(covers));
    let mut bytes = Vec::new();
    let anchor = Anchor { genesis, first: Sequence(first), boot: BootIncarnation(1) };
    writer.anchor(Sequence(place), &anchor, chain, &mut bytes).unwrap();
    bytes
}

/// Four durable records of a process, and the anchor that gives up the first two of them.
fn with_four() -> Watch {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).append(2, 2).append(3, 3).append(4, 4).sync();
    watch
}

#[test]
fn slots_below_a_durable_anchor_may_be_emptied_in_any_part() {
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 4, 4, &frame(3, 3))).sync().trim(6, 2, 3).trim(7, 3, 4).sync().leaves(8);
    assert_eq!(watch.verdict(), [""; 0], "{}", watch.detail());
    watch.append(9, 5).append(10, 6).sync().anchor(11, 1, &anchor(1, 6, 6, &frame(5, 9))).sync().trim(12, 4, 6);
    watch.sync().boot().leaves(13);
    assert_eq!(watch.verdict(), [""; 0], "{}", watch.detail());
}

#[test]
fn trim_1_fires_when_slots_are_emptied_before_the_anchor_is_durable() {
    let mut watch = with_four();
    watch.trim(5, 2, 4);
    assert_eq!(watch.verdict(), [TRIM_1], "without any");
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 4, 4, &frame(3, 3))).trim(6, 2, 4);
    assert_eq!(watch.verdict(), [TRIM_1], "it is not on the platter");
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 4, 4, &frame(3, 3))).sync().trim(6, 2, 5);
    assert_eq!(watch.verdict(), [TRIM_1], "more than it gives up");
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 4, 4, &frame(3, 3))).sync().trim(6, 1, 4);
    assert_eq!(watch.verdict(), [TRIM_1], "a place of anchors");
}

#[test]
fn trim_1_fires_when_an_anchor_says_what_is_not_so() {
    let mut watch = with_four();
    watch.append(5, 5).anchor(6, 0, &anchor(0, 4, 5, &frame(3, 3)));
    assert_eq!(watch.verdict(), [TRIM_1], "it covers what is not durable");
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 4, 4, &frame(2, 2)));
    assert_eq!(watch.verdict(), [TRIM_1], "the checksum of another record");
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 4, 4, &frame(3, 3))).sync().anchor(6, 1, &anchor(1, 3, 4, &frame(2, 2)));
    assert_eq!(watch.verdict(), [TRIM_1], "it goes back");
}

#[test]
fn rec_1_fires_when_a_trimmed_journal_lacks_a_record_or_has_one_too_many() {
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 3, 4, &frame(2, 2))).sync().boot().append(6, 5).sync();
    watch.checks.persisted(0, &watch.disk);
    watch.disk.erase(&watch.condition, WriteNumber(7), Sequence(3)).unwrap();
    watch.sync().leaves(8);
    assert_eq!(watch.verdict(), [REC_1], "{}", watch.detail());
    let mut watch = with_four();
    watch.anchor(5, 0, &anchor(0, 3, 4, &frame(2, 2))).sync().boot();
    watch.disk.store(&watch.condition, WriteNumber(6), Sequence(5), frame(5, 9).into()).unwrap();
    watch.sync().leaves(7);
    assert_eq!(watch.verdict(), [REC_1], "{}", watch.detail());
}

#[test]
fn rec_1_fires_when_a_process_speaks_whose_anchor_is_rotten_and_whose_slots_are_gone() {
    let rots_in = |seed| {
        let mut watch = Watch::with_chance(seed);
        watch.boot().append(1, 1).append(2, 2).append(3, 3).append(4, 4).sync();
        watch.anchor(5, 0, &anchor(0, 4, 4, &frame(3, 3))).sync().trim(6, 2, 4).sync();
        watch.append_frame(7, 5, &marked(5, 4)).sync();
        (watch.disk.rot() == Some(Sequence(0))).then_some(watch)
    };
    let mut watch = (1..100).find_map(rots_in).unwrap();
    watch.boot().leaves(8);
    assert_eq!(watch.verdict(), [REC_1], "{}", watch.detail());
}

#[test]
fn what_leaves_after_its_writes_are_durable_is_fine() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).sync().leaves(1);
    assert_eq!(watch.verdict(), [""; 0]);
}

#[test]
fn dur_1_fires_when_an_action_leaves_before_its_own_write_is_durable() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).sync().leaves(1).append(2, 2).leaves(2);
    assert_eq!(watch.verdict(), [DUR_1]);
}

#[test]
fn dur_1_fires_when_a_read_overtakes_the_write_it_may_show() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).sync().leaves(1).append(2, 2).leaves(3);
    assert_eq!(watch.verdict(), [DUR_1]);
}

#[test]
fn dur_1_does_not_hold_a_later_write_against_an_earlier_action() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).sync().leaves(1).append(5, 2).leaves(3);
    assert_eq!(watch.verdict(), [""; 0]);
}

#[test]
fn dur_1_fires_when_a_failed_sync_is_taken_for_durable() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).sync().leaves(1);
    watch.condition.sync_fails = MILLION;
    for event in 2..40 {
        watch.append(event, event);
    }
    watch.sync();
    watch.condition.sync_fails = 0;
    watch.sync().leaves(40);
    assert_eq!(watch.verdict(), [DUR_1]);
}

#[test]
fn dur_2_fires_when_an_action_leaves_late_and_not_in_its_last_instant() {
    let mut watch = Watch::new();
    watch.checks.limited(0, Time::from_nanos(5), Time::from_nanos(5), &mut watch.found);
    assert_eq!(watch.verdict(), [""; 0]);
    watch.checks.limited(0, Time::from_nanos(6), Time::from_nanos(5), &mut watch.found);
    assert_eq!(watch.verdict(), [DUR_2]);
}

#[test]
fn rec_1_fires_when_an_erased_tail_is_still_there() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).append(2, 2).append(3, 3).sync();
    // The next process goes by slot 1 alone and writes its own slot 2, but nobody empties slot 3.
    watch.boot().append(4, 2).sync().leaves(5);
    assert_eq!(watch.verdict(), [REC_1, REC_1]);
    assert!(watch.detail().contains("slot 3 still holds a record"), "{}", watch.detail());
}

#[test]
fn rec_1_fires_when_the_journal_has_a_hole() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).append(2, 3).sync().leaves(2);
    assert_eq!(watch.verdict(), [REC_1]);
    assert!(watch.detail().contains("hole at slot 2"), "{}", watch.detail());
}

#[test]
fn rec_1_fires_when_a_node_speaks_before_its_boot_is_durable() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1);
    watch.checks.spoke(0, &watch.disk, &mut watch.found);
    assert_eq!(watch.verdict(), [REC_1]);
}

#[test]
fn rec_1_fires_when_a_node_speaks_on_a_store_that_a_mark_knows_to_be_damaged() {
    let mut writer = Writer::new(Sequence(0), Chain([0; 16]), BootIncarnation(1), Sequence(0));
    let mut watch = Watch::new();
    watch.boot();
    for slot in 1..=3 {
        let mut frame = Vec::new();
        writer.application(BodyVersion(1), &mut frame, |_| Ok(())).unwrap();
        watch.append_frame(slot, slot, &frame).sync();
        writer.synced(Sequence(slot));
    }
    // The third record vouches for the first two: most of what can rot is known to be damaged.
    while watch.disk.rot() != Some(Sequence(1)) {}
    watch.boot().leaves(9);
    assert_eq!(watch.verdict(), [REC_1]);
}

#[test]
fn rec_1_fires_when_recovery_drops_a_durable_record() {
    let mut watch = Watch::new();
    watch.boot().append(1, 1).append(2, 2).sync();
    watch.boot().append(3, 2);
    assert_eq!(watch.verdict(), [REC_1]);
    assert!(watch.detail().contains("recovery dropped it"), "{}", watch.detail());
}

#[test]
fn wire_1_fires_when_a_packet_is_accepted_that_must_be_refused() {
    use Expected::{Accepted, Changed, ForeignCluster, Forged, Misdelivered, UnknownKey};
    let refusals = [
        (Changed, OpenError::Format),
        (Forged, OpenError::UnknownKey(KeyId(1))),
        (ForeignCluster, OpenError::ForeignCluster(ClusterId::from_bytes([1; 16]))),
        (UnknownKey, OpenError::UnknownKey(KeyId(1))),
        (Misdelivered, OpenError::Misdelivered(crate::world::node_id(1))),
    ];
    for (expected, refusal) in refusals {
        let mut watch = Watch::new();
        watch.checks.opened(0, expected, Some(refusal), &mut watch.found);
        watch.checks.opened(0, Accepted, None, &mut watch.found);
        assert_eq!(watch.verdict(), [""; 0]);
        watch.checks.opened(0, expected, None, &mut watch.found);
        assert_eq!(watch.verdict(), [WIRE_1], "{expected:?}");
    }
}

#[test]
fn wire_1_fires_when_a_packet_is_refused_for_a_reason_that_is_not_true() {
    for expected in [Expected::Accepted, Expected::ForeignCluster, Expected::UnknownKey, Expected::Misdelivered] {
        let mut watch = Watch::new();
        watch.checks.opened(0, expected, Some(OpenError::Format), &mut watch.found);
        assert_eq!(watch.verdict(), [WIRE_1], "{expected:?}");
    }
}

#[test]
fn wire_1_fires_when_a_keyring_does_not_hold_what_was_asked_for() {
    let mut watch = Watch::new();
    let ids = KeyIds::new([KeyId(1), KeyId(2)]);
    watch.checks.keyring_differs(0, ids, KeyIds::new([KeyId(2), KeyId(1)]), &mut watch.found);
    assert_eq!(watch.verdict(), [WIRE_1]);
}

fn named(boot: u64, store: u64) -> Incarnation {
    Incarnation { node: crate::world::node_id(0), store: StoreIncarnation(store), boot: BootIncarnation(boot) }
}

#[test]
fn inc_1_fires_when_a_later_process_has_no_later_boot() {
    let mut watch = Watch::new();
    watch.checks.named(0, 1, named(1, 7), &mut watch.found);
    watch.checks.named(0, 2, named(2, 7), &mut watch.found);
    assert_eq!(watch.verdict(), [""; 0]);
    watch.checks.named(0, 3, named(2, 7), &mut watch.found);
    assert_eq!(watch.verdict(), [INC_1]);
}

#[test]
fn inc_1_fires_when_a_new_store_has_the_old_name() {
    let mut watch = Watch::new();
    watch.checks.named(0, 1, named(1, 7), &mut watch.found);
    watch.checks.store_replaced(0);
    watch.checks.named(0, 2, named(2, 7), &mut watch.found);
    assert_eq!(watch.verdict(), [INC_1]);
}

#[test]
fn ord_1_fires_when_a_packet_overtakes_another_at_the_gate() {
    let mut watch = Watch::new();
    for cause in [3, 5, 5, 4] {
        watch.checks.in_order(0, CauseId(cause), &mut watch.found);
    }
    assert_eq!(watch.verdict(), [ORD_1]);
}

#[test]
fn rec_1_fires_when_a_sound_store_is_given_up() {
    let mut watch = Watch::new();
    watch.checks.given_up(0, &watch.disk, &mut watch.found);
    assert_eq!(watch.verdict(), [REC_1]);
}

#[test]
fn a_journal_ends_where_its_process_says_whatever_an_earlier_one_wrote_beyond() {
    let mut watch = Watch::new();
    watch.boot().append_frame(1, 1, &frame(1, 9)).append(2, 2);
    // The first process dies before its first sync; the second begins with the very same bytes.
    watch.boot().append_frame(3, 1, &frame(1, 9));
    watch.disk.erase(&watch.condition, WriteNumber(4), Sequence(2)).unwrap();
    watch.sync();
    watch.checks.persisted(0, &watch.disk);
    watch.leaves(5);
    assert_eq!(watch.verdict(), [""; 0]);
}

#[test]
fn rec_1_fires_when_torn_bytes_are_written_back() {
    let mut watch = Watch::new();
    let mut torn = frame(1, 1);
    torn[60] ^= 1;
    watch.boot().append_frame(1, 1, &torn);
    assert_eq!(watch.verdict(), [REC_1]);
}
