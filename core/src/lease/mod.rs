//! Leases: who may act for a scope now, by everybody's own clock.
//!
//! What is agreed on is in [`control::state`](crate::control::state); what passes by is here, in three parts that share
//! nothing but messages:
//! - [`Keeper`], on every voter: while its node leads, it takes renewals in memory, acknowledges them once its term is
//!   confirmed, and proposes the end of sessions that it has not heard of for their time to live and ε;
//! - [`Client`], on every node: it keeps the node's one session, and says which scopes the node holds, under which token,
//!   and until when;
//! - [`Acceptor`], in whatever takes ownership-changing writes: it refuses what an accepted newer epoch has fenced, and
//!   keeps a record of that.
//!
//! `docs/control.md` has the rules (T, R, E, S, C, A) that comments here name, and what goes wrong without each. Absent on
//! purpose: the log, the way to the leader for commands, and which node *should* hold what.

pub mod acceptor;
pub mod client;
pub mod keeper;
mod observation;
pub mod settings;
pub mod wire;

pub use acceptor::Acceptor;
pub use client::Client;
pub use keeper::Keeper;
pub use observation::LeaseObservation;
pub use settings::Settings;
pub use wire::{Message, Renew};

#[cfg(test)]
mod tests;
