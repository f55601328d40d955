//! The seeded simulator of RelayMesh: a world in which the machines of `relaymesh-core` run, break, and are watched.
//!
//! Reading path: [`scenario`] (what a run is made of), [`world`] (how it runs), [`check`] (what must hold), [`trace`]
//! (what happened), [`shrink`] (the smallest run that still fails), [`subjects`] (what can be simulated), and [`example`]
//! (a complete application, written and tested as machines should be).
//!
//! A run follows from scenario and seed alone, on any machine. Absent on purpose: threads, wall time and files; they
//! belong to the command line.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod check;
pub mod clock;
pub mod disk;
pub mod example;
pub mod mesh;
pub mod network;
pub mod placement;
pub mod queue;
pub mod scenario;
pub mod shrink;
pub mod slab;
pub mod streams;
pub mod subject;
pub mod subjects;
pub mod time;
pub mod trace;
pub mod world;
