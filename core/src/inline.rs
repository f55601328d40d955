//! Short byte strings without a heap: names and small payloads that are copied on every hop.
//!
//! A machine that decodes a message per event must not allocate per event; anything longer than a few hundred bytes
//! belongs in a `Vec` or, past 16 KiB, in a blob.

use core::fmt;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// At most `N` bytes, stored in place. `N` is at most 65,535.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inline<const N: usize> {
    length: u16,
    // Bytes past `length` are zero, so that the derived comparisons and hashes see equal values as equal.
    bytes: [u8; N],
}

/// The bytes do not fit. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes, where at most {limit} fit")]
pub struct TooLong {
    /// Bytes offered.
    pub length: usize,
    /// Bytes that fit.
    pub limit: usize,
}

impl<const N: usize> Inline<N> {
    /// The empty string.
    pub const EMPTY: Self = {
        assert!(N <= u16::MAX as usize, "the length is kept in 16 bits");
        Self { length: 0, bytes: [0; N] }
    };

    /// A copy of `source`.
    ///
    /// # Errors
    /// [`TooLong`] past `N` bytes.
    pub fn new(source: &[u8]) -> Result<Self, TooLong> {
        let mut made = Self::EMPTY;
        let target = made.bytes.get_mut(..source.len()).ok_or(TooLong { length: source.len(), limit: N })?;
        target.copy_from_slice(source);
        made.length = source.len() as u16;
        Ok(made)
    }

    /// `length` bytes, each made by `byte` from its position.
    ///
    /// # Errors
    /// [`TooLong`] past `N` bytes.
    pub fn filled(length: usize, byte: impl Fn(usize) -> u8) -> Result<Self, TooLong> {
        let mut made = Self::EMPTY;
        let target = made.bytes.get_mut(..length).ok_or(TooLong { length, limit: N })?;
        target.iter_mut().enumerate().for_each(|(at, slot)| *slot = byte(at));
        made.length = length as u16;
        Ok(made)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl<const N: usize> fmt::Debug for Inline<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.as_slice()) {
            Ok(text) if text.len() <= 40 && !text.contains(char::is_control) => write!(f, "{text:?}"),
            _ => write!(f, "<{} bytes>", self.length),
        }
    }
}

impl<const N: usize> Serialize for Inline<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_slice())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Inline<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(InlineVisitor::<N>)
    }
}

struct InlineVisitor<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for InlineVisitor<N> {
    type Value = Inline<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {N} bytes")
    }

    fn visit_bytes<E: Error>(self, source: &[u8]) -> Result<Self::Value, E> {
        Inline::new(source).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut made = Inline::EMPTY;
        while let Some(byte) = sequence.next_element()? {
            let at = usize::from(made.length);
            *made.bytes.get_mut(at).ok_or_else(|| A::Error::custom(TooLong { length: at + 1, limit: N }))? = byte;
            made.length += 1;
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_lengths() {
        assert_eq!(Inline::<4>::new(b"hello"), Err(TooLong { length: 5, limit: 4 }));
        assert_eq!(Inline::<5>::new(b"hello").unwrap().as_slice(), b"hello");
    }
}
