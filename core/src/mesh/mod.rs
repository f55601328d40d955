//! The production node: its machines as named fields, and every wire between them.
//!
//! ```text
//!            operators, clients
//!      ┌───────────┼───────────────┬──────────────────────┐ Request ▼ ▲ Reply
//!      ▼           ▼               ▼                      ▼
//!  membership   control ─Epoch─► fence                 shards
//!      ▲         ▲ ▲ └─ client ──┘ (may this node act?) ▲ ▲ │
//!      │         │ └──── Changed, Executed; its view ───┘ │ │
//!      │         ├◄────────────── Command ────────────────┼─┘
//!      └─Message─┴────────────────────────────────────────┴──► peers
//!      │ Reserved, Locate, Seek, Keyring   │ Write ▼ ▲ replay, Persisted
//!      ▼                                   driver
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `node` | the dispatcher |
//! | `lift` | what the machines ask for, as what the driver is asked for |
//! | `wire` | everything that is said, stored and answered, by machine |
//! | [`fence`] | the fence for resources outside the mesh |
//! | `errands` | what shards, the desk and the worker have for one another |
//! | `checkpoint` | what the machines write again before the journal is trimmed |
//! | `observation` | what operators see of any machine |
//!
//! Packets are admitted once, before any machine sees them: those that arrived before, those of another gossip domain
//! and those of a process that is no more are dropped here. What a machine means by its messages is that machine's.
//!
//! Several machines may write in one event. Each counts its records from `ctx.next_record`, which goes on between them.

mod checkpoint;
mod errands;
pub mod fence;
mod lift;
mod node;
mod observation;
mod wire;

pub use node::{MeshNode, Settings};
pub use observation::{AdmissionObservation, MeshObservation};
pub use wire::{Message, NEWEST_VERSION, OLDEST_VERSION, Record, Reply, Request};

#[cfg(test)]
mod tests;
