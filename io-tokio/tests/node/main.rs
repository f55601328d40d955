//! What a program and other nodes notice of a node that is driven for real: sockets on this machine, a disk, clocks.
//!
//! Each story starts what it needs, waits for what it is about, and lets everything go. Ports are the operating
//! system's choice. Every wait has an end far beyond what it needs, so that a defect fails instead of hanging.

mod clients;
mod control;
mod crash;
mod hostile;
mod keys;
mod ledger;
mod lifecycle;
mod membership;
mod mesh;
mod objects;
mod raw;
mod stage;
