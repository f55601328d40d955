//! Keys: none is used before everybody can open it, none is dropped while somebody seals with it.

use super::solo::{ME, Solo};
use super::*;
use crate::envelope::KeyChange;
use crate::identity::RequestId;

/// Nodes 1 to 3 hold the given keys; this node holds 1 and 2, and seals with 1.
fn among(rings: [&[u16]; 3]) -> Solo {
    let mut solo = Solo::among(3);
    solo.handle(Event::Keys(keys(&[1, 2])));
    (1..).zip(rings).for_each(|(index, ring)| holds(&mut solo, index, ring));
    solo
}

fn holds(solo: &mut Solo, index: usize, ring: &[u16]) {
    let version = solo.machine.table.row(node(index)).map_or(0, |row| row.edition().version);
    let mut told = member(index, 1, version + 1);
    Arc::make_mut(&mut told.description).keys = keys(ring);
    solo.hears(index, introduction([told]));
}

fn wants(solo: &mut Solo, request: Request) -> (Option<KeyChange>, Reply) {
    let actions = solo.handle(Event::Request(RequestId(1), request));
    let change = actions.iter().find_map(|action| match action {
        Action::Keyring(change) => Some(*change),
        _ => None,
    });
    let reply = actions.into_iter().find_map(|action| match action {
        Action::Reply(_, reply) => Some(reply),
        _ => None,
    });
    (change, reply.expect("an answer"))
}

fn using(id: u16, force: bool) -> Request {
    Request::UseKey { id: KeyId(id), force }
}

fn removing(id: u16, force: bool) -> Request {
    Request::RemoveKey { id: KeyId(id), force }
}

#[test]
fn a_key_is_used_once_everybody_holds_it() {
    let mut solo = among([&[1, 2], &[1, 2], &[1]]);
    let refusal = Refusal::NotCovered { id: KeyId(2), missing: 1 };
    assert_eq!(wants(&mut solo, using(2, false)), (None, Reply::Refused(refusal)));
    holds(&mut solo, 3, &[1, 2]);
    assert_eq!(wants(&mut solo, using(2, false)), (Some(KeyChange::Use(KeyId(2))), Reply::KeyChanged));
}

#[test]
fn the_unreachable_count_and_those_who_left_do_not() {
    let mut solo = among([&[1, 2], &[1, 2], &[1]]);
    solo.hears(1, gossip([opinion(3, Status::Dead, 1, 1)]));
    assert!(matches!(wants(&mut solo, using(2, false)).1, Reply::Refused(Refusal::NotCovered { missing: 1, .. })));
    solo.hears(1, gossip([opinion(3, Status::Left, 1, 3)]));
    assert_eq!(wants(&mut solo, using(2, false)).1, Reply::KeyChanged);
}

#[test]
fn force_uses_a_key_that_somebody_lacks() {
    let mut solo = among([&[1], &[1], &[1]]);
    assert_eq!(wants(&mut solo, using(2, true)), (Some(KeyChange::Use(KeyId(2))), Reply::KeyChanged));
}

#[test]
fn a_key_that_is_not_here_is_neither_used_nor_removed() {
    let mut solo = among([&[1, 9], &[1, 9], &[1, 9]]);
    for request in [using(9, true), removing(9, true)] {
        assert_eq!(wants(&mut solo, request), (None, Reply::Refused(Refusal::UnknownKey(KeyId(9)))));
    }
}

#[test]
fn a_key_is_removed_once_nobody_seals_with_it() {
    let mut solo = among([&[2, 1], &[2, 1], &[1, 2]]);
    solo.handle(Event::Keys(keys(&[2, 1])));
    let refusal = Refusal::InUse { id: KeyId(1), users: 1 };
    assert_eq!(wants(&mut solo, removing(1, false)), (None, Reply::Refused(refusal)));
    holds(&mut solo, 3, &[2, 1]);
    assert_eq!(wants(&mut solo, removing(1, false)), (Some(KeyChange::Remove(KeyId(1))), Reply::KeyChanged));
}

#[test]
fn force_removes_a_key_that_others_seal_with_but_never_the_own() {
    let mut solo = among([&[2, 1], &[2, 1], &[2, 1]]);
    assert_eq!(wants(&mut solo, removing(2, true)), (Some(KeyChange::Remove(KeyId(2))), Reply::KeyChanged));
    assert!(matches!(wants(&mut solo, removing(1, true)).1, Reply::Refused(Refusal::InUse { .. })));
}

#[test]
fn a_changed_ring_is_told() {
    let mut solo = Solo::among(3);
    let before = solo.machine.own_member().expect("itself");
    solo.handle(Event::Keys(keys(&[1, 5])));
    let after = solo.machine.own_member().expect("itself");
    assert!(after.description.version > before.description.version);
    assert_eq!(after.description.keys, keys(&[1, 5]));
    solo.handle(Event::Keys(keys(&[1, 5])));
    assert_eq!(solo.machine.own_member(), Some(after), "the same ring is no news");
    assert_eq!(solo.view(ME).link, Link::Own);
}
