//! The journal trimmed: what a member writes again before its old records go.

use super::super::wire::Record;
use super::super::{Reply, Request};
use super::world::World;
use crate::codec::decode_value;
use alloc::vec::Vec;

fn trims(world: &mut World, host: usize) {
    world.trims(host);
    world.runs_until(5_000, |world| world.is_trimmed(host));
}

fn kept(world: &World, host: usize) -> Vec<Record> {
    let it = &world.hosts[host];
    it.journal[it.first..].iter().map(|bytes| decode_value(bytes).unwrap()).collect()
}

#[test]
fn a_member_whose_old_records_are_gone_comes_back_as_it_was() {
    let mut world = World::founded(1, 3, 3);
    for value in 0..30u8 {
        world.commits(&[value]);
    }
    world.agree(&[0, 1, 2]);
    world.runs_for(200);
    let before: Vec<_> = (0..3).map(|host| (world.hosts[host].disk.promised(), world.state(host).clone())).collect();
    for host in 0..3 {
        trims(&mut world, host);
        assert!(!kept(&world, host).iter().any(|record| matches!(record, Record::Founded { .. })));
        world.crashes(host);
    }
    (0..3).for_each(|host| world.starts(host));
    for (host, (promised, state)) in before.into_iter().enumerate() {
        assert_eq!(world.hosts[host].disk.promised(), promised);
        assert_eq!(*world.state(host), state);
    }
    world.commits(b"after");
    world.agree(&[0, 1, 2]);
}

#[test]
fn a_group_that_does_nothing_is_trimmed_again_and_again_and_does_not_grow() {
    let mut world = World::founded(2, 3, 3);
    for value in 0..20u8 {
        world.commits(&[value]);
    }
    world.runs_for(500);
    let mut sizes = Vec::new();
    for _ in 0..5 {
        trims(&mut world, 0);
        sizes.push(kept(&world, 0).len());
    }
    assert!(sizes.iter().all(|size| *size <= 8), "{sizes:?}");
}

#[test]
fn a_checkpoint_takes_many_small_steps() {
    let mut world = World::founded(3, 1, 1);
    for value in 0..60u8 {
        world.commits(&[value]);
    }
    world.runs_for(100);
    world.most_writes = 0;
    trims(&mut world, 0);
    assert!(kept(&world, 0).len() > 10, "twelve pieces");
    assert!(world.most_writes <= 3, "one event wrote {} records", world.most_writes);
}

#[test]
fn entries_that_are_not_committed_are_waited_for() {
    let mut world = World::founded(4, 3, 3);
    world.commits(b"before");
    let leader = world.elects();
    world.cut_off(leader);
    world.proposes(leader, b"nobody else has it");
    world.trims(leader);
    world.runs_for(200);
    assert!(!world.is_trimmed(leader));
    world.cut.clear();
    world.runs_until(10_000, |world| world.is_trimmed(leader));
    world.commits(b"after");
    world.agree(&[0, 1, 2]);
}

#[test]
fn entries_written_while_a_checkpoint_is_made_are_kept() {
    for seed in 0..20 {
        let mut world = World::founded(500 + seed, 3, 3);
        for value in 0..40u8 {
            world.commits(&[value]);
        }
        for host in 0..3 {
            world.trims(host);
        }
        for value in 0..10u8 {
            world.commits(&[100 + value]);
        }
        world.runs_until(5_000, |world| (0..3).all(|host| world.is_trimmed(host)));
        (0..3).for_each(|host| world.crashes(host));
        (0..3).for_each(|host| world.starts(host));
        world.elects();
        world.agree(&[0, 1, 2]);
        assert_eq!(world.state(0).values.len(), 50);
    }
}

#[test]
fn a_crash_at_any_moment_of_a_checkpoint_loses_nothing() {
    for moment in 0..40 {
        let mut world = World::founded(600 + moment, 3, 3);
        for value in 0..40u8 {
            world.commits(&[value]);
        }
        world.agree(&[0, 1, 2]);
        world.trims(0);
        world.runs_for(moment / 2);
        world.crashes(0);
        world.starts(0);
        trims(&mut world, 0);
        world.crashes(0);
        world.starts(0);
        world.commits(b"after");
        world.agree(&[0, 1, 2]);
    }
}

#[test]
fn who_was_removed_knows_who_it_was_when_its_old_records_are_gone() {
    let mut world = World::founded(7, 4, 3);
    let leader = world.elects();
    let removed = (leader + 1) % 3;
    let (add, remove) = ([world.voter(3)].to_vec(), [world.hosts[removed].node].to_vec());
    let ticket = world.asks(leader, Request::Change { add, remove });
    world.runs_until(20_000, |world| world.replies.contains_key(&ticket));
    assert!(matches!(world.replies[&ticket], Ok(Reply::Changed(_))));
    world.runs_for(1_000);
    let seats = world.hosts[removed].disk.seats().clone();
    assert_eq!(seats.len(), 1);
    trims(&mut world, removed);
    world.crashes(removed);
    world.starts(removed);
    assert_eq!(*world.hosts[removed].disk.seats(), seats);
}

#[test]
fn a_member_that_has_nothing_yet_is_trimmed_too() {
    let mut world = World::founded(8, 5, 3);
    let leader = world.elects();
    let add = [3, 4].map(|host| world.voter(host)).to_vec();
    let ticket = world.asks(leader, Request::Change { add, remove: Vec::new() });
    world.runs_until(10_000, |world| !world.hosts[3].journal.is_empty());
    world.trims(3);
    world.runs_until(20_000, |world| world.replies.contains_key(&ticket) && world.is_trimmed(3));
    world.crashes(3);
    world.starts(3);
    world.commits(b"after");
    world.agree(&[0, 1, 2, 3, 4]);
}
