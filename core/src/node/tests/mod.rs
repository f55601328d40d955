//! The engine's promises, told as stories: a register on a small machine whose disk syncs when the story says so.
//!
//! Read the stories first. Below them stand the register (the smallest application that uses every wire) and the
//! machine it runs on (the smallest driver).

use super::*;
use crate::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use crate::envelope::{Class, Envelope, KeyIds};
use crate::gate::WriteNumber;
use crate::identity::{
    BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, RequestId, StoreIncarnation, Tenant,
};
use crate::limits::Limits;
use crate::machine::{CauseId, Ctx, Machine, Scripted, Sink};
use crate::object::ObjectId;
use crate::record::{Damage, Sequence, read_frame};
use crate::time::{Duration, Time, WallTime};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

mod objects;
mod trimming;

use NodeObservation::*;
use Order::*;
use Seen::*;

// --- starting -------------------------------------------------------------------------------------------------------

#[test]
fn nothing_leaves_before_the_boot_record_is_durable() {
    let mut host = Host::new(Disk::default());
    let recovered = Noted(JournalRecovered { records: 0, rewritten: 0, boot: 1 });
    assert_eq!(host.power_on(), [recovered, Wrote(1), Wrote(2)]);
    assert_eq!(host.hears(Say::Ping), [], "not even an ungated message");
    assert_eq!(host.wakes(), []);
    assert_eq!(host.node.incarnation(), None);
    assert_eq!(host.node.next_deadline(), None);
    assert_eq!(host.syncs_some(1), [], "the genesis record alone is not enough");
    assert_eq!(host.syncs(), [Sent(Say::Hello)]);
    assert_eq!(host.node.next_deadline(), Some(DEADLINE));
}

#[test]
fn a_request_during_the_start_is_refused_as_starting() {
    let mut host = Host::new(running().syncs_and_stops());
    assert_eq!(host.requests([Answer]), [Refused(Refusal::Starting)], "before the first event");
    host.begins();
    assert_eq!(host.requests([Answer]), [Refused(Refusal::Starting)], "while the journal is read");
    host.reads();
    assert_eq!(host.requests([Answer]), [Refused(Refusal::Starting)], "while the boot record is written");
    host.syncs();
    assert_eq!(host.asks([Answer]), [Answered(0)]);
}

#[test]
fn an_empty_store_is_founded_with_the_drawn_incarnation_which_then_stays() {
    let first = Host::founded(Seat { fresh_store: StoreIncarnation(7), ..seat() });
    assert_eq!(first.life(), (StoreIncarnation(7), BootIncarnation(1)));
    let disk = first.syncs_and_stops();
    let second = Host::with(disk, Seat { fresh_store: StoreIncarnation(8), ..seat() }).starts();
    assert_eq!(second.life(), (StoreIncarnation(7), BootIncarnation(2)), "the store is the old one, the boot is new");
    let third = Host::new(second.syncs_and_stops()).starts();
    assert_eq!(third.life(), (StoreIncarnation(7), BootIncarnation(3)));
}

#[test]
fn records_come_back_in_the_order_and_at_the_positions_they_were_written() {
    let mut host = running();
    host.asks([Add(1), Add(2)]);
    host.asks([Rally(1), Add(3)]);
    let written = host.entries();
    assert_eq!(written, [(3, 1), (4, 2), (5, 3), (6, RALLY_PRIZE)]);
    let restarted = Host::new(host.syncs_and_stops()).starts();
    assert_eq!(restarted.entries(), written);
}

#[test]
fn a_restart_in_the_middle_of_a_start_does_not_count_as_a_boot() {
    let mut host = Host::new(Disk::default());
    host.power_on();
    let again = Host::new(host.loses_power()).starts();
    assert_eq!(again.life().1, BootIncarnation(1));
}

#[test]
fn a_long_journal_is_read_a_bounded_number_of_slots_ahead() {
    let mut host = running();
    (0..100).for_each(|n| drop(host.asks([Add(n)])));
    let mut again = Host::new(host.syncs_and_stops());
    again.begins();
    assert_eq!(again.asked.len(), 2, "where anchors would stand");
    (0..2).for_each(|_| drop(again.reads_one()));
    assert_eq!(again.asked.len(), 64);
    again.reads();
    again.syncs();
    assert_eq!(again.entries().len(), 100);
}

#[test]
fn the_journal_of_another_node_or_cluster_stops_the_node() {
    let elsewhere = [
        Seat { node: NodeId::from_bytes([9; 16]), ..seat() },
        Seat { cluster: ClusterId::from_bytes([9; 16]), ..seat() },
    ];
    for seat in elsewhere {
        let mut host = Host::with(running().syncs_and_stops(), seat);
        assert_eq!(host.power_on(), [Stopped(Damage::Foreign.into())]);
    }
}

#[test]
fn a_record_newer_than_this_build_stops_the_node() {
    let mut host = running();
    host.asks([AddNewer(1)]);
    let disk = host.syncs_and_stops();
    assert_eq!(Host::new(disk.clone()).starts().entries(), [(3, 1)], "the build that wrote it reads it");
    let mut older = Host::with(disk, Seat { speaks: BodyVersion(1), ..seat() });
    let (sequence, version) = (Sequence(3), BodyVersion(2));
    assert_eq!(older.power_on(), [Stopped(StopReason::Unreadable { sequence, version })]);
}

// --- starting after a crash -----------------------------------------------------------------------------------------

