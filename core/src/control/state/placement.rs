//! Where shards ought to be: the agreed table of each namespace, the plan by which it is to become another, and what plans have
//! done. Data; who may change it, and when, is in [`plans`](super::plans).

use super::limits::{PAST_MAX, PAST_MOVES_MAX};
use super::placement_command::DOUBTFUL_MAX;
use super::table::State;
use super::{Cordon, Name};
use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use crate::shards::ShardId;
use crate::shards::placement::{Moved, Rule, Site, Sites, Standing, Strategy, Table, WEIGHT_MAX};
use crate::time::WallTime;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Weight of a node that has said nothing.
const WEIGHT: u16 = 100;
/// Its zone.
const ZONE: &str = "default";

/// What a node says of itself as a place for shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seat {
    /// What it can carry against others: 1 to [`WEIGHT_MAX`].
    pub weight: u16,
    /// What fails together with it.
    pub zone: Name,
}

impl Seat {
    /// Whether there can be such a one.
    pub fn is_possible(&self) -> bool {
        (1..=WEIGHT_MAX).contains(&self.weight)
    }
}

impl Default for Seat {
    fn default() -> Self {
        Self { weight: WEIGHT, zone: Name::new(ZONE).expect("a name that is written here") }
    }
}

/// Why there is a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// A node drains.
    Drain,
    /// A node is gone, and has been for long.
    Gone,
    /// Load is spread unevenly: a node has joined, or weighs something else.
    Balance,
    /// An operator wants it.
    Operator,
    /// An operator wants back what was before another plan.
    Back,
}

impl Cause {
    /// Whether something has to move because of it.
    pub const fn is_forced(self) -> bool {
        matches!(self, Self::Drain | Self::Gone)
    }

    /// In a word, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Gone => "gone",
            Self::Balance => "balance",
            Self::Operator => "operator",
            Self::Back => "rollback",
        }
    }
}

/// What a strained node counts as.
fn half(weight: u16) -> u16 {
    (weight / 2).max(1)
}

/// The table of a namespace, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Placement {
    pub(super) table: Table,
    pub(super) plan: Option<Plan>,
    pub(super) past: VecDeque<Past>,
    /// Shards that take nothing from clients.
    pub(super) paused: BTreeSet<u32>,
    /// Nodes that count as half of what they say in the table.
    pub(super) strained: Vec<NodeId>,
}

/// How a table is to become another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// The entry that began it: its name.
    pub id: u64,
    /// Who works it out.
    pub by: Incarnation,
    /// Why.
    pub cause: Cause,
    /// The version of the table that it is made for.
    pub on: u64,
    /// What the new table follows from.
    pub rule: Rule,
    /// What it follows from, too: as it was when the plan began.
    pub sites: Sites,
    /// Those of them that count as half of what they say.
    pub strained: Vec<NodeId>,
    /// Shards that move at once, at most.
    pub parallel: u16,
    /// Rows that are to be others, so far.
    pub moves: BTreeMap<u32, Vec<NodeId>>,
    /// Of the table that it leads to; nothing while it is being worked out.
    pub checksum: Option<u64>,
    /// How far it is carried out; nothing while it is not approved.
    pub run: Option<Run>,
}

/// A plan that is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// When owners change, all of them at once, by the clocks of the nodes whose sessions are the oldest; as soon as each
    /// can without.
    pub at: Option<WallTime>,
    /// The last shard whose row was changed.
    pub last: Option<u32>,
    /// Those that move now, and where each was.
    pub wave: BTreeMap<u32, Vec<NodeId>>,
    /// Those that have moved before, and where each was.
    pub done: BTreeMap<u32, Vec<NodeId>>,
}

/// What a plan has done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Past {
    /// Its name.
    pub plan: u64,
    /// Why it was there.
    pub cause: Cause,
    /// The version of the table before it.
    pub from: u64,
    /// The one after it.
    pub to: u64,
    /// Of the table after it.
    pub checksum: u64,
    /// Whether it was carried out to its end.
    pub is_whole: bool,
    /// What moved; nothing of one that is too long ago.
    pub moved: Vec<Moved>,
}

impl Placement {
    pub(super) fn new(table: Table) -> Self {
        Self { table, plan: None, past: VecDeque::new(), paused: BTreeSet::new(), strained: Vec::new() }
    }

    /// Nodes that count as half of what they say in the table, in order.
    pub fn strained(&self) -> &[NodeId] {
        &self.strained
    }

    /// Shards that take nothing from clients.
    pub fn paused(&self) -> &BTreeSet<u32> {
        &self.paused
    }

    /// Where shards ought to be now: of those that are to move and were not begun with, where they were.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The plan that there is.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// What plans have done, the last one last.
    pub fn past(&self) -> impl DoubleEndedIterator<Item = &Past> {
        self.past.iter()
    }

    /// Whether a shard is to move now: its owner is to bring that about. O(log n).
    pub fn is_moving(&self, shard: u32) -> bool {
        self.moving(shard).is_some()
    }

