//! RelayMesh's side: the production node in the simulator's world, with the simulator's checkers, and a
//! [`Watch`] beside them.
//!
//! What the node shows operators is what the watch is told, at the instant at which it shows it. A promise that a checker
//! finds broken does not end the run, as it would in the simulator: the run goes on and counts, and says what was broken.

use crate::figures::Figures;
use crate::schedule::{END, SEED_NODE, Schedule};
use crate::watch::Watch;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::envelope::{ANSWER_BYTES, Class, Envelope, GREETING_BYTES, PROOF_BYTES};
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::{MembershipObservation as Seen, Settings, Status};
use relaymesh_core::mesh::{MeshNode, MeshObservation, Message, Reply, Request};
use relaymesh_core::node::Outgoing;
use relaymesh_sim::check::{Findings, Violation};
use relaymesh_sim::mesh::checks::{MeshChecks, on_wire};
use relaymesh_sim::mesh::clients::MeshClients;
use relaymesh_sim::mesh::{Mesh, settings};
use relaymesh_sim::scenario::{FaultKind, Plan, PlannedFault, Scenario, parse};
use relaymesh_sim::streams::Streams;
use relaymesh_sim::subject::{Checks, Subject, Surroundings};
use relaymesh_sim::time::TrueTime;
use relaymesh_sim::world::{Options, World, node_id};
use std::collections::{BTreeMap, BTreeSet};

/// The metadata of each node, as many bytes as those of foca's identities.
const METADATA_BYTES: u16 = 40;
/// After [`END`] everything is healed, and for so long checkers wait for agreement. Nothing of that is measured.
const AFTERMATH_SECONDS: u64 = 30;
/// Headers of the three packets that make a TCP connection, with their options.
const CONNECTION_BYTES: u64 = 60 + 60 + 52;

/// What one run came to.
pub(crate) struct Run {
    pub(crate) figures: Figures,
    /// Promises that were broken, in the order in which it was found.
    pub(crate) violations: Vec<Violation>,
}

/// Runs the mesh through `schedule`.
pub(crate) fn run(schedule: &Schedule) -> Run {
    let mut world = World::<Watched>::new(&scenario(schedule), schedule.seed, Options::default());
    world.run();
    let of_the_engine = world.report().violations;
    let WatchedChecks { watch, suspicions, violations, is_over, .. } = world.checks();
    assert!(*is_over, "the run of seed {} ended early: {of_the_engine:?}", schedule.seed);
    // A node is the same from its start to its end: it refutes, and does not come back as another.
    let figures = watch.figures(*suspicions, 0);
    Run { figures, violations: violations.iter().chain(&of_the_engine).cloned().collect() }
}

/// The settings of each node of such a mesh.
pub(crate) fn configured(schedule: &Schedule) -> Settings {
    settings(&scenario(schedule)).membership
}

/// The schedule as the production node goes through it. Each start is a fault: that is how a scenario says when a single
/// node starts.
fn scenario(schedule: &Schedule) -> Scenario {
    let starts = (0..).zip(schedule.starts()).map(|(node, at): (u32, TrueTime)| {
        format!("[[fault]]\nkind = \"join\"\nnodes = [{node}]\nat = \"{}ns\"\n", at.0)
    });
    let text = format!(
        "name = \"peers\"\nabout = \"Nodes find one another, packets are lost, nodes die.\"\nsubject = \"mesh\"\n\
         nodes = {}\n[phases]\nsafety = \"{}ns\"\nliveness = \"{AFTERMATH_SECONDS}s\"\n\
         [mesh]\nprofile = \"lan\"\nseeds = {}\nmetadata_bytes = {METADATA_BYTES}\nlate = \"all\"\n{}{}",
        schedule.scenario.nodes,
        END.0,
        SEED_NODE + 1,
        starts.collect::<String>(),
        schedule.faults,
    );
    parse(&text).unwrap_or_else(|error| panic!("the schedule is no scenario: {error}\n{text}"))
}

/// [`Mesh`], watched.
struct Watched;

impl Subject for Watched {
    type Application = MeshNode;
    type Clients = MeshClients;
    type Checks = WatchedChecks;

    const STREAMS: bool = Mesh::STREAMS;
    const SECTIONS: &'static [&'static str] = Mesh::SECTIONS;

    fn application(around: &Surroundings<'_>) -> MeshNode {
        Mesh::application(around)
    }

    fn clients(scenario: &Scenario, plan: &Plan, streams: &mut Streams) -> MeshClients {
        Mesh::clients(scenario, plan, streams)
    }

    fn checks(scenario: &Scenario) -> WatchedChecks {
        WatchedChecks {
            inner: Mesh::checks(scenario),
            watch: Watch::new(scenario),
            numbers: (0..scenario.nodes).map(|node| (node_id(node), node)).collect(),
            now: TrueTime(0),
            connections: BTreeSet::new(),
            suspicions: 0,
            violations: Vec::new(),
            is_over: false,
        }
    }
}

/// The simulator's checkers, which see all that happens, and the watch, which sees it until [`END`].
struct WatchedChecks {
    inner: MeshChecks,
    watch: Watch,
    numbers: BTreeMap<NodeId, u32>,
    /// The last time that was heard of. Bytes are sent at that time or later, but in the same part of the run: that the
    /// next part begins is heard first.
    now: TrueTime,
    /// Connections that were opened, by sender, receiver and class.
    connections: BTreeSet<(u32, u32, Class)>,
    suspicions: u64,
    violations: Vec<Violation>,
    is_over: bool,
}

