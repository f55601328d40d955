//! The one place that turns values into bytes and back.
//!
//! Every stored or sent body is a versioned enum with a hard size limit, and a decoder consumes every byte or refuses.
//! The serialisation library is visible nowhere else, so that it can be replaced without a search. Framing of journal
//! records is in [`record`](crate::record), of packets in [`envelope`](crate::envelope).

use alloc::vec::Vec;
use bincode::config::{self, Config};
use bincode::enc::write::Writer;
use bincode::error::EncodeError as LibraryError;
use core::fmt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of a body's enum. A build decodes its own and the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyVersion(pub u8);

impl fmt::Display for BodyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// Something stored or sent: encodes in the versions other nodes may still speak, decodes what they may still send.
pub trait Body: Sized {
    /// The oldest version that is still decoded and encoded.
    const OLDEST: BodyVersion;
    /// The version this build introduces.
    const NEWEST: BodyVersion;

    /// Appends the body in `version` to `out`; on an error `out` is as it was.
    ///
    /// # Errors
    /// [`EncodeError`] when the value cannot be said in that version or needs more than `limit` bytes.
    fn encode(&self, version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// The body that `bytes` hold, all of them.
    ///
    /// # Errors
    /// [`DecodeError`] on anything else. Never panics, never allocates more than `bytes` justifies.
    fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// Why a value was not encoded. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The value needs more bytes than it may take.
    #[error("the body needs more than {limit} bytes; split it or refer to it by its hash")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The version is unknown, or has no way to say this.
    #[error("{version} cannot express this body; wait until every reader understands a newer version")]
    NotInVersion {
        /// The version asked for.
        version: BodyVersion,
    },
    /// The library refused the value's shape, which is a defect of the type.
    #[error("the body's type cannot be encoded")]
    Unsupported,
}

/// Why bytes were not decoded. Nothing was taken over from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer or a forgotten version.
    #[error("body {found}, where {oldest} to {newest} are understood; upgrade this node or its peer")]
    UnknownVersion {
        /// The version found.
        found: BodyVersion,
        /// The oldest one understood.
        oldest: BodyVersion,
        /// The newest one understood.
        newest: BodyVersion,
    },
    /// The bytes are not such a body, end early, or claim more than the limit allows.
    #[error("malformed body of {length} bytes")]
    Malformed {
        /// Bytes offered.
        length: usize,
    },
    /// Bytes were left over.
    #[error("{extra} bytes follow the body")]
    Trailing {
        /// Bytes left over.
        extra: usize,
    },
}

/// What a value may claim while it is decoded, per byte of input: an integer of one byte may stand for sixteen.
const CLAIM_PER_BYTE: usize = 16;

fn library_config<const LIMIT: usize>() -> impl Config {
    config::standard().with_limit::<LIMIT>()
}

/// Appends `value` to `out`; a helper for implementations of [`Body::encode`].
///
/// # Errors
/// [`EncodeError::TooLarge`] past `limit` bytes; `out` is as it was.
pub fn encode_value<T: Serialize>(value: &T, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let writer = BoundedWriter { out, room: limit };
    bincode::serde::encode_into_writer(value, writer, config::standard()).map_err(|error| {
        out.truncate(start);
        match error {
            LibraryError::UnexpectedEnd => EncodeError::TooLarge { limit },
            _ => EncodeError::Unsupported,
        }
    })
}

/// The value that `bytes` hold, all of them; a helper for implementations of [`Body::decode`].
///
/// What is allocated stays within a small multiple of `bytes` and one MiB for each list under way, whatever lengths they
/// claim. Types without size do not belong in bodies: a list of them has no bound.
///
/// # Errors
/// [`DecodeError`] when they hold anything else.
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // The library's limit is a constant of the type, so it comes in steps.
    match bytes.len().saturating_mul(CLAIM_PER_BYTE) {
        0..=0x1_0000 => decode_within::<T, 0x1_0000>(bytes),
        0x1_0001..=0x10_0000 => decode_within::<T, 0x10_0000>(bytes),
        0x10_0001..=0x100_0000 => decode_within::<T, 0x100_0000>(bytes),
        _ => decode_within::<T, 0x1000_0000>(bytes),
    }
}

fn decode_within<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    let length = bytes.len();
    let decoded = bincode::serde::decode_from_slice(bytes, library_config::<LIMIT>());
    let (value, used) = decoded.map_err(|_| DecodeError::Malformed { length })?;
    match length - used {
        0 => Ok(value),
        extra => Err(DecodeError::Trailing { extra }),
    }
}

struct BoundedWriter<'a> {
    out: &'a mut Vec<u8>,
    room: usize,
}

impl Writer for BoundedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), LibraryError> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(LibraryError::UnexpectedEnd)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn every_byte_is_consumed_or_the_body_is_refused() {
        let mut bytes = vec![];
        encode_value(&(7u32, 9u64), 64, &mut bytes).unwrap();
        assert_eq!(decode_value::<(u32, u64)>(&bytes), Ok((7, 9)));
        bytes.push(0);
        assert_eq!(decode_value::<(u32, u64)>(&bytes), Err(DecodeError::Trailing { extra: 1 }));
    }

    #[test]
    fn a_hostile_length_is_refused_before_it_is_allocated() {
        let claims_16_exabytes = [0xFD, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(decode_value::<Vec<u64>>(&claims_16_exabytes), Err(DecodeError::Malformed { length: 9 }));
    }

    #[test]
    fn a_body_past_its_limit_leaves_the_buffer_as_it_was() {
        let mut bytes = vec![1, 2, 3];
        assert_eq!(encode_value(&vec![9u64; 40], 16, &mut bytes), Err(EncodeError::TooLarge { limit: 16 }));
        assert_eq!(bytes, [1, 2, 3]);
    }
}
