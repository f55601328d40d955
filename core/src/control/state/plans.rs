//! How a table of placements becomes another one: drafted on a version of it, worked out, approved once, and carried out a wave
//! at a time (`docs/placement.md`, rules P1 to P8). Pure transitions; what a refused one leaves is the state as it was.

use super::limits::SEATS_MAX;
use super::placement::{Past, Placement, Plan, Run, Seat};
use super::placement_command::{DOUBTFUL_MAX, PARALLEL_MAX, PAUSED_AT_ONCE, PlacementCommand, ROWS_AT_ONCE};
use super::table::State;
use super::{Answer, Change, Cordon, Name, Refusal, Table as Bounded};
use crate::identity::{Incarnation, NodeId};
use crate::machine::Sink;
use crate::shards::ShardId;
use crate::shards::placement::{Moved, Rule, Site, Sites, Standing, Table};
use crate::time::WallTime;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};

impl State {
    pub(super) fn placement_command(
        &mut self,
        index: u64,
        client: Incarnation,
        command: PlacementCommand,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        match command {
            PlacementCommand::Seat(seat) => self.take_seat(client.node, seat)?,
            PlacementCommand::Draft { namespace, on, strategy, seed, cause, doubtful, strained, parallel } => {
                self.complete_table(index, namespace)?;
                let sites = Sites::new(self.sites(&doubtful, &strained)).map_err(|_| Refusal::BadPlan)?;
                if doubtful.len().max(strained.len()) > DOUBTFUL_MAX || !(1..=PARALLEL_MAX).contains(&parallel) {
                    return Err(Refusal::BadPlan);
                }
                let placement = self.placements.get_mut(&namespace).ok_or(Refusal::NoShard)?;
                placement.may_begin(on)?;
                let rule = Rule { strategy, seed, ..*placement.table.rule() };
                let (id, by, moves, checksum, run) = (index, client, BTreeMap::new(), None, None);
                placement.plan =
                    Some(Plan { id, by, cause, on, rule, sites, strained, parallel, moves, checksum, run });
                out.push(Change::Plan { namespace });
            }
            PlacementCommand::Rows { namespace, plan, rows } => {
                self.planned(namespace, plan)?.add_rows(client, &rows)?;
            }
            PlacementCommand::Seal { namespace, plan, checksum } => {
                self.planned(namespace, plan)?.seal(client, checksum)?;
                out.push(Change::Plan { namespace });
            }
            PlacementCommand::Approve { namespace, plan, version, checksum, at } => {
                self.planned(namespace, plan)?;
                self.approve(index, namespace, (version, checksum), at)?;
                out.push(Change::Plan { namespace });
            }
            PlacementCommand::Advance { namespace, plan, last } => {
                self.planned(namespace, plan)?;
                self.advance(index, namespace, last, out)?;
                out.push(Change::Plan { namespace });
            }
            PlacementCommand::Cancel { namespace, plan } => {
                self.planned(namespace, plan)?;
                self.cancel(index, namespace, out);
                out.push(Change::Plan { namespace });
            }
            PlacementCommand::Pause { namespace, shards, is_paused } => {
                let placement = self.placements.get_mut(&namespace).ok_or(Refusal::NoShard)?;
                placement.pause(&shards, is_paused)?;
            }
        }
        Ok(Answer::Set)
    }

    fn take_seat(&mut self, node: NodeId, seat: Seat) -> Result<(), Refusal> {
        if !seat.is_possible() {
            return Err(Refusal::BadPlan);
        }
        if self.seats.len() >= SEATS_MAX && !self.seats.contains_key(&node) {
            // Of nodes that have gone nobody has to know.
            let gone = self.seats.keys().find(|node| self.owners.keys().all(|owner| owner.node != **node)).copied();
            self.seats.remove(&gone.ok_or(Refusal::full(Bounded::Seats, SEATS_MAX))?);
        }
        self.seats.insert(node, seat);
        Ok(())
    }

