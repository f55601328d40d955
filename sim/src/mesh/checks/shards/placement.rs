//! Where shards ought to be, as nodes tell it: PLAC-1, PLAC-2, PLAC-3; and where they are in the end: PLAC-4, PLAC-5.
//!
//! Two owners at one time are OWNR-1's and FENC-1's to find, whatever moves.

use super::super::{MeshChecks, PLAC_1, PLAC_2, PLAC_3, PLAC_4, PLAC_5};
use crate::check::Findings;
use crate::scenario::Scenario;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::control::state::{Name, State};
use relaymesh_core::identity::NodeId;
use relaymesh_core::mesh::MeshNode;
use relaymesh_core::shards::host::plan_view::{PlacementView, PlanAsked};
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::shards::placement::{Rule, Site, Table};
use relaymesh_core::shards::{ShardId, ShardRecord};

/// A plan, as it was told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// The version that it is made for, and the checksum that it leads to.
    leads: Option<(u64, u64)>,
    approvals: u32,
}

/// What a table is of: rule, sites, and rows.
type Contents = (Rule, Vec<Site>, Vec<Vec<u16>>);

/// The state that is the newest in the end.
#[derive(Debug)]
struct Last {
    applied: u64,
    table: Table,
    is_moving: bool,
    /// A plan was given up: what moved then may have moved all the same.
    was_given_up: bool,
    records: Vec<(ShardId, ShardRecord)>,
}

/// What was told of tables and plans.
#[derive(Debug, Default)]
pub(in super::super) struct Placements {
    /// Of each version the checksum, and who told it first.
    tables: BTreeMap<u64, (u64, u32)>,
    /// Of each checksum what it is of.
    contents: BTreeMap<u64, Contents>,
    plans: BTreeMap<u64, Told>,
    /// The version of the table that is agreed on.
    version: u64,
    /// The last entry that declared shards.
    pub(super) declared: u64,
    last: Option<Last>,
    /// Whether nobody but plans gives shards to other owners.
    is_calm: bool,
    /// What each node has in the end.
    ends: Vec<(u32, u64, u64)>,
}

impl Placements {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let is_calm = scenario.placement.is_given()
            && scenario.faults.is_empty()
            && scenario.shards.hand_overs == 0
            && scenario.shards.arrange_at.is_none();
        Self { is_calm, ..Self::default() }
    }

    /// Whether the table that is agreed on is in another version than before.
    pub(super) fn has_moved_on(&mut self, version: u64) -> bool {
        core::mem::replace(&mut self.version, version) != version
    }
}

impl MeshChecks {
    /// A member answers what was asked about placement.
    pub(super) fn placement_answered(&mut self, host: u32, question: &Question, answer: &Answer, found: &mut Findings) {
        let Question::Placement { asked, .. } = question else { return };
        match (asked, answer) {
            (PlanAsked::Show { .. }, Answer::Placement(view)) => self.placement_shown(host, view, found),
            (PlanAsked::Approve { plan, version, checksum, .. }, Answer::Agreed) => {
                self.exercised.plac_2 += 1;
                let told = self.shards.placements.plans.entry(*plan).or_default();
                told.approvals += 1;
                if told.approvals > 1 {
                    found.fail(PLAC_2, &[host], format!("plan {plan} was approved {} times", told.approvals));
                }
                if told.leads.is_some_and(|leads| leads != (*version, *checksum)) {
                    let detail = format!(
                        "plan {plan} was approved for version {version} and checksum {checksum:016x}; it was told to be for {:?}",
                        told.leads
                    );
                    found.fail(PLAC_2, &[host], detail);
                }
            }
            _ => {}
        }
    }

    fn placement_shown(&mut self, host: u32, view: &PlacementView, found: &mut Findings) {
        self.same_table(host, view.version, view.checksum, found);
        self.same_contents(host, view, found);
        let is_all_whole = !view.past.is_empty() && view.past.iter().all(|past| past.is_whole);
        if self.shards.placements.is_calm && view.plan.is_none() && is_all_whole && view.elsewhere > 0 {
            let detail = format!("{} shards have not moved, and their plan is over: {:?}", view.elsewhere, view.past);
            found.fail(PLAC_3, &[host], detail);
        }
        let Some(plan) = &view.plan else { return };
        let told = self.shards.placements.plans.entry(plan.id).or_default();
        told.leads = told.leads.or(plan.checksum.map(|checksum| (plan.on, checksum)));
        if plan.is_approved {
            self.exercised.plac_3 += 1;
            // At a set time all of them do.
            if plan.at.is_none() && plan.moving.len() > usize::from(plan.parallel) {
                let detail = format!("{} shards move at once, {} may", plan.moving.len(), plan.parallel);
                found.fail(PLAC_3, &[host], detail);
            }
            // Where nobody but plans moves anything, what a plan takes for moved has: no other move of it may be under way.
            if self.shards.placements.is_calm && !plan.strayed.is_empty() {
                let detail = format!("{:?} are taken for moved, and have not: {plan:?}", plan.strayed);
                found.fail(PLAC_3, &[host], detail);
            }
        }
    }

