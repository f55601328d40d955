//! A section that belongs to one subject: it has its defaults whether or not the file has it, and knows whether it has.

use core::ops::{Deref, DerefMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The settings of a section, and whether the file has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Section<T> {
    is_given: bool,
    settings: T,
}

impl<T> Section<T> {
    /// Whether the file has this section. It then is written down again, too.
    pub const fn is_given(&self) -> bool {
        self.is_given
    }

    pub(super) const fn is_absent(&self) -> bool {
        !self.is_given
    }

    /// Has the section written down with all its values.
    pub(super) const fn spell_out(&mut self) {
        self.is_given = true;
    }
}

impl<T> Deref for Section<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.settings
    }
}

impl<T> DerefMut for Section<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.settings
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|settings| Self { is_given: true, settings })
    }
}

impl<T: Serialize> Serialize for Section<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.settings.serialize(serializer)
    }
}
