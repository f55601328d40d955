//! Objects beside the journal, told as stories.

use super::*;
use crate::object::{OBJECT_BYTES_MAX, seal};
use alloc::collections::BTreeSet;

fn told(piece: u32) -> Seen {
    Measured(Gauge::Waiting { entries: piece.into() })
}

/// What waits at the gate after a fetch.
fn shown(piece: u32) -> Seen {
    Measured(Gauge::Changed { total: piece.into() })
}

fn secured(piece: u32) -> Seen {
    Noted(ObjectSecured { address: object(piece).prefix(), piece: piece.into() })
}

fn reread(piece: u32) -> Seen {
    Noted(ObjectReread { address: object(piece).prefix(), piece: piece.into() })
}

fn damaged(piece: u32) -> Seen {
    Noted(ObjectDamaged { address: object(piece).prefix(), piece: piece.into() })
}

/// A running node with object 1, ten bytes of 7, which is durable.
fn with_an_object() -> Host {
    let mut host = running();
    host.asks([Keep(1, 7, 10)]);
    host.syncs();
    host
}

fn at(piece: u32) -> u64 {
    OBJECTS + u64::from(piece)
}

impl Host {
    /// What the last fetch has brought.
    fn fetched(&self) -> (u32, Result<Vec<u8>, ObjectError>) {
        self.node.application().fetched.last().expect("something was fetched").clone()
    }
}

#[test]
fn what_is_shown_after_a_keep_waits_for_it_and_the_application_is_told() {
    let mut host = running();
    assert_eq!(host.asks([Keep(1, 7, 10), Answer]), [Stored(1)]);
    assert_eq!(host.asks([Answer]), [], "nor what comes after it");
    assert_eq!(host.syncs(), [told(1), Answered(0), Answered(0)]);
    assert_eq!(host.node.application().kept, [1]);
}

#[test]
fn records_and_objects_share_their_numbers_and_keep_their_order() {
    let mut host = running();
    assert_eq!(host.asks([Add(1), Keep(1, 7, 10), Add(2), Answer]), [Wrote(3), Stored(1), Wrote(4)]);
    assert_eq!(host.syncs_some(1), []);
    assert_eq!(host.syncs_some(1), [told(1)]);
    assert_eq!(host.syncs_some(1), [Answered(3)]);
    assert_eq!(host.asks([Discard(1), Answer]), [Removed(1)]);
    assert_eq!(host.syncs(), [Answered(3)]);
}

#[test]
fn each_keep_is_told_in_order_whatever_came_after() {
    let mut host = running();
    host.asks([Keep(1, 7, 10), Keep(2, 7, 10), Discard(1), Keep(1, 8, 10)]);
    host.syncs();
    assert_eq!(host.node.application().kept, [1, 2, 1]);
    host.asks([Fetch(1)]);
    assert_eq!(host.fetched(), (1, Ok(vec![8; 10])));
}

#[test]
fn an_object_of_this_process_is_fetched_without_a_write() {
    let mut host = running();
    host.asks([Keep(1, 7, OBJECT_BYTES_MAX as u32)]);
    assert_eq!(host.asks([Fetch(1)]), [], "it is not durable yet");
    assert_eq!(host.syncs(), [told(1), shown(1)]);
    assert_eq!(host.asks([Fetch(1)]), [shown(1)]);
    assert_eq!(host.fetched(), (1, Ok(vec![7; OBJECT_BYTES_MAX])));
}

#[test]
fn an_object_of_an_earlier_process_is_written_again_as_it_is_before_anything_rests_on_it() {
    let mut killed = running();
    killed.asks([Keep(1, 7, 10)]);
    let mut host = Host::new(killed.killed()).starts();
    assert_eq!(host.disk.synced.get(&at(1)), None, "it was in the cache only");
    let before = host.disk.cached[&at(1)].clone();
    assert_eq!(host.asks([Fetch(1)]), [secured(1), Stored(1)]);
    assert_eq!(host.syncs(), [shown(1)]);
    assert_eq!(host.asks([Fetch(1)]), [shown(1)], "once is enough");
    let mut host = Host::new(host.loses_power()).starts();
    assert_eq!(host.disk.synced.get(&at(1)), Some(&before));
    host.asks([Fetch(1)]);
    assert_eq!(host.fetched(), (1, Ok(vec![7; 10])));
}

#[test]
fn what_was_read_before_a_change_is_not_written_over_it() {
    for change in [Discard(1), Keep(1, 8, 3)] {
        let mut host = Host::new(with_an_object().syncs_and_stops()).starts();
        host.requests([Fetch(1)]);
        let (ticket, _) = host.asked.pop_front().unwrap();
        let bytes = host.disk.cached.get(&at(1)).cloned();
        host.requests([change]);
        let after = host.disk.cached.get(&at(1)).cloned();
        host.does(Event::Fetched { ticket, object: object(1), bytes });
        assert_eq!(host.fetched(), (1, Ok(vec![7; 10])));
        assert_eq!(host.disk.cached.get(&at(1)).cloned(), after);
    }
}