#[test]
fn a_torn_tail_is_erased_and_the_unmarked_suffix_rewritten_before_anything_leaves() {
    let mut host = running();
    host.asks([Add(1)]);
    host.asks([Add(2)]);
    let mut disk = host.killed();
    disk.changes(4, |bytes| bytes.truncate(60));
    let before = disk.clone();

    let mut again = Host::new(disk);
    // One slot is given up, and it may have held the boot record of a process that has spoken: its number is left out.
    let recovered = Noted(JournalRecovered { records: 3, rewritten: 1, boot: 3 });
    let erased = Noted(JournalErased { from: 4 });
    let then = [recovered, Wrote(3), Erased(4), erased, Wrote(4)];
    assert_eq!(again.power_on(), [&rereads(4, READINGS - 1)[..], &then].concat());
    assert_eq!(again.syncs_some(2), [], "rewriting and erasing alone are not enough");
    assert_eq!(again.syncs(), [Sent(Say::Hello)]);
    assert_eq!(again.entries(), [(3, 1)]);
    assert_eq!(again.disk.synced[&3], before.cached[&3], "rewritten as it was");
    assert_eq!(read_frame(&again.disk.synced[&4]).unwrap().boot, BootIncarnation(3));
}

#[test]
fn what_only_the_page_cache_held_survives_a_kill_and_then_a_power_cut() {
    let mut host = running();
    host.asks([Add(1)]);
    let mut again = Host::new(host.killed()).starts();
    assert_eq!(again.asks([Answer]), [Answered(1)]);
    assert_eq!(Host::new(again.loses_power()).starts().entries(), [(3, 1)]);
}

#[test]
fn a_hole_ends_the_journal_and_what_stands_behind_it_is_erased() {
    let mut host = running();
    host.asks([Add(1), Add(2), Add(3)]);
    let mut disk = host.killed();
    disk.loses(4);
    let again = Host::new(disk).starts();
    assert_eq!(again.entries(), [(3, 1)]);
    assert!(!again.disk.cached.contains_key(&5));
}

#[test]
fn a_synced_record_lost_below_a_surviving_mark_stops_the_node_and_nothing_is_touched() {
    let mut host = running();
    host.asks([Add(1)]);
    host.syncs();
    host.asks([Add(2)]);
    let whole = host.syncs_and_stops();
    let lost = |disk: &mut Disk| disk.loses(3);
    let rotten = |disk: &mut Disk| disk.changes(3, |bytes| bytes[60] ^= 1);
    for damage in [&lost as &dyn Fn(&mut Disk), &rotten] {
        let mut disk = whole.clone();
        damage(&mut disk);
        let mut again = Host::new(disk.clone());
        let seen = again.power_on();
        let reason = Damage::LostSynced { end: Sequence(2), mark: Sequence(3) }.into();
        assert_eq!(seen.last(), Some(&Stopped(reason)));
        assert!(!seen.iter().any(|seen| matches!(seen, Wrote(_) | Erased(_))), "{seen:?}");
        assert_eq!(again.disk, disk);
        assert_eq!(again.asks([Answer]), [Refused(Refusal::Stopped)]);
    }
}

#[test]
fn a_slot_that_reads_well_the_last_time_is_kept() {
    let mut host = running();
    host.asks([Add(1), Add(2)]);
    let mut again = Host::new(host.syncs_and_stops());
    again.misreads(3, READINGS - 1);
    let seen = again.power_on();
    assert!(seen.starts_with(&rereads(3, READINGS - 1)), "{seen:?}");
    assert!(!seen.iter().any(|seen| matches!(seen, Erased(_))), "{seen:?}");
    again.syncs();
    assert_eq!(again.entries(), [(3, 1), (4, 2)]);
}

#[test]
fn every_slot_has_readings_of_its_own() {
    let mut host = running();
    host.asks([Add(1), Add(2)]);
    let mut again = Host::new(host.syncs_and_stops());
    again.misreads(3, READINGS - 1);
    again.misreads(4, 2 * (READINGS - 1)); // half of them while slot 3 is read again, and slot 4 with it
    assert_eq!(again.starts().entries(), [(3, 1), (4, 2)]);
}

#[test]
fn a_slot_that_reads_badly_every_time_is_believed() {
    let mut host = running();
    host.asks([Add(1), Add(2)]);
    let mut again = Host::new(host.syncs_and_stops());
    again.misreads(4, READINGS);
    let seen = again.power_on();
    assert!(seen.starts_with(&rereads(4, READINGS - 1)), "{seen:?}");
    assert!(seen.contains(&Erased(4)));
    again.syncs();
    assert_eq!(again.entries(), [(3, 1)]);
}

// --- the gate -------------------------------------------------------------------------------------------------------

#[test]
fn a_reply_waits_for_its_write() {
    let mut host = running();
    assert_eq!(host.asks([Add(3), Answer]), [Wrote(3)]);
    assert_eq!(host.syncs(), [Answered(3)]);
}

#[test]
fn a_read_that_wrote_nothing_waits_for_the_write_it_may_show() {
    let mut host = running();
    host.asks([Add(3)]);
    assert_eq!(host.asks([Answer]), []);
    assert_eq!(host.syncs(), [Answered(3)]);
    assert_eq!(host.asks([Answer]), [Answered(3)], "with nothing unsynced it leaves at once");
}

#[test]
fn a_reply_waits_for_what_a_sibling_writes_because_of_the_same_event() {
    let mut host = running();
    assert_eq!(host.asks([Answer, Rally(1)]), [Wrote(3)]);
    assert_eq!(host.syncs(), [Answered(0)]);
}

#[test]
fn replies_leave_as_far_as_the_disk_has_come_and_in_order() {
    let mut host = running();
    host.asks([Add(1), Answer]);
    host.asks([Add(1), Answer]);
    host.asks([Add(1), Answer]);
    assert_eq!(host.syncs_some(2), [Answered(1), Answered(2)]);
    assert_eq!(host.syncs(), [Answered(3)]);
}

#[test]
fn ungated_messages_pass_a_pending_write_and_gated_ones_do_not() {
    let mut host = running();
    host.asks([Add(3)]);
    assert_eq!(host.hears(Say::Ping), [Sent(Say::Pong)]);
    assert_eq!(host.hears(Say::Query), []);
    assert_eq!(host.syncs(), [Sent(Say::Fact(3))]);
}

#[test]
fn observations_of_health_pass_a_pending_write_and_those_of_state_do_not() {
    let mut host = running();
    let (health, state) = (Measured(Gauge::Waiting { entries: 1 }), Measured(Gauge::Changed { total: 3 }));
    assert_eq!(host.asks([Add(3), ShowState, ShowHealth]), [Wrote(3), health]);
    assert_eq!(host.syncs(), [state]);
}

