//! Entries as each version has written them: whoever reads a log must read these for ever.

use super::*;
use crate::codec::BodyVersion;
use crate::epoch::Epoch;
use crate::shards::placement::Strategy;
use crate::shards::{self, ShardId, ShardRecord};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

/// One entry of each kind that version 1 has, in the order of its file.
fn samples_of_version_1() -> Vec<Entry> {
    let (client, registered, name) = (life(1, 2), Registration(token(1, 9)), Name::new("n").unwrap());
    let (scope, granted, text) = (named("s"), token(3, 300), Text::new(b"why").unwrap());
    let commands = [
        Command::Nothing,
        Command::Open { ttl: Duration::from_secs(1), epsilon: Duration::from_millis(1) },
        Command::Close,
        Command::Campaign { scope: Scope::Global },
        Command::Withdraw { scope },
        Command::Release { scope, granted },
        Command::Transfer { scope, granted, to: client.node },
        Command::Forget { scope },
        Command::BumpEpoch { expected: ClusterEpoch(4), reason: text, actor: text },
        Command::Cordon { node: client.node, cordon: Cordon::Draining },
        Command::SetFlag { name, on: true },
        Command::RaiseFeature { name, version: 2 },
        Command::SetSetting { name, value: Some(Value::try_from(vec![7]).unwrap()), expected: Some(3) },
        Command::Read { register: name },
        Command::Write { register: name, value: 5 },
        Command::CompareAndSet { register: name, expected: None, value: 6 },
    ];
    let leader = [
        LeaderCommand::End { session: SessionId(token(1, 5)) },
        LeaderCommand::Lift { epoch: ClusterEpoch(2) },
        LeaderCommand::Evict { client, registered },
        LeaderCommand::RecordVoters { members: BTreeMap::from([(client.node, client.store)]) },
        LeaderCommand::Activate { version: BodyVersion(2) },
    ];
    let of_client = commands.into_iter().map(|command| Entry::Client {
        client,
        registered,
        sequence: 3,
        unanswered: 2,
        command: command.into(),
    });
    let of_leader = leader.into_iter().map(|command| Entry::Leader { term: 8, command });
    [Entry::Register { client }].into_iter().chain(of_client).chain(of_leader).collect()
}

fn shard_commands() -> [ShardCommand; 4] {
    let (member, shard) = (life(1, 2), ShardId { namespace: Name::new("n").unwrap(), number: 3 });
    let epoch = Epoch { cluster: ClusterEpoch(2), lease: 5 };
    let members = BTreeSet::from([member.into()]);
    let record = ShardRecord::new(ClusterEpoch(2), 7, members, 1).unwrap().shaped(8, 3);
    [
        ShardCommand::Declare { namespace: shard.namespace, shards: 8, first: 3, copies: 3, minimum: 2 },
        ShardCommand::Change { shard, epoch, version: 9, change: shards::Change::Remove(member.into()) },
        ShardCommand::HandOver { shard, epoch, to: Some(member.node) },
        ShardCommand::Rebuild { shard, version: 9, record: record.into() },
    ]
}

fn placement_commands() -> [PlacementCommand; 6] {
    let (namespace, node) = (Name::new("n").unwrap(), life(1, 2).node);
    let (plan, strategy, cause) = (300, Strategy::Locality, Cause::Balance);
    [
        PlacementCommand::Seat(Seat { weight: 300, zone: namespace }),
        PlacementCommand::Draft {
            namespace,
            on: 7,
            strategy,
            seed: 5,
            cause,
            doubtful: vec![node],
            strained: vec![node],
            parallel: 8,
        },
        PlacementCommand::Rows { namespace, plan, rows: vec![(3, vec![1, 300])] },
        PlacementCommand::Seal { namespace, plan, checksum: 77 },
        PlacementCommand::Approve {
            namespace,
            plan,
            version: 7,
            checksum: 77,
            at: Some(crate::time::WallTime::from_unix_nanos(5)),
        },
        PlacementCommand::Advance { namespace, plan, last: Some(3) },
    ]
}

/// One entry of each kind that version 2 has added.
fn samples_of_version_2() -> Vec<Entry> {
    let (client, registered) = (life(1, 2), Registration(token(1, 9)));
    let retire = Command::Retire { scope: named("s") };
    let cancel = PlacementCommand::Cancel { namespace: Name::new("n").unwrap(), plan: 300 };
    let pause = PlacementCommand::Pause { namespace: Name::new("n").unwrap(), shards: vec![3, 300], is_paused: true };
    let placements = placement_commands().into_iter().chain([cancel, pause]).map(Command::Placement);
    let commands = [retire].into_iter().chain(shard_commands().map(Command::Shard)).chain(placements);
    let entry =
        |command: Command| Entry::Client { client, registered, sequence: 3, unanswered: 2, command: command.into() };
    commands.map(entry).collect()
}

#[test]
fn entries_of_version_1_are_written_and_read_as_ever() {
    are_as_ever(&samples_of_version_1(), include_str!("entries_v1.txt"));
}

#[test]
fn entries_of_version_2_are_written_and_read_as_ever() {
    are_as_ever(&samples_of_version_2(), include_str!("entries_v2.txt"));
}

fn are_as_ever(samples: &[Entry], golden: &str) {
    let golden: Vec<&str> = golden.lines().collect();
    assert_eq!(golden.len(), samples.len());
    for (entry, golden) in samples.iter().zip(golden) {
        let bytes = entry.to_bytes().unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden, "{entry:?}");
        assert_eq!(Entry::from_bytes(&bytes).as_ref(), Ok(entry));
    }
}
