//! One thing after the other.

use super::super::{Refusal, Reply, Request};
use super::world::{World, scope};
use crate::control::group;
use crate::control::state::{Answer, Name, Outcome, Scope, Text};
use crate::epoch::ClusterEpoch;
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

const WITHIN: Duration = Duration::from_millis(2_500);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Three nodes of which each wants the scope; the holder is not the leader.
fn apart(seed: u64, nodes: usize) -> (World, usize, usize) {
    let mut world = World::founded(seed, nodes);
    let leader = world.elects();
    let order = [(leader + 1) % nodes, (leader + 2) % nodes, leader];
    let holder = world.wanted_by(Scope::Global, &order);
    assert_eq!(holder, order[0]);
    (world, leader, holder)
}

/// The holder is the leader, and the others wait.
fn together(seed: u64, nodes: usize) -> (World, usize) {
    let mut world = World::founded(seed, nodes);
    let leader = world.elects();
    let holder = world.wanted_by(Scope::Global, &[leader, (leader + 1) % nodes, (leader + 2) % nodes]);
    assert_eq!(holder, leader);
    (world, leader)
}

#[test]
fn a_scope_is_granted_to_one_and_the_status_says_so_everywhere() {
    let (mut world, leader, holder) = apart(1, 3);
    let token = world.holds(holder, &Scope::Global).unwrap();
    for host in 0..3 {
        let id = world.asks(host, Request::Status);
        let Reply::Status(status) = world.answer(id) else { panic!("{:?}", world.replies[&id]) };
        assert_eq!(status.leader, Some(world.node(leader)));
        assert_eq!((status.voters.len(), status.sessions, status.lineage.epoch), (3, 3, ClusterEpoch(1)));
        let lease = status.scopes[0].lease.unwrap();
        assert_eq!((lease.holder, lease.token, status.scopes[0].waiting), (world.node(holder), token, 2));
    }
    world.runs_for(10_000);
    assert_eq!(world.holds(holder, &Scope::Global), Some(token), "renewals keep it");
    assert_eq!(world.watch.grants(Scope::Global), 1);
}

#[test]
fn when_the_holder_crashes_the_next_in_line_holds_within_the_bound() {
    let (mut world, _, holder) = apart(2, 3);
    world.crashes(holder);
    let took = world.passes_on(Scope::Global, holder);
    assert!(took <= WITHIN, "{took}");
    world.starts(holder);
    world.runs_for(5_000);
    assert_eq!(world.watch.grants(Scope::Global), 2, "who comes back gets in line at most");
}

#[test]
fn when_leader_and_holder_crash_on_one_node_another_holds() {
    let (mut world, leader) = together(3, 3);
    world.crashes(leader);
    let took = world.passes_on(Scope::Global, leader);
    assert!(took <= Duration::from_millis(4_000), "{took}");
}

#[test]
fn a_planned_transfer_leaves_a_short_gap_and_no_overlap() {
    let (mut world, leader, holder) = apart(4, 3);
    let to = world.node(leader);
    world.asks(holder, Request::Transfer { scope: Scope::Global, to });
    let took = world.passes_on(Scope::Global, holder);
    assert!(took <= Duration::from_millis(50), "{took}");
    assert_eq!(world.holder(&Scope::Global), Some(leader), "and not whoever was next in line");
}

#[test]
fn a_leader_cut_off_with_the_holder_keeps_nothing() {
    let (mut world, leader) = together(5, 5);
    world.cut_off(&[leader]);
    let took = world.passes_on(Scope::Global, leader);
    assert!(took <= Duration::from_millis(4_000), "{took}");
    let next = world.holder(&Scope::Global).unwrap();
    world.cut.clear();
    world.runs_for(5_000);
    assert_eq!(world.holder(&Scope::Global), Some(next), "who was cut off gets in line again");
}

#[test]
fn a_holder_that_is_cut_off_for_a_moment_suspends_and_resumes_under_the_same_token() {
    let (mut world, _, holder) = apart(6, 3);
    let token = world.holds(holder, &Scope::Global);
    world.cut_off(&[holder]);
    // Renewed at least a renewal interval ago; the leader waits 2 ε longer than the holder's view lasts.
    world.runs_until(2_000, |world| world.holder(&Scope::Global).is_none());
    world.cut.clear();
    world.runs_until(2_000, |world| world.holder(&Scope::Global).is_some());
    assert_eq!(world.holds(holder, &Scope::Global), token);
}

