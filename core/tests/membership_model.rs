//! Every interleaving of a small mesh, within bounds: what is promised of membership holds in each state that can be
//! reached, whatever is lost, doubled, overtaken or restarted.
//!
//! A breadth-first search over whole systems: the machines themselves, their disks and the packets under way. Each node
//! has a clock of its own that jumps to its next deadline whenever the search lets it, so deadlines of different nodes
//! fire in every order, and a packet may be under way for any time. Every promise has been seen to be broken: each of
//! them has a fault that is planted and must be found.

use relaymesh_core::codec::{Body, BodyVersion};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, Envelope, KeyId, KeyIds};
use relaymesh_core::identity::{BootIncarnation, ClusterId, Incarnation, NodeId, RequestId, StoreIncarnation};
use relaymesh_core::machine::{CauseId, Ctx, Machine, Scripted};
use relaymesh_core::membership::wire::{Member, News};
use relaymesh_core::membership::{
    Action, Event, Identity, Membership, Message, Opinion, Profile, Record, Reply, Request, Settings, Status, Verdict,
};
use relaymesh_core::mesh;
use relaymesh_core::record::Sequence;
use relaymesh_core::time::{Duration, Time, WallTime};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use Promise::*;

// --- what is promised -----------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// What a node says of its own incarnation is durable, and no earlier process of it has said it.
    NumbersAreUsedOnce,
    /// What a process holds of a member only moves up in the order of verdicts.
    VerdictsOnlyRise,
    /// Whoever holds somebody dead holds it alive again only at a higher incarnation.
    DeathIsOutbidOnly,
    /// That a node is alive at some incarnation, it has said itself first.
    OnlyTheSubjectRaises,
    /// Nobody holds itself to be suspected or dead.
    NobodyHoldsItselfDead,
}

const ALL: [Promise; 5] =
    [NumbersAreUsedOnce, VerdictsOnlyRise, DeathIsOutbidOnly, OnlyTheSubjectRaises, NobodyHoldsItselfDead];

#[test]
fn two_members_keep_every_promise_in_over_20_000_states() {
    let explored = Model { steps: 9, ..Model::of(2) }.explore(&ALL);
    assert!(explored.states >= 20_000, "{}", explored.states);
}

#[test]
fn two_members_one_of_them_suspected_keep_every_promise_in_over_10_000_states() {
    let explored = Model { start: Start::Suspected, steps: 8, ..Model::of(2) }.explore(&ALL);
    assert!(explored.states >= 10_000, "{}", explored.states);
    explored.shows_everything();
}

#[test]
fn three_members_keep_every_promise_in_over_20_000_states() {
    let explored = Model { steps: 7, ..Model::of(3) }.explore(&ALL);
    assert!(explored.states >= 20_000, "{}", explored.states);
}

#[test]
fn three_members_one_of_them_suspected_keep_every_promise_in_over_10_000_states() {
    let explored = Model { start: Start::Suspected, steps: 6, ..Model::of(3) }.explore(&ALL);
    assert!(explored.states >= 10_000, "{}", explored.states);
    explored.shows_everything();
}

#[test]
fn two_strangers_join_and_keep_every_promise_in_over_20_000_states() {
    let explored = Model { start: Start::Strangers, steps: 9, ..Model::of(2) }.explore(&ALL);
    assert!(explored.states >= 20_000, "{}", explored.states);
}

#[test]
#[ignore = "takes minutes and gigabytes: run it by name, in release, after a change of the protocol"]
fn more_steps_and_more_faults_break_no_promise_in_over_1_000_000_states() {
    let searches = [
        Model { steps: 11, ..Model::of(2) },
        Model { steps: 11, crashes: 2, start: Start::Suspected, ..Model::of(2) },
        Model { steps: 11, start: Start::Strangers, ..Model::of(2) },
        Model { steps: 7, packets: 3, ..Model::of(3) },
        Model { steps: 7, packets: 3, start: Start::Suspected, ..Model::of(3) },
        Model { steps: 7, packets: 3, start: Start::Strangers, ..Model::of(3) },
    ];
    let states: usize = searches.map(|model| model.explore(&ALL).states).iter().sum();
    assert!(states >= 1_000_000, "{states}");
}

