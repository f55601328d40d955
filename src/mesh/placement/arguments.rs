//! What can be typed behind `relaymesh mesh shards` and `relaymesh mesh peers`.

use crate::mesh::arguments::FolderArguments;
use crate::tasks::arguments::Place;
use clap::{Args, Subcommand, ValueEnum};
use relaymesh_core::control::state::{Name, PARALLEL_MAX};
use relaymesh_core::shards::placement::{Strategy, WEIGHT_MAX};
use relaymesh_core::time::WallTime;

#[derive(Debug, Subcommand)]
pub(crate) enum ShardsCommand {
    /// Show every shard: who owns it, who has copies, and where it ought to be
    List(ListArguments),
    /// Show how the placement of a namespace stands: the load of each node, the plan that there is, and what plans have done
    Plan(Place),
    /// Show what a plan moves, or has moved
    #[command(after_help = "\
Without a plan's number it is the plan that there is, or else the last one that is over. What moves while it is carried out
`mesh shards list` shows.

Examples:
  relaymesh mesh shards diff --dir /tmp/mesh-a
  relaymesh mesh shards diff 4711 --dir /tmp/mesh-a -o json")]
    Diff(DiffArguments),
    /// Show what would move, if nodes came, went, drained or weighed something else; nothing is changed
    #[command(after_help = "\
It is worked out here, from the table that the node knows, just as the mesh would.

Examples:
  relaymesh mesh shards simulate --add zone-b --dir /tmp/mesh-a
  relaymesh mesh shards simulate --drain c --weight a=200 --dir /tmp/mesh-a
  relaymesh mesh shards simulate --strategy locality --dir /tmp/mesh-a")]
    Simulate(SimulateArguments),
    /// Make a plan that evens load out, and show it; approve one, give one up, or take the last one back
    #[command(after_help = "\
Nothing moves before a plan is approved. It names the version of the table that it was made for: where that is another one
by then, or a node that it gives something has gone, it is refused, and another one has to be made. At most a tenth of the
owners move in one plan, unless `--all` is given.

With `--at`, replicas come in at once, and all owners change at that time, by what most clocks show.

Examples:
  relaymesh mesh shards rebalance --dir /tmp/mesh-a
  relaymesh mesh shards rebalance --approve 4711 --dir /tmp/mesh-a
  relaymesh mesh shards rebalance --yes --dir /tmp/mesh-a
  relaymesh mesh shards rebalance --approve 4711 --at 2026-11-21T22:00:00Z --dir /tmp/mesh-a
  relaymesh mesh shards rebalance --back --yes --dir /tmp/mesh-a")]
    Rebalance(RebalanceArguments),
    /// Let shards take nothing from clients; what is under way goes on, and reads are answered
    #[command(after_help = "\
Without numbers it is all shards of the namespace. Work that was taken before goes on to its end.

Examples:
  relaymesh mesh shards pause 3 4 --dir /tmp/mesh-a
  relaymesh mesh shards resume --dir /tmp/mesh-a")]
    Pause(PauseArguments),
    /// Let shards take again what clients ask
    Resume(PauseArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeersCommand {
    /// Show how much every node has to do, against what it could and what is usual
    #[command(after_help = "\
All nodes are asked. The level is the worst of three, in percent of what is usual among them: requests under way for the
weight, how long its disk takes, and how many commands fail. One that stays at 300 % or more for long is strained: it counts as half
of its weight, so that the next plan takes shards away from it.

Example:
  relaymesh mesh peers capacity --dir /tmp/mesh-a")]
    Capacity(FolderArguments),
    /// Show every node as a place for shards: its weight, its zone, whether it takes anything, and what it has
    List(FolderArguments),
    /// Give a node nothing new; what it has it keeps
    Cordon(PeerArguments),
    /// Let a node be given what suits it again
    Uncordon(PeerArguments),
    /// Have a node give away all that it has, and give it nothing new: before it is stopped for good, or for long
    #[command(after_help = "\
It goes on serving each shard until another node has taken it over. The command returns once nothing is left on it; ended
before, it goes on all the same. `mesh peers uncordon` takes the node back.

Example:
  relaymesh mesh peers drain c --dir /tmp/mesh-a")]
    Drain(DrainArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Only this namespace
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// Number of the plan
    #[arg(value_name = "PLAN")]
    pub(crate) plan: Option<u64>,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// With another strategy
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) strategy: Option<StrategyName>,
    /// With one more node, in that zone; may be repeated
    #[arg(long, value_name = "ZONE[:WEIGHT]", value_parser = addition)]
    pub(crate) add: Vec<(Name, u16)>,
    /// Without that node; may be repeated
    #[arg(long, value_name = "NODE")]
    pub(crate) remove: Vec<String>,
    /// With that node draining; may be repeated
    #[arg(long, value_name = "NODE")]
    pub(crate) drain: Vec<String>,
    /// With another weight of that node; may be repeated
    #[arg(long, value_name = "NODE=WEIGHT", value_parser = weighed)]
    pub(crate) weight: Vec<(String, u16)>,
    /// Also more than a tenth of the owners, if nothing forces it
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RebalanceArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Change to that strategy
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) strategy: Option<StrategyName>,
    /// Move also more than a tenth of the owners
    #[arg(long)]
    pub(crate) all: bool,
    /// Shards that move at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(PARALLEL_MAX)))]
    pub(crate) parallel: Option<u16>,
    /// Take back what the last plan has moved
    #[arg(long, conflicts_with_all = ["strategy", "all"])]
    pub(crate) back: bool,
    /// Carry that plan out
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["strategy", "all", "parallel", "back", "cancel", "yes"])]
    pub(crate) approve: Option<u64>,
    /// Give that plan up: what has moved stays
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["strategy", "all", "parallel", "back", "yes"])]
    pub(crate) cancel: Option<u64>,
    /// Approve the plan that is made, without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// When owners are to change, all of them at once; as soon as each can, so many at a time, without
    #[arg(long, value_name = "TIME", value_parser = crate::wall::instant, conflicts_with_all = ["cancel", "parallel"])]
    pub(crate) at: Option<WallTime>,
    /// Return at once, and not when all has moved
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArguments {
    /// Numbers of shards; all of the namespace without
    #[arg(value_name = "SHARD")]
    pub(crate) shards: Vec<u32>,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct PeerArguments {
    /// Name or id of the node
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DrainArguments {
    #[command(flatten)]
    pub(crate) peer: PeerArguments,
    /// Return at once, and not when nothing is left
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// A strategy, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrategyName {
    /// As sites follow on a ring
    Ring,
    /// By a draw for each shard and site
    Rendezvous,
    /// As rendezvous, in the zone where the owner was
    Locality,
}

impl From<StrategyName> for Strategy {
    fn from(name: StrategyName) -> Self {
        match name {
            StrategyName::Ring => Self::Ring,
            StrategyName::Rendezvous => Self::Rendezvous,
            StrategyName::Locality => Self::Locality,
        }
    }
}

/// A weight, as it is typed.
pub(crate) fn weight(text: &str) -> Result<u16, String> {
    let weight = text.parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight));
    weight.ok_or_else(|| format!("a weight is a number from 1 to {WEIGHT_MAX}; 100 is usual"))
}

/// A zone, as it is typed.
pub(crate) fn zone(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|problem| format!("not a zone: {problem}"))
}

fn addition(text: &str) -> Result<(Name, u16), String> {
    match text.rsplit_once(':') {
        Some((name, of)) => Ok((zone(name)?, weight(of)?)),
        None => Ok((zone(text)?, 100)),
    }
}

fn weighed(text: &str) -> Result<(String, u16), String> {
    let (node, of) = text.rsplit_once('=').ok_or("written as NODE=WEIGHT, such as a=200")?;
    Ok((node.to_owned(), weight(of)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_understood_or_refused_in_words() {
        assert_eq!(addition("b:200"), Ok((Name::new("b").unwrap(), 200)));
        assert_eq!(addition("b"), Ok((Name::new("b").unwrap(), 100)));
        assert_eq!(weighed("a=1"), Ok(("a".to_owned(), 1)));
        assert!(addition("b:0").unwrap_err().contains("1 to 1024"));
        assert!(weighed("a").unwrap_err().contains("NODE=WEIGHT"));
        assert!(zone("a b").unwrap_err().contains("not a zone"));
    }
}