    /// A table for shards that have none: they ought to be where they are. Says whether there were any. Where there were,
    /// O(shards of the namespace · log n), where one lacks.
    pub(super) fn complete_table(&mut self, index: u64, namespace: Name) -> Result<bool, Refusal> {
        let of = |number| ShardId { namespace, number };
        let shape = self.shards.range(of(0)..=of(u32::MAX)).next().map(|(_, record)| record.shape());
        let (shards, copies, _) = shape.ok_or(Refusal::NoShard)?;
        let placement = self.placements.get(&namespace);
        let lacks = |shard: &u32| placement.is_none_or(|placement| placement.table.owner(*shard).is_none());
        let is_known = |shard: &u32| self.shards.contains_key(&of(*shard));
        if !(0..shards).any(|shard| lacks(&shard) && is_known(&shard)) {
            return Ok(false);
        }
        let rule =
            placement.map_or_else(|| self.first_rule(namespace, (shards, copies)), |placed| *placed.table.rule());
        let row = |shard: u32| -> Vec<NodeId> {
            let Some(record) = self.shards.get(&of(shard)).filter(|_| lacks(&shard)) else {
                return placement.into_iter().flat_map(|placement| placement.table.copies(shard)).collect();
            };
            let owner = record.owner.map(|owner| owner.node);
            let others = record.in_sync.iter().map(|member| member.node).filter(|node| Some(*node) != owner);
            owner.into_iter().chain(others).take(usize::from(copies)).collect()
        };
        let mut nodes: BTreeMap<NodeId, Site> =
            (0..shards).flat_map(&row).map(|node| (node, self.site(node, false))).collect();
        nodes.extend(
            placement.into_iter().flat_map(|placed| placed.table.sites().iter()).map(|(_, site)| (site.node, *site)),
        );
        let sites = Sites::new(nodes.into_values().collect()).map_err(|_| Refusal::BadPlan)?;
        let table = Table::of(index, rule, sites, row).ok_or(Refusal::BadPlan)?;
        match self.placements.get_mut(&namespace) {
            Some(placement) => placement.table = table,
            None => drop(self.placements.insert(namespace, Placement::new(table))),
        }
        Ok(true)
    }

    /// The plan that is meant, and no other (rule P5).
    fn planned(&mut self, namespace: Name, plan: u64) -> Result<&mut Placement, Refusal> {
        let placement = self.placements.get_mut(&namespace);
        placement
            .filter(|placement| placement.plan.as_ref().is_some_and(|found| found.id == plan))
            .ok_or(Refusal::NoPlan)
    }

    /// A node to which something is to move can take it no more.
    fn is_lost(&self, node: NodeId) -> bool {
        !self.has_node(node) || self.cordon(node) != Cordon::None
    }