// --- each of them has been seen to be broken ------------------------------------------------------------------------

#[test]
fn a_disk_that_forgets_what_was_durable_makes_numbers_repeat() {
    Model { plant: Some(Plant::DiskForgets), ..Model::of(2) }.breaks(NumbersAreUsedOnce);
}

#[test]
fn a_driver_that_calls_records_durable_too_early_makes_numbers_repeat() {
    Model { plant: Some(Plant::DurableTooEarly), start: Start::Strangers, ..Model::of(2) }.breaks(NumbersAreUsedOnce);
}

#[test]
fn a_process_that_falls_back_to_an_earlier_state_takes_verdicts_back() {
    Model { plant: Some(Plant::StateFallsBack), start: Start::Suspected, ..Model::of(2) }.breaks(VerdictsOnlyRise);
}

#[test]
fn a_process_that_falls_back_to_an_earlier_state_brings_back_the_dead() {
    let calm = Model { losses: 0, duplicates: 0, crashes: 0, packets: 0, ..Model::of(2) };
    Model { plant: Some(Plant::StateFallsBack), start: Start::Suspected, ..calm }.breaks(DeathIsOutbidOnly);
}

#[test]
fn a_forged_word_of_another_is_found() {
    Model { plant: Some(Plant::WordIsForged), ..Model::of(3) }.breaks(OnlyTheSubjectRaises);
}

#[test]
fn a_node_that_takes_anothers_state_for_its_own_is_found() {
    Model { plant: Some(Plant::StateIsAnothers), start: Start::Suspected, ..Model::of(2) }
        .breaks(NobodyHoldsItselfDead);
}

// --- the model ------------------------------------------------------------------------------------------------------

/// What is explored, and how far.
#[derive(Clone, Copy)]
struct Model {
    members: usize,
    start: Start,
    /// Length of the longest interleaving.
    steps: usize,
    losses: u8,
    duplicates: u8,
    crashes: u8,
    /// Packets under way; what is sent beyond that is lost.
    packets: usize,
    plant: Option<Plant>,
}

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Nobody knows anybody; the first node is everybody's seed.
    Strangers,
    /// Everybody knows everybody, and all is told.
    Joined,
    /// The same, but the first node suspects the last one, and nobody knows that yet.
    Suspected,
}

/// A fault that breaks a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    /// A process starts without the records that were durable.
    DiskForgets,
    /// A process is told that its records are durable before they are.
    DurableTooEarly,
    /// A process goes on from the state in which everybody was known and nobody suspected.
    StateFallsBack,
    /// The network makes up a word of somebody.
    WordIsForged,
    /// A process goes on from the state of another node.
    StateIsAnothers,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wake(usize),
    Deliver(usize),
    Lose(usize),
    Double(usize),
    Sync(usize),
    Restart { node: usize, keeps_unsynced: bool },
    Plant,
}

/// The whole system in one state.
#[derive(Clone, PartialEq, Eq, Hash)]
struct System {
    processes: Vec<Process>,
    /// Sorted, so that the order in which they were sent makes no difference.
    under_way: Vec<Packet>,
    losses: u8,
    duplicates: u8,
    crashes: u8,
    is_planted: bool,
    history: Vec<History>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Process {
    machine: Membership,
    now: Time,
    boot: u64,
    packets: u64,
    journal: Vec<u64>,
    unsynced: Vec<u64>,
    /// What it holds of each node.
    view: Vec<Option<Verdict>>,
}

/// What a promise needs to remember of a node.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct History {
    /// The highest incarnation that any process of it has said of itself.
    said: u64,
    /// The same, but for the process that runs.
    said_before: u64,
    /// The highest incarnation at which this process held each node dead.
    held_dead: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Packet {
    to: usize,
    from: usize,
    boot: u64,
    class: Class,
    sequence: u64,
    body: Vec<u8>,
}

/// What a search has come by.
#[derive(Default)]
struct Explored {
    states: usize,
    suspected: usize,
    dead: usize,
    refuted: usize,
    restarted: usize,
}

impl Explored {
    /// A promise that nothing could have broken says nothing.
    fn shows_everything(&self) {
        let seen = [self.suspected, self.dead, self.refuted, self.restarted];
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}

impl Model {
    fn of(members: usize) -> Self {
        Self { members, start: Start::Joined, steps: 14, losses: 1, duplicates: 1, crashes: 1, packets: 2, plant: None }
    }

