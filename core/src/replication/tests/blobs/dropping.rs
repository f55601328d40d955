//! Dropping: what nothing refers to goes, and nothing else does.

use super::*;
use crate::replication::tests::snapshot::small;

fn with_grace(millis: u64) -> Settings {
    Settings { blob_grace: Duration::from_millis(millis), ..Settings::default() }
}

fn is_dropped(trio: &Trio, node: usize, content: &[u8]) -> bool {
    trio.table(node).row(&address_of(content)).is_none()
}

#[test]
fn what_nothing_refers_to_is_dropped_after_the_time_of_grace_and_discarded_everywhere() {
    let (mut trio, content) = (Trio::new(with_grace(1_000)), content(1, 2 * PIECE_BYTES));
    trio.puts_all(0, &content);
    trio.refers(0, 1, 5, address_of(&content));
    trio.run();
    trio.pass(20);
    (0..4).for_each(|_| trio.pass(1_000));
    assert!(!is_dropped(&trio, 0, &content), "a register refers to it");
    trio.set(0, 5, 2);
    trio.run();
    trio.pass(900);
    assert!(!is_dropped(&trio, 0, &content), "B6");
    trio.pass(200);
    trio.pass(20);
    for node in 0..3 {
        assert!(is_dropped(&trio, node, &content) && trio.stores[node].is_to_be_swept);
        trio.now = trio.now + Duration::from_secs(60);
        trio.sweeps(node);
        assert!(trio.stores[node].objects.is_empty(), "B8");
    }
    trio.refers(0, 3, 5, address_of(&content));
    trio.run();
    assert_eq!(trio.reply(3), Some(Reply::Done(Answer::NoBlob)));
    assert_eq!(trio.puts_all(0, &content), Reply::Held, "it can be put again");
    assert!((0..3).all(|node| trio.has(node, &content)));
}

/// A blob that nothing refers to, and an entry under way that drops it: the followers do not hear of it yet.
fn about_to_be_dropped() -> (Trio, Vec<u8>) {
    let (mut trio, content) = (Trio::new(with_grace(100)), content(1, 100));
    trio.puts_all(0, &content);
    trio.pass(20);
    trio.cut = BTreeSet::from([1, 2]);
    trio.now = trio.now + Duration::from_millis(100);
    (trio, content)
}

#[test]
fn a_reference_that_stands_before_it_cancels_it() {
    let (mut trio, content) = about_to_be_dropped();
    let end = trio.ends()[0].sequence;
    trio.refers(0, 1, 5, address_of(&content));
    trio.tell(0, Event::Wake);
    assert_eq!(trio.ends()[0].sequence, end.next().next(), "an entry refers to it, and one drops it");
    trio.cut.clear();
    (0..3).for_each(|_| trio.pass(100));
    assert_eq!(trio.reply(1), Some(Reply::Done(Answer::Holds(Some(1)))));
    for node in 0..3 {
        assert!(!is_dropped(&trio, node, &content), "B7");
        trio.now = trio.now + Duration::from_secs(60);
        trio.sweeps(node);
        assert!(trio.has(node, &content));
    }
}

#[test]
fn a_blob_that_is_put_again_behind_it_stays_on_every_disk() {
    let (mut trio, content) = about_to_be_dropped();
    trio.tell(0, Event::Wake);
    // One member is slow to say that it has it: the entry that brings it again is under way, too.
    trio.puts(0, 1, &content, 0);
    let stored = Message::Stored { epoch: epoch(1), address: address_of(&content) };
    trio.tell(0, Event::Message { from: id(1), message: stored });
    trio.now = trio.now + Settings::default().offer_wait;
    trio.tell(0, Event::Wake);
    trio.cut.clear();
    // The followers hold both entries, and know of none that it is acknowledged.
    trio.pass(100);
    for node in [1, 2, 0] {
        trio.sweeps(node);
        assert!(trio.has(node, &content), "B8");
    }
    trio.pass(100);
    assert_eq!(trio.reply(1), Some(Reply::Held));
    for node in 0..3 {
        assert!(!is_dropped(&trio, node, &content));
        trio.sweeps(node);
        assert!(trio.has(node, &content), "B8");
    }
}

