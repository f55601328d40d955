//! The shards of several nodes, told with as many hosts, one log of the control group, disks that sync at once, and a
//! network that a test cuts. What one replica does is told beside it.

use super::*;
use crate::bytes::Blob;
use crate::codec::decode_value;
use crate::control::state::tests::Log;
use crate::control::state::{Bump, Command, LeaderCommand, Name, Outcome, RecoveryId, SessionId, Text};
use crate::epoch::ClusterEpoch;
use crate::identity::{Incarnation, RequestId};
use crate::machine::{CauseId, Ctx, Scripted};
use crate::record::Sequence;
use crate::replication::registers::{self, Registers};
use crate::replication::{self, Standing};
use crate::shards::{ShardId, ShardRecord};
use crate::time::{Duration, Time, WallTime};
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

mod bounds;
mod parked;

struct World {
    log: Log,
    hosts: Vec<Host<Registers>>,
    lives: Vec<(Incarnation, SessionId)>,
    journals: Vec<Vec<Record>>,
    net: VecDeque<(usize, usize, Message)>,
    commands: VecDeque<(usize, u64, Command)>,
    replies: Vec<(RequestId, Reply)>,
    cut: BTreeSet<usize>,
    /// Those on the other side of a split network.
    apart: BTreeSet<usize>,
    now: Time,
}

fn shard(number: u32) -> ShardId {
    ShardId { namespace: Name::new("n").unwrap(), number }
}

impl World {
    /// So many nodes with sessions, and a namespace of so many shards, three replicas each.
    fn new(nodes: u8, shards: u32) -> Self {
        let mut log = Log::new();
        log.activate(2);
        let lives: Vec<_> = (1..=nodes).map(|node| log.member(node)).collect();
        let mut world = Self {
            log,
            hosts: lives.iter().map(|_| Host::new(Settings::default())).collect(),
            journals: lives.iter().map(|_| vec![]).collect(),
            lives,
            net: VecDeque::new(),
            commands: VecDeque::new(),
            replies: vec![],
            cut: BTreeSet::new(),
            apart: BTreeSet::new(),
            now: Time::from_nanos(1),
        };
        for host in 0..usize::from(nodes) {
            world.does(host, Event::Start { life: world.lives[host].0 });
        }
        let namespace = shard(0).namespace;
        let id = world.asks(0, Request::Declare { namespace, shards, copies: 3, minimum: 2 });
        world.settles();
        assert_eq!(world.reply(id), Some(&Reply::Declared));
        world
    }

    fn record(&self, number: u32) -> &ShardRecord {
        self.log.state.shard(&shard(number)).expect("it was declared")
    }

    fn host_of(&self, process: Incarnation) -> usize {
        self.lives.iter().position(|(life, _)| *life == process).expect("one of the hosts")
    }

    fn owner(&self, number: u32) -> usize {
        self.host_of(self.record(number).owner.expect("somebody owns it"))
    }

    fn does(&mut self, host: usize, event: Event) {
        let mut chooser = Scripted::new(vec![]);
        let mut ctx = Ctx::new(self.now, WallTime::from_unix_nanos(0), CauseId(0), &mut chooser);
        ctx.next_record = Sequence(self.journals[host].len() as u64 + 1);
        let view =
            self.log.state.own_session(self.lives[host].0).map(|_| self.now.saturating_add(Duration::from_secs(1)));
        let sees = Sees { state: Some(&self.log.state), view, members: None };
        let mut actions = vec![];
        self.hosts[host].handle(&mut ctx, sees, event, &mut actions);
        let mut has_written = false;
        for action in actions {
            match action {
                Action::Write(record) => {
                    has_written = true;
                    self.journals[host].push(record);
                }
                Action::Send { to, message, .. } => {
                    let to = self.lives.iter().position(|(life, _)| life.node == to).expect("one of the hosts");
                    self.net.push_back((host, to, message));
                }
                Action::Reply { id, reply, .. } => self.replies.push((id, reply)),
                Action::Command { ticket, command } => self.commands.push_back((host, ticket, *command)),
                Action::Observe(_) => {}
                Action::Told { .. } | Action::Keep { .. } | Action::Fetch { .. } => {}
                Action::Discard { .. } | Action::ListObjects { .. } => {}
            }
        }
        if has_written {
            let upto = Sequence(self.journals[host].len() as u64);
            self.does(host, Event::Durable(upto));
        }
    }

