//! Builds of two versions in one group (rules V1 to V7).

use super::super::{Refusal, Reply, Request};
use super::world::{World, scope};
use crate::codec::BodyVersion;
use crate::control::state::{self, Answer, NEWEST, OLDEST, Outcome, Scope};
use alloc::format;

const NOT_ACTIVATED: Reply =
    Reply::Executed(Outcome::Refused(state::Refusal::NotActivated { version: BodyVersion(2), activated: OLDEST }));
const DONE: Reply = Reply::Executed(Outcome::Done(Answer::Set));

impl World {
    /// An operator asks for version 2 on a node.
    #[track_caller]
    fn activates(&mut self, host: usize) -> Reply {
        let id = self.asks(host, Request::Activate { version: 2 });
        self.answer(id)
    }

    #[track_caller]
    fn retires(&mut self, host: usize, what: &str) -> Reply {
        let id = self.asks(host, Request::Retire(scope(what)));
        self.answer(id)
    }

    /// A scope that was held, and that nobody wants any more.
    #[track_caller]
    fn leaves_behind(&mut self, host: usize, what: &str) {
        self.wanted_by(scope(what), &[host]);
        self.asks(host, Request::Drop(scope(what)));
        self.runs_for(500);
    }

    fn too_old(&self, host: usize, needs: u8) -> Reply {
        Reply::Refused(Refusal::TooOld { node: self.node(host), needs })
    }

    fn agree(&self) -> bool {
        (1..self.hosts.len()).all(|host| self.state(host).is_some() && self.state(host) == self.state(0))
    }
}

#[test]
fn a_command_is_refused_everywhere_before_its_version_is_activated_and_done_everywhere_after() {
    let mut world = World::founded_by(1, 4, 3);
    (0..4).for_each(|host| world.leaves_behind(host, &format!("s{host}")));
    let log = |world: &World| world.state(world.leader().unwrap()).unwrap().scopes().count();
    for host in 0..4 {
        assert_eq!(world.retires(host, &format!("s{host}")), NOT_ACTIVATED, "rules V1 and V2");
    }
    assert_eq!(log(&world), 4);
    assert_eq!(world.activates(1), DONE);
    for host in 0..4 {
        assert_eq!(world.retires(host, &format!("s{host}")), DONE);
    }
    world.runs_until(2_000, World::agree);
    assert_eq!(log(&world), 0);
}

#[test]
fn a_version_is_not_activated_while_a_voter_runs_an_older_build() {
    for old in 0..3 {
        let mut world = World::mixed(2, &[old]);
        world.runs_for(500);
        let refused = world.activates((old + 1) % 3);
        assert_eq!(refused, world.too_old(old, 2), "rule V3, whoever leads");
        world.restarts_as(old, NEWEST);
        world.elects();
        world.runs_for(3_000);
        assert_eq!(world.activates(old), DONE);
    }
}

#[test]
fn nor_while_a_voter_is_away_which_may_come_back_as_anything() {
    let mut world = World::founded_by(3, 4, 3);
    let away = (world.elects() + 1) % 3;
    world.crashes(away);
    world.runs_for(3_000);
    let leader = world.elects();
    let refused = world.activates(leader);
    assert_eq!(refused, Reply::Refused(Refusal::Unheard { node: world.node(away) }));
    world.starts(away);
    world.runs_for(1_000);
    assert_eq!(world.activates(leader), DONE);
}

#[test]
fn nor_while_a_node_outside_the_group_with_a_session_runs_an_older_build() {
    let mut world = World::mixed(4, &[3]);
    world.wanted_by(Scope::Global, &[3]);
    let leader = world.elects();
    assert_eq!(world.activates(leader), world.too_old(3, 2));
    world.restarts_as(3, NEWEST);
    world.runs_until(2_000, |world| world.state(3).is_some());
    world.wanted_by(Scope::Global, &[3]);
    let leader = world.elects();
    assert_eq!(world.activates(leader), DONE);
}