#[test]
fn a_blob_that_was_put_again_since_is_not_dropped_by_an_older_entry() {
    let (mut trio, content) = about_to_be_dropped();
    // It is brought again by an entry in front of the one that drops it.
    trio.puts(0, 1, &content, 0);
    trio.tell(
        0,
        Event::Message { from: id(1), message: Message::Stored { epoch: epoch(1), address: address_of(&content) } },
    );
    trio.tell(
        0,
        Event::Message { from: id(2), message: Message::Stored { epoch: epoch(1), address: address_of(&content) } },
    );
    trio.tell(0, Event::Wake);
    trio.cut.clear();
    trio.pass(100);
    trio.pass(20);
    assert_eq!(trio.reply(1), Some(Reply::Held));
    assert!((0..3).all(|node| !is_dropped(&trio, node, &content)), "B7");
}

#[test]
fn a_candidate_does_without_what_was_dropped_while_it_was_away() {
    let (mut trio, gone) = (Trio::new(with_grace(1_000)), content(1, 100));
    let kept = content(2, 2 * PIECE_BYTES);
    trio.third_leaves();
    trio.puts_all(0, &gone);
    trio.puts_all(0, &kept);
    trio.refers(0, 1, 5, address_of(&kept));
    trio.run();
    trio.pass(2_500);
    trio.pass(1_000);
    assert!(is_dropped(&trio, 0, &gone));
    trio.now = trio.now + Duration::from_secs(60);
    (0..2).for_each(|node| trio.sweeps(node));
    assert!(!trio.has(0, &gone) && trio.has(0, &kept));
    trio.cut.clear();
    trio.tell(2, Event::Known(trio.record.clone().into()));
    (0..4).for_each(|_| trio.pass(100));
    assert_eq!(trio.ends()[2], trio.ends()[0], "B9");
    assert!(trio.has(2, &kept) && trio.proposals.iter().any(|(_, change)| *change == Change::Add(id(2))));
    // What is brought anew is waited for.
    trio.commit();
    trio.stores[2].is_stalled = true;
    assert_eq!(trio.puts_all(0, &gone), Reply::Unknown);
    trio.pass(2_000);
    assert!(trio.ends()[2] < trio.ends()[0], "B9: only up to where it was dropped");
}

#[test]
fn a_snapshot_is_installed_when_the_blobs_of_the_state_are_there() {
    let settings = Settings { blob_grace: Duration::from_secs(1), ..small() };
    let (mut trio, all) = (Trio::new(settings), [content(1, 100), content(2, 70_000), content(3, 1)]);
    trio.third_leaves();
    for (number, content) in (0..).zip(&all) {
        trio.puts_all(0, content);
        trio.refers(0, 100 + number, number, address_of(content));
    }
    trio.run();
    trio.pass(20);
    for node in [0, 1] {
        trio.checkpoint(node);
    }
    assert!(trio.replicas[0].log().base() > trio.ends()[2]);
    trio.stores[2].is_stalled = true;
    trio.cut.clear();
    trio.tell(2, Event::Known(trio.record.clone().into()));
    (0..5).for_each(|_| trio.pass(100));
    assert_eq!(trio.replicas[2].log().base(), Position::default(), "B10");
    assert!(trio.proposals.is_empty());
    // One of them is dropped meanwhile, and nobody has it any more.
    trio.set(0, 2, 2);
    trio.run();
    (0..3).for_each(|_| trio.pass(1_000));
    assert!(is_dropped(&trio, 0, &all[2]));
    trio.now = trio.now + Duration::from_secs(60);
    (0..2).for_each(|node| trio.sweeps(node));
    trio.stores[2].is_stalled = false;
    (0..12).for_each(|_| trio.pass(100));
    assert_eq!(trio.ends()[2], trio.ends()[0], "B9");
    assert!(trio.has(2, &all[0]) && trio.has(2, &all[1]));
    trio.pass(20);
    assert_eq!(trio.replicas[2].service(), trio.replicas[0].service());
    assert_eq!(trio.table(2), trio.table(0));
}

#[test]
fn what_a_crash_has_left_is_discarded_and_what_the_log_has_is_not() {
    let (mut trio, whole) = (trio(), content(1, 2 * PIECE_BYTES));
    let half = content(2, 3 * PIECE_BYTES);
    trio.puts_all(0, &whole);
    trio.puts(0, 1, &half, 0);
    trio.run();
    trio.puts(0, 2, &half, 1);
    trio.run();
    trio.sweeps(0);
    assert_eq!(trio.stores[0].objects.len(), 5, "it is being put");
    trio.loses_power(0);
    trio.sweeps(0);
    assert_eq!(trio.stores[0].objects.len(), 3, "B8");
    assert!(trio.has(0, &whole));
}
