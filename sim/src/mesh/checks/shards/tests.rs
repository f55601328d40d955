//! What is agreed on is judged entry by entry: each rule is shown to fire where another entry than the one that may do it has
//! done it, and to be silent on a log in which nothing is wrong.

use super::agreed::Step;
use crate::check::Findings;
use crate::mesh::checks::{MeshChecks, OWNR_2, PLAC_1, PLAC_2, PLAC_3};
use crate::mesh::clients::shards::NAMESPACE;
use crate::scenario::parse;
use crate::world::node_id;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::control::group::wire::{Blob, Body, Entry as Logged, Message, Payload};
use relaymesh_core::control::group::{GroupId, Voter, VoterId};
use relaymesh_core::control::node::{Founding, Request};
use relaymesh_core::control::state::{
    At, Cause, Change, Command, Entry, LeaderCommand, NEWEST, Name, PlacementCommand, RecoveryId, Registration,
    ShardCommand, State,
};
use relaymesh_core::epoch::{ClusterEpoch, FenceToken};
use relaymesh_core::identity::{BootIncarnation, Incarnation, StoreIncarnation};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::placement::{Strategy, Work};
use relaymesh_core::time::Duration;

/// A group of three voters that agrees on one entry after the other, and the checkers that hear of it.
struct Watch {
    checks: MeshChecks,
    found: Findings,
    group: GroupId,
    at: u64,
    registered: BTreeMap<u32, u64>,
}

fn process(node: u32) -> Incarnation {
    let store = StoreIncarnation(u64::from(node) + 1);
    Incarnation { node: node_id(node), store, boot: BootIncarnation(1) }
}

fn namespace() -> Name {
    Name::new(NAMESPACE).unwrap()
}

fn shard(number: u32) -> ShardId {
    ShardId { namespace: namespace(), number }
}

impl Watch {
    /// Six shards of two copies on three nodes; a fourth has come since.
    fn new() -> Self {
        let text = "name = \"watch\"\nabout = \"Four nodes.\"\nsubject = \"mesh\"\nnodes = 4\n\
                    [phases]\nsafety = \"1h\"\nliveness = \"1h\"\n[control]\nvoters = 3\n[shards]\nshards = 6\n";
        let mut checks = MeshChecks::new(&parse(text).unwrap());
        let voters = (0..3).map(|node| Voter { node: node_id(node), store: process(node).store }).collect();
        let founding = Founding { nonce: 1, recovery: RecoveryId(1), voters, span_max: Duration::from_secs(5) };
        checks.shards.agreed.asked(&Request::Found(founding.clone()));
        let group = GroupId::of(1, &founding.voters);
        let mut it = Self { checks, found: Findings::default(), group, at: 1, registered: BTreeMap::new() };
        it.agrees(&Entry::Leader { term: 1, command: LeaderCommand::Activate { version: NEWEST } });
        (0..3).for_each(|node| it.joins(node));
        let (namespace, shards) = (namespace(), 6);
        it.asks(0, Command::Shard(ShardCommand::Declare { namespace, shards, first: 0, copies: 2, minimum: 1 }));
        it.joins(3);
        assert_eq!(it.state().shards().count(), 6, "they are declared");
        it
    }

    fn state(&self) -> &State {
        self.checks.shards.agreed.state.as_ref().unwrap()
    }

    fn says(&mut self, commit: u64, entries: Vec<Logged>) {
        let body = Body::Append { index: self.at, log_term: 1, commit, entries };
        let (from, to, store) = (VoterId(1), VoterId(2), StoreIncarnation(2));
        let message = Message { group: self.group, from, to, store, term: 1, body };
        self.checks.group_sent(&message, &mut self.found);
    }

    fn agrees(&mut self, entry: &Entry) {
        let payload = Payload::Command(Blob(entry.to_bytes().unwrap().into()));
        self.says(self.at, vec![Logged { term: 1, payload }]);
        self.at += 1;
        self.says(self.at, vec![]);
    }

    fn joins(&mut self, node: u32) {
        self.agrees(&Entry::Register { client: process(node) });
        self.registered.insert(node, self.at);
        let (ttl, epsilon) = (Duration::from_millis(1_200), Duration::from_millis(100));
        self.asks(node, Command::Open { ttl, epsilon });
    }

