//! The working out of a table, in bounded steps.
//!
//! 1. What was is kept, where its sites are still there and not drained.
//! 2. What is missing is filled in: an owner from among the copies if there are any, and copies in as many zones as there are,
//!    by the order in which sites suit the shard, and where there is room.
//! 3. Who carries too little is filled up, and who carries too much gives away ([`even`](super::even)): first zones where
//!    shards have a home, then owners, then copies.

use super::even::{Even, Member};
use super::near::Ranked;
use super::score::{Scores, ShardMark};
use super::share::{OF_SITES, OF_ZONES, Share, Shares};
use super::site::{SiteIndex, Sites};
use super::table::{NONE, Table};
use super::{Key, Rule, RuleRefused, Strategy};
use crate::control::state::Name;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// A table that is being worked out.
#[derive(Clone, Debug)]
pub struct Work {
    pub(super) rule: Rule,
    pub(super) sites: Sites,
    /// Of each shard what stands for it in a pair.
    marks: Vec<ShardMark>,
    pub(super) scores: Scores,
    pub(super) shares: Shares,
    /// Of each shard the owner, or nothing, and then the other copies.
    pub(super) rows: Vec<u16>,
    /// The zone that each shard's owner was in.
    homes: Vec<Option<u16>>,
    pub(super) owned: Vec<u32>,
    pub(super) copies: Vec<u32>,
    /// Of each site what may move away from it: what it owns, or later what it has besides.
    pub(super) lists: Vec<Vec<u32>>,
    open_zones: usize,
    copies_wanted: usize,
    forced: u32,
    /// Moves that nothing forces: how many there may be, and are left.
    moves_max: u32,
    moves_left: u32,
    is_cut_short: bool,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Sites,
    Rows(u32),
    Zones(Even),
    Owners { group: usize, members: Vec<SiteIndex>, even: Even },
    Copies { members: Vec<SiteIndex>, even: Even },
    Over,
}

/// A table that was worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The table.
    pub table: Table,
    /// Shards whose owner is gone, or is to be.
    pub forced: u32,
    /// More would be moved, if more were allowed to.
    pub is_cut_short: bool,
}

impl Work {
    /// Begins with the table before, if there is one; of moves that nothing forces there are at most so many, of owners, and so
    /// many times the copies of copies. O(shards · copies + n log n).
    ///
    /// # Errors
    /// [`RuleRefused`] when there can be no such rule.
    pub fn new(rule: Rule, sites: Sites, before: Option<&Table>, moves_max: u32) -> Result<Self, RuleRefused> {
        rule.check()?;
        let (shards, copies, key) = (rule.shards as usize, usize::from(rule.copies), Key::of(&rule));
        let keeping = sites.iter().filter(|(index, _)| sites.keeps(*index)).count();
        let mut open: Vec<u16> =
            sites.iter().filter(|(index, _)| sites.is_open(*index)).map(|(index, _)| sites.zone(index)).collect();
        open.sort_unstable();
        open.dedup();
        let mut work = Self {
            scores: Scores::new(&sites, rule.strategy, &key),
            shares: Shares::of(&sites, rule.shards, rule.copies),
            rows: vec![NONE; shards * copies],
            homes: vec![None; shards],
            owned: vec![0; sites.len()],
            copies: vec![0; sites.len()],
            lists: Vec::new(),
            open_zones: open.len(),
            copies_wanted: copies.min(keeping),
            forced: 0,
            moves_max,
            moves_left: moves_max,
            is_cut_short: false,
            phase: Phase::Sites,
            marks: (0..rule.shards).map(|shard| Scores::shard(&key, shard)).collect(),
            rule,
            sites,
        };
        if let Some(before) = before {
            work.keep(before);
        }
        Ok(work)
    }

    /// What is still there stays where it is.
    fn keep(&mut self, before: &Table) {
        let still =
            |(_, site): (SiteIndex, &super::Site)| self.sites.of_node(site.node).filter(|at| self.sites.keeps(*at));
        let still: Vec<Option<SiteIndex>> = before.sites().iter().map(still).collect();
        let zones: BTreeMap<Name, u16> = self.sites.iter().map(|(at, site)| (site.zone, self.sites.zone(at))).collect();
        let home = |(_, site): (SiteIndex, &super::Site)| zones.get(&site.zone).copied();
        let homes: Vec<Option<u16>> = match self.rule.strategy {
            Strategy::Locality => before.sites().iter().map(home).collect(),
            Strategy::Ring | Strategy::Rendezvous => vec![None; before.sites().len()],
        };
        let copies = usize::from(self.rule.copies);
        for shard in 0..self.rule.shards.min(before.rule().shards) {
            let row = &mut self.rows[shard as usize * copies..][..copies];
            let mut free = 1;
            for (was, at) in before.sites_of(shard).zip(0..) {
                if at == 0 {
                    self.homes[shard as usize] = homes[was.at()];
                }
                let Some(site) = still[was.at()] else {
                    self.forced += u32::from(at == 0);
                    continue;
                };
                match at {
                    0 => (row[0], self.owned[site.at()]) = (site.0, self.owned[site.at()] + 1),
                    // There are to be fewer than there were, or the place of the owner is all that is free.
                    _ if free == copies => continue,
                    _ => (row[free], free) = (site.0, free + 1),
                }
                self.copies[site.at()] += 1;
            }
        }
    }

