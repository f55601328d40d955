//! Voters added, replaced and removed while the group works.

use super::super::{Refusal, Reply, Request};
use super::world::World;
use alloc::vec::Vec;

fn changes(world: &mut World, add: &[usize], remove: &[usize]) -> Result<usize, Refusal> {
    for _ in 0..50 {
        let leader = world.elects();
        let add: Vec<_> = add.iter().map(|host| world.voter(*host)).collect();
        let remove: Vec<_> = remove.iter().map(|host| world.hosts[*host].node).collect();
        let ticket = world.asks(leader, Request::Change { add, remove });
        world.runs_until(60_000, |world| world.replies.contains_key(&ticket));
        match &world.replies[&ticket] {
            Ok(Reply::Changed(members)) => return Ok(members.voters().count()),
            Err(Refusal::NotLeader { .. } | Refusal::Lost { .. } | Refusal::Busy) => world.runs_for(200),
            Err(refusal) => return Err(*refusal),
            Ok(other) => panic!("{other:?}"),
        }
    }
    panic!("the voters were never changed: {:?}", world.statuses());
}

#[test]
fn a_group_grows_to_three_and_five_and_shrinks_again() {
    let mut world = World::founded(1, 5, 1);
    world.commits(b"one");
    assert_eq!(changes(&mut world, &[1, 2], &[]), Ok(3));
    world.commits(b"three");
    assert_eq!(changes(&mut world, &[3, 4], &[]), Ok(5));
    world.commits(b"five");
    world.agree(&[0, 1, 2, 3, 4]);
    assert_eq!(changes(&mut world, &[], &[0, 1]), Ok(3));
    world.commits(b"three again");
    world.agree(&[2, 3, 4]);
    assert_eq!(changes(&mut world, &[], &[2, 3]), Ok(1));
    world.commits(b"one again");
    assert_eq!(world.state(4).values.len(), 5);
}

#[test]
fn every_voter_is_replaced_under_load() {
    let mut world = World::founded(2, 6, 3);
    let mut values = 0;
    for (old, new) in [(0, 3), (1, 4), (2, 5)] {
        for _ in 0..20 {
            values += 1;
            world.commits(&[values]);
        }
        assert_eq!(changes(&mut world, &[new], &[old]), Ok(3));
    }
    world.commits(b"last");
    world.agree(&[3, 4, 5]);
    assert_eq!(world.state(3).values.len(), 61);
    // Those who left know it, and leave the others in peace.
    let term = world.status(3).unwrap().term;
    world.runs_for(20_000);
    assert_eq!(world.status(3).unwrap().term, term);
}

#[test]
fn the_only_voter_is_replaced() {
    let mut world = World::founded(3, 2, 1);
    world.commits(b"one");
    assert_eq!(changes(&mut world, &[1], &[0]), Ok(1));
    world.commits(b"two");
    assert_eq!(world.leader(), Some(1));
}

#[test]
fn asked_again_what_is_done_is_done() {
    let mut world = World::founded(4, 3, 1);
    assert_eq!(changes(&mut world, &[1, 2], &[]), Ok(3));
    let last = world.status(world.leader().unwrap()).unwrap().last;
    assert_eq!(changes(&mut world, &[1, 2], &[]), Ok(3));
    assert_eq!(world.status(world.leader().unwrap()).unwrap().last, last, "nothing was written");
}

#[test]
fn impossible_voters_are_refused() {
    let mut world = World::founded(5, 5, 3);
    assert_eq!(changes(&mut world, &[3], &[]), Err(Refusal::BadVoters), "four");
    assert_eq!(changes(&mut world, &[], &[0]), Err(Refusal::BadVoters), "two");
    assert_eq!(changes(&mut world, &[], &[0, 1, 2]), Err(Refusal::BadVoters), "none");
}

#[test]
fn a_node_that_does_not_answer_gets_no_vote() {
    let mut world = World::founded(6, 4, 3);
    world.elects();
    world.cut_off(3);
    assert_eq!(changes(&mut world, &[3], &[0]), Err(Refusal::TooSlow));
    let members = world.status(world.leader().unwrap()).unwrap().members;
    assert_eq!((members.voters().count(), members.iter().count()), (3, 4));
    world.commits(b"goes on");
    world.cut.clear();
    assert_eq!(changes(&mut world, &[3], &[0]), Ok(3), "asked again");
    // Who learned in vain can be let go.
    world.cut_off(0);
    assert_eq!(changes(&mut world, &[0], &[1]), Err(Refusal::TooSlow));
    assert_eq!(changes(&mut world, &[], &[0]), Ok(3));
    assert_eq!(world.status(world.leader().unwrap()).unwrap().members.iter().count(), 3);
}

#[test]
fn a_change_survives_the_crash_of_its_leader_at_any_moment() {
    for moment in 0..40 {
        let mut world = World::founded(100 + moment, 5, 3);
        let leader = world.elects();
        let (add, remove) =
            ([world.voter(3), world.voter(4)].to_vec(), [1, 2].map(|n| world.hosts[(leader + n) % 3].node));
        world.asks(leader, Request::Change { add, remove: remove.to_vec() });
        world.runs_for(moment);
        world.crashes(leader);
        world.runs_for(1_500);
        world.starts(leader);
        world.commits(b"goes on");
        assert_eq!(changes(&mut world, &[3, 4], &[(leader + 1) % 3, (leader + 2) % 3]), Ok(3));
        world.agree(&[leader, 3, 4]);
    }
}

#[test]
fn who_was_removed_and_comes_back_with_the_same_store_is_a_new_member() {
    let mut world = World::founded(7, 4, 3);
    let leader = world.elects();
    let removed = (leader + 1) % 3;
    world.runs_for(200);
    assert_eq!(changes(&mut world, &[3], &[removed]), Ok(3));
    world.runs_for(500);
    assert_eq!(changes(&mut world, &[removed], &[3]), Ok(3));
    world.commits(b"together");
    world.agree(&[0, 1, 2]);
    assert_eq!(world.status(removed).unwrap().id.0, 5);
}