    fn breaks(self, promise: Promise) {
        let broken = self.search(&[promise]).err().unwrap_or_else(|| panic!("{promise:?} was kept"));
        assert_eq!(broken.0, promise);
        let kept = Self { plant: None, steps: broken.1.len(), ..self }.search(&[promise]);
        assert!(kept.is_ok(), "without the fault it is kept");
    }

    fn explore(self, promises: &[Promise]) -> Explored {
        self.search(promises).unwrap_or_else(|(promise, steps)| panic!("{promise:?} is broken by {steps:?}"))
    }

    /// Breadth first, so that a counterexample is as short as can be.
    fn search(self, promises: &[Promise]) -> Result<Explored, (Promise, Vec<Step>)> {
        let earlier = Self { start: Start::Joined, ..self }.start();
        let first = self.start();
        let mut explored = Explored::default();
        let mut known = BTreeSet::from([fingerprint(&first)]);
        let mut frontier: Vec<(System, Vec<Step>)> = vec![(first, vec![])];
        for _ in 0..self.steps {
            let mut next = vec![];
            for (system, path) in frontier {
                for step in self.steps_from(&system) {
                    let mut after = system.clone();
                    let kept = self.take(&mut after, &earlier, step, promises);
                    let longer = || path.iter().copied().chain([step]).collect::<Vec<_>>();
                    kept.map_err(|promise| (promise, longer()))?;
                    if known.insert(fingerprint(&after)) {
                        explored.count(&system, &after, step);
                        next.push((after, longer()));
                    }
                }
            }
            frontier = next;
        }
        explored.states = known.len();
        Ok(explored)
    }

    fn steps_from(&self, system: &System) -> Vec<Step> {
        let nodes = 0..self.members;
        let mut steps: Vec<Step> = nodes
            .clone()
            .filter(|node| system.processes[*node].machine.next_deadline().is_some())
            .map(Step::Wake)
            .collect();
        let packets = 0..system.under_way.len();
        steps.extend(packets.clone().map(Step::Deliver));
        if system.losses < self.losses {
            steps.extend(packets.clone().map(Step::Lose));
        }
        if system.duplicates < self.duplicates {
            steps.extend(packets.map(Step::Double));
        }
        steps.extend(nodes.clone().filter(|node| !system.processes[*node].unsynced.is_empty()).map(Step::Sync));
        if system.crashes < self.crashes {
            for node in nodes {
                let kept = !system.processes[node].unsynced.is_empty();
                let both = [false, true].into_iter().filter(|keeps_unsynced| kept || !keeps_unsynced);
                steps.extend(both.map(|keeps_unsynced| Step::Restart { node, keeps_unsynced }));
            }
        }
        let is_due = matches!(
            self.plant,
            Some(Plant::StateFallsBack | Plant::WordIsForged | Plant::StateIsAnothers) if !system.is_planted
        );
        steps.extend(is_due.then_some(Step::Plant));
        steps
    }

