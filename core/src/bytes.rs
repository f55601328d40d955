//! Strings of bytes inside bodies, in one piece.
//!
//! Without this, serde takes bytes for a list of small numbers, and turns them one by one: thirty times as slow. What is
//! stored and sent is the same.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that the machine which carries them does not look into.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Blob(#[serde(with = "crate::bytes")] pub Box<[u8]>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// For `#[serde(with = "…")]`.
pub(crate) fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes.as_ref())
}

/// For `#[serde(with = "…")]`. Allocates what is there, and not what a length claims.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, B: From<Box<[u8]>>>(deserializer: D) -> Result<B, D::Error> {
    deserializer.deserialize_bytes(Bytes).map(B::from)
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Box<[u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
        Ok(bytes.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = sequence.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}
