//! Those who use the control group. Each is a part of its own and does one thing at a time.
//!
//! | part | does |
//! | --- | --- |
//! | `founder` | founds the group |
//! | `holders` | let each candidate hold every scope, again after its restarts |
//! | `actors` | ask under which token a node may act, and write with it elsewhere, in time or much later |
//! | `writers` | read, write and compare-and-set registers |
//! | `epochs` | raises the epoch |
//! | `handovers` | has scopes handed over |
//! | `seats` | replaces voters |
//! | `recoveries` | begins another history where a quorum is lost, or from a backup |
//! | `activator` | has the next version of commands activated, again and again until that is done |
//! | `retirers` | have scopes held, dropped and retired |
//! | `stage` | lets one node lead, and one hold every scope |
//! | `watcher` | asks how the group looks |
//! | `finale` | in the end wants every scope to be held, and every register to be written and read |
//!
//! What operators know of the group, all of them know.

mod activator;
mod actors;
mod epochs;
mod finale;
mod founder;
mod guess;
mod handovers;
mod holders;
mod recoveries;
mod retirers;
mod seats;
mod stage;
mod watcher;
mod writers;

pub(in crate::mesh) use activator::is_activated;

use super::super::settings;
use crate::scenario::{ControlLoad, Scenario};
use crate::streams::{Stream, Streams};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::control::state::{Name, Scope};
use relaymesh_core::identity::{NodeId, StoreIncarnation};
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pause before something that must come about is asked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// What all of them know.
#[derive(Debug)]
struct Shared {
    load: ControlLoad,
    /// Nodes that belong to the mesh.
    members: u32,
    /// The longest span of any session.
    span_max: Duration,
    numbers: BTreeMap<NodeId, u32>,
    scopes: Vec<Scope>,
    registers: Vec<Name>,
    is_founded: bool,
    /// Who votes, each with the store that does.
    voters: Vec<(u32, StoreIncarnation)>,
    /// Who was last seen to act for each scope.
    holders: BTreeMap<Scope, u32>,
}

/// One of them.
trait Part: Debug {
    /// What it does next.
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request>;
    /// What became of that.
    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>);
    /// What it still waits for.
    fn unanswered(&self, shared: &Shared) -> Option<String>;
    /// Whether it begins before there is a group.
    fn founds(&self) -> bool {
        false
    }
}

/// All that use the control group of one run; none where nobody founds one.
#[derive(Debug)]
pub struct ControlClients {
    shared: Shared,
    parts: Vec<Box<dyn Part>>,
}

impl ControlClients {
    /// Those of a run of `scenario`.
    pub fn new(scenario: &Scenario, streams: &mut Streams) -> Self {
        let shared = Shared::new(scenario);
        let parts = if shared.load.is_founded() { parts(&shared, streams) } else { Vec::new() };
        Self { shared, parts }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.parts.len() as u32
    }

    /// Whether there is a group.
    pub(super) fn is_founded(&self) -> bool {
        self.shared.is_founded
    }

    pub(super) fn turn(&mut self, part: u32, now: TrueTime, offering: bool) -> Turn<Request> {
        let part = &mut self.parts[part as usize];
        if !self.shared.is_founded && !part.founds() {
            return Turn::Rest(now + AGAIN);
        }
        part.turn(&self.shared, now, offering)
    }

    pub(super) fn outcome(&mut self, part: u32, now: TrueTime, outcome: Outcome<Reply>) {
        self.parts[part as usize].outcome(&mut self.shared, now, outcome);
    }

    pub(super) fn unanswered(&self) -> Vec<(u32, String)> {
        let parts = (0..).zip(&self.parts);
        parts.filter_map(|(number, part)| Some((number, part.unanswered(&self.shared)?))).collect()
    }
}

