//! What moves when a node comes or goes, in tables that have a history of such changes behind them.
//!
//! Nothing runs here: a table follows from the one before and from the sites. How the moves are made, and what is lost
//! meanwhile, is a matter of the mesh.

use crate::streams::{Stream, Streams};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::control::state::Name;
use relaymesh_core::identity::NodeId;
use relaymesh_core::machine::Chooser;
use relaymesh_core::shards::placement::{Moved, Rule, Site, Sites, Standing, Strategy, Table, Work};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Shards of the namespace.
    pub shards: u32,
    /// Nodes, before one leaves and after one has joined.
    pub nodes: u32,
    /// Copies of each shard.
    pub copies: u8,
    /// Zones that the nodes are in.
    pub zones: u32,
    /// In which order sites suit a shard.
    pub strategy: Strategy,
    /// Whether nodes differ in weight: 1, 2 or 4 to one another.
    pub is_weighted: bool,
}

/// What one seed has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When a node joined.
    pub join: Change,
    /// When a node left.
    pub leave: Change,
    /// What the node that carries the most for its weight owns, in hundredths of its share; of all tables of the history.
    pub hottest_percent: u32,
}

/// What one change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Shards whose owner is another one.
    pub owners: u32,
    /// What the node that came or went ought to own, in hundredths of a shard.
    pub share_hundredths: u32,
    /// Copies that are to be made.
    pub copies: u32,
    /// Shards whose owner is in another zone.
    pub strayed: u32,
}

/// Changes that a table has behind it.
const HISTORY: u32 = 20;
const WEIGHTS: [u16; 3] = [64, 128, 256];

struct History {
    shape: Shape,
    nodes: Stream,
    sites: BTreeMap<NodeId, Site>,
    begun: u64,
    table: Table,
    hottest_percent: u32,
}

/// Measures one seed.
///
/// # Panics
/// When there can be no such shape.
pub fn measure(shape: Shape, seed: u64) -> Shown {
    let mut streams = Streams::new(seed);
    let rule = Rule {
        namespace: name("measured"),
        shards: shape.shards,
        copies: shape.copies,
        strategy: shape.strategy,
        seed,
    };
    let nothing = worked_out(rule, Vec::new(), None);
    let nodes = streams.open("sites of a placement");
    let mut history = History { shape, nodes, sites: BTreeMap::new(), begun: 0, table: nothing, hottest_percent: 0 };
    for _ in 1..shape.nodes {
        history.add();
    }
    history.work_out();
    for _ in 0..HISTORY {
        history.join();
        history.leave();
    }
    let join = history.join();
    let leave = history.leave();
    Shown { join, leave, hottest_percent: history.hottest_percent }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name that is written here")
}

fn worked_out(rule: Rule, sites: Vec<Site>, before: Option<&Table>) -> Table {
    let sites = Sites::new(sites).expect("sites that are drawn here");
    let work = Work::new(rule, sites, before, u32::MAX).expect("a shape that there can be");
    work.run(before.map_or(1, |before| before.version() + 1)).table
}

impl History {
    fn add(&mut self) -> NodeId {
        self.begun += 1;
        let hash = blake3::hash(&[self.nodes.below(u64::MAX).to_le_bytes(), self.begun.to_le_bytes()].concat());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        let node = NodeId::from_bytes(bytes);
        let weight = match self.shape.is_weighted {
            true => WEIGHTS[self.nodes.below(WEIGHTS.len() as u64) as usize],
            false => WEIGHTS[1],
        };
        let zone = name(&format!("zone-{}", self.begun % u64::from(self.shape.zones.max(1))));
        self.sites.insert(node, Site { node, weight, zone, standing: Standing::Open });
        node
    }

    fn work_out(&mut self) -> Table {
        let next = worked_out(*self.table.rule(), self.sites.values().copied().collect(), Some(&self.table));
        for (load, site) in next.loads().iter().zip(self.sites.values()) {
            let share = share_hundredths(self.shape.shards, site, &self.sites);
            self.hottest_percent = self.hottest_percent.max((load.0 * 10_000).div_ceil(share.max(1)));
        }
        core::mem::replace(&mut self.table, next)
    }

    fn join(&mut self) -> Change {
        let node = self.add();
        let share = share_hundredths(self.shape.shards, &self.sites[&node], &self.sites);
        let before = self.work_out();
        change(&before, &self.table, share)
    }

    fn leave(&mut self) -> Change {
        let place = self.nodes.below(self.sites.len() as u64) as usize;
        let node = self.sites.keys().nth(place).copied().expect("one of those that are there");
        let share = share_hundredths(self.shape.shards, &self.sites[&node], &self.sites);
        self.sites.remove(&node);
        let before = self.work_out();
        change(&before, &self.table, share)
    }
}

fn share_hundredths(shards: u32, site: &Site, sites: &BTreeMap<NodeId, Site>) -> u32 {
    let all: u64 = sites.values().map(|site| u64::from(site.weight)).sum();
    (u64::from(shards) * 100 * u64::from(site.weight) / all.max(1)) as u32
}

fn change(before: &Table, after: &Table, share_hundredths: u32) -> Change {
    let moved = before.diff(after);
    let zone = |table: &Table, node: Option<&NodeId>| {
        node.and_then(|node| table.sites().of_node(*node)).map(|site| table.sites().site(site).zone)
    };
    let has_strayed = |it: &&Moved| zone(before, it.from.first()) != zone(after, it.to.first());
    Change {
        owners: moved.iter().filter(|it| it.is_owner()).count() as u32,
        share_hundredths,
        copies: moved.iter().map(|it| it.copies() as u32).sum(),
        strayed: moved.iter().filter(has_strayed).count() as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_shows_the_same_again_and_moves_what_changes_hands() {
        for (strategy, is_weighted) in Strategy::ALL.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let shape = Shape { shards: 200, nodes: 10, copies: 3, zones: 3, strategy, is_weighted };
            let shown = measure(shape, 5);
            assert_eq!(measure(shape, 5), shown);
            for Change { owners, share_hundredths, .. } in [shown.join, shown.leave] {
                assert!(
                    owners * 100 >= share_hundredths / 2 && owners * 100 <= 2 * share_hundredths + 300,
                    "{shown:?}"
                );
            }
        }
    }
}
