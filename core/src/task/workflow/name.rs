//! Names and short texts, checked where they enter: one that is decoded is one that is allowed.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use serde::{Deserialize, Serialize, Serializer};

/// One to [`Name::BYTES_MAX`] of ASCII letters, digits, `.`, `_` and `-`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(Arc<str>);

/// Why something is no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameError {
    /// It has no bytes.
    #[error("a name needs at least one character")]
    Empty,
    /// It is too long.
    #[error("a name of {bytes} bytes, where {max} are allowed", max = Name::BYTES_MAX)]
    TooLong {
        /// How long it is.
        bytes: u64,
    },
    /// It has a character that is not allowed.
    #[error("a name with {found:?}, where letters, digits, `.`, `_` and `-` are allowed")]
    Character {
        /// The first such character.
        found: char,
    },
}

impl Name {
    /// Bytes of the longest one.
    pub const BYTES_MAX: usize = 64;

    /// The name that reads `text`.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match text.chars().find(|c| !is_allowed(*c)) {
            _ if text.is_empty() => Err(NameError::Empty),
            _ if text.len() > Self::BYTES_MAX => Err(NameError::TooLong { bytes: text.len() as u64 }),
            Some(found) => Err(NameError::Character { found }),
            None => Ok(Self(text.into())),
        }
    }

    /// What it reads.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Text of at most `MAX` bytes. What it says matters to people only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MAX: usize>(Box<str>);

/// Why something is no [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("a text of {bytes} bytes, where {max} are allowed")]
pub struct TextError {
    /// How long it is.
    pub bytes: u64,
    /// How long it may be.
    pub max: u64,
}

impl<const MAX: usize> Text<MAX> {
    /// The text, if it is short enough.
    ///
    /// # Errors
    /// [`TextError`] where it is not.
    pub fn new(text: &str) -> Result<Self, TextError> {
        match text.len() > MAX {
            true => Err(TextError { bytes: text.len() as u64, max: MAX as u64 }),
            false => Ok(Self(text.into())),
        }
    }

    /// What it reads.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        Self::new(&text)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
