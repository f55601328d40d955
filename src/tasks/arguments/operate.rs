//! What can be typed to steer tasks: by agent, by state, by age.

use super::{Place, TaskArguments, label, name};
use crate::cli::duration;
use clap::{Args, Subcommand};
use relaymesh_core::task::limit::LimitName;
use relaymesh_core::task::workflow::Name;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum OperateCommand {
    /// Show a task, and with --watch how its steps come along until it has ended
    #[command(after_help = "\
Drawn anew in a terminal; otherwise a line is printed whenever something has changed. With --watch, exit code 1 if it does
not end with success.

Examples:
  relaymesh workflow 4a7d692fe0e9010086830980400422e3 --dir /tmp/mesh-a
  relaymesh workflow 4a7d692fe0e9010086830980400422e3 --watch --dir /tmp/mesh-a")]
    Workflow(WatchArguments),
    /// Show who works, what they offer, and what they run
    #[command(after_help = "\
As every node that owns a shard has heard within the last seconds. `free` is how many steps a worker could take now.

Examples:
  relaymesh workers --dir /tmp/mesh-a
  relaymesh workers --dir /tmp/mesh-a -o json")]
    Workers(Place),
    /// Show which agents there are: who offers them, what waits for them, and what holds for their tasks
    #[command(after_help = "\
An agent that steps need and nobody offers is shown, too: those steps wait until a worker with it comes.

Examples:
  relaymesh agents --dir /tmp/mesh-a
  relaymesh agents --namespace billing --dir /tmp/mesh-a -o json")]
    Agents(Place),
    /// Have dead tasks begin again, many at once
    #[command(after_help = "\
Asked of every shard. Tasks that begin again meanwhile are left alone. Exit code 1 if a shard could not be reached, or a
task did not begin again; both are named.

Examples:
  relaymesh replay-batch --dry-run --dir /tmp/mesh-a
  relaymesh replay-batch --agent notify --younger-than 1h --dir /tmp/mesh-a
  relaymesh replay-batch --label team=billing --limit 100 --dir /tmp/mesh-a")]
    ReplayBatch(ReplayArguments),
    /// Write dead tasks as lines of JSON, with the last words of their steps
    #[command(after_help = "\
Examples:
  relaymesh dead-export --dir /tmp/mesh-a | wc -l
  relaymesh dead-export --agent notify --to dead.jsonl --dir /tmp/mesh-a")]
    DeadExport(ExportArguments),
    /// Remove tasks that ended long enough ago, before their retention is over
    #[command(after_help = "\
Example:
  relaymesh purge --ended-before 24h --dir /tmp/mesh-a")]
    Purge(PurgeArguments),
    /// Give no step of an agent out any more; what runs may end
    #[command(after_help = "\
Examples:
  relaymesh pause notify --dir /tmp/mesh-a
  relaymesh pause --all --dir /tmp/mesh-a
  relaymesh resume notify --dir /tmp/mesh-a")]
    Pause(WhichArguments),
    /// Give steps of an agent out again
    Resume(WhichArguments),
    /// Say how often an agent's steps are tried and how long they may take, where they do not say so
    #[command(after_help = "\
Examples:
  relaymesh policy notify --attempts 10 --base-backoff 2s --max-backoff 5m --timeout 30s --dir /tmp/mesh-a
  relaymesh policy notify --clear --dir /tmp/mesh-a")]
    Policy(PolicyArguments),
    /// Say how many steps of an agent, or with a key, may run at once, and how many may begin; or show what holds
    #[command(after_help = "\
Counted over all shards of the namespace. Of steps that share a key one runs at a time unless something else is said. A rate
counts attempts, by the clock of whoever owns the limit's shard.

Examples:
  relaymesh limit --agent notify --at-once 5 --rate 100/1m --dir /tmp/mesh-a
  relaymesh limit --key disk --at-once 2 --dir /tmp/mesh-a
  relaymesh limit --agent notify --clear --dir /tmp/mesh-a
  relaymesh limit --agent notify --dir /tmp/mesh-a")]
    Limit(LimitArguments),
}

/// Which limit.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct LimitOf {
    /// Of steps of this agent
    #[arg(long, value_name = "AGENT", value_parser = name)]
    agent: Option<Name>,
    /// Of steps with this concurrency key
    #[arg(long, value_name = "KEY", value_parser = name)]
    key: Option<Name>,
}

impl LimitOf {
    pub(crate) fn name(&self) -> LimitName {
        match (&self.agent, &self.key) {
            (None, Some(key)) => LimitName::Key(key.clone()),
            (Some(agent), _) => LimitName::Agent(agent.clone()),
            (None, None) => unreachable!("one of them is required"),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct LimitArguments {
    #[command(flatten)]
    pub(crate) which: LimitOf,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Steps that may run at once, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at_once: Option<u32>,
    /// Attempts that may begin in any such span
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    pub(crate) rate: Option<(u32, Duration)>,
    /// Nothing is said any more: one at once of a key, any number of an agent
    #[arg(long, conflicts_with_all = ["at_once", "rate"])]
    pub(crate) clear: bool,
}

fn rate(text: &str) -> Result<(u32, Duration), String> {
    let (count, per) = text.split_once('/').ok_or("a number and a time, as in 100/1m")?;
    let count = count.parse().map_err(|_| format!("{count:?} is no number of attempts"))?;
    Ok((count, duration(per)?))
}

#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    /// Until it has ended
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Which dead tasks.
#[derive(Debug, Args)]
pub(crate) struct DeadArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Only those with this label; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = label)]
    pub(crate) label: Vec<(Name, String)>,
    /// Only those of which a step of this agent is dead
    #[arg(long, value_name = "AGENT", value_parser = name)]
    pub(crate) agent: Option<Name>,
    /// Only those that died longer ago than that
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,
    /// Only those that died within that time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) younger_than: Option<Duration>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) dead: DeadArguments,
    /// Show which ones, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    pub(crate) dead: DeadArguments,
    /// File to write, whole or not at all [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Tasks that ended longer ago than that
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) ended_before: Duration,
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["agent", "all"])]
pub(crate) struct WhichArguments {
    /// Which agent
    #[arg(value_parser = name)]
    pub(crate) agent: Option<Name>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
#[group(id = "said", required = true, multiple = true, args = ["attempts", "base_backoff", "max_backoff", "timeout", "clear"])]
pub(crate) struct PolicyArguments {
    /// Which agent
    #[arg(value_parser = name)]
    pub(crate) agent: Name,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Attempts in all, 1 to 100 [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) attempts: Option<u16>,
    /// The longest wait after the first attempt; it doubles with each [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) base_backoff: Option<Duration>,
    /// The longest wait after any attempt [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_backoff: Option<Duration>,
    /// How long an attempt may take [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Nothing is said any more: the defaults hold
    #[arg(long, conflicts_with_all = ["attempts", "base_backoff", "max_backoff", "timeout"])]
    pub(crate) clear: bool,
}
