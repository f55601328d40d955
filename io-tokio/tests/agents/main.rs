//! What a node notices of its agents: real processes, started, read, limited and killed.
//!
//! The process above an agent is this very program again, which then runs one ignored test and nothing else
//! (`stage::as_another_process`). So are the helpers that some stories need: a node that is killed, and a daemon.

mod catalog;
mod death;
mod environment;
mod killing;
mod limits;
mod outcomes;
mod progress;
mod runner;
mod stage;
