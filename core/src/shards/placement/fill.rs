//! What is missing of a shard's row is filled in.

use super::near::Ranked;
use super::share::ratio;
use super::site::SiteIndex;
use super::table::NONE;
use super::work::Work;
use alloc::vec::Vec;

impl Work {
    /// An owner, copies, and as many zones as there can be. Says what that cost.
    pub(super) fn fill(&mut self, shard: u32) -> i64 {
        let mut ranked = None;
        if self.row(shard)[0] == NONE {
            self.fill_owner(shard, &mut ranked);
        }
        while self.members(shard).count() < self.copies_wanted() {
            let Some(site) = self.next_copy(shard, &mut ranked) else { break };
            let free = self.row(shard).iter().position(|site| *site == NONE);
            let Some(free) = free else { break };
            self.row_mut(shard)[free] = site.0;
            self.copies[site.at()] += 1;
        }
        self.spread(shard, &mut ranked);
        1 + ranked.map_or(0, |ranked| ranked.cost())
    }

    /// One that has a copy already is the best, in the zone that the shard is at home in.
    fn fill_owner(&mut self, shard: u32, ranked: &mut Option<Ranked>) {
        let home = self.home(shard);
        let is_home = |at: &SiteIndex| home.is_none_or(|home| self.sites.zone(*at) == home);
        let have: Vec<SiteIndex> = self.members(shard).collect();
        let mark = self.mark(shard);
        let fitness = |at: &SiteIndex| {
            let is_full = self.owned[at.at()] >= self.shares.owned[at.at()].most;
            (is_full, self.owned_ratio(*at), self.scores.score(mark, *at))
        };
        let with_copy = have.iter().filter(|at| is_home(at)).min_by_key(|at| fitness(at)).copied();
        let has_room = |at: SiteIndex| {
            let (owned, copies) = (self.shares.owned[at.at()], self.shares.copies[at.at()]);
            self.owned[at.at()] < owned.most && self.copies[at.at()] < copies.most
        };
        let class = |at: SiteIndex| match (is_home(&at), has_room(at)) {
            (true, true) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
        };
        let mut newcomer = || ranked.get_or_insert_with(|| self.ranked(shard)).best((&self.scores, &self.sites), class);
        let owner = match (with_copy, have.is_empty()) {
            (Some(owner), _) => Some(owner),
            (None, true) => newcomer().map(|(_, at)| at),
            // Nobody at home has one: somebody there is to get it, while there is room.
            (None, false) => {
                let at_home = newcomer().filter(|(class, _)| *class == 0).map(|(_, at)| at);
                at_home.or_else(|| have.iter().min_by_key(|at| fitness(at)).copied())
            }
        };
        let Some(owner) = owner else { return };
        let row = self.row_mut(shard);
        match row.iter().position(|site| *site == owner.0) {
            Some(place) => {
                row.swap(0, place);
                // The place that it had is behind all that are taken.
                let taken = row.iter().rposition(|site| *site != NONE).unwrap_or(0);
                if taken > place {
                    row.swap(place, taken);
                }
            }
            None => {
                row[0] = owner.0;
                self.copies[owner.at()] += 1;
            }
        }
        self.owned[owner.at()] += 1;
    }

    /// In a zone that has none if there is one, where there is room; room counts for more once two zones have it.
    fn next_copy(&self, shard: u32, ranked: &mut Option<Ranked>) -> Option<SiteIndex> {
        let row: Vec<SiteIndex> = self.members(shard).collect();
        let is_spread = self.zones_of(&row) > 1 || self.open_zones() == 1;
        let class = |at: SiteIndex| {
            let is_new_zone = row.iter().all(|other| self.sites.zone(*other) != self.sites.zone(at));
            let has_room = self.copies[at.at()] < self.shares.copies[at.at()].most;
            match (is_new_zone, has_room) {
                _ if row.contains(&at) => 5,
                (true, true) => 0,
                (false, true) if is_spread => 1,
                (true, false) => 2,
                (false, true) => 3,
                (false, false) => 4,
            }
        };
        let (class, at) = ranked.get_or_insert_with(|| self.ranked(shard)).best((&self.scores, &self.sites), class)?;
        (class < 5).then_some(at)
    }

    /// A copy in a zone that has another one goes to a zone that has none.
    fn spread(&mut self, shard: u32, ranked: &mut Option<Ranked>) {
        loop {
            let row: Vec<SiteIndex> = self.members(shard).collect();
            let zones = self.zones_of(&row);
            if zones >= row.len().min(self.open_zones()) {
                return;
            }
            let class = |at: SiteIndex| {
                let is_new_zone = row.iter().all(|other| self.sites.zone(*other) != self.sites.zone(at));
                u8::from(!is_new_zone || self.copies[at.at()] >= self.shares.copies[at.at()].most)
            };
            let best = ranked.get_or_insert_with(|| self.ranked(shard)).best((&self.scores, &self.sites), class);
            let Some((0, taker)) = best else { return };
            let same_zone =
                |at: &SiteIndex| row.iter().filter(|it| self.sites.zone(**it) == self.sites.zone(*at)).count();
            let may_give = |at: &&SiteIndex| self.sites.is_open(**at) && same_zone(at) > 1;
            let giver = row.iter().skip(1).filter(may_give).max_by_key(|at| self.copies_ratio(**at));
            let Some(giver) = giver.copied() else { return };
            self.replace(shard, giver, taker);
        }
    }

    /// Zones in which these are.
    pub(super) fn zones_of(&self, row: &[SiteIndex]) -> usize {
        let is_first = |(at, site): &(usize, &SiteIndex)| {
            row[..*at].iter().all(|before| self.sites.zone(*before) != self.sites.zone(**site))
        };
        row.iter().enumerate().filter(is_first).count()
    }

    /// How much a site owns, for its weight.
    pub(super) fn owned_ratio(&self, at: SiteIndex) -> u64 {
        ratio(self.owned[at.at()], u64::from(self.sites.site(at).weight))
    }

    /// How much a site has copies of, for its weight; and which it is.
    pub(super) fn copies_ratio(&self, at: SiteIndex) -> (u64, SiteIndex) {
        (ratio(self.copies[at.at()], u64::from(self.sites.site(at).weight)), at)
    }

    /// One has the copy in the place of the other.
    pub(super) fn replace(&mut self, shard: u32, giver: SiteIndex, taker: SiteIndex) {
        let place = self.row_mut(shard).iter_mut().find(|site| **site == giver.0);
        if let Some(place) = place {
            *place = taker.0;
            self.copies[giver.at()] -= 1;
            self.copies[taker.at()] += 1;
        }
    }
}
