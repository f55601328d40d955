//! One move from a site to another: of which shard, and what becomes of its row.

use super::site::SiteIndex;
use super::table::NONE;
use super::work::Work;
use alloc::vec::Vec;

impl Work {
    /// Of what the one owns, what the other ought to: what it has a copy of comes first, as nothing is to be copied then.
    /// Where it has no room for one more copy it gives one away later.
    pub(super) fn best_owned(&self, giver: SiteIndex, taker: SiteIndex) -> Option<u32> {
        let owned = self.lists[giver.at()].iter().copied();
        let merit = |shard: &u32| {
            let has_copy = self.row(*shard).contains(&taker.0);
            (!has_copy, self.scores.score(self.mark(*shard), taker), *shard)
        };
        owned.min_by_key(merit)
    }

    /// The owner becomes another one. Who was it keeps a copy, unless that is the one too many.
    pub(super) fn move_owner(&mut self, shard: u32, giver: SiteIndex, taker: SiteIndex) {
        let place = self.row(shard).iter().position(|site| *site == taker.0);
        match place.or_else(|| self.row(shard).iter().position(|site| *site == NONE)) {
            Some(place) => {
                let row = self.row_mut(shard);
                let was_there = row[place] == taker.0;
                (row[0], row[place]) = (taker.0, giver.0);
                self.copies[taker.at()] += u32::from(!was_there);
            }
            None => {
                let leaver = self.leaver(shard, taker);
                self.replace(shard, leaver, taker);
                let row = self.row_mut(shard);
                if let Some(place) = row.iter().position(|site| *site == taker.0) {
                    row.swap(0, place);
                }
            }
        }
        self.owned[giver.at()] -= 1;
        self.owned[taker.at()] += 1;
        self.relist(shard, giver, taker);
        self.spend_move();
    }

    /// Who has a copy no more when that site has one: nobody that is cordoned, whoever leaves the most zones, and then whoever has
    /// the most copies.
    fn leaver(&self, shard: u32, taker: SiteIndex) -> SiteIndex {
        let row: Vec<SiteIndex> = self.members(shard).collect();
        let merit = |leaver: &SiteIndex| {
            let rest: Vec<SiteIndex> = row.iter().filter(|at| *at != leaver).copied().chain([taker]).collect();
            (self.sites.is_open(*leaver), self.zones_of(&rest), self.copies_ratio(*leaver))
        };
        row.iter().copied().max_by_key(merit).unwrap_or(taker)
    }

    /// Of what the one has copies of, and does not own, what the other ought to have, in no fewer zones than now.
    pub(super) fn best_copy(&self, giver: SiteIndex, taker: SiteIndex) -> Option<u32> {
        let could = |shard: &u32| {
            let row: Vec<SiteIndex> = self.members(*shard).collect();
            let after: Vec<SiteIndex> = row.iter().map(|at| if *at == giver { taker } else { *at }).collect();
            !row.contains(&taker) && self.zones_of(&after) >= self.zones_of(&row)
        };
        let held = self.lists[giver.at()].iter().copied().filter(could);
        held.min_by_key(|shard| (self.scores.score(self.mark(*shard), taker), *shard))
    }

    pub(super) fn move_copy(&mut self, shard: u32, giver: SiteIndex, taker: SiteIndex) {
        self.replace(shard, giver, taker);
        self.relist(shard, giver, taker);
        self.spend_move();
    }

    fn relist(&mut self, shard: u32, giver: SiteIndex, taker: SiteIndex) {
        if let Some(place) = self.lists[giver.at()].iter().position(|it| *it == shard) {
            self.lists[giver.at()].swap_remove(place);
            self.lists[taker.at()].push(shard);
        }
    }
}
