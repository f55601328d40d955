//! A mesh of membership machines without a node around them: packets that are late, lost or cut off, disks that take
//! their time, crashes, and processes that stand still. Deterministic: one seed, one run.
//!
//! Checked with everything that is sent: it fits a datagram, receivers will not refuse it, and what a node says of its
//! own incarnation was durable before.

use super::*;
use crate::codec::{Body, BodyVersion};
use crate::endpoint::Endpoint;
use crate::envelope::{Class, Envelope, HEADER_BYTES, TAG_BYTES};
use crate::identity::{ClusterId, Incarnation, RequestId};
use crate::machine::{CauseId, Ctx, Machine, Seeded};
use crate::mesh;
use crate::record::Sequence;
use crate::time::{Time, WallTime};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;

const ROUND: Duration = ms(10);

pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) now: Time,
    hosts: Vec<Host>,
    queue: BTreeMap<(Time, u64), Happening>,
    serial: u64,
    chance: Seeded,
    /// Percent of datagrams.
    pub(super) loss: u64,
    /// Percent of stream packets.
    pub(super) stream_loss: u64,
    pub(super) delay: Duration,
    /// How long a disk takes.
    pub(super) disk: Duration,
    cuts: BTreeSet<(usize, usize)>,
    pub(super) seen: Vec<(Time, usize, MembershipObservation)>,
    replies: BTreeMap<RequestId, Reply>,
    pub(super) packets: u64,
}

struct Host {
    identity: Identity,
    life: Incarnation,
    machine: Option<Membership>,
    /// Events of an earlier process mean nothing.
    process: u64,
    journal: Vec<Record>,
    unsynced: Vec<(Sequence, Record)>,
    packets: u64,
    located: BTreeMap<NodeId, Endpoint>,
    seeds: Vec<usize>,
    frozen: Option<Time>,
    chance: Seeded,
}