    /// Goes on, until about so many pairs of a shard and a site were looked at. True once it is over.
    pub fn step(&mut self, pairs: u32) -> bool {
        let mut left = i64::from(pairs);
        while left > 0 {
            left -= match core::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return true,
                Phase::Sites => self.score_sites(left),
                Phase::Rows(shard) if shard < self.rule.shards => {
                    self.phase = Phase::Rows(shard + 1);
                    self.fill(shard)
                }
                Phase::Rows(_) => self.rows_done(),
                Phase::Zones(even) => self.even_zones(even),
                Phase::Owners { group, members, even } => self.even_owners(group, members, even),
                Phase::Copies { members, even } => self.even_copies(members, even),
            };
        }
        matches!(self.phase, Phase::Over)
    }

    /// All at once, for whoever may take the time.
    pub fn run(mut self, version: u64) -> Done {
        while !self.step(u32::MAX) {}
        self.done(version)
    }

    /// What it came to.
    ///
    /// # Panics
    /// When it is not over.
    pub fn done(self, version: u64) -> Done {
        assert!(matches!(self.phase, Phase::Over), "asked before it was over");
        let table = Table::new(version, self.rule, self.sites, self.rows);
        Done { table, forced: self.forced, is_cut_short: self.is_cut_short }
    }

    fn score_sites(&mut self, left: i64) -> i64 {
        let cost = self.scores.add(&self.sites, left);
        self.phase = match self.scores.is_complete(&self.sites) {
            true => Phase::Rows(0),
            false => Phase::Sites,
        };
        cost
    }

    fn rows_done(&mut self) -> i64 {
        self.list(|at| at == 0);
        match self.rule.strategy {
            Strategy::Locality => self.phase = Phase::Zones(Even::new(self.zone_members())),
            Strategy::Ring | Strategy::Rendezvous => self.begin_owners(0),
        }
        i64::from(self.rule.shards)
    }

    /// What each site has in such places of the rows.
    fn list(&mut self, is_listed: impl Fn(usize) -> bool) {
        self.lists = vec![Vec::new(); self.sites.len()];
        let copies = usize::from(self.rule.copies);
        for (shard, row) in (0..).zip(self.rows.chunks_exact(copies)) {
            let listed = row.iter().enumerate().filter(|(at, site)| **site != NONE && is_listed(*at));
            listed.for_each(|(_, site)| self.lists[usize::from(*site)].push(shard));
        }
    }

    fn zone_members(&self) -> Vec<Member> {
        let none = Member { load: 0, weight: 0, share: Share::default(), is_open: false };
        let (mut members, mut all) = (vec![none; self.sites.zones()], 0);
        for (at, site) in self.sites.iter().filter(|(at, _)| self.sites.keeps(*at)) {
            let member = &mut members[usize::from(self.sites.zone(at))];
            member.load += self.owned[at.at()];
            member.weight += u64::from(site.weight);
            member.is_open |= self.sites.is_open(at);
            all += u64::from(site.weight);
        }
        for member in &mut members {
            member.share = Share::of(u64::from(self.rule.shards), member.weight, all, OF_ZONES);
        }
        members
    }

    /// One move from a zone to another; or else what comes next.
    fn even_zones(&mut self, mut even: Even) -> i64 {
        let Some((from, to)) = even.next().filter(|_| self.may_move()) else {
            self.begin_owners(0);
            return self.sites.len() as i64;
        };
        let sites = || self.sites.iter().map(|(at, _)| at);
        let is_in = |at: &SiteIndex, zone: usize| usize::from(self.sites.zone(*at)) == zone;
        let ratio = |at: &SiteIndex| self.owned_ratio(*at);
        let giver = sites()
            .filter(|at| is_in(at, from) && self.sites.is_open(*at) && self.owned[at.at()] > 0)
            .max_by_key(ratio);
        let taker = sites().filter(|at| is_in(at, to) && self.sites.is_open(*at)).min_by_key(ratio);
        let found = giver.zip(taker).and_then(|(giver, taker)| Some((self.best_owned(giver, taker)?, giver, taker)));
        match found {
            Some((shard, giver, taker)) => {
                self.move_owner(shard, giver, taker);
                even.moved(from, to);
            }
            None => even.bar(from, to),
        }
        self.phase = Phase::Zones(even);
        self.sites.len() as i64
    }

    /// Sites among which owners are evened: those of a zone, or all. Behind the last group come the copies.
    fn begin_owners(&mut self, group: usize) {
        let is_local = self.rule.strategy == Strategy::Locality;
        let groups = if is_local { self.sites.zones() } else { 1 };
        if group == groups {
            return self.begin_copies();
        }
        let is_in = |at: &SiteIndex| self.sites.keeps(*at) && (!is_local || usize::from(self.sites.zone(*at)) == group);
        let members: Vec<SiteIndex> = self.sites.iter().map(|(at, _)| at).filter(is_in).collect();
        let weight = |at: &SiteIndex| u64::from(self.sites.site(*at).weight);
        let (total, weights) = members
            .iter()
            .fold((0, 0), |(total, weights), at| (total + u64::from(self.owned[at.at()]), weights + weight(at)));
        let member = |at: &SiteIndex| {
            let share = Share::of(total, weight(at), weights, OF_SITES);
            // Nobody is hotter than of all sites it may be, unless its zone has more than its part.
            let most = self.shares.owned[at.at()].most.max(share.fill + 1);
            let share = Share { most, ..share };
            Member { load: self.owned[at.at()], weight: weight(at), share, is_open: self.sites.is_open(*at) }
        };
        let even = Even::new(members.iter().map(member).collect());
        self.phase = Phase::Owners { group, members, even };
    }

    fn even_owners(&mut self, group: usize, members: Vec<SiteIndex>, mut even: Even) -> i64 {
        let Some((from, to)) = even.next().filter(|_| self.may_move()) else {
            self.begin_owners(group + 1);
            return self.sites.len() as i64;
        };
        let (giver, taker) = (members[from], members[to]);
        let cost = self.lists[giver.at()].len() as i64;
        match self.best_owned(giver, taker) {
            Some(shard) => {
                self.move_owner(shard, giver, taker);
                even.moved(from, to);
            }
            None => even.bar(from, to),
        }
        self.phase = Phase::Owners { group, members, even };
        cost + 1
    }

    fn begin_copies(&mut self) {
        self.list(|at| at > 0);
        self.moves_left = self.moves_max.saturating_mul(u32::from(self.rule.copies));
        let members: Vec<SiteIndex> = self.sites.iter().map(|(at, _)| at).filter(|at| self.sites.keeps(*at)).collect();
        let member = |at: &SiteIndex| Member {
            load: self.copies[at.at()],
            weight: u64::from(self.sites.site(*at).weight),
            share: self.shares.copies[at.at()],
            is_open: self.sites.is_open(*at),
        };
        let even = Even::new(members.iter().map(member).collect());
        self.phase = Phase::Copies { members, even };
    }

    fn even_copies(&mut self, members: Vec<SiteIndex>, mut even: Even) -> i64 {
        let Some((from, to)) = even.next().filter(|_| self.may_move()) else {
            self.phase = Phase::Over;
            return 1;
        };
        let (giver, taker) = (members[from], members[to]);
        let cost = self.lists[giver.at()].len() as i64;
        match self.best_copy(giver, taker) {
            Some(shard) => {
                self.move_copy(shard, giver, taker);
                even.moved(from, to);
            }
            None => even.bar(from, to),
        }
        self.phase = Phase::Copies { members, even };
        cost + 1
    }

    /// Whether there may be one more move that nothing forces.
    fn may_move(&mut self) -> bool {
        self.is_cut_short |= self.moves_left == 0;
        self.moves_left > 0
    }

    pub(super) fn spend_move(&mut self) {
        self.moves_left -= 1;
    }

    pub(super) fn mark(&self, shard: u32) -> ShardMark {
        self.marks[shard as usize]
    }

    pub(super) fn row(&self, shard: u32) -> &[u16] {
        let copies = usize::from(self.rule.copies);
        &self.rows[shard as usize * copies..][..copies]
    }

    pub(super) fn row_mut(&mut self, shard: u32) -> &mut [u16] {
        let copies = usize::from(self.rule.copies);
        &mut self.rows[shard as usize * copies..][..copies]
    }

    /// Those of a row.
    pub(super) fn members(&self, shard: u32) -> impl Iterator<Item = SiteIndex> + use<'_> {
        self.row(shard).iter().filter(|site| **site != NONE).map(|site| SiteIndex(*site))
    }

    /// The zone that a shard ought to be in: where it was, or by a draw.
    pub(super) fn home(&self, shard: u32) -> Option<u16> {
        let is_local = self.rule.strategy == Strategy::Locality;
        is_local.then(|| self.homes[shard as usize].unwrap_or_else(|| self.scores.zone(self.mark(shard))))
    }

    pub(super) const fn open_zones(&self) -> usize {
        self.open_zones
    }

    pub(super) const fn copies_wanted(&self) -> usize {
        self.copies_wanted
    }

    pub(super) fn ranked(&self, shard: u32) -> Ranked {
        Ranked::of(self.mark(shard), &self.scores, &self.sites)
    }
}
