//! Every rule of the gate, as a story.

use super::*;
use alloc::vec;
use alloc::vec::Vec;

const NOW: Time = Time::from_nanos(100);

fn released(gate: &mut Gate<&'static str>, now: Time) -> Vec<Release<&'static str>> {
    core::iter::from_fn(|| gate.release(now)).collect()
}

#[test]
fn a_reply_waits_for_the_write_of_its_own_step() {
    let mut gate = Gate::new();
    let write = gate.wrote();
    gate.hold(None, "appended");
    gate.close_step();
    assert_eq!(released(&mut gate, NOW), vec![]);
    gate.persisted(write);
    assert_eq!(released(&mut gate, NOW), vec![Release::Leave("appended")]);
}

#[test]
fn a_read_that_wrote_nothing_waits_for_the_write_it_may_show() {
    let mut gate = Gate::new();
    let write = gate.wrote();
    gate.close_step();
    gate.hold(None, "entries");
    gate.close_step();
    assert_eq!(released(&mut gate, NOW), vec![]);
    gate.persisted(write);
    assert_eq!(released(&mut gate, NOW), vec![Release::Leave("entries")]);
}

#[test]
fn a_write_after_the_reply_in_the_same_step_counts_too() {
    let mut gate = Gate::new();
    gate.hold(None, "reply");
    let write = gate.wrote();
    gate.close_step();
    assert_eq!(released(&mut gate, NOW), vec![]);
    gate.persisted(write);
    assert_eq!(released(&mut gate, NOW), vec![Release::Leave("reply")]);
}

#[test]
fn with_nothing_unsynced_an_action_leaves_at_once() {
    let mut gate = Gate::new();
    gate.hold(None, "pong");
    gate.close_step();
    assert_eq!(released(&mut gate, NOW), vec![Release::Leave("pong")]);
}

#[test]
fn a_step_that_is_still_under_way_releases_nothing() {
    let mut gate = Gate::new();
    gate.hold(None, "early");
    assert_eq!(released(&mut gate, NOW), vec![]);
}

#[test]
fn a_later_write_does_not_hold_an_earlier_action_back() {
    let mut gate = Gate::new();
    let first = gate.wrote();
    gate.hold(None, "first");
    gate.close_step();
    gate.wrote();
    gate.hold(None, "second");
    gate.close_step();
    gate.persisted(first);
    assert_eq!(released(&mut gate, NOW), vec![Release::Leave("first")]);
    assert_eq!(gate.len(), 1);
}

#[test]
fn release_keeps_the_order_across_steps() {
    let mut gate = Gate::new();
    gate.wrote();
    gate.hold(None, "a");
    gate.close_step();
    gate.hold(None, "b");
    gate.close_step();
    let last = gate.wrote();
    gate.hold(None, "c");
    gate.close_step();
    gate.persisted(last);
    assert_eq!(released(&mut gate, NOW), ["a", "b", "c"].map(Release::Leave).to_vec());
}

#[test]
fn an_action_that_would_leave_too_late_is_handed_back() {
    let mut gate = Gate::new();
    let write = gate.wrote();
    gate.hold(Some(NOW), "granted");
    gate.hold(Some(NOW + crate::time::Duration::from_nanos(1)), "still good");
    gate.close_step();
    gate.persisted(write);
    let just_after = NOW + crate::time::Duration::from_nanos(1);
    assert_eq!(released(&mut gate, just_after), vec![Release::Late("granted"), Release::Leave("still good")]);
}

#[test]
fn the_last_permitted_instant_is_still_in_time() {
    let mut gate = Gate::new();
    gate.hold(Some(NOW), "granted");
    gate.close_step();
    assert_eq!(released(&mut gate, NOW), vec![Release::Leave("granted")]);
}

#[test]
fn reports_of_durability_never_take_one_back() {
    let mut gate: Gate<()> = Gate::new();
    gate.wrote();
    gate.wrote();
    gate.persisted(WriteNumber(2));
    gate.persisted(WriteNumber(1));
    assert_eq!(gate.durable(), WriteNumber(2));
}

#[test]
#[should_panic(expected = "write 1 was reported durable")]
fn a_driver_that_vouches_for_what_it_was_not_given_is_stopped() {
    Gate::<()>::new().persisted(WriteNumber(1));
}
