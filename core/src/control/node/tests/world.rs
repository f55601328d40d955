//! The world: nodes with clocks, disks and a network, all drawn from one seed.

use super::super::wire::{Followed, Record};
use super::super::{Action, Control, Event, Founding, Message, Reply, Request, Settings};
use super::watch::Watch;
use crate::codec::{BodyVersion, decode_value, encode_value};
use crate::control::group::{GroupObservation, Voter};
use crate::control::node::ControlObservation;
use crate::control::state::{NEWEST, Name, OLDEST, RecoveryId, Scope, State};
use crate::envelope::Class;
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{BootIncarnation, Incarnation, NodeId, RequestId, StoreIncarnation};
use crate::machine::{CauseId, Chooser, Ctx, Machine, Seeded};
use crate::node::Gating;
use crate::record::Sequence;
use crate::time::{Duration, Time, WallTime};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// A node's monotonic clock: it begins anywhere, and runs a little fast or slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset: u64,
    /// Nanoseconds that it counts in one true millisecond.
    rate: u64,
}

impl Clock {
    fn local(self, now: Time) -> Time {
        let counted = u128::from(now.as_nanos()) * u128::from(self.rate) / 1_000_000;
        Time::from_nanos(self.offset + counted as u64)
    }

    /// The first true instant at which the clock shows `local`.
    fn when(self, local: Time) -> Time {
        let counted = u128::from(local.as_nanos().saturating_sub(self.offset)) * 1_000_000;
        Time::from_nanos(counted.div_ceil(u128::from(self.rate)) as u64)
    }
}

pub(super) struct Host {
    node: NodeId,
    store: StoreIncarnation,
    boot: u64,
    clock: Clock,
    chooser: Seeded,
    /// What the build that is started understands.
    pub(super) speaks: BodyVersion,
    pub(super) control: Option<Control>,
    /// What the disk was asked to store, and how much of it is durable.
    journal: Vec<Vec<u8>>,
    synced: usize,
    is_syncing: bool,
    /// What may leave once so many records are durable.
    held: VecDeque<(usize, Action)>,
    pub(super) paused_until: Time,
}

enum Due {
    Arrive { from: Incarnation, speaks: BodyVersion, to: usize, bytes: Vec<u8> },
    Synced { host: usize, boot: u64, upto: usize },
}

/// How the network and the disks behave. In microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) delay: (u64, u64),
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    pub(super) sync: (u64, u64),
}

pub(super) const CALM: Weather =
    Weather { delay: (200, 600), loss_percent: 0, duplicate_percent: 0, sync: (500, 2_000) };

pub(super) struct World {
    pub(super) now: Time,
    settings: Settings,
    pub(super) weather: Weather,
    pub(super) hosts: Vec<Host>,
    due: BTreeMap<(Time, u64), Due>,
    events: u64,
    chance: Seeded,
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) replies: BTreeMap<RequestId, Reply>,
    requests: u64,
    pub(super) watch: Watch,
    /// Messages about sessions that were sent, and log entries written.
    pub(super) renewals: u64,
    /// Messages of any kind.
    pub(super) sent: u64,
    /// Parts of a delta, and pieces of a snapshot, that were sent.
    pub(super) parts: u64,
    pub(super) pieces: u64,
    /// Snapshots that members took.
    pub(super) installed: u64,
    pub(super) trace: blake3::Hasher,
}

pub(super) fn scope(name: &str) -> Scope {
    Scope::Named(Name::new(name).unwrap())
}

impl World {
    /// So many nodes, started, all of them voters, under a leader.
    pub(super) fn founded(seed: u64, nodes: usize) -> Self {
        Self::founded_by(seed, nodes, nodes)
    }

    /// The first `voters` of the nodes vote.
    pub(super) fn founded_by(seed: u64, nodes: usize, voters: usize) -> Self {
        let mut world = Self::new(seed, nodes);
        (0..nodes).for_each(|host| world.starts(host));
        world.found(voters);
        world.elects();
        world
    }

    /// Three voters and one node outside, of which those run the build before.
    pub(super) fn mixed(seed: u64, old: &[usize]) -> Self {
        let mut world = Self::new(seed, 4);
        old.iter().for_each(|host| world.hosts[*host].speaks = OLDEST);
        (0..4).for_each(|host| world.starts(host));
        world.found(3);
        world.elects();
        world
    }

