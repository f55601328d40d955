//! The replicated log of one shard: one replica of it, on one node.
//!
//! A [`Replica`] is a follower until the control group's record names its process as owner. Then it takes over: it has
//! the in-sync set promise, adopts the highest log, writes the start of its epoch, and serves once every member holds
//! that. From then on it orders submissions, and acknowledges what every member holds durably. `docs/shard-log.md` has
//! the protocol; comments here name its rules. `tests/shard_model.rs` explores it.
//!
//! What goes in is an [`Event`], or commands by [`Replica::submit`]; what comes out is an [`Action`]. The machine is written
//! as if writes were durable at once; the node's gate holds its messages and replies (only appends go ungated, rule L6). It
//! sees [`Event::Durable`] for one purpose: not to count its own entries too early (rule W3).
//!
//! Invariants:
//! - epochs never fall along a log, and nobody cuts it at or below `mark`;
//! - the state above the log is that of exactly the first `applied` entries, all of them acknowledged;
//! - the log begins with what is acknowledged and in a snapshot that is durable here;
//! - a tenure's epoch is promised here, and is never begun twice;
//! - an entry that brings a blob is in the log only if the blob was durable here, or was dropped by an entry behind it.
//!
//! Absent on purpose: who owns what ([`shards`](crate::shards)), sessions and their views ([`lease`](crate::lease)), what
//! commands mean ([`Service`]), and which nodes ought to have a copy.

mod above;
mod acknowledge;
mod append;
pub mod blobs;
mod block;
mod catch_up;
mod checkpoint;
mod flow;
pub mod frozen;
mod hand_over;
mod in_sync;
mod install;
mod log;
mod machine;
mod observation;
pub mod once;
mod pace;
mod position;
mod promise;
pub mod registers;
mod replay;
mod service;
mod settings;
mod snapshot;
mod state;
mod step;
mod takeover;
mod transfer;
mod wire;

pub use append::COMMAND_BYTES_MAX;
pub use block::{BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, Block, Entry};
pub use log::Log;
pub use machine::{Action, Event, Reply, Ticket};
pub use observation::ReplicationObservation;
pub use position::{LogSequence, Position};
pub use service::{PIECE_BYTES_MAX, PieceError, Progress, Service};
pub use settings::Settings;
pub use state::{Replica, Standing};
pub use wire::{Given, Message, Record};

#[cfg(test)]
mod tests;
