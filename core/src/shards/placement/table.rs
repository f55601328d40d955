//! What ought to be: an owner and copies for each shard.

use super::site::{SiteIndex, Sites, SitesRefused, Standing};
use super::{Rule, Site};
use crate::identity::NodeId;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// No site: there are fewer than copies.
pub(super) const NONE: u16 = u16::MAX;

/// Where the shards of a namespace ought to be. Two bytes for each copy, and the sites.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Table {
    version: u64,
    rule: Rule,
    sites: Sites,
    /// Of each shard its copies, the owner first; as many as the rule has.
    rows: Box<[u16]>,
    checksum: u64,
}

/// A table as it is stored: what its checksum is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    version: u64,
    rule: Rule,
    sites: Sites,
    rows: Vec<u16>,
}

impl From<Table> for Stored {
    fn from(table: Table) -> Self {
        Self { version: table.version, rule: table.rule, sites: table.sites, rows: table.rows.into() }
    }
}

impl TryFrom<Stored> for Table {
    type Error = &'static str;

    fn try_from(Stored { version, rule, sites, rows }: Stored) -> Result<Self, Self::Error> {
        rule.check().map_err(|_| "a table with a rule that there cannot be")?;
        let is_whole = rows.len() == rule.shards as usize * usize::from(rule.copies);
        let is_site = |site: &u16| *site == NONE || usize::from(*site) < sites.len();
        match is_whole && rows.iter().all(is_site) {
            true => Ok(Self::new(version, rule, sites, rows)),
            false => Err("a table whose rows make no sense"),
        }
    }
}

/// A shard whose place is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Moved {
    /// Which.
    pub shard: u32,
    /// Where it was, the owner first.
    pub from: Vec<NodeId>,
    /// Where it is.
    pub to: Vec<NodeId>,
}

impl Moved {
    /// Whether another node is its owner.
    pub fn is_owner(&self) -> bool {
        self.from.first() != self.to.first()
    }

    /// Copies that are to be made.
    pub fn copies(&self) -> usize {
        self.to.iter().filter(|node| !self.from.contains(node)).count()
    }
}

impl Table {
    pub(super) fn new(version: u64, rule: Rule, sites: Sites, rows: Vec<u16>) -> Self {
        let mut table = Self { version, rule, sites, rows: rows.into(), checksum: 0 };
        table.checksum = table.sum();
        table
    }

    /// The table whose rows name these nodes, of each shard the owner first; with nothing where one of them is no site. O(copies
    /// of all · log n).
    pub(crate) fn of(version: u64, rule: Rule, sites: Sites, row: impl Fn(u32) -> Vec<NodeId>) -> Option<Self> {
        let copies = usize::from(rule.copies);
        let mut rows = vec![NONE; rule.shards as usize * copies];
        for (shard, places) in (0..).zip(rows.chunks_exact_mut(copies)) {
            for (place, node) in places.iter_mut().zip(row(shard)) {
                *place = sites.of_node(node)?.0;
            }
        }
        Some(Self::new(version, rule, sites, rows))
    }

    /// The table that was told: of each shard the places of its sites among all. Nothing where that makes no sense.
    pub fn told(version: u64, rule: Rule, sites: Vec<Site>, rows: &[Vec<u16>]) -> Option<Self> {
        let sites = Sites::new(sites).ok()?;
        rule.check().ok().filter(|()| rows.len() == rule.shards as usize)?;
        let is_site = |site: &u16| usize::from(*site) < sites.len();
        rows.iter().flatten().all(is_site).then_some(())?;
        let nodes = |shard: u32| {
            let row = rows.get(shard as usize).into_iter().flatten();
            row.filter_map(|site| sites.get(*site)).map(|site| site.node).collect()
        };
        Self::of(version, rule, sites.clone(), nodes)
    }

