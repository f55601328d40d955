//! Those who use replicated logs. Each is a part of its own and does one thing at a time.
//!
//! | part | does |
//! | --- | --- |
//! | `declarer` | has the namespace declared, again and again until that is done |
//! | `users` | read, write, compare-and-set and add, one operation at a time |
//! | `keyed` | a share of what users submit: under keys, each to take effect once |
//! | `blobbers` | put blobs, have registers refer to them, and read them back |
//! | `tasks` | submit tasks and workflows, and run the agents of every node |
//! | `handovers` | has shards handed over, at drawn times |
//! | `times` | drawn instants, for those that act at such |
//! | `stage` | has every shard handed to one node |
//! | `drainer` | drains members until nothing is left on them, and takes them back |
//! | `cut_over` | has many shards change owners at a set time |
//! | `planners` | ask for plans, and have them carried out: some twice, some on what is out of date |
//! | `shard_pauser` | pauses shards, and lets them go on |
//!
//! They ask any member: whoever it is passes on to the owner what is for the owner.
//!
//! Absent here: having version 2 of commands activated, which is the control group's [`activator`](super::control).

mod blobbers;
mod cut_over;
mod declarer;
mod drainer;
mod handovers;
mod keyed;
mod planners;
mod shard_pauser;
mod stage;
mod tasks;
mod times;
mod users;

pub(in crate::mesh) use blobbers::Contents;
pub(in crate::mesh) use keyed::KEYED;
pub(in crate::mesh) use tasks::{APPROVED, MARK, limits, output_of, schedules};
pub(in crate::mesh) use users::{COUNTERS, LANE_BITS};

use crate::scenario::{PlacementLoad, Scenario, ShardLoad, TaskLoad};
use crate::streams::{Stream, Streams};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use relaymesh_core::control::state::Name;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::time::Duration;

/// How the namespace is called.
pub(in crate::mesh) const NAMESPACE: &str = "tasks";
/// How long operators wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long shards take to be declared and owned, when nothing is wrong.
const SETTLING: Duration = Duration::from_secs(3);
/// Pause before something that must come about is asked for again.
const AGAIN: Duration = Duration::from_millis(200);

/// What all of them know.
#[derive(Debug)]
struct Shared {
    load: ShardLoad,
    tasks: TaskLoad,
    placement: PlacementLoad,
    namespace: Name,
    members: u32,
    is_declared: bool,
    agents: tasks::Agents,
}

/// One of them.
trait Part: Debug {
    /// What it does next.
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request>;
    /// What became of that.
    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>);
    /// What it still waits for.
    fn unanswered(&self, shared: &Shared) -> Option<String>;
    /// Whether it begins before anything is declared.
    fn declares(&self) -> bool {
        false
    }
}

/// All that use the logs of one run; none where there are none.
#[derive(Debug)]
pub struct ShardClients {
    shared: Option<Shared>,
    parts: Vec<Box<dyn Part>>,
}

impl ShardClients {
    /// Those of a run of `scenario`.
    pub fn new(scenario: &Scenario, streams: &mut Streams) -> Self {
        let shared = Shared::new(scenario);
        let parts = shared.as_ref().map_or_else(Vec::new, |shared| parts(shared, scenario, streams));
        Self { shared, parts }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.parts.len() as u32
    }

    /// What a part does next. Nothing until the control group `is_founded`.
    pub(super) fn turn(&mut self, part: u32, now: TrueTime, offering: bool, is_founded: bool) -> Turn<Request> {
        let part = &mut self.parts[part as usize];
        match &self.shared {
            Some(shared) if is_founded && (shared.is_declared || part.declares()) => part.turn(shared, now, offering),
            _ => Turn::Rest(now + AGAIN),
        }
    }

    pub(super) fn outcome(&mut self, part: u32, now: TrueTime, outcome: Outcome<Reply>) {
        if let Some(shared) = &mut self.shared {
            self.parts[part as usize].outcome(shared, now, outcome);
        }
    }

    pub(super) fn unanswered(&self) -> Vec<(u32, String)> {
        let Some(shared) = &self.shared else { return Vec::new() };
        let parts = (0..).zip(&self.parts);
        parts.filter_map(|(number, part)| Some((number, part.unanswered(shared)?))).collect()
    }
}

