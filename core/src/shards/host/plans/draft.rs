//! A plan, from the wish to the sealed draft: begun by a command, so that its sites are agreed on; worked out in bounded steps;
//! told in parts; and sealed with the checksum of the table that it leads to.

use super::Host;
use crate::control::state::{
    self, Cause, Cordon, DOUBTFUL_MAX, Name, Outcome, Placement, PlacementCommand, Plan, ROWS_AT_ONCE, State,
};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::machine::Sink;
use crate::replication::Service;
use crate::shards::ShardId;
use crate::shards::host::machine::Action;
use crate::shards::host::view::{Refusal, Reply};
use crate::shards::placement::{Rule, Site, Strategy, Table, Work};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// What a plan is wanted for.
#[derive(Clone, Debug)]
pub(in crate::shards::host) struct Wanted {
    pub(super) strategy: Strategy,
    pub(super) seed: u64,
    pub(super) cause: Cause,
    /// Moves of owners that nothing forces, at most.
    pub(super) moves_max: u32,
    pub(super) doubtful: Vec<NodeId>,
    pub(super) strained: Vec<NodeId>,
    pub(super) parallel: Option<u16>,
}

impl Wanted {
    pub(super) fn of(
        rule: &Rule,
        cause: Cause,
        moves_max: u32,
        (doubtful, mut strained): (Vec<NodeId>, Vec<NodeId>),
    ) -> Self {
        strained.truncate(DOUBTFUL_MAX);
        Self { strategy: rule.strategy, seed: rule.seed, cause, moves_max, doubtful, strained, parallel: None }
    }
}

/// What a command of plans was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shards::host) enum Step {
    /// A draft of this node's: to begin it, to tell rows of it, or to seal it.
    Draft,
    /// What whoever looks after plans has found.
    Look,
    /// What an operator asked.
    Asked(RequestId),
}

/// A plan that this node works out.
#[derive(Clone, Debug)]
pub(in crate::shards::host) struct Drafting {
    wanted: Wanted,
    /// Which operator is to be told, and until when that makes sense.
    asker: Option<RequestId>,
    until: Time,
    /// The version of the table and the sites with which nothing is to be moved, if that was found.
    nothing: Option<(u64, Vec<Site>)>,
    pub(super) stage: Stage,
}

/// Rows of shards, each as places of sites, in parts that a command has room for.
type Parts = VecDeque<Vec<(u32, Vec<u16>)>>;

#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The cluster is asked to begin it.
    Asked,
    /// It is worked out.
    Works { plan: u64, work: Box<Work> },
    /// Its rows are told, some at a time, and then the checksum.
    Tells { plan: u64, rows: Parts, checksum: u64 },
}

impl Drafting {
    pub(super) const fn has_work(&self) -> bool {
        matches!(self.stage, Stage::Works { .. })
    }

    pub(super) const fn until(&self) -> Time {
        self.until
    }
}

impl<S: Service> Host<S> {
    /// Asks for a draft to begin.
    pub(super) fn begin_draft(
        &mut self,
        now: Time,
        state: &State,
        namespace: Name,
        wanted: Wanted,
        asker: Option<RequestId>,
    ) {
        let Some(on) = state.placement(&namespace).map(|placement| placement.table().version()) else { return };
        let command = PlacementCommand::Draft {
            namespace,
            on,
            strategy: wanted.strategy,
            seed: wanted.seed,
            cause: wanted.cause,
            doubtful: wanted.doubtful.clone(),
            strained: wanted.strained.clone(),
            parallel: wanted.parallel.unwrap_or(self.settings.plans.parallel),
        };
        self.commands.place(Some((namespace, Step::Draft)), command);
        let until = now.saturating_add(self.settings.ask_timeout);
        self.plans.drafts.insert(namespace, Drafting { wanted, asker, until, nothing: None, stage: Stage::Asked });
    }

