//! How many steps may run at once, and how many may begin in a span of time: of one agent, or of those that share a key.
//!
//! A limit lives in one shard, that of its name (rule T10).

use super::workflow::Name;
use crate::time::Duration;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Steps that may begin in the span of one rate, at most.
pub const RATE_COUNT_MAX: u32 = 1_000_000;
/// The longest span of a rate.
pub const RATE_SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Names a limit. A step that needs two of them gets them in this order, so that two steps never wait for each other; the
/// key, which fewer steps share, comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LimitName {
    /// Of steps that share a key.
    Key(Name),
    /// Of an agent.
    Agent(Name),
}

impl LimitName {
    /// Which of so many shards it lives in.
    pub fn shard(&self, shards: u32) -> u32 {
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 shard of a limit");
        let (kind, name) = match self {
            Self::Key(name) => (0, name),
            Self::Agent(name) => (1, name),
        };
        hasher.update(&[kind]).update(name.as_str().as_bytes());
        let mut place = [0; 8];
        place.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        (u64::from_le_bytes(place) % u64::from(shards.max(1))) as u32
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => write!(f, "key {name}"),
            Self::Agent(name) => write!(f, "agent {name}"),
        }
    }
}

/// What a limit allows. Nothing where it says nothing is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bounds {
    /// Attempts that may run at once.
    pub at_once: Option<u32>,
    /// Attempts that may begin in any span of time.
    pub rate: Option<Rate>,
}

impl Bounds {
    /// Of a key of which nothing else was said.
    pub const ONE: Self = Self { at_once: Some(1), rate: None };
    /// Nothing is limited.
    pub const NONE: Self = Self { at_once: None, rate: None };

    /// Whether it can be: something is allowed, and not more than can be counted.
    pub fn is_sound(&self) -> bool {
        let is_rate_sound = |rate: &Rate| {
            (1..=RATE_COUNT_MAX).contains(&rate.count) && rate.per > Duration::ZERO && rate.per <= RATE_SPAN_MAX
        };
        self.at_once != Some(0) && self.rate.as_ref().is_none_or(is_rate_sound)
    }
}

/// So many, in any span of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long, by the wall clock of the owner of the limit's shard.
    pub per: Duration,
}

/// What was said of a limit last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Declared {
    /// Rises each time something is said; shards hear of it one after the other.
    pub version: u64,
    /// What; nothing for what holds where nothing is said: one at once for a key, and no limit for an agent.
    pub bounds: Option<Bounds>,
}

impl Declared {
    /// What a limit of that name allows.
    pub fn bounds(&self, limit: &LimitName) -> Bounds {
        match (self.bounds, limit) {
            (Some(bounds), _) => bounds,
            (None, LimitName::Key(_)) => Bounds::ONE,
            (None, LimitName::Agent(_)) => Bounds::NONE,
        }
    }
}
