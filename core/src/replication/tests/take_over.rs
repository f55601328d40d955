//! Taking over, catching up, handing over.

use super::*;

#[test]
fn a_new_owner_adopts_the_highest_log_and_entries_keep_their_names() {
    let mut trio = trio();
    trio.cut.insert(2);
    trio.write(0, 7);
    trio.run();
    assert_eq!(trio.ends(), [position(1, 2), position(1, 2), position(1, 1)]);

    trio.cut.clear();
    trio.cut.insert(0);
    trio.grant(2);
    trio.run();
    trio.pass(100);
    trio.commit();
    assert_eq!(trio.replicas[2].standing(), Standing::Serving(epoch(2)));
    assert_eq!(trio.ends()[1..], [position(2, 3); 2], "adopted, and the start behind it");
    assert_eq!(trio.replicas[2].log().epoch_at(LogSequence(2)), Some(epoch(1)), "L1");
    assert_eq!(trio.replicas[2].service().value(1), Some(7));
}

#[test]
fn a_tail_that_was_never_acknowledged_gives_way() {
    let mut trio = trio();
    trio.cut.extend([1, 2]);
    (7..10).for_each(|ticket| trio.write(0, ticket));
    trio.run();
    assert_eq!(trio.ends()[0], position(1, 4));

    trio.cut.clear();
    trio.cut.insert(0);
    trio.grant(1);
    trio.run();
    trio.pass(100);
    trio.commit();
    trio.cut.clear();
    trio.tell(0, Event::Known(trio.record.clone().into()));
    trio.pass(100);
    trio.pass(100);
    assert_eq!(trio.ends(), [position(2, 2); 3]);
    assert_eq!(trio.proposals, [(4, Change::Add(id(0)))]);
    let unknown = trio.replies.iter().filter(|(_, reply)| *reply == Reply::Unknown);
    assert_eq!(unknown.map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [7, 8, 9], "V4");
}

#[test]
fn an_owner_serves_once_every_member_holds_its_start() {
    let mut trio = trio();
    trio.grant(1);
    trio.cut.insert(2);
    trio.run();
    assert_eq!(trio.replicas[1].standing(), Standing::TakingOver(epoch(2)), "U2");
    trio.pass(100);
    assert_eq!(trio.replicas[1].standing(), Standing::TakingOver(epoch(2)), "U6");
    assert_eq!(trio.proposals, [(3, Change::Remove(id(2)))], "U8");
    trio.commit();
    assert_eq!(trio.replicas[1].standing(), Standing::Serving(epoch(2)));
}

#[test]
fn nothing_older_is_accepted_after_a_promise_and_the_old_owner_stops() {
    let mut trio = trio();
    let promise = Message::Promise { epoch: epoch(2) };
    trio.tell(1, Event::Message { from: id(2), message: promise });
    trio.net.clear();
    trio.write(0, 7);
    trio.run();
    assert_eq!(trio.replicas[1].log().last(), position(1, 1), "P1");
    assert_eq!(trio.replicas[0].standing(), Standing::Follower, "P5");
    assert_eq!(trio.replies, [(7, Reply::Unknown)]);
}

#[test]
fn a_restarted_process_is_not_the_owner_that_its_record_names() {
    let mut trio = trio();
    let again = Incarnation { boot: BootIncarnation(2), ..process(0) };
    trio.replicas[0] = Replica::new(again, Settings::default());
    trio.replicas[0].replay(Record::Promised(epoch(1)));
    trio.tell(0, Event::Known(trio.record.clone().into()));
    assert_eq!(trio.replicas[0].standing(), Standing::Follower, "U7");
}

#[test]
fn after_a_bump_the_owner_takes_over_from_itself() {
    let mut trio = trio();
    trio.record.bump(9, ClusterEpoch(2));
    trio.publish();
    trio.run();
    let bumped = Epoch { cluster: ClusterEpoch(2), lease: 1 };
    assert_eq!(trio.replicas[0].standing(), Standing::Serving(bumped), "U9");
}

#[test]
fn handing_over_waits_for_what_is_under_way_and_stops_for_good() {
    let mut trio = trio();
    trio.write(0, 7);
    trio.tell(0, Event::HandOver { to: None, at: None });
    trio.write(0, 8);
    assert_eq!(trio.replies, [(8, Reply::NotServing { owner: Some(process(0).node) })], "H2");
    trio.run();
    assert_eq!((trio.done(), trio.replicas[0].standing()), (vec![7], Standing::Follower), "H1");
    trio.grant(2);
    trio.run();
    assert_eq!(trio.replicas[2].standing(), Standing::Serving(epoch(2)));
}

#[test]
fn at_a_set_time_an_owner_stops_then_and_takes_nothing_from_before() {
    let (at, little) = (Time::ZERO + Duration::from_secs(1), Duration::from_millis(4));
    for is_under_way in [false, true] {
        let mut trio = trio();
        trio.cut.insert(1);
        if is_under_way {
            trio.write(0, 7);
        }
        trio.tell(0, Event::HandOver { to: None, at: Some(at) });
        trio.write(0, 8);
        assert_eq!(trio.replies, [(8, Reply::NotServing { owner: Some(process(0).node) })], "H2");
        let stops = |trio: &mut Trio, now| {
            trio.now = now;
            trio.tell(0, Event::Wake);
            trio.replicas[0].standing() == Standing::Follower
        };
        assert!(!stops(&mut trio, at.saturating_sub(Duration::from_nanos(1))));
        assert_eq!(stops(&mut trio, at), !is_under_way, "what is under way has a little longer");
        assert!(stops(&mut trio, at + little));
        assert_eq!(trio.replies.contains(&(7, Reply::Unknown)), is_under_way);
    }
}

#[test]
fn another_store_of_a_member_takes_its_place_in_one_change() {
    let mut trio = trio();
    // The third place is now the second node's, on a new disk; what it was on the old one is gone.
    let anew = Incarnation { store: StoreIncarnation(3), node: process(1).node, boot: BootIncarnation(1) };
    trio.replicas[2] = Replica::new(anew, Settings::default());
    trio.cut.insert(1);
    trio.tell(0, Event::Placed(BTreeSet::from([id(0), anew.into()])));
    trio.record.in_sync = BTreeSet::from([id(0), id(1)]);
    trio.record.version = 3;
    trio.publish();
    trio.run();
    assert_eq!((trio.ends()[2], trio.proposals.len()), (position(1, 1), 0), "it is not heard under that name");
    let held = Message::Held { epoch: epoch(1), upto: LogSequence(1) };
    trio.tell(0, Event::Message { from: anew.into(), message: held });
    assert_eq!(trio.proposals, [(3, Change::Replace { add: anew.into(), remove: id(1) })], "I7");
}
