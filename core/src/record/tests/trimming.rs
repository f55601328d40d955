//! Journals that were trimmed: where they start, and what may stand below.

use super::*;
use crate::record::anchor::PLACES;

impl Journal {
    /// An anchor that says that the journal starts at `first`.
    fn anchor(&self, place: Sequence, first: u64) -> Vec<u8> {
        let before = read_frame(&self.slots[&(first - 1)]).unwrap();
        let anchor = Anchor { genesis: GENESIS, first: Sequence(first), boot: before.boot };
        let mut frame = Vec::new();
        self.writer.anchor(place, &anchor, before.chain, &mut frame).unwrap();
        frame
    }

    fn anchored(mut self, place: Sequence, first: u64) -> Self {
        let frame = self.anchor(place, first);
        self.slots.insert(place.0, frame);
        self
    }

    /// Without the slots that can be emptied once the journal starts at `first`.
    fn emptied(mut self, first: u64) -> Self {
        self.slots.retain(|slot, _| *slot < 2 || *slot >= first);
        self
    }
}

/// Records 3 to 6, of which 5 is known synced.
fn four() -> Journal {
    Journal::founded().running().app(b"three").app(b"four").app(b"five").synced().app(b"six")
}

// --- stories --------------------------------------------------------------------------------------------------------

#[test]
fn a_trimmed_journal_starts_where_its_anchor_says() {
    let journal = four().anchored(PLACES[0], 5).emptied(5);
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!((recovered.end, recovered.boot, recovered.synced), (Sequence(6), BootIncarnation(1), Sequence(5)));
    assert_eq!(kept(&journal.slots), journal.frames(5..=6));
    let anchored = recovered.anchor.unwrap();
    assert_eq!((anchored.anchor.genesis, anchored.bytes), (GENESIS, journal.slots[&0].clone()));
}

#[test]
fn an_anchor_may_give_up_every_record_there_is() {
    let journal = four().synced().anchored(PLACES[0], 7).emptied(7);
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!((recovered.end, recovered.synced), (Sequence(6), Sequence(6)));
    let next = Journal { writer: recovered.writer(BootIncarnation(2)), ..journal }.boot().app(b"eight");
    assert_eq!(kept(&next.slots), next.frames(7..=8), "what follows goes on from it");
}

#[test]
fn the_newest_anchor_counts_wherever_it_stands() {
    for (older, newer) in [(0, 1), (1, 0)] {
        let journal = four().anchored(PLACES[older], 4).anchored(PLACES[newer], 6);
        assert_eq!(kept(&journal.slots), journal.frames(6..=6));
    }
}

#[test]
fn an_anchor_whose_slots_are_all_there_changes_nothing_but_the_start() {
    let journal = four().anchored(PLACES[0], 4);
    assert_eq!(kept(&journal.slots), journal.frames(4..=6));
    let mut torn = journal.clone();
    torn.change(0, |bytes| bytes.truncate(80));
    assert_eq!(kept(&torn.slots), journal.frames(1..=6), "nothing was emptied, so nothing is missed");
}

#[test]
fn what_an_anchor_covers_must_be_there() {
    let mut journal = four().anchored(PLACES[0], 4);
    journal.slots.remove(&5);
    assert_eq!(recover(&journal.slots), Err(Damage::LostSynced { end: Sequence(4), mark: Sequence(5) }));
}

#[test]
fn an_anchor_that_is_lost_when_slots_are_gone_is_damage() {
    let mut journal = four().anchored(PLACES[0], 5).emptied(5);
    journal.slots.remove(&0);
    assert!(matches!(recover(&journal.slots), Err(Damage::LostSynced { .. })));
    journal.slots.insert(0, b"rot".to_vec());
    assert!(matches!(recover(&journal.slots), Err(Damage::LostSynced { .. })));
    journal.slots.retain(|slot, _| *slot == 0);
    assert_eq!(recover(&journal.slots), Err(Damage::LostStart), "nor is a new store founded over it");
}

#[test]
fn a_first_record_that_does_not_follow_what_was_given_up_is_none() {
    let mut journal = four().anchored(PLACES[0], 5);
    let other = Journal::founded().running().app(b"another three").app(b"four").app(b"five").synced();
    journal.slots.insert(5, other.slots[&5].clone());
    assert_eq!(recover(&journal.slots), Err(Damage::LostSynced { end: Sequence(4), mark: Sequence(5) }));
}

#[test]
fn an_anchor_is_taken_only_from_its_place() {
    let journal = four();
    let mut moved = journal.clone();
    moved.slots.insert(0, journal.anchor(PLACES[1], 5));
    moved.slots.insert(7, journal.anchor(PLACES[0], 5));
    let recovered = recover(&moved.slots).unwrap();
    assert_eq!((recovered.anchor, recovered.end, recovered.leftover), (None, Sequence(6), true));
}

#[test]
fn no_writer_of_ours_gives_up_what_is_not_durable_or_the_boot_that_it_needs() {
    for first in [0, 1, 2, 7] {
        let mut frame = four().anchor(PLACES[0], 5);
        let mut body = Vec::new();
        let anchor = Anchor { genesis: GENESIS, first: Sequence(first), boot: BootIncarnation(1) };
        crate::codec::encode_value(&anchor, 256, &mut body).unwrap();
        frame[HEADER_BYTES..HEADER_BYTES + body.len()].copy_from_slice(&body);
        rechecksum(&mut frame);
        assert!(read_frame(&frame).is_ok(), "the frame is sound");
        assert_eq!(Anchored::read(PLACES[0], &frame), None, "it cannot start at {first}");
    }
}

