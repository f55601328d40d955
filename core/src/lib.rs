//! The pure half of RelayMesh: state machines that decide, and the formats they share with the world.
//!
//! Reading path: [`machine`] (the contract), [`node`] (how machines become a node), [`gate`] (when something may be
//! seen outside), [`record`] and [`object`] (what survives a crash), [`envelope`] (what travels between nodes).
//!
//! Absent on purpose, and kept out by tests: async, clocks, sockets, files, threads, entropy, logging, and any
//! collection whose order can be seen. Drivers do all of that: the simulator, and the shell of the production node.
#![no_std]

extern crate alloc;

pub mod blob;
pub mod bytes;
pub mod codec;
pub mod control;
pub mod endpoint;
pub mod envelope;
pub mod epoch;
pub mod gate;
pub mod identity;
pub mod inline;
pub mod lease;
pub mod limits;
pub mod machine;
pub mod membership;
#[cfg(feature = "control")]
pub mod mesh;
pub mod node;
pub mod object;
pub mod observe;
pub mod record;
pub mod replication;
pub mod secret;
pub mod shards;
pub mod task;
pub mod time;