    /// A node is started again with another build.
    pub(super) fn restarts_as(&mut self, host: usize, speaks: BodyVersion) {
        self.crashes(host);
        self.hosts[host].speaks = speaks;
        self.runs_for(100);
        self.starts(host);
    }

    /// So many nodes without a group.
    pub(super) fn apart(seed: u64, nodes: usize) -> Self {
        let mut world = Self::new(seed, nodes);
        (0..nodes).for_each(|host| world.starts(host));
        world
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What a node goes by.
    pub(super) fn state(&self, host: usize) -> Option<&State> {
        self.hosts[host].control.as_ref()?.state()
    }

    fn new(seed: u64, nodes: usize) -> Self {
        let mut world = Self {
            now: Time::from_nanos(1_000_000),
            settings: Settings::default(),
            weather: CALM,
            hosts: vec![],
            due: BTreeMap::new(),
            events: 0,
            chance: Seeded::new(seed, 0),
            cut: BTreeSet::new(),
            replies: BTreeMap::new(),
            requests: 0,
            watch: Watch::default(),
            renewals: 0,
            sent: 0,
            parts: 0,
            pieces: 0,
            installed: 0,
            trace: blake3::Hasher::new(),
        };
        if seed % 2 == 1 {
            // So short a log that who lags behind takes snapshots.
            world.settings.group.bounds.compact_after = 12;
            world.settings.group.bounds.keep_behind = 2;
        }
        for number in 1..=nodes as u64 {
            // Two clocks diverge by at most 4 % of 1.3 s: half of ε.
            let rate = 980_000 + world.chance.below(40_001);
            let offset = 1_000_000 + world.chance.below(3_600_000_000_000);
            world.hosts.push(Host {
                node: NodeId::from_bytes([number as u8; 16]),
                store: StoreIncarnation(number),
                boot: 0,
                clock: Clock { offset, rate },
                chooser: Seeded::new(seed, number),
                speaks: NEWEST,
                control: None,
                journal: vec![],
                synced: 0,
                is_syncing: false,
                held: VecDeque::new(),
                paused_until: Time::ZERO,
            });
        }
        world
    }

    fn found(&mut self, founders: usize) {
        let voters: BTreeSet<_> = (0..founders).map(|host| self.voter(host)).collect();
        for host in 0..founders {
            let span_max = self.settings.lease.span_max;
            let founding = Founding { nonce: 7, recovery: RecoveryId(9), voters: voters.clone(), span_max };
            self.asks(host, Request::Found(founding));
        }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    pub(super) fn node(&self, host: usize) -> NodeId {
        self.hosts[host].node
    }

    pub(super) fn voter(&self, host: usize) -> Voter {
        Voter { node: self.hosts[host].node, store: self.hosts[host].store }
    }

    fn life(&self, host: usize) -> Incarnation {
        let it = &self.hosts[host];
        Incarnation { node: it.node, store: it.store, boot: BootIncarnation(it.boot) }
    }

    // --- processes and disks --------------------------------------------------------------------------------------

    pub(super) fn starts(&mut self, host: usize) {
        let mut settings = self.settings.clone();
        settings.group.speaks = self.hosts[host].speaks;
        let mut control = Control::new(settings);
        let it = &mut self.hosts[host];
        it.boot += 1;
        for bytes in &it.journal {
            control.replay(decode_value(bytes).unwrap());
        }
        (it.control, it.is_syncing) = (Some(control), false);
        let life = self.life(host);
        self.does(host, Event::Start { life });
        let now = self.hosts[host].clock.local(self.now);
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            let (here, there) = (self.hosts[host].node, self.hosts[other].node);
            if let Some(control) = &mut self.hosts[host].control {
                control.meets(now, there);
            }
            let now = self.hosts[other].clock.local(self.now);
            if let Some(control) = &mut self.hosts[other].control {
                control.meets(now, here);
            }
        }
    }

    pub(super) fn is_up(&self, host: usize) -> bool {
        self.hosts[host].control.is_some()
    }

    /// A machine fails: of what was not synced, some prefix may be there.
    pub(super) fn crashes(&mut self, host: usize) {
        let unsynced = (self.hosts[host].journal.len() - self.hosts[host].synced) as u64;
        let kept = self.chance.below(unsynced + 1) as usize;
        let it = &mut self.hosts[host];
        it.journal.truncate(it.synced + kept);
        it.synced = it.journal.len();
        it.control = None;
        it.held.clear();
    }

    fn syncs(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        if it.is_syncing || it.synced == it.journal.len() || it.control.is_none() {
            return;
        }
        it.is_syncing = true;
        let (boot, upto) = (it.boot, it.journal.len());
        let after = self.between(self.weather.sync);
        self.later(after, Due::Synced { host, boot, upto });
    }

    fn synced(&mut self, host: usize, boot: u64, upto: usize) {
        let it = &mut self.hosts[host];
        if it.boot != boot || it.control.is_none() {
            return;
        }
        (it.is_syncing, it.synced) = (false, upto);
        while let Some((_, action)) = self.hosts[host].held.pop_front_if(|(needed, _)| *needed <= upto) {
            self.leaves(host, action);
        }
        self.does(host, Event::Durable(Sequence(upto as u64)));
    }

    // --- events ---------------------------------------------------------------------------------------------------

    fn between(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_micros(least + self.chance.below(most - least + 1))
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.events += 1;
        self.due.insert((self.now + after, self.events), due);
    }

    fn does(&mut self, host: usize, event: Event) {
        let it = &mut self.hosts[host];
        let Some(control) = &mut it.control else { return };
        let now = it.clock.local(self.now);
        let mut ctx = Ctx::new(now, WallTime::from_unix_nanos(0), CauseId(1), &mut it.chooser);
        let next = Sequence(it.journal.len() as u64 + 1);
        ctx.next_record = next;
        let mut actions = vec![];
        control.handle(&mut ctx, event, &mut actions);
        let writes = actions.iter().filter(|action| matches!(action, Action::Write(_))).count() as u64;
        assert_eq!(ctx.next_record, Sequence(next.0 + writes), "the count of records goes on");
        for action in actions {
            self.trace.update(format!("{} {host} {action:?}\n", self.now).as_bytes());
            self.carries_out(host, action);
        }
        self.watches(host);
        self.syncs(host);
    }

    fn carries_out(&mut self, host: usize, action: Action) {
        match action {
            Action::Write(record) => {
                let mut bytes = vec![];
                encode_value(&record, 1 << 20, &mut bytes).unwrap();
                assert_eq!(decode_value::<Record>(&bytes).unwrap(), record);
                self.hosts[host].journal.push(bytes);
            }
            Action::Announce(message) => {
                for to in (0..self.hosts.len()).filter(|to| *to != host) {
                    let (to, message) = (self.hosts[to].node, message.clone());
                    self.leaves(host, Action::Send { to, class: Class::Control, message });
                }
            }
            Action::Send { ref message, .. } if message.gating() == Gating::Ungated => self.leaves(host, action),
            Action::Send { .. } | Action::Reply(..) => {
                let it = &mut self.hosts[host];
                let needed = it.journal.len();
                if it.synced >= needed && it.held.is_empty() {
                    self.leaves(host, action);
                } else {
                    it.held.push_back((needed, action));
                }
            }
            // Told of a newer token while it is suspended: it may not act under either.
            Action::Reissued(holding) if holding.not_after == Time::ZERO => {}
            Action::Became(holding) | Action::Reissued(holding) => {
                self.watch.began(self.now, host, holding.scope, holding.token);
            }
            Action::Ceased { scope, token, .. } => self.watch.ceased(self.now, host, scope, token),
            Action::Suspended | Action::Resumed { .. } | Action::Epoch(_) => {}
            Action::Observe(ControlObservation::Group(GroupObservation::Installed { .. })) => self.installed += 1,
            Action::Observe(_) | Action::Executed { .. } | Action::Changed(_) | Action::Restated => {}
        }
    }

    /// Something may be seen by others.
    fn leaves(&mut self, host: usize, action: Action) {
        match action {
            Action::Send { to, message, .. } => {
                self.sent += 1;
                self.renewals += u64::from(matches!(message, Message::Lease(_)));
                self.parts += u64::from(matches!(message, Message::Followed { what: Followed::Part(_), .. }));
                self.pieces += u64::from(matches!(message, Message::Followed { what: Followed::Piece { .. }, .. }));
                let Some(to) = self.hosts.iter().position(|it| it.node == to) else { panic!("{to} is nobody") };
                assert!(to != host, "nobody needs the network to talk to itself");
                let mut bytes = vec![];
                encode_value(&message, 1 << 20, &mut bytes).unwrap();
                if self.cut.contains(&(host, to)) || self.chance.below(100) < self.weather.loss_percent {
                    return;
                }
                let (from, speaks) = (self.life(host), self.hosts[host].speaks);
                if self.chance.below(100) < self.weather.duplicate_percent {
                    let after = self.between(self.weather.delay);
                    self.later(after, Due::Arrive { from, speaks, to, bytes: bytes.clone() });
                }
                let after = self.between(self.weather.delay);
                self.later(after, Due::Arrive { from, speaks, to, bytes });
            }
            Action::Reply(id, reply) => {
                if let Reply::EpochKnown(epoch) = reply {
                    self.known(epoch);
                }
                let before = self.replies.insert(id, reply);
                assert!(before.is_none(), "{id:?} was answered twice");
            }
            _ => {}
        }
    }

    /// What this node may do now is held against what others may.
    fn watches(&mut self, host: usize) {
        let Some(control) = &self.hosts[host].control else { return };
        let now = self.hosts[host].clock.local(self.now);
        // A thousand scopes are alike: the watch looks at some.
        let holdings: Vec<_> = control.client().holdings(now).take(4).collect();
        for holding in holdings {
            for other in (0..self.hosts.len()).filter(|other| *other != host) {
                let held = self.holds(other, &holding.scope);
                assert!(held.is_none(), "LEASE-1: {} held by {host} and {other} at {}", holding.scope, self.now);
            }
            self.watch.acts(host, holding.scope, holding.token);
        }
    }

    /// Nobody writes under an older epoch any more: so it is said.
    fn known(&mut self, epoch: ClusterEpoch) {
        self.watch.epochs += 1;
        for host in &self.hosts {
            let Some(control) = &host.control else { continue };
            for holding in control.client().holdings(host.clock.local(self.now)) {
                assert!(holding.token.cluster() >= epoch, "C2: {} is held under {}", holding.scope, holding.token);
            }
        }
    }

    /// A clock that runs as slowly as no clock may.
    pub(super) fn slows_down(&mut self, host: usize) {
        let clock = &mut self.hosts[host].clock;
        let now = clock.local(self.now);
        let rate = clock.rate / 4;
        let counted = u128::from(self.now.as_nanos()) * u128::from(rate) / 1_000_000;
        *clock = Clock { offset: now.as_nanos() - counted as u64, rate };
    }

    fn next_due(&self) -> Option<(Time, Option<usize>)> {
        let wake = |host: usize| {
            let it = &self.hosts[host];
            let due = it.clock.when(it.control.as_ref()?.next_deadline()?);
            Some((due.max(it.paused_until).max(self.now), Some(host)))
        };
        let event = self.due.first_key_value().map(|((at, _), _)| (*at, None));
        (0..self.hosts.len()).filter_map(wake).chain(event).min()
    }

    /// Lets the next thing happen, unless it is after `until`.
    fn step(&mut self, until: Time) -> bool {
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
        let host = match &due {
            Due::Synced { host, .. } => *host,
            Due::Arrive { to, .. } => *to,
        };
        let paused_until = self.hosts[host].paused_until;
        if paused_until > self.now {
            self.later(paused_until.since(self.now), due);
            return true;
        }
        match due {
            Due::Synced { host, boot, upto } => self.synced(host, boot, upto),
            Due::Arrive { from, speaks, to, bytes } => {
                self.does(to, Event::Message { from, speaks, message: decode_value(&bytes).unwrap() });
            }
        }
        true
    }

    pub(super) fn runs_for(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while self.step(until) {}
    }

    /// Runs until `done`; how long that took.
    #[track_caller]
    pub(super) fn runs_until(&mut self, millis: u64, done: impl Fn(&Self) -> bool) -> Duration {
        let (began, until) = (self.now, self.now + Duration::from_millis(millis));
        while !done(self) {
            assert!(self.step(until), "not within {millis} ms: {:?}", self.statuses());
        }
        self.now.since(began)
    }

    pub(super) fn cut_off(&mut self, hosts: &[usize]) {
        for host in hosts {
            for other in (0..self.hosts.len()).filter(|other| !hosts.contains(other)) {
                self.cut.insert((*host, other));
                self.cut.insert((other, *host));
            }
        }
    }

    /// One node says something to another that no correct one would.
    pub(super) fn says(&mut self, host: usize, to: usize, message: Message) {
        let from = self.life(host);
        let speaks = self.hosts[host].speaks;
        self.does(to, Event::Message { from, speaks, message });
    }

    // --- what is asked and seen -----------------------------------------------------------------------------------

    pub(super) fn asks(&mut self, host: usize, request: Request) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.does(host, Event::Request(id, request));
        id
    }

