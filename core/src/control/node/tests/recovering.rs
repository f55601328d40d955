//! Histories that end and begin: a lost quorum, a backup, and what comes back afterwards.

use super::super::{Recovery, Refusal, Reply, Request, Source};
use super::world::World;
use crate::control::group::wire::Blob;
use crate::control::state::{Answer, Lineage, Name, Outcome, Scope, Text};
use crate::epoch::ClusterEpoch;
use alloc::vec;
use alloc::vec::Vec;

fn recovery(source: Source) -> Request {
    let text = |text: &str| Text::new(text.as_bytes()).unwrap();
    let above = ClusterEpoch(0);
    Request::Recover(Recovery { source, above, reason: text("a rack burnt"), actor: text("somebody") })
}

fn register() -> Name {
    Name::new("r").unwrap()
}

fn writes(world: &mut World, host: usize, value: u64) {
    let id = world.asks(host, Request::Write { register: register(), value });
    assert_eq!(world.answer(id), Reply::Executed(Outcome::Done(Answer::Set)));
}

fn reads(world: &mut World, host: usize) -> Option<u64> {
    let id = world.asks(host, Request::Read(register()));
    let Reply::Value(value) = world.answer(id) else { panic!("{:?}", world.replies[&id]) };
    value
}

#[track_caller]
fn recovers(world: &mut World, host: usize, source: Source) -> Lineage {
    let id = world.asks(host, recovery(source));
    let Reply::Recovered { lineage, .. } = world.answer(id) else { panic!("{:?}", world.replies[&id]) };
    world.runs_until(5_000, |world| world.leader() == Some(host));
    lineage
}

fn copies_backup(world: &mut World, host: usize) -> Vec<Blob> {
    let mut pieces = vec![];
    loop {
        let id = world.asks(host, Request::Backup { number: pieces.len() as u32 });
        match world.answer(id) {
            Reply::Piece { piece: Some(piece), .. } => pieces.push(piece),
            Reply::Piece { piece: None, .. } => return pieces,
            other => panic!("{other:?}"),
        }
    }
}

fn hands_over(world: &mut World, host: usize, pieces: &[Blob]) -> Reply {
    let mut last = Reply::Taken;
    for (number, bytes) in (0..).zip(pieces.iter().cloned()) {
        let id = world.asks(host, Request::Restore { number, bytes });
        last = world.answer(id);
    }
    last
}

/// Two of three voters are gone; what was acknowledged is in the log of the third, and goes on.
#[test]
fn what_a_lost_quorum_has_left_goes_on_under_a_higher_epoch() {
    for seed in 60..64 {
        let mut world = World::founded(seed, 3);
        let leader = world.elects();
        let holder = world.wanted_by(Scope::Global, &[(leader + 1) % 3, (leader + 2) % 3]);
        let left = (leader + 2) % 3;
        let before = world.holds(holder, &Scope::Global);
        writes(&mut world, left, 7);
        (0..3).filter(|host| *host != left).for_each(|host| world.crashes(host));
        world.runs_for(3_000);
        let began = world.now;
        let lineage = recovers(&mut world, left, Source::Own);
        assert_eq!((lineage.epoch, reads(&mut world, left)), (ClusterEpoch(2), Some(7)));
        world.runs_until(60_000, |world| world.holder(&Scope::Global) == Some(left));
        assert!(world.holds(left, &Scope::Global) > before, "LEASE-2");
        assert!(
            world.now.since(began) >= world.settings().lease.span_max,
            "C4: whoever held before may act for so long"
        );
    }
}

#[test]
fn a_group_with_a_leader_is_not_recovered() {
    let mut world = World::founded(65, 3);
    let leader = world.elects();
    for host in 0..3 {
        let id = world.asks(host, recovery(Source::Own));
        assert_eq!(world.answer(id), Reply::Refused(Refusal::Led { leader: world.node(leader) }));
    }
    assert_eq!(world.epoch(leader), ClusterEpoch(1));
}