#[test]
fn computing_does_not_wait_and_its_result_comes_back() {
    let mut host = running();
    host.asks([Add(3)]);
    assert_eq!(host.asks([Square(5)]), [Works]);
    assert_eq!(host.node.application().squares, [25]);
}

#[test]
fn what_a_lease_allowed_until_a_time_that_has_passed_is_dropped_and_the_machine_is_told() {
    let mut host = running();
    host.asks([Add(3), AnswerBy(host.now), TellBy(host.now), AnswerBy(host.now + TICK), Answer]);
    host.now = host.now + TICK;
    let late = |held_actions| Noted(ActionLate { held_actions });
    assert_eq!(host.syncs(), [late(3), late(2), Answered(3), Answered(3)]);
    assert_eq!(host.node.application().late, [Total(3), Total(3)]);
}

#[test]
fn what_a_machine_says_about_a_late_answer_is_gated_again() {
    let mut host = running();
    host.asks([Add(3), AnswerOr(host.now, 4)]);
    host.now = host.now + TICK;
    assert_eq!(host.syncs(), [Noted(ActionLate { held_actions: 0 }), Wrote(4)]);
    assert_eq!(host.syncs(), [Answered(7)]);
}

#[test]
fn what_leaves_names_the_event_it_follows_from_not_the_one_that_released_it() {
    let mut host = running();
    host.asks([Add(3), Answer]);
    let asked = host.cause;
    host.syncs();
    assert_eq!(host.causes, [asked]);
}

