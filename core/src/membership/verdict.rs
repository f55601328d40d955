//! What is held of a member, and which of two opinions prevails.
//!
//! Opinions form a join-semilattice: the higher incarnation prevails, and at the same incarnation the graver status
//! (SWIM §4.2). Only a node raises its own incarnation, so only it can refute. Whatever order rumors arrive in, and
//! however often, everyone who has heard the same ones holds the same.

use crate::identity::NodeId;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Counts what a node has said of itself. Only it raises the number; the number is durable before it is used, and never
/// used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncarnationNumber(pub u64);

/// Numbers that a node may have used between two words of it: 16,384 restarts. What claims more is a lie, and ignored, so
/// that one lie does not use up a node's numbers.
const LEAP_MAX: u64 = 1 << 20;

impl IncarnationNumber {
    /// No node gets here by raising its own; a higher number is refused as malformed, so that raising never overflows.
    pub const MAX: Self = Self(1 << 32);

    /// Whether `said` is further ahead of this number than a node gets between two words of it that others hear.
    pub const fn is_leap(self, said: Self) -> bool {
        said.0 > self.0 + LEAP_MAX
    }

    /// The next one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for IncarnationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a member is held to be, from the mildest to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It answers.
    Alive,
    /// Somebody got no answer from it; it may refute that.
    Suspect,
    /// It has not refuted a suspicion in time.
    Dead,
    /// It said good-bye.
    Left,
}

impl Status {
    /// Its name for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }

    /// Whether it is one of the mesh: a suspect is, until it is dead.
    pub const fn is_member(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

impl From<Status> for crate::observe::Value {
    fn from(status: Status) -> Self {
        Self::Word(status.name())
    }
}

/// An opinion of a member. Ordered: the greater one prevails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Verdict {
    /// Of the member.
    pub incarnation: IncarnationNumber,
    /// What it is held to be.
    pub status: Status,
}

impl Verdict {
    /// Alive, by its own word.
    pub const fn alive(incarnation: IncarnationNumber) -> Self {
        Self { incarnation, status: Status::Alive }
    }
}

/// A verdict with who stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Opinion {
    /// Of whom.
    pub node: NodeId,
    /// What is held.
    pub verdict: Verdict,
    /// Who says so of a suspect or a dead member; a member itself for the other two.
    pub accuser: NodeId,
}
