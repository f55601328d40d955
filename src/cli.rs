//! What can be typed: commands, options, help and examples.

mod measure;

pub(crate) use measure::{Clocks, Failover, Measure, Membership, Shards, Takeover};

use crate::output::Format;
use clap::{Args, Parser, Subcommand};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
Exit codes:
  0   everything held
  1   the command could not do its work, or what it ran proved nothing
  2   a safety invariant was broken
  3   a liveness invariant was broken
  4   two runs of one seed differ
  64  the command or a scenario was not understood";

/// RelayMesh: durable tasks, replicated stores and fenced leaders, and the simulator that proves them.
#[derive(Debug, Parser)]
#[command(name = "relaymesh", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// How results are printed on stdout
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    output: Format,
    /// The same as `--output json`
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The format asked for.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole mesh on this machine: real processes, data in one folder, ready within seconds
    #[command(after_help = crate::dev::arguments::HELP)]
    Dev(crate::dev::arguments::DevArguments),
    /// Run failures from files and seeds: same seed, same run, on every machine
    Sim(Sim),
    #[command(flatten)]
    Mesh(crate::mesh::arguments::MeshCommand),
    #[command(flatten)]
    Tasks(crate::tasks::arguments::TaskCommand),
    /// Stand between a node and one of its agents; nodes start this themselves
    #[command(hide = true)]
    AgentShim,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Sim {
    /// Folder of scenarios [default: `scenarios` here or in the closest folder above]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) scenarios: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: SimCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Show the scenarios there are
    List,
    /// Run one scenario from one seed
    #[command(after_help = "\
Examples:
  relaymesh sim run calm --seed 7
  relaymesh sim run journal-kill --seed 3 --set nodes=5 --set 'fault[0].times=20'
  relaymesh sim run swarm --seed 41 --why 18230
  relaymesh sim run swarm --seed 41 --trace - | grep crash")]
    Run(Run),
    /// Run scenarios from many seeds, on every core
    #[command(after_help = "\
A zero proves nothing: the matrix fails (exit code 1) when a fault that a scenario names never fired, when something in
its `expect.fired` or `expect.exercised` stayed at zero, when a run had more excuses than `expect.excuses_max`, or (unless
--scenario narrows the matrix) when an invariant was exercised nowhere. Zeros count against scenarios that have run at
least 20 seeds; with fewer, or with --allow-zero, they are only reported.

Examples:
  relaymesh sim chaos --tag quick --seeds 20
  relaymesh sim chaos --scenario 'swarm*' --from-seed 1000 --seeds 500 --junit chaos.xml
  relaymesh sim chaos --seeds 100000 --budget 10m --json")]
    Chaos(Chaos),
    /// Find the smallest scenario that still breaks the same invariant
    #[command(after_help = "\
Examples:
  relaymesh sim shrink swarm --seed 41
  relaymesh sim shrink swarm --seed 41 --out scenarios/regression-41.toml")]
    Shrink(Shrink),
    /// Run every scenario twice, in debug and release, and as wasm32: one hash each
    #[command(after_help = "\
The other build profile needs `cargo` and the source tree; wasm32 needs the target wasm32-unknown-unknown and `node`.
What is not there is skipped, and said so. Rebuild this binary first when the source has changed since.")]
    CheckDeterminism(CheckDeterminism),
    /// Run scenarios for a long time, resumably, and keep the results as data
    #[command(after_help = "\
A campaign is a folder: campaign.toml (where and how it ran), one .json summary for each scenario, and summary.md for
people. Summaries are rewritten after every batch of seeds, so a campaign that was stopped goes on where it was. The
budget is core time (wall time × jobs), summed over every session of the campaign.

Examples:
  relaymesh sim campaign --out docs/campaigns/2026-11-engine --seeds 300 --budget 60m
  relaymesh sim campaign --out docs/campaigns/2026-11-engine --seeds 600")]
    Campaign(Campaign),
    /// Measure what a mesh needs to notice things, and what it costs
    #[command(subcommand)]
    Measure(Measure),
    /// Print the trace hash of every scenario; `check-determinism` compares these between builds
    #[command(hide = true)]
    Hashes(Hashes),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Name of a scenario, or path of a .toml file
    pub(crate) scenario: String,
    /// Seed of everything that is left to chance
    #[arg(long, value_name = "N")]
    pub(crate) seed: u64,
    /// Replace a value of the scenario; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
    /// Write one line for each event; `-` is stdout, and the report then goes to stderr
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print the chain of causes of this event, first cause first
    #[arg(long, value_name = "EVENT")]
    pub(crate) why: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only scenarios with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Only scenarios whose name matches, with `*` and `?`
    #[arg(long, value_name = "GLOB")]
    pub(crate) scenario: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Chaos {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Seeds of each scenario
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) seeds: u64,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) from_seed: u64,
    /// Runs at once [default: number of cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) jobs: Option<u16>,
    /// Begin no run after this much wall time, such as 90s or 10m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<Duration>,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Report what stayed at zero, but do not fail for it
    #[arg(long)]
    pub(crate) allow_zero: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Shrink {
    /// Name of a scenario, or path of a .toml file
    pub(crate) scenario: String,
    /// A seed that fails
    #[arg(long, value_name = "N")]
    pub(crate) seed: u64,
    /// Replace a value of the scenario first; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
    /// Where the small scenario goes [default: SCENARIO-seedN-shrunk.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Stop searching after this many runs
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) runs_max: u32,
}

#[derive(Debug, Args)]
pub(crate) struct CheckDeterminism {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Hashes {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Campaign {
    /// Folder of the campaign; made when it is not there, continued when it is
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Seeds of each scenario, from 1, those of earlier sessions included [default: as many as the budget allows]
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<u64>,
    /// Core time of the whole campaign [default: 60m, unless --seeds is given]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<Duration>,
    /// Runs at once [default: number of cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) jobs: Option<u16>,
    /// Continue although the source is another revision
    #[arg(long)]
    pub(crate) new_revision: bool,
    /// Report what stayed at zero, but do not fail for it
    #[arg(long)]
    pub(crate) allow_zero: bool,
}

/// The runs at once that were asked for, or one for each core.
pub(crate) fn jobs_or_cores(jobs: Option<u16>) -> usize {
    jobs.map_or_else(cores, usize::from)
}

/// Cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(crate) fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as nodes=5 or phases.safety=10s")?;
    Ok((key.trim().into(), value.trim().into()))
}

/// A span of time, spelled as in scenario files.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text: StrDeserializer<'_, Error> = text.into_deserializer();
    let span = relaymesh_sim::scenario::units::Span::deserialize(text).map_err(|error| error.to_string())?;
    Ok(Duration::from_nanos(span.0.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_spelled_as_in_scenarios() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert!(duration("10").unwrap_err().contains("write a number and a unit"));
    }
}