#[test]
fn a_bad_reading_is_tried_again_before_an_object_is_called_damaged() {
    let mut host = with_an_object();
    host.misreads(at(1), READINGS - 1);
    let seen = host.asks([Fetch(1)]);
    let rereads = || (1..READINGS).map(|_| reread(1));
    assert_eq!(seen, rereads().chain([shown(1)]).collect::<Vec<_>>());
    assert_eq!(host.fetched(), (1, Ok(vec![7; 10])));
    host.misreads(at(1), READINGS);
    let seen = host.asks([Fetch(1)]);
    assert_eq!(seen, rereads().chain([damaged(1), shown(1)]).collect::<Vec<_>>());
    assert_eq!(host.fetched(), (1, Err(ObjectError::Damaged)));
    assert_eq!(host.asks([Answer]), [Answered(0)], "the node goes on");
    host.asks([Fetch(1)]);
    assert_eq!(host.fetched(), (1, Ok(vec![7; 10])));
}

#[test]
fn a_missing_object_is_read_once() {
    let mut host = running();
    let before = host.readings;
    assert_eq!(host.asks([Fetch(1)]), [shown(1)]);
    assert_eq!(host.fetched(), (1, Err(ObjectError::Missing)));
    assert_eq!(host.readings, before + 1);
}

#[test]
fn torn_and_misplaced_objects_are_damaged() {
    let mut torn = with_an_object();
    torn.asks([Keep(1, 8, 900)]);
    let mut misplaced = Vec::new();
    seal(object(2), &[7; 10], &mut misplaced);
    let mut other = with_an_object().syncs_and_stops();
    other.changes(at(1), |bytes| bytes.clone_from(&misplaced));
    for disk in [torn.loses_power_while_writing(0, u64::MAX), other] {
        let mut host = Host::new(disk).starts();
        host.asks([Fetch(1)]);
        assert_eq!(host.fetched(), (1, Err(ObjectError::Damaged)));
        host.asks([Keep(1, 8, 900), Fetch(1)]);
        assert_eq!(host.fetched(), (1, Ok(vec![8; 900])), "kept anew, it is whole");
    }
}

#[test]
fn a_torn_write_of_what_was_there_harms_nothing() {
    for torn in [0, u64::MAX] {
        let mut host = Host::new(with_an_object().syncs_and_stops()).starts();
        assert_eq!(host.asks([Fetch(1), Keep(1, 7, 10)]), [Stored(1)]);
        host.syncs();
        let mut host = Host::new(host.syncs_and_stops()).starts();
        assert_eq!(host.asks([Fetch(1)]), [secured(1), Stored(1)]);
        let mut host = Host::new(host.loses_power_while_writing(0, torn)).starts();
        host.asks([Fetch(1)]);
        assert_eq!(host.fetched(), (1, Ok(vec![7; 10])));
    }
}

#[test]
fn objects_are_listed_by_pages_in_order() {
    let mut host = running();
    assert_eq!(host.asks([ListBehind(None)]), []);
    assert_eq!(host.node.application().listed, [(None, vec![], true)]);
    for piece in 0..=LISTED_MAX as u32 {
        host.asks([Keep(piece, 7, 1)]);
    }
    let last = LISTED_MAX as u32 - 1;
    host.asks([ListBehind(None), ListBehind(Some(last))]);
    let [_, (_, first, false), (after, second, true)] = &host.node.application().listed[..] else { panic!() };
    assert!(first.iter().copied().eq((0..=last).map(object)));
    assert_eq!((*after, &second[..]), (Some(object(last)), &[object(last + 1)][..]));
}

#[test]
fn nothing_is_told_of_what_was_not_asked_for() {
    let mut host = with_an_object();
    let (ticket, object) = (Ticket(9_999), object(1));
    assert_eq!(host.does(Event::Fetched { ticket, object, bytes: None }), []);
    assert_eq!(host.does(Event::Listed { ticket, objects: vec![object], is_last: true }), []);
    assert!(host.node.application().fetched.is_empty() && host.node.application().listed.is_empty());
}

#[test]
#[should_panic(expected = "a driver lists objects in order")]
fn a_driver_that_lists_out_of_order_is_defective() {
    let mut host = running();
    host.requests([ListBehind(Some(4))]);
    let (ticket, _) = host.asked.pop_front().unwrap();
    host.does(Event::Listed { ticket, objects: vec![object(4)], is_last: true });
}