#[allow(clippy::large_enum_variant, reason = "nearly all of them are packets")]
enum Happening {
    Packet { from: usize, to: Endpoint, envelope: Envelope, message: Message },
    Synced { host: usize, process: u64, upto: Sequence },
    Found { host: usize, process: u64, seed: usize },
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: Time::from_nanos(1_000_000_000),
            hosts: vec![],
            queue: BTreeMap::new(),
            serial: 0,
            chance: Seeded::new(1, 0),
            loss: 0,
            stream_loss: 0,
            delay: ms(1),
            disk: ms(2),
            cuts: BTreeSet::new(),
            seen: vec![],
            replies: BTreeMap::new(),
            packets: 0,
        }
    }

    /// `count` nodes of the profile for one site that know one another, in calm; the first one is everybody's seed.
    pub(super) fn mesh(count: usize) -> Self {
        Self::mesh_with(count, Settings::default())
    }

    pub(super) fn mesh_with(count: usize, settings: Settings) -> Self {
        let mut world = Self::new(settings);
        world.add_all(count);
        (0..count).for_each(|host| world.start(host));
        world.until(secs(60), |world| world.all_alive());
        world.run(secs(20));
        world
    }

    /// A machine that has never run, with the first one as its seed.
    pub(super) fn add(&mut self) -> usize {
        let index = self.hosts.len();
        self.add_process(index)
    }

    pub(super) fn add_all(&mut self, count: usize) {
        for _ in 0..count {
            self.add();
        }
    }

    /// A machine with the identity of node `index`.
    pub(super) fn add_process(&mut self, index: usize) -> usize {
        let number = self.hosts.len();
        let identity = Identity {
            node: node(index),
            endpoint: endpoint(number),
            speaks: 1,
            name: alloc::format!("node-{number}").into(),
            profile: Arc::new(Profile::default()),
        };
        let store = StoreIncarnation(1_000 + number as u64);
        let life = Incarnation { node: node(index), store, boot: BootIncarnation(0) };
        self.hosts.push(Host {
            identity,
            life,
            machine: None,
            process: 0,
            journal: vec![],
            unsynced: vec![],
            packets: 0,
            located: BTreeMap::new(),
            seeds: if number == 0 { vec![] } else { vec![0] },
            frozen: None,
            chance: Seeded::new(1, 1 + number as u64),
        });
        number
    }

    // --- what the story does --------------------------------------------------------------------------------------

    pub(super) fn seeds(&mut self, host: usize, seeds: &[usize]) {
        self.hosts[host].seeds = seeds.to_vec();
    }

    pub(super) fn identity(&mut self, host: usize) -> &mut Identity {
        &mut self.hosts[host].identity
    }

    /// Starts a process; what its disk holds is taken back.
    pub(super) fn start(&mut self, host: usize) {
        let settings = self.settings.clone();
        let it = &mut self.hosts[host];
        it.life.boot.0 += 1;
        it.process += 1;
        it.packets = 0;
        it.located.clear();
        it.frozen = None;
        let mut machine = Membership::new(settings, it.identity.clone());
        it.journal.iter().for_each(|record| machine.replay(*record));
        it.machine = Some(machine);
        let life = it.life;
        self.handle(host, Event::Start { life, keys: keys(&[1]) });
    }

    /// Ends a process at once; what was not durable is gone.
    pub(super) fn crash(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        it.machine = None;
        it.process += 1;
        it.unsynced.clear();
    }

    pub(super) fn restart(&mut self, host: usize) {
        self.crash(host);
        self.start(host);
    }

    /// Starts a process on an empty disk.
    pub(super) fn restart_empty(&mut self, host: usize, store: u64) {
        self.crash(host);
        let it = &mut self.hosts[host];
        it.journal.clear();
        it.life.store = StoreIncarnation(store);
        it.life.boot = BootIncarnation(0);
        self.start(host);
    }

    /// The process stands still, and then finds in its sockets what came meanwhile.
    pub(super) fn freeze(&mut self, host: usize, span: Duration) {
        self.hosts[host].frozen = Some(self.now + span);
    }

    pub(super) fn cut(&mut self, one: usize, other: usize) {
        self.cuts.extend([(one, other), (other, one)]);
    }

    /// Nothing passes between the two sides.
    pub(super) fn split(&mut self, one: &[usize], other: &[usize]) {
        one.iter().for_each(|a| other.iter().for_each(|b| self.cut(*a, *b)));
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn ask(&mut self, host: usize, request: Request) -> RequestId {
        self.serial += 1;
        let id = RequestId(self.serial);
        self.handle(host, Event::Request(id, request));
        id
    }

    pub(super) fn reply(&self, id: RequestId) -> Option<&Reply> {
        self.replies.get(&id)
    }

    /// A packet that the network made up, or kept: from the life `source` to a host.
    pub(super) fn inject(&mut self, to: usize, source: Incarnation, class: Class, message: Message) {
        self.serial += 1;
        let envelope = envelope(source, self.hosts[to].identity.node, class, 1_000_000 + self.serial);
        let to = self.hosts[to].identity.endpoint;
        self.queue.insert((self.now, self.serial), Happening::Packet { from: usize::MAX, to, envelope, message });
    }

    pub(super) fn life(&self, host: usize) -> Incarnation {
        self.hosts[host].life
    }

    pub(super) fn run(&mut self, span: Duration) {
        self.run_to(self.now + span);
    }

    /// How long it takes until `holds`.
    ///
    /// # Panics
    /// When it takes longer than `bound`.
    pub(super) fn until(&mut self, bound: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !holds(self) {
            assert!(self.now.since(start) < bound, "not within {bound}");
            self.run_to(self.now + ROUND);
        }
        self.now.since(start)
    }

    /// Runs for `span`, and `holds` all the while.
    pub(super) fn always(&mut self, span: Duration, holds: impl Fn(&Self) -> bool) {
        let end = self.now + span;
        while self.now < end {
            self.run_to(self.now + ROUND);
            assert!(holds(self), "no more at {}", self.now);
        }
    }

    // --- what the story looks at ----------------------------------------------------------------------------------

    pub(super) fn machine(&self, host: usize) -> &Membership {
        self.hosts[host].machine.as_ref().expect("a process runs")
    }

    pub(super) fn is_up(&self, host: usize) -> bool {
        self.hosts[host].machine.is_some()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.hosts.len()).filter(|host| self.is_up(*host))
    }

    pub(super) fn status(&self, observer: usize, subject: usize) -> Option<Status> {
        self.machine(observer).status(self.hosts[subject].identity.node)
    }

    pub(super) fn verdict(&self, observer: usize, subject: usize) -> Option<Verdict> {
        self.machine(observer).table.row(self.hosts[subject].identity.node).map(|row| row.verdict)
    }

    pub(super) fn counts(&self, observer: usize, subject: usize) -> bool {
        self.machine(observer).counts(self.hosts[subject].identity.node)
    }

    /// Every other process that runs holds `subject` to be that.
    pub(super) fn all_hold(&self, subject: usize, status: Status) -> bool {
        let mut others = self.running().filter(|host| *host != subject);
        others.all(|observer| self.status(observer, subject) == Some(status))
    }

    pub(super) fn any_holds(&self, subject: usize, status: Status) -> bool {
        self.running().any(|observer| observer != subject && self.status(observer, subject) == Some(status))
    }

    /// Everyone who runs holds everyone who runs to be alive.
    pub(super) fn all_alive(&self) -> bool {
        self.running().all(|subject| self.all_hold(subject, Status::Alive))
    }

    /// All views are the same.
    pub(super) fn all_agree(&self) -> bool {
        let mut views = self.running().map(|host| self.machine(host).table.digests(wire::DEPTH_MAX));
        let first = views.next();
        views.all(|view| Some(view) == first)
    }

    pub(super) fn count(&self, holds: impl Fn(usize, &MembershipObservation) -> bool) -> usize {
        self.seen.iter().filter(|(_, host, observation)| holds(*host, observation)).count()
    }

    pub(super) fn endpoint_of(&self, observer: usize, subject: usize) -> Option<Endpoint> {
        self.hosts[observer].located.get(&self.hosts[subject].identity.node).copied()
    }

    /// How many datagrams and streams `host` has sent in this process.
    pub(super) fn sent(&self, host: usize) -> u64 {
        self.hosts[host].packets
    }

    // --- how it goes on -------------------------------------------------------------------------------------------

    fn run_to(&mut self, end: Time) {
        loop {
            let wakes = (0..self.hosts.len()).filter_map(|host| Some((self.wake_time(host)?, host))).min();
            let arrives = self.queue.first_key_value().map(|(at, _)| *at);
            match (arrives, wakes) {
                (Some((at, _)), wakes) if at <= end && wakes.is_none_or(|(wake, _)| at <= wake) => {
                    self.now = self.now.max(at);
                    if let Some((_, happening)) = self.queue.pop_first() {
                        self.happen(happening);
                    }
                }
                (_, Some((wake, host))) if wake <= end => {
                    self.now = self.now.max(wake);
                    self.handle(host, Event::Wake);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn wake_time(&self, host: usize) -> Option<Time> {
        let it = &self.hosts[host];
        let due = it.machine.as_ref()?.next_deadline()?;
        Some(it.frozen.map_or(due, |until| due.max(until)))
    }

    fn happen(&mut self, happening: Happening) {
        let host = match &happening {
            Happening::Packet { to, .. } => self.hosts.iter().position(|host| host.identity.endpoint == *to),
            Happening::Synced { host, .. } | Happening::Found { host, .. } => Some(*host),
        };
        let Some(host) = host.filter(|host| self.is_up(*host)) else { return };
        if let Some(until) = self.hosts[host].frozen.filter(|until| *until > self.now) {
            return self.later(until, happening);
        }
        match happening {
            Happening::Packet { from, envelope, message, .. } => {
                let it = &mut self.hosts[host];
                let is_for_it = envelope.destination == it.identity.node && !self.cuts.contains(&(from, host));
                if is_for_it && it.machine.as_mut().is_some_and(|machine| machine.admit(&envelope)) {
                    self.handle(host, Event::Message { envelope, message });
                }
            }
            Happening::Synced { process, upto, .. } => {
                let it = &mut self.hosts[host];
                if it.process != process {
                    return;
                }
                let durable = it.unsynced.iter().take_while(|(sequence, _)| *sequence <= upto).count();
                it.journal.extend(it.unsynced.drain(..durable).map(|(_, record)| record));
                self.handle(host, Event::Durable(upto));
            }
            Happening::Found { process, seed, .. } => {
                if self.hosts[host].process == process && self.is_up(seed) && !self.cuts.contains(&(host, seed)) {
                    let found = &self.hosts[seed].identity;
                    let (node, endpoint) = (found.node, found.endpoint);
                    self.handle(host, Event::Found { node, endpoint });
                }
            }
        }
    }

    fn later(&mut self, at: Time, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at, self.serial), happening);
    }

    fn handle(&mut self, host: usize, event: Event) {
        let it = &mut self.hosts[host];
        let Some(machine) = it.machine.as_mut() else { return };
        let mut ctx = Ctx::new(self.now, WallTime::default(), CauseId(0), &mut it.chance);
        ctx.next_record = Sequence((it.journal.len() + it.unsynced.len() + 1) as u64);
        let mut actions = vec![];
        machine.handle(&mut ctx, event, &mut actions);
        actions.into_iter().for_each(|action| self.perform(host, action));
    }

    fn perform(&mut self, host: usize, action: Action) {
        let process = self.hosts[host].process;
        match action {
            Action::Send { to, class, message } => self.send(host, to, class, message),
            Action::Write(record) => {
                let it = &mut self.hosts[host];
                let sequence = Sequence((it.journal.len() + it.unsynced.len() + 1) as u64);
                it.unsynced.push((sequence, record));
                self.later(self.now + self.disk, Happening::Synced { host, process, upto: sequence });
            }
            Action::Reply(id, reply) => {
                let before = self.replies.insert(id, reply);
                assert!(before.is_none(), "a request is answered once");
            }
            Action::Seek => {
                for seed in self.hosts[host].seeds.clone() {
                    let at = self.now + self.delay + self.delay;
                    self.later(at, Happening::Found { host, process, seed });
                }
            }
            Action::Locate(node, endpoint) => drop(self.hosts[host].located.insert(node, endpoint)),
            Action::Forget(node) => drop(self.hosts[host].located.remove(&node)),
            Action::Keyring(_) => {}
            Action::Observe(observation) => self.seen.push((self.now, host, observation)),
        }
    }

    fn send(&mut self, host: usize, to: NodeId, class: Class, message: Message) {
        self.check_sent(host, class, &message);
        self.packets += 1;
        let loss = if class.is_stream() { self.stream_loss } else { self.loss };
        let is_lost = loss > 0 && crate::machine::Chooser::below(&mut self.chance, 100) < loss;
        let it = &mut self.hosts[host];
        it.packets += 1;
        let envelope = envelope(it.life, to, class, it.packets);
        // Streams never overtake one another here: all packets take the same time.
        if let Some(endpoint) = it.located.get(&to).copied().filter(|_| !is_lost) {
            self.later(self.now + self.delay, Happening::Packet { from: host, to: endpoint, envelope, message });
        }
    }

    // --- what is always checked -----------------------------------------------------------------------------------

    fn check_sent(&self, host: usize, class: Class, message: &Message) {
        assert_eq!(message.check(), Ok(()), "a receiver would refuse {message:?}");
        if !class.is_stream() {
            let bytes = datagram_bytes(message);
            let bound = self.settings.bounds.datagram_bytes as usize;
            assert!(bytes <= bound, "{bytes} bytes of {message:?} in a datagram of {bound}");
        }
        let it = &self.hosts[host];
        let durable = it.journal.iter().map(|Record::Reserved { upto }| upto.0).max().unwrap_or(0);
        for said in said_of(it.identity.node, message) {
            assert!(said <= durable, "says {said}, but only {durable} is durable");
        }
    }
}

/// The bytes of a datagram with all headers.
pub(super) fn datagram_bytes(message: &Message) -> usize {
    let mut body = vec![];
    mesh::Message::Membership(message.clone()).encode(BodyVersion(1), 1 << 20, &mut body).expect("it can be said");
    48 + HEADER_BYTES + body.len() + TAG_BYTES
}

/// The numbers that `node` uses for itself in a message of its own.
pub(super) fn said_of(node: NodeId, message: &Message) -> Vec<u64> {
    let of_member = |member: &wire::Member| (member.node, vec![member.incarnation.0, member.description.version]);
    // Of others' accusations at its own incarnation a node may speak, too.
    let of_opinion = |opinion: &Opinion| (opinion.node, vec![opinion.verdict.incarnation.0]);
    let said: Vec<(NodeId, Vec<u64>)> = match message {
        Message::Ping { rumors, .. }
        | Message::Ack { rumors, .. }
        | Message::PingRequest { rumors, .. }
        | Message::Gossip { rumors } => rumors
            .iter()
            .map(|rumor| match &rumor.news {
                wire::News::Opinion(opinion) => of_opinion(opinion),
                wire::News::Member(member) => of_member(member),
            })
            .collect(),
        Message::SyncDigests { opener, .. } => vec![of_member(opener)],
        Message::SyncRows { rows, .. } => {
            rows.iter().map(|row| (row.node, vec![row.verdict.incarnation.0, row.edition.version])).collect()
        }
        Message::SyncAnswer { opinions, members, .. } => {
            opinions.iter().map(of_opinion).chain(members.iter().map(of_member)).collect()
        }
        Message::SyncMembers { members, .. } => members.iter().map(of_member).collect(),
        Message::Vouch { .. } | Message::Nack { .. } => vec![],
    };
    said.into_iter().filter(|(subject, _)| *subject == node).flat_map(|(_, numbers)| numbers).collect()
}

pub(super) fn envelope(source: Incarnation, destination: NodeId, class: Class, sequence: u64) -> Envelope {
    Envelope {
        cluster: ClusterId::from_bytes([1; 16]),
        domain: Default::default(),
        tenant: Default::default(),
        source,
        destination,
        next_hop: destination,
        ttl: 1,
        class,
        sequence,
        cause: CauseId(0),
        version: BodyVersion(1),
        speaks: BodyVersion(1),
    }
}
