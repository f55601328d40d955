//! Disks and processes: what is said rests on what is durable, and what was durable comes back.

use super::super::{Reply, Request};
use super::world::World;
use crate::time::Duration;
use alloc::vec::Vec;

#[test]
fn a_member_that_restarts_has_what_it_had() {
    let mut world = World::founded(1, 3, 3);
    for value in 0..20u8 {
        world.commits(&[value]);
    }
    world.agree(&[0, 1, 2]);
    let before = world.state(2).clone();
    (0..3).for_each(|host| world.crashes(host));
    (0..3).for_each(|host| world.starts(host));
    world.commits(b"after");
    world.agree(&[0, 1, 2]);
    let state = world.state(0);
    assert_eq!(state.values[..20], before.values[..]);
}

#[test]
fn a_vote_waits_for_the_disk() {
    let mut world = World::founded(2, 3, 3);
    world.runs_for(20);
    // Given disks that do not sync,
    (0..3).for_each(|host| world.hosts[host].disk_stalled = true);
    world.runs_for(5_000);
    // Then nobody is elected (a vote that left would be noticed by the watch),
    assert_eq!(world.leader(), None);
    assert_eq!(world.watch.checks.votes, 0);
    // And once they do, somebody is.
    (0..3).for_each(|host| world.hosts[host].disk_stalled = false);
    (0..3).for_each(|host| world.syncs(host));
    world.elects();
    assert!(world.watch.checks.votes > 0);
}

#[test]
fn a_leader_does_not_count_what_only_its_memory_holds() {
    let mut world = World::founded(3, 3, 3);
    let leader = world.elects();
    let other = (leader + 1) % 3;
    world.runs_for(100);
    // Given a leader and one other, whose disks stall,
    world.hosts[leader].disk_stalled = true;
    world.hosts[other].disk_stalled = true;
    let ticket = world.proposes(leader, b"x");
    world.runs_for(250);
    // Then the third alone commits nothing.
    assert!(!world.replies.contains_key(&ticket));
    // One more disk is enough, be it not the leader's own.
    world.hosts[other].disk_stalled = false;
    world.syncs(other);
    world.runs_until(200, |world| world.status(leader).unwrap().committed > world.state(leader).applied.index);
    assert!(!world.replies.contains_key(&ticket), "applied only when it is on this disk, too");
    world.hosts[leader].disk_stalled = false;
    world.syncs(leader);
    world.runs_until(200, |world| world.replies.contains_key(&ticket));
    assert!(matches!(world.replies[&ticket], Ok(Reply::Done { .. })));
}

#[test]
fn a_leader_alone_says_nothing_before_its_term_is_durable() {
    let mut world = World::founded(4, 2, 1);
    world.elects();
    // With a learner to speak to,
    let add = [world.voter(1)].to_vec();
    world.asks(0, Request::Change { add, remove: Vec::new() });
    world.runs_for(2_000);
    assert_eq!(world.status(0).unwrap().members.iter().count(), 1, "two voters are refused");
    for round in 0..50 {
        world.crashes(0);
        world.starts(0);
        world.runs_for(100 + round * 13);
    }
    world.commits(b"x");
}

#[test]
fn who_lost_its_disk_is_nobody_until_it_is_added_anew() {
    let mut world = World::founded(5, 3, 3);
    world.commits(b"kept");
    let leader = world.elects();
    let (lost, other) = ((leader + 1) % 3, (leader + 2) % 3);
    world.runs_for(200);
    world.loses_disk(lost);
    world.starts(lost);
    // Given that one more is away: two of three remember nothing of the entry or are away,
    world.crashes(other);
    world.runs_for(5_000);
    // Then nobody leads, though the one that came back would vote if it were asked.
    assert_eq!(world.leader(), None);
    assert!(world.status(lost).is_none(), "it is no member");
    // And when the other one returns, everything goes on.
    world.starts(other);
    world.commits(b"more");
    // The operator replaces the voter: the same node, another store.
    let leader = world.elects();
    let (add, remove) = ([world.voter(lost)].to_vec(), [world.hosts[lost].node].to_vec());
    let ticket = world.asks(leader, Request::Change { add, remove });
    world.runs_until(10_000, |world| world.replies.contains_key(&ticket));
    assert!(matches!(&world.replies[&ticket], Ok(Reply::Changed(members)) if members.voters().count() == 3));
    world.agree(&[0, 1, 2]);
    assert_eq!(world.state(lost).values, [&b"kept"[..], b"more"]);
}

#[test]
fn a_stalled_disk_of_a_follower_holds_nobody_up() {
    let mut world = World::founded(6, 3, 3);
    let leader = world.elects();
    world.hosts[(leader + 1) % 3].disk_stalled = true;
    let began = world.now;
    for value in 0..50u8 {
        world.commits(&[value]);
    }
    assert!(world.now.since(began) < Duration::from_secs(1));
    assert_eq!(world.leader(), Some(leader));
}

#[test]
fn a_crash_while_a_group_is_founded_leaves_all_or_nothing() {
    for seed in 0..30 {
        let mut world = World::founded(700 + seed, 3, 3);
        // Given that any part of what the founders stored is lost,
        (0..3).for_each(|host| world.crashes(host));
        (0..3).for_each(|host| world.starts(host));
        // When the operator, who was not answered, asks again,
        for host in 0..3 {
            assert!(matches!(world.founds(host, &[0, 1, 2]), Ok(Reply::Founded(_))));
        }
        // Then there is a group.
        world.commits(b"x");
        world.agree(&[0, 1, 2]);
    }
}

#[test]
fn who_is_left_alone_does_not_lead_before_all_it_has_is_durable() {
    let mut caught = 0;
    for seed in 0..20 {
        let mut world = World::founded(800 + seed, 2, 1);
        world.elects();
        let (add, remove) = ([world.voter(1)].to_vec(), [world.hosts[0].node].to_vec());
        world.asks(0, Request::Change { add, remove });
        world.weather.sync = (100, 20_000);
        // Given a voter that takes over all by itself, while entries are on their way to its disk,
        let is_alone = |world: &World| {
            world.status(1).is_some_and(|it| {
                it.members.voters().count() == 1 && it.members.iter().count() == 1 && !it.members.is_joint()
            }) && world.status(1).is_some_and(|it| it.members.get(it.id).is_some())
        };
        for value in 0..3_000u32 {
            if is_alone(&world) {
                break;
            }
            world.proposes(0, &value.to_le_bytes());
            world.runs_for(1);
        }
        assert!(is_alone(&world));
        // When its disk stalls for longer than any election takes,
        world.hosts[1].disk_stalled = true;
        world.runs_for(3_000);
        // Then it waits, unless the last sync was under way and left nothing,
        caught += usize::from(world.leader() != Some(1));
        // and leads when everything is there.
        world.hosts[1].disk_stalled = false;
        world.syncs(1);
        world.commits(b"alone");
    }
    assert!(caught > 0, "nothing was ever on its way to the disk");
}
