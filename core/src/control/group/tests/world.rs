//! The world: nodes, disks, and a network, all drawn from one seed.

use super::super::members::{Members, Voter, VoterId};
use super::super::replay::Replay;
use super::super::wire::{Message, Record};
use super::super::{
    Action, At, CannotApply, Damaged, Event, Founding, Group, GroupObservation, Refusal, Replicated, Reply, Request,
    Role, Settings, Status, Ticket,
};
use super::watch::Watch;
use crate::codec::{BodyVersion, decode_value, encode_value};
use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use crate::machine::{CauseId, Chooser, Ctx, Machine, Seeded, Sink};
use crate::record::Sequence;
use crate::time::{Duration, Time, WallTime};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// The state that is replicated: all that was ever applied, so that two of them can be told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Register {
    pub(super) applied: At,
    pub(super) values: Vec<Vec<u8>>,
    pub(super) digest: u64,
}

/// The bytes of an entry that no build knows.
pub(super) const UNKNOWN: &[u8] = b"unknown";
/// The bytes of an entry that is taken, but cannot be applied.
pub(super) const HALT: &[u8] = b"halt";
/// Values in one piece of a snapshot.
const VALUES_PER_PIECE: usize = 5;

#[derive(Clone, Debug)]
pub(super) struct Writer(Register, usize);

impl Replicated for Register {
    type Outcome = u64;
    type Change = (At, u64);
    type Writer = Writer;
    type Reader = (Register, u64);

    fn apply(
        &mut self,
        at: At,
        entry: &[u8],
        _: BodyVersion,
        out: &mut impl Sink<(At, u64)>,
    ) -> Result<u64, CannotApply> {
        if entry == HALT {
            return Err(CannotApply);
        }
        self.applied = at;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.digest.to_le_bytes()).update(&at.term.to_le_bytes()).update(entry);
        self.digest = u64::from_le_bytes(hasher.finalize().as_bytes()[..8].try_into().unwrap());
        if !entry.is_empty() {
            self.values.push(entry.to_vec());
        }
        out.push((at, self.digest));
        Ok(self.values.len() as u64)
    }

    fn understands(entry: &[u8], _: BodyVersion) -> bool {
        entry != UNKNOWN
    }

    fn needs(&self) -> BodyVersion {
        BodyVersion(1)
    }

    fn writer(&self) -> Writer {
        Writer(self.clone(), 0)
    }

    fn next_piece(Writer(state, next): &mut Writer) -> Option<Vec<u8>> {
        let (from, pieces) = (*next * VALUES_PER_PIECE, state.values.len().div_ceil(VALUES_PER_PIECE).max(1));
        (*next < pieces).then(|| {
            *next += 1;
            let values: Vec<_> = state.values.iter().skip(from).take(VALUES_PER_PIECE).cloned().collect();
            let mut bytes = vec![];
            encode_value(&(state.applied, state.digest, pieces as u64, values), 1 << 20, &mut bytes).unwrap();
            bytes
        })
    }

    fn take_piece((state, taken): &mut Self::Reader, piece: &[u8]) -> Result<Option<Self>, Damaged> {
        let (applied, digest, pieces, values): (At, u64, u64, Vec<Vec<u8>>) =
            decode_value(piece).map_err(|_| Damaged)?;
        if *taken > 0 && (state.applied, state.digest) != (applied, digest) {
            return Err(Damaged);
        }
        (state.applied, state.digest) = (applied, digest);
        state.values.extend(values);
        *taken += 1;
        Ok((*taken == pieces).then(|| state.clone()))
    }
}

/// One node of the world.
pub(super) struct Host {
    pub(super) node: NodeId,
    pub(super) store: StoreIncarnation,
    boot: u64,
    chooser: Seeded,
    pub(super) group: Option<Group<Register>>,
    /// What the disk was asked to store, and how much of it is durable.
    pub(super) journal: Vec<Vec<u8>>,
    pub(super) synced: usize,
    /// The first of them that is still there.
    pub(super) first: usize,
    /// The first record that a checkpoint under way does not give up, and where it ended.
    checkpoint: Option<(usize, Option<usize>)>,
    /// What a replay of the durable part would make.
    pub(super) disk: Replay<Register>,
    is_syncing: bool,
    pub(super) disk_stalled: bool,
    /// The node does nothing before then, as if its process were stopped.
    pub(super) paused_until: Time,
    pub(super) voter: Option<VoterId>,
}

