//! `relaymesh mesh peers capacity`: how much each node has to do, against what it could.

use super::ask::{ask, rows, sites};
use super::plan::{keeps, standing};
use crate::error::{Error, Exit};
use crate::mesh::arguments::FolderArguments;
use crate::mesh::block_on;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::output::{Output, Tone, cell, grouped, note, rendered};
use relaymesh_core::identity::NodeId;
use relaymesh_core::shards::host::{Load, NodeLoad, Reply as Told, Request as Question};
use relaymesh_core::shards::placement::Standing;
use serde::Serialize;
use std::collections::BTreeMap;

/// In percent of its share, what a node owns at most before shards move away from it.
const HOTTEST_PERCENT: u64 = 125;

/// What a node carries, as people and programs see it.
#[derive(Debug, Serialize)]
struct Capacity {
    name: String,
    zone: String,
    weight: u16,
    /// open, cordoned, draining, unsteady, or strained: it counts as half of its weight.
    standing: &'static str,
    /// Shards that it owns, of all namespaces.
    owns: u64,
    /// Shards that it ought to own by its weight.
    share: u64,
    /// Shards that it could own besides, before any would move away.
    room: u64,
    /// What it has to do; nothing where it has not answered.
    load: Option<Doing>,
    /// The worst of what is under way, how long the disk takes and how many commands fail, in percent of what is usual.
    level_percent: u32,
    id: String,
}

/// What a node has to do.
#[derive(Debug, Serialize)]
struct Doing {
    /// Requests that its shards have taken and not answered.
    under_way: u32,
    /// Steps that are ready in its shards, and that nobody runs.
    backlog: u64,
    /// Commands that were answered in the last span.
    answered: u32,
    failed: u32,
    /// How long one took, on average.
    latency_ms: f64,
    /// How long the node's disk took, on average.
    disk_ms: f64,
}

impl From<Load> for Doing {
    fn from(load: Load) -> Self {
        let Load { under_way, backlog, answered, failed, latency_us, sync_us, .. } = load;
        let [latency_ms, disk_ms] = [latency_us, sync_us].map(|us| f64::from(us) / 1e3);
        Self { under_way, backlog, answered, failed, latency_ms, disk_ms }
    }
}

pub(super) fn run(folder: &FolderArguments, output: &Output) -> Result<Exit, Error> {
    let all = block_on(gathered(folder))?;
    if output.is_json() {
        output.json(&all)?;
        return Ok(Exit::Held);
    }
    let mut table = output.table(&[
        "name",
        "zone",
        ">weight",
        "standing",
        ">owns",
        ">share",
        ">room",
        ">under way",
        ">backlog",
        ">answered",
        ">failed",
        ">latency",
        ">disk",
        ">level",
    ]);
    for it in &all {
        let tone = if it.standing == "open" { Tone::Good } else { Tone::Warn };
        let load = it.load.as_ref();
        let millis =
            |value: Option<f64>| cell(Tone::Plain, value.map_or_else(|| "?".into(), |value| format!("{value:.1} ms")));
        let shown = |value: Option<u64>| cell(Tone::Plain, value.map_or_else(|| "?".into(), grouped));
        table.add_row([
            cell(Tone::Strong, &it.name),
            cell(Tone::Plain, &it.zone),
            cell(Tone::Plain, it.weight),
            cell(tone, it.standing),
            cell(Tone::Plain, grouped(it.owns)),
            cell(Tone::Plain, grouped(it.share)),
            cell(Tone::Plain, grouped(it.room)),
            shown(load.map(|load| load.under_way.into())),
            shown(load.map(|load| load.backlog)),
            shown(load.map(|load| load.answered.into())),
            shown(load.map(|load| load.failed.into())),
            millis(load.map(|load| load.latency_ms)),
            millis(load.map(|load| load.disk_ms)),
            cell(if it.level_percent >= 300 { Tone::Bad } else { Tone::Plain }, format!("{} %", it.level_percent)),
        ]);
    }
    output.print(&rendered(&table))?;
    let silent = all.iter().filter(|it| it.load.is_none()).map(|it| it.name.as_str());
    let silent: Vec<&str> = silent.collect();
    if !silent.is_empty() {
        note(format_args!("no answer in time from {}: `relaymesh members` shows how they are", silent.join(", ")));
    }
    if all.is_empty() {
        note("no namespace is declared yet: there is nothing to carry");
    }
    Ok(Exit::Held)
}

/// The most loaded first.
async fn gathered(folder: &FolderArguments) -> Result<Vec<Capacity>, Error> {
    let names = Names::of(members(&folder.dir).await?);
    let Told::Loads(loads) = ask(&folder.dir, Question::Loads).await? else { return Err(Error::OtherAnswer) };
    let rows = rows(&folder.dir).await?;
    let (sites, doubtful) = sites(&folder.dir, &rows).await?;
    let mut owned: BTreeMap<NodeId, u64> = BTreeMap::new();
    for owner in rows.iter().filter_map(|row| row.record.owner) {
        *owned.entry(owner.node).or_default() += 1;
    }
    let weights: u64 = sites.values().filter(|site| keeps(site)).map(|site| u64::from(site.weight)).sum();
    let shards = rows.len() as u64;
    let capacity = |it: &NodeLoad| {
        let site = sites.get(&it.node)?;
        let owns = owned.get(&it.node).copied().unwrap_or(0);
        let part = if keeps(site) { shards * u64::from(site.weight) } else { 0 };
        let share = part.div_ceil(weights.max(1));
        let most = (part * HOTTEST_PERCENT).div_ceil(100 * weights.max(1));
        let room = if site.standing == Standing::Open { most.saturating_sub(owns) } else { 0 };
        let standing = match site.standing {
            _ if doubtful.contains(&it.node) => "unsteady",
            Standing::Open if it.is_strained => "strained",
            other => standing(other),
        };
        Some(Capacity {
            name: names.name(it.node),
            zone: site.zone.to_string(),
            weight: site.weight,
            standing,
            owns,
            share,
            room,
            load: it.load.map(Into::into),
            level_percent: it.level_percent,
            id: it.node.to_string(),
        })
    };
    let mut all: Vec<Capacity> = loads.iter().filter_map(capacity).collect();
    all.sort_by(|one, other| {
        (other.level_percent, &one.name, &one.id).cmp(&(one.level_percent, &other.name, &other.id))
    });
    Ok(all)
}
