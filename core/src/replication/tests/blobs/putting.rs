//! Putting: what has to be durable where before anybody is told.

use super::*;
use crate::blob::BlobError;

#[test]
fn a_blob_is_held_when_every_member_has_all_of_it() {
    for length in [1, 1_000, PIECE_BYTES, PIECE_BYTES + 1, 20 * PIECE_BYTES + 5] {
        let (mut trio, content) = (trio(), content(1, length));
        assert_eq!(trio.puts_all(0, &content), Reply::Held, "{length} bytes");
        assert!((0..3).all(|node| trio.has(node, &content)), "{length} bytes");
        let row = trio.table(0).row(&address_of(&content)).unwrap();
        assert_eq!((row.length, row.references), (length as u64, 0));
        assert_eq!(trio.puts_all(0, &content), Reply::Held, "once more");
    }
}

#[test]
fn nobody_is_told_that_it_is_held_while_one_members_store_stalls_and_entries_before_it_go_on() {
    let (mut trio, content) = (trio(), content(1, 3 * PIECE_BYTES));
    trio.stores[2].is_stalled = true;
    assert_eq!(trio.puts_all(0, &content), Reply::Unknown, "B2");
    trio.write(0, 1);
    trio.run();
    assert_eq!(trio.done(), [1], "B4: nobody waits in the log yet");
    let before = trio.ends()[2];
    trio.now = trio.now + Settings::default().offer_wait;
    trio.tell(0, Event::Wake);
    trio.write(0, 2);
    trio.run();
    assert_eq!((trio.ends()[2], trio.done()), (before, vec![1]), "B2");
    assert!(trio.ends()[1] > before);
    // Its patience is over, or the blob comes.
    trio.pass(500);
    assert_eq!(trio.proposals, [(2, Change::Remove(id(2)))], "I10");
    trio.stores[2].is_stalled = false;
    trio.run();
    assert_eq!((trio.ends()[2], trio.done()), (trio.ends()[0], vec![1, 2]));
    assert!(trio.replies.iter().any(|(_, reply)| *reply == Reply::Held) && trio.has(2, &content));
}

#[test]
fn an_object_that_is_lost_with_the_power_is_got_again_before_the_entry_is_taken() {
    let (mut trio, content) = (trio(), content(1, 3 * PIECE_BYTES));
    trio.stores[2].is_stalled = true;
    trio.puts_all(0, &content);
    trio.pass(2_000);
    let end = trio.ends()[2];
    assert!(!trio.stores[2].unsynced.is_empty());
    trio.loses_power(2);
    assert_eq!(trio.ends()[2], end, "B2");
    trio.pass(100);
    trio.pass(100);
    assert_eq!(trio.ends()[2], trio.ends()[0]);
    assert!(trio.has(2, &content));
}

#[test]
fn a_put_goes_on_where_it_ended_and_says_what_is_missing() {
    let (mut trio, content) = (trio(), content(1, 3 * PIECE_BYTES));
    trio.puts(0, 1, &content, 2);
    assert_eq!(trio.reply(1), Some(Reply::Wants { object: 0 }), "without the manifest nothing can be checked");
    for (ticket, number, next) in [(2, 0, 1), (3, 2, 1), (4, 2, 1), (5, 0, 1), (6, 1, 3)] {
        trio.puts(0, ticket, &content, number);
        trio.run();
        assert_eq!(trio.reply(ticket), Some(Reply::Wants { object: next }), "{number}");
    }
    // Two clients of one blob.
    trio.puts(0, 7, &content, 3);
    trio.puts(0, 8, &content, 3);
    trio.run();
    assert_eq!((trio.reply(7), trio.reply(8)), (Some(Reply::Held), Some(Reply::Held)));
}

#[test]
fn what_is_not_what_it_is_called_is_refused_and_changes_nothing() {
    let (mut trio, content) =
        (Trio::new(Settings { blob_bytes_max: 200_000, ..Settings::default() }), content(1, 150_000));
    let address = address_of(&content);
    let put = |trio: &mut Trio, number, bytes: &[u8]| {
        let object = BlobObject { address, number };
        trio.replies.clear();
        trio.tell(0, Event::Put { ticket: Ticket(1), object, bytes: bytes.into() });
        trio.run();
        trio.reply(1)
    };
    assert_eq!(put(&mut trio, 0, b"no manifest"), Some(Reply::BadObject(BlobError::Differs)));
    assert_eq!(put(&mut trio, 0, &[0; 70_000]), Some(Reply::BadObject(BlobError::Differs)));
    assert!(trio.stores[0].objects.is_empty());
    trio.puts(0, 2, &content, 0);
    trio.run();
    assert_eq!(put(&mut trio, 1, &content[1..]), Some(Reply::BadObject(BlobError::Differs)), "B1");
    assert_eq!(put(&mut trio, 4, b""), Some(Reply::BadObject(BlobError::NoPiece)));
    assert_eq!(trio.stores[0].objects.len(), 1);
    let large = super::content(2, 200_001);
    trio.puts(0, 3, &large, 0);
    assert_eq!(trio.reply(3), Some(Reply::TooLarge { limit: 200_000 }));
    trio.puts(1, 4, &content, 0);
    assert!(matches!(trio.reply(4), Some(Reply::NotServing { .. })));
}