#[test]
fn packets_name_this_life_of_the_node_and_are_counted_in_it() {
    let mut host = Host::new(running().syncs_and_stops()).starts();
    host.hears(Say::Ping);
    host.hears(Say::Query);
    let envelopes: Vec<_> = host.sent.iter().map(|outgoing| host.node.address(CauseId(5), outgoing)).collect();
    let life = Incarnation { node: seat().node, store: seat().fresh_store, boot: BootIncarnation(2) };
    assert!(envelopes.iter().all(|envelope| envelope.source == life && envelope.destination == PEER.node));
    assert_eq!(envelopes.iter().map(|envelope| envelope.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(host.node.incarnation(), Some(life));
}

#[test]
fn what_overtakes_at_the_gate_has_the_smaller_number() {
    let mut host = running();
    host.sent.clear();
    // Given an answer that waits for the disk,
    host.asks([Add(3)]);
    host.hears(Say::Query);
    // When something that need not wait leaves before it,
    host.hears(Say::Ping);
    host.syncs();
    // Then both are numbered as they left: a receiver takes growing numbers only from a stream.
    let left: Vec<_> = host.sent.iter().map(|outgoing| (outgoing.message.clone(), outgoing.sequence)).collect();
    assert_eq!(left, [(Say::Pong, 2), (Say::Fact(3), 3)]);
}

// --- bounds and ends ------------------------------------------------------------------------------------------------

#[test]
fn after_a_failed_sync_nothing_held_ever_leaves_and_no_event_has_an_effect() {
    let mut host = running();
    host.asks([Add(3), Answer, ShowState]);
    assert_eq!(host.fails(StoreFailure::Sync), [Stopped(StopReason::StoreFailed(StoreFailure::Sync))]);
    assert_eq!(host.syncs(), [], "even if the driver takes the failure back");
    assert_eq!(host.asks([Answer]), [Refused(Refusal::Stopped)]);
    assert_eq!(host.hears(Say::Ping), []);
    assert_eq!(host.wakes(), []);
    assert_eq!(host.does(Event::Room { peer: PEER.node, class: Class::Bulk }), []);
    assert_eq!((host.node.incarnation(), host.node.next_deadline()), (None, None));
}

#[test]
fn nothing_follows_the_end_not_even_a_second_end() {
    let mut host = running();
    host.fails(StoreFailure::Write);
    assert_eq!(host.fails(StoreFailure::Sync), []);
}

#[test]
fn a_failed_write_stops_a_node_that_is_still_starting() {
    let mut host = Host::new(Disk::default());
    host.power_on();
    assert_eq!(host.fails(StoreFailure::Full), [Stopped(StopReason::StoreFailed(StoreFailure::Full))]);
    assert_eq!(host.syncs(), []);
    assert_eq!(host.asks([Answer]), [Refused(Refusal::Stopped)]);
}

#[test]
fn too_many_unsynced_writes_refuse_requests_and_shed_packets_until_the_disk_catches_up() {
    let mut host = Host::founded(bounded(Limits { unsynced_writes: 2, ..Limits::default() }));
    host.asks([Add(1), Answer]);
    host.asks([Add(1)]);
    let (held_actions, unsynced_writes) = (1, 2);
    let refused = Noted(RequestRefused { held_actions, unsynced_writes });
    assert_eq!(host.asks([Add(1), Answer]), [refused, Refused(Refusal::Overloaded)]);
    assert_eq!(host.hears(Say::Ping), [Noted(PacketShed { held_actions, unsynced_writes })]);
    assert_eq!(host.entries().len(), 2, "the refused request changed nothing");
    assert_eq!(host.syncs(), [Answered(1)]);
    assert_eq!(host.asks([Answer]), [Answered(2)]);
    assert_eq!(host.hears(Say::Ping), [Sent(Say::Pong)]);
}

#[test]
fn too_many_held_actions_refuse_requests_and_shed_packets_until_the_disk_catches_up() {
    let mut host = Host::founded(bounded(Limits { gate_actions: 2, ..Limits::default() }));
    host.asks([Add(1), Answer, Answer]);
    let (held_actions, unsynced_writes) = (2, 1);
    let refused = Noted(RequestRefused { held_actions, unsynced_writes });
    assert_eq!(host.asks([Answer]), [refused, Refused(Refusal::Overloaded)]);
    assert_eq!(host.hears(Say::Query), [Noted(PacketShed { held_actions, unsynced_writes })]);
    assert_eq!(host.syncs(), [Answered(1), Answered(1)]);
    assert_eq!(host.asks([Answer]), [Answered(1)]);
}

#[test]
fn what_keeps_the_mesh_alive_is_not_shed() {
    let mut host = Host::founded(bounded(Limits { unsynced_writes: 1, ..Limits::default() }));
    host.asks([Add(1), Answer]);
    assert_eq!(host.hears_on(Class::Control, Say::Ping), [Sent(Say::Pong)], "an answer to a probe shows no state");
}

#[test]
fn too_many_unsynced_bytes_refuse_requests_too() {
    let mut host = Host::founded(bounded(Limits { unsynced_bytes: 1, ..Limits::default() }));
    host.asks([Add(1), Answer]);
    let refused = Noted(RequestRefused { held_actions: 1, unsynced_writes: 1 });
    assert_eq!(host.asks([Answer]), [refused, Refused(Refusal::Overloaded)]);
    assert_eq!(host.syncs(), [Answered(1)]);
    assert_eq!(host.asks([Answer]), [Answered(1)]);
}

#[test]
fn a_gate_that_is_full_to_the_brim_drops_what_comes_next() {
    let mut host = Host::founded(bounded(Limits { gate_actions: 2, ..Limits::default() }));
    let dropped = Noted(ActionDropped { held_actions: 4 });
    assert_eq!(host.asks([Add(1), Answer, Answer, Answer, Answer, Answer]), [Wrote(3), dropped]);
    assert_eq!(host.syncs(), [Answered(1), Answered(1), Answered(1), Answered(1)]);
}

#[test]
fn siblings_may_talk_within_the_step_limit() {
    let mut host = Host::founded(bounded(Limits { steps_per_event: 4, ..Limits::default() }));
    assert_eq!(host.asks([Rally(3)]), [Wrote(3)]);
}

#[test]
#[should_panic(expected = "siblings keep one another busy for ever")]
fn siblings_that_never_stop_talking_are_a_defect_of_the_wiring() {
    running().asks([Rally(u64::MAX)]);
}

#[test]
#[should_panic(expected = "a process boots once")]
fn a_process_boots_once() {
    running().begins();
}

// --- reading back ---------------------------------------------------------------------------------------------------

#[test]
fn a_record_is_read_back_while_the_node_runs() {
    let mut host = with_two_records();
    assert_eq!(host.asks([ReadBack(4)]), []);
    assert_eq!(host.node.application().read_back, [(4, Ok(2))]);
    assert_eq!(host.readings, 1);
}

#[test]
fn a_record_that_reads_well_the_last_time_is_read_back() {
    let mut host = with_two_records();
    host.misreads(4, READINGS - 1);
    assert_eq!(host.asks([ReadBack(4)]), rereads(4, READINGS - 1));
    assert_eq!(host.node.application().read_back, [(4, Ok(2))]);
}

#[test]
fn a_record_that_reads_badly_every_time_is_called_damaged() {
    let mut host = with_two_records();
    host.misreads(4, READINGS);
    host.asks([ReadBack(4), ReadBack(3)]);
    let damaged = Err(LoadError::Damaged(Sequence(4)));
    assert_eq!(host.node.application().read_back, [(3, Ok(1)), (4, damaged)]);
    assert_eq!(host.readings, READINGS + 1);
}

#[test]
fn an_empty_slot_a_misplaced_record_and_the_engines_own_records_are_damaged_to_the_application() {
    let mut host = with_two_records();
    let misplaced = host.disk.cached[&3].clone();
    host.disk.cached.insert(4, misplaced);
    host.asks([ReadBack(2), ReadBack(4), ReadBack(9)]);
    let damaged = |at| (at, Err(LoadError::Damaged(Sequence(at))));
    assert_eq!(host.node.application().read_back, [damaged(2), damaged(4), damaged(9)]);
    assert_eq!(host.readings, 3 * READINGS);
}

#[test]
fn a_slot_nobody_asked_for_is_ignored() {
    let mut host = with_two_records();
    host.requests([ReadBack(4)]);
    let bytes = Some(host.disk.cached[&3].clone());
    let (ticket, sequence) = (Ticket(u64::MAX), Sequence(3));
    assert_eq!(host.does(Event::Loaded { ticket, sequence, bytes }), []);
    assert_eq!(host.node.application().read_back, []);
    host.reads();
    assert_eq!(host.node.application().read_back, [(4, Ok(2))]);
}

// --- the law --------------------------------------------------------------------------------------------------------

/// One turn of a story that chance writes.
#[derive(Clone, Debug)]
enum Turn {
    Ask { amount: u64 },
    Sync { writes: usize },
    PowerCut { lost: u64, torn: u64 },
    Kill,
    StopDuringStart { writes: usize, lost: u64, torn: u64 },
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (1..9u64).prop_map(|amount| Turn::Ask { amount }),
        3 => (1..5usize).prop_map(|writes| Turn::Sync { writes }),
        1 => any::<(u64, u64)>().prop_map(|(lost, torn)| Turn::PowerCut { lost, torn }),
        1 => Just(Turn::Kill),
        1 => any::<(u64, u64)>().prop_flat_map(|(lost, torn)| {
            (0..4usize).prop_map(move |writes| Turn::StopDuringStart { writes, lost, torn })
        }),
    ]
}

proptest! {
    /// DUR-1 for one node: what was answered is still true after any crash, and nothing comes back that was not said.
    #[test]
    fn nothing_visible_is_undone_by_a_crash(turns in prop::collection::vec(turn(), 1..40)) {
        let mut host = running();
        let mut answered = 0;
        for turn in turns {
            let entries = host.entries();
            let mut seen = Vec::new();
            match turn {
                Turn::Ask { amount } => seen = host.asks([Add(amount), Answer]),
                Turn::Sync { writes } => seen = host.syncs_some(writes),
                Turn::PowerCut { lost, torn } => host = Host::new(host.loses_power_while_writing(lost, torn)),
                Turn::Kill => host = Host::new(host.killed()),
                Turn::StopDuringStart { writes, lost, torn } => {
                    host = Host::new(host.killed());
                    host.power_on();
                    host.syncs_some(writes);
                    host = Host::new(host.loses_power_while_writing(lost, torn));
                }
            }
            if host.node.incarnation().is_none() {
                host = host.starts();
            }
            answered = seen.iter().fold(answered, |most, seen| if let Answered(total) = seen { most.max(*total) } else { most });
            let now = host.entries();
            prop_assert!(now.starts_with(&entries) || entries.starts_with(&now), "{entries:?} became {now:?}");
            prop_assert!(host.node.application().total() >= answered, "{answered} was answered, but {now:?} is left");
        }
    }
}

// --- the register ---------------------------------------------------------------------------------------------------

/// Adds numbers up and does what it is told: every kind of output an application has, on order.
#[derive(Default)]
struct Register {
    entries: Vec<(u64, u64)>,
    squares: Vec<u64>,
    late: Vec<Total>,
    read_back: Vec<(u64, Result<u64, LoadError>)>,
    instead: Option<u64>,
    /// The checkpoints that it was asked for.
    asked_for: Vec<u64>,
    /// Steps that the next one takes more.
    detours: u64,
    /// Objects that it was told are durable.
    kept: Vec<u32>,
    /// What it was told of objects.
    fetched: Vec<(u32, Result<Vec<u8>, ObjectError>)>,
    listed: Vec<(Option<ObjectId>, Vec<ObjectId>, bool)>,
}

/// What a client can tell the register to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    /// Write.
    Add(u64),
    /// Write in a version that older builds do not understand.
    AddNewer(u64),
    /// Reply with the total.
    Answer,
    /// Reply with the total, at the latest then.
    AnswerBy(Time),
    /// The same; if it is late, add this much and answer without a limit.
    AnswerOr(Time, u64),
    /// Tell the peer the total, at the latest then.
    TellBy(Time),
    /// Observe the total: state.
    ShowState,
    /// Observe the number of entries: health.
    ShowHealth,
    /// Make two siblings tell each other so often; then the last one writes.
    Rally(u64),
    /// Compute.
    Square(u64),
    /// Load.
    ReadBack(u64),
    /// Take so many steps more for each checkpoint.
    Detour(u64),
    /// Keep an object of so many bytes of that value.
    Keep(u32, u8, u32),
    Discard(u32),
    Fetch(u32),
    ListBehind(Option<u32>),
}

