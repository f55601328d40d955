//! What ought to be: an owner and copies for each shard.

use super::Rule;
use super::site::{SiteIndex, Sites};
use crate::identity::NodeId;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// No site: there are fewer than copies.
pub(super) const NONE: u16 = u16::MAX;

/// Where the shards of a namespace ought to be. Two bytes for each copy, and the sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    version: u64,
    rule: Rule,
    sites: Sites,
    /// Of each shard its copies, the owner first; as many as the rule has.
    rows: Box<[u16]>,
    checksum: u64,
}

/// A shard whose place is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
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
