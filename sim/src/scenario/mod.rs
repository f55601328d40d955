//! Scenario files: what a run is made of, in TOML.
//!
//! [`schema`] says what can be written, [`units`] how times, shares and rates are spelled, [`parse`] turns text into a
//! validated [`Scenario`] or into an error with line and suggestion, and [`plan`] draws from the seed what the file
//! leaves open. Running one is not done here.

pub mod kind;
mod parse;
mod plan;
mod schema;
pub mod units;
mod validate;

pub use kind::FaultKind;
pub use parse::{ScenarioError, parse, parse_with, to_toml};
pub use plan::{Plan, PlannedFault};
pub use schema::{
    Clocks, Direction, DiskSettings, EchoLoad, Expect, Fault, JournalLoad, NetworkSettings, Nodes, Phases, Scenario,
};
pub use validate::Invalid;

#[cfg(test)]
mod tests;