#[test]
#[should_panic(expected = "only what is durable can be trimmed")]
fn a_writer_that_is_to_give_up_what_is_not_durable_is_stopped() {
    four().anchor(PLACES[0], 7);
}

#[test]
fn only_what_would_lose_the_start_is_doubted() {
    let journal = four().anchored(PLACES[0], 5);
    let (anchor, genesis) = (&journal.slots[&0][..], &journal.slots[&1][..]);
    let mut recovery = Recovery::new();
    assert!(!recovery.doubts(Sequence(0), None) && !recovery.doubts(Sequence(0), Some(anchor)));
    assert!(recovery.doubts(Sequence(0), Some(&anchor[1..])));
    assert!(recovery.doubts(Sequence(1), None) && !recovery.doubts(Sequence(1), Some(genesis)));
    recovery.feed(Sequence(0), Some(anchor)).unwrap();
    assert!(!recovery.doubts(Sequence(1), None) && !recovery.doubts(Sequence(1), Some(genesis)));
    assert!(recovery.doubts(Sequence(1), Some(&anchor[1..])), "it may be a newer one");
}

// --- laws -----------------------------------------------------------------------------------------------------------

/// A journal with room for two anchors, and where they say that it starts.
fn trimmed() -> impl Strategy<Value = (Journal, u64, u64)> {
    let parts = (journal(), any::<prop::sample::Index>(), any::<prop::sample::Index>());
    parts.prop_map(|(journal, one, other)| {
        let journal = journal.running();
        let known = journal.writer.known_synced().0;
        let pick = |index: prop::sample::Index| 3 + index.index((known - 1) as usize) as u64;
        let (one, other) = (pick(one), pick(other));
        (journal, one.min(other), one.max(other))
    })
}

/// What became of the newer of two anchors.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Newer {
    Absent,
    Torn,
    /// It stands there; slots below it may be gone.
    Durable,
}

fn newer() -> impl Strategy<Value = Newer> {
    prop_oneof![Just(Newer::Absent), Just(Newer::Torn), Just(Newer::Durable)]
}

/// The journal with both anchors, the places swapped or not, and any of the slots gone that may be.
fn haunted(journal: &Journal, (older, first): (u64, u64), newer: Newer, swapped: bool, gone: u64) -> Slots {
    let places = if swapped { [PLACES[1], PLACES[0]] } else { PLACES };
    let mut journal = journal.clone().anchored(places[0], older);
    if newer != Newer::Absent {
        journal = journal.anchored(places[1], first);
    }
    if newer == Newer::Torn {
        journal.change(places[1].0, |bytes| bytes.truncate(100));
    }
    let below = if newer == Newer::Durable { first } else { older };
    journal.slots.retain(|slot, _| *slot < 2 || *slot >= below || gone >> (slot % 64) & 1 == 0);
    journal.slots
}

proptest! {
    #[test]
    fn after_any_crash_a_journal_starts_at_its_newest_anchor_whatever_stands_below(
        (journal, older, first) in trimmed(),
        newer in newer(),
        swapped: bool,
        gone: u64,
        fates in fates(),
    ) {
        let tail = crashed(&journal, &fates);
        let mut left = haunted(&journal, (older, first), newer, swapped, gone);
        left.retain(|slot, _| *slot < 2 || tail.contains_key(slot));
        left.iter_mut().filter(|(slot, _)| **slot >= 2).for_each(|(slot, bytes)| bytes.clone_from(&tail[slot]));
        let recovered = recover(&left).expect("a crash is not damage");
        let start = if newer == Newer::Durable { first } else { older };
        prop_assert_eq!(recovered.anchor.unwrap().anchor.first, Sequence(start));
        prop_assert!(recovered.end.0 >= journal.durable && recovered.synced.0 <= journal.durable);
        prop_assert_eq!(kept(&left), journal.frames(start..=recovered.end.0));
    }

    /// With the newer anchor gone the older one counts: either everything from there on is still there, or the loss is
    /// seen.
    #[test]
    fn an_anchor_that_rots_is_missed_exactly_when_something_is_gone_without_it(
        (journal, older, first) in trimmed(),
        swapped: bool,
        gone: u64,
        bit in any::<prop::sample::Index>(),
    ) {
        let mut left = haunted(&journal, (older, first), Newer::Durable, swapped, gone);
        let place = if swapped { 0 } else { 1 };
        if older == first {
            return Ok(());
        }
        let bytes = left.get_mut(&place).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let end = journal.writer.end().0;
        let is_whole = (older..=end).all(|slot| left.contains_key(&slot));
        match recover(&left) {
            Ok(recovered) => {
                prop_assert!(is_whole);
                prop_assert_eq!(recovered.anchor.unwrap().anchor.first, Sequence(older));
                prop_assert_eq!(kept(&left), journal.frames(older..=end));
            }
            Err(damage) => prop_assert!(!is_whole && matches!(damage, Damage::LostSynced { .. }), "{:?}", damage),
        }
    }
}