    #[track_caller]
    pub(super) fn answer(&mut self, id: RequestId) -> Reply {
        self.runs_until(5_000, |world| world.replies.contains_key(&id));
        self.replies[&id].clone()
    }

    pub(super) fn holds(&self, host: usize, scope: &Scope) -> Option<FenceToken> {
        let it = &self.hosts[host];
        let holding = it.control.as_ref()?.client().holding(scope, it.clock.local(self.now))?;
        Some(holding.token)
    }

    pub(super) fn holder(&self, scope: &Scope) -> Option<usize> {
        (0..self.hosts.len()).find(|host| self.holds(*host, scope).is_some())
    }

    pub(super) fn epoch(&self, host: usize) -> ClusterEpoch {
        self.hosts[host].control.as_ref().unwrap().state().unwrap().cluster_epoch()
    }

    /// Who votes, as the state tells everybody.
    pub(super) fn recorded_voters(&self, host: usize) -> Vec<(NodeId, StoreIncarnation)> {
        let state = self.hosts[host].control.as_ref().unwrap().state().unwrap();
        state.voters().members.iter().map(|(node, store)| (*node, *store)).collect()
    }

    fn statuses(&self) -> Vec<String> {
        let status = |host: &Host| {
            let control = host.control.as_ref()?;
            let (group, state) = (control.group()?, control.state()?);
            Some(format!("{} leads {}: {group:?}, {:?}", group.is_leader, group.term, state.scopes().next()))
        };
        self.hosts.iter().map(|host| format!("{:?}", status(host))).collect()
    }