/// What is about to happen.
enum Due {
    Arrive { from: Incarnation, to: usize, bytes: Vec<u8> },
    Synced { host: usize, boot: u64, upto: usize },
}

/// How the network and the disks behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) delay: (u64, u64),
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    pub(super) sync: (u64, u64),
}

/// In microseconds.
pub(super) const CALM: Weather =
    Weather { delay: (200, 600), loss_percent: 0, duplicate_percent: 0, sync: (500, 2_000) };

pub(super) struct World {
    pub(super) now: Time,
    pub(super) settings: Settings,
    pub(super) weather: Weather,
    pub(super) hosts: Vec<Host>,
    due: BTreeMap<(Time, u64), Due>,
    events: u64,
    chance: Seeded,
    /// Pairs that the network does not connect, by direction.
    pub(super) cut: BTreeSet<(usize, usize)>,
    /// Nodes of which only datagrams get through, both ways.
    pub(super) without_streams: BTreeSet<usize>,
    pub(super) watch: Watch,
    pub(super) replies: BTreeMap<Ticket, Result<Reply<u64>, Refusal>>,
    tickets: u64,
    pub(super) roles: Vec<(Time, usize, Role)>,
    pub(super) observed: Vec<(usize, GroupObservation)>,
    pub(super) changed: u64,
    /// Records that one event wrote, once groups are founded.
    pub(super) most_writes: usize,
    /// All that was done, for comparing two runs.
    pub(super) trace: blake3::Hasher,
    pub(super) last_messages: Vec<(usize, Message)>,
}

fn founding(voters: BTreeSet<Voter>) -> Founding<Register> {
    Founding { nonce: 7, voters, state: Register::default(), at: At { index: 1, term: 1 }, is_recovery: false }
}

impl World {
    /// So many nodes, none of them in a group.
    pub(super) fn new(seed: u64, nodes: usize) -> Self {
        let mut world = Self {
            now: Time::from_nanos(1_000_000),
            settings: Settings::lan(),
            weather: CALM,
            hosts: Vec::new(),
            due: BTreeMap::new(),
            events: 0,
            chance: Seeded::new(seed, 0),
            cut: BTreeSet::new(),
            without_streams: BTreeSet::new(),
            watch: Watch::default(),
            replies: BTreeMap::new(),
            tickets: 0,
            roles: Vec::new(),
            observed: Vec::new(),
            changed: 0,
            most_writes: 0,
            trace: blake3::Hasher::new(),
            last_messages: Vec::new(),
        };
        for n in 0..nodes {
            world.hosts.push(Host {
                node: NodeId::from_bytes([n as u8 + 1; 16]),
                store: StoreIncarnation(100 + n as u64),
                boot: 0,
                chooser: Seeded::new(seed, 1 + n as u64),
                group: None,
                journal: vec![],
                synced: 0,
                first: 0,
                checkpoint: None,
                disk: Replay::new(),
                is_syncing: false,
                disk_stalled: false,
                paused_until: Time::ZERO,
                voter: None,
            });
        }
        world
    }

    /// A group of the first `voters` nodes.
    pub(super) fn founded(seed: u64, nodes: usize, voters: usize) -> Self {
        let mut world = Self::new(seed, nodes);
        (0..nodes).for_each(|host| world.starts(host));
        world.found(voters);
        world
    }

