//! `relaymesh mesh shards plan` and `diff`: how the placement of a namespace stands, and what plans move.

use super::arguments::DiffArguments;
use super::ask::{moves, placement};
use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::output::{Output, Tone, cell, counted, grouped, note, rendered};
use crate::tasks::arguments::Place;
use crate::wall::spelled;
use relaymesh_core::shards::host::plan_view::{PastView, PlacementView, PlanView};
use relaymesh_core::shards::placement::{Moved, Site, Standing, Table};
use serde::Serialize;

/// How placement stands, as people and programs see it.
#[derive(Debug, Serialize)]
pub(super) struct Placement {
    namespace: String,
    version: u64,
    checksum: String,
    strategy: &'static str,
    /// steady, investigating, draining, rebalancing or completed.
    stage: &'static str,
    /// Shards that are elsewhere than they ought to be.
    elsewhere: u32,
    nodes: Vec<Load>,
    plan: Option<Plan>,
    past: Vec<Past>,
}

/// What a node has, against what it ought to.
#[derive(Debug, Serialize)]
pub(super) struct Load {
    pub(super) name: String,
    pub(super) zone: String,
    pub(super) weight: u16,
    pub(super) standing: &'static str,
    pub(super) owned: u32,
    pub(super) copies: u32,
    /// What it owns, in percent of its share by weight.
    pub(super) of_share_percent: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Plan {
    plan: u64,
    by: String,
    why: &'static str,
    on_version: u64,
    leads_to: Option<String>,
    strategy: &'static str,
    parallel: u16,
    moves: u64,
    moved: u64,
    moving: Vec<u32>,
    approved: bool,
    /// When owners change, all at once, if they do.
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Past {
    plan: u64,
    why: &'static str,
    from_version: u64,
    to_version: u64,
    checksum: String,
    moves: u64,
    whole: bool,
}

/// A shard that moves.
#[derive(Debug, Serialize)]
pub(super) struct Move {
    shard: u32,
    from: Vec<String>,
    to: Vec<String>,
    /// Whether another node is to own it.
    owner: bool,
    /// Copies that are to be made.
    copies: usize,
}

pub(super) fn run(place: &Place, output: &Output) -> Result<Exit, Error> {
    let placement = block_on(async {
        let names = Names::of(members(&place.folder.dir).await?);
        let (view, table) = placement(place).await?;
        Ok(Placement::new(&names, &view, &table))
    })?;
    if output.is_json() {
        output.json(&placement)?;
        return Ok(Exit::Held);
    }
    output.print(&placement.shown(output))?;
    if let Some(plan) = placement.plan.as_ref().filter(|plan| !plan.approved && plan.leads_to.is_some()) {
        note(format_args!(
            "plan {} waits for approval: `relaymesh mesh shards rebalance --approve {0}`; `mesh shards diff` shows what it moves",
            plan.plan
        ));
    }
    Ok(Exit::Held)
}

pub(super) fn diff(arguments: &DiffArguments, output: &Output) -> Result<Exit, Error> {
    let place = &arguments.place;
    let (names, moves) = block_on(async {
        let names = Names::of(members(&place.folder.dir).await?);
        let (view, _) = placement(place).await?;
        let last = view.plan.as_ref().map(|plan| plan.id).or_else(|| view.past.last().map(|past| past.plan));
        match arguments.plan.or(last) {
            Some(plan) => Ok((names, moves(place, plan).await?)),
            None => Ok((names, Vec::new())),
        }
    })?;
    show_moves(&names, &moves, output)?;
    Ok(Exit::Held)
}

/// Shows what moves.
pub(super) fn show_moves(names: &Names, moves: &[Moved], output: &Output) -> Result<(), Error> {
    let moves: Vec<Move> = moves.iter().map(|moved| Move::new(names, moved)).collect();
    if output.is_json() {
        return output.json(&moves);
    }
    if moves.is_empty() {
        note("nothing moves");
        return Ok(());
    }
    let mut table = output.table(&[">shard", "from", "to", "owner moves", ">copies made"]);
    for it in &moves {
        table.add_row([
            cell(Tone::Strong, it.shard),
            cell(Tone::Plain, it.from.join(" ")),
            cell(Tone::Plain, it.to.join(" ")),
            cell(if it.owner { Tone::Warn } else { Tone::Dim }, if it.owner { "yes" } else { "no" }),
            cell(Tone::Plain, it.copies),
        ]);
    }
    output.print(&rendered(&table))
}

/// What each node has by a table.
pub(super) fn loads(table: &Table, name: impl Fn(&Site) -> String) -> Vec<Load> {
    let sites: Vec<Site> = table.sites().iter().map(|(_, site)| *site).collect();
    let weights: u64 = sites.iter().filter(|site| keeps(site)).map(|site| u64::from(site.weight)).sum();
    let shards = u64::from(table.rule().shards);
    let load = |(site, (owned, copies)): (&Site, (u32, u32))| Load {
        name: name(site),
        zone: site.zone.to_string(),
        weight: site.weight,
        standing: standing(site.standing),
        owned,
        copies,
        of_share_percent: (u64::from(owned) * 100 * weights)
            .checked_div(shards * u64::from(site.weight))
            .filter(|_| keeps(site)),
    };
    sites.iter().zip(table.loads()).map(load).collect()
}

pub(super) fn keeps(site: &Site) -> bool {
    site.standing != Standing::Draining
}

pub(super) const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "open",
        Standing::Cordoned => "cordoned",
        Standing::Draining => "draining",
    }
}