    fn take(&self, system: &mut System, earlier: &System, step: Step, promises: &[Promise]) -> Result<(), Promise> {
        match step {
            Step::Wake(node) => {
                let process = &mut system.processes[node];
                process.now = process.now.max(process.machine.next_deadline().unwrap_or(process.now));
                self.handle(system, node, Event::Wake, promises)
            }
            Step::Deliver(at) => {
                let packet = system.under_way.remove(at);
                self.deliver(system, &packet, promises)
            }
            Step::Double(at) => {
                system.duplicates += 1;
                let packet = system.under_way[at].clone();
                self.deliver(system, &packet, promises)
            }
            Step::Lose(at) => {
                system.losses += 1;
                system.under_way.remove(at);
                Ok(())
            }
            Step::Sync(node) => {
                let process = &mut system.processes[node];
                let record = process.unsynced.remove(0);
                process.journal.push(record);
                let upto = Sequence(process.journal.len() as u64);
                self.handle(system, node, Event::Durable(upto), promises)
            }
            Step::Restart { node, keeps_unsynced } => {
                system.crashes += 1;
                let process = &mut system.processes[node];
                let unsynced = std::mem::take(&mut process.unsynced);
                if keeps_unsynced {
                    process.journal.extend(unsynced);
                }
                self.boot(system, node, promises)
            }
            Step::Plant => {
                system.is_planted = true;
                self.plant(system, earlier, promises)
            }
        }
    }

    fn plant(&self, system: &mut System, earlier: &System, promises: &[Promise]) -> Result<(), Promise> {
        match self.plant {
            Some(Plant::StateFallsBack) => {
                let (machine, now) = (earlier.processes[0].machine.clone(), earlier.processes[0].now);
                (system.processes[0].machine, system.processes[0].now) = (machine, now);
            }
            Some(Plant::StateIsAnothers) => system.processes[1].machine = system.processes[0].machine.clone(),
            Some(Plant::WordIsForged) => {
                let said = system.history[1].said + 1;
                let verdict =
                    Verdict { status: Status::Alive, incarnation: relaymesh_core::membership::IncarnationNumber(said) };
                let opinion = Opinion { node: id(1), verdict, accuser: id(1) };
                let rumors = vec![relaymesh_core::membership::wire::Rumor { age_ms: 0, news: News::Opinion(opinion) }];
                let forged = Packet {
                    to: 0,
                    from: 2,
                    boot: system.processes[2].boot,
                    class: Class::Gossip,
                    sequence: 1_000,
                    body: encoded(&Message::Gossip { rumors }),
                };
                system.under_way.push(forged);
            }
            _ => {}
        }
        (0..self.members).try_for_each(|node| self.look(system, node, promises))
    }

    fn deliver(&self, system: &mut System, packet: &Packet, promises: &[Promise]) -> Result<(), Promise> {
        let process = &mut system.processes[packet.to];
        let envelope = envelope(packet);
        if !process.machine.admit(&envelope) {
            return Ok(());
        }
        let Ok(mesh::Message::Membership(message)) = mesh::Message::decode(BodyVersion(1), &packet.body) else {
            panic!("what was sent can be read")
        };
        self.handle(system, packet.to, Event::Message { envelope, message }, promises)
    }

    fn handle(&self, system: &mut System, node: usize, event: Event, promises: &[Promise]) -> Result<(), Promise> {
        let process = &mut system.processes[node];
        let mut actions = vec![];
        let mut chooser = Scripted::default();
        let mut ctx = Ctx::new(process.now, WallTime::default(), CauseId(0), &mut chooser);
        ctx.next_record = Sequence((process.journal.len() + process.unsynced.len() + 1) as u64);
        process.machine.handle(&mut ctx, event, &mut actions);
        for action in actions {
            match action {
                Action::Write(Record::Reserved { upto }) => system.processes[node].unsynced.push(upto.0),
                Action::Send { to, class, message } => self.send(system, node, to, class, &message, promises)?,
                Action::Seek => self.find(system, node, promises)?,
                _ => {}
            }
        }
        system.under_way.sort_unstable();
        if self.plant == Some(Plant::DurableTooEarly) && !system.processes[node].unsynced.is_empty() {
            let process = &system.processes[node];
            let upto = Sequence((process.journal.len() + process.unsynced.len()) as u64);
            return self.handle_lying(system, node, upto, promises);
        }
        self.look(system, node, promises)
    }

    /// Says that everything is durable, which it is not.
    fn handle_lying(
        &self,
        system: &mut System,
        node: usize,
        upto: Sequence,
        promises: &[Promise],
    ) -> Result<(), Promise> {
        Self { plant: None, ..*self }.handle(system, node, Event::Durable(upto), promises)
    }