    pub(super) fn found(&mut self, voters: usize) {
        let founders: BTreeSet<_> = (0..voters).map(|host| self.voter(host)).collect();
        for host in 0..voters {
            let founding = founding(founders.clone());
            let ticket = self.ticket();
            self.does(host, Event::Found(ticket, founding.into()));
            assert!(matches!(self.replies[&ticket], Ok(Reply::Founded(_))));
        }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    pub(super) fn voter(&self, host: usize) -> Voter {
        Voter { node: self.hosts[host].node, store: self.hosts[host].store }
    }

    pub(super) fn life(&self, host: usize) -> Incarnation {
        let it = &self.hosts[host];
        Incarnation { node: it.node, store: it.store, boot: BootIncarnation(it.boot) }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    // --- processes and disks --------------------------------------------------------------------------------------

    /// A process starts on what its disk holds.
    pub(super) fn starts(&mut self, host: usize) {
        let mut group = Group::new(self.settings.clone());
        let it = &mut self.hosts[host];
        it.boot += 1;
        for bytes in &it.journal[it.first..] {
            group.replay(decode_value(bytes).unwrap());
        }
        it.group = Some(group);
        it.is_syncing = false;
        let life = self.life(host);
        self.does(host, Event::Start { life });
    }

    /// A process dies with its machine: of what was not synced, some prefix may be there.
    pub(super) fn crashes(&mut self, host: usize) {
        let unsynced = (self.hosts[host].journal.len() - self.hosts[host].synced) as u64;
        let kept = self.chance.below(unsynced + 1) as usize;
        let it = &mut self.hosts[host];
        it.journal.truncate(it.synced + kept);
        // The engine rewrites what it recovered before the node speaks.
        for bytes in &it.journal[it.synced..] {
            it.disk.take(decode_value(bytes).unwrap());
        }
        it.synced = it.journal.len();
        it.group = None;
        it.checkpoint = None;
    }

    /// The journal is to be trimmed: what was written so far goes, once what is needed of it was written again.
    pub(super) fn trims(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        if it.group.is_some() {
            let cut = it.journal.len();
            let (cut, _) = *it.checkpoint.get_or_insert((cut, None));
            self.does(host, Event::Checkpoint(Sequence(cut as u64 + 1)));
        }
    }

    /// Whether no checkpoint is under way.
    pub(super) fn is_trimmed(&self, host: usize) -> bool {
        self.hosts[host].checkpoint.is_none()
    }

    /// Drops what a checkpoint gave up that has ended, durably. What is left must say the same as everything did.
    fn drops(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        let Some((cut, end)) = it.checkpoint else { return };
        if end.is_none() && it.group.as_ref().is_some_and(|group| group.has_checkpoint(Sequence(cut as u64 + 1))) {
            it.checkpoint = Some((cut, Some(it.journal.len())));
        }
        if it.checkpoint.is_some_and(|(_, end)| end.is_some_and(|end| end <= it.synced)) {
            it.checkpoint = None;
            it.first = cut;
            let before = core::mem::replace(&mut it.disk, Replay::new());
            for bytes in &it.journal[it.first..it.synced] {
                it.disk.take(decode_value(bytes).unwrap());
            }
            assert_eq!(before.seats(), it.disk.seats(), "what the store was is not forgotten");
            assert_eq!(before.promised(), it.disk.promised(), "nor what it promised");
        }
    }

    /// A disk is lost: the node is another voter.
    pub(super) fn loses_disk(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        it.group = None;
        it.journal.clear();
        (it.synced, it.disk, it.voter) = (0, Replay::new(), None);
        (it.first, it.checkpoint) = (0, None);
        it.store = StoreIncarnation(it.store.0 + 1_000);
    }

    pub(super) fn syncs(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        if it.is_syncing || it.disk_stalled || it.synced == it.journal.len() || it.group.is_none() {
            return;
        }
        it.is_syncing = true;
        let (boot, upto) = (it.boot, it.journal.len());
        let after = self.between(self.weather.sync);
        self.later(after, Due::Synced { host, boot, upto });
    }

    fn synced(&mut self, host: usize, boot: u64, upto: usize) {
        let it = &mut self.hosts[host];
        if it.boot != boot || it.group.is_none() {
            return;
        }
        it.is_syncing = false;
        for bytes in &it.journal[it.synced..upto] {
            it.disk.take(decode_value(bytes).unwrap());
        }
        it.synced = upto;
        self.does(host, Event::Durable(Sequence(upto as u64)));
        if self.hosts[host].checkpoint.is_some() {
            self.trims(host);
        }
    }

    // --- events ---------------------------------------------------------------------------------------------------

    fn between(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_micros(least + self.chance.below(most - least + 1))
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.events += 1;
        self.due.insert((self.now + after, self.events), due);
    }

    /// One event of one node, and all that it asks for.
    pub(super) fn does(&mut self, host: usize, event: Event<Register>) {
        let it = &mut self.hosts[host];
        let Some(group) = &mut it.group else { return };
        let mut ctx = Ctx::new(self.now, WallTime::from_unix_nanos(0), CauseId(1), &mut it.chooser);
        ctx.next_record = Sequence(it.journal.len() as u64 + 1);
        let before = group.status().map(|status| status.members);
        let mut actions = Vec::new();
        group.handle(&mut ctx, event, &mut actions);
        let from = self.life(host);
        let writes = actions.iter().filter(|action| matches!(action, Action::Write(_))).count();
        self.most_writes = self.most_writes.max(writes);
        for action in actions {
            self.trace.update(format!("{} {host} {action:?}\n", self.now).as_bytes());
            self.carries_out(host, from, before.as_ref(), action);
        }
        self.drops(host);
        self.syncs(host);
    }

    fn carries_out(&mut self, host: usize, from: Incarnation, before: Option<&Members>, action: Action<Register>) {
        match action {
            Action::Write(record) => {
                if let Record::Joined { id, .. } | Record::Founded { id, .. } = record {
                    self.hosts[host].voter = Some(id);
                }
                let mut bytes = vec![];
                encode_value(&record, 1 << 20, &mut bytes).unwrap();
                assert_eq!(decode_value::<Record>(&bytes).unwrap(), record);
                self.hosts[host].journal.push(bytes);
            }
            Action::Send { to, class, message } => {
                self.watch.sent(&message, &self.hosts[host].disk);
                self.last_messages.push((host, message.clone()));
                if self.last_messages.len() > 64 {
                    self.last_messages.remove(0);
                }
                let Some(to) = self.hosts.iter().position(|it| it.node == to) else { panic!("{to} is nobody") };
                let mut bytes = vec![];
                encode_value(&message, 1 << 20, &mut bytes).unwrap();
                let is_held_up = class.is_stream() && [host, to].iter().any(|end| self.without_streams.contains(end));
                if is_held_up || self.cut.contains(&(host, to)) || self.chance.below(100) < self.weather.loss_percent {
                    return;
                }
                if self.chance.below(100) < self.weather.duplicate_percent {
                    let after = self.between(self.weather.delay);
                    self.later(after, Due::Arrive { from, to, bytes: bytes.clone() });
                }
                let after = self.between(self.weather.delay);
                self.later(after, Due::Arrive { from, to, bytes });
            }
            Action::Reply(ticket, reply) => {
                let before = self.replies.insert(ticket, reply);
                assert!(before.is_none(), "{ticket:?} was answered twice");
            }
            Action::Changed((at, digest)) => {
                self.changed += 1;
                // The entry itself may have changed the members.
                let after = self.status(host).map(|status| status.members);
                let sets = |members: &Members| [members.voters.clone(), members.outgoing.clone()];
                let quorums: Vec<_> = before.into_iter().chain(&after).map(sets).collect();
                let disks: Vec<_> = self.hosts.iter().filter_map(|it| Some((it.voter?, &it.disk))).collect();
                self.watch.applied(at, digest, &disks, &quorums);
            }
            Action::Restated => {
                let state = self.state(host);
                let known = self.watch.applied.get(&state.applied.index);
                assert!(
                    self.watch.is_off || state.applied.index <= 1 || known == Some(&(state.applied.term, state.digest))
                );
            }
            Action::Role(role) => {
                self.roles.push((self.now, host, role));
                let group = self.hosts[host].group.as_ref().unwrap();
                let id = group.status().unwrap().id;
                self.watch.role(id, role, |index| group.log_term(index));
            }
            Action::Members | Action::Leader(_) => {}
            // Observed, too.
            Action::Halted => {}
            Action::Observe(observation) => self.observed.push((host, observation)),
        }
    }

    fn next_due(&self) -> Option<(Time, Option<usize>)> {
        let wake = |host: usize| {
            let it = &self.hosts[host];
            let due = it.group.as_ref()?.next_deadline()?.max(it.paused_until).max(self.now);
            Some((due, Some(host)))
        };
        let event = self.due.first_key_value().map(|((at, _), _)| (*at, None));
        (0..self.hosts.len()).filter_map(wake).chain(event).min()
    }

    /// Lets the next thing happen, unless it is after `until`.
    pub(super) fn step(&mut self, until: Time) -> bool {
        let Some((at, host)) = self.next_due().filter(|(at, _)| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        if let Some(host) = host {
            self.does(host, Event::Wake);
            return true;
        }
        let Some((_, due)) = self.due.pop_first() else { return false };
        match due {
            Due::Synced { host, boot, upto } => self.synced(host, boot, upto),
            Due::Arrive { from, to, bytes } => {
                let paused_until = self.hosts[to].paused_until;
                if paused_until > self.now {
                    self.later(paused_until.since(self.now), Due::Arrive { from, to, bytes });
                } else {
                    self.does(to, Event::Message { from, message: decode_value(&bytes).unwrap() });
                }
            }
        }
        true
    }

    pub(super) fn runs_for(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while self.step(until) {}
    }

    /// Runs until `done`, at most so long.
    #[track_caller]
    pub(super) fn runs_until(&mut self, millis: u64, done: impl Fn(&Self) -> bool) {
        let until = self.now + Duration::from_millis(millis);
        while !done(self) {
            assert!(self.step(until), "not within {millis} ms: {:?}", self.statuses());
        }
    }

    // --- what clients do and see ----------------------------------------------------------------------------------

    pub(super) fn status(&self, host: usize) -> Option<Status> {
        self.hosts[host].group.as_ref().and_then(Group::status)
    }

    pub(super) fn statuses(&self) -> Vec<String> {
        (0..self.hosts.len()).map(|host| format!("{host}: {:?}", self.status(host))).collect()
    }

    pub(super) fn state(&self, host: usize) -> &Register {
        self.hosts[host].group.as_ref().and_then(Group::state).unwrap()
    }

    /// Who leads the highest term.
    pub(super) fn leader(&self) -> Option<usize> {
        let leads = |host: &usize| self.status(*host).is_some_and(|status| status.is_leader);
        (0..self.hosts.len()).filter(leads).max_by_key(|host| self.status(*host).unwrap().term)
    }

    #[track_caller]
    pub(super) fn elects(&mut self) -> usize {
        self.runs_until(10_000, |world| world.leader().is_some_and(|it| world.is_ready(it)));
        self.leader().unwrap()
    }

    fn is_ready(&self, host: usize) -> bool {
        let term = self.status(host).unwrap().term;
        self.roles.iter().any(|(_, it, role)| *it == host && *role == Role::Ready { term })
    }

    pub(super) fn asks(&mut self, host: usize, request: Request) -> Ticket {
        let ticket = self.ticket();
        self.does(host, Event::Request(ticket, request));
        ticket
    }

    pub(super) fn proposes(&mut self, host: usize, value: &[u8]) -> Ticket {
        self.asks(host, Request::Propose { entry: Box::from(value), term: None })
    }

    /// Proposes at whoever leads, and waits until it is done.
    #[track_caller]
    pub(super) fn commits(&mut self, value: &[u8]) -> At {
        for _ in 0..20 {
            let leader = self.elects();
            let ticket = self.proposes(leader, value);
            self.runs_until(10_000, |world| world.replies.contains_key(&ticket) || world.hosts[leader].group.is_none());
            if let Some(Ok(Reply::Done { at, .. })) = self.replies.get(&ticket) {
                return *at;
            }
        }
        panic!("{value:?} was never committed: {:?}", self.statuses());
    }

    /// Everybody among `hosts` has applied the same.
    #[track_caller]
    pub(super) fn agree(&mut self, hosts: &[usize]) {
        let hosts = hosts.to_vec();
        self.runs_until(20_000, |world| {
            let applied = |host: &usize| world.hosts[*host].group.as_ref().and_then(Group::state).cloned();
            let first = applied(&hosts[0]);
            first.is_some() && hosts.iter().all(|host| applied(host) == first)
        });
    }

    pub(super) fn cut_off(&mut self, host: usize) {
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.cut.insert((host, other));
            self.cut.insert((other, host));
        }
    }
}

impl World {
    /// The first leader that had applied an entry of its own term, after an instant.
    pub(super) fn first_ready_since(&self, since: Time) -> Option<Time> {
        let ready = |(at, _, role): &&(Time, usize, Role)| *at > since && matches!(role, Role::Ready { .. });
        self.roles.iter().find(ready).map(|(at, ..)| *at)
    }

    pub(super) fn founds(&mut self, host: usize, voters: &[usize]) -> Result<Reply<u64>, Refusal> {
        let voters = voters.iter().map(|voter| self.voter(*voter)).collect();
        let ticket = self.ticket();
        self.does(host, Event::Found(ticket, founding(voters).into()));
        self.replies[&ticket].clone()
    }

    /// The first node has founded a group of its own; another believes that it is one of three.
    pub(super) fn found_with_others(&mut self) {
        assert!(self.founds(1, &[0, 1, 2]).is_ok());
    }
}

impl World {
    /// Snapshots of a leader that this node took.
    pub(super) fn installed(&self, host: usize) -> usize {
        let installed =
            |(it, seen): &&(usize, GroupObservation)| *it == host && matches!(seen, GroupObservation::Installed { .. });
        self.observed.iter().filter(installed).count()
    }

    /// The pieces of each snapshot that was made.
    pub(super) fn compactions(&self) -> Vec<u64> {
        let pieces = |(_, seen): &(usize, GroupObservation)| match seen {
            GroupObservation::Compacted { pieces, .. } => Some(*pieces),
            _ => None,
        };
        self.observed.iter().filter_map(pieces).collect()
    }
}
