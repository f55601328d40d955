//! What operators ask about where shards ought to be, and what they are told.

use crate::control::state::{Cause, Placement};
use crate::identity::NodeId;
use crate::shards::placement::{Rule, Site, Strategy};
use crate::time::WallTime;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Rows of a table that one answer has, at most.
pub const ROWS_SHOWN_MAX: usize = 1_024;
/// Moves that one answer names, at most.
pub const MOVES_SHOWN_MAX: usize = 256;

/// What is asked about where the shards of a namespace ought to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanAsked {
    /// How does it stand?
    Show {
        /// Rows behind this shard; from the first one on without.
        after: Option<u32>,
    },
    /// What does a plan move, or has it moved?
    Moves {
        /// Which plan.
        plan: u64,
        /// Behind this shard; from the first one on without.
        after: Option<u32>,
    },
    /// Make a plan. Nothing moves before it is approved.
    Draft {
        /// In which order sites suit a shard from then on; as now without.
        strategy: Option<Strategy>,
        /// Of all draws; as now without.
        seed: Option<u64>,
        /// Owners that move although nothing forces it, at most; a tenth of all without.
        moves_max: Option<u32>,
        /// Shards that move at once; as the node has it without.
        parallel: Option<u16>,
        /// Of what takes the last plan back, as far as its nodes are there.
        is_back: bool,
    },
    /// Carry a plan out.
    Approve {
        /// Which.
        plan: u64,
        /// The version of the table that it was looked at with.
        version: u64,
        /// Of the table that it leads to.
        checksum: u64,
        /// When owners are to change, all at once; as soon as each can, so many at a time, without.
        at: Option<WallTime>,
    },
    /// Give a plan up. What has moved stays.
    Cancel {
        /// Which.
        plan: u64,
    },
    /// Let shards take nothing from clients any more, or take again what they ask.
    Pause {
        /// Which; at most [`PAUSED_AT_ONCE`](crate::control::state::PAUSED_AT_ONCE).
        shards: Vec<u32>,
        /// Whether they are to take nothing.
        is_paused: bool,
    },
}

/// Where the shards of a namespace ought to be, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementView {
    /// The control entry that changed the table last.
    pub version: u64,
    /// Of the table, and of all that it follows from.
    pub checksum: u64,
    /// What it follows from.
    pub rule: Rule,
    /// How far whoever looks after it has come.
    pub stage: PlanStage,
    /// The sites of the table. Only with the first rows.
    pub sites: Vec<Site>,
    /// The sites that the next table would have. Only with the first rows.
    pub open_sites: Vec<Site>,
    /// Those of them that are given nothing, since they are not held to be well for long enough.
    pub doubtful: Vec<NodeId>,
    /// Those of them that count as half of what they say, since they have had more to do than they can.
    pub strained: Vec<NodeId>,
    /// How many shards are elsewhere than the table says.
    pub elsewhere: u32,
    /// Shards that take nothing from clients. Only with the first rows.
    pub paused: Vec<u32>,
    /// The shard of the first row.
    pub first: u32,
    /// Of each shard the places of its sites among all, the owner first.
    pub rows: Vec<Vec<u16>>,
    /// The plan that there is.
    pub plan: Option<PlanView>,
    /// What plans have done, the last one last.
    pub past: Vec<PastView>,
}

/// How far placement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanStage {
    /// All is where it ought to be.
    Steady,
    /// A plan is worked out, or waits for approval.
    Investigating,
    /// Shards leave a node that drains.
    Draining,
    /// Shards move.
    Rebalancing,
    /// They have; nothing is moved for a while that nothing forces.
    Completed,
}

impl PlanStage {
    pub(super) fn of(placement: &Placement, cools: bool) -> Self {
        match placement.plan() {
            Some(plan) if plan.run.is_some() && plan.cause == Cause::Drain => Self::Draining,
            Some(plan) if plan.run.is_some() => Self::Rebalancing,
            Some(_) => Self::Investigating,
            None if cools => Self::Completed,
            None => Self::Steady,
        }
    }

    /// In a word, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Investigating => "investigating",
            Self::Draining => "draining",
            Self::Rebalancing => "rebalancing",
            Self::Completed => "completed",
        }
    }
}

/// A plan, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Its name.
    pub id: u64,
    /// Who works it out.
    pub by: NodeId,
    /// Why.
    pub cause: Cause,
    /// The version of the table that it is made for.
    pub on: u64,
    /// In which order sites suit a shard.
    pub strategy: Strategy,
    /// Shards that move at once.
    pub parallel: u16,
    /// Of the table that it leads to; nothing while it is worked out.
    pub checksum: Option<u64>,
    /// Shards that it moves.
    pub moves: u64,
    /// Those that have.
    pub moved: u64,
    /// Those that do now.
    pub moving: Vec<u32>,
    /// Those that have moved and are elsewhere than they ought to be all the same: their owner has failed since.
    pub strayed: Vec<u32>,
    /// Whether it is carried out.
    pub is_approved: bool,
    /// When owners change, all at once, if they do.
    pub at: Option<WallTime>,
}

/// What a plan has done, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastView {
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
    /// What moved, as far as that is remembered.
    pub moves: u64,
}