    /// Everybody hears what the last entry of the log has changed.
    fn spreads(&mut self) {
        for change in self.log.changes.clone() {
            let hears = |host: &usize| !self.cut.contains(host) && !self.apart.contains(host);
            for host in (0..self.hosts.len()).filter(hears).collect::<Vec<_>>() {
                if Event::concerns(&change) {
                    self.does(host, Event::Changed(change));
                }
            }
        }
    }

    fn step(&mut self) -> bool {
        if let Some((host, ticket, command)) = self.commands.pop_front() {
            if !self.cut.contains(&host) && !self.apart.contains(&host) {
                let outcome: Outcome = self.log.command(self.lives[host].0, command);
                self.spreads();
                self.does(host, Event::Executed { ticket, outcome: Some(outcome) });
            }
            return true;
        }
        if let Some((from, to, message)) = self.net.pop_front() {
            let is_across = self.apart.contains(&from) != self.apart.contains(&to);
            if !self.cut.contains(&from) && !self.cut.contains(&to) && !is_across {
                self.does(to, Event::Message { from: self.lives[from].0, message });
            }
            return true;
        }
        false
    }

    /// Until nothing is under way and nothing is due.
    fn settles(&mut self) {
        for _ in 0..100_000 {
            if self.step() {
                continue;
            }
            let due = (0..self.hosts.len()).find(|host| {
                !self.cut.contains(host) && self.hosts[*host].next_deadline().is_some_and(|at| at <= self.now)
            });
            match due {
                Some(host) => self.does(host, Event::Wake),
                None => return,
            }
        }
        panic!("it does not come to an end");
    }

    fn runs_for(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now = self.now + Duration::from_millis(10);
            self.settles();
        }
    }

    fn asks(&mut self, host: usize, request: Request) -> RequestId {
        let id = RequestId(self.replies.len() as u64 + 1_000 * self.now.as_nanos());
        self.does(host, Event::Request(id, request));
        id
    }

    fn reply(&self, id: RequestId) -> Option<&Reply> {
        self.replies.iter().find(|(it, _)| *it == id).map(|(_, reply)| reply)
    }

    fn answer(&self, id: RequestId) -> registers::Answer {
        match self.reply(id) {
            Some(Reply::Done(bytes)) => decode_value(&bytes.0).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn writes(&mut self, host: usize, number: u32, value: u64) -> RequestId {
        let command = Blob(registers::Command::Write { register: 1, value }.to_bytes().into());
        let id = self.asks(host, Request::Submit { shard: shard(number), command });
        self.runs_for(30);
        id
    }

    fn reads(&mut self, host: usize, number: u32) -> RequestId {
        let query = Blob(registers::Command::Read { register: 1 }.to_bytes().into());
        let id = self.asks(host, Request::Read { shard: shard(number), query });
        self.runs_for(30);
        id
    }

    /// A node is gone, and its session has ended.
    fn dies(&mut self, host: usize) {
        self.cut.insert(host);
        self.log.leader(LeaderCommand::End { session: self.lives[host].1 });
        self.spreads();
        self.settles();
    }
}

#[test]
fn a_request_finds_the_owner_from_any_node() {
    let mut world = World::new(5, 8);
    for (host, number) in [(0, 0), (1, 3), (2, 5), (3, 7), (4, 1)] {
        let id = world.writes(host, number, 7);
        assert_eq!(world.answer(id), registers::Answer::Holds(Some(7)));
        let id = world.reads((host + 2) % 5, number);
        assert_eq!(world.answer(id), registers::Answer::Holds(Some(7)));
    }
    let id = world.asks(0, Request::Read { shard: shard(8), query: Blob::default() });
    assert_eq!(world.reply(id), Some(&Reply::Refused(Refusal::NoShard)));
}

#[test]
fn what_was_acknowledged_is_there_after_the_owner_has_died_and_another_replica_takes_its_place() {
    let mut world = World::new(4, 1);
    let first = world.owner(0);
    world.writes((first + 1) % 4, 0, 7);
    world.dies(first);
    world.runs_for(200);
    let second = world.owner(0);
    assert_ne!(second, first);
    let id = world.reads((first + 2) % 4, 0);
    assert_eq!(world.answer(id), registers::Answer::Holds(Some(7)));
    let lost = world.lives[first].0.into();
    assert!(world.record(0).in_sync.len() == 2 || world.record(0).in_sync.contains(&lost), "who is gone is waited for");
    world.runs_for(11_000);
    let set = world.record(0).in_sync.clone();
    assert!(set.len() == 3 && !set.contains(&lost), "another one has a copy now: {set:?}");
}

#[test]
fn what_an_owner_did_not_answer_is_unknown_and_is_not_asked_again() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    world.cut.insert(owner);
    let other = (owner + 1) % 3;
    let id = world.writes(other, 0, 7);
    world.dies(owner);
    world.runs_for(6_000);
    assert_eq!(world.reply(id), Some(&Reply::Unknown));
    let id = world.reads(other, 0);
    assert_eq!(world.answer(id), registers::Answer::Holds(None));
}