#[test]
fn who_has_less_of_the_log_than_another_does_not_recover() {
    let mut world = World::founded(66, 5);
    let leader = world.elects();
    let behind = (leader + 1) % 5;
    world.cut_off(&[behind]);
    writes(&mut world, (leader + 2) % 5, 7);
    world.cut.clear();
    let left = (leader + 2) % 5;
    (0..5).filter(|host| ![behind, left].contains(host)).for_each(|host| world.crashes(host));
    world.runs_for(3_000);
    let id = world.asks(behind, recovery(Source::Own));
    assert_eq!(world.answer(id), Reply::Refused(Refusal::Behind { node: world.node(left) }));
    recovers(&mut world, left, Source::Own);
    assert_eq!(reads(&mut world, left), Some(7));
}

/// Both sides of the old group come back: one that was without a quorum, and those that are one.
#[test]
fn whoever_comes_back_from_the_history_before_gives_up_its_seat_and_can_be_given_another() {
    for seed in 70..74 {
        let mut world = World::founded(seed, 5);
        let leader = world.elects();
        let left = (leader + 1) % 5;
        let gone: Vec<_> = (0..5).filter(|host| *host != left && *host != (leader + 2) % 5).collect();
        gone.iter().for_each(|host| world.crashes(*host));
        world.runs_for(3_000);
        let lineage = recovers(&mut world, left, Source::Own);
        gone.iter().for_each(|host| world.starts(*host));
        let others: Vec<_> = (0..5).filter(|host| *host != left).collect();
        world.runs_until(60_000, |world| {
            others.iter().all(|host| {
                let is_free = world.hosts[*host].control.as_ref().unwrap().group().is_none();
                is_free && world.state(*host).unwrap().lineage() == lineage
            })
        });
        // What a client of the history before asks for first is not known under its name any more.
        let id = world.asks(others[0], Request::Write { register: register(), value: 8 });
        world.answer(id);
        writes(&mut world, others[0], 9);
        let add = others[..2].iter().map(|host| world.voter(*host)).collect();
        let id = world.asks(left, Request::ChangeVoters { add, remove: vec![] });
        assert!(matches!(world.answer(id), Reply::Voters(voters) if voters.len() == 3));
        world.crashes(left);
        let leader = world.elects();
        assert!(others[..2].contains(&leader) && reads(&mut world, leader) == Some(9));
    }
}

#[test]
fn a_crash_while_a_history_begins_leaves_one_of_the_two() {
    for seed in 80..100 {
        let mut world = World::founded(seed, 3);
        let left = world.elects();
        writes(&mut world, left, 7);
        (0..3).filter(|host| *host != left).for_each(|host| world.crashes(host));
        world.runs_for(3_000);
        let id = world.asks(left, recovery(Source::Own));
        world.runs_until(5_000, |world| world.epoch(left) == ClusterEpoch(2));
        assert_eq!(world.replies.get(&id), None, "it waits for the disk");
        world.crashes(left);
        world.starts(left);
        world.runs_for(3_000);
        assert_eq!(world.replies.get(&id), None, "seed {seed}: before the disk had it");
        if world.epoch(left) == ClusterEpoch(1) {
            recovers(&mut world, left, Source::Own);
        }
        world.runs_until(5_000, |world| world.leader() == Some(left));
        assert_eq!((world.epoch(left), reads(&mut world, left)), (ClusterEpoch(2), Some(7)));
    }
}

#[test]
fn a_backup_begins_another_history_above_every_epoch_that_anybody_knows() {
    let mut world = World::founded_by(101, 4, 3);
    let leader = world.elects();
    writes(&mut world, leader, 7);
    world.runs_for(1_000);
    let pieces = copies_backup(&mut world, 3);
    writes(&mut world, leader, 8);
    for expected in 1..4 {
        let bump = Request::BumpEpoch { expected: ClusterEpoch(expected), reason: Text::EMPTY, actor: Text::EMPTY };
        let id = world.asks(leader, bump);
        assert_eq!(world.answer(id), Reply::EpochKnown(ClusterEpoch(expected + 1)));
    }
    (0..3).for_each(|host| world.crashes(host));
    world.runs_for(10_000);
    assert!(matches!(hands_over(&mut world, 3, &pieces), Reply::Backup { .. }));
    let lineage = recovers(&mut world, 3, Source::Backup);
    assert_eq!((lineage.epoch, reads(&mut world, 3)), (ClusterEpoch(5), Some(7)), "the node knew of epoch 4");
}