    fn entry(&self, node: u32, command: Command) -> Entry {
        let registered = Registration(FenceToken::new(ClusterEpoch(1), self.registered[&node]));
        let (client, command, sequence) = (process(node), Box::new(command), self.at);
        Entry::Client { client, registered, sequence, unanswered: sequence, command }
    }

    fn asks(&mut self, node: u32, command: Command) {
        let entry = self.entry(node, command);
        self.agrees(&entry);
    }

    fn plans(&mut self, command: PlacementCommand) {
        self.asks(0, Command::Placement(command));
    }

    /// A plan that gives the fourth node what it ought to have: its name, and what it is for.
    fn plan(&mut self) -> (u64, u64, u64) {
        let (namespace, on) = (namespace(), self.state().placement(&namespace()).unwrap().table().version());
        self.plans(PlacementCommand::Draft {
            namespace,
            on,
            strategy: Strategy::Rendezvous,
            seed: 0,
            cause: Cause::Operator,
            doubtful: vec![],
            strained: vec![],
            parallel: 1,
        });
        let placement = self.state().placement(&namespace).unwrap().clone();
        let (before, plan) = (placement.table(), placement.plan().unwrap());
        let next = Work::new(plan.rule, plan.sites.clone(), Some(before), u32::MAX).unwrap().run(on).table;
        let place = |node| next.sites().of_node(node).unwrap().number();
        let row = |number| (number, next.copies(number).map(place).collect());
        let rows = before.diff(&next).iter().map(|moved| row(moved.shard)).collect();
        self.plans(PlacementCommand::Rows { namespace, plan: plan.id, rows });
        self.plans(PlacementCommand::Seal { namespace, plan: plan.id, checksum: next.checksum() });
        (plan.id, on, next.checksum())
    }

    fn approves(&mut self, (plan, version, checksum): (u64, u64, u64)) {
        let namespace = namespace();
        self.plans(PlacementCommand::Approve { namespace, plan, version, checksum, at: None });
    }

    fn finds(&self, invariant: &str) {
        let found: Vec<&str> = self.found.violations.iter().map(|it| it.invariant).collect();
        assert!(found.contains(&invariant), "{found:?}");
    }

    fn is_silent(&self) {
        assert!(self.found.violations.is_empty(), "{:?}", self.found.violations);
    }

    /// The state with one entry more, that entry, and what it changed; the checkers do not hear of it.
    fn beside(&self, node: u32, command: Command) -> (State, Step, Vec<Change>) {
        let (mut state, mut changes) = (self.state().clone(), vec![]);
        let (at, entry) = (At { index: self.at + 1, term: 1 }, self.entry(node, command.clone()));
        assert!(state.apply(at, &entry.to_bytes().unwrap(), NEWEST, &mut changes).is_ok());
        (state, Step { index: at.index, command: Some((process(node), command)) }, changes)
    }
}

/// The owner of shard 0, and its handing over.
fn hand_over(watch: &Watch) -> (u32, Command) {
    let record = watch.state().shard(&shard(0)).unwrap();
    let owner = (0..4).find(|node| Some(process(*node)) == record.owner).unwrap();
    (owner, Command::Shard(ShardCommand::HandOver { shard: shard(0), epoch: record.epoch, to: None }))
}

#[test]
fn an_owner_that_hands_over_may_have_a_successor_and_no_other() {
    let mut watch = Watch::new();
    let (owner, command) = hand_over(&watch);
    let (state, step, changes) = watch.beside(owner, command);
    let (by, of) = step.command.clone().unwrap();
    let others = [
        None,
        Some((process((owner + 1) % 3), of)),
        Some((by, Command::Shard(ShardCommand::HandOver { shard: shard(1), epoch: Default::default(), to: None }))),
        Some((by, Command::Nothing)),
    ];
    for command in others {
        let mut watch = Watch::new();
        watch.checks.owners_changed(&state, &Step { index: step.index, command }, &changes, &mut watch.found);
        watch.finds(OWNR_2);
    }
    watch.checks.owners_changed(&state, &step, &changes, &mut watch.found);
    watch.is_silent();
}