#[test]
fn after_a_restart_of_all_the_scope_is_held_again_under_a_newer_token() {
    let (mut world, _, holder) = apart(7, 3);
    let token = world.holds(holder, &Scope::Global);
    (0..3).for_each(|host| world.crashes(host));
    world.runs_for(1_000);
    (0..3).for_each(|host| world.starts(host));
    world.elects();
    let holder = world.wanted_by(Scope::Global, &[0, 1, 2]);
    assert!(world.holds(holder, &Scope::Global) > token);
}

fn bump(world: &World) -> Request {
    let text = |text: &str| Text::new(text.as_bytes()).unwrap();
    Request::BumpEpoch { expected: world.epoch(0), reason: text("test"), actor: text("somebody") }
}

#[test]
fn a_bump_is_answered_when_all_sessions_know_of_it() {
    let (mut world, leader, holder) = apart(8, 3);
    let before = world.holds(holder, &Scope::Global);
    let request = bump(&world);
    let id = world.asks(leader, request);
    let reply = world.answer(id);
    assert_eq!(reply, Reply::EpochKnown(ClusterEpoch(2)));
    assert_eq!(world.epoch(holder), ClusterEpoch(2));
    assert!(world.holds(holder, &Scope::Global) > before, "the same holder under a newer token");
}

#[test]
fn a_bump_waits_for_who_cannot_be_asked_until_its_session_has_ended() {
    let (mut world, leader, holder) = apart(9, 3);
    world.cut_off(&[holder]);
    let request = bump(&world);
    let id = world.asks(leader, request);
    while !world.replies.contains_key(&id) {
        world.runs_for(1);
        let may_act = world.holds(holder, &Scope::Global).is_some();
        assert!(!may_act || !world.replies.contains_key(&id), "somebody may still write under the old epoch");
        assert!(world.now < crate::time::Time::from_nanos(20_000_000_000), "never answered");
    }
    assert_eq!(world.replies[&id], Reply::EpochKnown(ClusterEpoch(2)));
}

#[test]
fn what_only_a_leader_can_do_may_be_asked_of_any_member() {
    let (mut world, leader, holder) = apart(10, 3);
    let request = bump(&world);
    let id = world.asks(holder, request);
    assert_eq!(world.answer(id), Reply::EpochKnown(ClusterEpoch(2)));
    let id = world.asks(holder, Request::Lead(world.node(holder)));
    assert_eq!(world.answer(id), Reply::Taken);
    world.runs_for(2_000);
    assert_eq!(world.leader(), Some(holder));
    let id = world.asks(leader, Request::AwaitEpoch(ClusterEpoch(2)));
    assert_eq!(world.answer(id), Reply::EpochKnown(ClusterEpoch(2)));
}

#[test]
fn of_a_leader_that_falls_silent_it_is_not_known_what_it_did() {
    let (mut world, leader, holder) = apart(10, 3);
    let request = bump(&world);
    let id = world.asks(holder, request);
    world.crashes(leader);
    assert_eq!(world.answer(id), Reply::Refused(Refusal::Unknown));
}

#[test]
fn what_was_passed_on_is_not_passed_on_again() {
    use super::super::Message;
    let (mut world, leader, holder) = apart(10, 3);
    let third = 3 - leader - holder;
    let request = Box::new(bump(&world));
    world.says(third, holder, Message::Ask { number: 1, request });
    world.runs_for(2_000);
    assert_eq!(world.epoch(leader), ClusterEpoch(1), "it was refused");
}

#[test]
fn where_nobody_leads_what_only_a_leader_can_do_is_refused() {
    let (mut world, leader, holder) = apart(10, 3);
    let request = bump(&world);
    (0..3).filter(|host| *host != holder).for_each(|host| world.crashes(host));
    assert_ne!(leader, holder);
    world.runs_for(5_000);
    let id = world.asks(holder, request);
    assert!(matches!(world.answer(id), Reply::Refused(Refusal::Group(group::Refusal::NotLeader { .. }))));
}

