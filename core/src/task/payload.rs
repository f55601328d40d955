//! Inputs and outputs: bytes that the mesh does not look into, or the address of a blob where they are many.

use crate::blob::{BLOB_BYTES_MAX, BlobAddress};
use alloc::sync::Arc;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes that stand in the log themselves, at most; what is larger is a blob.
pub const INLINE_BYTES_MAX: usize = 16 << 10;
/// Bytes of an input or an output, at most.
pub const PAYLOAD_BYTES_MAX: u64 = 10_000_000;
const _: () = assert!(PAYLOAD_BYTES_MAX <= BLOB_BYTES_MAX);

/// An input or an output.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// The bytes, at most [`INLINE_BYTES_MAX`].
    Inline(#[serde(with = "crate::bytes")] Arc<[u8]>),
    /// A blob of the same shard.
    Blob {
        /// Where it is.
        address: BlobAddress,
        /// How long it is.
        bytes: u64,
    },
}

impl Payload {
    /// Short bytes.
    pub fn inline(bytes: &[u8]) -> Self {
        Self::Inline(bytes.into())
    }

    /// How long it is.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob { bytes, .. } => *bytes,
        }
    }

    /// It has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The blob that it is in.
    pub fn blob(&self) -> Option<BlobAddress> {
        match self {
            Self::Inline(_) => None,
            Self::Blob { address, .. } => Some(*address),
        }
    }

    /// It may be in the log.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Inline(bytes) => bytes.len() <= INLINE_BYTES_MAX,
            Self::Blob { bytes, .. } => (1..=PAYLOAD_BYTES_MAX).contains(bytes),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "<{} bytes>", bytes.len()),
            Self::Blob { address, bytes } => write!(f, "<{bytes} bytes at {address:?}>"),
        }
    }
}
