//! Reading: what the disk gives is checked, and made good from others.

use super::*;

fn with_blob() -> (Trio, Vec<u8>) {
    let (mut trio, content) = (trio(), content(1, 2 * PIECE_BYTES + 9));
    trio.puts_all(0, &content);
    trio.pass(20);
    (trio, content)
}

fn piece(content: &[u8], number: u32) -> Option<Reply<Answer>> {
    let manifest = Manifest::of(content).unwrap();
    object(&manifest, content, number).map(|bytes| Reply::Object(bytes.into()))
}

#[test]
fn every_object_is_read_back_as_it_was_put() {
    let (mut trio, content) = with_blob();
    for number in 0..4 {
        assert_eq!(trio.reads(0, &content, number), piece(&content, number));
    }
    assert!(matches!(trio.reads(0, &content, 4), Some(Reply::BadObject(_))));
    assert_eq!(trio.reads(0, b"never put", 0), Some(Reply::NoBlob));
    assert!(matches!(trio.reads(1, &content, 0), Some(Reply::NotServing { .. })));
}

#[test]
fn what_is_damaged_or_missing_is_made_good_from_another_member() {
    let (mut trio, content) = with_blob();
    let address = address_of(&content);
    for number in 0..4 {
        let object = BlobObject { address, number };
        trio.stores[0].objects.get_mut(&object).unwrap()[0] ^= 1;
        trio.stores[1].objects.remove(&object);
        assert_eq!(trio.reads(0, &content, number), piece(&content, number), "B11: {number} damaged");
        trio.stores[0].objects.remove(&object);
        assert_eq!(trio.reads(0, &content, number), piece(&content, number), "B11: {number} missing");
    }
    assert!(trio.has(0, &content));
}

#[test]
fn what_no_member_has_is_lost_and_what_a_member_may_have_is_not() {
    let (mut trio, content) = with_blob();
    let object = BlobObject { address: address_of(&content), number: 1 };
    (0..2).for_each(|node| drop(trio.stores[node].objects.remove(&object)));
    trio.cut.insert(2);
    assert_eq!(trio.reads(0, &content, 1), None, "who does not answer may have it");
    trio.cut.clear();
    trio.pass(100);
    trio.pass(100);
    assert_eq!(trio.reply(60_000), piece(&content, 1));
    (0..3).for_each(|node| drop(trio.stores[node].objects.remove(&object)));
    assert_eq!(trio.reads(0, &content, 1), Some(Reply::Lost), "B11");
    // A reader is not kept waiting for ever.
    trio.cut = BTreeSet::from([1, 2]);
    assert_eq!(trio.reads(0, &content, 1), None);
    trio.pass(10_000);
    assert_eq!(trio.reply(60_000), Some(Reply::Unknown));
}

#[test]
fn a_candidate_gets_what_is_damaged_at_the_owner_from_whoever_has_it() {
    let (mut trio, content) = (trio(), content(1, 2 * PIECE_BYTES));
    trio.third_leaves();
    trio.puts_all(0, &content);
    let object = BlobObject { address: address_of(&content), number: 2 };
    trio.stores[0].objects.remove(&object);
    trio.cut.clear();
    trio.tell(2, Event::Known(trio.record.clone().into()));
    (0..6).for_each(|_| trio.pass(100));
    assert!(trio.has(2, &content) && trio.has(0, &content), "B11");
    assert_eq!(trio.ends()[2], trio.ends()[0]);
}
