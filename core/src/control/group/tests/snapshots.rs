//! The log compacted, and members brought up by snapshots in pieces.

use super::super::{Reply, Request};
use super::world::World;
use alloc::vec::Vec;

fn small_logs(seed: u64, nodes: usize, voters: usize) -> World {
    let mut world = World::new(seed, nodes);
    world.settings.bounds.compact_after = 20;
    world.settings.bounds.keep_behind = 5;
    (0..nodes).for_each(|host| world.starts(host));
    world.found(voters);
    world
}

fn commits_many(world: &mut World, values: u8) {
    for value in 0..values {
        world.commits(&[value]);
    }
}

#[test]
fn the_log_stays_short_and_comes_back_from_the_disk() {
    let mut world = small_logs(1, 3, 3);
    commits_many(&mut world, 100);
    world.agree(&[0, 1, 2]);
    world.runs_for(100);
    let before = world.state(0).clone();
    for host in 0..3 {
        let status = world.status(host).unwrap();
        assert!(status.first > 70 && status.last - status.first < 40, "{status:?}");
        world.crashes(host);
    }
    (0..3).for_each(|host| world.starts(host));
    world.elects();
    world.agree(&[0, 1, 2]);
    assert_eq!(world.state(0).values, before.values);
}

#[test]
fn a_member_that_lags_far_behind_gets_a_snapshot() {
    let mut world = small_logs(2, 3, 3);
    let leader = world.elects();
    let other = (leader + 1) % 3;
    world.cut_off(other);
    commits_many(&mut world, 120);
    world.cut.clear();
    world.agree(&[0, 1, 2]);
    assert_eq!(world.installed(other), 1);
    // What it has taken is its own: it comes back from its disk.
    world.crashes(other);
    world.starts(other);
    world.commits(b"after");
    world.agree(&[0, 1, 2]);
    assert_eq!(world.installed(other), 1);
}

#[test]
fn a_snapshot_gets_through_a_bad_network() {
    let mut world = small_logs(3, 3, 3);
    let leader = world.elects();
    let other = (leader + 1) % 3;
    world.cut_off(other);
    commits_many(&mut world, 200);
    world.cut.clear();
    world.weather.loss_percent = 20;
    world.weather.duplicate_percent = 20;
    world.agree(&[0, 1, 2]);
    assert!(world.installed(other) > 0);
}

#[test]
fn a_crash_in_the_middle_of_a_snapshot_begins_it_anew() {
    for moment in 0..30 {
        let mut world = small_logs(400 + moment, 3, 3);
        let leader = world.elects();
        let other = (leader + 1) % 3;
        world.cut_off(other);
        commits_many(&mut world, 100);
        world.cut.clear();
        world.runs_for(60 + moment);
        world.crashes(other);
        world.starts(other);
        world.agree(&[0, 1, 2]);
    }
}

#[test]
fn a_new_voter_of_a_compacted_group_learns_all() {
    let mut world = small_logs(5, 5, 3);
    commits_many(&mut world, 90);
    let leader = world.elects();
    let add: Vec<_> = [3, 4].map(|host| world.voter(host)).to_vec();
    let ticket = world.asks(leader, Request::Change { add, remove: Vec::new() });
    world.runs_until(20_000, |world| world.replies.contains_key(&ticket));
    assert!(matches!(world.replies[&ticket], Ok(Reply::Changed(_))));
    commits_many(&mut world, 30);
    world.agree(&[0, 1, 2, 3, 4]);
}

#[test]
fn work_on_a_snapshot_is_cut_into_steps() {
    let mut world = small_logs(6, 1, 1);
    commits_many(&mut world, 60);
    world.runs_for(100);
    let pieces = world.compactions();
    assert!(pieces.iter().any(|count| *count > 4), "{pieces:?}");
    assert!(world.most_writes <= 4, "one event wrote {} records", world.most_writes);
}

#[test]
fn a_log_of_large_entries_is_compacted_by_its_bytes() {
    let mut world = World::new(7, 3);
    world.settings.bounds.compact_bytes = 50_000;
    (0..3).for_each(|host| world.starts(host));
    world.found(3);
    for value in 0..40u8 {
        world.commits(&[value; 4_000]);
    }
    world.agree(&[0, 1, 2]);
    let status = world.status(0).unwrap();
    assert!(status.last - status.first < 30, "{status:?}");
}
