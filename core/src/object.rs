//! Objects: what a node keeps beside its journal, one by one.
//!
//! A journal is read wholly at each start and written again by checkpoints; what is large and seldom looked at does not
//! belong there. An object is bytes under an id, kept, fetched and discarded alone. On the disk it stands in a frame:
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `RMO1` |
//! | 4 | 32 | address |
//! | 36 | 4 | piece |
//! | 40 | 4 | length of the payload |
//! | 44 | n | payload |
//! | 44 + n | 16 | checksum: BLAKE3 of all bytes before, first 128 bits |
//!
//! Integers are little-endian. The id is part of what the checksum covers, so that bytes which stand under another id
//! are told from a good object, like torn and rotten ones.
//!
//! Invariant: a frame is a function of id and payload, and of nothing else. Who keeps the same payload once more writes
//! the same bytes, and a crash that tears such a write harms nothing (`docs/adr/0005-objects.md`).
//!
//! What is absent: what an address means and which objects belong together (the application), when one is durable and
//! how often one is read ([`node`](crate::node)), and where the bytes stand (drivers).

use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Payload bytes of one object.
pub const OBJECT_BYTES_MAX: usize = 64 << 10;
/// Bytes that a frame needs besides the payload.
pub const OBJECT_OVERHEAD_BYTES: usize = HEADER_BYTES + CHECKSUM_BYTES;

const HEADER_BYTES: usize = 44;
const CHECKSUM_BYTES: usize = 16;
const MAGIC: [u8; 4] = *b"RMO1";

/// Names one object of a node. Ordered by address, then piece.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// What the object is a piece of.
    pub address: [u8; 32],
    /// Which piece, from 0.
    pub piece: u32,
}

impl ObjectId {
    /// The first bytes of the address as a number, for observations.
    pub const fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.address;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}…{}", self.prefix() >> 32, self.piece)
    }
}

/// Why bytes are not the object asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectFrameError {
    /// Fewer bytes than a frame needs, more than one may have, or another number than its header says.
    #[error("{length} bytes, where the frame needs {expected}")]
    Length {
        /// Bytes offered.
        length: usize,
        /// Bytes the frame needs.
        expected: usize,
    },
    /// Not a frame of this format.
    #[error("not an object frame of a known format")]
    Format,
    /// The bytes are not those that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// A whole frame, of another object.
    #[error("the frame is that of {found:?}")]
    Misplaced {
        /// Which object it is.
        found: ObjectId,
    },
}

/// Appends the frame of an object to `out`. O(n).
///
/// # Panics
/// When there are more than [`OBJECT_BYTES_MAX`] bytes: whoever cuts things into objects knows the bound.
pub fn seal(object: ObjectId, bytes: &[u8], out: &mut Vec<u8>) {
    assert!(bytes.len() <= OBJECT_BYTES_MAX, "an object of {} bytes, where {OBJECT_BYTES_MAX} fit", bytes.len());
    let start = out.len();
    out.reserve(bytes.len() + OBJECT_OVERHEAD_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&object.address);
    out.extend_from_slice(&object.piece.to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
    let checksum = checksum(&out[start..]);
    out.extend_from_slice(&checksum);
}

/// The payload of `object`, whose frame fills `frame`. O(n).
///
/// # Errors
/// [`ObjectFrameError`] when the bytes are anything else; never panics.
pub fn open(object: ObjectId, frame: &[u8]) -> Result<&[u8], ObjectFrameError> {
    let length = frame.len();
    if length < OBJECT_OVERHEAD_BYTES {
        return Err(ObjectFrameError::Length { length, expected: OBJECT_OVERHEAD_BYTES });
    }
    if frame[..4] != MAGIC {
        return Err(ObjectFrameError::Format);
    }
    let stated = u32::from_le_bytes(field(frame, 40)) as usize;
    let expected = stated.min(OBJECT_BYTES_MAX) + OBJECT_OVERHEAD_BYTES;
    if length != expected || stated > OBJECT_BYTES_MAX {
        return Err(ObjectFrameError::Length { length, expected });
    }
    let (covered, stored) = frame.split_at(length - CHECKSUM_BYTES);
    if checksum(covered) != stored {
        return Err(ObjectFrameError::Checksum);
    }
    let found = ObjectId { address: field(frame, 4), piece: u32::from_le_bytes(field(frame, 36)) };
    if found != object {
        return Err(ObjectFrameError::Misplaced { found });
    }
    Ok(&covered[HEADER_BYTES..])
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    field(blake3::hash(bytes).as_bytes(), 0)
}

/// `N` bytes from `at` on; the caller has checked the length.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    const OBJECT: ObjectId = ObjectId { address: [0xa5; 32], piece: 7 };

    fn sealed(object: ObjectId, bytes: &[u8]) -> Vec<u8> {
        let mut frame = b"before".to_vec();
        seal(object, bytes, &mut frame);
        frame.split_off(6)
    }

    #[test]
    fn what_was_sealed_is_opened_from_nothing_to_the_largest() {
        for length in [0, 1, 300, OBJECT_BYTES_MAX] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let frame = sealed(OBJECT, &bytes);
            assert_eq!(frame.len(), length + OBJECT_OVERHEAD_BYTES);
            assert_eq!(open(OBJECT, &frame), Ok(&bytes[..]));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let frame = sealed(OBJECT, b"some bytes");
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(OBJECT, &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_part_and_every_addition_is_noticed() {
        let frame = sealed(OBJECT, b"some bytes");
        for length in 0..frame.len() {
            assert!(open(OBJECT, &frame[..length]).is_err(), "{length} bytes");
        }
        let length = frame.len() + 1;
        let longer = [&frame[..], &[0]].concat();
        assert_eq!(open(OBJECT, &longer), Err(ObjectFrameError::Length { length, expected: frame.len() }));
    }

    #[test]
    fn a_good_frame_under_another_id_is_not_that_object() {
        let other = ObjectId { piece: 8, ..OBJECT };
        assert_eq!(open(OBJECT, &sealed(other, b"x")), Err(ObjectFrameError::Misplaced { found: other }));
    }

    #[test]
    fn a_frame_larger_than_any_is_refused_though_its_checksum_holds() {
        let mut frame = vec![0; HEADER_BYTES + OBJECT_BYTES_MAX + 1];
        frame[..4].copy_from_slice(&MAGIC);
        frame[4..36].copy_from_slice(&OBJECT.address);
        frame[36..40].copy_from_slice(&OBJECT.piece.to_le_bytes());
        frame[40..44].copy_from_slice(&(OBJECT_BYTES_MAX as u32 + 1).to_le_bytes());
        let checksum = checksum(&frame);
        frame.extend_from_slice(&checksum);
        assert!(matches!(open(OBJECT, &frame), Err(ObjectFrameError::Length { .. })));
    }

    #[test]
    #[should_panic(expected = "where 65536 fit")]
    fn nobody_seals_more_than_fits() {
        seal(OBJECT, &vec![0; OBJECT_BYTES_MAX + 1], &mut Vec::new());
    }

    #[test]
    fn an_id_is_printed_short() {
        assert_eq!(format!("{OBJECT:?}"), "a5a5a5a5…7");
    }
}
