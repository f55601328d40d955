//! One run from beginning to end, and what it reports.

use super::clients::ClientSeat;
use super::drive::Read;
use super::host::{Host, node_id};
use super::{Happening, Packet, Timetable};
use crate::check::engine::EngineChecks;
use crate::check::{ASSERT, DRAW_1, Findings, LIVE_1, Violation};
use crate::network::Network;
use crate::queue::Queue;
use crate::scenario::{FaultKind, Plan, Scenario};
use crate::slab::Slab;
use crate::streams::{Stream, Streams};
use crate::subject::{Checks, Clients, Outcome, Subject};
use crate::time::TrueTime;
use crate::trace::{EventKind, Line, Trace};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use relaymesh_core::identity::NodeId;
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::{Application, Scratch};
use relaymesh_core::time::Duration;
use serde::{Serialize, Serializer};

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
    pub(super) slow_events: u64,
    pub(super) effects_seen: u64,
    draw_decisions: u64,
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

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every invariant held.
    Held,
    /// Something bad happened.
    Safety,
    /// Something good did not happen in time.
    Liveness,
}

/// What a run reports. Serialises as the command line's JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// What the run came to.
    pub verdict: Verdict,
    /// Hash of every event and action, in hexadecimal.
    pub trace_hash: String,
    /// Events handled, idle wakes included.
    pub events: u64,
    /// Events by kind.
    pub events_by_kind: BTreeMap<&'static str, u64>,
    /// Simulated time that passed.
    pub simulated_seconds: f64,
    /// How often each fault and each of its consequences came about.
    pub faults: BTreeMap<String, u64>,
    /// How often each invariant was put to the test.
    pub exercised: BTreeMap<&'static str, u64>,
    /// Stores given up because more was broken than one disk can survive.
    pub excuses: u64,
    /// Faults that the seed switched off.
    pub switched_off: Vec<String>,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            invariant: &'a str,
            at_seconds: f64,
            nodes: &'a [u32],
            detail: &'a str,
            event: u64,
        }
        let Self { invariant, at, nodes, detail, event } = self;
        Form { invariant, at_seconds: at.as_secs_f64(), nodes, detail, event: event.0 }.serialize(serializer)
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
        let clients = S::clients(scenario, &mut streams);
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
            slow_events: 0,
            effects_seen: 0,
            draw_decisions: 0,
            scenario: scenario.clone(),
            plan,
            streams,
        };
        world.set_the_stage();
        world
    }

    fn set_the_stage(&mut self) {
        for host in 0..self.scenario.nodes {
            self.queue.schedule(TrueTime(0), Happening::Boots { host, life: 0 });
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
            match self.queue.pop() {
                Some((at, happening)) if at <= self.timetable.end => {
                    self.now = at;
                    self.happens(happening);
                }
                _ => {
                    self.now = self.timetable.end;
                    return self.finish();
                }
            }
        }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Packet { host, place } => self.packet_arrives(host, place),
            Happening::Arrives { host, life, inbound } => {
                let it = self.host(host);
                let is_request = matches!(inbound, super::Inbound::Request { .. });
                match it.node.is_some() && (it.life == life || is_request) {
                    true => self.arrive(host, inbound),
                    false => self.discard(inbound),
                }
            }
            Happening::SyncEnds { host, life } if self.host(host).life == life => self.sync_ends(host),
            Happening::Resumes { host, life } if self.host(host).life == life => self.resume(host),
            Happening::SyncEnds { .. } | Happening::Resumes { .. } => {}
            Happening::Boots { host, life } => self.boot(host, life),
            Happening::ClientTurn { client, turn } => self.client_turn(client, turn),
            Happening::Answer { client, request, place } => self.answer_arrives(client, request, place),
            Happening::FaultBegins { number } => self.fault_begins(number),
            Happening::FaultEnds { number } => self.fault_ends(number),
            Happening::Heals => self.heal(),
        }
    }

    /// What can be said only at the end.
    fn finish(&mut self) {
        (self.found.now, self.found.event) = (self.now, self.trace.current());
        for (client, what) in self.clients.unanswered() {
            self.found.fail(LIVE_1, &[], format!("client {client} still waits for {what}"));
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
        for stream in self.network.streams() {
            self.draw_decisions += stream.decisions();
            if stream.decisions() != stream.draws() {
                found.fail(
                    DRAW_1,
                    &[],
                    format!(
                        "{} decisions of the network took {} draws of their stream",
                        stream.decisions(),
                        stream.draws()
                    ),
                );
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

    /// What the run came to.
    pub fn report(&mut self) -> Report {
        let violations = self.found.violations.clone();
        let verdict = match violations.first() {
            None => Verdict::Held,
            Some(_) if violations.iter().all(Violation::is_of_liveness) => Verdict::Liveness,
            Some(_) => Verdict::Safety,
        };
        let exercised = self.engine_checks.exercised().into_iter().chain(self.checks.exercised());
        let own = [(DRAW_1, self.draw_decisions), (LIVE_1, u64::from(self.clients.count()))];
        Report {
            scenario: self.scenario.name.clone(),
            seed: self.seed,
            verdict,
            trace_hash: self.trace.hash().to_hex().to_string(),
            events: self.trace.events(),
            events_by_kind: self.trace.by_kind().map(|(kind, count)| (kind.name(), count)).collect(),
            simulated_seconds: self.now.as_secs_f64(),
            faults: self.faults_fired(),
            exercised: exercised.chain(own).collect(),
            excuses: self.excuses,
            switched_off: self.plan.switched_off.clone(),
            violations,
        }
    }

    /// A report of a run that an assertion of ours has ended.
    pub fn report_panic(&mut self, message: &str) -> Report {
        (self.found.now, self.found.event) = (self.now, self.trace.current());
        self.found.fail(ASSERT, &[], message.to_string());
        self.report()
    }

    /// Faults by name, and the consequences of those that are not visible as such.
    fn faults_fired(&self) -> BTreeMap<String, u64> {
        let mut fired: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |name: &str, count: u64| *fired.entry(name.to_string()).or_default() += count;
        for fault in &self.plan.faults {
            add(fault.kind.name(), 0);
        }
        self.network.fired().iter().for_each(|(kind, count)| add(kind.name(), *count));
        for (kind, count) in &self.fired {
            // What counts is that something failed, not that it might have.
            let is_chance = matches!(
                kind,
                FaultKind::FailingWrites
                    | FaultKind::FailingSyncs
                    | FaultKind::DiskFull
                    | FaultKind::CorruptReads
                    | FaultKind::SlowNode
            );
            add(kind.name(), if is_chance { 0 } else { *count });
        }
        for disk in self.hosts.iter().map(|host| host.disk.faults()) {
            add("lost_unsynced", disk.lost_unsynced);
            add("torn_write", disk.torn);
            add(FaultKind::FailingWrites.name(), disk.failed_writes);
            add(FaultKind::FailingSyncs.name(), disk.failed_syncs);
            add(FaultKind::DiskFull.name(), disk.full);
            add(FaultKind::CorruptReads.name(), disk.corrupt_reads);
        }
        add(FaultKind::SlowNode.name(), self.slow_events);
        add("refused_packet", self.refused_packets);
        self.stops.iter().chain(&self.observations).for_each(|(name, count)| add(name, *count));
        fired.retain(|name, count| *count > 0 || self.plan.faults.iter().any(|fault| fault.kind.name() == name));
        fired
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