/// What registers say to one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Say {
    Hello,
    Ping,
    Pong,
    Query,
    Fact(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Orders(Vec<Order>);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry(u64);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Total(u64);

/// A ball that two siblings pass.
#[derive(Debug)]
struct Ball {
    passes_left: u64,
}

crate::observations! {
    enum Gauge {
        /// The total has changed.
        Gauge State Count "register_total" => Changed { total: u64 },
        /// So many entries.
        Gauge Health Count "register_entries" => Waiting { entries: u64 },
    }
}

const RALLY_PRIZE: u64 = 100;
/// Says of a record that it is what all records so far come to.
const SUM: u64 = 1 << 63;
const DEADLINE: Time = Time::from_nanos(77);

macro_rules! bodies {
    ($($name:ident),+) => { $(impl Body for $name {
        const OLDEST: BodyVersion = BodyVersion(1);
        const NEWEST: BodyVersion = BodyVersion(2);
        fn encode(&self, _: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            encode_value(self, limit, out)
        }
        fn decode(_: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
            decode_value(bytes)
        }
    })+ };
}
bodies!(Say, Entry, Orders, Total);

impl Message for Say {
    fn gating(&self) -> Gating {
        match self {
            Self::Query | Self::Fact(_) => Gating::Gated,
            Self::Hello | Self::Ping | Self::Pong => Gating::Ungated,
        }
    }
}

impl Machine for Register {
    type Event = Input<Self>;
    type Action = Output<Self>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Input<Self>, out: &mut impl Sink<Output<Self>>) {
        let mut next = ctx.next_record;
        match event {
            Input::Start { .. } => out.push(to_peer(Say::Hello)),
            Input::Message(Delivery { message: Say::Ping, .. }) => out.push(to_peer(Say::Pong)),
            Input::Message(_) => out.push(to_peer(Say::Fact(self.total()))),
            Input::Request { id, request } => {
                request.0.into_iter().for_each(|order| self.obey(order, id, &mut next, out));
            }
            Input::Local(Ball { passes_left: 1 }) => self.add(RALLY_PRIZE, BodyVersion(1), &mut next, out),
            Input::Local(Ball { passes_left }) => out.push(Output::Local(Ball { passes_left: passes_left - 1 })),
            Input::Computed { done, .. } => self.squares.push(done),
            Input::Loaded { sequence, record } => self.read_back.push((sequence.0, record.map(|entry| entry.0))),
            Input::Late(what) => self.excuse(what, &mut next, out),
            Input::Wake | Input::Full { .. } | Input::Room { .. } | Input::Persisted { .. } => {}
            Input::Found { .. } | Input::Keys(_) => {}
            Input::Checkpoint { below } => self.sum_up(below, &mut next, out),
            Input::Kept { object } => {
                self.kept.push(object.piece);
                out.push(Output::Observe(Gauge::Waiting { entries: object.piece.into() }));
            }
            Input::Fetched { object, bytes } => {
                out.push(Output::Observe(Gauge::Changed { total: object.piece.into() }));
                self.fetched.push((object.piece, bytes));
            }
            Input::Objects { after, objects, is_last } => self.listed.push((after, objects, is_last)),
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        Some(DEADLINE)
    }
}

impl Application for Register {
    type Message = Say;
    type Record = Entry;
    type Request = Orders;
    type Reply = Total;
    type Local = Ball;
    type Work = u64;
    type Done = u64;
    type WorkId = u64;
    type Observation = Gauge;

    fn replay(&mut self, sequence: Sequence, record: Entry) {
        self.keep(sequence, record.0);
    }

    fn compute(work: u64) -> u64 {
        work * work
    }
}

impl Register {
    fn keep(&mut self, at: Sequence, amount: u64) {
        if amount & SUM != 0 {
            self.entries.clear();
        }
        self.entries.push((at.0, amount & !SUM));
    }

    /// Writes what it all comes to, after as many steps as it was told to take.
    fn sum_up(&mut self, below: Sequence, next: &mut Sequence, out: &mut impl Sink<Output<Self>>) {
        self.asked_for.push(below.0);
        match self.detours.checked_sub(1) {
            Some(left) => {
                self.detours = left;
                self.add(0, BodyVersion(1), next, out);
            }
            None => {
                let record = Entry(SUM | self.total());
                self.keep(*next, record.0);
                out.push(Output::Write { version: BodyVersion(1), record });
                out.push(Output::Checkpointed(below));
            }
        }
    }

    fn total(&self) -> u64 {
        self.entries.iter().map(|(_, amount)| amount).sum()
    }

    fn add(&mut self, amount: u64, version: BodyVersion, next: &mut Sequence, out: &mut impl Sink<Output<Self>>) {
        self.entries.push((next.0, amount));
        *next = next.next();
        out.push(Output::Write { version, record: Entry(amount) });
    }

    fn obey(&mut self, order: Order, id: RequestId, next: &mut Sequence, out: &mut impl Sink<Output<Self>>) {
        let total = self.total();
        let reply = Visible::Reply { id, reply: Total(total) };
        match order {
            Add(amount) => self.add(amount, BodyVersion(1), next, out),
            AddNewer(amount) => self.add(amount, BodyVersion(2), next, out),
            Answer => out.push(Output::reply(id, Total(total))),
            AnswerBy(limit) => out.push(Output::Show { what: reply, not_after: Some(limit) }),
            AnswerOr(limit, instead) => {
                self.instead = Some(instead);
                out.push(Output::Show { what: reply, not_after: Some(limit) });
            }
            TellBy(limit) => {
                let (route, version) = (Route::direct(PEER.node, Class::Priority), BodyVersion(1));
                let what = Visible::Message { route, version, message: Say::Fact(total) };
                out.push(Output::Show { what, not_after: Some(limit) });
            }
            ShowState => out.push(Output::Observe(Gauge::Changed { total })),
            ShowHealth => out.push(Output::Observe(Gauge::Waiting { entries: self.entries.len() as u64 })),
            Rally(passes_left) => out.push(Output::Local(Ball { passes_left })),
            Square(work) => out.push(Output::Compute { id: work, work }),
            Detour(steps) => self.detours = steps,
            ReadBack(slot) => out.push(Output::Load(Sequence(slot))),
            Order::Keep(piece, value, length) => {
                out.push(Output::Keep { object: object(piece), bytes: vec![value; length as usize] });
            }
            Order::Discard(piece) => out.push(Output::Discard { object: object(piece) }),
            Order::Fetch(piece) => out.push(Output::Fetch { object: object(piece) }),
            ListBehind(piece) => out.push(Output::ListObjects { after: piece.map(object) }),
        }
    }

    fn excuse(&mut self, what: Visible<Self>, next: &mut Sequence, out: &mut impl Sink<Output<Self>>) {
        match what {
            Visible::Reply { id, reply } => {
                self.late.push(reply);
                if let Some(amount) = self.instead.take() {
                    self.add(amount, BodyVersion(1), next, out);
                    out.push(Output::reply(id, Total(self.total())));
                }
            }
            Visible::Message { message: Say::Fact(total), .. } => self.late.push(Total(total)),
            Visible::Message { message, .. } => panic!("{message:?} has no limit"),
        }
    }
}

fn object(piece: u32) -> ObjectId {
    ObjectId { address: [9; 32], piece }
}

fn to_peer(message: Say) -> Output<Register> {
    Output::message(Route::direct(PEER.node, Class::Priority), BodyVersion(1), message)
}

// --- the machine it runs on -----------------------------------------------------------------------------------------

/// A store with a page cache: what a process wrote is seen by the next one, but only what was synced outlives a power
/// cut. The cache is never flushed on its own.
#[derive(Clone, Debug, Default, PartialEq)]
struct Disk {
    synced: Platter,
    cached: Platter,
}

/// What a disk holds: slots by their numbers, and objects, whose pieces are counted from [`OBJECTS`] on.
type Platter = BTreeMap<u64, Vec<u8>>;
const OBJECTS: u64 = 1 << 32;

#[derive(Clone)]
enum Write {
    Append(u64, Vec<u8>),
    Erase(u64),
    Trim(u64, u64),
    Discard(u64),
}

/// A driver without time, threads or chance.
struct Host {
    node: Node<Register>,
    scratch: Scratch<Register>,
    disk: Disk,
    /// Writes that are not synced, with their numbers.
    queued: VecDeque<(WriteNumber, Write)>,
    written: WriteNumber,
    /// Loads that were not answered yet.
    asked: VecDeque<(Ticket, Asked)>,
    /// Slots that will read badly so often.
    bad: BTreeMap<u64, u32>,
    /// Loads answered.
    readings: u32,
    /// Work that was not done yet.
    work: VecDeque<u64>,
    sent: Vec<Outgoing<Say>>,
    now: Time,
    cause: CauseId,
    /// The causes of what was seen last.
    causes: Vec<CauseId>,
}

/// What a driver is to read.
#[derive(Clone, Copy)]
enum Asked {
    Slot(Sequence),
    Object(ObjectId),
    Page(Option<ObjectId>),
}

/// What can be seen of a node from outside.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Wrote(u64),
    Erased(u64),
    Trimmed(u64, u64),
    Answered(u64),
    Refused(Refusal),
    Sent(Say),
    Works,
    Noted(NodeObservation),
    Measured(Gauge),
    Stopped(StopReason),
    Stored(u32),
    Removed(u32),
}