#[test]
fn a_thousand_scopes_cost_no_more_renewals_than_one() {
    let (mut world, _, holder) = apart(11, 3);
    let before = world.renewals;
    world.runs_for(5_000);
    let one = world.renewals - before;
    for number in 0..999 {
        world.asks(holder, Request::Hold(scope(&format!("scope-{number}"))));
    }
    let last = scope("scope-998");
    world.runs_until(20_000, |world| world.holds(holder, &last).is_some());
    world.runs_for(1_000);
    let before = world.renewals;
    world.runs_for(5_000);
    let many = world.renewals - before;
    assert!(many <= one + 4, "{many} messages for a thousand, {one} for one");
}

#[test]
fn registers_are_written_once_and_read_from_anywhere() {
    let (mut world, leader, holder) = apart(12, 5);
    let register = name("r");
    let id = world.asks(holder, Request::Write { register, value: 5 });
    assert_eq!(world.answer(id), Reply::Executed(Outcome::Done(Answer::Set)));
    let id = world.asks(holder, Request::CompareAndSet { register, expected: Some(4), value: 6 });
    assert_eq!(world.answer(id), Reply::Executed(Outcome::Done(Answer::Differs(Some(5)))));
    let id = world.asks(leader, Request::Read(register));
    assert_eq!(world.answer(id), Reply::Value(Some(5)));
    let id = world.asks(holder, Request::Read(register));
    assert_eq!(world.answer(id), Reply::Value(Some(5)));
}

#[test]
fn a_node_that_leaves_hands_its_scopes_to_the_next_at_once() {
    let (mut world, _, holder) = apart(13, 3);
    world.asks(holder, Request::Close);
    let took = world.passes_on(Scope::Global, holder);
    assert!(took <= Duration::from_millis(50), "{took}");
}

#[test]
fn leadership_moves_and_the_holder_stays() {
    let (mut world, leader, holder) = apart(14, 3);
    let token = world.holds(holder, &Scope::Global);
    let to = world.node(holder);
    let id = world.asks(leader, Request::Lead(to));
    assert_eq!(world.answer(id), Reply::Taken);
    world.runs_for(5_000);
    assert_eq!((world.leader(), world.holds(holder, &Scope::Global)), (Some(holder), token));
}

#[test]
fn what_a_peer_makes_up_is_dropped() {
    use super::super::Message;
    use crate::control::commands;
    let (mut world, leader, holder) = apart(15, 3);
    for entry in [vec![].into(), vec![1, 2, 3].into(), vec![255; 5_000].into(), vec![1; 64].into()] {
        let message = Message::Commands(commands::Message::Propose { number: 0, entry });
        world.says(holder, leader, message);
    }
    world.runs_for(2_000);
    assert_eq!(world.watch.grants(Scope::Global), 1);
}

#[test]
#[should_panic(expected = "LEASE-1")]
fn the_watch_sees_a_holder_whose_clock_runs_too_slowly() {
    let (mut world, _, holder) = apart(16, 3);
    world.slows_down(holder);
    world.cut_off(&[holder]);
    world.runs_for(5_000);
}

#[test]
fn a_voter_is_replaced_and_goes_on_with_what_it_holds() {
    let mut world = World::founded_by(18, 4, 3);
    let leader = world.elects();
    let holder = world.wanted_by(Scope::Global, &[(leader + 1) % 3, leader]);
    assert_eq!(holder, (leader + 1) % 3);
    let token = world.holds(holder, &Scope::Global);
    let (add, remove) = (vec![world.voter(3)], vec![world.node(holder)]);
    let id = world.asks(leader, Request::ChangeVoters { add, remove });
    let Reply::Voters(voters) = world.answer(id) else { panic!("{:?}", world.replies[&id]) };
    assert!(voters.contains(&world.voter(3)) && !voters.contains(&world.voter(holder)));
    world.runs_for(5_000);
    assert_eq!((world.holder(&Scope::Global), world.holds(holder, &Scope::Global)), (Some(holder), token));
    let recorded = world.recorded_voters(leader);
    assert_eq!(recorded, voters.iter().map(|voter| (voter.node, voter.store)).collect::<Vec<_>>());
    world.asks(3, Request::Hold(Scope::Global));
    world.runs_for(1_000);
    world.crashes(holder);
    world.passes_on(Scope::Global, holder);
    world.crashes(leader);
    world.passes_on(Scope::Global, leader);
    assert_eq!(world.holder(&Scope::Global), Some(3), "the new one votes and holds");
}

// --- nodes outside the group ----------------------------------------------------------------------------------------