    /// Whoever is to get something by these moves and cannot.
    fn lost<'a>(&self, table: &Table, mut moves: impl Iterator<Item = (&'a u32, &'a Vec<NodeId>)>) -> Option<NodeId> {
        moves.find_map(|(shard, row)| {
            let has = |node: &NodeId| table.copies(*shard).any(|had| had == *node);
            row.iter().find(|node| !has(node) && self.is_lost(**node)).copied()
        })
    }

    fn approve(
        &mut self,
        index: u64,
        namespace: Name,
        (version, checksum): (u64, u64),
        at: Option<WallTime>,
    ) -> Result<(), Refusal> {
        let Some(placement) = self.placements.get(&namespace) else { return Err(Refusal::NoPlan) };
        let plan = placement.plan.as_ref().filter(|plan| plan.run.is_none()).ok_or(Refusal::NoPlan)?;
        let sealed = plan.checksum.ok_or(Refusal::NoPlan)?;
        let found = placement.table.version();
        if version != found || plan.on != found {
            return Err(Refusal::Outdated { expected: version.min(plan.on), found });
        }
        if checksum != sealed {
            return Err(Refusal::OtherPlan { expected: checksum, found: sealed });
        }
        if at.is_some() && plan.cause.is_forced() {
            return Err(Refusal::Urgent);
        }
        if at.is_some() && plan.moves.len() > usize::from(PARALLEL_MAX) {
            return Err(Refusal::TooManyMoves { limit: PARALLEL_MAX });
        }
        if let Some(node) = self.lost(&placement.table, plan.moves.iter()) {
            return Err(Refusal::Lost { node });
        }
        let table = placement.table.rebased(index, plan.rule, &plan.sites).map_err(|_| Refusal::BadPlan)?;
        if let Some(placement) = self.placements.get_mut(&namespace) {
            placement.table = table;
            if let Some(plan) = &mut placement.plan {
                placement.strained = plan.strained.clone();
                plan.run = Some(Run { at, ..Run::default() });
            }
        }
        Ok(())
    }

    fn advance(
        &mut self,
        index: u64,
        namespace: Name,
        last: Option<u32>,
        out: &mut impl Sink<Change>,
    ) -> Result<(), Refusal> {
        let Some(placement) = self.placements.get(&namespace) else { return Err(Refusal::NoPlan) };
        let plan = placement.plan.as_ref().ok_or(Refusal::NoPlan)?;
        let run = plan.run.as_ref().filter(|run| run.last == last).ok_or(Refusal::NoPlan)?;
        if let Some(shard) = run.wave.keys().find(|shard| !self.is_settled(namespace, **shard)) {
            return Err(Refusal::Moving { shard: *shard });
        }
        let from = last.map_or(Unbounded, Excluded);
        let at_once = if run.at.is_some() { plan.moves.len() } else { usize::from(plan.parallel) };
        let next = || plan.moves.range((from, Unbounded)).take(at_once);
        if let Some(node) = self.lost(&placement.table, next()) {
            return Err(Refusal::Lost { node });
        }
        let wave = next().map(|(shard, _)| (*shard, placement.table.copies(*shard).collect())).collect();
        let table = placement.table.with(index, next().map(|(shard, row)| (*shard, &row[..])));
        let Some(placement) = self.placements.get_mut(&namespace) else { return Err(Refusal::NoPlan) };
        let Some(run) = placement.plan.as_mut().and_then(|plan| plan.run.as_mut()) else { return Err(Refusal::NoPlan) };
        let before = core::mem::replace(&mut run.wave, wave);
        run.done.extend(before);
        run.last = run.wave.keys().next_back().copied().or(run.last);
        for number in run.wave.keys() {
            out.push(Change::Placed { shard: ShardId { namespace, number: *number } });
        }
        let is_over = run.wave.is_empty();
        placement.table = table;
        if is_over {
            placement.end_plan(index, true);
        }
        Ok(())
    }

    fn cancel(&mut self, index: u64, namespace: Name, out: &mut impl Sink<Change>) {
        let Some(placement) = self.placements.get(&namespace) else { return };
        let run = placement.plan.as_ref().and_then(|plan| plan.run.as_ref());
        let goes_back = |(shard, before): &(&u32, &Vec<NodeId>)| {
            !self.is_settled(namespace, **shard) && !before.iter().any(|node| self.is_lost(*node))
        };
        let back: Vec<(u32, Vec<NodeId>)> = run
            .into_iter()
            .flat_map(|run| run.wave.iter())
            .filter(goes_back)
            .map(|(shard, row)| (*shard, row.clone()))
            .collect();
        let is_running = run.is_some();
        let table = placement.table.with(index, back.iter().map(|(shard, row)| (*shard, &row[..])));
        for (number, _) in &back {
            out.push(Change::Placed { shard: ShardId { namespace, number: *number } });
        }
        let Some(placement) = self.placements.get_mut(&namespace) else { return };
        match is_running {
            true => {
                placement.table = table;
                placement.end_plan(index, false);
            }
            false => placement.plan = None,
        }
    }

    /// Another history begins: plans of the old one are over.
    pub(super) fn drop_plans(&mut self) {
        self.placements.values_mut().for_each(|placement| placement.plan = None);
    }
}