/// Times a slot is read before its bytes are believed to be wrong.
const READINGS: u32 = loads::READINGS_MAX as u32;
const TICK: Duration = Duration::from_nanos(1);
const PEER: Incarnation =
    Incarnation { node: NodeId::from_bytes([2; 16]), store: StoreIncarnation(2), boot: BootIncarnation(2) };

fn seat() -> Seat {
    Seat {
        cluster: ClusterId::from_bytes([1; 16]),
        domain: GossipDomain(0),
        node: NodeId::from_bytes([1; 16]),
        fresh_store: StoreIncarnation(42),
        keys: KeyIds::default(),
        speaks: BodyVersion(2),
        limits: Limits::default(),
    }
}

fn rereads(sequence: u64, times: u32) -> Vec<Seen> {
    (0..times).map(|_| Noted(SlotReread { sequence })).collect()
}

fn bounded(limits: Limits) -> Seat {
    Seat { limits, ..seat() }
}

fn running() -> Host {
    Host::founded(seat())
}

/// A running node whose records 3 and 4 add 1 and 2.
fn with_two_records() -> Host {
    let mut host = running();
    host.asks([Add(1), Add(2)]);
    host.syncs();
    host
}

/// Given: how a host comes to be.
impl Host {
    fn new(disk: Disk) -> Self {
        Self::with(disk, seat())
    }

