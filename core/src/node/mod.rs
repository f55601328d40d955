//! A node: the engine that every composition of machines runs on.
//!
//! The engine recovers the journal, numbers and frames writes, holds what is visible until it may leave, retries
//! damaged reads, trims the journal, keeps [objects](crate::object) beside it, and passes events between sibling machines. The composition itself is an [`Application`]; it owns
//! its machines as named fields, and its one dispatcher shows every wire.
//!
//! Life of a node: [`Event::Boot`] → the journal is read slot by slot → what must be rewritten or erased is, and the
//! boot incarnation is recorded → once that is durable the application gets [`Input::Start`] and the node speaks.
//! A failed write or sync stops it for good; so does a damaged journal.
//!
//! What is absent: sockets, threads, files and clocks (drivers), keys (drivers seal and open outside `handle`), and
//! any knowledge of what the application does.

mod application;
mod contract;
mod engine;
mod loads;
mod objects;
mod observation;
mod outbox;
mod overload;
mod startup;
mod trimming;

pub use application::{Application, Delivery, Gating, Input, LoadError, Message, ObjectError, Output, Route, Visible};
pub use contract::{Action, Effect, Event, Observed, Outgoing, Refusal, Scratch, StopReason, StoreFailure};
pub use engine::{Node, Seat};
pub use loads::{LOADS_MAX, Ticket};
pub use objects::{FETCHES_MAX, LISTED_MAX};
pub use observation::NodeObservation;

#[cfg(test)]
mod tests;
