//! One run from beginning to end, and what it reports.

use super::addresses::{Addresses, Discovery, Inquiry};
use super::clients::ClientSeat;
use super::host::{Host, node_id};
use super::reads::Read;
use super::report::Report;
use super::wires::Packet;
use super::{Happening, Timetable};
use crate::check::engine::EngineChecks;
use crate::check::{DRAW_1, Findings, LIVE_1};
use crate::network::Network;
use crate::network::connection::{Connection, Lane};
use crate::queue::Queue;
use crate::scenario::{FaultKind, Plan, Scenario};
use crate::slab::Slab;
use crate::streams::{Stream, Streams};
use crate::subject::{Checks, Clients, Outcome, Subject};
use crate::time::TrueTime;
use crate::trace::{EventKind, Line, Trace};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::envelope::Class;
use relaymesh_core::identity::NodeId;
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::{Application, Scratch};
use relaymesh_core::time::Duration;

type Request<S> = <<S as Subject>::Application as Application>::Request;
type Answer<S> = (Outcome<<<S as Subject>::Application as Application>::Reply>, CauseId);
type Work<S> =
    (<<S as Subject>::Application as Application>::WorkId, <<S as Subject>::Application as Application>::Work, CauseId);

/// Everything there is in one run.
pub struct World<S: Subject> {
    pub(super) scenario: Scenario,
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) now: TrueTime,
    pub(super) timetable: Timetable,
    pub(super) offering_until: TrueTime,
    events_max: u64,
    pub(super) queue: Queue<Happening>,
    pub(super) hosts: Vec<Host<S::Application>>,
    pub(super) node_ids: Vec<NodeId>,
    directory: Vec<(NodeId, u32)>,
    pub(super) network: Network,
    pub(super) addresses: Addresses,
    pub(super) connections: BTreeMap<Lane, Connection>,
    pub(super) connections_opened: u32,
    pub(super) compute_delay: Stream,
    pub(super) clients: S::Clients,
    pub(super) client_seats: Vec<ClientSeat<Request<S>>>,
    pub(super) scratch: Scratch<S::Application>,
    pub(super) encoded: Vec<u8>,
    pub(super) buffers: Vec<Vec<u8>>,
    pub(super) packets: Slab<Packet>,
    pub(super) requests: Slab<Request<S>>,
    pub(super) answers: Slab<Answer<S>>,
    pub(super) reads: Slab<Read>,
    pub(super) inquiries: Slab<Inquiry>,
    pub(super) discoveries: Slab<Discovery>,
    pub(super) work: Slab<Work<S>>,
    pub(super) active_faults: BTreeSet<u32>,
    pub(super) last_fault: CauseId,
    pub(super) trace: Trace,
    pub(super) checks: S::Checks,
    pub(super) engine_checks: EngineChecks,
    pub(super) found: Findings,
    pub(super) fired: BTreeMap<FaultKind, u64>,
    pub(super) observations: BTreeMap<&'static str, u64>,
    pub(super) stops: BTreeMap<&'static str, u64>,
    pub(super) excuses: u64,
    pub(super) refused_packets: u64,
    /// Packets that went to another host than the one of the node that they were for.
    pub(super) misdirected_packets: u64,
    /// Packets for nodes that nobody had located.
    pub(super) unlocated_packets: u64,
    /// Packets to endpoints where nobody lived.
    pub(super) unanswered_endpoints: u64,
    pub(super) retransmitted: u64,
    pub(super) broken_connections: u64,
    /// Messages for which a stream had no room.
    pub(super) overflows: u64,
    pub(super) slow_events: u64,
    pub(super) effects_seen: u64,
    /// Lanes that a process was told are full, with the time at which it is to be told of room.
    pub(super) full_lanes: BTreeMap<(u32, u32, NodeId, Class), TrueTime>,
    pub(super) answered_after_healing: u64,
    pub(super) draw_decisions: u64,
    streams: Streams,
}

/// How a run is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Keep a line for each event.
    pub keep_lines: bool,
    /// End after that many events, wherever the run is.
    pub events_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_lines: false, events_max: u64::MAX }
    }
}

/// Runs `scenario` from `seed` to its end and reports.
pub fn run<S: Subject>(scenario: &Scenario, seed: u64, options: Options) -> Report {
    let mut world = World::<S>::new(scenario, seed, options);
    world.run();
    world.report()
}

