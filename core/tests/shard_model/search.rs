//! What may happen next, what must hold, and the searches.

use crate::world::{KEPT, Node, Shard, Step, World, node_of, process, replica};
use relaymesh_core::machine::Machine;
use relaymesh_core::replication::{LogSequence, Standing};
use relaymesh_core::time::Time;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::sync::Arc;

pub(crate) const TASK_1: &str = "TASK-1: an acknowledged entry is in the log of every later owner that serves";
pub(crate) const PREFIX: &str = "Prefix: members of the set hold the same up to what either knows to be acknowledged";
pub(crate) const NAMES: &str = "Names: an entry of one name is the same everywhere, and so is what stands before it";
pub(crate) const ONE_OWNER: &str = "One owner: at most one process acknowledges at an epoch";
pub(crate) const NO_OLDER: &str = "LEASE-3: nothing older is accepted after something newer was promised";
pub(crate) const LINEARIZABLE: &str = "Linearizable: what clients are told could have been told by one machine";
pub(crate) const STATE: &str = "State: what the first entries amount to is the same everywhere";
pub(crate) const ONCE: &str =
    "Once: what is parked takes effect once, and has, in every later owner, once a keeper is told so";
/// Not a promise: shows that a search has been where it should.
const REACHED: &str = "the last owner serves, and all commands are acknowledged";
const ALL: [&str; 8] = [TASK_1, PREFIX, NAMES, ONE_OWNER, NO_OLDER, LINEARIZABLE, STATE, ONCE];

