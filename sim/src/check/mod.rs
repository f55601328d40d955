//! Checkers: what must hold, judged from outside at true time.
//!
//! [`engine`] watches every node of any application: what left it, and what its disk truly holds. Checkers of what an
//! application promises stand with that application. A checker never asks a node how it feels.

pub mod counter;
pub mod engine;
mod expected;
pub mod linearizable;
mod objects;
mod trimming;

pub use expected::Expected;

use crate::time::TrueTime;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::machine::CauseId;

/// Nothing visible is undone by a crash: it left after the writes it may rest on were durable.
pub const DUR_1: &str = "DUR-1";
/// Nothing leaves after its `not_after`.
pub const DUR_2: &str = "DUR-2";
/// What waited at the gate leaves in order.
pub const ORD_1: &str = "ORD-1";
/// A process keeps its name, and a later one on the same store has a later boot.
pub const INC_1: &str = "INC-1";
/// A node that speaks stands on a durable journal that is whole and has nothing beyond its end.
pub const REC_1: &str = "REC-1";
/// Nothing is emptied before an anchor that says so is durable, and what an anchor covers is.
pub const TRIM_1: &str = "TRIM-1";
/// Only what a member sealed for this node with a key it holds is accepted, unchanged, and all of that is.
pub const WIRE_1: &str = "WIRE-1";
/// An object that was kept is there, whole, whatever crashes, until it is discarded or replaced.
pub const OBJ_1: &str = "OBJ-1";
/// Each decision draws once, from its own stream.
pub const DRAW_1: &str = "DRAW-1";
/// Everything asked is answered within the bound after healing.
pub const LIVE_1: &str = "LIVE-1";
/// No more stores are given up than the scenario allows.
pub const EXCUSE_1: &str = "EXCUSE-1";
/// No assertion of ours fails.
pub const ASSERT: &str = "ASSERT";

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// Whether something that must come about did not, rather than that something bad happened.
    pub of_liveness: bool,
    /// When it was seen.
    pub at: TrueTime,
    /// Whose it is.
    pub nodes: Vec<u32>,
    /// What was seen and what was expected.
    pub detail: String,
    /// The event at which it was seen.
    pub event: CauseId,
}

/// Where checkers put what they find.
#[derive(Debug, Default)]
pub struct Findings {
    /// What was found.
    pub violations: Vec<Violation>,
    pub(crate) now: TrueTime,
    pub(crate) event: CauseId,
}

impl Findings {
    /// Something bad has happened.
    #[cold]
    pub fn fail(&mut self, invariant: &'static str, nodes: &[u32], detail: String) {
        self.add(invariant, false, nodes, detail);
    }

    /// Something good has not happened in time.
    #[cold]
    pub fn miss(&mut self, invariant: &'static str, nodes: &[u32], detail: String) {
        self.add(invariant, true, nodes, detail);
    }

    fn add(&mut self, invariant: &'static str, of_liveness: bool, nodes: &[u32], detail: String) {
        let (at, event, nodes) = (self.now, self.event, nodes.into());
        self.violations.push(Violation { invariant, of_liveness, at, nodes, detail, event });
    }
}

#[cfg(test)]
mod tests;
