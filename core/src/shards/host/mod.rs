//! The shards of one node: its replicas, what it learns about them, and the way of a request to whoever owns the shard.
//!
//! ```text
//!    clients, operators            other nodes
//!        │ Request ▲ Reply            │ Ask, Replica ▲ Answer, Replica
//!        ▼         │                  ▼              │
//!   ┌─ asks ──── to the owner ──── tickets ──► Replica, one a shard ──► Write
//!   │  (here or elsewhere)                      ▲         │ Propose, HandOver
//!   │                                 Known, Placed       ▼
//!   └────────── the copy of the control state ◄── Command ── the control group
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `events` | what can happen, and what is asked for |
//! | `machine` | the one dispatcher, and what a replica asks for |
//! | `slots` | the replicas, with their deadlines and what of theirs is not durable |
//! | `follow` | what the control group says of shards, a bounded number of them in one event |
//! | `place` | who ought to have a copy: the row of the agreed table, and others in the place of those that are not well |
//! | `reference` | when a set time is, by clocks for all |
//! | `load` | how much nodes have to do |
//! | `strain` | which of them have more to do than they can |
//! | `plans` | how the table becomes another one: worked out, approved, and carried out a wave at a time |
//! | `asks` | requests of this node's clients that are under way, within bounds |
//! | `asking` | their way to an owner, and again where that was refused |
//! | `tickets` | requests that a replica of this node has taken, and whose answer is awaited |
//! | `once` | submissions with a key: since when they may take effect, and what an owner says of them |
//! | `keep` | copies of what no owner takes, on this disk and those of others |
//! | `parked` | what this node keeps, within bounds, and when it is to be submitted again |
//! | `resubmit` | that, until an owner has told what became of it |
//! | `commands` | what the control group is asked for, and what becomes of it |
//! | `checkpoint` | what is written again before the journal is trimmed |
//! | `objects` | objects of blobs in the node's store: whose they are, and what nobody wants |
//! | `rebuild` | after a recovery: what replicas kept, and what is made of it |
//! | [`plan_view`] | what operators ask about placement and are told |
//! | [`view`] | what operators and clients ask and are told |
//! | [`wire`] | what is said and stored |
//!
//! Rules:
//! - A node asks nothing twice that may take effect twice: what an owner did not answer is *unknown*, only what it refused is
//!   asked again, of whoever owns the shard then. With a key it cannot take effect twice, and is asked again (rules K1 to K8).
//! - A replica is there as soon as the record names its store, or the owner of the record's epoch speaks to it.
//! - A proposal is refused, as far as a replica is told, only where that is certain: for what is wrong with it on the very
//!   version that it was made for. For all else the record will tell (rule I2).
//! - Answers that rest on a lease carry how long it is known to hold; who was to be told too late is told *unknown*
//!   (rule V2).
//!
//! Not here yet: a replica that has left its shard for good goes on taking place, on disk and in memory.
//!
//! Absent on purpose: what is written in a log ([`replication`](crate::replication)), and what it means
//! ([`Service`](crate::replication::Service)).

mod asking;
mod asks;
mod checkpoint;
mod commands;
mod events;
mod follow;
mod keep;
mod load;
mod machine;
mod objects;
mod observation;
mod once;
mod parked;
mod place;
pub mod plan_view;
mod plans;
mod rebuild;
mod reference;
mod resubmit;
mod settings;
mod slots;
mod strain;
mod tickets;
pub mod view;
pub mod wire;

pub use events::{Action, Event, Sees};
pub use load::Load;
pub use machine::Host;
pub use objects::object_id;
pub use observation::ShardsObservation;
pub use settings::{PlanSettings, Settings};
pub use view::{Fate, NodeLoad, OwnReplica, Refusal, Reply, Request, Row, Table};
pub use wire::{Answer, Keeping, Message, Record, Submission};

#[cfg(test)]
mod tests;