    /// The first node is everybody's seed.
    fn find(&self, system: &mut System, node: usize, promises: &[Promise]) -> Result<(), Promise> {
        match node {
            0 => Ok(()),
            _ => self.handle(system, node, Event::Found { node: id(0), endpoint: endpoint(0) }, promises),
        }
    }

    fn send(
        &self,
        system: &mut System,
        from: usize,
        to: NodeId,
        class: Class,
        message: &Message,
        promises: &[Promise],
    ) -> Result<(), Promise> {
        assert_eq!(message.check(), Ok(()), "receivers refuse {message:?}");
        let durable = system.processes[from].journal.iter().copied().max().unwrap_or(0);
        for (subject, incarnation) in words(message) {
            let history = &mut system.history[subject];
            if subject == from {
                let is_new = incarnation > history.said_before && incarnation <= durable;
                promised(promises, NumbersAreUsedOnce, is_new)?;
                history.said = history.said.max(incarnation);
            }
            promised(promises, OnlyTheSubjectRaises, incarnation <= history.said)?;
        }
        let process = &mut system.processes[from];
        process.packets += 1;
        let Some(to) = (0..self.members).find(|node| id(*node) == to) else { return Ok(()) };
        if system.under_way.len() < self.packets {
            let (boot, sequence) = (process.boot, process.packets);
            system.under_way.push(Packet { to, from, boot, class, sequence, body: encoded(message) });
        }
        Ok(())
    }

    /// What a process holds now, and whether it may.
    fn look(&self, system: &mut System, node: usize, promises: &[Promise]) -> Result<(), Promise> {
        let process = &mut system.processes[node];
        let history = &mut system.history[node];
        let view = view(process, self.members);
        for (subject, (before, after)) in process.view.iter().zip(&view).enumerate() {
            if let (Some(before), Some(after)) = (before, after) {
                promised(promises, VerdictsOnlyRise, after >= before)?;
            }
            if let Some(after) = after {
                let held_dead = &mut history.held_dead[subject];
                let is_alive = after.status == Status::Alive;
                promised(promises, DeathIsOutbidOnly, !is_alive || after.incarnation.0 > *held_dead)?;
                if after.status == Status::Dead {
                    *held_dead = (*held_dead).max(after.incarnation.0);
                }
            }
        }
        let own = view[node].map(|verdict| verdict.status);
        promised(promises, NobodyHoldsItselfDead, !matches!(own, Some(Status::Suspect | Status::Dead)))?;
        process.view = view;
        Ok(())
    }

    // --- how it starts ----------------------------------------------------------------------------------------------

    fn start(&self) -> System {
        let none = [];
        let mut system = System {
            processes: (0..self.members).map(|node| self.process(node)).collect(),
            under_way: vec![],
            losses: 0,
            duplicates: 0,
            crashes: 0,
            is_planted: false,
            history: vec![History { held_dead: vec![0; self.members], ..History::default() }; self.members],
        };
        let peaceful = Self { plant: None, packets: 64, ..*self };
        let is_joined = self.start != Start::Strangers;
        for node in 0..self.members {
            let model = if is_joined { peaceful } else { *self };
            assert!(model.boot(&mut system, node, &none).is_ok());
        }
        while is_joined && !self.is_calm(&system) {
            let before = system.clone();
            let step = self.next_in_peace(&system);
            assert!(peaceful.take(&mut system, &before, step, &none).is_ok());
        }
        let silent = Self { plant: None, packets: 0, ..*self };
        let suspects = |system: &System| {
            system.processes[0].view[self.members - 1].is_some_and(|verdict| verdict.status == Status::Suspect)
        };
        while self.start == Start::Suspected && !suspects(&system) {
            let before = system.clone();
            assert!(silent.take(&mut system, &before, Step::Wake(0), &none).is_ok());
        }
        system
    }

