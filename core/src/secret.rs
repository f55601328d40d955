//! Secrets have a type: it prints as nothing, compares in constant time, is not serialised, and is wiped on drop.

use core::fmt;

/// A 32-byte symmetric key.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// The key with these bytes. The caller wipes its own copy.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for one purpose, derived from `material`. `context` names the purpose and is the same in every build.
    pub fn derive(context: &str, material: &[u8]) -> Self {
        Self(blake3::derive_key(context, material))
    }

    /// Whether both keys are the same, in time that does not depend on where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(other.0)
    }

    /// The bytes, for the authenticators of this crate.
    pub(crate) const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(hidden)")
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0 = [0; 32];
        // Keeps the compiler from treating the wipe as a dead store.
        core::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_secret_prints_as_nothing() {
        let key = SecretKey::from_bytes([0xAB; 32]);
        assert_eq!(format!("{key:?}"), "SecretKey(hidden)");
    }

    #[test]
    fn keys_compare_by_content() {
        let key = SecretKey::derive("relaymesh test", b"one");
        assert!(key.same_as(&SecretKey::derive("relaymesh test", b"one")));
        assert!(!key.same_as(&SecretKey::derive("relaymesh test", b"two")));
    }
}