fn parts(shared: &Shared, streams: &mut Streams) -> Vec<Box<dyn Part>> {
    let load = &shared.load;
    let mut stream = |what: &str, number: u32| streams.open(format!("{what} {number}"));
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    parts.push(Box::new(founder::Founder::new(stream("founder", 0))));
    parts.push(Box::new(watcher::Watcher::default()));
    parts.push(Box::new(finale::Finale::new(stream("finale", 0))));
    for host in shared.candidates() {
        parts.push(Box::new(holders::Holder::new(host)));
    }
    for number in 0..load.actors {
        parts.push(Box::new(actors::Actor::new(stream("actor", number))));
    }
    for number in 0..load.writers {
        parts.push(Box::new(writers::Writer::new(number, stream("writer", number))));
    }
    for number in 0..load.retirers {
        parts.extend(retirers::Retirer::new(number, stream("retirer", number)).map(|it| Box::new(it) as Box<dyn Part>));
    }
    if let Some(at) = load.activate_at {
        parts.push(Box::new(activator::Activator::new(TrueTime(0) + at.0, stream("activator", 0))));
    }
    if let Some(every) = load.bump_every {
        parts.push(Box::new(epochs::Epochs::new(every.0, stream("epochs", 0))));
    }
    if let Some(every) = load.transfer_every {
        parts.push(Box::new(handovers::Handovers::new(every.0, stream("handovers", 0))));
    }
    if let Some(every) = load.replace_every {
        parts.push(Box::new(seats::Seats::replacing(every.0, stream("replacements", 0))));
    }
    if let Some(every) = load.repair_every {
        parts.push(Box::new(seats::Seats::repairing(every.0, stream("repairs", 0))));
    }
    if let Some(recoveries) = recoveries::Recoveries::new(shared) {
        parts.push(Box::new(recoveries));
    }
    if let Some(at) = load.arrange_at {
        parts.push(Box::new(stage::Stage::new(TrueTime(0) + at.0, stream("stage", 0))));
    }
    parts
}

impl Shared {
    fn new(scenario: &Scenario) -> Self {
        let mut load = (*scenario.control).clone();
        if scenario.shards.is_on() {
            // Shards are declared by commands of version 2.
            load.activate_at.get_or_insert(load.found_at);
        }
        // Names of letters and digits, and far below the bound of their length, are allowed.
        let name = |what: &str, number: u32| Name::new(&format!("{what}-{number}")).ok();
        let named = (0..load.scopes).filter_map(|number| name("scope", number)).map(Scope::Named);
        Self {
            members: scenario.mesh.members(scenario.nodes),
            span_max: settings(scenario).control.lease.span_max,
            numbers: (0..scenario.nodes).map(|number| (node_id(number), number)).collect(),
            scopes: [Scope::Global].into_iter().chain(named).collect(),
            registers: (0..load.registers.max(1)).filter_map(|number| name("register", number)).collect(),
            is_founded: false,
            voters: Vec::new(),
            holders: BTreeMap::new(),
            load,
        }
    }

    fn number(&self, node: NodeId) -> Option<u32> {
        self.numbers.get(&node).copied()
    }

    /// Any voter.
    fn some_voter(&self, stream: &mut Stream) -> u32 {
        self.voters[stream.below(self.voters.len() as u64) as usize].0
    }

    /// Who wants to hold every scope.
    fn candidates(&self) -> core::ops::Range<u32> {
        0..self.load.candidates()
    }

    fn pause(&self, stream: &mut Stream) -> Duration {
        stream.span(self.load.pace.from, self.load.pace.to)
    }
}

/// Asks the control group of a node.
fn ask(host: u32, question: Question) -> Turn<Request> {
    Turn::Ask { host, request: Request::Control(question), timeout: PATIENCE }
}

/// The control group's answer, if it is one.
fn answer(outcome: Outcome<Reply>) -> Option<Answer> {
    match outcome {
        Outcome::Reply(Reply::Control(answer)) => Some(answer),
        _ => None,
    }
}
