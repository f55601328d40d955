//! The symmetric keys of a cluster: one seals, several open, so that keys rotate without a restart.

use crate::secret::SecretKey;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Keys a ring holds at most: the one in use, the one before, the one after, and one spare.
pub const KEYS_MAX: usize = 4;

/// A short name of a key, which tells a receiver what to try; two keys may share one. Not secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub u16);

/// The names of the keys in a ring: what a machine may know of it. The first one seals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyIds {
    ids: [Option<KeyId>; KEYS_MAX],
}

impl KeyIds {
    /// These names, the one that seals first; any past the most a ring can hold are left out.
    pub fn new(names: impl IntoIterator<Item = KeyId>) -> Self {
        let mut ids = [None; KEYS_MAX];
        ids.iter_mut().zip(names).for_each(|(slot, id)| *slot = Some(id));
        Self { ids }
    }

    /// The key that seals; `None` only where nothing is known yet.
    pub fn sealing(&self) -> Option<KeyId> {
        self.ids[0]
    }

    /// Whether packets sealed with `id` can be opened.
    pub fn opens(&self, id: KeyId) -> bool {
        self.ids.contains(&Some(id))
    }

    /// All names, the one that seals first.
    pub fn iter(&self) -> impl Iterator<Item = KeyId> {
        self.ids.into_iter().flatten()
    }
}

/// What a machine may ask of the driver's keyring. Keys themselves are installed by operators, beside the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyChange {
    /// Seal with this key from now on.
    Use(KeyId),
    /// Open nothing sealed with this key any more.
    Remove(KeyId),
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// The keys a node opens packets with. The first one seals.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<(KeyId, SecretKey)>,
}

/// Why a keyring was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// No room for another key.
    #[error("the keyring holds {KEYS_MAX} keys already; remove one that no node uses any more")]
    Full,
    /// Another key has the same short name, so neither could be named. Draw a new one.
    #[error("another key in the keyring is called {0}, too; draw a new key")]
    Ambiguous(KeyId),
    /// The key is in the ring already.
    #[error("key {0} is in the keyring already")]
    Known(KeyId),
    /// The key is not in the ring.
    #[error("key {0} is not in the keyring; install it first")]
    Unknown(KeyId),
    /// The key in use cannot be removed: nothing falls back to no authentication.
    #[error("key {0} seals outgoing packets; use another one before removing it")]
    InUse(KeyId),
}

impl Keyring {
    /// A ring with one key, which seals and opens.
    pub fn new(key: SecretKey) -> Self {
        Self { keys: alloc::vec![(key_id(&key), key)] }
    }

    /// Adds a key that opens packets from now on.
    ///
    /// # Errors
    /// [`KeyringError`]; the ring is unchanged.
    pub fn install(&mut self, key: SecretKey) -> Result<KeyId, KeyringError> {
        let id = key_id(&key);
        if self.keys.iter().any(|(_, known)| known.same_as(&key)) {
            return Err(KeyringError::Known(id));
        }
        if self.keys.iter().any(|(known, _)| *known == id) {
            return Err(KeyringError::Ambiguous(id));
        }
        if self.keys.len() == KEYS_MAX {
            return Err(KeyringError::Full);
        }
        self.keys.push((id, key));
        Ok(id)
    }

    /// Seals with `id` from now on.
    ///
    /// # Errors
    /// [`KeyringError::Unknown`]; the ring is unchanged.
    pub fn use_key(&mut self, id: KeyId) -> Result<(), KeyringError> {
        let at = self.position(id)?;
        self.keys[..=at].rotate_right(1);
        Ok(())
    }

    /// Opens nothing sealed with `id` any more.
    ///
    /// # Errors
    /// [`KeyringError`]; the ring is unchanged.
    pub fn remove(&mut self, id: KeyId) -> Result<(), KeyringError> {
        match self.position(id)? {
            0 => Err(KeyringError::InUse(id)),
            at => {
                self.keys.remove(at);
                Ok(())
            }
        }
    }

    /// Does what a machine asked for.
    ///
    /// # Errors
    /// [`KeyringError`]; the ring is unchanged.
    pub fn change(&mut self, change: KeyChange) -> Result<(), KeyringError> {
        match change {
            KeyChange::Use(id) => self.use_key(id),
            KeyChange::Remove(id) => self.remove(id),
        }
    }

    /// The names of the keys.
    pub fn ids(&self) -> KeyIds {
        KeyIds::new(self.keys.iter().map(|(id, _)| *id))
    }

    /// The key that seals.
    pub(super) fn primary(&self) -> &(KeyId, SecretKey) {
        &self.keys[0]
    }

    /// The keys that `id` may name.
    pub(super) fn named(&self, id: KeyId) -> impl Iterator<Item = &SecretKey> {
        self.keys.iter().filter(move |(known, _)| *known == id).map(|(_, key)| key)
    }

    fn position(&self, id: KeyId) -> Result<usize, KeyringError> {
        self.keys.iter().position(|(known, _)| *known == id).ok_or(KeyringError::Unknown(id))
    }
}

fn key_id(key: &SecretKey) -> KeyId {
    let hash = blake3::derive_key("relaymesh 2026 key id of a cluster key", key.expose());
    KeyId(u16::from_le_bytes([hash[0], hash[1]]))
}