    /// Who leads the highest term.
    pub(super) fn leader(&self) -> Option<usize> {
        let term = |host: &usize| {
            let status = self.hosts[*host].control.as_ref()?.group()?;
            status.is_leader.then_some(status.term)
        };
        (0..self.hosts.len()).filter(|host| term(host).is_some()).max_by_key(term)
    }

    /// Runs until there is a leader that serves.
    #[track_caller]
    pub(super) fn elects(&mut self) -> usize {
        for _ in 0..50 {
            self.runs_until(10_000, |world| world.leader().is_some());
            let leader = self.leader().unwrap();
            let id = self.asks(leader, Request::Read(Name::new("any").unwrap()));
            self.runs_for(100);
            if let Some(Reply::Value(_)) = self.replies.get(&id) {
                return leader;
            }
        }
        panic!("nobody serves: {:?}", self.statuses());
    }

    /// Lets these want a scope, one after the other, and runs until the first of them holds it.
    #[track_caller]
    pub(super) fn wanted_by(&mut self, scope: Scope, hosts: &[usize]) -> usize {
        for host in hosts {
            self.asks(*host, Request::Hold(scope));
            self.runs_for(100);
        }
        self.runs_until(5_000, |world| world.holder(&scope).is_some());
        // Everybody else is in line by now.
        self.runs_for(500);
        self.holder(&scope).unwrap()
    }

    /// Another than `before` holds the scope; how long that took.
    #[track_caller]
    pub(super) fn passes_on(&mut self, scope: Scope, before: usize) -> Duration {
        self.runs_until(10_000, |world| world.holder(&scope).is_some_and(|holder| holder != before))
    }
}