impl Model for Shard {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let used = &world.used;
        steps.extend(world.net.iter().map(|packet| Step::Deliver { packet: packet.clone() }));
        steps.extend(world.proposals.iter().map(|proposal| Step::Commit { proposal: proposal.clone() }));
        for (node, own) in world.nodes.iter().enumerate() {
            if let Standing::Serving(_) = own.replica.standing() {
                let is_free = used.hand_overs < self.hand_overs;
                let all = [
                    (used.appends < self.appends, Step::Submit { node }),
                    (used.reads < self.reads, Step::Read { node }),
                    (used.resubmissions < self.resubmissions, Step::Resubmit { node }),
                    (is_free, Step::HandOver { node }),
                ];
                steps.extend(all.into_iter().filter_map(|(may, step)| may.then_some(step)));
            }
            if !own.unsynced.is_empty() {
                steps.push(Step::Sync { node });
            }
            if own.known < world.records.len() {
                steps.push(Step::Learn { node });
            }
            let is_owner = world.truth().owner == Some(process(node, own.boot));
            if own.has_view && is_owner && used.grants < self.grants && self.reads > 0 {
                steps.push(Step::Lapse { node });
            }
            if used.crashes < self.crashes && self.frail.contains(&node) {
                steps.extend((0..=own.unsynced.len()).map(|keeps| Step::Crash { node, keeps }));
            }
            let is_done = own.cut.is_some_and(|(name, _)| own.replica.has_checkpoint(name));
            let may_begin = used.checkpoints < self.checkpoints && self.trimmers.contains(&node);
            if own.cut.map_or(may_begin, |_| !is_done) {
                steps.push(Step::Checkpoint { node });
            }
            if used.wakes < self.wakes && own.replica.next_deadline().is_some_and(|at| at == Time::ZERO) {
                steps.push(Step::Wake { node });
            }
        }
        if used.grants < self.grants {
            let is_member = |node: &usize| world.truth().in_sync.contains(&replica(*node));
            let heirs = self.heirs.iter().copied().filter(is_member);
            let is_new = |node: &usize| world.truth().owner.map(|owner| node_of(owner.into())) != Some(*node);
            steps.extend(heirs.filter(|node| is_new(node) || self.crashes > 0).map(|node| Step::Grant { node }));
        }
        if used.bumps < self.bumps && world.truth().owner.is_some() {
            steps.push(Step::Bump);
        }
        let is_synced = |node: &usize| world.nodes[*node].unsynced.is_empty();
        if used.recoveries < self.recoveries && self.reachable.iter().all(is_synced) {
            steps.push(Step::Recover);
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Submit { node } => self.submit(&mut world, node),
            Step::Read { node } => self.read(&mut world, node),
            Step::Resubmit { node } => self.resubmit(&mut world, node),
            Step::Deliver { packet } => self.deliver(&mut world, packet),
            Step::Sync { node } => self.sync(&mut world, node),
            Step::Crash { node, keeps } => self.crash(&mut world, node, keeps),
            Step::Learn { node } => self.learn(&mut world, node),
            Step::Lapse { node } => self.lapse(&mut world, node),
            Step::Commit { proposal } => self.commit(&mut world, proposal),
            Step::Grant { node } => self.grant(&mut world, node),
            Step::Checkpoint { node } => self.checkpoint(&mut world, node),
            Step::Bump => self.bump(&mut world),
            Step::Recover => self.recover(&mut world),
            Step::Wake { node } => {
                world.used.wakes += 1;
                self.tell(&mut world, node, relaymesh_core::replication::Event::Wake);
            }
            Step::HandOver { node } => {
                world.used.hand_overs += 1;
                self.tell(&mut world, node, relaymesh_core::replication::Event::HandOver { to: None, at: None });
            }
        }
        world.tidy(&before.nodes);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = vec![
            Property::always(TASK_1, |_, world: &World| {
                !world.seen.is_renamed && world.nodes.iter().all(|node| has_acknowledged(world, node))
            }),
            Property::always(PREFIX, |_, world: &World| {
                let members: Vec<&Node> = world.truth().in_sync.iter().map(|id| &*world.nodes[node_of(*id)]).collect();
                world.truth().is_void || world.used.recoveries > 0 || pairs(&members).all(|(a, b)| agree(a, b))
            }),
            Property::always(NAMES, |_, world: &World| {
                let nodes: Vec<&Node> = world.nodes.iter().map(|node| &**node).collect();
                pairs(&nodes).all(|(a, b)| are_named_alike(a, b))
            }),
            Property::always(ONE_OWNER, |_, world: &World| !world.seen.are_two_owners),
            Property::always(NO_OLDER, |_, world: &World| !world.seen.is_older_accepted),
            Property::always(LINEARIZABLE, |_, world: &World| !world.seen.is_not_linear),
            Property::always(STATE, |_, world: &World| !world.seen.are_two_states),
            Property::always(ONCE, |_, world: &World| world.nodes.iter().all(|node| has_once(world, node))),
            Property::sometimes(REACHED, |model: &Self, world: &World| {
                let used = &world.used;
                if model.recoveries > 0 {
                    let serves = |node: &Arc<Node>| matches!(node.replica.standing(), Standing::Serving(epoch) if epoch.cluster.0 > 1);
                    return used.recoveries == model.recoveries && world.nodes.iter().any(serves);
                }
                let is_last = used.grants >= model.grants
                    && used.appends >= model.appends
                    && used.resubmissions >= model.resubmissions;
                let entries = usize::from(1 + model.grants + model.appends);
                let is_trimmed = used.checkpoints == model.checkpoints;
                is_last && is_trimmed && world.seen.acknowledged.len() >= entries && used.crashes == model.crashes
            }),
        ];
        let is_looked_at = |promise: &Property<Self>| {
            self.only.is_none_or(|only| only == promise.name) && self.except != Some(promise.name)
        };
        all.into_iter().filter(is_looked_at).collect()
    }
}

fn pairs<'a>(nodes: &'a [&'a Node]) -> impl Iterator<Item = (&'a Node, &'a Node)> {
    (0..nodes.len()).flat_map(move |a| (a + 1..nodes.len()).map(move |b| (nodes[a], nodes[b])))
}

/// A serving owner has everything that was acknowledged at its epoch or before.
fn has_acknowledged(world: &World, node: &Node) -> bool {
    let Standing::Serving(epoch) = node.replica.standing() else { return true };
    let earlier = world.seen.acknowledged.values().filter(|(_, at)| *at <= epoch);
    let log = node.replica.log();
    // What the log begins with was looked at while it was there.
    earlier.into_iter().all(|(position, _)| log.has(*position) || position.sequence < log.base().sequence)
}