#[test]
fn a_command_that_refers_to_what_is_not_there_is_answered_so() {
    let (mut trio, content) = (trio(), content(1, 100));
    trio.refers(0, 1, 5, address_of(&content));
    trio.run();
    assert_eq!(trio.reply(1), Some(Reply::Done(Answer::NoBlob)), "B5");
    trio.puts_all(0, &content);
    trio.refers(0, 2, 5, address_of(&content));
    trio.refers(0, 3, 6, address_of(&content));
    trio.run();
    trio.pass(20);
    assert_eq!(trio.reply(2), Some(Reply::Done(Answer::Holds(Some(2)))));
    assert!((0..3).all(|node| trio.table(node).row(&address_of(&content)).unwrap().references == 2));
}

#[test]
fn a_blob_that_only_the_owner_had_and_lost_stops_nothing_and_is_put_again() {
    let (mut trio, content) = (trio(), content(1, 2 * PIECE_BYTES));
    (1..3).for_each(|node| trio.stores[node].is_stalled = true);
    assert_eq!(trio.puts_all(0, &content), Reply::Unknown);
    let object = BlobObject { address: address_of(&content), number: 1 };
    trio.stores[0].objects.remove(&object);
    (1..3).for_each(|node| trio.loses_power(node));
    trio.pass(2_000);
    trio.pass(2_000);
    trio.write(0, 1);
    trio.run();
    assert_eq!(trio.done(), [1], "B4: nothing in the log waits for it");
    assert_eq!(trio.puts_all(0, &content), Reply::Held);
    assert!((0..3).all(|node| trio.has(node, &content)));
}

#[test]
fn who_takes_over_gets_the_blobs_of_what_it_adopts_first() {
    let (mut trio, content) = (trio(), content(1, 3 * PIECE_BYTES));
    // The second one is not reached: the first and the third hold what brings the blob.
    trio.cut.insert(1);
    trio.puts_all(0, &content);
    trio.pass(2_000);
    assert!(trio.ends()[2] > trio.ends()[1] && trio.has(2, &content) && !trio.has(1, &content));
    trio.cut = BTreeSet::from([0]);
    trio.stores[1].is_stalled = true;
    trio.grant(1);
    trio.run();
    assert!(matches!(trio.replicas[1].standing(), Standing::TakingOver(_)));
    trio.wake_after(100);
    assert!(!trio.has(1, &content));
    trio.stores[1].is_stalled = false;
    trio.run();
    assert!(trio.has(1, &content), "B2");
    assert!(trio.replicas[1].log().has(position(1, 2)), "it is adopted");
    trio.pass(500);
    trio.commit();
    assert_eq!(trio.replicas[1].standing(), Standing::Serving(epoch(2)));
    assert!(trio.table(1).row(&address_of(&content)).is_some());
}

#[test]
fn what_an_entry_of_an_earlier_life_brings_is_not_relied_on() {
    let (mut trio, content) = (trio(), content(1, 2 * PIECE_BYTES));
    trio.puts_all(0, &content);
    // It restarts, and its disk has lost a piece meanwhile. The blob is put again.
    trio.stores[2].objects.remove(&BlobObject { address: address_of(&content), number: 2 });
    trio.loses_power(2);
    trio.run();
    assert_eq!(trio.puts_all(0, &content), Reply::Held);
    assert!(trio.has(2, &content), "B3");
}

#[test]
fn hostile_words_about_blobs_change_nothing() {
    let (mut trio, content) = (trio(), content(1, 100));
    let object = BlobObject { address: address_of(&content), number: 0 };
    let before: Vec<_> = trio.replicas.clone();
    for what in [Given::Object((*b"bytes").into()), Given::Lacking, Given::Without { upto: LogSequence(u64::MAX) }] {
        trio.net.push_back((1, 0, Message::Given { epoch: epoch(1), object, what: what.clone() }));
        trio.net.push_back((1, 2, Message::Given { epoch: epoch(1), object, what }));
    }
    trio.net.push_back((1, 0, Message::Stored { epoch: epoch(1), address: object.address }));
    trio.net.push_back((1, 0, Message::Offer { epoch: epoch(1), address: object.address }));
    trio.net.push_back((1, 2, Message::Offer { epoch: epoch(0), address: object.address }));
    trio.run();
    assert!(trio.replicas == before && trio.stores.iter().all(|store| store.objects.is_empty()));
    // What is asked for and is nowhere.
    trio.net.push_back((1, 0, Message::Want { epoch: epoch(1), object, is_repair: true }));
    trio.run();
    assert!(trio.replicas == before);
}

#[test]
fn who_has_promised_a_newer_epoch_tells_an_older_owner_nothing_of_its_blobs() {
    for promises in [false, true] {
        let (mut trio, content) = (trio(), content(1, 100));
        trio.stores[2].is_stalled = true;
        trio.puts_all(0, &content);
        if promises {
            trio.net.push_back((1, 2, Message::Promise { epoch: epoch(2) }));
            trio.run();
        }
        trio.stores[2].is_stalled = false;
        while trio.stores_answer() {}
        let mut of_third = trio.net.iter().filter(|(from, ..)| *from == 2);
        assert_eq!(of_third.any(|(.., message)| matches!(message, Message::Stored { .. })), !promises, "P5");
        assert!(trio.has(2, &content));
    }
}