fn parts(shared: &Shared, scenario: &Scenario, streams: &mut Streams) -> Vec<Box<dyn Part>> {
    let (load, tasks_load) = (&shared.load, &shared.tasks);
    let mut stream = |what: &str, number: u32| streams.open(format!("shard {what} {number}"));
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    parts.push(Box::new(declarer::Declarer::new(stream("declarer", 0))));
    for number in 0..load.clients {
        parts.push(Box::new(users::User::new(number, shared, stream("user", number))));
    }
    for number in 0..load.blob_clients {
        parts.push(Box::new(blobbers::Blobber::new(number, stream("blobber", number))));
    }
    for number in 0..tasks_load.clients {
        let first = if tasks_load.twins { number / 2 } else { number };
        parts.push(Box::new(tasks::Submitter::new(first, stream("submitter", number))));
    }
    if tasks_load.schedules {
        parts.push(Box::new(tasks::Recurrer::new(stream("recurrer", 0))));
    }
    if tasks_load.people {
        parts.push(Box::new(tasks::Pauser::new(stream("pauser", 0))));
    }
    for host in (0..shared.members).filter(|_| tasks_load.is_on()) {
        parts.push(Box::new(tasks::Ears::new(host, stream("ears", host))));
        parts.push(Box::new(tasks::Hands::new(host)));
    }
    if load.hand_overs > 0 {
        // Once the shards are there, or nothing would be handed over.
        let first = scenario.control.found_at.0 + SETTLING;
        let span = (load.arrange_at.map_or(first, |at| at.0 + SETTLING), scenario.phases.safety.0);
        parts.push(Box::new(handovers::HandOvers::new(load.hand_overs, span, stream("handovers", 0))));
    }
    let placement = &shared.placement;
    let settled = scenario.control.found_at.0 + SETTLING + SETTLING;
    let span = (load.arrange_at.map_or(settled, |at| at.0 + SETTLING), scenario.phases.safety.0);
    if placement.drains > 0 {
        parts.push(Box::new(drainer::Drainer::new(placement, span, stream("drainer", 0))));
    }
    if placement.pauses > 0 {
        parts.push(Box::new(shard_pauser::ShardPauser::new(placement.pauses, span, stream("shard pauser", 0))));
    }
    for number in 0..placement.plans.min(2) {
        let count = (placement.plans + 1 - number) / 2;
        parts.push(Box::new(planners::Planner::new(number, count, span, stream("planner", number))));
    }
    if let Some(at) = placement.cut_over_at {
        parts.push(Box::new(cut_over::CutOver::new(at.0, stream("cut-over", 0))));
    }
    if let Some(at) = load.arrange_at {
        parts.push(Box::new(stage::Stage::new(TrueTime(0) + at.0)));
    }
    parts
}

impl Shared {
    fn new(scenario: &Scenario) -> Option<Self> {
        let (load, tasks, members) = (*scenario.shards, *scenario.tasks, scenario.mesh.members(scenario.nodes));
        let namespace = Name::new(NAMESPACE).ok().filter(|_| load.is_on())?;
        let agents = tasks::Agents::new(tasks.takes);
        let placement = *scenario.placement;
        Some(Self { load, tasks, placement, namespace, members, is_declared: false, agents })
    }

    fn shard(&self, number: u32) -> ShardId {
        ShardId { namespace: self.namespace, number }
    }

    fn some_member(&self, stream: &mut Stream) -> u32 {
        stream.below(u64::from(self.members)) as u32
    }

    fn some_shard(&self, stream: &mut Stream) -> u32 {
        stream.below(u64::from(self.load.shards)) as u32
    }
}

/// Asks a node for something of its shards.
fn ask(host: u32, question: Question, timeout: Duration) -> Turn<Request> {
    Turn::Ask { host, request: Request::Shards(question), timeout }
}

/// The answer, if it is one.
fn answer(outcome: Outcome<Reply>) -> Option<Answer> {
    match outcome {
        Outcome::Reply(Reply::Shards(answer)) => Some(answer),
        _ => None,
    }
}