#[test]
fn a_shard_is_handed_over_on_request() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let to = (owner + 1) % 3;
    let node = world.lives[to].0.node;
    let id = world.asks((owner + 2) % 3, Request::HandOver { shard: shard(0), to: Some(node) });
    world.runs_for(100);
    assert_eq!((world.reply(id), world.owner(0)), (Some(&Reply::HandingOver), to));
    let standing = world.hosts[to].replica(&shard(0)).map(|replica| replica.standing());
    assert!(matches!(standing, Some(Standing::Serving(_))));
}

#[test]
fn after_a_recovery_the_record_is_rebuilt_of_what_replicas_kept() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    world.writes(owner, 0, 7);
    let bump =
        Bump { index: 0, epoch: ClusterEpoch(9), by: world.lives[0].0.node, reason: Text::EMPTY, actor: Text::EMPTY };
    world.log.state.recover(bump, RecoveryId(5)).unwrap();
    world.log.term += 1;
    for host in 0..3 {
        let (life, session) = world.log.member(host as u8 + 1);
        assert_eq!(life, world.lives[host].0);
        world.lives[host].1 = session;
    }
    world.log.leader(LeaderCommand::Lift { epoch: ClusterEpoch(9) });
    assert!(world.record(0).is_void);
    (0..3).for_each(|host| world.does(host, Event::Restated));
    world.runs_for(2_500);
    assert!(!world.record(0).is_void, "nobody is missing");
    let id = world.reads(1, 0);
    assert_eq!(world.answer(id), registers::Answer::Holds(Some(7)));
}

#[test]
fn a_restarted_node_has_its_replicas_as_they_were() {
    let mut world = World::new(3, 4);
    for number in 0..4 {
        world.writes(0, number, 10 + u64::from(number));
    }
    let mut again: Host<Registers> = Host::new(Settings::default());
    world.journals[1].iter().for_each(|record| again.replay(record.clone()));
    for number in 0..4 {
        let (own, replayed) = (world.hosts[1].replica(&shard(number)), again.replica(&shard(number)));
        let log = |replica: Option<&replication::Replica<replication::once::Once<Registers>>>| {
            replica.map(|it| (it.log().clone(), it.promised()))
        };
        assert_eq!(log(own), log(replayed));
    }
}

/// What is acknowledged is in no record; a replica that knew it from nobody would not apply what it holds.
#[test]
fn who_begins_anew_is_told_what_is_acknowledged_though_nobody_writes() {
    let mut world = World::new(3, 4);
    for number in 0..4 {
        world.writes(0, number, 10 + u64::from(number));
    }
    let again = (world.owner(0) + 1) % 3;
    let mut host: Host<Registers> = Host::new(Settings::default());
    world.journals[again].iter().for_each(|record| host.replay(record.clone()));
    world.dies(again);
    world.cut.clear();
    (world.hosts[again], world.lives[again]) = (host, world.log.opens(again as u8 + 1, 2));
    world.does(again, Event::Start { life: world.lives[again].0 });
    world.spreads();
    world.runs_for(200);
    for number in (0..4).filter(|number| world.owner(*number) != again) {
        let mark = |host: usize| world.hosts[host].replica(&shard(number)).map(|replica| replica.mark());
        assert_eq!(mark(again), mark(world.owner(number)), "{number}");
    }
}

