//! The name of a submission: a hash of what its client calls it, so that two sides of a split network name it alike.

use crate::control::state::Name;
use crate::time::WallTime;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes of an idempotency key, at most. One is needed at least.
pub const KEY_BYTES_MAX: usize = 128;

/// A submission with an idempotency key, by namespace and key (rule K2). Whoever finds two keys of one namespace with the
/// same id has two submissions of its own taken for one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubmissionId([u8; 16]);

impl SubmissionId {
    /// Bytes of one.
    pub const BYTES: usize = 16;
    /// The first of them, which say in which shard it is.
    pub const PLACE_BYTES: usize = 8;

    /// That of a key in a namespace.
    pub fn of(namespace: &Name, key: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 submission of a namespace and a key");
        hasher.update(&(namespace.as_str().len() as u64).to_le_bytes());
        hasher.update(namespace.as_str().as_bytes()).update(key);
        let mut id = [0; Self::BYTES];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..Self::BYTES]);
        Self(id)
    }

    /// The name of what belongs to that instant, of those that this one names.
    pub fn of_time(&self, time: WallTime) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 submission of a time");
        hasher.update(&self.0).update(&time.as_unix_nanos().to_le_bytes());
        let mut id = [0; Self::BYTES];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..Self::BYTES]);
        Self(id)
    }

    /// This one, but in the shard of the other, whatever the number of shards.
    #[must_use]
    pub fn beside(mut self, other: &Self) -> Self {
        self.0[..Self::PLACE_BYTES].copy_from_slice(&other.0[..Self::PLACE_BYTES]);
        self
    }

    /// One with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