#[test]
fn an_owner_whose_session_is_over_has_a_successor() {
    let mut watch = Watch::new();
    let (owner, _) = hand_over(&watch);
    watch.asks(owner, Command::Close);
    assert_ne!(watch.state().shard(&shard(0)).unwrap().owner, Some(process(owner)));
    watch.is_silent();
}

#[test]
fn nobody_acts_for_a_shard_but_who_was_granted_it() {
    let mut watch = Watch::new();
    let (owner, _) = hand_over(&watch);
    let epoch = watch.state().shard(&shard(0)).unwrap().epoch;
    watch.checks.acts_as_granted(owner, shard(0), epoch, &mut watch.found);
    watch.is_silent();
    watch.checks.acts_as_granted((owner + 1) % 3, shard(0), epoch, &mut watch.found);
    watch.finds(OWNR_2);
}

#[test]
fn a_plan_is_approved_for_what_it_is_for() {
    let mut watch = Watch::new();
    let plan = watch.plan();
    let (namespace, (plan, version, checksum)) = (namespace(), plan);
    let approve = |version, checksum| {
        Command::Placement(PlacementCommand::Approve { namespace, plan, version, checksum, at: None })
    };
    let (state, step, _) = watch.beside(0, approve(version, checksum));
    for wrong in [approve(version + 1, checksum), approve(version, checksum + 1)] {
        let step = Step { index: step.index, command: Some((process(0), wrong)) };
        let before = watch.checks.before_step(watch.state(), &step);
        let mut found = Findings::default();
        watch.checks.table_stepped(&state, &step, before, &mut found);
        assert!(found.violations.iter().any(|it| it.invariant == PLAC_2), "{:?}", found.violations);
    }
    watch.approves((plan, version, checksum));
    watch.approves((plan, version, checksum));
    watch.is_silent();
}

#[test]
fn a_plan_does_not_begin_while_another_one_is_carried_out() {
    let mut watch = Watch::new();
    let plan = watch.plan();
    let on = plan.1;
    let (namespace, strategy, cause) = (namespace(), Strategy::Rendezvous, Cause::Operator);
    let (doubtful, strained) = (vec![], vec![]);
    let draft = PlacementCommand::Draft { namespace, on, strategy, seed: 0, cause, doubtful, strained, parallel: 1 };
    let (state, step, _) = watch.beside(0, Command::Placement(draft));
    watch.approves(plan);
    let before = watch.checks.before_step(watch.state(), &step);
    watch.checks.table_stepped(&state, &step, before, &mut watch.found);
    watch.finds(PLAC_2);
}

#[test]
fn the_next_shards_do_not_move_before_the_last_ones_have() {
    let mut watch = Watch::new();
    let plan = watch.plan();
    watch.approves(plan);
    let advance = |last| PlacementCommand::Advance { namespace: namespace(), plan: plan.0, last };
    watch.plans(advance(None));
    let placement = watch.state().placement(&namespace()).unwrap().clone();
    let run = placement.plan().unwrap().run.clone().unwrap();
    assert_eq!(run.wave.len(), 1, "one moves");
    watch.plans(advance(run.last));
    watch.is_silent();
    // The same state, as if the entry behind it had moved the next one.
    let version = placement.table().version();
    let step = Step { index: version, command: Some((process(0), Command::Placement(advance(run.last)))) };
    let state = watch.state().clone();
    let before = watch.checks.before_step(&state, &step);
    watch.checks.table_stepped(&state, &step, before, &mut watch.found);
    watch.finds(PLAC_3);
}

#[test]
fn tables_of_other_contents_have_other_checksums() {
    let mut watch = Watch::new();
    let table = watch.state().placement(&namespace()).unwrap().table().clone();
    let plan = watch.plan();
    watch.approves(plan);
    watch.is_silent();
    let rebased = watch.state().placement(&namespace()).unwrap().table().clone();
    assert_ne!(table.sites().len(), rebased.sites().len(), "it follows from other sites");
    assert_ne!(table.checksum(), rebased.checksum());
    let other = (*table.rule(), vec![], vec![]);
    watch.checks.of_one_checksum(rebased.checksum(), other, &[], &mut watch.found);
    watch.finds(PLAC_1);
}