/// A table of loads.
pub(super) fn loads_shown(loads: &[Load], output: &Output) -> String {
    let mut table = output.table(&["node", "zone", ">weight", "standing", ">owns", ">of its share", ">copies"]);
    for load in loads {
        let tone = if load.standing == "open" { Tone::Good } else { Tone::Warn };
        table.add_row([
            cell(Tone::Strong, &load.name),
            cell(Tone::Plain, &load.zone),
            cell(Tone::Plain, load.weight),
            cell(tone, load.standing),
            cell(Tone::Plain, grouped(load.owned.into())),
            cell(Tone::Plain, load.of_share_percent.map_or_else(String::new, |percent| format!("{percent} %"))),
            cell(Tone::Plain, grouped(load.copies.into())),
        ]);
    }
    rendered(&table)
}

impl Placement {
    fn new(names: &Names, view: &PlacementView, table: &Table) -> Self {
        Self {
            namespace: view.rule.namespace.to_string(),
            version: view.version,
            checksum: format!("{:016x}", view.checksum),
            strategy: view.rule.strategy.name(),
            stage: view.stage.name(),
            elsewhere: view.elsewhere,
            nodes: loads(table, |site| names.name(site.node)),
            plan: view.plan.as_ref().map(|plan| Plan::new(names, plan)),
            past: view.past.iter().rev().map(Past::from).collect(),
        }
    }

    fn shown(&self, output: &Output) -> String {
        let mut head = output.table(&["namespace", "strategy", "stage", ">elsewhere", ">version", "checksum"]);
        head.add_row([
            cell(Tone::Strong, &self.namespace),
            cell(Tone::Plain, self.strategy),
            cell(if self.stage == "steady" { Tone::Good } else { Tone::Warn }, self.stage),
            cell(if self.elsewhere == 0 { Tone::Plain } else { Tone::Warn }, grouped(self.elsewhere.into())),
            cell(Tone::Plain, grouped(self.version)),
            cell(Tone::Dim, &self.checksum),
        ]);
        let mut text = format!("{}\n{}", rendered(&head), loads_shown(&self.nodes, output));
        let mut plans = output.table(&[">plan", "why", "state", ">moves", ">moved", ">for version", "leads to"]);
        if let Some(plan) = &self.plan {
            let state = match (plan.approved, &plan.leads_to) {
                (true, _) if plan.at.is_some() => format!("all at {}", plan.at.as_deref().unwrap_or_default()),
                (true, _) => format!("carried out, {} at once", plan.parallel),
                (false, Some(_)) => "waits for approval".to_owned(),
                (false, None) => "worked out".to_owned(),
            };
            plans.add_row([
                cell(Tone::Strong, plan.plan),
                cell(Tone::Plain, plan.why),
                cell(Tone::Warn, state),
                cell(Tone::Plain, grouped(plan.moves)),
                cell(Tone::Plain, grouped(plan.moved)),
                cell(Tone::Plain, grouped(plan.on_version)),
                cell(Tone::Dim, plan.leads_to.as_deref().unwrap_or_default()),
            ]);
        }
        for past in &self.past {
            plans.add_row([
                cell(Tone::Strong, past.plan),
                cell(Tone::Plain, past.why),
                cell(if past.whole { Tone::Good } else { Tone::Warn }, if past.whole { "done" } else { "given up" }),
                cell(Tone::Plain, grouped(past.moves)),
                cell(Tone::Plain, grouped(past.moves)),
                cell(Tone::Plain, grouped(past.from_version)),
                cell(Tone::Dim, &past.checksum),
            ]);
        }
        if self.plan.is_some() || !self.past.is_empty() {
            text += &format!("\n{}", rendered(&plans));
        }
        text
    }
}

impl Plan {
    fn new(names: &Names, plan: &PlanView) -> Self {
        Self {
            plan: plan.id,
            by: names.name(plan.by),
            why: plan.cause.name(),
            on_version: plan.on,
            leads_to: plan.checksum.map(|checksum| format!("{checksum:016x}")),
            strategy: plan.strategy.name(),
            parallel: plan.parallel,
            moves: plan.moves,
            moved: plan.moved,
            moving: plan.moving.clone(),
            approved: plan.is_approved,
            at: plan.at.map(|at| spelled(at.as_unix_nanos() / 1_000_000_000)),
        }
    }
}

impl From<&PastView> for Past {
    fn from(past: &PastView) -> Self {
        Self {
            plan: past.plan,
            why: past.cause.name(),
            from_version: past.from,
            to_version: past.to,
            checksum: format!("{:016x}", past.checksum),
            moves: past.moves,
            whole: past.is_whole,
        }
    }
}

impl Move {
    fn new(names: &Names, moved: &Moved) -> Self {
        let called = |nodes: &[_]| nodes.iter().map(|node| names.name(*node)).collect();
        Self {
            shard: moved.shard,
            from: called(&moved.from),
            to: called(&moved.to),
            owner: moved.is_owner(),
            copies: moved.copies(),
        }
    }
}

/// So many shards, in words.
pub(super) fn moves_in_words(moves: u64) -> String {
    counted(moves, "shard")
}
