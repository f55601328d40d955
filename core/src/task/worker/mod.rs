//! Who does the work of a node: takes what is ready, makes inputs, has agents run, and says what became of it.
//!
//! ```text
//!              Offer                Claimed                    Ended
//!   owners ──────────► posts ──────────────► jobs ◄───────────────────── runner
//!          ◄────────── Beat    Claim, Report  │      Run, Kill             ▲
//!          Beaten ───►           (by the log) └────────────────────────────┘
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | `machine` | the events, one by one |
//! | `claims` | what is claimed, and what is given |
//! | `posts` | claims with each shard: their numbers, and until when they live |
//! | `jobs` | what there is of a step, from its claim to its report |
//! | `steps` | how the worker goes on with one |
//! | `held` | what the worker says it has |
//! | `inputs` | what a run is made from |
//! | [`view`] | what whoever runs agents asks, and is told |
//!
//! Rules T2a, T2b, T4b and T4c of `docs/tasks.md` are kept here; the rest rests on the log alone.
//!
//! Absent on purpose: child processes, which are the shell's.

mod claims;
mod held;
mod inputs;
mod jobs;
mod machine;
mod posts;
mod steps;
#[cfg(test)]
mod tests;
pub mod view;

pub(in crate::task) use self::inputs::sources;
pub use self::machine::{Action, Event, Sees, Worker};
