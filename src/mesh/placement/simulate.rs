//! `relaymesh mesh shards simulate`: what would move. Worked out here, as the mesh would.

use super::arguments::SimulateArguments;
use super::ask::placement;
use super::plan::{Load, loads, loads_shown};
use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::output::{Output, counted, note};
use relaymesh_core::identity::NodeId;
use relaymesh_core::shards::placement::{Moved, Rule, Site, Sites, Standing, Strategy, Work};
use serde::Serialize;
use std::collections::BTreeMap;

/// What would come of it, as people and programs see it.
#[derive(Debug, Serialize)]
struct Simulated {
    namespace: String,
    strategy: &'static str,
    shards: u32,
    /// Shards that would move, in any way.
    moves: u64,
    /// Those that another node would own.
    owners: u64,
    /// Copies that would be made.
    copies: u64,
    /// Owners that would have to move, whatever is allowed.
    forced: u32,
    /// The owners that would move, in percent of all shards.
    owners_percent: f64,
    /// More would move, if more were allowed to.
    more_with_all: bool,
    nodes: Vec<Load>,
}

pub(super) fn run(arguments: &SimulateArguments, output: &Output) -> Result<Exit, Error> {
    let (names, view, before) = block_on(async {
        let names = Names::of(members(&arguments.place.folder.dir).await?);
        let (view, table) = placement(&arguments.place).await?;
        Ok((names, view, table))
    })?;
    let mut sites: BTreeMap<NodeId, Site> = view.open_sites.iter().map(|site| (site.node, *site)).collect();
    for name in &arguments.remove {
        sites.remove(&names.node(name)?);
    }
    for name in &arguments.drain {
        if let Some(site) = sites.get_mut(&names.node(name)?) {
            site.standing = Standing::Draining;
        }
    }
    for (name, weight) in &arguments.weight {
        if let Some(site) = sites.get_mut(&names.node(name)?) {
            site.weight = *weight;
        }
    }
    let mut added = BTreeMap::new();
    for ((zone, weight), number) in arguments.add.iter().zip(1_u128..) {
        let node = NodeId::from_bytes((u128::MAX - number).to_be_bytes());
        added.insert(node, format!("new-{number}"));
        sites.insert(node, Site { node, weight: *weight, zone: *zone, standing: Standing::Open });
    }
    let strategy: Strategy = arguments.strategy.map_or(before.rule().strategy, Strategy::from);
    let rule = Rule { strategy, ..*before.rule() };
    let moves_max = if arguments.all { u32::MAX } else { rule.shards.div_ceil(10) };
    let sites = Sites::new(sites.into_values().collect()).map_err(|problem| Error::Simulate(problem.to_string()))?;
    let work =
        Work::new(rule, sites, Some(&before), moves_max).map_err(|problem| Error::Simulate(problem.to_string()))?;
    let done = work.run(before.version());
    let moved = before.diff(&done.table);
    let count = |is: fn(&Moved) -> bool| moved.iter().filter(|moved| is(moved)).count() as u64;
    let called = |site: &Site| added.get(&site.node).cloned().unwrap_or_else(|| names.name(site.node));
    let owners = count(Moved::is_owner);
    let simulated = Simulated {
        namespace: rule.namespace.to_string(),
        strategy: strategy.name(),
        shards: rule.shards,
        moves: moved.len() as u64,
        owners,
        copies: moved.iter().map(|moved| moved.copies() as u64).sum(),
        forced: done.forced,
        owners_percent: owners as f64 * 100.0 / f64::from(rule.shards),
        more_with_all: done.is_cut_short,
        nodes: loads(&done.table, called),
    };
    if output.is_json() {
        output.json(&simulated)?;
        return Ok(Exit::Held);
    }
    output.print(&loads_shown(&simulated.nodes, output))?;
    note(format_args!(
        "{} of {} would move: {} to another owner ({:.1} %, {} of them forced), with {} to be made{}",
        simulated.moves,
        counted(rule.shards.into(), "shard"),
        simulated.owners,
        simulated.owners_percent,
        simulated.forced,
        counted(simulated.copies, "copy").replace("copys", "copies"),
        if simulated.more_with_all { "; with --all more would" } else { "" },
    ));
    Ok(Exit::Held)
}