    /// The same places, with these sites; and as sites that are to be left those of before that have places still. O(copies of all
    /// · log n).
    ///
    /// # Errors
    /// [`SitesRefused`] where they are too many together.
    pub(crate) fn rebased(&self, version: u64, rule: Rule, sites: &Sites) -> Result<Self, SitesRefused> {
        let used: BTreeSet<u16> = self.rows.iter().copied().filter(|site| *site != NONE).collect();
        let used = used.into_iter().map(|site| *self.sites.site(SiteIndex(site)));
        let left = used.filter(|site| sites.of_node(site.node).is_none());
        let left = left.map(|site| Site { standing: Standing::Draining, ..site });
        let all = Sites::new(sites.iter().map(|(_, site)| *site).chain(left).collect())?;
        let table = Self::of(version, rule, all, |shard| self.copies(shard).collect());
        Ok(table.unwrap_or_else(|| self.clone()))
    }

    /// With other places of some shards; nodes that are no sites get none. O(copies of all).
    pub(crate) fn with<'a>(&self, version: u64, moves: impl Iterator<Item = (u32, &'a [NodeId])>) -> Self {
        let (mut rows, copies) = (self.rows.clone(), usize::from(self.rule.copies));
        for (shard, nodes) in moves {
            let Some(row) = rows.get_mut(shard as usize * copies..).and_then(|rows| rows.get_mut(..copies)) else {
                continue;
            };
            let mut sites = nodes.iter().filter_map(|node| self.sites.of_node(*node));
            row.fill_with(|| sites.next().map_or(NONE, |site| site.0));
        }
        Self::new(version, self.rule, self.sites.clone(), rows.into())
    }

    /// What a change of it names.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it was worked out for.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// What it was worked out with.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Of all that is placed where, and of all that it follows from, weights and zones among it: tables with one checksum lead
    /// to the same next one. The version is not in it.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    /// Who ought to own a shard. O(1).
    pub fn owner(&self, shard: u32) -> Option<NodeId> {
        self.sites_of(shard).next().map(|site| self.sites.site(site).node)
    }

    /// Who ought to have it, the owner first. O(copies).
    pub fn copies(&self, shard: u32) -> impl Iterator<Item = NodeId> {
        self.sites_of(shard).map(|site| self.sites.site(site).node)
    }

    pub(super) fn sites_of(&self, shard: u32) -> impl Iterator<Item = SiteIndex> + use<'_> {
        let copies = usize::from(self.rule.copies);
        let first = shard as usize * copies;
        let row = self.rows.get(first..first + copies).unwrap_or_default();
        row.iter().filter(|site| **site != NONE).map(|site| SiteIndex(*site))
    }

    /// How many shards each site owns, and of how many it has a copy. O(copies of all).
    pub fn loads(&self) -> Vec<(u32, u32)> {
        let mut loads: Vec<(u32, u32)> = self.sites.iter().map(|_| (0, 0)).collect();
        for shard in 0..self.rule.shards {
            for (site, at) in self.sites_of(shard).zip(0..) {
                let (owned, copies) = &mut loads[site.at()];
                *owned += u32::from(at == 0);
                *copies += 1;
            }
        }
        loads
    }

    /// Shards that are placed elsewhere in the other one, and where. O(copies of all).
    pub fn diff(&self, next: &Self) -> Vec<Moved> {
        let shards = self.rule.shards.max(next.rule.shards);
        let is_moved = |shard: &u32| !self.copies(*shard).eq(next.copies(*shard));
        let moved = |shard| Moved { shard, from: self.copies(shard).collect(), to: next.copies(shard).collect() };
        (0..shards).filter(is_moved).map(moved).collect()
    }

    fn sum(&self) -> u64 {
        let Rule { namespace, shards, copies, strategy, seed } = self.rule;
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 checksum of a table of placements");
        hasher.update(&[namespace.as_str().len() as u8]).update(namespace.as_str().as_bytes());
        hasher.update(&shards.to_le_bytes()).update(&[copies, strategy as u8]).update(&seed.to_le_bytes());
        hasher.update(&(self.sites.len() as u64).to_le_bytes());
        for (_, site) in self.sites.iter() {
            hasher.update(site.node.as_bytes()).update(&site.weight.to_le_bytes()).update(&[site.standing as u8]);
            hasher.update(&[site.zone.as_str().len() as u8]).update(site.zone.as_str().as_bytes());
        }
        for site in &self.rows {
            hasher.update(&site.to_le_bytes());
        }
        let mut sum = [0; 8];
        sum.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(sum)
    }
}
