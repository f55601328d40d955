//! Scenario files: what a run is made of, in TOML.
//!
//! [`schema`] says what can be written, [`units`] how times, shares and rates are spelled, [`parse`] turns text into a
//! validated [`Scenario`] or into an error with line and suggestion, and [`plan`] draws from the seed what the file
//! leaves open. [`Section`] is one that belongs to a single subject. Running one is not done here.

mod control;
pub mod kind;
mod mesh;
mod objects;
mod parse;
mod placement;
mod plan;
mod schema;
mod section;
mod shards;
mod tasks;
pub mod units;
mod validate;

pub use control::{ControlLoad, RecoveryLoad, RecoverySource};
pub use kind::FaultKind;
pub use mesh::{MeshLoad, Profile};
pub use objects::ObjectLoad;
pub use parse::{ScenarioError, parse, parse_with, to_toml};
pub use placement::PlacementLoad;
pub use plan::{Plan, PlannedFault};
pub use schema::{
    Clocks, Direction, DiskSettings, EchoLoad, Expect, Fault, JournalLoad, NetworkSettings, Nodes, Phases, Scenario,
};
pub use section::Section;
pub use shards::ShardLoad;
pub use tasks::TaskLoad;
pub use validate::Invalid;
pub(crate) use validate::validate;

#[cfg(test)]
mod tests;
