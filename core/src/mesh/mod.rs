//! The production node: its machines as named fields, and every wire between them.
//!
//! ```text
//! operators ──Request──► membership ◄──Message──► peers
//!                          │   ▲
//!          Reserved, Locate,   │ replay, Persisted, Found, Keys
//!          Seek, Keyring   ▼   │
//!                         driver
//! ```
//!
//! Packets are admitted once, before any machine sees them: those that arrived before, those of another gossip domain
//! and those of a process that is no more are dropped here. What a machine means by its messages is that machine's.

mod node;
mod wire;

pub use node::{AdmissionObservation, MeshNode, MeshObservation, Settings};
pub use wire::{Message, NEWEST_VERSION, OLDEST_VERSION, Record, Reply, Request};

#[cfg(test)]
mod tests;
