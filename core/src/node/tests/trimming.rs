//! A journal that is trimmed: what is written again, what is emptied and when, and what is left after any crash.

use super::*;

/// Trims as soon as there is anything to trim.
fn small() -> Seat {
    bounded(Limits { trim_records: 4, trim_slots: 2, ..Limits::default() })
}

/// A running node whose journal has grown enough to be trimmed, with 1 and 2 in records 3 and 4.
fn full() -> Host {
    let mut host = Host::founded(small());
    assert_eq!(host.asks([Add(1), Add(2)]), [Wrote(3), Wrote(4)]);
    host
}

fn slots(disk: &Disk) -> Vec<u64> {
    disk.cached.keys().copied().collect()
}

#[test]
fn what_is_needed_is_written_again_then_an_anchor_and_only_then_slots_are_emptied_some_with_each_sync() {
    let mut host = full();
    assert_eq!(host.syncs(), [Wrote(5)], "what it all comes to");
    assert_eq!(host.syncs(), [Wrote(0)], "the anchor, in the first of its places");
    assert_eq!(host.syncs(), [Trimmed(2, 4)]);
    assert_eq!(host.syncs(), [Noted(JournalTrimmed { from: 2, below: 4 }), Trimmed(4, 5)]);
    assert_eq!(host.syncs(), [Noted(JournalTrimmed { from: 4, below: 5 })]);
    assert_eq!(slots(&host.disk), [0, 1, 5]);
    let host = Host::with(host.syncs_and_stops(), small()).starts();
    assert_eq!(host.entries(), [(5, 3)]);
    assert_eq!(host.life(), (StoreIncarnation(42), BootIncarnation(2)), "the anchor knows the store and the last boot");
}

#[test]
fn a_checkpoint_is_asked_for_until_it_is_done_a_step_whenever_the_one_before_is_durable() {
    let mut host = full();
    host.asks([Detour(2)]);
    assert_eq!(host.syncs(), [Wrote(5)]);
    host.wakes();
    assert_eq!(host.syncs(), [Wrote(6)]);
    assert_eq!(host.syncs(), [Wrote(7)]);
    assert_eq!(host.node.application().asked_for, [5, 5, 5], "the same checkpoint");
    assert_eq!(host.syncs(), [Wrote(0)]);
}

#[test]
fn anchors_take_turns_and_the_newest_one_counts() {
    let mut host = full();
    (0..5).for_each(|_| drop(host.syncs()));
    host.asks([Add(3), Add(4), Add(5), Add(6)]);
    assert_eq!(host.syncs(), [Wrote(10)]);
    assert_eq!(host.syncs(), [Wrote(1)], "where the genesis was");
    (0..4).for_each(|_| drop(host.syncs()));
    assert_eq!(slots(&host.disk), [0, 1, 10]);
    let mut host = Host::with(host.syncs_and_stops(), small()).starts();
    assert_eq!(host.entries(), [(10, 21)]);
    host.asks([Add(1), Add(1), Add(1), Add(1)]);
    host.syncs();
    assert_eq!(host.syncs(), [Wrote(0)], "the first place again");
}

#[test]
fn an_anchor_that_tears_leaves_the_one_before() {
    let mut host = full();
    (0..5).for_each(|_| drop(host.syncs()));
    host.asks([Add(3), Add(4), Add(5), Add(6)]);
    host.syncs();
    host.syncs();
    let mut host = Host::with(host.loses_power_while_writing(0, u64::MAX), small());
    host.power_on();
    assert_eq!(host.entries().iter().map(|(_, amount)| amount).sum::<u64>(), 21);
}

#[test]
fn what_an_anchor_says_that_only_the_cache_holds_is_written_again_before_anything_is_emptied() {
    let mut host = full();
    host.syncs();
    assert_eq!(host.syncs(), [Wrote(0)]);
    let mut host = Host::with(host.killed(), small());
    let recovered = Noted(JournalRecovered { records: 1, rewritten: 0, boot: 2 });
    assert_eq!(host.power_on(), [recovered, Wrote(0), Wrote(6)]);
    assert_eq!(host.syncs(), [Sent(Say::Hello), Trimmed(2, 4)]);
}

#[test]
fn a_process_that_starts_goes_on_emptying_where_the_one_before_stopped() {
    let mut host = full();
    (0..3).for_each(|_| drop(host.syncs()));
    let mut host = Host::with(host.loses_power_while_writing(0, 0), small());
    assert_eq!(slots(&host.disk), [0, 1, 4, 5]);
    host.power_on();
    assert_eq!(host.syncs(), [Sent(Say::Hello), Trimmed(4, 5)]);
    host.syncs();
    assert_eq!(slots(&host.disk), [0, 1, 5, 6]);
}

#[test]
fn slots_below_the_anchor_may_come_back() {
    let mut host = full();
    let before = host.disk.clone();
    (0..5).for_each(|_| drop(host.syncs()));
    let mut disk = host.syncs_and_stops();
    for slots in [&mut disk.synced, &mut disk.cached] {
        slots.insert(3, before.cached[&3].clone());
    }
    let mut host = Host::with(disk, small());
    host.power_on();
    assert_eq!(host.syncs(), [Sent(Say::Hello), Trimmed(3, 5)]);
    assert_eq!(host.entries(), [(5, 3)]);
}

