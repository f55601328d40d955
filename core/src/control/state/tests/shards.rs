//! Shards in the replicated state: who is given one, and when.

use super::*;
use crate::shards::{Change as SetChange, ChangeRefused, ShardId, ShardRecord};
use alloc::collections::BTreeSet;

fn shard() -> ShardId {
    ShardId { namespace: Name::new("tasks").unwrap(), number: 0 }
}

/// Declares a namespace of one shard, whose members are those who have sessions.
fn declare(log: &mut Log, by: Incarnation, copies: u8) -> Outcome {
    let namespace = shard().namespace;
    log.command(by, Command::Shard(ShardCommand::Declare { namespace, shards: 1, first: 0, copies, minimum: 2 }))
}

fn record(log: &Log) -> &ShardRecord {
    log.state.shard(&shard()).expect("it was declared")
}

#[test]
fn a_shard_goes_to_another_member_when_the_session_of_its_owner_has_ended() {
    let mut log = Log::new();
    log.activate(2);
    let members = [1, 2, 3].map(|node| log.member(node));
    assert_eq!(declare(&mut log, members[0].0, 3), Outcome::Done(Answer::Set));
    let first = record(&log).owner.expect("all have sessions");
    let (_, session) = *members.iter().find(|(process, _)| *process == first).unwrap();
    assert_eq!(log.leader(LeaderCommand::End { session }), Outcome::Done(Answer::Ended));
    let second = record(&log).owner.expect("two are left");
    assert!(second != first && record(&log).epoch.lease == 2);
    assert_eq!(log.changes.last(), Some(&Change::Shard { shard: shard() }));
}

#[test]
fn a_shard_whose_members_are_all_gone_waits_for_the_first_session() {
    let mut log = Log::new();
    log.activate(2);
    let members = [1, 2].map(|node| log.member(node));
    declare(&mut log, members[0].0, 2);
    for (_, session) in members {
        log.leader(LeaderCommand::End { session });
    }
    log.member(3);
    assert_eq!(record(&log).owner, None, "who is no member lacks what was acknowledged");
    let (again, _) = log.opens(2, 9);
    assert_eq!(record(&log).owner, Some(again));
}

#[test]
fn a_namespace_keeps_its_shape_and_is_declared_in_parts() {
    let mut log = Log::new();
    log.activate(2);
    let by = [1, 2, 3, 4].map(|node| log.member(node))[0].0;
    let namespace = shard().namespace;
    let mut ask = |shards, first, copies| {
        log.command(by, Command::Shard(ShardCommand::Declare { namespace, shards, first, copies, minimum: 2 }))
    };
    assert_eq!(ask(100, 0, 3), Outcome::Done(Answer::Set));
    assert_eq!(ask(100, 0, 3), Outcome::Done(Answer::Set), "asked again");
    assert_eq!(ask(100, DECLARED_AT_ONCE, 3), Outcome::Done(Answer::Set));
    assert_eq!(ask(101, 100, 3), Outcome::Refused(Refusal::InUse));
    assert_eq!(ask(0, 0, 3), Outcome::Refused(ChangeRefused::BadShape.into()));
    assert_eq!(ask(100, 0, 1), Outcome::Refused(ChangeRefused::BadShape.into()), "fewer than the minimum");
    let all: Vec<_> = log.state.shards().map(|(shard, record)| (shard.number, record.in_sync.len())).collect();
    assert_eq!(all, (0..100).map(|number| (number, 3)).collect::<Vec<_>>());
    let owned = |node: u8| {
        let is_own = |record: &&ShardRecord| record.owner.is_some_and(|owner| owner.node == life(node, 1).node);
        log.state.shards().map(|(_, record)| record).filter(is_own).count()
    };
    assert!((1..=4).all(|node| (10..45).contains(&owned(node))), "about as many each: {:?}", [1, 2, 3, 4].map(owned));
}

#[test]
fn handing_over_prefers_whom_the_owner_names() {
    let mut log = Log::new();
    log.activate(2);
    for node in 1..=3 {
        log.member(node);
    }
    declare(&mut log, life(1, 1), 3);
    let (owner, epoch) = (record(&log).owner.unwrap(), record(&log).epoch);
    let to = [1, 2, 3].map(|node| life(node, 1)).into_iter().find(|process| *process != owner).unwrap();
    let hand_over = ShardCommand::HandOver { shard: shard(), epoch, to: Some(to.node) };
    assert_eq!(log.command(owner, Command::Shard(hand_over.clone())), Outcome::Done(Answer::Set));
    assert_eq!(record(&log).owner, Some(to));
    assert!(matches!(log.command(owner, Command::Shard(hand_over)), Outcome::Refused(Refusal::Shard(_))), "too late");
}

#[test]
fn a_bump_raises_every_epoch_and_a_recovery_voids_every_set() {
    let mut log = Log::new();
    log.activate(2);
    let (first, _) = log.member(1);
    log.member(2);
    declare(&mut log, first, 2);
    let owner = record(&log).owner;
    let text = Text::EMPTY;
    log.command(first, Command::BumpEpoch { expected: ClusterEpoch(1), reason: text, actor: text });
    assert_eq!((record(&log).owner, record(&log).epoch.cluster), (owner, ClusterEpoch(2)));

    let bump = Bump { index: 0, epoch: ClusterEpoch(7), by: first.node, reason: text, actor: text };
    log.state.recover(bump, RecoveryId(9)).unwrap();
    assert!(record(&log).is_void && record(&log).owner.is_none());
    let (again, _) = {
        log.term += 1;
        log.member(1)
    };
    log.leader(LeaderCommand::Lift { epoch: ClusterEpoch(7) });
    assert_eq!(record(&log).owner, None, "Y1");

    let in_sync = BTreeSet::from([life(1, 1).into(), life(2, 1).into()]);
    let mut rebuilt = ShardRecord::new(ClusterEpoch(7), 0, in_sync, 2).unwrap();
    (rebuilt.epoch.lease, rebuilt.owner) = (9, Some(again));
    let version = record(&log).version;
    let rebuild = ShardCommand::Rebuild { shard: shard(), version, record: rebuilt.into() };
    assert_eq!(log.command(again, Command::Shard(rebuild)), Outcome::Done(Answer::Set));
    assert_eq!(record(&log).owner, Some(again));
}

#[test]
fn the_set_is_changed_by_its_owner_and_survives_a_snapshot() {
    let mut log = Log::new();
    log.activate(2);
    for node in 1..=3 {
        log.member(node);
    }
    declare(&mut log, life(1, 1), 3);
    let (owner, epoch, version) = (record(&log).owner.unwrap(), record(&log).epoch, record(&log).version);
    let leaver = record(&log).in_sync.iter().copied().find(|member| *member != owner.into()).unwrap();
    let change = SetChange::Remove(leaver);
    let command = ShardCommand::Change { shard: shard(), epoch, version, change };
    assert_eq!(log.command(owner, Command::Shard(command)), Outcome::Done(Answer::Set));
    assert_eq!(record(&log).in_sync.len(), 2);
    let bytes = snapshot_bytes(&log.state);
    assert_eq!(state_of_snapshot(&bytes).as_ref(), Ok(&log.state));
}
