//! How a mesh comes about.

use super::solo::Solo;
use super::world::World;
use super::*;
use crate::envelope::Class;

#[test]
fn three_nodes_find_one_another_through_one_seed() {
    let mut world = World::new(Settings::default());
    world.add_all(3);
    (0..3).for_each(|host| world.start(host));
    world.until(secs(2), |world| (0..3).all(|host| world.machine(host).table.len() == 3));
    assert!(world.all_alive());
    world.until(secs(2), World::all_agree);
}

#[test]
fn twenty_nodes_that_start_at_once_know_everybody_soon() {
    let mut world = World::new(Settings::default());
    world.add_all(20);
    (0..20).for_each(|host| world.start(host));
    world.until(secs(5), |world| (0..20).all(|host| world.machine(host).table.members() == 20));
    world.always(secs(10), World::all_alive);
    assert!(world.all_agree());
}

#[test]
fn a_newcomer_is_known_to_everybody_within_two_seconds() {
    let mut world = World::mesh(20);
    let newcomer = world.add();
    world.start(newcomer);
    world.until(secs(2), |world| world.all_hold(newcomer, Status::Alive));
    world.until(secs(2), |world| world.machine(newcomer).table.members() == 21);
}

#[test]
fn a_newcomer_never_holds_the_dead_or_the_gone_to_be_alive() {
    let mut world = World::mesh(6);
    world.crash(5);
    world.ask(4, Request::Leave);
    world.until(secs(40), |world| {
        world.all_hold(4, Status::Left) && (0..4).all(|host| world.status(host, 5) == Some(Status::Dead))
    });
    world.crash(4);
    let newcomer = world.add();
    world.start(newcomer);
    world.always(secs(60), |world| {
        world.running().all(|host| [4, 5].iter().all(|gone| world.status(host, *gone).is_none_or(|it| !it.is_member())))
    });
    assert!(world.all_hold(newcomer, Status::Alive));
}

#[test]
fn a_newcomer_is_found_although_a_fifth_of_the_datagrams_are_lost() {
    let mut world = World::mesh(10);
    world.loss = 20;
    let newcomer = world.add();
    world.start(newcomer);
    world.until(secs(5), |world| world.all_hold(newcomer, Status::Alive));
}

#[test]
fn a_seed_that_comes_late_is_found() {
    let mut world = World::new(Settings::default());
    world.add_all(3);
    world.start(1);
    world.start(2);
    world.run(secs(30));
    assert_eq!(world.machine(1).table.len(), 1, "there was nobody to be found");
    world.start(0);
    world.until(secs(4), |world| world.all_alive() && world.all_agree());
}

#[test]
fn two_halves_that_never_met_are_joined_by_their_seeds() {
    let mut world = World::new(Settings::default());
    world.add_all(6);
    (0..6).for_each(|host| world.seeds(host, &[0, 3]));
    world.split(&[0, 1, 2], &[3, 4, 5]);
    (0..6).for_each(|host| world.start(host));
    world.run(secs(20));
    assert_eq!(world.machine(1).table.len(), 3);
    world.heal();
    world.until(secs(500), |world| world.all_alive() && world.all_agree());
}

#[test]
fn a_node_looks_for_seeds_only_once_it_may_speak() {
    let mut solo = Solo::silent(Settings::default());
    let actions = solo.begin();
    assert!(matches!(actions[..], [Action::Write(_)]), "{actions:?}");
    assert!(solo.sync().iter().any(|action| matches!(action, Action::Seek)));
}

#[test]
fn a_node_without_anybody_stays_quiet_and_keeps_looking() {
    let mut solo = Solo::started(Settings::default());
    let actions = solo.wait(secs(60));
    assert!(solo::sent(&actions).next().is_none());
    assert!(actions.iter().filter(|action| matches!(action, Action::Seek)).count() >= 30);
}

#[test]
fn what_the_first_exchange_brings_is_no_news_to_others() {
    // Given a newcomer that has opened its exchange with the seed,
    let mut solo = Solo::started(Settings::default());
    let opened = solo.handle(Event::Found { node: node(1), endpoint: endpoint(1) });
    let exchange = solo::sent(&opened)
        .find_map(|(_, message)| match message {
            Message::SyncDigests { exchange, .. } => Some(*exchange),
            _ => None,
        })
        .expect("it opens one");
    // When the seed knows a hundred others,
    let members = (1..=100).map(|index| member(index, 1, 1)).collect();
    solo.hears_by(1, Class::Control, Message::SyncMembers { exchange, members });
    // Then only the newcomer's own word is passed on.
    assert_eq!((solo.machine.table.len(), solo.machine.rumors.len()), (101, 1));
}

#[test]
fn the_mesh_is_silent_once_everything_is_told() {
    let mut world = World::mesh(10);
    let (before, rounds) = (world.packets, 20);
    world.run(secs(rounds));
    // A ping and an acknowledgement each round, and a few exchanges.
    assert!(world.packets - before <= 10 * rounds * 2 + 10 * rounds, "{} packets", world.packets - before);
}