/// What is parked took effect once at most, and has where a keeper was told so.
fn has_once(world: &World, node: &Node) -> bool {
    let effects = node.replica.service().service().value(KEPT).unwrap_or(0);
    let is_serving = matches!(node.replica.standing(), Standing::Serving(_)) && world.used.recoveries == 0;
    // An owner that was replaced and does not know serves nobody any more.
    let is_owner = world.truth().owner == Some(process(node_of(node.replica.id()), node.boot));
    effects <= 1 && (effects == 1 || !world.seen.is_taken || !(is_serving && is_owner))
}

fn agree(a: &Node, b: &Node) -> bool {
    let marks = a.replica.mark().max(b.replica.mark());
    let (a, b) = (a.replica.log(), b.replica.log());
    let base = a.base().sequence.max(b.base().sequence);
    (base.0 + 1..=marks.0).map(LogSequence).all(|at| a.epoch_at(at) == b.epoch_at(at) && a.entry(at) == b.entry(at))
}

fn are_named_alike(a: &Node, b: &Node) -> bool {
    let (a, b) = (a.replica.log(), b.replica.log());
    let base = a.base().sequence.max(b.base().sequence);
    let common = a.last().sequence.min(b.last().sequence);
    let is_same = |at: LogSequence| a.epoch_at(at) == b.epoch_at(at) && a.entry(at) == b.entry(at);
    let same_name = |at: &LogSequence| a.epoch_at(*at) == b.epoch_at(*at);
    let last_alike = (base.0 + 1..=common.0).rev().map(LogSequence).find(same_name);
    last_alike.is_none_or(|last| (base.0 + 1..=last.0).map(LogSequence).all(is_same))
}

impl Shard {
    pub(crate) fn explore(self) -> usize {
        let checker = self.checker().threads(2);
        let checker = match self.depth {
            Some(depth) => checker.target_max_depth(depth),
            None => checker,
        };
        let checker = checker.spawn_bfs().join();
        for promise in ALL {
            if let Some(path) = checker.discovery(promise) {
                panic!("{promise} is broken by {:#?}", path.into_actions());
            }
        }
        let is_reached = checker.discovery(REACHED).is_some();
        assert!(is_reached || self.depth.is_some() || self.plant.is_some() || self.except.is_some(), "too narrow");
        checker.unique_state_count()
    }

    /// One long life, drawn step by step.
    pub(crate) fn live(self, draws: &[u16]) {
        let (mut world, mut taken) = (self.start(), vec![]);
        for draw in draws {
            let mut steps = vec![];
            self.actions(&world, &mut steps);
            let Some(step) = steps.get(usize::from(*draw) % steps.len().max(1)).cloned() else { return };
            taken.push(step.clone());
            world = self.next_state(&world, step).unwrap_or(world);
            for promise in self.properties().into_iter().filter(|promise| promise.name != REACHED) {
                assert!((promise.condition)(&self, &world), "{} is broken by {taken:#?}", promise.name);
            }
        }
    }

    pub(crate) fn keeps(self, states: usize) {
        let explored = self.explore();
        assert!(explored >= states, "{explored}");
    }

    pub(crate) fn breaks(self, promise: &'static str) {
        let checker =
            Self { only: Some(promise), ..self }.checker().target_max_depth(self.depth.unwrap_or(24)).threads(2);
        let found = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let states = found.unique_state_count();
        let path = found.discovery(promise).unwrap_or_else(|| panic!("{promise} was kept in {states} states"));
        let steps = path.into_actions().len();
        // Without the plant these bounds break nothing.
        Self { plant: None, depth: Some(steps.min(12)), ..self }.explore();
    }

    /// One promise rests on clocks; the others hold whatever they do.
    pub(crate) fn breaks_only(self, promise: &'static str) {
        let checker = Self { only: Some(promise), ..self }.checker().threads(2);
        let found = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        assert!(found.discovery(promise).is_some(), "{promise} was kept in {} states", found.unique_state_count());
        Self { except: Some(promise), ..self }.explore();
    }
}
