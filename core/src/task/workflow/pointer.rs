//! Where in a JSON value: RFC 6901.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize, Serializer};

/// A JSON pointer (RFC 6901): empty for the whole value, else `/` and a key or the number of an item, as often as
/// needed. In a key `~1` stands for `/`, and `~0` for `~`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer(Box<str>);

/// Why something is no [`Pointer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PointerError {
    /// It is too long.
    #[error("a path of {bytes} bytes, where {max} are allowed", max = Pointer::BYTES_MAX)]
    TooLong {
        /// How long it is.
        bytes: u64,
    },
    /// It does not begin as it must.
    #[error("a path begins with `/`, as in `/files/0`; without a path the whole value is taken")]
    NoSlash,
    /// It has a `~` that stands for nothing.
    #[error("a path with `~` before neither 0 nor 1: write `~0` for `~`, and `~1` for `/`")]
    Tilde,
}

impl Pointer {
    /// Bytes of the longest one.
    pub const BYTES_MAX: usize = 256;

    /// The pointer that reads `text`.
    ///
    /// # Errors
    /// [`PointerError`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, PointerError> {
        let is_escape = |after: &str| after.starts_with(['0', '1']);
        if text.len() > Self::BYTES_MAX {
            return Err(PointerError::TooLong { bytes: text.len() as u64 });
        }
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::NoSlash);
        }
        match text.split('~').skip(1).all(is_escape) {
            true => Ok(Self(text.into())),
            false => Err(PointerError::Tilde),
        }
    }

    /// What it reads.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it means the whole value.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys and numbers on the way, from the outermost one.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.split('/').skip(1).map(|token| match token.contains('~') {
            true => Cow::Owned(token.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(token),
        })
    }
}

/// The number of an item, as RFC 6901 §4 allows it to be written: without leading zeros.
pub(super) fn item_number(token: &str) -> Option<u32> {
    let is_plain = token == "0" || token.starts_with(|c: char| matches!(c, '1'..='9'));
    token.parse().ok().filter(|_| is_plain)
}

impl TryFrom<String> for Pointer {
    type Error = PointerError;
    fn try_from(text: String) -> Result<Self, PointerError> {
        Self::new(&text)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
