//! Packets: what every message between nodes is wrapped in, and how it is authenticated.
//!
//! [`seal`] and [`open`] are pure functions that drivers call outside `handle`: keys never enter a machine, a trace or
//! a recording. The envelope names nodes, never sockets, and has room for relays (`next_hop`, `ttl`), tenants and
//! gossip domains from the first version on. The authenticator covers every byte before it, so a relay that changes
//! the next hop or the TTL seals again.
//!
//! What is absent: encryption (the transports' TLS does that), replay windows (membership keeps them; the source's
//! incarnation and packet sequence are here for it), and the body's meaning.

mod header;
mod hello;
mod key_file;
mod keyring;
mod seal;

pub use header::{Class, Envelope, HEADER_BYTES, TAG_BYTES};
pub use hello::{
    ANSWER_BYTES, Acceptor, Dialler, GREETING_BYTES, HelloError, NONCE_BYTES, Nonce, PROOF_BYTES, Party, Purpose,
};
pub use key_file::{
    ClusterKey, KEY_TEXT_CHARACTERS, KeyPart, KeyTextError, RingTextError, SecretText, read_ring, write_ring,
};
pub use keyring::{KEYS_MAX, KeyChange, KeyId, KeyIds, Keyring, KeyringError};
pub use seal::{OpenError, Opened, open, seal, tag_of};

#[cfg(test)]
mod tests;
