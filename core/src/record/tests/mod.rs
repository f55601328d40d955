//! What recovery promises, told as stories first and then held against a model for every journal and every crash.

use super::*;
use crate::codec::BodyVersion;
use crate::identity::{BootIncarnation, ClusterId, NodeId, StoreIncarnation};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use proptest::prelude::*;

mod trimming;

// --- stories --------------------------------------------------------------------------------------------------------

#[test]
fn an_empty_store_is_an_empty_journal() {
    assert_eq!(recover(&Slots::new()), Ok(Recovered::empty()));
}

#[test]
fn a_whole_journal_is_kept_whole() {
    let journal = Journal::founded().app(b"one").app(b"two");
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!((recovered.end, recovered.boot), (Sequence(4), BootIncarnation(1)));
    assert!(!recovered.leftover);
    assert_eq!(bodies(&journal.slots), [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn what_lies_beyond_the_last_mark_is_written_again_as_it_was() {
    let journal = Journal::founded().synced().app(b"three marks two").app(b"four marks two");
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!(recovered.synced, Sequence(2));
    assert_eq!(Vec::from(recovered.rewrite), journal.frames(3..=4));
}

#[test]
fn a_torn_frame_ends_the_prefix_and_leaves_something_to_erase() {
    let mut journal = Journal::founded().synced().app(b"kept").app(b"torn");
    journal.change(4, |bytes| bytes.truncate(40));
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!((recovered.end, recovered.leftover), (Sequence(3), true));
}

#[test]
fn a_hole_ends_the_prefix_whatever_stands_behind_it() {
    let mut journal = Journal::founded().synced().app(b"kept").app(b"lost").app(b"behind");
    journal.slots.remove(&4);
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!((recovered.end, recovered.leftover), (Sequence(3), true));
    assert_eq!(Vec::from(recovered.rewrite), journal.frames(3..=3));
}

#[test]
fn a_lost_tail_leaves_nothing_to_erase() {
    let mut journal = Journal::founded().app(b"kept").app(b"lost");
    journal.slots.remove(&4);
    assert!(!recover(&journal.slots).unwrap().leftover);
}

#[test]
fn a_mark_beyond_the_prefix_is_damage() {
    let mut journal = Journal::founded().app(b"synced").synced().app(b"marks three");
    journal.slots.remove(&3);
    assert_eq!(recover(&journal.slots), Err(Damage::LostSynced { end: Sequence(2), mark: Sequence(3) }));
}

#[test]
fn a_mark_is_believed_wherever_it_stands_and_however_many_holes_are_before_it() {
    let mut journal = Journal::founded().app(b"synced").synced().app(b"lost").app(b"torn").app(b"marks three");
    [3, 4].into_iter().for_each(|slot| drop(journal.slots.remove(&slot)));
    journal.change(5, |bytes| bytes.truncate(10));
    assert_eq!(recover(&journal.slots), Err(Damage::LostSynced { end: Sequence(2), mark: Sequence(3) }));
}

#[test]
fn the_highest_of_the_marks_counts_wherever_it_stands() {
    let mut journal = Journal::founded().app(b"synced").synced().app(b"lost").app(b"marks three");
    [3, 4].into_iter().for_each(|slot| drop(journal.slots.remove(&slot)));
    let older_life = Journal::founded().app(b"three").app(b"four").app(b"five").app(b"six, marks none");
    journal.slots.insert(6, older_life.slots[&6].clone());
    assert_eq!(recover(&journal.slots), Err(Damage::LostSynced { end: Sequence(2), mark: Sequence(3) }));
}

#[test]
fn a_mark_behind_a_hole_spares_what_it_vouches_for_from_being_rewritten() {
    let mut journal = Journal::founded().app(b"three").synced().app(b"lost").app(b"marks three");
    journal.slots.remove(&4);
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!((recovered.end, recovered.synced), (Sequence(3), Sequence(3)));
    assert!(recovered.rewrite.is_empty());
}

#[test]
fn a_frame_in_the_wrong_slot_does_not_extend_the_journal() {
    let mut journal = Journal::founded().app(b"three");
    let three = journal.slots[&3].clone();
    journal.slots.insert(4, three);
    let recovered = recover(&journal.slots).unwrap();
    assert_eq!((recovered.end, recovered.leftover), (Sequence(3), true));
}

#[test]
fn a_frame_of_another_past_does_not_extend_the_journal() {
    let mut journal = Journal::founded().app(b"this way");
    let other = Journal::founded().app(b"that way").app(b"and on");
    journal.slots.insert(4, other.slots[&4].clone());
    assert_eq!(recover(&journal.slots).unwrap().end, Sequence(3));
}

#[test]
fn a_writer_continues_what_was_recovered() {
    let journal = Journal::founded().app(b"before").synced();
    let after = journal.rebooted().app(b"after");
    let recovered = recover(&after.slots).unwrap();
    assert_eq!((recovered.end, recovered.boot), (Sequence(5), BootIncarnation(2)));
    assert_eq!(bodies(&after.slots), [b"before".to_vec(), b"after".to_vec()]);
    assert_eq!(read_frame(&after.slots[&4]).unwrap().synced, Sequence(0), "no mark was found, so none is claimed");
    let marked = after.synced().app(b"marks five").rebooted();
    assert_eq!(read_frame(&marked.slots[&7]).unwrap().synced, Sequence(5), "the mark that was found is passed on");
}

#[test]
fn a_boot_that_does_not_grow_is_a_store_that_went_back_in_time() {
    let mut journal = Journal::founded().app(b"one");
    let recovered = recover(&journal.slots).unwrap();
    for boot in [BootIncarnation(0), recovered.boot] {
        let mut frame = Vec::new();
        recovered.writer(boot).boot_record(&mut frame).unwrap();
        journal.slots.insert(4, frame);
        let (at, found, before) = (Sequence(4), boot, recovered.boot);
        assert_eq!(recover(&journal.slots), Err(Damage::BootBackwards { at, found, before }));
    }
}

#[test]
fn a_record_of_a_boot_that_was_not_recorded_is_a_store_that_went_back_in_time() {
    let mut journal = Journal::founded().app(b"one");
    let recovered = recover(&journal.slots).unwrap();
    let mut frame = Vec::new();
    let mut writer = recovered.writer(BootIncarnation(2));
    writer.application(BodyVersion(1), &mut frame, |_| Ok(())).unwrap();
    journal.slots.insert(4, frame);
    assert!(matches!(recover(&journal.slots), Err(Damage::BootBackwards { at: Sequence(4), .. })));
}

#[test]
fn a_journal_begins_with_a_genesis_record_and_has_no_other() {
    let mut headless = Slots::new();
    let mut frame = Vec::new();
    Recovered::empty().writer(BootIncarnation(1)).boot_record(&mut frame).unwrap();
    headless.insert(1, frame);
    assert_eq!(recover(&headless), Err(Damage::Misplaced { at: Sequence(1) }));

    let mut two_headed = Journal::founded();
    let mut frame = Vec::new();
    two_headed.writer.genesis(&GENESIS, &mut frame).unwrap();
    two_headed.slots.insert(3, frame);
    assert_eq!(recover(&two_headed.slots), Err(Damage::Misplaced { at: Sequence(3) }));
}

#[test]
fn slots_are_read_in_ascending_order() {
    let mut recovery = Recovery::new();
    recovery.feed(Sequence(2), None).unwrap();
    let (at, after) = (Sequence(2), Sequence(2));
    assert_eq!(recovery.feed(at, None), Err(Damage::OutOfOrder { at, after }));
}

#[test]
fn only_the_owner_of_a_journal_is_let_in() {
    let journal = Journal::founded();
    let frame = read_frame(&journal.slots[&1]).unwrap();
    let moved = Genesis { store: StoreIncarnation(9), ..GENESIS };
    assert_eq!(Recovered::check_owner(&frame, &moved), Ok(GENESIS), "the store's incarnation is the journal's to say");
    let nodes = Genesis { node: NodeId::from_bytes([9; 16]), ..GENESIS };
    let clusters = Genesis { cluster: ClusterId::from_bytes([9; 16]), ..GENESIS };
    assert_eq!(Recovered::check_owner(&frame, &nodes), Err(Damage::Foreign));
    assert_eq!(Recovered::check_owner(&frame, &clusters), Err(Damage::Foreign));
    let boot = read_frame(&journal.slots[&2]).unwrap();
    assert_eq!(Recovered::check_owner(&boot, &GENESIS), Err(Damage::Foreign), "not even a genesis record");
}

#[test]
fn only_what_would_end_the_journal_is_doubted() {
    let journal = Journal::founded().app(b"three");
    let (two, three) = (&journal.slots[&2], &journal.slots[&3]);
    let mut recovery = Recovery::new();
    recovery.feed(Sequence(1), Some(&journal.slots[&1])).unwrap();
    assert!(!recovery.doubts(Sequence(2), Some(two)));
    assert!(recovery.doubts(Sequence(2), Some(three)), "a good frame in the wrong place");
    assert!(recovery.doubts(Sequence(2), Some(&two[1..])), "bytes that are no frame");
    assert!(recovery.doubts(Sequence(2), None), "nothing");
    recovery.feed(Sequence(2), None).unwrap();
    assert!(!recovery.doubts(Sequence(3), Some(three)), "the journal has ended already");
}

#[test]
fn an_error_while_a_record_is_framed_leaves_no_trace() {
    let mut journal = Journal::founded();
    let (before, mut out) = (journal.writer.clone(), b"before".to_vec());
    let refused = crate::codec::EncodeError::TooLarge { limit: 1 };
    let written = journal.writer.application(BodyVersion(1), &mut out, |body| {
        body.push(1);
        Err(refused)
    });
    assert_eq!(written, Err(refused));
    assert_eq!((journal.writer, out), (before, b"before".to_vec()));
}

#[test]
#[should_panic(expected = "a record cannot be synced before it was written")]
fn a_writer_that_is_told_of_a_sync_from_the_future_is_stopped() {
    Recovered::empty().writer(BootIncarnation(1)).synced(Sequence(1));
}

// --- frames ---------------------------------------------------------------------------------------------------------

#[test]
fn every_single_changed_bit_of_a_frame_is_refused() {
    let frame = Journal::founded().app(b"three").slots[&3].clone();
    for bit in 0..frame.len() * 8 {
        let mut changed = frame.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(read_frame(&changed).is_err(), "bit {bit} may be changed");
    }
}

#[test]
fn every_cut_and_every_extension_of_a_frame_is_refused_with_both_lengths() {
    let mut frame = Journal::founded().app(b"three").slots[&3].clone();
    let whole = frame.len();
    for length in 0..whole {
        let expected = if length < OVERHEAD_BYTES { OVERHEAD_BYTES } else { whole };
        assert_eq!(read_frame(&frame[..length]), Err(FrameError::Length { length, expected }));
    }
    frame.push(0);
    assert_eq!(read_frame(&frame), Err(FrameError::Length { length: whole + 1, expected: whole }));
}

#[test]
fn a_frame_that_vouches_for_itself_is_refused_although_its_checksum_holds() {
    let forged = |mark: u64| {
        let mut frame = Journal::founded().app(b"three").slots[&3].clone();
        frame[24..32].copy_from_slice(&mark.to_le_bytes());
        rechecksum(&mut frame);
        read_frame(&frame).map(|frame| frame.synced)
    };
    assert_eq!(forged(2), Ok(Sequence(2)));
    assert_eq!(forged(3), Err(FrameError::Mark { synced: Sequence(3), sequence: Sequence(3) }));
    assert!(forged(u64::MAX).is_err());
}

#[test]
fn an_unknown_kind_and_a_reserved_byte_in_use_are_refused_although_the_checksum_holds() {
    for (at, value) in [(0, b'X'), (4, 0), (4, 4), (4, 5), (6, 1), (7, 1)] {
        let mut frame = Journal::founded().app(b"three").slots[&3].clone();
        frame[at] = value;
        rechecksum(&mut frame);
        assert_eq!(read_frame(&frame), Err(FrameError::Format), "byte {at}");
    }
}

// --- laws -----------------------------------------------------------------------------------------------------------

/// One turn in the life of a journal.
#[derive(Clone, Debug)]
enum Turn {
    Append(Vec<u8>),
    /// The disk syncs, and the writer is told.
    Sync,
    /// The disk syncs, and the process ends before it is told.
    SyncUntold,
    /// The process ends and a new one starts.
    Reboot,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Turn::Append),
        2 => Just(Turn::Sync),
        1 => Just(Turn::SyncUntold),
        1 => Just(Turn::Reboot),
    ]
}

fn journal() -> impl Strategy<Value = Journal> {
    prop::collection::vec(turn(), 0..24).prop_map(|turns| turns.into_iter().fold(Journal::founded(), Journal::turned))
}

/// What becomes of one slot that was not synced.
#[derive(Clone, Debug)]
enum Fate {
    Kept,
    Lost,
    Torn(prop::sample::Index),
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let torn = any::<prop::sample::Index>().prop_map(Fate::Torn);
    prop::collection::vec(prop_oneof![2 => Just(Fate::Kept), 1 => Just(Fate::Lost), 1 => torn], 64)
}

/// What a power cut leaves: slots up to the last true sync, and of the others what fate says.
fn crashed(journal: &Journal, fates: &[Fate]) -> Slots {
    let mut slots = journal.slots.clone();
    for ((slot, bytes), fate) in journal.slots.range(journal.durable + 1..).zip(fates) {
        match fate {
            Fate::Kept => {}
            Fate::Lost => drop(slots.remove(slot)),
            Fate::Torn(cut) => slots.get_mut(slot).unwrap().truncate(cut.index(bytes.len())),
        }
    }
    slots
}

proptest! {
    #[test]
    fn after_any_crash_every_synced_record_is_kept_and_no_damage_is_seen(journal in journal(), fates in fates()) {
        let left = crashed(&journal, &fates);
        let recovered = recover(&left).expect("a crash is not damage");
        prop_assert!(recovered.end.0 >= journal.durable);
        prop_assert!(recovered.synced.0 <= journal.durable, "nothing is called synced that was not");
        prop_assert_eq!(kept(&left), journal.frames(1..=recovered.end.0));
    }

    #[test]
    fn recovery_agrees_with_the_model_whichever_slots_are_gone(journal in journal(), gone in any::<u64>()) {
        let mut left = journal.slots.clone();
        left.retain(|slot, _| gone >> (slot % 64) & 1 == 0);
        prop_assert_eq!(recover(&left), model(&journal, &left));
    }

    #[test]
    fn any_cut_or_flip_yields_a_prefix_of_what_was_written_or_damage(
        journal in journal(),
        slot in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 0..=255u8,
    ) {
        let hurt = slot.index(journal.slots.len()) as u64 + 1;
        let mut left = journal.clone();
        let at = at.index(journal.slots[&hurt].len());
        left.change(hurt, |bytes| match flip {
            0 => bytes.truncate(at),
            _ => bytes[at] ^= flip,
        });
        prop_assert_eq!(kept(&left.slots), journal.frames(1..=hurt - 1));
        let whole = journal.slots.clone().into_iter().filter(|(slot, _)| *slot != hurt).collect();
        let expected = model(&journal, &whole).map(|recovered| Recovered { leftover: true, ..recovered });
        prop_assert_eq!(recover(&left.slots), expected);
    }

    /// A boot record may: two lives that never spoke, one after the other, write the same bytes. It says nothing then.
    #[test]
    fn no_record_of_the_application_that_was_erased_ever_comes_back(
        journal in journal(),
        fates in fates(),
        again in prop::collection::vec(turn(), 0..8),
        returns in any::<u64>(),
    ) {
        let survived = crashed(&journal, &fates);
        let end = recover(&survived).unwrap().end.0;
        let next = again.into_iter().fold(Journal::after(survived, journal.durable), Journal::turned);
        let mut haunted = next.slots.clone();
        for (slot, old) in journal.slots.range(end + 1..).filter(|(slot, _)| returns >> (*slot % 64) & 1 == 1) {
            haunted.entry(*slot).or_insert_with(|| old.clone());
        }
        recover(&haunted).expect("an old mark is still true");
        let (kept, written) = (kept(&haunted), next.frames(1..=next.writer.end().0));
        let (ours, ghosts) = kept.split_at(written.len());
        prop_assert_eq!(ours, written);
        prop_assert!(ghosts.iter().all(|(_, bytes)| read_frame(bytes).unwrap().kind == Kind::Boot));
    }

    #[test]
    fn a_second_crash_during_recovery_loses_nothing_that_the_first_one_left_synced(
        journal in journal(),
        first in fates(),
        second in fates(),
    ) {
        let survived = crashed(&journal, &first);
        let next = Journal::after(survived, journal.durable);
        let recovered = recover(&crashed(&next, &second)).expect("a crash is not damage");
        prop_assert!(recovered.end.0 >= journal.durable);
    }
}

// --- the model ------------------------------------------------------------------------------------------------------

/// What recovery has to say about the frames of `journal` that are `left` whole.
fn model(journal: &Journal, left: &Slots) -> Result<Recovered, Damage> {
    let end = (1..).take_while(|slot| left.contains_key(slot)).last().unwrap_or(0);
    let mark = left.values().map(|bytes| read_frame(bytes).unwrap().synced).max().unwrap_or_default();
    if mark.0 > end {
        return Err(Damage::LostSynced { end: Sequence(end), mark });
    }
    let last = left.get(&end).map(|bytes| read_frame(bytes).unwrap());
    Ok(Recovered {
        anchor: None,
        end: Sequence(end),
        chain: last.map_or(Chain::default(), |frame| frame.chain),
        boot: last.map_or(BootIncarnation(0), |frame| frame.boot),
        synced: mark,
        rewrite: journal.frames(mark.0 + 1..=end).into(),
        leftover: left.range(end + 1..).next().is_some(),
    })
}

// --- helpers --------------------------------------------------------------------------------------------------------

type Slots = BTreeMap<u64, Vec<u8>>;

const GENESIS: Genesis =
    Genesis { cluster: ClusterId::from_bytes([1; 16]), node: NodeId::from_bytes([2; 16]), store: StoreIncarnation(3) };

/// A journal, its writer, and what the writer may not know.
#[derive(Clone, Debug)]
struct Journal {
    slots: Slots,
    writer: Writer,
    /// The last slot that is durable in truth.
    durable: u64,
    /// The last boot record.
    booted: Sequence,
}

impl Journal {
    fn founded() -> Self {
        Self::founded_as(&GENESIS)
    }

    fn founded_as(genesis: &Genesis) -> Self {
        let writer = Recovered::empty().writer(BootIncarnation(1));
        let empty = Self { slots: Slots::new(), writer, durable: 0, booted: Sequence(0) };
        empty.write(|writer, out| writer.genesis(genesis, out)).boot()
    }

    /// The journal that a new process makes of what it finds, before its first sync: the leftover erased and the boot
    /// recorded, or a store founded under an incarnation that no other had.
    fn after(mut slots: Slots, durable: u64) -> Self {
        let recovered = recover(&slots).unwrap();
        slots.split_off(&recovered.end.next().0);
        if slots.is_empty() {
            return Self::founded_as(&Genesis { store: StoreIncarnation(GENESIS.store.0 + 1), ..GENESIS });
        }
        let writer = recovered.writer(BootIncarnation(recovered.boot.0 + 1));
        Self { slots, writer, durable, booted: Sequence(0) }.boot()
    }

    fn rebooted(self) -> Self {
        Self::after(self.slots, self.durable)
    }

    fn boot(self) -> Self {
        let booted = self.writer.end().next();
        Self { booted, ..self.write(Writer::boot_record) }
    }

    /// The application writes only after its boot is durable.
    fn running(mut self) -> Self {
        self.durable = self.durable.max(self.booted.0);
        self.writer.synced(self.booted);
        self
    }

    fn app(self, body: &[u8]) -> Self {
        self.write(|writer, out| {
            writer.application(BodyVersion(1), out, |out| {
                out.extend_from_slice(body);
                Ok(())
            })
        })
    }

    fn synced(mut self) -> Self {
        self.durable = self.writer.end().0;
        self.writer.synced(self.writer.end());
        self
    }

    fn write<E: core::fmt::Debug>(
        mut self,
        write: impl FnOnce(&mut Writer, &mut Vec<u8>) -> Result<Sequence, E>,
    ) -> Self {
        let mut frame = Vec::new();
        let sequence = write(&mut self.writer, &mut frame).unwrap();
        self.slots.insert(sequence.0, frame);
        self
    }

    fn turned(self, turn: Turn) -> Self {
        match turn {
            Turn::Append(body) => self.running().app(&body),
            Turn::Sync => self.synced(),
            Turn::SyncUntold => Self { durable: self.writer.end().0, ..self },
            Turn::Reboot => self.rebooted(),
        }
    }

    fn change(&mut self, slot: u64, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.slots.get_mut(&slot).unwrap());
    }

    fn frames(&self, slots: RangeInclusive<u64>) -> Vec<(Sequence, Vec<u8>)> {
        slots.filter_map(|slot| Some((Sequence(slot), self.slots.get(&slot)?.clone()))).collect()
    }
}

