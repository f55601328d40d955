//! Journal records: how they are framed, and what survives a crash.
//!
//! A journal is a sequence of slots, numbered from 1; slot 0 is there for anchors. A driver stores, syncs, loads and erases slots; what the bytes
//! mean is decided here. Each [frame] carries its own sequence, the boot that wrote it, the highest sequence
//! known synced at that time (the *synced mark*), the checksum of the frame before it, and its own checksum over all
//! of that. [Recovery](recovery) keeps the longest valid prefix and tells a crash from damage by the surviving marks.
//!
//! Its old records go once the application has written again what it needs of them; an [anchor] then says where the
//! journal starts.
//!
//! Invariants: a recovered journal is a prefix of what was written, less what an anchor that was durable gave up; what a
//! recovery erased never comes back; a prefix that ends below a surviving mark is damage and is left untouched.
//!
//! What is absent: when to sync (the driver), what waits for it ([`gate`](crate::gate)), when to trim
//! ([`node`](crate::node)), and what is still needed (the application).

pub mod anchor;
mod frame;
mod recovery;
mod writer;

#[cfg(test)]
mod tests;

pub use anchor::{Anchor, Anchored};
pub use frame::{Chain, Frame, FrameError, Genesis, HEADER_BYTES, Kind, OVERHEAD_BYTES, read_frame, read_genesis};
pub use recovery::{Damage, Recovered, Recovery};
pub use writer::Writer;

use core::fmt;
use serde::{Deserialize, Serialize};

/// The position of a record in its journal, from 1. Zero is "none yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The first position.
    pub const FIRST: Self = Self(1);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The position before this one; there is none before the first.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
