//! The control group: what the whole cluster agrees on, and how.
//!
//! | folder | holds |
//! | --- | --- |
//! | [`group`] | consensus: a replicated log of entries whose meaning it does not know |
//! | [`state`] | what is replicated, as plain data, and the commands that change it: no time, no network, no Raft |
//! | [`commands`] | a node's way to have a command executed exactly once |
//! | `replicated` | the state as what the group replicates |
//! | [`node`] | all of it on one node, with [`lease`](crate::lease): every wire between them |
//!
//! `docs/control.md` is the protocol that these and [`lease`](crate::lease) follow.

pub mod commands;
#[cfg(feature = "control")]
pub mod group;
#[cfg(feature = "control")]
pub mod node;
#[cfg(feature = "control")]
mod replicated;
pub mod state;
