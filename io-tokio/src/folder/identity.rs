//! Who a node is: an Ed25519 key pair, from whose public half the node's id follows.

use super::FolderError;
use super::file::{read_secret, write_secret};
use crate::entropy;
use ed25519_dalek::SigningKey;
use relaymesh_core::identity::NodeId;
use std::fmt;
use std::path::Path;

/// A node's key pair. It prints as its id, and is wiped on drop.
pub struct Identity {
    key: SigningKey,
    node: NodeId,
}

impl Identity {
    /// The identity that follows from a secret seed.
    fn of_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let node = NodeId::of_public_key(key.verifying_key().as_bytes());
        Self { key, node }
    }

    /// The identity stored in `folder` under `name`; a new one, durably stored, when there is none.
    pub(super) fn load_or_draw(folder: &Path, name: &str) -> Result<Self, FolderError> {
        let path = folder.join(name);
        if let Some(bytes) = read_secret(&path)? {
            let seed = <&[u8; 32]>::try_from(&bytes[..]);
            return seed.map(Self::of_seed).map_err(|_| FolderError::Identity { path, found: bytes.len() });
        }
        let mut seed: [u8; 32] = entropy::draw()?;
        let written = write_secret(folder, name, &seed);
        let identity = Self::of_seed(&seed);
        seed.fill(0);
        std::hint::black_box(&seed);
        written.map(|()| identity)
    }

    /// The node's id: a hash of its public key.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The node's public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node)
    }
}
