//! `relaymesh mesh shards list`: shards as they are, and where they ought to be.

use super::arguments::ListArguments;
use super::ask::{namespaces, placement, rows};
use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::output::{Output, Tone, cell, counted, note, rendered};
use crate::tasks::arguments::Place;
use relaymesh_core::identity::NodeId;
use relaymesh_core::shards::host::Row;
use relaymesh_core::shards::host::plan_view::PlacementView;
use relaymesh_core::shards::placement::Table;
use serde::Serialize;

/// A shard, as people and programs see it.
#[derive(Debug, Serialize)]
struct Shard {
    namespace: String,
    shard: u32,
    /// Name of the node that owns it.
    owner: Option<String>,
    /// Under which epoch.
    epoch: String,
    /// Who has copies of all that is acknowledged, the owner among them.
    copies: Vec<String>,
    /// Who ought to, the owner first.
    placed: Vec<String>,
    /// settled, moving, elsewhere, ownerless or void.
    state: &'static str,
    /// Whether it takes nothing from clients.
    paused: bool,
}

pub(super) fn run(arguments: &ListArguments, output: &Output) -> Result<Exit, Error> {
    let shards = block_on(async {
        let folder = &arguments.folder.dir;
        let names = Names::of(members(folder).await?);
        let all = rows(folder).await?;
        let is_wanted = |name: &str| arguments.namespace.as_ref().is_none_or(|only| only == name);
        let mut shards = Vec::new();
        let known = namespaces(&all);
        if let Some(only) = arguments.namespace.as_ref().filter(|only| known.iter().all(|name| name.as_str() != *only))
        {
            let others = known.iter().map(ToString::to_string).collect();
            return Err(Error::NoNamespace { name: only.clone(), others });
        }
        for namespace in known.into_iter().filter(|name| is_wanted(name.as_str())) {
            let place = Place::of(folder, namespace);
            let (view, table) = placement(&place).await?;
            let rows = all.iter().filter(|row| row.shard.namespace == namespace);
            shards.extend(rows.map(|row| Shard::new(&names, row, &view, &table)));
        }
        Ok(shards)
    })?;
    if output.is_json() {
        output.json(&shards)?;
        return Ok(Exit::Held);
    }
    let mut table = output.table(&["namespace", ">shard", "owner", "copies", "ought to be on", "state", "epoch"]);
    for shard in &shards {
        let tone = match shard.state {
            "settled" => Tone::Good,
            "moving" | "elsewhere" => Tone::Warn,
            _ => Tone::Bad,
        };
        let owner = shard.owner.as_deref().map_or_else(|| cell(Tone::Bad, "nobody"), |owner| cell(Tone::Strong, owner));
        table.add_row([
            cell(Tone::Plain, &shard.namespace),
            cell(Tone::Plain, shard.shard),
            owner,
            cell(Tone::Plain, shard.copies.join(" ")),
            cell(Tone::Plain, shard.placed.join(" ")),
            match shard.paused {
                true => cell(Tone::Warn, format!("{}, paused", shard.state)),
                false => cell(tone, shard.state),
            },
            cell(Tone::Dim, &shard.epoch),
        ]);
    }
    output.print(&rendered(&table))?;
    let elsewhere = shards.iter().filter(|shard| shard.state == "elsewhere").count() as u64;
    if elsewhere > 0 {
        note(format_args!(
            "{} elsewhere than they ought to be: `relaymesh mesh shards rebalance` makes a plan",
            counted(elsewhere, "shard")
        ));
    }
    Ok(Exit::Held)
}

impl Shard {
    fn new(names: &Names, row: &Row, view: &PlacementView, table: &Table) -> Self {
        let (record, number) = (&row.record, row.shard.number);
        let placed: Vec<NodeId> = table.copies(number).collect();
        let copies: Vec<NodeId> = record.in_sync.iter().map(|member| member.node).collect();
        let owner = record.owner.map(|owner| owner.node);
        let is_there = owner == placed.first().copied() && placed.len() == copies.len();
        let is_moving = view.plan.as_ref().is_some_and(|plan| plan.moving.contains(&number));
        let state = match owner {
            _ if record.is_void => "void",
            None => "ownerless",
            Some(_) if is_there && placed.iter().all(|node| copies.contains(node)) => "settled",
            Some(_) if is_moving => "moving",
            Some(_) => "elsewhere",
        };
        let called = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| names.name(node)).collect();
        Self {
            namespace: row.shard.namespace.to_string(),
            shard: number,
            owner: owner.map(|owner| names.name(owner)),
            epoch: format!("{}.{}", record.epoch.cluster.0, record.epoch.lease),
            copies: called(copies),
            placed: called(placed),
            state,
            paused: view.paused.contains(&number),
        }
    }
}
