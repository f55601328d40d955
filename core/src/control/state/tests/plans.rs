//! Where shards ought to be, in the replicated state: rules P1 to P8 of `docs/placement.md`.

use super::*;
use crate::shards::placement::{Strategy, Table as Placed, Work};
use crate::shards::{Change as SetChange, ReplicaId, ShardId};
use crate::time::WallTime;
use proptest::prelude::{
    Just, ProptestConfig, Strategy as Draws, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

const SHARDS: u32 = 6;

fn namespace() -> Name {
    Name::new("tasks").unwrap()
}

fn shard(number: u32) -> ShardId {
    ShardId { namespace: namespace(), number }
}

/// A namespace of six shards with two copies each, on three nodes; a fourth has come since.
fn world() -> Log {
    let mut log = Log::new();
    log.activate(2);
    let by = [1, 2, 3].map(|node| log.member(node))[0].0;
    let declare = ShardCommand::Declare { namespace: namespace(), shards: SHARDS, first: 0, copies: 2, minimum: 1 };
    assert_eq!(log.command(by, Command::Shard(declare)), Outcome::Done(Answer::Set));
    log.member(4);
    log
}

fn ask(log: &mut Log, node: u8, command: PlacementCommand) -> Outcome {
    log.command(life(node, 1), Command::Placement(command))
}

fn placement(log: &Log) -> &Placement {
    log.state.placement(&namespace()).unwrap()
}

fn plan(log: &Log) -> &Plan {
    placement(log).plan().unwrap()
}

fn draft(log: &Log) -> PlacementCommand {
    PlacementCommand::Draft {
        namespace: namespace(),
        on: placement(log).table().version(),
        strategy: Strategy::Rendezvous,
        seed: 0,
        cause: Cause::Balance,
        doubtful: vec![],
        strained: vec![],
        parallel: 1,
    }
}

/// The table that a draft leads to, and the rows of it that are others.
fn worked_out(log: &Log) -> (Placed, Vec<(u32, Vec<u16>)>) {
    let (before, plan) = (placement(log).table(), plan(log));
    let work = Work::new(plan.rule, plan.sites.clone(), Some(before), u32::MAX).unwrap();
    let next = work.run(before.version()).table;
    let place = |node: &NodeId| next.sites().of_node(*node).unwrap().number();
    let rows = before.diff(&next).iter().map(|moved| (moved.shard, moved.to.iter().map(place).collect())).collect();
    (next, rows)
}

/// Node 1 drafts and seals a plan. Its name, the version that it is for, and the checksum.
fn sealed(log: &mut Log) -> (u64, u64, u64) {
    let command = draft(log);
    assert_eq!(ask(log, 1, command), Outcome::Done(Answer::Set));
    let (id, version) = (plan(log).id, placement(log).table().version());
    let (next, rows) = worked_out(log);
    assert!(!rows.is_empty(), "a node has come");
    let checksum = next.checksum();
    assert_eq!(
        ask(log, 1, PlacementCommand::Rows { namespace: namespace(), plan: id, rows }),
        Outcome::Done(Answer::Set)
    );
    let seal = PlacementCommand::Seal { namespace: namespace(), plan: id, checksum };
    assert_eq!(ask(log, 1, seal), Outcome::Done(Answer::Set));
    (id, version, checksum)
}

fn approve((plan, version, checksum): (u64, u64, u64)) -> PlacementCommand {
    PlacementCommand::Approve { namespace: namespace(), plan, version, checksum, at: None }
}

fn advance(log: &Log) -> PlacementCommand {
    let last = placement(log).plan().and_then(|plan| plan.run.as_ref()).and_then(|run| run.last);
    let plan = placement(log).plan().map_or(0, |plan| plan.id);
    PlacementCommand::Advance { namespace: namespace(), plan, last }
}

/// The owner of a shard does what the table says.
fn settle(log: &mut Log, number: u32) {
    for _ in 0..8 {
        let record = log.state.shard(&shard(number)).unwrap().clone();
        let row: Vec<NodeId> = placement(log).table().copies(number).collect();
        let (owner, epoch, version) = (record.owner.unwrap(), record.epoch, record.version);
        let members: Vec<NodeId> = record.in_sync.iter().map(|member| member.node).collect();
        let lacks = row.iter().find(|node| !members.contains(node));
        let excess = record.in_sync.iter().find(|member| !row.contains(&member.node) && member.node != owner.node);
        let change = |change| ShardCommand::Change { shard: shard(number), epoch, version, change };
        let command = match (lacks, excess) {
            (Some(node), _) => change(SetChange::Add(ReplicaId::from(life(node.as_bytes()[0], 1)))),
            (None, _) if owner.node != row[0] => {
                ShardCommand::HandOver { shard: shard(number), epoch, to: Some(row[0]) }
            }
            (None, Some(member)) => change(SetChange::Remove(*member)),
            (None, None) => return,
        };
        assert_eq!(log.command(owner, Command::Shard(command)), Outcome::Done(Answer::Set));
    }
    panic!("the shard does not settle");
}

#[test]
fn a_namespace_ought_to_be_where_it_was_declared() {
    let log = world();
    for (shard, record) in log.state.shards() {
        let row: Vec<NodeId> = placement(&log).table().copies(shard.number).collect();
        assert_eq!(row.first().copied(), record.owner.map(|owner| owner.node));
        assert!(log.state.is_settled(namespace(), shard.number));
    }
}

#[test]
fn a_plan_moves_one_wave_after_the_other_and_is_remembered() {
    let mut log = world();
    let before = placement(&log).table().clone();
    let sealed = sealed(&mut log);
    assert_eq!(placement(&log).table(), &before, "nothing moves before it is approved");
    assert_eq!(ask(&mut log, 2, approve(sealed)), Outcome::Done(Answer::Set));
    let moves = plan(&log).moves.clone();
    let mut versions = vec![];
    for (number, row) in &moves {
        let command = advance(&log);
        assert_eq!(ask(&mut log, 3, command), Outcome::Done(Answer::Set));
        versions.push(placement(&log).table().version());
        assert!(placement(&log).is_moving(*number));
        assert_eq!(log.changes.first(), Some(&Change::Placed { shard: shard(*number) }));
        assert!(placement(&log).table().copies(*number).eq(row.iter().copied()));
        let command = advance(&log);
        let refused = ask(&mut log, 3, command);
        assert_eq!(refused, Outcome::Refused(Refusal::Moving { shard: *number }), "two moves of one shard (P4)");
        settle(&mut log, *number);
    }
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
    let command = advance(&log);
    assert_eq!(ask(&mut log, 3, command), Outcome::Done(Answer::Set));
    let past = placement(&log).past().next().unwrap();
    assert!(placement(&log).plan().is_none() && past.is_whole);
    assert_eq!(past.moved.len(), moves.len());
    assert_eq!(placement(&log).table().checksum(), sealed.2, "it led where it was said to");
    assert_eq!(
        past.moved.iter().map(|moved| moved.from.clone()).collect::<Vec<_>>(),
        moves.keys().map(|shard| before.copies(*shard).collect::<Vec<_>>()).collect::<Vec<_>>()
    );
}

#[test]
fn a_plan_for_a_set_time_moves_all_of_its_shards_in_one_wave() {
    let mut log = world();
    let (plan_id, version, checksum) = sealed(&mut log);
    let at = Some(WallTime::from_unix_nanos(77));
    let command = PlacementCommand::Approve { namespace: namespace(), plan: plan_id, version, checksum, at };
    assert_eq!(ask(&mut log, 2, command), Outcome::Done(Answer::Set));
    let moves: Vec<u32> = plan(&log).moves.keys().copied().collect();
    assert!(moves.len() > usize::from(plan(&log).parallel), "more than at once otherwise");
    let command = advance(&log);
    assert_eq!(ask(&mut log, 3, command), Outcome::Done(Answer::Set));
    let run = plan(&log).run.clone().unwrap();
    assert_eq!((run.at, run.wave.keys().copied().collect::<Vec<_>>()), (at, moves.clone()));
    moves.iter().for_each(|number| settle(&mut log, *number));
    let command = advance(&log);
    assert_eq!(ask(&mut log, 3, command), Outcome::Done(Answer::Set));
    assert!(placement(&log).past().next().unwrap().is_whole);
}

#[test]
fn shards_are_paused_by_number_and_none_that_there_is_not() {
    let mut log = world();
    let pause = |shards: &[u32], is_paused| PlacementCommand::Pause {
        namespace: namespace(),
        shards: shards.into(),
        is_paused,
    };
    assert_eq!(ask(&mut log, 2, pause(&[1, 5], true)), Outcome::Done(Answer::Set));
    assert_eq!(ask(&mut log, 2, pause(&[SHARDS], true)), Outcome::Refused(Refusal::NoShard));
    assert_eq!(ask(&mut log, 2, pause(&vec![0; PAUSED_AT_ONCE + 1], true)), Outcome::Refused(Refusal::NoShard));
    assert_eq!(ask(&mut log, 2, pause(&[5, 3], false)), Outcome::Done(Answer::Set));
    assert_eq!([0, 1, 5].map(|number| log.state.is_paused(&shard(number))), [false, true, false]);
}

#[test]
fn a_plan_is_approved_once_and_on_what_was_looked_at() {
    let mut log = world();
    let (id, version, checksum) = sealed(&mut log);
    let refused = |outcome| matches!(outcome, Outcome::Refused(_));
    assert!(refused(ask(&mut log, 2, approve((id, version + 1, checksum)))), "another version");
    assert!(refused(ask(&mut log, 2, approve((id, version, checksum ^ 1)))), "another table");
    assert!(refused(ask(&mut log, 2, approve((id + 1, version, checksum)))), "another plan");
    assert_eq!(ask(&mut log, 2, approve((id, version, checksum))), Outcome::Done(Answer::Set));
    assert!(refused(ask(&mut log, 2, approve((id, version, checksum)))), "a second time");
    let again = draft(&log);
    assert_eq!(ask(&mut log, 2, again), Outcome::Refused(Refusal::InUse), "while it is carried out");
}

#[test]
fn a_plan_is_not_approved_once_a_node_that_it_gives_something_has_gone_or_is_cordoned() {
    let mut log = world();
    let sealed = sealed(&mut log);
    let node = life(4, 1).node;
    log.command(life(1, 1), Command::Cordon { node, cordon: Cordon::Cordoned });
    assert_eq!(ask(&mut log, 2, approve(sealed)), Outcome::Refused(Refusal::Lost { node }));
    log.command(life(1, 1), Command::Cordon { node, cordon: Cordon::None });
    log.command(life(4, 1), Command::Close);
    assert_eq!(ask(&mut log, 2, approve(sealed)), Outcome::Refused(Refusal::Lost { node }));
}

#[test]
fn a_draft_for_another_version_is_none_and_a_newer_draft_takes_the_place_of_one_that_is_not_approved() {
    let mut log = world();
    let first = sealed(&mut log);
    let second = sealed(&mut log);
    assert!(second.0 > first.0);
    assert_eq!(ask(&mut log, 1, approve(first)), Outcome::Refused(Refusal::NoPlan));
    let PlacementCommand::Draft { namespace, on, strategy, seed, cause, doubtful, strained, parallel } = draft(&log)
    else {
        panic!()
    };
    let late = PlacementCommand::Draft { namespace, on: on - 1, strategy, seed, cause, doubtful, strained, parallel };
    assert_eq!(ask(&mut log, 1, late), Outcome::Refused(Refusal::Outdated { expected: on - 1, found: on }));
}

#[test]
fn what_leads_to_another_table_is_not_sealed_and_weights_count() {
    let mut log = world();
    let command = draft(&log);
    ask(&mut log, 1, command);
    let id = plan(&log).id;
    let (next, rows) = worked_out(&log);
    ask(&mut log, 1, PlacementCommand::Rows { namespace: namespace(), plan: id, rows });
    // Who worked it out took node 4 for heavier than it is.
    let heavier: Vec<_> = next
        .sites()
        .iter()
        .map(|(_, site)| *site)
        .map(|mut site| {
            site.weight += u16::from(site.node == life(4, 1).node);
            site
        })
        .collect();
    let other = Placed::of(1, *next.rule(), heavier.try_into().unwrap(), |shard| next.copies(shard).collect()).unwrap();
    assert_ne!(other.checksum(), next.checksum());
    let seal = |checksum| PlacementCommand::Seal { namespace: namespace(), plan: id, checksum };
    assert!(matches!(ask(&mut log, 1, seal(other.checksum())), Outcome::Refused(Refusal::OtherPlan { .. })));
    assert_eq!(ask(&mut log, 2, seal(next.checksum())), Outcome::Refused(Refusal::NoPlan), "by another");
    assert_eq!(ask(&mut log, 1, seal(next.checksum())), Outcome::Done(Answer::Set));
}

#[test]
fn rows_that_there_cannot_be_are_refused() {
    let mut log = world();
    log.command(life(1, 1), Command::Cordon { node: life(3, 1).node, cordon: Cordon::Draining });
    let command = draft(&log);
    ask(&mut log, 1, command);
    let id = plan(&log).id;
    for rows in [
        vec![(SHARDS, vec![0])],
        vec![(0, vec![])],
        vec![(0, vec![0, 1, 3])],
        vec![(0, vec![0, 0])],
        vec![(0, vec![2])],
        vec![(0, vec![9])],
        (0..=ROWS_AT_ONCE as u32).map(|_| (0, vec![0])).collect(),
    ] {
        let command = PlacementCommand::Rows { namespace: namespace(), plan: id, rows: rows.clone() };
        assert_eq!(ask(&mut log, 1, command), Outcome::Refused(Refusal::BadPlan), "{rows:?}");
    }
    assert!(plan(&log).moves.is_empty());
}

#[test]
fn what_is_given_up_goes_back_where_it_can() {
    let mut log = world();
    let before = placement(&log).table().clone();
    let sealed = sealed(&mut log);
    ask(&mut log, 1, approve(sealed));
    let command = advance(&log);
    ask(&mut log, 1, command);
    let first = *plan(&log).moves.keys().next().unwrap();
    assert_eq!(
        ask(&mut log, 2, PlacementCommand::Cancel { namespace: namespace(), plan: sealed.0 }),
        Outcome::Done(Answer::Set)
    );
    assert!(placement(&log).plan().is_none());
    assert!(placement(&log).table().copies(first).eq(before.copies(first)), "it had not moved");
    let past = placement(&log).past().next().unwrap();
    assert!(!past.is_whole && past.moved.is_empty());
}

#[test]
fn shards_that_are_declared_later_come_into_the_table_and_a_plan_goes_on() {
    let mut log = Log::new();
    log.activate(2);
    let by = [1, 2, 3].map(|node| log.member(node))[0].0;
    let declare = |first| {
        Command::Shard(ShardCommand::Declare { namespace: namespace(), shards: 80, first, copies: 2, minimum: 1 })
    };
    log.command(by, declare(0));
    log.member(4);
    let sealed = sealed(&mut log);
    ask(&mut log, 1, approve(sealed));
    let command = advance(&log);
    ask(&mut log, 1, command);
    log.command(by, declare(DECLARED_AT_ONCE));
    assert!((0..80).all(|shard| placement(&log).table().owner(shard).is_some()));
    let moving = *plan(&log).run.as_ref().unwrap().wave.keys().next().unwrap();
    assert!(placement(&log).table().copies(moving).eq(plan(&log).moves[&moving].iter().copied()));
    settle(&mut log, moving);
    let command = advance(&log);
    assert_eq!(ask(&mut log, 1, command), Outcome::Done(Answer::Set));
}

/// What two who plan, an operator and the owners may do in any order.
#[derive(Clone, Copy, Debug)]
enum Move {
    Draft(u8),
    Rows(u8),
    Seal(u8),
    Approve { stale: bool },
    Advance { stale: bool },
    Cancel,
    Settle,
    Cordon(u8, u8),
    Restart(u8),
}

fn moves() -> impl Draws<Value = Vec<Move>> {
    let any = prop_oneof![
        3 => (1..3u8).prop_map(Move::Draft),
        4 => (1..3u8).prop_map(Move::Rows),
        4 => (1..3u8).prop_map(Move::Seal),
        4 => (0..4u8).prop_map(|n| Move::Approve { stale: n == 0 }),
        6 => (0..4u8).prop_map(|n| Move::Advance { stale: n == 0 }),
        1 => Just(Move::Cancel),
        5 => Just(Move::Settle),
        1 => (1..5u8, 0..3u8).prop_map(|(node, how)| Move::Cordon(node, how)),
        1 => (2..5u8).prop_map(Move::Restart),
    ];
    prop::collection::vec(any, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is asked in whatever order: the table changes by approved plans alone, one wave of them at a time, and where a
    /// plan comes to its end the table is the one that was approved.
    #[test]
    fn only_what_was_approved_moves_and_only_a_wave_at_a_time(moves in moves()) {
        let mut log = world();
        let mut boots = [1u64; 5];
        let mut approved = None;
        for step in moves {
            let before = placement(&log).clone();
            let by = |node: u8, boots: &[u64; 5]| life(node, boots[usize::from(node)]);
            let found = placement(&log).plan().cloned();
            let id = found.as_ref().map_or(7, |plan| plan.id);
            let command = match step {
                Move::Draft(node) => (node, draft(&log)),
                Move::Rows(node) if found.is_some() => (node, PlacementCommand::Rows { namespace: namespace(), plan: id, rows: worked_out(&log).1 }),
                Move::Seal(node) if found.is_some() => (node, PlacementCommand::Seal { namespace: namespace(), plan: id, checksum: worked_out(&log).0.checksum() }),
                Move::Approve { stale } => {
                    let checksum = found.as_ref().and_then(|plan| plan.checksum).unwrap_or(0);
                    let version = placement(&log).table().version();
                    (1, approve((id, version - u64::from(stale), checksum)))
                }
                Move::Advance { stale } => match advance(&log) {
                    PlacementCommand::Advance { namespace, plan, .. } if stale => (2, PlacementCommand::Advance { namespace, plan, last: Some(77) }),
                    command => (2, command),
                },
                Move::Cancel => (1, PlacementCommand::Cancel { namespace: namespace(), plan: id }),
                Move::Settle => {
                    let wave: Vec<u32> = found.iter().filter_map(|plan| plan.run.as_ref()).flat_map(|run| run.wave.keys().copied()).collect();
                    let row_is_there = |number: &u32| placement(&log).table().copies(*number).all(|node| boots[usize::from(node.as_bytes()[0])] == 1);
                    let is_there = |number: &u32| {
                        row_is_there(number) && log.state.shard(&shard(*number)).unwrap().owner.is_some_and(|owner| owner.boot.0 == 1)
                    };
                    if let Some(number) = wave.into_iter().find(is_there) {
                        settle(&mut log, number);
                    }
                    continue;
                }
                Move::Cordon(node, how) => {
                    let cordon = [Cordon::None, Cordon::Cordoned, Cordon::Draining][usize::from(how)];
                    log.command(by(1, &boots), Command::Cordon { node: life(node, 1).node, cordon });
                    continue;
                }
                Move::Restart(node) => {
                    boots[usize::from(node)] += 1;
                    log.opens(node, boots[usize::from(node)]);
                    continue;
                }
                Move::Rows(_) | Move::Seal(_) => continue,
            };
            let process = by(command.0, &boots);
            let outcome = log.command(process, Command::Placement(command.1.clone()));
            let after = placement(&log).clone();
            let changed = before.table().diff(after.table());
            match (&command.1, outcome) {
                (_, Outcome::Refused(_)) => prop_assert_eq!(&before, &after),
                (PlacementCommand::Approve { version, checksum, .. }, _) => {
                    let plan = before.plan().unwrap();
                    prop_assert!(plan.run.is_none() && plan.checksum == Some(*checksum) && plan.on == *version);
                    prop_assert!(changed.is_empty() && before.table().version() == *version);
                    approved = Some((plan.id, *checksum));
                }
                (PlacementCommand::Advance { .. }, _) => {
                    let run = before.plan().unwrap().run.clone().unwrap();
                    let settled = run.wave.keys().all(|number| log.state.is_settled(namespace(), *number));
                    prop_assert!(settled, "a wave before the last one was over");
                    prop_assert!(changed.len() <= 1, "one at a time");
                    prop_assert_eq!(approved.map(|(id, _)| id), before.plan().map(|plan| plan.id));
                    if after.plan().is_none() {
                        prop_assert_eq!(approved.map(|(_, checksum)| checksum), Some(after.table().checksum()));
                    }
                }
                (PlacementCommand::Cancel { .. }, _) => {
                    let wave = before.plan().unwrap().run.clone().unwrap_or_default().wave;
                    prop_assert!(changed.iter().all(|moved| wave.get(&moved.shard) == Some(&moved.to)));
                    prop_assert!(after.plan().is_none());
                }
                _ => prop_assert_eq!(before.table(), after.table()),
            }
            let bytes = snapshot_bytes(&log.state);
            prop_assert_eq!(state_of_snapshot(&bytes), Ok(log.state.clone()));
        }
    }
}