#[test]
fn an_anchor_that_rots_is_damage_once_something_was_emptied() {
    let mut host = full();
    (0..5).for_each(|_| drop(host.syncs()));
    host.asks([Add(7)]);
    let mut disk = host.syncs_and_stops();
    disk.changes(0, |bytes| bytes[60] ^= 1);
    let mut host = Host::with(disk, small());
    let seen = host.power_on();
    assert!(matches!(seen.last(), Some(Stopped(StopReason::Damaged(Damage::LostSynced { .. })))), "{seen:?}");
}

#[test]
fn an_anchor_that_rots_is_not_missed_while_everything_is_still_there() {
    let mut host = full();
    (0..3).for_each(|_| drop(host.syncs()));
    let mut disk = host.loses_power();
    assert_eq!(slots(&disk), [0, 1, 2, 3, 4, 5]);
    disk.changes(0, |bytes| bytes[60] ^= 1);
    let mut host = Host::with(disk, small());
    host.power_on();
    assert_eq!(host.entries(), [(5, 3)]);
    assert_eq!(host.syncs(), [Sent(Say::Hello), Wrote(7)], "it is trimmed anew");
}

#[test]
fn where_only_an_anchor_is_left_that_cannot_be_read_nothing_is_founded() {
    let mut disk = Disk::default();
    [&mut disk.synced, &mut disk.cached]
        .into_iter()
        .for_each(|slots| drop(slots.insert(0, b"once an anchor".to_vec())));
    let mut host = Host::with(disk, small());
    assert_eq!(host.power_on().last(), Some(&Stopped(StopReason::Damaged(Damage::LostStart))));
}

#[test]
fn only_the_owner_of_a_trimmed_journal_is_let_in() {
    let mut host = full();
    (0..5).for_each(|_| drop(host.syncs()));
    let other = Seat { node: NodeId::from_bytes([9; 16]), ..small() };
    let mut host = Host::with(host.syncs_and_stops(), other);
    assert_eq!(host.power_on(), [Stopped(StopReason::Damaged(Damage::Foreign))]);
}

#[test]
fn a_restart_reads_what_is_left_and_no_more() {
    let mut host = Host::founded(small());
    for _ in 0..100 {
        host.asks([Add(1)]);
        host.syncs();
    }
    let mut host = Host::with(host.syncs_and_stops(), small());
    host.power_on();
    assert!(host.readings <= 20, "{} slots were read", host.readings);
    assert_eq!(host.entries().iter().map(|(_, amount)| amount).sum::<u64>(), 100);
}

#[test]
fn a_journal_that_holds_much_may_grow_by_as_much_before_it_is_written_again() {
    let mut host = full();
    host.asks([Detour(20)]);
    (0..30).for_each(|_| drop(host.syncs()));
    let asked = host.node.application().asked_for.len();
    for _ in 0..20 {
        host.asks([Add(1)]);
        host.syncs();
    }
    assert_eq!(host.node.application().asked_for.len(), asked, "there are 21 records behind the anchor");
    host.asks([Add(1)]);
    host.syncs();
    assert_eq!(host.node.application().asked_for.len(), asked + 1);
}

/// One turn in the life of a host.
#[derive(Clone, Debug)]
enum Turn {
    Add(u64),
    Detour(u64),
    Sync,
    SyncSome(usize),
    Kill,
    LosePower { lost: u64, torn: u64 },
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        8 => (1..100u64).prop_map(Turn::Add),
        1 => (0..4u64).prop_map(Turn::Detour),
        8 => Just(Turn::Sync),
        3 => (0..4usize).prop_map(Turn::SyncSome),
        1 => Just(Turn::Kill),
        2 => any::<(u64, u64)>().prop_map(|(lost, torn)| Turn::LosePower { lost, torn }),
    ]
}

proptest! {
    /// The model is a number: what was answered is never taken back, and nothing is counted that was not asked for. A
    /// journal that is left alone comes down to what is needed.
    #[test]
    fn whatever_crashes_nothing_that_was_answered_is_undone(turns in prop::collection::vec(turn(), 0..120)) {
        let mut host = Host::founded(small());
        let (mut answered, mut asked) = (0, 0);
        for turn in turns {
            let seen = match turn {
                Turn::Add(amount) => {
                    asked += amount;
                    host.asks([Add(amount), Answer])
                }
                Turn::Detour(steps) => host.asks([Detour(steps)]),
                Turn::Sync => host.syncs(),
                Turn::SyncSome(writes) => host.syncs_some(writes),
                Turn::Kill | Turn::LosePower { .. } => {
                    let disk = match turn {
                        Turn::LosePower { lost, torn } => host.loses_power_while_writing(lost, torn),
                        _ => host.killed(),
                    };
                    host = Host::with(disk, small());
                    host.power_on()
                }
            };
            for what in seen {
                prop_assert!(!matches!(what, Stopped(_)), "{:?}", what);
                if let Answered(total) = what {
                    prop_assert!(answered <= total && total <= asked, "{} after {} of {}", total, answered, asked);
                    answered = total;
                }
            }
            let total = host.node.application().total();
            let is_reading = host.node.incarnation().is_none();
            prop_assert!(is_reading || answered <= total && total <= asked);
        }
        (0..40).for_each(|_| drop(host.syncs()));
        let total = host.node.application().total();
        prop_assert!(answered <= total && total <= asked);
        let last = host.disk.cached.keys().next_back().copied().unwrap_or(0);
        let low = host.disk.cached.keys().find(|slot| **slot >= 2).copied().unwrap_or(0);
        prop_assert!(last - low < 40, "slots {} to {} are left", low, last);
    }
}