#[test]
fn an_older_build_asks_for_nothing_that_it_does_not_understand() {
    let mut world = World::mixed(5, &[0, 1, 2]);
    let refused = world.retires(1, "s");
    assert_eq!(refused, world.too_old(1, 2));
    // Nor does a leader of that build log what another node asks for.
    assert_eq!(world.retires(3, "s"), NOT_ACTIVATED);
}

#[test]
fn a_voter_that_is_set_back_takes_no_part_until_it_is_upgraded_again() {
    let mut world = World::founded_by(6, 4, 3);
    assert_eq!(world.activates(0), DONE);
    for host in 0..3 {
        world.restarts_as(host, OLDEST);
        world.elects();
        world.leaves_behind(3, "s");
        assert_eq!(world.retires(3, "s"), DONE, "the others go on");
        world.runs_for(5_000);
        let status = world.asks(host, Request::Status);
        assert_eq!(world.answer(status), world.too_old(host, 2), "rule V5");
        assert!(world.state(host).is_none_or(|own| own.applied() < world.state(3).unwrap().applied()));
        world.restarts_as(host, NEWEST);
        world.runs_until(5_000, World::agree);
    }
}

#[test]
fn who_is_overtaken_by_an_activation_gives_up_what_it_holds_at_once() {
    // Given a node that says of itself that it understands more than it does, a voter and then one outside the group,
    for host in [2, 3] {
        let mut world = World::mixed(7, &[host]);
        world.hosts[host].speaks = NEWEST;
        let other = (host + 2) % 4;
        assert_eq!(world.wanted_by(Scope::Global, &[host, other]), host);
        // when the version is activated by another,
        if world.elects() == host {
            world.asks(host, Request::Lead(world.node(0)));
            world.runs_until(2_000, |world| world.leader() == Some(0));
        }
        let leader = world.elects();
        assert_eq!(world.activates(leader), DONE);
        // then it holds nothing as soon as it knows, and another does; it never comes back.
        world.runs_until(1_500, |world| world.holds(host, &Scope::Global).is_none());
        world.runs_until(2_500, |world| world.holds(other, &Scope::Global).is_some());
        assert_eq!(world.answer_to_hold(host), world.too_old(host, 2), "rule V4");
        world.runs_for(5_000);
        assert_eq!(world.holder(&Scope::Global), Some(other));
        world.restarts_as(host, NEWEST);
        world.runs_until(5_000, World::agree);
    }
}

#[test]
fn nobody_is_made_a_voter_who_does_not_understand_what_is_in_use() {
    let mut world = World::mixed(8, &[3]);
    let leader = world.elects();
    world.runs_for(500);
    assert_eq!(world.activates(leader), DONE, "a node outside that holds nothing is in nobody's way");
    let add = alloc::vec![world.voter(3)];
    let id = world.asks(leader, Request::ChangeVoters { add, remove: alloc::vec![] });
    assert_eq!(world.answer(id), world.too_old(3, 2));
}

#[test]
fn who_is_given_a_snapshot_of_a_newer_version_stops_as_well() {
    // Given a node outside of an older build that is away when the version is activated, and whom the log, which is short
    // for an odd seed, does not reach any more,
    let mut world = World::mixed(9, &[3]);
    world.crashes(3);
    let leader = world.elects();
    assert_eq!(world.activates(leader), DONE);
    for round in 0..30 {
        world.leaves_behind(leader, &format!("s{round}"));
    }
    // when it comes back, then it takes nothing of it.
    let pieces = world.pieces;
    world.starts(3);
    world.runs_for(3_000);
    assert!(world.pieces > pieces);
    let status = world.asks(3, Request::Status);
    assert_eq!((world.answer(status), world.state(3)), (world.too_old(3, 2), None));
    let pieces = world.pieces;
    world.runs_for(10_000);
    assert_eq!(world.pieces, pieces, "and asks for no more");
    world.restarts_as(3, NEWEST);
    world.runs_until(5_000, World::agree);
}

impl World {
    #[track_caller]
    fn answer_to_hold(&mut self, host: usize) -> Reply {
        let id = self.asks(host, Request::Hold(Scope::Global));
        self.answer(id)
    }
}
