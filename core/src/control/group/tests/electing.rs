//! Leaders: elected, followed, confirmed, deposed.

use super::super::{Refusal, Reply, Request, Role, VoterId};
use super::world::World;
use crate::time::{Duration, Time};
use alloc::vec::Vec;

#[test]
fn groups_of_every_size_elect_a_leader_and_commit() {
    for voters in [1, 3, 5, 7] {
        let mut world = World::founded(voters as u64, voters, voters);
        let at = world.commits(b"one");
        assert_eq!((at.index, at.term > 1), (3, true), "after the base and the leader's own entry");
        world.agree(&(0..voters).collect::<Vec<_>>());
        assert_eq!(world.state(0).values, [b"one"]);
    }
}

#[test]
fn founders_that_were_told_different_lists_do_not_meet() {
    let mut world = World::founded(1, 3, 1);
    world.found_with_others();
    world.runs_for(3_000);
    assert!(
        world.status(1).unwrap().leader.is_none()
            || world.status(1).unwrap().members != world.status(0).unwrap().members
    );
}

#[test]
fn a_group_of_two_or_without_this_node_is_not_founded() {
    let mut world = World::new(1, 3);
    (0..3).for_each(|host| world.starts(host));
    for voters in [Vec::new(), [0, 1].to_vec(), [1, 2].to_vec()] {
        assert_eq!(world.founds(0, &voters), Err(Refusal::BadVoters));
    }
    assert!(world.founds(0, &[0]).is_ok());
    assert!(world.founds(0, &[0]).is_ok(), "founded already");
    assert_eq!(world.founds(0, &[0, 1, 2]), Err(Refusal::OtherGroup));
}

#[test]
fn a_leader_that_is_cut_off_is_deposed_and_what_it_had_not_committed_is_not_done() {
    let mut world = World::founded(3, 3, 3);
    let old = world.elects();
    world.commits(b"kept");
    world.cut_off(old);
    let lost = world.proposes(old, b"lost");
    world.runs_until(5_000, |world| world.replies.contains_key(&lost));
    assert!(matches!(world.replies[&lost], Err(Refusal::Lost { .. })));
    let new = world.elects();
    assert_ne!(new, old);
    world.commits(b"later");
    world.cut.clear();
    world.agree(&[0, 1, 2]);
    assert_eq!(world.state(old).values, [&b"kept"[..], b"later"]);
}

#[test]
fn a_leader_of_whom_only_datagrams_get_through_gives_up_once_there_is_something_to_commit() {
    let mut world = World::founded(3, 3, 3);
    let old = world.elects();
    world.commits(b"kept");
    world.without_streams.insert(old);
    world.runs_for(20_000);
    assert_eq!(world.leader(), Some(old), "there was nothing to commit");
    let lost = world.proposes(old, b"lost");
    world.runs_until(10_000, |world| world.replies.contains_key(&lost));
    assert!(matches!(world.replies[&lost], Err(Refusal::Lost { .. })));
    let new = world.elects();
    assert_ne!(new, old);
    world.commits(b"later");
    world.without_streams.clear();
    world.agree(&[0, 1, 2]);
    assert_eq!(world.state(old).values, [&b"kept"[..], b"later"]);
}

#[test]
fn who_comes_back_from_a_partition_deposes_nobody() {
    let mut world = World::founded(4, 3, 3);
    let leader = world.elects();
    let term = world.status(leader).unwrap().term;
    let other = (leader + 1) % 3;
    world.cut_off(other);
    world.runs_for(10_000);
    world.cut.clear();
    world.runs_for(3_000);
    assert_eq!((world.leader(), world.status(leader).unwrap().term), (Some(leader), term), "pre-votes raise no term");
}

#[test]
fn only_a_leader_takes_proposals_and_others_say_who_that_is() {
    let mut world = World::founded(5, 3, 3);
    let leader = world.elects();
    world.runs_for(200);
    let hint = Some(world.hosts[leader].node);
    let ticket = world.proposes((leader + 1) % 3, b"x");
    assert_eq!(world.replies[&ticket], Err(Refusal::NotLeader { hint }));
    let term = world.status(leader).unwrap().term;
    let ticket = world.asks(leader, Request::Propose { entry: b"x"[..].into(), term: Some(term - 1) });
    assert!(matches!(world.replies[&ticket], Err(Refusal::NotLeader { .. })), "it was meant for another term");
    for entry in [&b""[..], super::world::UNKNOWN, &[1; 70_000]] {
        let ticket = world.proposes(leader, entry);
        assert_eq!(world.replies[&ticket], Err(Refusal::BadEntry));
    }
}