fn agree(world: &World, hosts: &[usize]) -> bool {
    let chain = |host: &usize| world.state(*host).map(|state| (state.applied(), state.chain()));
    chain(&hosts[0]).is_some() && hosts.iter().all(|host| chain(host) == chain(&hosts[0]))
}

/// With even seeds by entries alone, with odd ones by snapshots too, since the log is short.
#[test]
fn a_node_outside_the_group_follows_the_state_and_holds_what_it_is_granted() {
    for seed in 40..44 {
        let mut world = World::founded_by(seed, 5, 3);
        world.runs_until(5_000, |world| agree(world, &[0, 1, 2, 3, 4]));
        let holder = world.wanted_by(Scope::Global, &[3, 4]);
        assert_eq!(holder, 3);
        let leader = world.elects();
        for number in 0..40 {
            world.asks(3, Request::Write { register: name("r"), value: number });
            world.runs_for(20);
        }
        world.runs_until(5_000, |world| agree(world, &[leader, 3, 4]));
        let id = world.asks(4, Request::Status);
        let Reply::Status(status) = world.answer(id) else { panic!("{:?}", world.replies[&id]) };
        assert!(status.staleness.is_some_and(|staleness| staleness < Duration::from_secs(2)), "{status:?}");
        assert_eq!((status.leader, status.term), (Some(world.node(leader)), None));
        let token = world.holds(3, &Scope::Global);
        assert!(token.is_some());
        // The leader may go, and the holder stays.
        world.crashes(leader);
        world.runs_for(6_000);
        assert_eq!(world.holds(3, &Scope::Global), token);
        // The holder may go, and the next in line holds.
        world.crashes(3);
        let took = world.passes_on(Scope::Global, 3);
        assert!(took <= WITHIN && world.holder(&Scope::Global) == Some(4), "{took}");
    }
}

#[test]
fn one_that_was_away_for_long_catches_up_and_one_that_starts_anew_begins_with_a_snapshot() {
    let mut world = World::founded_by(47, 4, 3);
    world.runs_until(5_000, |world| agree(world, &[0, 1, 2, 3]));
    world.cut_off(&[3]);
    for number in 0..100 {
        world.asks(0, Request::Write { register: name("r"), value: number });
        world.runs_for(20);
    }
    assert!(!agree(&world, &[0, 3]));
    world.cut.clear();
    world.runs_until(10_000, |world| agree(world, &[0, 3]));
    world.crashes(3);
    world.starts(3);
    world.runs_until(10_000, |world| agree(world, &[0, 3]));
}

#[test]
fn one_that_missed_more_entries_than_a_delta_holds_gets_them_in_parts_and_no_snapshot() {
    let mut world = World::founded_by(46, 4, 3);
    world.runs_until(5_000, |world| agree(world, &[0, 1, 2, 3]));
    world.cut_off(&[3]);
    for number in 0..1_500 {
        world.asks(0, Request::Write { register: name("r"), value: number });
        world.runs_for(1);
    }
    world.runs_until(10_000, |world| agree(world, &[0, 1, 2]));
    (world.parts, world.pieces) = (0, 0);
    world.cut.clear();
    world.runs_until(10_000, |world| agree(world, &[0, 3]));
    assert!(world.parts > 0 && world.pieces == 0, "{} parts, {} pieces", world.parts, world.pieces);
}

#[test]
fn a_voter_that_was_removed_while_it_was_away_finds_out_and_follows() {
    let mut world = World::founded_by(48, 4, 3);
    let leader = world.elects();
    let away = (leader + 1) % 3;
    world.cut_off(&[away]);
    let (add, remove) = (vec![world.voter(3)], vec![world.node(away)]);
    let id = world.asks(leader, Request::ChangeVoters { add, remove });
    assert!(matches!(world.answer(id), Reply::Voters(_)));
    world.cut.clear();
    world.runs_until(20_000, |world| agree(world, &[leader, away]));
    assert_eq!(world.wanted_by(Scope::Global, &[away]), away);
}

#[test]
fn where_there_is_no_group_nobody_asks_for_one_again_and_again() {
    let mut world = World::apart(49, 3);
    world.runs_for(60_000);
    let before = world.sent;
    world.runs_for(60_000);
    assert!(world.sent - before <= 3 * 2 * 60, "{} messages in a minute", world.sent - before);
}
