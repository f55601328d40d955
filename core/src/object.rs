//! Objects: what a node's store keeps beside its journal, bytes under an id, put, read and removed one by one.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes of one object, at most.
pub const OBJECT_BYTES_MAX: usize = 64 << 10;

/// Names an object of a node's store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// What it is a piece of.
    pub address: [u8; 32],
    /// Which piece.
    pub piece: u32,
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.address[..4] {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "/{}", self.piece)
    }
}