#[test]
fn proposals_and_confirmations_under_way_are_bounded() {
    let mut world = World::new(6, 3);
    world.settings.bounds.proposals = 3;
    world.settings.bounds.confirmations = 3;
    (0..3).for_each(|host| world.starts(host));
    world.found(3);
    let leader = world.elects();
    let proposed: Vec<_> = (0..5).map(|n| world.proposes(leader, &[n])).collect();
    let asked: Vec<_> = (0..5).map(|_| world.asks(leader, Request::Confirm)).collect();
    world.runs_for(100);
    let refused = |tickets: &[_]| tickets.iter().filter(|it| world.replies[it] == Err(Refusal::Overloaded)).count();
    assert_eq!((refused(&proposed), refused(&asked)), (2, 2));
}

#[test]
fn a_confirmation_is_a_round_with_a_majority() {
    let mut world = World::founded(7, 3, 3);
    let leader = world.elects();
    world.commits(b"one");
    let ticket = world.asks(leader, Request::Confirm);
    world.runs_until(200, |world| world.replies.contains_key(&ticket));
    let applied = world.state(leader).applied.index;
    assert!(matches!(world.replies[&ticket], Ok(Reply::Confirmed { applied: it, .. }) if it == applied));
    // Cut off, it is never confirmed.
    world.cut_off(leader);
    let ticket = world.asks(leader, Request::Confirm);
    world.runs_until(2_000, |world| world.replies.contains_key(&ticket));
    assert!(matches!(world.replies[&ticket], Err(Refusal::Lost { .. })));
}

#[test]
fn a_confirmation_asked_before_the_first_commit_of_the_term_is_not_lost() {
    let mut world = World::founded(8, 3, 3);
    world.runs_until(5_000, |world| world.leader().is_some());
    let leader = world.leader().unwrap();
    assert!(!world.roles.iter().any(|(_, _, role)| matches!(role, Role::Ready { .. })));
    let ticket = world.asks(leader, Request::Confirm);
    world.runs_until(200, |world| world.replies.contains_key(&ticket));
    assert!(matches!(world.replies[&ticket], Ok(Reply::Confirmed { .. })));
}

#[test]
fn a_lost_round_is_repeated() {
    let mut world = World::founded(9, 3, 3);
    let leader = world.elects();
    world.weather.loss_percent = 100;
    let ticket = world.asks(leader, Request::Confirm);
    world.runs_for(50);
    world.weather.loss_percent = 0;
    world.runs_until(200, |world| world.replies.contains_key(&ticket));
    assert!(matches!(world.replies[&ticket], Ok(Reply::Confirmed { .. })));
}

#[test]
fn leadership_is_handed_over() {
    let mut world = World::founded(10, 3, 3);
    let leader = world.elects();
    world.commits(b"one");
    let heir = (leader + 1) % 3;
    let to = world.hosts[heir].node;
    let ticket = world.asks(leader, Request::Transfer { to });
    assert_eq!(world.replies[&ticket], Ok(Reply::Transferring));
    world.runs_until(100, |world| world.leader() == Some(heir));
    world.commits(b"two");
}

#[test]
fn a_crashed_leader_is_followed_within_the_bound() {
    let mut spans = Vec::new();
    for seed in 0..60 {
        let mut world = World::founded(1_000 + seed, 3, 3);
        let leader = world.elects();
        world.runs_for(500 + seed * 7);
        let crashed = world.now;
        world.crashes(leader);
        world.runs_until(5_000, |world| world.first_ready_since(crashed).is_some());
        spans.push(world.first_ready_since(crashed).unwrap().since(crashed));
    }
    spans.sort();
    let (median, worst) = (spans[30], spans[59]);
    assert!(median <= Duration::from_millis(700), "{median} {worst}");
    assert!(worst <= Duration::from_millis(1_500), "{median} {worst}");
}

#[test]
fn lost_packets_and_short_pauses_depose_nobody() {
    let mut world = World::founded(11, 5, 5);
    let leader = world.elects();
    let term = world.status(leader).unwrap().term;
    world.weather.loss_percent = 1;
    let until = world.now + Duration::from_secs(300);
    while world.now < until {
        let host = world.below(5) as usize;
        world.hosts[host].paused_until = world.now + Duration::from_millis(100);
        world.runs_for(400);
    }
    assert_eq!(world.status(leader).unwrap().term, term);
    assert_eq!(world.leader(), Some(leader));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let run = |seed: u64| {
        let mut world = World::founded(seed, 5, 5);
        world.weather.loss_percent = 5;
        world.commits(b"one");
        let leader = world.elects();
        world.crashes(leader);
        world.runs_for(2_000);
        world.starts(leader);
        world.commits(b"two");
        world.runs_for(1_000);
        world.trace.finalize()
    };
    assert_eq!(run(12), run(12), "though the crate draws from the process's randomness");
    assert_ne!(run(12), run(13));
}

#[test]
fn a_member_knows_its_own_id_and_the_others() {
    let mut world = World::founded(14, 3, 3);
    world.elects();
    let ids: Vec<_> = world.status(0).unwrap().members.iter().collect();
    assert_eq!(ids, (1..=3).map(VoterId).zip((0..3).map(|host| world.voter(host))).collect::<Vec<_>>());
    assert!(world.now > Time::ZERO);
}