    /// The state shows that a draft of this node has begun: it is worked out. One that took too long is given up.
    pub(super) fn begin_work(
        &mut self,
        now: Time,
        (state, life): (&State, Incarnation),
        namespace: Name,
        out: &mut impl Sink<Action>,
    ) {
        let Some(draft) = self.plans.drafts.get_mut(&namespace).filter(|draft| matches!(draft.stage, Stage::Asked))
        else {
            return;
        };
        let placement = state.placement(&namespace);
        let own = |plan: &&Plan| plan.by == life && plan.checksum.is_none() && plan.cause == draft.wanted.cause;
        let Some((placement, plan)) = placement.and_then(|placement| Some((placement, placement.plan().filter(own)?)))
        else {
            return;
        };
        if draft.wanted.cause == Cause::Back {
            let (rows, checksum) = way_back(placement, plan);
            if rows.is_empty() {
                draft.nothing = Some((plan.on, plan.sites.iter().map(|(_, site)| *site).collect()));
            }
            draft.stage = Stage::Tells { plan: plan.id, rows, checksum };
            return self.tell_rows(namespace);
        }
        let work = Work::new(plan.rule, plan.sites.clone(), Some(placement.table()), draft.wanted.moves_max);
        match work {
            Ok(work) => draft.stage = Stage::Works { plan: plan.id, work: Box::new(work) },
            Err(_) => self.end_draft(now, namespace, Reply::Refused(Refusal::Control(state::Refusal::BadPlan)), out),
        }
    }

    /// Works on all drafts, a bounded part of each.
    pub(super) fn work_on_drafts(&mut self, now: Time, state: &State, out: &mut impl Sink<Action>) {
        let late: Vec<Name> =
            self.plans.drafts.iter().filter(|(_, draft)| draft.until <= now).map(|(namespace, _)| *namespace).collect();
        for namespace in late {
            self.end_draft(now, namespace, Reply::Unknown, out);
        }
        let pairs = self.settings.plans.pairs;
        let mut told = Vec::new();
        for (namespace, draft) in &mut self.plans.drafts {
            let Stage::Works { plan, work } = &mut draft.stage else { continue };
            let Some(placement) = state.placement(namespace) else { continue };
            if !work.step(pairs) {
                continue;
            }
            let (plan, on, returns) = (*plan, placement.table().version(), draft.wanted.moves_max > 0);
            let next = core::mem::replace(&mut draft.stage, Stage::Asked);
            let Stage::Works { work, .. } = next else { continue };
            let done = work.done(on);
            let checksum = done.table.checksum();
            // Whoever drains keeps nothing that it came to own otherwise.
            let strayed = strayed(state, &done.table).filter(|(_, owner)| returns || drains(state, *owner));
            let strayed = strayed.map(|(shard, _)| shard);
            let rows = rows(placement.table(), &done.table, strayed);
            if rows.is_empty() && done.table.rule() == placement.table().rule() {
                draft.nothing = Some((on, done.table.sites().iter().map(|(_, site)| *site).collect()));
            }
            draft.stage = Stage::Tells { plan, rows, checksum };
            told.push(*namespace);
        }
        for namespace in told {
            self.tell_rows(namespace);
        }
    }

    /// Tells the next rows of a draft, or seals it.
    fn tell_rows(&mut self, namespace: Name) {
        let Some(draft) = self.plans.drafts.get_mut(&namespace) else { return };
        let Stage::Tells { plan, rows, checksum } = &mut draft.stage else { return };
        let (plan, checksum) = (*plan, *checksum);
        let command = match rows.pop_front() {
            Some(rows) => PlacementCommand::Rows { namespace, plan, rows },
            None => PlacementCommand::Seal { namespace, plan, checksum },
        };
        self.commands.place(Some((namespace, Step::Draft)), command);
    }

    /// What became of a command of plans.
    pub(in crate::shards::host) fn placed(
        &mut self,
        now: Time,
        (namespace, step): (Name, Step),
        command: &PlacementCommand,
        outcome: Option<Outcome>,
        out: &mut impl Sink<Action>,
    ) {
        match step {
            Step::Draft => self.drafted(now, namespace, (command, outcome), out),
            Step::Asked(id) => {
                let reply = match outcome {
                    Some(Outcome::Done(_)) => Reply::Agreed,
                    Some(Outcome::Refused(why)) => Reply::Refused(why.into()),
                    None => Reply::Unknown,
                };
                out.push(Action::Reply { id, reply, not_after: None });
            }
            Step::Look => {
                let is_hopeless = matches!(outcome, Some(Outcome::Refused(state::Refusal::Lost { .. })));
                if let PlacementCommand::Advance { plan, .. } | PlacementCommand::Approve { plan, .. } = command
                    && is_hopeless
                {
                    let command = PlacementCommand::Cancel { namespace, plan: *plan };
                    self.commands.place(Some((namespace, Step::Look)), command);
                }
                self.plans.look_at(namespace);
            }
        }
    }

