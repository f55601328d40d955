//! Who is who: clusters, nodes, and the incarnations that tell a restart from a loss.
//!
//! A [`NodeId`] follows from the node's public key, so no one has to hand ids out. The [`StoreIncarnation`] changes
//! when the node lost its disk, the [`BootIncarnation`] whenever its process starts. Socket addresses do not belong
//! here: machines address nodes, drivers address sockets.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            /// The id's bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:02x}{:02x}{:02x}{:02x}…)", stringify!($name), self.0[0], self.0[1], self.0[2], self.0[3])
            }
        }
    };
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

opaque_id! {
    /// A cluster. Packets of another cluster are refused before anything else is looked at.
    ClusterId
}

opaque_id! {
    /// A node: the first 128 bits of a hash of its public key, which keeps a second preimage at 2¹²⁸ work.
    NodeId
}

impl NodeId {
    /// The id of the node that holds `public_key` (Ed25519, 32 bytes).
    pub fn of_public_key(public_key: &[u8; 32]) -> Self {
        let hash = blake3::derive_key("relaymesh 2026 node id of a public key", public_key);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self(id)
    }
}

counter! {
    /// Drawn at random when a store is made and kept in it: a node that lost its disk is a new voter and replica.
    StoreIncarnation(u64)
}
counter! {
    /// Grows by one each time the node's process starts on its store; durable before the first packet.
    BootIncarnation(u64)
}
counter! {
    /// A part of the mesh inside which gossip is direct; supervisors bridge domains.
    GossipDomain(u32)
}
counter! {
    /// Whose traffic it is, for quotas and per-tenant encryption. Zero is the mesh itself.
    Tenant(u32)
}
counter! {
    /// One request of one client connection, as the driver numbers them.
    RequestId(u64)
}

/// One life of one node's process: what an envelope names as its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// The node.
    pub node: NodeId,
    /// Its store: changes when the disk was lost.
    pub store: StoreIncarnation,
    /// Its process: grows with each start.
    pub boot: BootIncarnation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_follows_from_the_key_and_from_nothing_else() {
        let one = NodeId::of_public_key(&[1; 32]);
        assert_eq!(one, NodeId::of_public_key(&[1; 32]));
        assert_ne!(one, NodeId::of_public_key(&[2; 32]));
    }
}