impl<S: Subject> World<S> {
    /// The world before its first instant.
    pub fn new(scenario: &Scenario, seed: u64, options: Options) -> Self {
        let mut streams = Streams::new(seed);
        let plan = Plan::draw(scenario, &mut streams);
        let network = Network::new(scenario.network, &mut streams);
        let clients = S::clients(scenario, &plan, &mut streams);
        let heal = TrueTime(0) + scenario.phases.safety.0;
        let end = heal + scenario.phases.liveness.0;
        let offering_until = heal + Duration::from_nanos(scenario.phases.liveness.0.as_nanos() / 2);
        let node_ids: Vec<NodeId> = (0..scenario.nodes).map(node_id).collect();
        let mut directory: Vec<_> = node_ids.iter().copied().zip(0..).collect();
        directory.sort_unstable();
        let mut world = Self {
            seed,
            now: TrueTime(0),
            timetable: Timetable { heal, end },
            offering_until,
            events_max: options.events_max,
            queue: Queue::new(),
            hosts: (0..scenario.nodes).map(|number| Host::new(scenario, number, &mut streams)).collect(),
            node_ids,
            directory,
            network,
            addresses: Addresses::new(scenario.nodes),
            connections: BTreeMap::new(),
            connections_opened: 0,
            compute_delay: streams.open("compute delay"),
            client_seats: (0..clients.count()).map(|_| ClientSeat::new()).collect(),
            clients,
            scratch: Scratch::new(),
            encoded: Vec::new(),
            buffers: Vec::new(),
            packets: Slab::new(),
            requests: Slab::new(),
            answers: Slab::new(),
            reads: Slab::new(),
            inquiries: Slab::new(),
            discoveries: Slab::new(),
            work: Slab::new(),
            active_faults: BTreeSet::new(),
            last_fault: CauseId(0),
            trace: Trace::new(options.keep_lines),
            checks: S::checks(scenario),
            engine_checks: EngineChecks::new(scenario.nodes),
            found: Findings::default(),
            fired: BTreeMap::new(),
            observations: BTreeMap::new(),
            stops: BTreeMap::new(),
            excuses: 0,
            refused_packets: 0,
            misdirected_packets: 0,
            unlocated_packets: 0,
            unanswered_endpoints: 0,
            retransmitted: 0,
            broken_connections: 0,
            overflows: 0,
            slow_events: 0,
            effects_seen: 0,
            full_lanes: BTreeMap::new(),
            answered_after_healing: 0,
            draw_decisions: 0,
            scenario: scenario.clone(),
            plan,
            streams,
        };
        world.set_the_stage();
        world
    }

    fn set_the_stage(&mut self) {
        let start = self.scenario.mesh.start;
        let mut starts = self.streams.open("first starts");
        for host in 0..self.scenario.nodes {
            let at = TrueTime(0) + starts.span(start.from, start.to);
            self.queue.schedule(at, Happening::Boots { host, life: 0 });
        }
        for client in 0..self.clients.count() {
            self.schedule_turn(client, TrueTime(0));
        }
        for (number, fault) in (0..).zip(&self.plan.faults) {
            self.queue.schedule(fault.at, Happening::FaultBegins { number });
        }
        self.queue.schedule(self.timetable.heal, Happening::Heals);
    }

    /// Runs to the end, or to the first broken promise.
    pub fn run(&mut self) {
        while self.found.violations.is_empty() && self.trace.events() < self.events_max {
            if !self.step() {
                self.now = self.timetable.end;
                return self.finish();
            }
        }
    }

