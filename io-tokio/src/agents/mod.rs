//! The agents of a node: child processes, and three built-in ones.
//!
//! Reading path: [`catalog`] (what an operator may say about an agent), [`job`] (what is to be run, and how it ended),
//! [`runner`] (runs it), [`shim`] (the process between the node and an agent), [`attend`] (works for a node). Inside: `child` (one run of a child
//! process), `start` (brings it to life), `streams` (its input and output), `builtin`, `wire` (what node and shim say to
//! each other), `processes` (what `/proc` says).
//!
//! Nothing is decided here: which step runs where, whether it runs again and when it must stop is for the machines of
//! `core`. They say *run this* and *kill that*; the runner reports what happened, once, when nothing of the run is left.
//!
//! Two things always hold, each for a reason that lies in the kernel and not in a timer of ours:
//! - **Whatever ends the node ends its agents.** A shim stands above each agent, in a session of its own. It holds one
//!   end of a socket whose other end only the node has; the kernel closes that one when the node dies, however it dies.
//! - **A run has ended when every process of it is dead**, daemons included: the shim is their subreaper, so an orphan
//!   becomes its child, and it does not end while it has one that it may signal.
//!
//! The parent-death signal (`PR_SET_PDEATHSIG`) is not used, for three reasons: it is sent when the *thread* that forked
//! ends, and threads of an asynchronous runtime come and go; it reaches one process and none that this one started; and
//! setting it between `fork` and `exec` needs unsafe code.
//!
//! Linux 5.3 or newer, with `/proc`.

mod attach;
mod builtin;
pub mod catalog;
mod child;
pub mod job;
mod kill;
mod processes;
pub mod runner;
pub mod shim;
mod start;
mod streams;
mod wire;

pub use attach::attend;
pub use catalog::{Agent, Catalog, CatalogError};
pub use job::{Attempt, Event, Job, Outcome, Progress, RunKey, Why};
pub use kill::Kill;
pub use runner::{Refused, Run, Runner, RunnerError, Settings};
pub use shim::Shim;
