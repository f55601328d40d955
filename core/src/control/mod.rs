//! The control group: what the whole cluster agrees on, and how.
//!
//! [`state`] is the replicated state as plain data, and the commands that change it; it knows no time, no network and no
//! Raft. `docs/control.md` is the protocol that this, the group and [`lease`](crate::lease) follow.

pub mod state;