    /// PLAC-1: what is told under a version is the same, whoever tells it.
    fn same_table(&mut self, host: u32, version: u64, checksum: u64, found: &mut Findings) {
        self.exercised.plac_1 += 1;
        let (first, by) = *self.shards.placements.tables.entry(version).or_insert((checksum, host));
        if first != checksum {
            let detail = format!(
                "n{host} has checksum {checksum:016x} of the table in version {version}, n{by} has {first:016x}"
            );
            found.fail(PLAC_1, &[by, host], detail);
        }
    }

    /// PLAC-1, the other way round: what has one checksum follows from the same, and says the same.
    fn same_contents(&mut self, host: u32, view: &PlacementView, found: &mut Findings) {
        if view.first == 0 && view.rows.len() == view.rule.shards as usize {
            let told = (view.rule, view.sites.clone(), view.rows.clone());
            self.of_one_checksum(view.checksum, told, &[host], found);
        }
    }

    /// PLAC-1: the same of a table that is agreed on.
    pub(super) fn agreed_table(&mut self, table: &Table, found: &mut Findings) {
        let sites: Vec<Site> = table.sites().iter().map(|(_, site)| *site).collect();
        let place = |node| table.sites().of_node(node).map_or(u16::MAX, |site| site.number());
        let rows = (0..table.rule().shards).map(|shard| table.copies(shard).map(place).collect());
        self.of_one_checksum(table.checksum(), (*table.rule(), sites, rows.collect()), &[], found);
    }

    pub(super) fn of_one_checksum(&mut self, checksum: u64, told: Contents, hosts: &[u32], found: &mut Findings) {
        let known = self.shards.placements.contents.entry(checksum).or_insert_with(|| told.clone());
        if *known != told {
            let detail = format!("{checksum:016x} is the checksum of {told:?}, and of {known:?}");
            found.fail(PLAC_1, hosts, detail);
        }
    }

    /// The run is over: what this node knows.
    pub(in super::super) fn look_at_placement(&mut self, host: u32, node: &MeshNode) {
        let Some((state, namespace)) = node.control().state().zip(self.shards.namespace()) else { return };
        let Some(placement) = state.placement(&namespace) else { return };
        let table = placement.table();
        self.shards.placements.ends.push((host, table.version(), table.checksum()));
        if self.shards.placements.last.as_ref().is_none_or(|last| last.applied < state.applied()) {
            let is_moving = placement.plan().is_some_and(|plan| plan.run.is_some());
            let was_given_up = placement.past().any(|past| !past.is_whole);
            let (applied, table, records) = (state.applied(), table.clone(), records(state, namespace));
            self.shards.placements.last = Some(Last { applied, table, is_moving, was_given_up, records });
        }
    }

    /// PLAC-4: once nothing moves any more, copies are where the table says, as far as those nodes are there.
    pub(in super::super) fn check_placement(&mut self, found: &mut Findings) {
        for (host, version, checksum) in core::mem::take(&mut self.shards.placements.ends) {
            self.same_table(host, version, checksum, found);
        }
        let Some(last) = self.shards.placements.last.take().filter(|last| !last.is_moving) else { return };
        for (shard, record) in &last.records {
            let row: Vec<NodeId> = last.table.copies(shard.number).collect();
            let is_up = |node: &NodeId| self.number(*node).is_some_and(|host| self.truth.is_up(host));
            if record.is_void || !row.iter().all(is_up) {
                continue;
            }
            self.exercised.plac_4 += 1;
            let owner = record.owner.map(|owner| owner.node);
            let is_wanted = |node: &NodeId| row.contains(node) || Some(*node) == owner;
            // A row may be shorter than it ought to be, since there were fewer nodes: then others stand in.
            let is_short =
                row.len() < usize::from(record.copies) && record.in_sync.len() <= usize::from(record.copies) + 1;
            let is_there = row.iter().all(|node| record.is_on(*node))
                && (is_short || record.in_sync.iter().all(|it| is_wanted(&it.node)));
            if self.shards.placements.is_calm && !last.was_given_up {
                self.exercised.plac_5 += 1;
                if owner != row.first().copied() {
                    let detail = format!("{shard} ought to be owned by {:?}, and is not: {record:?}", row.first());
                    found.miss(PLAC_5, &[], detail);
                }
            }
            if !is_there {
                let hosts: Vec<Option<u32>> = row.iter().map(|node| self.number(*node)).collect();
                found.miss(PLAC_4, &[], format!("{shard} ought to be on {hosts:?}, and is elsewhere: {record:?}"));
            }
        }
    }
}

fn records(state: &State, namespace: Name) -> Vec<(ShardId, ShardRecord)> {
    let all = state.shards().filter(|(shard, _)| shard.namespace == namespace);
    all.map(|(shard, record)| (*shard, record.clone())).collect()
}
