//! `relaymesh sim`: scenarios are run, searched, shrunk and compared here.
//!
//! The simulator itself knows no thread, clock or file; this is where those are.

mod bars;
mod campaign;
mod chaos;
mod determinism;
mod execute;
mod files;
mod junit;
mod list;
mod margin;
mod matrix;
mod measure;
mod moves;
mod pool;
mod replay;
mod run;
mod shrink;
mod unit;

use crate::cli::{Measure, Sim, SimCommand};
use crate::error::{Error, Exit};
use crate::output::Output;

/// Does what was asked for.
pub(crate) fn run(sim: &Sim, output: &Output) -> Result<Exit, Error> {
    let library = files::Library::new(sim.scenarios.as_deref());
    match &sim.command {
        SimCommand::List => list::list(&library, output),
        SimCommand::Run(arguments) => run::run(&library, arguments, output),
        SimCommand::Chaos(arguments) => chaos::chaos(&library, arguments, output),
        SimCommand::Shrink(arguments) => shrink::shrink(&library, arguments, output),
        SimCommand::CheckDeterminism(arguments) => determinism::check(&library, arguments, output),
        SimCommand::Campaign(arguments) => campaign::campaign(&library, arguments, output),
        SimCommand::Measure(Measure::Membership(arguments)) => measure::membership(arguments, output),
        SimCommand::Measure(Measure::Failover(arguments)) => measure::failover(arguments, output),
        SimCommand::Measure(Measure::Takeover(arguments)) => measure::takeover(arguments, output),
        SimCommand::Measure(Measure::Clocks(arguments)) => margin::run(arguments, output),
        SimCommand::Measure(Measure::Shards(arguments)) => moves::run(arguments, output),
        SimCommand::Hashes(arguments) => determinism::hashes(&library, arguments, output),
    }
}