impl WatchedChecks {
    /// Lets the checkers look; what they find is kept here.
    fn look(&mut self, found: &mut Findings, look: impl FnOnce(&mut MeshChecks, &mut Findings)) {
        let before = found.violations.len();
        look(&mut self.inner, found);
        self.violations.extend(found.violations.drain(before..));
    }

    fn came_to_hold(&mut self, observer: u32, subject: u32, status: Status) {
        // The checkers have just noted when.
        let now = self.inner.views.get(observer, subject).since;
        match status.is_member() {
            true => self.watch.up(now, observer, subject),
            false => self.watch.down(now, observer, subject),
        }
    }

    /// What the watch was told is what operators could read off every node.
    fn verify(&self) {
        let nodes = 0..self.numbers.len() as u32;
        for observer in nodes.clone().filter(|node| self.inner.truth.is_up(*node)) {
            let read: BTreeSet<u32> = self.inner.views.members(observer).filter(|it| *it != observer).collect();
            let watched: BTreeSet<u32> = nodes.clone().filter(|other| self.watch.lists(observer, *other)).collect();
            assert_eq!(watched, read, "what node {observer} lists");
        }
    }
}

/// That a broken promise is kept and does not end the run.
pub(crate) fn what_checkers_find_is_kept() {
    let mut checks = Watched::checks(&scenario(&Schedule::of(2, "", 1)));
    let mut found = Findings::default();
    checks.look(&mut found, |_, found| found.fail("MEMB-2", &[1], "n0 holds n1 dead".into()));
    assert_eq!((found.violations.len(), checks.violations.len()), (0, 1));
}

/// What opening a connection takes: TCP's three packets and the three frames in which both ends prove who they are.
fn opening_bytes() -> u64 {
    let frames = [GREETING_BYTES, ANSWER_BYTES, PROOF_BYTES];
    CONNECTION_BYTES + frames.into_iter().map(|frame| on_wire(Class::Control, frame)).sum::<u64>()
}

impl Checks<MeshNode> for WatchedChecks {
    fn shows_state(&self, message: &Message) -> bool {
        self.inner.shows_state(message)
    }

    fn sent(&mut self, host: u32, to: u32, outgoing: &Outgoing<Message>, found: &mut Findings) {
        self.look(found, |inner, found| inner.sent(host, to, outgoing, found));
    }

    fn received(&mut self, host: u32, from: u32, envelope: &Envelope, message: &Message, found: &mut Findings) {
        self.look(found, |inner, found| inner.received(host, from, envelope, message, found));
    }

    fn asked(&mut self, client: u32, host: u32, request: &Request, found: &mut Findings) {
        self.look(found, |inner, found| inner.asked(client, host, request, found));
    }

    fn answered(&mut self, client: u32, host: u32, request: &Request, reply: &Reply, found: &mut Findings) {
        self.look(found, |inner, found| inner.answered(client, host, request, reply, found));
    }

    fn observed(&mut self, host: u32, observation: &MeshObservation, found: &mut Findings) {
        self.look(found, |inner, found| inner.observed(host, observation, found));
        let MeshObservation::Membership(seen) = observation else { return };
        if self.is_over {
            return;
        }
        match *seen {
            Seen::Joined { node, status, .. } | Seen::StatusChanged { node, status, .. } => {
                self.came_to_hold(host, self.numbers[&node], status);
            }
            Seen::ProbeFailed { node, .. } if self.inner.truth.is_up(self.numbers[&node]) => self.suspicions += 1,
            _ => {}
        }
    }

    fn booted(&mut self, host: u32, now: TrueTime) {
        self.inner.booted(host, now);
        self.now = now;
        if !self.is_over {
            self.watch.started(now);
            if host != SEED_NODE {
                // It asks the seed who it is, on a connection of its own.
                self.watch.overhead(now, opening_bytes());
            }
        }
    }

    fn ended(&mut self, host: u32, now: TrueTime) {
        self.inner.ended(host, now);
        self.now = now;
        self.connections.retain(|(from, to, _)| ![*from, *to].contains(&host));
        if !self.is_over {
            self.watch.crashed(now, host);
        }
    }

    fn began_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.inner.began_fault(fault, now);
        self.now = now;
        if fault.kind == FaultKind::Loss {
            self.watch.loss_begins();
        }
    }

    fn ended_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.inner.ended_fault(fault, now);
    }

    fn carried(&mut self, host: u32, to: u32, class: Class, bytes: usize) {
        self.inner.carried(host, to, class, bytes);
        if self.is_over {
            return;
        }
        if class.is_stream() && self.connections.insert((host, to, class)) {
            self.watch.overhead(self.now, opening_bytes());
        }
        self.watch.sent(self.now, on_wire(class, bytes));
    }

    fn crossed(&mut self, from: u32, to: u32, now: TrueTime) {
        self.inner.crossed(from, to, now);
        self.now = now;
    }

    fn wrote(&mut self, host: u32, version: BodyVersion, found: &mut Findings) {
        self.look(found, |inner, found| inner.wrote(host, version, found));
    }

    fn unreadable(&mut self, host: u32, found: &mut Findings) {
        self.look(found, |inner, found| inner.unreadable(host, found));
    }

    fn store_lost(&mut self, host: u32) {
        self.inner.store_lost(host);
    }

    fn healed(&mut self, now: TrueTime) {
        self.verify();
        self.is_over = true;
        self.inner.healed(now);
    }

    fn finish(&mut self, found: &mut Findings) {
        self.look(found, |inner, found| inner.finish(found));
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        self.inner.exercised()
    }
}
