//! The control group on one node: consensus, sessions, leases and commands, and every wire between them.
//!
//! ```text
//!               operators, siblings
//!                  │ Request ▲ Reply, Became, Ceased, Suspended …
//!                  ▼         │
//!  ┌────────── client ── Submit ──► commands ── Propose ──►┐ (to whoever leads; that may be this node)
//!  │ Renew       ▲                                         │
//!  ▼             │ Changed, Restated                       ▼
//!  keeper ◄──────┴──────────────── group ◄──────────── the leader's desk
//!  (of the leader) ── BeginRound, Propose ──► group
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `machine` | events, actions, and the one dispatcher |
//! | `wires` | every wire between the machines, on one page |
//! | `inbox` | what one machine means for another, in order, under a limit |
//! | `own_gate` | what this node says to itself waits like the rest |
//! | `desk` | what the group was asked, and on whose behalf |
//! | `operators` | founding, status, scopes, epochs, registers, voters |
//! | `forward` | what operators ask of a member that does not lead |
//! | `tend` | what a leader does unasked: who votes is recorded, clients are forgotten |
//! | `follow` | a node outside the group keeps a copy of the state |
//! | `serve` | the leader keeps those up to date who follow |
//! | `versions` | which versions of entries may be used, and who understands them |
//! | `backup` | the state carried out of a node by an operator, and into one |
//! | `recover` | another history begins: of what a lost quorum has left, or of a backup |
//! | [`wire`] | what is said between nodes, and what of it waits at the gate |
//! | [`view`] | what operators ask and are told |
//!
//! Rules:
//! - **The group is the only one here that writes**, and counts its records from `ctx.next_record`. It may be handed several
//!   events within one of the node's: the count goes on between them, and is left where it ended for whoever comes next.
//! - What a machine asks of another happens within the same event, in the order in which it was asked.
//! - A message to this node itself takes the way of all others, without the network, but not without the gate.
//! - What came with a new state is part of it: changes that the same step reports are not told a second time.
//!
//! Absent on purpose: who may ask for what, and which
//! node should hold what.

mod backup;
mod desk;
mod follow;
mod forward;
mod inbox;
mod machine;
mod observation;
mod operators;
mod own_gate;
mod recover;
mod serve;
mod settings;
mod tend;
mod versions;
pub mod view;
pub mod wire;
mod wires;

pub use machine::{Action, Control, Event};
pub use observation::{ControlObservation, HistoryObservation};
pub use settings::Settings;
pub use view::{Founding, Recovery, Refusal, Reply, Request, ScopeStatus, Source, Status};
pub use wire::{Message, Surveyed};

#[cfg(test)]
mod tests;
