//! How nodes go, and are forgotten.

use super::solo::{ME, Solo, sent};
use super::world::World;
use super::*;
use crate::machine::Machine;

#[test]
fn who_leaves_is_left_to_nearly_everybody_at_once_and_dead_to_nobody() {
    let mut world = World::mesh(20);
    let asked = world.ask(19, Request::Leave);
    let know = |world: &World| (0..19).filter(|host| world.status(*host, 19) == Some(Status::Left)).count();
    world.until(secs(2), |world| know(world) >= 18);
    world.until(secs(3), |world| world.reply(asked) == Some(&Reply::Left));
    world.crash(19);
    // Whom the news did not reach learns it from an exchange.
    world.until(secs(40), |world| know(world) == 19);
    world.always(secs(60), |world| world.all_hold(19, Status::Left));
    let died = |_: usize, it: &MembershipObservation| {
        matches!(it, MembershipObservation::StatusChanged { status: Status::Dead, .. })
    };
    assert_eq!(world.count(died), 0);
}

#[test]
fn who_comes_back_after_leaving_counts_at_once() {
    let mut world = World::mesh(5);
    world.ask(4, Request::Leave);
    world.until(secs(3), |world| world.all_hold(4, Status::Left));
    world.run(secs(3));
    world.restart(4);
    world.until(secs(3), |world| world.all_hold(4, Status::Alive));
    assert!((0..4).all(|host| world.counts(host, 4)));
}

#[test]
fn who_has_left_is_silent_and_says_so() {
    let mut world = World::mesh(3);
    world.ask(2, Request::Leave);
    world.run(secs(5));
    let before = world.sent(2);
    world.run(secs(60));
    assert_eq!(world.sent(2), before);
    let profile = Profile::default();
    let asked = world.ask(2, Request::Describe { name: "late".into(), profile });
    assert_eq!(world.reply(asked), Some(&Reply::Refused(Refusal::Gone)));
    let again = world.ask(2, Request::Leave);
    assert_eq!(world.reply(again), Some(&Reply::Left));
}

#[test]
fn the_only_node_leaves_at_once() {
    let mut solo = Solo::started(Settings::default());
    assert_eq!(solo.asks(Request::Leave), Reply::Left);
}

#[test]
fn who_asks_twice_is_answered_twice() {
    let mut world = World::mesh(3);
    let asked = [world.ask(2, Request::Leave), world.ask(2, Request::Leave)];
    world.until(secs(3), |world| asked.iter().all(|id| world.reply(*id) == Some(&Reply::Left)));
}

#[test]
fn who_leaves_before_it_may_speak_never_joins() {
    let mut solo = Solo::silent(Settings::default());
    solo.begin();
    assert_eq!(solo.asks(Request::Leave), Reply::Left);
    solo.sync();
    let later = solo.wait(secs(60));
    assert!(sent(&later).next().is_none() && solo.machine.next_deadline().is_none());
}

#[test]
fn a_disk_that_answers_late_does_not_bring_a_leaver_back() {
    // Given a node that owes a refutation for which it has no number yet,
    let mut solo = Solo::among(3);
    solo.hears(1, gossip([opinion(ME, Status::Dead, 5_000, 1)]));
    // When it leaves, and then the disk answers,
    solo.handle(Event::Request(crate::identity::RequestId(1), Request::Leave));
    let late = solo.sync();
    // Then it does not say that it is alive.
    assert_eq!(solo.status(ME), Some(Status::Left));
    assert!(!late.iter().any(|action| matches!(action, Action::Observe(MembershipObservation::Refuted { .. }))));
}

#[test]
fn a_leaver_answers_until_it_is_gone() {
    let mut solo = Solo::among(20);
    solo.handle(Event::Request(crate::identity::RequestId(1), Request::Leave));
    let actions = solo.hears(1, Message::Ping { probe: 3, rumors: Vec::new() });
    assert!(sent(&actions).any(|(_, message)| matches!(message, Message::Ack { probe: 3, .. })));
}

#[test]
fn a_leaver_keeps_its_own_row_when_the_view_is_full() {
    let mut settings = Settings::default();
    settings.bounds.members = 5;
    let mut solo = Solo::among_with(4, settings);
    solo.handle(Event::Request(crate::identity::RequestId(1), Request::Leave));
    solo.hears(1, introduction([member(9, 1, 1)]));
    assert_eq!(solo.status(ME), Some(Status::Left));
}

// --- forgetting -----------------------------------------------------------------------------------------------------

#[test]
fn the_dead_and_the_gone_are_forgotten_in_time_by_everybody() {
    let settings = Settings { dead_retention: secs(120), left_retention: secs(60), ..Settings::default() };
    let mut world = World::mesh_with(6, settings);
    world.crash(5);
    world.ask(4, Request::Leave);
    world.run(secs(40));
    assert!(world.all_hold(5, Status::Dead) || !world.is_up(5));
    world.crash(4);
    let knows = |world: &World, subject| world.running().any(|host| world.status(host, subject).is_some());
    world.until(secs(180), |world| !knows(world, 4));
    world.until(secs(180), |world| !knows(world, 5));
    world.always(secs(120), |world| !knows(world, 4) && !knows(world, 5));
    assert!(world.count(|_, it| matches!(it, MembershipObservation::Forgotten { .. })) >= 4);
}

#[test]
fn who_was_forgotten_may_come_back() {
    let settings = Settings { dead_retention: secs(60), ..Settings::default() };
    let mut world = World::mesh_with(4, settings);
    world.crash(3);
    world.until(secs(400), |world| world.running().all(|host| world.status(host, 3).is_none()));
    world.start(3);
    world.until(secs(4), |world| world.all_alive() && world.all_agree());
}

#[test]
fn the_dead_beyond_their_bound_are_forgotten_the_oldest_first() {
    let mut settings = Settings::default();
    settings.bounds.dead = 3;
    let mut solo = Solo::among_with(10, settings);
    for subject in 5..=10 {
        solo.hears(1, gossip([opinion(subject, Status::Dead, 1, 1)]));
        solo.now = solo.now + ms(1);
    }
    solo.lives_on(secs(31), &[5, 6, 7, 8, 9, 10]);
    let left: Vec<usize> = (5..=10).filter(|subject| solo.status(*subject).is_some()).collect();
    assert_eq!(left, [8, 9, 10]);
}
