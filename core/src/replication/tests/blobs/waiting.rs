//! What waits for blobs: entries, take-overs and snapshots; and how long.

use super::*;
use alloc::sync::Arc;

/// The third one takes over at epoch 2 and 4, the second one at epoch 3, each without an answer: the first two hold an entry
/// that brings a blob, and the third one another one in its place.
fn with_another_history() -> (Trio, Vec<u8>) {
    let (mut trio, content) = (trio(), content(1, 2 * PIECE_BYTES));
    trio.cut.insert(2);
    trio.puts_all(0, &content);
    trio.pass(2_000);
    assert_eq!(trio.ends()[1], position(1, 2));
    for (owner, last) in [(2, position(2, 2)), (1, position(3, 3))] {
        trio.cut = (0..3).filter(|node| *node != owner).collect();
        trio.grant(owner);
        trio.run();
        trio.pass(100);
        assert_eq!(trio.ends()[owner], last);
    }
    trio.cut = BTreeSet::from([0]);
    trio.rejected.clear();
    (trio, content)
}

#[test]
fn who_waited_for_a_blob_goes_on_with_the_entry_that_brings_it_and_not_behind_its_own_log() {
    let (mut trio, content) = with_another_history();
    trio.grant(2);
    trio.run();
    trio.wake_after(100);
    trio.run();
    let log = trio.replicas[2].log();
    assert!(log.has(position(1, 2)) && log.has(position(3, 3)), "U3: {:?}", log.last());
    assert!(trio.has(2, &content) && trio.rejected.is_empty(), "{:?}", trio.rejected);
}

#[test]
fn a_take_over_does_not_wait_without_end_though_blobs_come_on() {
    let settings = Settings { adoption_max: Duration::from_secs(1), ..Settings::default() };
    let (mut trio, content) = (Trio::new(settings), content(1, 40 * PIECE_BYTES));
    trio.cut.insert(1);
    trio.puts_all(0, &content);
    trio.pass(2_000);
    assert_eq!(trio.ends()[2], position(1, 2));
    trio.cut = BTreeSet::from([0]);
    trio.stores[1].is_stalled = true;
    trio.grant(1);
    trio.run();
    for tick in 0..20 {
        trio.pass(90);
        if let Some((object, bytes)) = trio.stores[1].unsynced.pop_front() {
            trio.stores[1].objects.insert(object, bytes);
            trio.tell(1, Event::Kept(object));
            trio.run();
        }
        let is_waiting = trio.replicas[1].log().last() == position(1, 1);
        assert!(is_waiting || tick > 10, "it comes on");
    }
    assert_eq!(trio.replicas[1].log().last(), position(2, 2), "U2a");
}

#[test]
fn who_got_no_more_of_a_blob_says_how_far_its_log_goes() {
    let (mut trio, content) = (trio(), content(1, 2 * PIECE_BYTES));
    trio.stores[2].is_stalled = true;
    trio.puts_all(0, &content);
    trio.pass(2_000);
    assert_eq!((trio.ends()[0], trio.ends()[2]), (position(1, 2), position(1, 1)), "B2");
    let append = Message::Append { epoch: epoch(1), before: position(1, 9), mark: LogSequence(1), block: None };
    trio.net.clear();
    trio.tell(2, Event::Message { from: id(0), message: append.clone() });
    assert!(trio.net.is_empty(), "it comes by itself");
    // For so long nothing of it comes that it is given up. The owner has cut its log meanwhile.
    trio.wake_after(10_000);
    trio.net.clear();
    trio.tell(2, Event::Message { from: id(0), message: append });
    let differs = Message::Differs { epoch: epoch(1), at_most: position(1, 1) };
    assert_eq!(trio.net.pop_front(), Some((2, 0, differs)));
}

#[test]
fn what_entries_wait_for_is_got_however_many_blobs_are_put() {
    let mut trio = trio();
    for number in 0..70 {
        let message = Message::Offer { epoch: epoch(1), address: address_of(&content(number, 50)) };
        trio.tell(2, Event::Message { from: id(0), message });
    }
    let address = address_of(&content(200, 50));
    let block = Block::with_blob(position(1, 2), b"command", address, 50).map(Arc::new);
    let message = Message::Append { epoch: epoch(1), before: position(1, 1), mark: LogSequence(1), block };
    let asked = |trio: &Trio| trio.stores[2].asked.contains(&BlobObject { address, number: 0 });
    assert!(!asked(&trio));
    trio.tell(2, Event::Message { from: id(0), message });
    assert!(asked(&trio), "I10");
}

#[test]
fn nobody_is_told_that_there_is_no_blob_by_who_may_be_no_owner_any_more() {
    let (mut trio, content) = (trio(), content(1, 50));
    assert_eq!(trio.reads(0, &content, 0), Some(Reply::NoBlob));
    trio.tell(0, Event::View(None));
    assert!(matches!(trio.reads(0, &content, 0), Some(Reply::NotServing { .. })), "V2");
}
