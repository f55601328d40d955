//! Appending and acknowledging.

use super::*;

#[test]
fn an_entry_is_acknowledged_once_every_member_holds_it_and_not_before() {
    let mut trio = trio();
    trio.cut.insert(2);
    trio.write(0, 7);
    trio.run();
    assert_eq!((trio.done(), trio.replicas[0].mark()), (vec![], LogSequence(1)), "W1");

    trio.cut.clear();
    trio.pass(100);
    assert_eq!((trio.done(), trio.replicas[0].mark()), (vec![7], LogSequence(2)));
    assert_eq!(trio.replicas[0].service().value(1), Some(7));
}

#[test]
fn a_member_that_does_not_answer_is_taken_out_and_its_absence_counts_only_once_that_has_committed() {
    let mut trio = trio();
    trio.cut.insert(2);
    trio.write(0, 7);
    trio.run();
    trio.pass(499);
    assert_eq!(trio.proposals, []);
    trio.pass(1);
    assert_eq!(trio.proposals, [(2, Change::Remove(id(2)))], "I10");
    assert!(trio.done().is_empty(), "I4");
    trio.commit();
    assert_eq!(trio.done(), [7]);
}

/// Or else it would not apply what it holds for as long as nothing is written.
#[test]
fn what_is_acknowledged_is_told_again_to_whoever_has_not_answered_and_to_whoever_begins_anew() {
    let mut trio = trio();
    let marks = |trio: &Trio| [0, 1, 2].map(|node| trio.replicas[node].mark().0);
    trio.write(0, 7);
    trio.run();
    trio.cut.insert(2);
    trio.pass(20);
    assert_eq!(marks(&trio), [2, 2, 1]);
    trio.cut.clear();
    trio.pass(100);
    assert_eq!((marks(&trio), trio.replicas[0].next_deadline()), ([2, 2, 2], None));

    trio.restart(2, Sequence(1));
    trio.cut.insert(2);
    trio.tell(0, Event::Returned(id(2)));
    (0..20).for_each(|_| trio.pass(100));
    assert_eq!(trio.replicas[0].next_deadline(), None, "not for ever");
    trio.cut.clear();
    trio.pass(1_000);
    assert_eq!(marks(&trio), [2, 2, 0]);
    trio.tell(0, Event::Returned(id(2)));
    trio.pass(0);
    assert_eq!(marks(&trio), [2, 2, 2]);
}

#[test]
fn the_set_does_not_shrink_below_the_minimum() {
    let mut trio = trio();
    trio.cut.extend([1, 2]);
    trio.write(0, 7);
    trio.pass(500);
    trio.commit();
    trio.pass(5_000);
    assert_eq!((trio.proposals.len(), trio.done()), (0, vec![]));
}

#[test]
fn who_comes_back_catches_up_is_required_from_its_proposal_on_and_becomes_a_member() {
    let mut trio = trio();
    trio.cut.insert(2);
    trio.write(0, 7);
    trio.run();
    trio.pass(500);
    trio.commit();
    trio.cut.clear();
    trio.tell(2, Event::Known(trio.record.clone().into()));
    trio.pass(100);
    assert_eq!(trio.proposals, [(3, Change::Add(id(2)))], "I3");

    trio.cut.insert(2);
    trio.write(0, 8);
    trio.run();
    assert_eq!(trio.done(), [7], "I2");
    trio.tell(0, Event::Refused { version: 3 });
    assert_eq!(trio.done(), [7, 8], "it can commit no more");
}

#[test]
fn what_comes_while_disks_and_links_are_busy_is_gathered_into_one_block() {
    let mut trio = trio();
    trio.cut.extend([1, 2]);
    (1..=9).for_each(|ticket| trio.write(0, ticket));
    let blocks = trio.net.iter().filter(|(_, to, message)| *to == 1 && matches!(message, Message::Append { .. }));
    assert_eq!(blocks.count(), 4, "the pipeline is full");
    assert_eq!(trio.ends()[0], position(1, 5));

    trio.cut.clear();
    trio.run();
    assert_eq!((trio.ends(), trio.done().len()), ([position(1, 10); 3], 9));
    let block = trio.replicas[0].log().block_of(LogSequence(6)).unwrap();
    assert_eq!(block.len(), 5);
}

#[test]
fn answers_wait_for_the_view_of_the_session() {
    let mut trio = trio();
    trio.tell(0, Event::View(None));
    trio.write(0, 7);
    trio.run();
    assert_eq!((trio.done(), trio.replicas[0].mark()), (vec![], LogSequence(2)), "V2");
    trio.tell(0, Event::View(Some(Time::MAX)));
    assert_eq!(trio.done(), [7]);
}

#[test]
fn a_follower_serves_nobody_and_names_the_owner() {
    let mut trio = trio();
    trio.write(1, 7);
    assert_eq!(trio.replies, [(7, Reply::NotServing { owner: Some(process(0).node) })]);
}

#[test]
fn nothing_that_a_peer_says_cuts_off_what_is_acknowledged() {
    let mut trio = trio();
    trio.write(0, 7);
    trio.run();
    trio.pass(20);
    let before = trio.replicas[1].log().clone();
    assert_eq!(trio.replicas[1].mark(), LogSequence(2));
    let hostile = Block::start(position(9, 1)).into();
    let message =
        Message::Append { epoch: epoch(9), before: Position::default(), mark: LogSequence(0), block: Some(hostile) };
    trio.tell(1, Event::Message { from: id(2), message });
    assert_eq!(trio.replicas[1].log(), &before, "L4");
}

#[test]
fn a_mark_counts_no_further_than_the_message_has_shown_to_agree() {
    let mut trio = trio();
    trio.cut.extend([1, 2]);
    trio.write(0, 7);
    trio.run();
    assert_eq!(trio.ends()[0], position(1, 2));
    let message = Message::Append { epoch: epoch(2), before: position(1, 1), mark: LogSequence(2), block: None };
    trio.tell(0, Event::Message { from: id(1), message });
    assert_eq!(trio.replicas[0].mark(), LogSequence(1), "L5");
}

#[test]
fn who_catches_up_gets_what_was_written_one_by_one_in_one_piece_and_every_entry_under_its_name() {
    let mut trio = trio();
    trio.cut.insert(2);
    trio.write(0, 7);
    trio.run();
    trio.pass(500);
    trio.commit();
    (8..=15).for_each(|ticket| {
        trio.write(0, ticket);
        trio.run();
    });
    trio.grant(1);
    trio.run();
    trio.write(1, 16);
    trio.run();
    assert_eq!(trio.replicas[1].log().block_of(LogSequence(9)).unwrap().len(), 1);

    trio.cut.clear();
    trio.publish();
    trio.pass(100);
    let [_, owner, newcomer] = [0, 1, 2].map(|node| trio.replicas[node].log());
    assert_eq!(newcomer.last(), position(2, 12));
    for at in (1..=12).map(LogSequence) {
        assert_eq!((newcomer.entry(at), newcomer.epoch_at(at)), (owner.entry(at), owner.epoch_at(at)), "L1");
    }
    assert_eq!(newcomer.block_of(LogSequence(9)).unwrap().len(), 9, "Z1");
    assert_eq!(trio.replicas[2].service(), trio.replicas[1].service());
}