/// Feeds every slot up to the last one, and hands the frames that were kept to `keep`.
fn read_all(slots: &Slots, mut keep: impl FnMut(Sequence, &[u8])) -> Result<Recovered, Damage> {
    let mut recovery = Recovery::new();
    for slot in 0..=slots.keys().next_back().copied().unwrap_or(0).max(1) {
        if slot < recovery.due().0 {
            continue;
        }
        let bytes = slots.get(&slot).map(Vec::as_slice);
        if recovery.feed(Sequence(slot), bytes)?.is_some() {
            keep(Sequence(slot), bytes.unwrap());
        }
    }
    recovery.finish()
}

fn recover(slots: &Slots) -> Result<Recovered, Damage> {
    read_all(slots, |_, _| {})
}

/// The frames that were handed out as part of the journal, also when the verdict was damage.
fn kept(slots: &Slots) -> Vec<(Sequence, Vec<u8>)> {
    let mut kept = Vec::new();
    let _verdict = read_all(slots, |slot, bytes| kept.push((slot, bytes.to_vec())));
    kept
}

/// The bodies of the application's records.
fn bodies(slots: &Slots) -> Vec<Vec<u8>> {
    let frames = slots.values().map(|bytes| read_frame(bytes).unwrap());
    frames.filter(|frame| frame.kind == Kind::Application).map(|frame| frame.body.to_vec()).collect()
}

/// Makes the checksum hold again.
fn rechecksum(frame: &mut [u8]) {
    let (covered, checksum) = frame.split_at_mut(frame.len() - 16);
    checksum.copy_from_slice(&blake3::hash(covered).as_bytes()[..16]);
}