    /// Lets the next thing happen; `false` when the run is over.
    pub(super) fn step(&mut self) -> bool {
        match self.queue.pop() {
            Some((at, happening)) if at <= self.timetable.end => {
                self.now = at;
                self.happens(happening);
                true
            }
            _ => false,
        }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Packet { host, place } => self.packet_arrives(host, place),
            Happening::Retries { lane, number } => self.retry(lane, number),
            Happening::Inquiry { place } => self.inquiry_arrives(place),
            Happening::Arrives { host, life, inbound } => {
                let it = self.host(host);
                let is_request = matches!(inbound, super::Inbound::Request { .. });
                match it.node.is_some() && (it.life == life || is_request) {
                    true => self.arrive(host, inbound),
                    false => self.discard(inbound),
                }
            }
            Happening::SyncEnds { host, life, number } => {
                if self.host(host).life == life && self.host(host).sync_number == number {
                    self.sync_ends(host);
                }
            }
            Happening::Resumes { host, life } if self.host(host).life == life => self.resume(host),
            Happening::Resumes { .. } => {}
            Happening::Boots { host, life } => self.boot(host, life),
            Happening::ClientTurn { client, turn } => self.client_turn(client, turn),
            Happening::Answer { client, request, place } => self.answer_arrives(client, request, place),
            Happening::FaultBegins { number } => self.fault_begins(number),
            Happening::FaultEnds { number } => self.fault_ends(number),
            Happening::Returns { host } => self.host_returns(host),
            Happening::Heals => self.heal(),
        }
    }

    /// What can be said only at the end.
    fn finish(&mut self) {
        (self.found.now, self.found.event) = (self.now, self.trace.current());
        for (client, what) in self.clients.unanswered() {
            self.found.miss(LIVE_1, &[], format!("client {client} still waits for {what}"));
        }
        for ((host, life, peer, class), room_at) in core::mem::take(&mut self.full_lanes) {
            if self.host(host).life == life && room_at < self.timetable.heal {
                let detail =
                    format!("was told that the {class:?} queue to {peer:?} is full, and never that it has room");
                self.found.miss(LIVE_1, &[host], detail);
            }
        }
        for (number, host) in (0..).zip(&self.hosts) {
            if let Some(node) = &host.node {
                self.checks.disk(number, &host.disk);
                self.checks.over(number, node.application());
            }
        }
        self.checks.finish(&mut self.found);
        self.check_draws();
    }

    /// DRAW-1: as many draws as decisions in every stream, and no stream for two purposes.
    fn check_draws(&mut self) {
        let mut found = core::mem::take(&mut self.found);
        for name in self.streams.shared() {
            found.fail(DRAW_1, &[], format!("the stream `{name}` was opened twice"));
        }
        for (name, stream, expected) in self.network.draws_expected() {
            self.draw_decisions += expected;
            if stream.draws() != expected {
                let detail = format!("{expected} decisions about {name} took {} draws of their stream", stream.draws());
                found.fail(DRAW_1, &[], detail);
            }
        }
        for (number, host) in (0..).zip(&self.hosts) {
            for stream in host.disk.streams() {
                self.draw_decisions += stream.decisions();
                if stream.decisions() != stream.draws() {
                    found.fail(
                        DRAW_1,
                        &[number],
                        format!(
                            "{} decisions of a disk took {} draws of their stream",
                            stream.decisions(),
                            stream.draws()
                        ),
                    );
                }
            }
            if host.chooser.draws() != host.draws_accounted {
                found.fail(DRAW_1, &[number], "something besides the node drew from the node's stream".into());
            }
        }
        self.found = found;
    }

    /// The checkers, which may have gathered figures.
    pub fn checks(&self) -> &S::Checks {
        &self.checks
    }

    /// The lines kept, if they were asked for.
    pub fn take_lines(&mut self) -> Vec<Line> {
        self.trace.take_lines()
    }

    /// The plan that the seed has drawn.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn begin(&mut self, kind: EventKind, host: Option<u32>, cause: CauseId) -> CauseId {
        let event = self.trace.event(kind, self.now, host, cause);
        (self.found.now, self.found.event) = (self.now, event);
        event
    }

    pub(super) fn host(&self, host: u32) -> &Host<S::Application> {
        &self.hosts[host as usize]
    }

    pub(super) fn host_mut(&mut self, host: u32) -> &mut Host<S::Application> {
        &mut self.hosts[host as usize]
    }

    /// The number of a node. O(log n).
    ///
    /// # Panics
    /// When no host has that id: an authentic packet cannot name one.
    pub(super) fn number_of(&self, node: NodeId) -> u32 {
        match self.directory.binary_search_by_key(&node, |(id, _)| *id) {
            Ok(at) => self.directory[at].1,
            Err(_) => panic!("no host is called {node}"),
        }
    }
}