#[test]
fn a_backup_begins_a_history_where_there_was_none() {
    let mut world = World::founded(102, 3);
    let leader = world.elects();
    writes(&mut world, leader, 7);
    let pieces = copies_backup(&mut world, leader);
    for nodes in 1..=2 {
        let mut world = World::apart(103, nodes);
        assert!(matches!(hands_over(&mut world, 0, &pieces), Reply::Backup { .. }));
        recovers(&mut world, 0, Source::Backup);
        assert_eq!(reads(&mut world, 0), Some(7));
        world.runs_until(10_000, |world| (0..nodes).all(|host| world.state(host).is_some()));
    }
}

#[test]
fn a_backup_that_is_not_whole_begins_nothing() {
    let mut world = World::founded(104, 3);
    let leader = world.elects();
    let mut pieces = copies_backup(&mut world, leader);
    let mut other = World::apart(105, 1);
    let id = other.asks(0, recovery(Source::Backup));
    assert_eq!(other.answer(id), Reply::Refused(Refusal::NoBackup));
    let id = other.asks(0, Request::Restore { number: 1, bytes: pieces[0].clone() });
    assert_eq!(other.answer(id), Reply::Refused(Refusal::OtherPiece));
    let mut damaged = pieces[0].0.to_vec();
    damaged[40] ^= 1;
    pieces[0] = Blob(damaged.into());
    assert_eq!(hands_over(&mut other, 0, &pieces), Reply::Refused(Refusal::BadBackup));
    let id = other.asks(0, recovery(Source::Backup));
    assert_eq!(other.answer(id), Reply::Refused(Refusal::NoBackup));
    let id = other.asks(0, recovery(Source::Own));
    assert_eq!(other.answer(id), Reply::Refused(Refusal::NotMember));
}

/// Two operators, each with a half of what is left, which do not hear of each other.
#[test]
fn two_recoveries_of_one_epoch_do_not_mix() {
    let mut world = World::founded(106, 5);
    let leader = world.elects();
    (0..5).for_each(|host| world.crashes(host));
    let halves = [(leader + 1) % 5, (leader + 2) % 5];
    world.cut_off(&[halves[0]]);
    halves.iter().for_each(|host| world.starts(*host));
    world.runs_for(3_000);
    let asked = halves.map(|host| world.asks(host, recovery(Source::Own)));
    let lineages = asked.map(|id| match world.answer(id) {
        Reply::Recovered { lineage, .. } => lineage,
        other => panic!("{other:?}"),
    });
    assert!(lineages[0].epoch == lineages[1].epoch && lineages[0] != lineages[1]);
    world.cut.clear();
    world.starts(leader);
    world.runs_for(20_000);
    let known = halves.map(|host| world.state(host).unwrap().lineage());
    assert_eq!(known, lineages, "each goes on by itself, under its own id");
    assert!(lineages.contains(&world.state(leader).unwrap().lineage()), "and a third by one of them");
    // The epoch of the one to keep is raised, and the other gives up.
    let bump = Request::BumpEpoch { expected: lineages[0].epoch, reason: Text::EMPTY, actor: Text::EMPTY };
    let id = world.asks(halves[0], bump);
    assert!(matches!(world.answer(id), Reply::EpochKnown(_)));
    let is_kept = |world: &World, host: usize| {
        world.state(host).is_some_and(|state| state.lineage().recovery == lineages[0].recovery)
    };
    world.runs_until(30_000, |world| is_kept(world, halves[1]) && is_kept(world, leader));
}

/// A node that says what cannot be makes the recovery fail, and nothing else.
#[test]
fn what_a_peer_makes_up_ends_nobody() {
    use super::super::{Message, Surveyed};
    let mut world = World::apart(107, 2);
    let mut source = World::founded(108, 3);
    let leader = source.elects();
    let pieces = copies_backup(&mut source, leader);
    assert!(matches!(hands_over(&mut world, 0, &pieces), Reply::Backup { .. }));
    for (stored, last) in [(ClusterEpoch(u64::MAX), (1, 1)), (ClusterEpoch(1), (u64::MAX, u64::MAX))] {
        let id = world.asks(0, recovery(Source::Backup));
        world.runs_for(100);
        for number in 1..=4 {
            let survey = Surveyed { stored, last, leader: None };
            world.says(1, 0, Message::Surveyed { number, survey });
        }
        assert_eq!(world.answer(id), Reply::Refused(Refusal::NoNumberLeft));
        hands_over(&mut world, 0, &pieces);
    }
    recovers(&mut world, 0, Source::Backup);
}