    fn is_calm(&self, system: &System) -> bool {
        let knows_all = |process: &Process| {
            process.view.iter().all(|verdict| verdict.is_some_and(|verdict| verdict.status == Status::Alive))
        };
        system.under_way.is_empty() && system.processes.iter().all(knows_all)
    }

    /// Disks first, then packets, then whose clock is behind.
    fn next_in_peace(&self, system: &System) -> Step {
        let mut nodes = 0..self.members;
        if let Some(node) = nodes.clone().find(|node| !system.processes[*node].unsynced.is_empty()) {
            return Step::Sync(node);
        }
        if !system.under_way.is_empty() {
            return Step::Deliver(0);
        }
        let due = |node: &usize| system.processes[*node].machine.next_deadline();
        let first = nodes.by_ref().min_by_key(|node| due(node).unwrap_or(Time::MAX));
        Step::Wake(first.expect("there are nodes"))
    }

    fn process(&self, node: usize) -> Process {
        Process {
            machine: Membership::new(settings(), identity(node)),
            now: Time::from_nanos(1_000_000_000),
            boot: 0,
            packets: 0,
            journal: vec![],
            unsynced: vec![],
            view: vec![None; self.members],
        }
    }

    /// A new process on the old disk.
    fn boot(&self, system: &mut System, node: usize, promises: &[Promise]) -> Result<(), Promise> {
        let (process, history) = (&mut system.processes[node], &mut system.history[node]);
        history.said_before = history.said;
        history.held_dead = vec![0; self.members];
        process.boot += 1;
        process.packets = 0;
        process.view = vec![None; self.members];
        process.machine = Membership::new(settings(), identity(node));
        if self.plant != Some(Plant::DiskForgets) {
            for upto in &process.journal {
                let upto = relaymesh_core::membership::IncarnationNumber(*upto);
                process.machine.replay(Record::Reserved { upto });
            }
        }
        let life = life(node, process.boot);
        self.handle(system, node, Event::Start { life, keys: KeyIds::new([KeyId(1)]) }, promises)
    }
}

impl Explored {
    fn count(&mut self, before: &System, after: &System, step: Step) {
        let holds = |system: &System, status: Status| {
            let verdicts = system.processes.iter().flat_map(|process| process.view.iter().flatten());
            verdicts.filter(|verdict| verdict.status == status).count()
        };
        self.suspected += usize::from(holds(after, Status::Suspect) > holds(before, Status::Suspect));
        self.dead += usize::from(holds(after, Status::Dead) > holds(before, Status::Dead));
        let accused = |system: &System| holds(system, Status::Suspect) + holds(system, Status::Dead);
        let is_restart = matches!(step, Step::Restart { .. });
        self.refuted += usize::from(!is_restart && accused(after) < accused(before));
        self.restarted += usize::from(is_restart);
    }
}

fn promised(promises: &[Promise], promise: Promise, is_kept: bool) -> Result<(), Promise> {
    if is_kept || !promises.contains(&promise) { Ok(()) } else { Err(promise) }
}

/// What a message says of who is alive or gone at which incarnation.
fn words(message: &Message) -> Vec<(usize, u64)> {
    let by_itself = |status: Status| matches!(status, Status::Alive | Status::Left);
    let of_opinion =
        |opinion: &Opinion| by_itself(opinion.verdict.status).then_some((opinion.node, opinion.verdict.incarnation));
    let of_member = |member: &Member| Some((member.node, member.incarnation));
    let words: Vec<_> = match message {
        Message::Ping { rumors, .. }
        | Message::Ack { rumors, .. }
        | Message::PingRequest { rumors, .. }
        | Message::Gossip { rumors } => rumors
            .iter()
            .filter_map(|rumor| match &rumor.news {
                News::Opinion(opinion) => of_opinion(opinion),
                News::Member(member) => of_member(member),
            })
            .collect(),
        Message::SyncDigests { opener, .. } => of_member(opener).into_iter().collect(),
        Message::SyncRows { rows, .. } => {
            let said = rows.iter().filter(|row| by_itself(row.verdict.status));
            said.map(|row| (row.node, row.verdict.incarnation)).collect()
        }
        Message::SyncAnswer { opinions, members, .. } => {
            opinions.iter().filter_map(of_opinion).chain(members.iter().filter_map(of_member)).collect()
        }
        Message::SyncMembers { members, .. } => members.iter().filter_map(of_member).collect(),
        Message::Vouch { .. } | Message::Nack { .. } => vec![],
    };
    let index = |node: NodeId| usize::from(node.as_bytes()[15]) - 1;
    words.into_iter().map(|(node, incarnation)| (index(node), incarnation.0)).collect()
}

/// Asking changes nothing.
fn view(process: &mut Process, members: usize) -> Vec<Option<Verdict>> {
    let mut chooser = Scripted::default();
    let mut ctx = Ctx::new(process.now, WallTime::default(), CauseId(0), &mut chooser);
    let mut actions = vec![];
    process.machine.handle(&mut ctx, Event::Request(RequestId(1), Request::Members), &mut actions);
    let [Action::Reply(_, Reply::Members(seen))] = &actions[..] else { panic!("who asks is answered: {actions:?}") };
    let verdict = |node: usize| {
        let member = seen.iter().find(|member| member.node == id(node))?;
        Some(Verdict { incarnation: member.incarnation, status: member.status })
    };
    (0..members).map(verdict).collect()
}

// --- fixed inputs ---------------------------------------------------------------------------------------------------

/// Few retransmissions and short suspicions; what only repeats itself comes rarely.
fn settings() -> Settings {
    let rarely = Duration::from_secs(1_000_000);
    Settings {
        relays: 1,
        fan_out: 1,
        retransmit: 1,
        confirmations: 1,
        suspicion_floor: 200,
        suspicion_alpha: 0,
        suspicion_beta: 2,
        sync_interval: rarely,
        dead_probe_interval: rarely,
        seek_interval: rarely,
        reseek_interval: rarely,
        ..Settings::default()
    }
}

fn id(node: usize) -> NodeId {
    NodeId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, node as u8 + 1])
}

