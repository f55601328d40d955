//! Blobs of a shard: what the log says of them, and what this replica has of them on its disk.
//!
//! | file | holds |
//! | --- | --- |
//! | [`table`] | which blobs there are, and what refers to them: part of the state above the log |
//! | `local` | what this replica has, as far as it knows in this life |
//! | `receive` | getting a blob: from the disk, from other replicas, or from a client |
//! | `gate` | entries and snapshots of an owner that have to wait for blobs |
//! | `put` | an owner: from the first piece of a client to the entry that brings the blob |
//! | `idle` | an owner: dropping what nothing refers to |
//! | `serve` | reading: for clients and for other replicas, checked, and made good where it is damaged |
//! | `sweep` | discarding what nobody wants |
//!
//! Rules B1 to B12 of `docs/shard-log.md`. The machine asks for objects to be kept, fetched and discarded, and is told; it
//! holds no piece of a blob longer than an event.
//!
//! Absent on purpose: what an address is ([`blob`](crate::blob)), how objects of several shards are told apart
//! ([`shards::host`](crate::shards::host)), and how they are framed on the disk.

mod gate;
mod idle;
mod local;
mod put;
mod receive;
mod serve;
mod sweep;
pub mod table;

pub(super) use idle::Lap;
pub(super) use local::Blobs;
pub(super) use put::Putting;
pub use table::{BLOBS_MAX, BlobTable, NoBlob, References, Row};

/// Blobs that clients may be putting at once.
pub(super) const PUTS_MAX: usize = 64;
/// Blobs that a replica may be getting at once because clients put them, here or at the owner.
pub(super) const OFFERED_MAX: usize = PUTS_MAX;
/// Objects of one blob that may be under way to this replica, and blobs that an owner's entries may wait for at once.
pub(super) const AHEAD: usize = 8;
/// Blobs that a replica may be getting at once. What entries wait for has room of its own: who holds the log up because many
/// blobs are put would be taken out of the set.
pub(super) const RECEIVING_MAX: usize = OFFERED_MAX + AHEAD;
/// Reads of objects that may be under way, of clients and of other replicas.
pub(super) const READINGS_MAX: usize = 256;