    /// The plan by which a shard is to move now, as far as it has come. O(log n).
    pub fn moving(&self, shard: u32) -> Option<&Run> {
        self.plan.as_ref()?.run.as_ref().filter(|run| run.wave.contains_key(&shard))
    }

    pub(super) fn remember(&mut self, past: Past) {
        self.past.push_back(past);
        while self.past.len() > PAST_MAX {
            self.past.pop_front();
        }
        let mut left = PAST_MOVES_MAX;
        for past in self.past.iter_mut().rev() {
            match left.checked_sub(past.moved.len()) {
                Some(rest) => left = rest,
                None => (past.moved, left) = (Vec::new(), 0),
            }
        }
    }

    /// Whether what was read is one that there can be.
    pub(super) fn is_possible(&self) -> bool {
        let is_planned = |plan: &Plan| {
            let is_row = |(shard, row): (&u32, &Vec<NodeId>)| {
                *shard < plan.rule.shards && row.len() <= usize::from(plan.rule.copies)
            };
            let run = plan.run.as_ref();
            plan.rule.check().is_ok()
                && plan.rule.shards == self.table.rule().shards
                && plan.rule.copies == self.table.rule().copies
                && plan.strained.len() <= DOUBTFUL_MAX
                && plan.moves.iter().all(is_row)
                && run.is_none_or(|run| run.wave.iter().chain(&run.done).all(is_row))
        };
        let moved: usize = self.past.iter().map(|past| past.moved.len()).sum();
        self.plan.as_ref().is_none_or(is_planned)
            && self.past.len() <= PAST_MAX
            && moved <= PAST_MOVES_MAX
            && self.strained.len() <= DOUBTFUL_MAX
            && self.paused.last().is_none_or(|last| *last < self.table.rule().shards)
    }
}

impl State {
    /// The table of a namespace, and what is to become of it.
    pub fn placement(&self, namespace: &Name) -> Option<&Placement> {
        self.placements.get(namespace)
    }

    /// Of all namespaces.
    pub fn placements(&self) -> impl Iterator<Item = (&Name, &Placement)> {
        self.placements.iter()
    }

    /// Whether a shard takes nothing from clients. O(log n).
    pub fn is_paused(&self, shard: &ShardId) -> bool {
        let placement = self.placements.get(&shard.namespace);
        placement.is_some_and(|placement| placement.paused.contains(&shard.number))
    }

    /// What a node is as a place for shards.
    pub fn seat(&self, node: NodeId) -> Seat {
        self.seats.get(&node).copied().unwrap_or_default()
    }

    /// The nodes that shards can be placed on: those with a session. Those that are `doubtful` are given nothing new, and those
    /// that are `strained` weigh half of what they say. O(n log n).
    pub fn sites(&self, doubtful: &[NodeId], strained: &[NodeId]) -> Vec<Site> {
        let mut nodes: Vec<NodeId> = self.owners.keys().map(|owner| owner.node).collect();
        nodes.dedup();
        let site = |node: NodeId| {
            let site = self.site(node, doubtful.binary_search(&node).is_ok());
            let is_strained = strained.binary_search(&node).is_ok();
            Site { weight: if is_strained { half(site.weight) } else { site.weight }, ..site }
        };
        nodes.into_iter().map(site).collect()
    }

    /// Whether a process of that node has a session. O(log n).
    pub fn has_node(&self, node: NodeId) -> bool {
        let first = Incarnation { node, store: StoreIncarnation(0), boot: BootIncarnation(0) };
        self.owners.range(first..).next().is_some_and(|(owner, _)| owner.node == node)
    }

    pub(super) fn site(&self, node: NodeId, is_doubtful: bool) -> Site {
        let Seat { weight, zone } = self.seat(node);
        let standing = match self.cordon(node) {
            Cordon::Draining => Standing::Draining,
            Cordon::Cordoned => Standing::Cordoned,
            Cordon::None if is_doubtful => Standing::Cordoned,
            Cordon::None => Standing::Open,
        };
        Site { node, weight, zone, standing }
    }

    /// Whether a shard is where the table says: owned by the first, and with copies where it says and nowhere else. O(copies).
    pub fn is_settled(&self, namespace: Name, shard: u32) -> bool {
        let record = self.shards.get(&ShardId { namespace, number: shard });
        let Some((record, placement)) = record.zip(self.placements.get(&namespace)) else { return false };
        let owner = placement.table.owner(shard);
        let mut row: Vec<NodeId> = placement.table.copies(shard).collect();
        row.sort_unstable();
        let is_owned = record.owner.map(|owner| owner.node) == owner && owner.is_some();
        !record.is_void && is_owned && record.in_sync.iter().map(|member| member.node).eq(row)
    }

    /// How a namespace is to be placed, unless a plan has said otherwise.
    pub(super) fn first_rule(&self, namespace: Name, (shards, copies): (u32, u8)) -> Rule {
        Rule { namespace, shards, copies, strategy: Strategy::default(), seed: 0 }
    }
}