#[test]
#[should_panic(expected = "more than 256 fetches under way")]
fn an_application_bounds_its_fetches() {
    let mut host = running();
    host.does(Event::Request { id: RequestId(1), request: Orders(vec![Fetch(1); FETCHES_MAX + 1]) });
}

#[test]
fn objects_that_wait_for_the_disk_count_as_such() {
    let mut host = Host::founded(bounded(Limits { unsynced_bytes: 1_000, ..Limits::default() }));
    host.asks([Keep(1, 7, 1_000)]);
    assert_eq!(host.asks([Answer])[1..], [Refused(Refusal::Overloaded)]);
    host.syncs();
    assert_eq!(host.asks([Answer]), [Answered(0)]);
    let mut host = Host::founded(bounded(Limits { unsynced_writes: 2, ..Limits::default() }));
    host.asks([Keep(1, 7, 1), Discard(1)]);
    assert_eq!(host.asks([Answer])[1..], [Refused(Refusal::Overloaded)]);
}

#[test]
fn a_keep_that_fails_stops_the_node() {
    let mut host = running();
    host.asks([Keep(1, 7, 10), Answer]);
    assert_eq!(host.fails(StoreFailure::Full), [Stopped(StopReason::StoreFailed(StoreFailure::Full))]);
    assert_eq!(host.does(Event::Persisted { upto: host.written }), [], "and nobody is told");
}

#[derive(Clone, Debug)]
enum Act {
    Order(Order),
    Syncs(usize),
    IsKilled,
    LosesPower(u64, u64),
}

/// The bytes of a piece are always the same, as those of a thing that is named by what it is.
fn keep(piece: u32) -> Order {
    Keep(piece, piece as u8 + 1, piece * 300 + 5)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3u32).prop_map(|piece| Act::Order(keep(piece))),
        1 => (0..3u32).prop_map(|piece| Act::Order(Discard(piece))),
        4 => (0..3u32).prop_map(|piece| Act::Order(Fetch(piece))),
        4 => (0..4usize).prop_map(Act::Syncs),
        1 => Just(Act::IsKilled),
        2 => (any::<u64>(), any::<u64>()).prop_map(|(lost, torn)| Act::LosesPower(lost, torn)),
    ]
}

proptest! {
    #[test]
    fn what_was_told_kept_or_shown_is_there_whatever_happens_until_it_is_discarded(
        acts in proptest::collection::vec(act(), 1..60)
    ) {
        let mut host = running();
        // Pieces that have to be there, those discarded since they were last kept, and keeps that were not told yet.
        let (mut certain, mut discarded) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting: VecDeque<(u32, bool)> = VecDeque::new();
        let mut shown_fetches = 0;
        for act in acts {
            let fetches = host.node.application().fetched.len();
            let seen = match act {
                Act::Order(order) => {
                    match order {
                        Keep(piece, ..) => waiting.push_back((piece, true)),
                        Discard(gone) => {
                            certain.remove(&gone);
                            discarded.insert(gone);
                            waiting.iter_mut().filter(|(piece, _)| *piece == gone).for_each(|(_, counts)| *counts = false);
                        }
                        _ => {}
                    }
                    host.asks([order])
                }
                Act::Syncs(writes) => host.syncs_some(writes),
                Act::IsKilled => {
                    waiting.clear();
                    shown_fetches = 0;
                    host = Host::new(host.killed()).starts();
                    continue;
                }
                Act::LosesPower(lost, torn) => {
                    waiting.clear();
                    shown_fetches = 0;
                    host = Host::new(host.loses_power_while_writing(lost, torn)).starts();
                    continue;
                }
            };
            for (piece, bytes) in &host.node.application().fetched[fetches..] {
                let expected = vec![*piece as u8 + 1; *piece as usize * 300 + 5];
                prop_assert!(!certain.contains(piece) || bytes.is_ok(), "{piece} is {bytes:?}");
                prop_assert!(bytes.as_ref().is_err() || *bytes == Ok(expected), "{piece} is something else");
            }
            for seen in seen {
                let shown = match seen {
                    Measured(Gauge::Waiting { entries }) => {
                        let (piece, counts) = waiting.pop_front().expect("it was to be kept");
                        prop_assert_eq!(u64::from(piece), entries);
                        if counts {
                            discarded.remove(&piece);
                        }
                        counts.then_some(piece)
                    }
                    Measured(Gauge::Changed { total }) => {
                        // What is fetched is shown in that order, however much later.
                        let (piece, bytes) = &host.node.application().fetched[shown_fetches];
                        shown_fetches += 1;
                        prop_assert_eq!(u64::from(*piece), total);
                        let piece = bytes.is_ok().then_some(*piece);
                        piece.filter(|piece| !discarded.contains(piece))
                    }
                    _ => None,
                };
                certain.extend(shown);
            }
        }
    }
}