impl Placement {
    /// Whether a plan for that version may begin.
    fn may_begin(&self, on: u64) -> Result<(), Refusal> {
        let found = self.table.version();
        if on != found {
            return Err(Refusal::Outdated { expected: on, found });
        }
        let is_carried_out = self.plan.as_ref().is_some_and(|plan| plan.run.is_some());
        if is_carried_out { Err(Refusal::InUse) } else { Ok(()) }
    }

    fn pause(&mut self, shards: &[u32], is_paused: bool) -> Result<(), Refusal> {
        let all = self.table.rule().shards;
        if shards.len() > PAUSED_AT_ONCE || shards.iter().any(|shard| *shard >= all) {
            return Err(Refusal::NoShard);
        }
        match is_paused {
            true => self.paused.extend(shards),
            false => self.paused.retain(|shard| !shards.contains(shard)),
        }
        Ok(())
    }

    fn add_rows(&mut self, by: Incarnation, rows: &[(u32, Vec<u16>)]) -> Result<(), Refusal> {
        let plan = self.plan.as_mut().filter(|plan| plan.is_open_to(by)).ok_or(Refusal::NoPlan)?;
        let of = |(shard, sites): &(u32, Vec<u16>)| plan.row(&self.table, *shard, sites).map(|row| (*shard, row));
        let made: Option<Vec<(u32, Vec<NodeId>)>> = rows.iter().map(of).collect();
        plan.moves.extend(made.filter(|_| rows.len() <= ROWS_AT_ONCE).ok_or(Refusal::BadPlan)?);
        Ok(())
    }

    fn seal(&mut self, by: Incarnation, checksum: u64) -> Result<(), Refusal> {
        let plan = self.plan.as_mut().filter(|plan| plan.is_open_to(by)).ok_or(Refusal::NoPlan)?;
        let row = |shard| plan.moves.get(&shard).cloned().unwrap_or_else(|| self.table.copies(shard).collect());
        let next = Table::of(plan.on, plan.rule, plan.sites.clone(), row).ok_or(Refusal::BadPlan)?;
        if next.checksum() != checksum {
            return Err(Refusal::OtherPlan { expected: checksum, found: next.checksum() });
        }
        plan.checksum = Some(checksum);
        Ok(())
    }

    /// The plan is over: what it did is remembered.
    fn end_plan(&mut self, index: u64, is_whole: bool) {
        let Some(plan) = self.plan.take() else { return };
        if let Ok(table) = self.table.rebased(index, plan.rule, &plan.sites) {
            self.table = table;
        }
        let run = plan.run.unwrap_or_default();
        let moved = run.done.into_iter().chain(run.wave).filter_map(|(shard, from)| {
            let to: Vec<NodeId> = self.table.copies(shard).collect();
            (from != to).then_some(Moved { shard, from, to })
        });
        let moved = moved.collect();
        let (version, checksum) = (self.table.version(), self.table.checksum());
        self.remember(Past { plan: plan.id, cause: plan.cause, from: plan.on, to: version, checksum, is_whole, moved });
    }
}

impl Plan {
    /// Whether it is being worked out, by that process.
    fn is_open_to(&self, by: Incarnation) -> bool {
        self.by == by && self.checksum.is_none()
    }

    /// The nodes of a row, if there can be such a one: on different sites that take what is new to them.
    fn row(&self, table: &Table, shard: u32, sites: &[u16]) -> Option<Vec<NodeId>> {
        let is_row = shard < self.rule.shards && (1..=usize::from(self.rule.copies)).contains(&sites.len());
        let has = |node: NodeId| table.copies(shard).any(|had| had == node);
        let mut row = Vec::new();
        for site in sites.iter().filter(|_| is_row) {
            let site = self.sites.get(*site)?;
            let may_have = match site.standing {
                Standing::Open => true,
                Standing::Cordoned => has(site.node),
                Standing::Draining => false,
            };
            if !may_have || row.contains(&site.node) {
                return None;
            }
            row.push(site.node);
        }
        is_row.then_some(row)
    }
}