    fn drafted(
        &mut self,
        now: Time,
        namespace: Name,
        (command, outcome): (&PlacementCommand, Option<Outcome>),
        out: &mut impl Sink<Action>,
    ) {
        let refused = match outcome {
            Some(Outcome::Refused(why)) => Some(Reply::Refused(why.into())),
            Some(Outcome::Done(_)) => None,
            None => Some(Reply::Unknown),
        };
        if let Some(reply) = refused {
            return self.end_draft(now, namespace, reply, out);
        }
        match command {
            PlacementCommand::Rows { .. } => self.tell_rows(namespace),
            PlacementCommand::Seal { plan, checksum, .. } => {
                // The copy of the state may not have heard of this plan's rows yet: what they are this node knows itself.
                let nothing = self.plans.drafts.get_mut(&namespace).and_then(|draft| draft.nothing.take());
                let is_empty = nothing.is_some();
                if is_empty {
                    // Whatever has changed: the same is not worked out again.
                    self.plans.known.entry(namespace).or_default().is_fine = nothing;
                    let command = PlacementCommand::Cancel { namespace, plan: *plan };
                    self.commands.place(Some((namespace, Step::Look)), command);
                }
                let reply = match is_empty {
                    true => Reply::NothingToMove,
                    false => Reply::Planned { plan: *plan, checksum: *checksum },
                };
                self.end_draft(now, namespace, reply, out);
            }
            _ => {}
        }
    }

    /// A draft is over here: sealed, or given up. What is left of it in the state whoever looks after plans takes away.
    pub(super) fn end_draft(&mut self, now: Time, namespace: Name, reply: Reply, out: &mut impl Sink<Action>) {
        let draft = self.plans.drafts.remove(&namespace);
        if let Some(id) = draft.and_then(|draft| draft.asker) {
            out.push(Action::Reply { id, reply, not_after: None });
        }
        self.plans.round_by(now.saturating_add(self.settings.plans.every));
    }
}

/// The rows in which two tables differ, and those of shards that others own than ought to, as places among the sites of the
/// later one, in parts that a command has room for.
fn rows(before: &Table, next: &Table, strayed: impl Iterator<Item = u32>) -> Parts {
    let shards: BTreeSet<u32> = before.diff(next).iter().map(|moved| moved.shard).chain(strayed).collect();
    let place = |node: NodeId| next.sites().of_node(node).map(|site| site.number());
    let row = |shard: u32| (shard, next.copies(shard).filter_map(place).collect());
    let rows: Vec<(u32, Vec<u16>)> = shards.into_iter().map(row).collect();
    rows.chunks(ROWS_AT_ONCE).map(<[_]>::to_vec).collect()
}

/// Shards that another owns than ought to, and who: since the owner failed, an operator had them handed over, or a plan was given
/// up while they moved.
pub(super) fn strayed(state: &State, table: &Table) -> impl Iterator<Item = (u32, NodeId)> {
    let namespace = table.rule().namespace;
    (0..table.rule().shards).filter_map(move |number| {
        let owner = state.shard(&ShardId { namespace, number }).and_then(|record| record.owner)?.node;
        (Some(owner) != table.owner(number)).then_some((number, owner))
    })
}

/// Whether a node is to give away what it has.
pub(super) fn drains(state: &State, node: NodeId) -> bool {
    state.cordon(node) == Cordon::Draining
}

/// What takes the moves of the last plan back, as far as there still are the nodes.
fn way_back(placement: &Placement, plan: &Plan) -> (Parts, u64) {
    let last = placement.past().next_back();
    let is_there = |row: &[NodeId]| row.iter().all(|node| plan.sites.takes(*node));
    let back = last.into_iter().flat_map(|past| &past.moved).filter(|moved| is_there(&moved.from));
    let back: BTreeMap<u32, &[NodeId]> = back.map(|moved| (moved.shard, &moved.from[..])).collect();
    let row = |shard| back.get(&shard).map_or_else(|| placement.table().copies(shard).collect(), |row| row.to_vec());
    match Table::of(plan.on, plan.rule, plan.sites.clone(), row) {
        Some(next) => (rows(placement.table(), &next, core::iter::empty()), next.checksum()),
        None => (VecDeque::new(), 0),
    }
}