fn endpoint(node: usize) -> Endpoint {
    Endpoint::v4([10, 0, 0, node as u8], 7_000)
}

fn life(node: usize, boot: u64) -> Incarnation {
    Incarnation { node: id(node), store: StoreIncarnation(node as u64 + 1), boot: BootIncarnation(boot) }
}

fn identity(node: usize) -> Identity {
    let profile = Arc::new(Profile::default());
    Identity { node: id(node), endpoint: endpoint(node), speaks: 1, name: format!("{node}").into(), profile }
}

fn envelope(packet: &Packet) -> Envelope {
    Envelope {
        cluster: ClusterId::from_bytes([1; 16]),
        domain: Default::default(),
        tenant: Default::default(),
        source: life(packet.from, packet.boot),
        destination: id(packet.to),
        next_hop: id(packet.to),
        ttl: 1,
        class: packet.class,
        sequence: packet.sequence,
        cause: CauseId(0),
        version: BodyVersion(1),
        speaks: BodyVersion(1),
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut body = vec![];
    let message = mesh::Message::Membership(message.clone());
    message.encode(BodyVersion(1), 1 << 20, &mut body).expect("what is sent can be said");
    body
}

// --- fingerprints ---------------------------------------------------------------------------------------------------

/// 128 bits: two different states among ten million share one with a chance of 10⁻²⁴.
fn fingerprint(system: &System) -> u128 {
    let mut lanes = Lanes([0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344]);
    system.hash(&mut lanes);
    u128::from(lanes.0[0]) << 64 | u128::from(lanes.0[1])
}

struct Lanes([u64; 2]);

impl Lanes {
    fn mix(&mut self, word: u64) {
        let [one, other] = &mut self.0;
        *one = (*one ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        *one ^= *one >> 29;
        *other = (other.rotate_left(23) ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        *other ^= *other >> 32;
    }
}

impl Hasher for Lanes {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn finish(&self) -> u64 {
        self.0[0] ^ self.0[1]
    }
}