    fn with(disk: Disk, seat: Seat) -> Self {
        Self {
            node: Node::new(seat, Register::default()),
            scratch: Scratch::new(),
            disk,
            queued: VecDeque::new(),
            written: WriteNumber(0),
            asked: VecDeque::new(),
            bad: BTreeMap::new(),
            readings: 0,
            work: VecDeque::new(),
            sent: Vec::new(),
            now: Time::from_nanos(1_000),
            cause: CauseId(0),
            causes: Vec::new(),
        }
    }

    fn founded(seat: Seat) -> Self {
        Self::with(Disk::default(), seat).starts()
    }

    fn starts(mut self) -> Self {
        self.power_on();
        assert_eq!(self.syncs(), [Sent(Say::Hello)]);
        self
    }

    fn misreads(&mut self, slot: u64, times: u32) {
        self.bad.insert(slot, times);
    }
}

/// When: what happens to it. Each returns what is seen because of that.
impl Host {
    fn begins(&mut self) -> Vec<Seen> {
        let last = self.disk.cached.range(..OBJECTS).next_back().map(|(slot, _)| Sequence(*slot));
        let lowest = self.disk.cached.range(2..OBJECTS).next().map_or(Sequence(0), |(slot, _)| Sequence(*slot));
        self.does(Event::Boot { lowest, last })
    }

    /// Answers every load, also those that follow.
    fn reads(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(more) = self.reads_one() {
            seen.extend(more);
        }
        seen
    }

    /// Answers one load.
    fn reads_one(&mut self) -> Option<Vec<Seen>> {
        let (ticket, asked) = self.asked.pop_front()?;
        Some(match asked {
            Asked::Slot(sequence) => {
                let bytes = self.read(sequence.0);
                self.does(Event::Loaded { ticket, sequence, bytes })
            }
            Asked::Object(object) => {
                let bytes = self.read(OBJECTS + u64::from(object.piece));
                self.does(Event::Fetched { ticket, object, bytes })
            }
            Asked::Page(after) => {
                let from = after.map_or(OBJECTS, |after| OBJECTS + u64::from(after.piece) + 1);
                let mut objects = self.disk.cached.range(from..).map(|(at, _)| object((at - OBJECTS) as u32));
                let page = objects.by_ref().take(LISTED_MAX).collect();
                let is_last = objects.next().is_none();
                self.does(Event::Listed { ticket, objects: page, is_last })
            }
        })
    }

    fn read(&mut self, at: u64) -> Option<Vec<u8>> {
        self.readings += 1;
        let mut bytes = self.disk.cached.get(&at).cloned();
        if let (Some(times @ 1..), Some(bytes)) = (self.bad.get_mut(&at), &mut bytes) {
            *times -= 1;
            bytes[0] ^= 0xFF;
        }
        bytes
    }

    fn power_on(&mut self) -> Vec<Seen> {
        let mut seen = self.begins();
        seen.extend(self.reads());
        seen
    }

    /// A client's request, with the readings and the work that follow from it.
    fn asks<const N: usize>(&mut self, orders: [Order; N]) -> Vec<Seen> {
        let mut seen = self.requests(orders);
        seen.extend(self.reads());
        while let Some(work) = self.work.pop_front() {
            seen.extend(self.does(Event::Computed { id: work, done: Register::compute(work) }));
        }
        seen
    }

    fn requests<const N: usize>(&mut self, orders: [Order; N]) -> Vec<Seen> {
        self.does(Event::Request { id: RequestId(1), request: Orders(orders.to_vec()) })
    }

    fn hears(&mut self, message: Say) -> Vec<Seen> {
        self.hears_on(Class::Priority, message)
    }

    fn hears_on(&mut self, class: Class, message: Say) -> Vec<Seen> {
        let envelope = Envelope {
            cluster: seat().cluster,
            domain: seat().domain,
            tenant: Tenant(0),
            source: PEER,
            destination: seat().node,
            next_hop: seat().node,
            ttl: 1,
            class,
            sequence: 1,
            cause: CauseId(1),
            version: BodyVersion(1),
            speaks: BodyVersion(2),
        };
        self.does(Event::Packet(Delivery { envelope, message }))
    }

    fn wakes(&mut self) -> Vec<Seen> {
        self.does(Event::Wake)
    }

    /// The disk syncs everything.
    fn syncs(&mut self) -> Vec<Seen> {
        self.syncs_some(self.queued.len())
    }

    /// The disk syncs so many of the writes that wait.
    fn syncs_some(&mut self, writes: usize) -> Vec<Seen> {
        let synced: Vec<_> = self.queued.drain(..writes.min(self.queued.len())).collect();
        synced.iter().for_each(|(_, write)| write.apply(&mut self.disk.synced));
        let upto = self.queued.front().map_or(self.written, |(number, _)| WriteNumber(number.0 - 1));
        self.does(Event::Persisted { upto })
    }