#[test]
fn the_table_is_the_same_on_all_nodes_and_shown_in_parts() {
    let mut world = World::new(3, 300);
    let tables: Vec<Table> = (0..3)
        .map(|host| {
            let id = world.asks(host, Request::List { after: None });
            match world.replies.iter().rev().find(|(it, _)| *it == id) {
                Some((_, Reply::Shards(table))) => table.clone(),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let seen = |table: &Table| (table.version, table.checksum, table.shards, table.rows.len());
    assert_eq!((seen(&tables[0]), tables[0].rows.len()), (seen(&tables[1]), view::SHARDS_SHOWN_MAX));
    let after = tables[0].rows.last().map(|row| row.shard);
    let id = world.asks(0, Request::List { after });
    let rest = world.replies.iter().rev().find(|(it, _)| *it == id).map(|(_, reply)| reply.clone());
    assert!(matches!(rest, Some(Reply::Shards(table)) if table.rows.len() == 300 - view::SHARDS_SHOWN_MAX));
}

#[test]
fn hostile_words_change_nothing() {
    let mut world = World::new(4, 1);
    let stranger = (0..4).find(|host| !world.record(0).in_sync.contains(&world.lives[*host].0.into())).unwrap();
    let victim = world.owner(0);
    let epoch = world.record(0).epoch;
    let store = world.lives[stranger].0.store;
    let message = Message::Replica { shard: shard(0), store, message: replication::Message::Promise { epoch } };
    // Not the owner: no replica begins where there is none.
    let other = (0..4).find(|host| *host != victim && *host != stranger).unwrap();
    world.net.push_back((other, stranger, message));
    world.settles();
    assert!(world.hosts[stranger].replica(&shard(0)).is_none());
    // An answer that nobody asked for; a question that only operators ask.
    world.net.push_back((other, victim, Message::Answer { number: 77, answer: Answer::HandingOver }));
    let request = Box::new(Request::List { after: None });
    world.net.push_back((other, victim, Message::Ask { number: 5, request }));
    world.settles();
    assert!(world.replies.iter().all(|(_, reply)| *reply == Reply::Declared));
}

#[test]
fn a_declaration_that_is_not_executed_in_time_is_answered() {
    let mut world = World::new(3, 1);
    let namespace = Name::new("other").unwrap();
    let id = world.asks(0, Request::Declare { namespace, shards: 1, copies: 3, minimum: 2 });
    world.does(0, Event::Wake);
    world.commands.clear();
    world.runs_for(6_000);
    assert_eq!(world.reply(id), Some(&Reply::Unknown));
}

#[test]
fn a_node_without_a_copy_of_the_state_rests() {
    let mut chooser = Scripted::new(vec![]);
    let mut ctx = Ctx::new(Time::from_nanos(1), WallTime::from_unix_nanos(0), CauseId(0), &mut chooser);
    let mut host: Host<Registers> = Host::new(Settings::default());
    let life = World::new(3, 1).lives[0].0;
    host.handle(&mut ctx, Sees::default(), Event::Start { life }, &mut Vec::new());
    host.handle(&mut ctx, Sees::default(), Event::Wake, &mut Vec::new());
    assert_eq!(host.next_deadline(), None);
}

#[test]
fn what_was_told_before_another_recovery_counts_no_more() {
    let mut world = World::new(3, 1);
    let voids = |world: &mut World, epoch: u64| {
        let by = world.lives[0].0.node;
        let bump = Bump { index: 0, epoch: ClusterEpoch(epoch), by, reason: Text::EMPTY, actor: Text::EMPTY };
        world.log.state.recover(bump, RecoveryId(epoch)).unwrap();
        world.log.term += 1;
    };
    let members = |world: &mut World| {
        for host in 0..3 {
            world.lives[host].1 = world.log.member(host as u8 + 1).1;
        }
    };
    voids(&mut world, 9);
    members(&mut world);
    // Two of three tell while nothing may be granted; then another recovery begins, and one of the two is gone.
    (0..3).for_each(|host| world.does(host, Event::Restated));
    world.cut.insert(2);
    world.runs_for(1_500);
    voids(&mut world, 12);
    members(&mut world);
    world.log.leader(LeaderCommand::Lift { epoch: ClusterEpoch(12) });
    world.cut = BTreeSet::from([1]);
    [0, 2].into_iter().for_each(|host| world.does(host, Event::Restated));
    world.runs_for(3_000);
    assert!(world.record(0).is_void, "one of three is missing");
    let gatherer =
        (0..3).find(|host| Some(world.lives[*host].0.node) == Host::<Registers>::gatherer(sees(&world), &shard(0)));
    if gatherer != Some(1) {
        let id = world.asks(0, Request::Rebuild { shard: shard(0) });
        world.runs_for(4_000);
        assert_eq!(world.reply(id), Some(&Reply::Rebuilding));
        assert!(!world.record(0).is_void, "an operator has consented");
    }
}

fn sees(world: &World) -> Sees<'_> {
    Sees { state: Some(&world.log.state), view: None, members: None }
}
