//! What can be typed behind `relaymesh sim measure`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use relaymesh_core::membership::settings::Profile;
use relaymesh_core::shards::placement::Strategy;
use relaymesh_sim::mesh::measure::Experiment;

#[derive(Debug, Subcommand)]
pub(crate) enum Measure {
    /// How fast a mesh of so many nodes notices joins, crashes and partitions, how often it errs, and what it sends
    #[command(after_help = "\
Every experiment runs from every seed, with every number of nodes and every size of metadata. Each
figure is shown with the runs in which it came about, and its median, 99th percentile and maximum
over all runs: values that were measured (nearest rank), where a run in which it never came about
counts as never, which is null in JSON. All of it is simulated time.

A run that breaks a safety invariant ends there, and counts as one in which nothing came about. Each
broken run is named on stderr with the command that shows it again, and decides the exit code.

Experiments:
  changes     a mesh forms; one node joins, one leaves, one crashes; half are cut off for 2 min
  quiet       ten minutes at 1 % loss: errors and traffic
  lossy-node  one node loses four packets of five, both ways
  flip-flop   one node hears nothing for 20 s, then everything for 20 s, and so on

Examples:
  relaymesh sim measure membership --nodes 200 --seeds 50
  relaymesh sim measure membership --nodes 200,1000 --experiment quiet --metadata 40,300 --json")]
    Membership(Membership),
    /// For how long nobody leads the control group, or nobody holds a scope, after a crash or a planned transfer
    #[command(after_help = "\
Figures are shown as those of membership are.

Experiments:
  leader-crash  who leads is killed: until the first commit of another
  holder-crash  who holds a scope is killed: until another holds it
  both-crash    who leads and holds is killed: until another holds
  handover      a scope is handed over: until the other holds it

Examples:
  relaymesh sim measure failover --seeds 200")]
    Failover(Failover),
    /// For how long nothing is acknowledged by a shard, after a crash or while it is handed over
    #[command(after_help = "\
Figures are shown as those of membership are, and held against what they ought to be.

Experiments:
  owner-crash             who owns the shard is killed: until a client is told of the next acknowledged command
  owner-and-leader-crash  who owns the shard and leads the control group is killed
  hand-over               the shard is handed over: the longest time without an acknowledgement

Examples:
  relaymesh sim measure takeover --seeds 200")]
    Takeover(Takeover),
    /// How far clocks may stray before two nodes act under one lease at once
    #[command(after_help = "\
One node leads, another one holds every scope and is cut off again and again; the clock of one of them is wrong, by up to
five times to live. Within ε nobody may act at once with another; beyond it that is counted. However far a clock strays,
tokens must rise and nobody may accept an older one: `others` stays zero.

Example:
  relaymesh sim measure clocks --seeds 20")]
    Clocks(Clocks),
    /// What moves when a node joins or leaves, and how hot the hottest node is
    #[command(after_help = "\
Works tables of placements out, from every seed, with each strategy, with nodes of one weight and with nodes of several.
Each table has a history of nodes that came and went. Nothing is simulated: it is the tables that are measured.

Examples:
  relaymesh sim measure shards
  relaymesh sim measure shards --shards 4000 --nodes 200 --strategy locality --json")]
    Shards(Shards),
}

#[derive(Debug, Args)]
pub(crate) struct Shards {
    /// Shards of the namespace
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) shards: u32,
    /// Nodes
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..=4_000))]
    pub(crate) nodes: u32,
    /// Copies of each shard
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(crate) copies: u8,
    /// Zones that the nodes are in
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) zones: u32,
    /// Strategies [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = strategies())]
    pub(crate) strategy: Vec<Strategy>,
    /// Seeds
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) from_seed: u64,
    /// Runs at once [default: number of cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) jobs: Option<u16>,
}

/// Strategies by name.
fn strategies() -> impl TypedValueParser<Value = Strategy> {
    PossibleValuesParser::new(Strategy::ALL.map(Strategy::name))
        .try_map(|name| Strategy::ALL.into_iter().find(|it| it.name() == name).ok_or("no such strategy"))
}

#[derive(Debug, Args)]
pub(crate) struct Clocks {
    /// Seeds of each distance
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) from_seed: u64,
    /// Timing that the nodes are set to
    #[arg(long, value_name = "PROFILE", default_value = "lan", value_parser = profiles())]
    pub(crate) profile: &'static str,
    /// Runs at once [default: number of cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Failover {
    /// Experiments [default: the crashes and the handover]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = control_experiments())]
    pub(crate) experiment: Vec<Experiment>,
    /// Seeds of each experiment
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) from_seed: u64,
    /// Numbers of nodes, of which three vote
    #[arg(long, value_name = "N,…", default_value = "4", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(3..=2_000))]
    pub(crate) nodes: Vec<u32>,
    /// Timing that the nodes are set to
    #[arg(long, value_name = "PROFILE", default_value = "lan", value_parser = profiles())]
    pub(crate) profile: &'static str,
    /// Runs at once [default: number of cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Takeover {
    /// Experiments [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = shard_experiments())]
    pub(crate) experiment: Vec<Experiment>,
    /// Seeds of each experiment
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) from_seed: u64,
    /// Timing that the nodes are set to
    #[arg(long, value_name = "PROFILE", default_value = "lan", value_parser = profiles())]
    pub(crate) profile: &'static str,
    /// Runs at once [default: number of cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Membership {
    /// Numbers of nodes
    #[arg(long, value_name = "N,…", required = true, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(4..=2_000))]
    pub(crate) nodes: Vec<u32>,
    /// Seeds of each experiment
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// First seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) from_seed: u64,
    /// Bytes with which each node describes itself
    #[arg(long, value_name = "BYTES,…", default_value = "40", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(..=512))]
    pub(crate) metadata: Vec<u16>,
    /// Timing that the nodes are set to
    #[arg(long, value_name = "PROFILE", default_value = "lan", value_parser = profiles())]
    pub(crate) profile: &'static str,
    /// Experiments [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = experiments())]
    pub(crate) experiment: Vec<Experiment>,
    /// Runs at once [default: number of cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) jobs: Option<u16>,
}

/// Timing profiles by name.
fn profiles() -> impl TypedValueParser<Value = &'static str> {
    let names = Profile::ALL.map(|(name, _)| name);
    PossibleValuesParser::new(names)
        .try_map(move |name| names.into_iter().find(|known| *known == name).ok_or("no such profile"))
}

/// Experiments by name.
fn experiments() -> impl TypedValueParser<Value = Experiment> {
    among(&Experiment::ALL)
}

fn control_experiments() -> impl TypedValueParser<Value = Experiment> {
    among(&Experiment::FAILOVER)
}

fn shard_experiments() -> impl TypedValueParser<Value = Experiment> {
    among(&Experiment::TAKEOVER)
}

fn among(experiments: &'static [Experiment]) -> impl TypedValueParser<Value = Experiment> {
    PossibleValuesParser::new(experiments.iter().map(|it| it.name()))
        .try_map(|name| experiments.iter().copied().find(|known| known.name() == name).ok_or("no such experiment"))
}
