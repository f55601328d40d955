//! The thin shell around the machines of `relaymesh-core`: it does what they decide.
//!
//! Reading path: [`start`] (how a node comes to run), [`Handle`] (what a program can do with one that runs), [`folder`]
//! (what a node keeps), [`settings`] (what an operator may choose), [`control`] (how the command line asks), [`agents`]
//! (what runs the steps of tasks). Inside: `driver` (events in, actions out), `transport` (streams and datagrams), `store`
//! (the journal on disk).
//!
//! What belongs here: transports, stores, timers, child processes and the HTTP surface. A branch on the content of a
//! message does not: that would be a decision, and decisions are simulated.

pub mod agents;
pub mod clock;
pub mod control;
mod driver;
pub mod entropy;
pub mod folder;
mod handle;
mod keys;
pub mod settings;
mod store;
mod tally;
mod transport;

pub use driver::{Runnable, StartError, start};
pub use handle::{DriverError, Handle, Noticed, Observations, RequestError, Sighting, Stopped};
pub use keys::InstallError;
pub use store::StoreError;
pub use tally::Counts;
pub use transport::ListenError;
