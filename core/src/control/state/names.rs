//! Names and short texts, checked where they enter: one that is decoded is one that is allowed.

use super::limits::{NAME_BYTES, TEXT_BYTES, VALUE_BYTES};
use crate::inline::{Inline, TooLong};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One to 64 bytes of visible ASCII: no spaces, no control characters, nothing that looks like something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Inline<NAME_BYTES>", into = "Inline<NAME_BYTES>")]
pub struct Name(Inline<NAME_BYTES>);

/// Why something is no name. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is longer than allowed.
    #[error("a name of {0}")]
    TooLong(#[from] TooLong),
    /// It has no bytes.
    #[error("a name needs at least one character")]
    Empty,
    /// It has a byte that is not visible ASCII.
    #[error("a name with the byte {byte:#04x}, where visible ASCII is allowed")]
    Character {
        /// The first such byte.
        byte: u8,
    },
}

impl Name {
    /// The name that reads `text`.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        Inline::new(text.as_bytes())?.try_into()
    }

    /// What it reads.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.0.as_slice()).unwrap_or_default()
    }
}

impl TryFrom<Inline<NAME_BYTES>> for Name {
    type Error = NameError;
    fn try_from(bytes: Inline<NAME_BYTES>) -> Result<Self, NameError> {
        match bytes.as_slice().iter().find(|byte| !byte.is_ascii_graphic()) {
            _ if bytes.as_slice().is_empty() => Err(NameError::Empty),
            Some(byte) => Err(NameError::Character { byte: *byte }),
            None => Ok(Self(bytes)),
        }
    }
}

impl From<Name> for Inline<NAME_BYTES> {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// What a lease is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// The leader of the whole mesh.
    Global,
    /// Anything else that one node at a time is to do.
    Named(Name),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Named(name) => write!(f, "named:{name}"),
        }
    }
}

/// A sentence of an operator; what is longer is cut by whoever makes it.
pub type Text = Inline<TEXT_BYTES>;

/// The value of a setting: at most 1,024 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Value(Box<[u8]>);

impl Value {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Value {
    type Error = TooLong;
    fn try_from(bytes: Vec<u8>) -> Result<Self, TooLong> {
        match bytes.len() {
            0..=VALUE_BYTES => Ok(Self(bytes.into())),
            length => Err(TooLong { length, limit: VALUE_BYTES }),
        }
    }
}

impl From<Value> for Vec<u8> {
    fn from(value: Value) -> Self {
        value.0.into()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}