    fn fails(&mut self, failure: StoreFailure) -> Vec<Seen> {
        self.does(Event::StoreFailed(failure))
    }

    fn does(&mut self, event: Event<Register>) -> Vec<Seen> {
        self.cause = CauseId(self.cause.0 + 1);
        self.causes.clear();
        let mut chance = Scripted::default();
        let mut ctx = Ctx::new(self.now, WallTime::from_unix_nanos(0), self.cause, &mut chance);
        self.node.handle(&mut ctx, event, &mut self.scratch);
        let effects = core::mem::take(&mut self.scratch.effects);
        effects.into_iter().filter_map(|effect| self.carries_out(effect)).collect()
    }

    fn carries_out(&mut self, Effect { cause, action }: Effect<Register>) -> Option<Seen> {
        self.causes.push(cause);
        Some(match action {
            Action::Append { write, sequence, frame } => {
                let bytes = self.scratch.frame(&frame).to_vec();
                self.queues(write, Write::Append(sequence.0, bytes));
                Wrote(sequence.0)
            }
            Action::Erase { write, from } => {
                self.queues(write, Write::Erase(from.0));
                Erased(from.0)
            }
            Action::Trim { write, from, below } => {
                self.queues(write, Write::Trim(from.0, below.0));
                Trimmed(from.0, below.0)
            }
            Action::Load { ticket, sequence } => {
                self.asked.push_back((ticket, Asked::Slot(sequence)));
                return None;
            }
            Action::Keep { write, object, frame } => {
                let bytes = self.scratch.frame(&frame).to_vec();
                self.queues(write, Write::Append(OBJECTS + u64::from(object.piece), bytes));
                Stored(object.piece)
            }
            Action::Discard { write, object } => {
                self.queues(write, Write::Discard(OBJECTS + u64::from(object.piece)));
                Removed(object.piece)
            }
            Action::Fetch { ticket, object } => {
                self.asked.push_back((ticket, Asked::Object(object)));
                return None;
            }
            Action::List { ticket, after } => {
                self.asked.push_back((ticket, Asked::Page(after)));
                return None;
            }
            Action::Compute { work, .. } => {
                self.work.push_back(work);
                Works
            }
            Action::Send(outgoing) => {
                self.sent.push(outgoing.clone());
                Sent(outgoing.message)
            }
            Action::Reply { reply, .. } => Answered(reply.0),
            Action::Refuse { refusal, .. } => Refused(refusal),
            Action::Observe(Observed::Node(observation)) => Noted(observation),
            Action::Observe(Observed::Application(gauge)) => Measured(gauge),
            Action::Stop(reason) => Stopped(reason),
            Action::Seek | Action::Locate { .. } | Action::Forget(_) | Action::Keyring(_) => {
                unreachable!("a register neither seeks nor rekeys")
            }
        })
    }

    fn queues(&mut self, number: WriteNumber, write: Write) {
        assert_eq!(number, self.written.next(), "writes are numbered without a gap");
        self.written = number;
        write.apply(&mut self.disk.cached);
        self.queued.push_back((number, write));
    }
}

/// Then: what is left of it.
impl Host {
    fn entries(&self) -> Vec<(u64, u64)> {
        self.node.application().entries.clone()
    }

    fn life(&self) -> (StoreIncarnation, BootIncarnation) {
        let Incarnation { store, boot, .. } = self.node.incarnation().expect("the node runs");
        (store, boot)
    }

    fn syncs_and_stops(mut self) -> Disk {
        self.syncs();
        self.disk
    }

    /// The process is killed; the operating system goes on.
    fn killed(self) -> Disk {
        self.disk
    }

    fn loses_power(self) -> Disk {
        self.loses_power_while_writing(u64::MAX, 0)
    }

    /// Bit n of `lost` and `torn` tells what becomes of the nth write under way.
    fn loses_power_while_writing(mut self, lost: u64, torn: u64) -> Disk {
        let is_set = |bits: u64, at: usize| bits.rotate_right(at as u32) & 1 == 1;
        for (at, (_, write)) in self.queued.iter().enumerate().filter(|(at, _)| !is_set(lost, *at)) {
            match is_set(torn, at) {
                true => write.tear(&mut self.disk.synced),
                false => write.apply(&mut self.disk.synced),
            }
        }
        Disk { cached: self.disk.synced.clone(), synced: self.disk.synced }
    }
}

impl Disk {
    fn loses(&mut self, slot: u64) {
        self.synced.remove(&slot);
        self.cached.remove(&slot);
    }

    fn changes(&mut self, slot: u64, change: impl Fn(&mut Vec<u8>)) {
        [&mut self.synced, &mut self.cached].into_iter().filter_map(|slots| slots.get_mut(&slot)).for_each(change);
    }
}

impl Write {
    fn apply(&self, slots: &mut BTreeMap<u64, Vec<u8>>) {
        match self {
            Self::Append(slot, bytes) => drop(slots.insert(*slot, bytes.clone())),
            Self::Erase(from) => slots.retain(|slot, _| !(*from..OBJECTS).contains(slot)),
            Self::Trim(from, below) => slots.retain(|slot, _| !(*from..*below).contains(slot)),
            Self::Discard(at) => drop(slots.remove(at)),
        }
    }

    /// The first half of the bytes, in front of what was there; every other slot that was to be erased.
    fn tear(&self, slots: &mut BTreeMap<u64, Vec<u8>>) {
        match self {
            Self::Append(slot, bytes) => {
                let there = slots.entry(*slot).or_default();
                let half = bytes.len() / 2;
                there.splice(..half.min(there.len()), bytes[..half].iter().copied());
            }
            Self::Erase(from) => slots.retain(|slot, _| !(*from..OBJECTS).contains(slot) || slot % 2 == 0),
            Self::Discard(at) => slots.entry(*at).or_default().clear(),
            Self::Trim(from, below) => slots.retain(|slot, _| !(*from..*below).contains(slot) || slot % 2 == 0),
        }
    }
}
