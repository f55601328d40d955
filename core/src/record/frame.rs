//! One record's bytes: header, body, checksum.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `RMJ1` |
//! | 4 | 1 | kind |
//! | 5 | 1 | version of the body |
//! | 6 | 2 | zero |
//! | 8 | 8 | sequence |
//! | 16 | 8 | boot incarnation |
//! | 24 | 8 | synced mark |
//! | 32 | 16 | checksum of the frame before |
//! | 48 | 4 | length of the body |
//! | 52 | n | body |
//! | 52 + n | 16 | checksum: BLAKE3 of all bytes before, first 128 bits |
//!
//! Integers are little-endian. The checksum covers the one before, so a frame vouches for the whole journal up to it;
//! it also holds alone, so that the mark of a frame beyond a hole can be trusted.
//!
//! An [anchor](super::anchor) is a frame, too, but no record: its sequence is its place, its synced mark is what it
//! covers, and the checksum it repeats is the one that the first record of the trimmed journal repeats.

use super::anchor::is_place;
use super::{Damage, Sequence};
use crate::codec::{self, BodyVersion, DecodeError, EncodeError};
use crate::identity::{BootIncarnation, ClusterId, NodeId, StoreIncarnation};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes before the body.
pub const HEADER_BYTES: usize = 52;
const CHECKSUM_BYTES: usize = 16;
/// Bytes a frame needs besides its body.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + CHECKSUM_BYTES;
const MAGIC: [u8; 4] = *b"RMJ1";

/// A frame's checksum, which the next frame repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chain(pub [u8; CHECKSUM_BYTES]);

/// What a record is to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first record of every journal: whose it is.
    Genesis,
    /// The node's process has started; no packet leaves before it is durable.
    Boot,
    /// A record of the application.
    Application,
    /// No record: says where a trimmed journal starts.
    Anchor,
}

/// The body of a journal's first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Genesis {
    /// The cluster the journal belongs to.
    pub cluster: ClusterId,
    /// The node that writes it.
    pub node: NodeId,
    /// The store's incarnation.
    pub store: StoreIncarnation,
}

impl Genesis {
    /// This genesis, if it names the cluster and node of `expected`. The store's incarnation is the journal's to say.
    ///
    /// # Errors
    /// [`Damage::Foreign`] when it names others.
    pub fn owned_by(self, expected: &Self) -> Result<Self, Damage> {
        let is_own = self.cluster == expected.cluster && self.node == expected.node;
        if is_own { Ok(self) } else { Err(Damage::Foreign) }
    }
}

/// A frame whose own checksum holds. Whether it continues the journal is for [`Recovery`](super::Recovery) to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its position.
    pub sequence: Sequence,
    /// What it is.
    pub kind: Kind,
    /// The boot that wrote it.
    pub boot: BootIncarnation,
    /// The highest sequence known synced when it was written.
    pub synced: Sequence,
    /// The checksum of the frame before it.
    pub previous: Chain,
    /// The version of its body.
    pub version: BodyVersion,
    /// Its body.
    pub body: &'a [u8],
    /// Its own checksum.
    pub chain: Chain,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than a frame needs, or another number than its header says.
    #[error("{length} bytes, where the frame needs {expected}")]
    Length {
        /// Bytes offered.
        length: usize,
        /// Bytes the frame needs.
        expected: usize,
    },
    /// Not a frame of this format, or an unknown kind.
    #[error("not a journal frame of a known format")]
    Format,
    /// The bytes are not those that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// A mark at or beyond the frame itself: no writer of ours does that.
    #[error("the synced mark {synced} is not below the frame's own sequence {sequence}")]
    Mark {
        /// The mark.
        synced: Sequence,
        /// The frame's position.
        sequence: Sequence,
    },
}

/// What a writer fills in besides the body.
pub(super) struct Header {
    pub(super) sequence: Sequence,
    pub(super) kind: Kind,
    pub(super) boot: BootIncarnation,
    pub(super) synced: Sequence,
    pub(super) previous: Chain,
    pub(super) version: BodyVersion,
}

/// Appends one frame to `out` and returns its checksum. `write_body` appends the body; on its error `out` is restored.
pub(super) fn write_frame(
    header: &Header,
    out: &mut Vec<u8>,
    write_body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<Chain, EncodeError> {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[kind_byte(header.kind), header.version.0, 0, 0]);
    out.extend_from_slice(&header.sequence.0.to_le_bytes());
    out.extend_from_slice(&header.boot.0.to_le_bytes());
    out.extend_from_slice(&header.synced.0.to_le_bytes());
    out.extend_from_slice(&header.previous.0);
    out.extend_from_slice(&[0; 4]);
    if let Err(error) = write_body(out) {
        out.truncate(start);
        return Err(error);
    }
    let length = (out.len() - start - HEADER_BYTES) as u32;
    out[start + 48..start + HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let chain = checksum(&out[start..]);
    out.extend_from_slice(&chain.0);
    Ok(chain)
}

/// Reads one frame that fills `bytes`.
///
/// # Errors
/// [`FrameError`] when they are anything else; never panics.
pub fn read_frame(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    let length = bytes.len();
    if length < OVERHEAD_BYTES {
        return Err(FrameError::Length { length, expected: OVERHEAD_BYTES });
    }
    if bytes[..4] != MAGIC || bytes[6..8] != [0, 0] {
        return Err(FrameError::Format);
    }
    let expected = (u32::from_le_bytes(field(bytes, 48)) as usize).saturating_add(OVERHEAD_BYTES);
    if length != expected {
        return Err(FrameError::Length { length, expected });
    }
    let (covered, stored) = bytes.split_at(length - CHECKSUM_BYTES);
    let chain = checksum(covered);
    if chain.0 != stored {
        return Err(FrameError::Checksum);
    }
    let frame = Frame {
        sequence: Sequence(u64::from_le_bytes(field(bytes, 8))),
        kind: kind_of(bytes[4]).ok_or(FrameError::Format)?,
        boot: BootIncarnation(u64::from_le_bytes(field(bytes, 16))),
        synced: Sequence(u64::from_le_bytes(field(bytes, 24))),
        previous: Chain(field(bytes, 32)),
        version: BodyVersion(bytes[5]),
        body: &covered[HEADER_BYTES..],
        chain,
    };
    if frame.kind == Kind::Anchor {
        return if is_place(frame.sequence) { Ok(frame) } else { Err(FrameError::Format) };
    }
    if frame.synced >= frame.sequence {
        return Err(FrameError::Mark { synced: frame.synced, sequence: frame.sequence });
    }
    Ok(frame)
}

/// The body of a genesis frame.
///
/// # Errors
/// [`DecodeError`] when the body is anything else.
pub fn read_genesis(frame: &Frame<'_>) -> Result<Genesis, DecodeError> {
    codec::decode_value(frame.body)
}

fn checksum(bytes: &[u8]) -> Chain {
    Chain(field(blake3::hash(bytes).as_bytes(), 0))
}

/// `N` bytes from `at` on; the caller has checked the length.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

const fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Genesis => 1,
        Kind::Boot => 2,
        Kind::Application => 3,
        Kind::Anchor => 4,
    }
}

const fn kind_of(byte: u8) -> Option<Kind> {
    match byte {
        1 => Some(Kind::Genesis),
        2 => Some(Kind::Boot),
        3 => Some(Kind::Application),
        4 => Some(Kind::Anchor),
        _ => None,
    }
}
