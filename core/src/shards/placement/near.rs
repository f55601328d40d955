//! The sites that suit a shard best, in order, without a look at how well all others do: what is looked for is nearly always
//! among the first. Which these are follows from the scores alone; the others are scored where none of the first will do.

use super::score::{RECIPROCAL_BITS, Scores, ShardMark, mixed, weighted};
use super::site::{SiteIndex, Sites};
use alloc::vec;
use alloc::vec::Vec;

/// Sites that are looked at first, about.
const NEAR: u64 = 32;
/// Points of an arc of the ring, in the mean.
const POINTS_OF_ARC: u64 = 8;

/// Points that are looked at, about: where a few sites are hard to come upon, fewer are near.
const LOOKED_AT_MAX: i64 = 16 * NEAR as i64;

/// How those that are near to a shard are found.
#[derive(Clone, Debug)]
pub(super) enum Near {
    /// By their draws: only those of them are near that are no lower than this, of each site. No score need be worked out of others.
    Draws {
        /// Scores of those that are near are no greater.
        most: u64,
        /// The last reciprocal of a weight, and what follows from it.
        last: (u64, u64),
        least: Vec<u64>,
    },
    /// On the ring: the points of open sites, by the arc that they are in.
    Ring {
        /// Bits of a point that say in which arc it is; one at least.
        bits: u32,
        /// How many sites there are.
        open: usize,
        arcs: Vec<Vec<(u64, SiteIndex)>>,
    },
}

impl Near {
    /// Of no site yet.
    pub(super) fn draws(sites: &Sites) -> Self {
        let open = sites.iter().filter(|(index, _)| sites.is_open(*index));
        let (count, weights) =
            open.fold((0, 0), |(count, weights), (_, site)| (count + 1, weights + u64::from(site.weight)));
        let most = match count {
            // A part of all draws that so many of that number have, if they weigh the same.
            count if count > 2 * NEAR => {
                weighted(u64::MAX - u64::MAX / count * NEAR, (count << RECIPROCAL_BITS) / weights)
            }
            _ => u64::MAX,
        };
        Self::Draws { most, last: (0, 0), least: Vec::new() }
    }

    /// Of no site yet, with room for about so many points.
    pub(super) fn ring(points: u64) -> Self {
        let bits = (points / POINTS_OF_ARC).max(2).ilog2();
        Self::Ring { bits, open: 0, arcs: vec![Vec::new(); 1 << bits] }
    }

    /// The next site weighs so much. What that costs.
    pub(super) fn add(&mut self, reciprocal: u64) -> i64 {
        let Self::Draws { most, last, least } = self else { return 0 };
        let is_known = last.0 == reciprocal;
        if !is_known {
            *last = (reciprocal, least_draw(*most, reciprocal));
        }
        least.push(last.1);
        if is_known { 0 } else { 64 }
    }

    /// These are the points of an open site.
    pub(super) fn add_points(&mut self, site: SiteIndex, points: &[u64]) {
        let Self::Ring { bits, open, arcs } = self else { return };
        *open += 1;
        points.iter().for_each(|point| arcs[arc(*point, *bits)].push((*point, site)));
    }
}

/// The least draw that is worth no more than that; a score falls as the draw rises.
fn least_draw(most: u64, reciprocal: u64) -> u64 {
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        match weighted(middle, reciprocal) <= most {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

fn arc(point: u64, bits: u32) -> usize {
    (point >> (u64::BITS - bits)) as usize
}

/// Open sites by how well they suit a shard.
#[derive(Debug)]
pub(super) struct Ranked {
    shard: ShardMark,
    /// Those that suit it best, in order.
    near: Vec<(u64, SiteIndex)>,
    /// All of them, once they were needed.
    all: Vec<(u64, SiteIndex)>,
    cost: i64,
}

impl Ranked {
    /// O(n), on a ring O(1) in the mean.
    pub(super) fn of(shard: ShardMark, scores: &Scores, sites: &Sites) -> Self {
        let (mut near, cost) = match scores.near() {
            Near::Draws { least, .. } => (drawn(shard, scores, sites, least), sites.len() as i64),
            Near::Ring { bits, open, arcs } => clockwise(shard.0, (*bits, arcs), *open),
        };
        if let Near::Draws { .. } = scores.near() {
            near.sort_unstable();
        }
        Self { shard, near, all: Vec::new(), cost }
    }

    /// Pairs of a shard and a site that were looked at.
    pub(super) const fn cost(&self) -> i64 {
        self.cost
    }

    /// Of those of the lowest class there is the one that suits best, and the class.
    pub(super) fn best(
        &mut self,
        (scores, sites): (&Scores, &Sites),
        class: impl Fn(SiteIndex) -> u8,
    ) -> Option<(u8, SiteIndex)> {
        let first = self.near.iter().map(|(_, site)| *site).find(|site| class(*site) == 0);
        if let Some(first) = first {
            return Some((0, first));
        }
        if self.all.is_empty() {
            let open = sites.iter().map(|(index, _)| index).filter(|index| sites.is_open(*index));
            self.all = open.map(|site| (scores.score(self.shard, site), site)).collect();
            self.cost += self.all.len() as i64;
        }
        let best = self.all.iter().min_by_key(|(score, site)| (class(*site), *score, *site))?;
        Some((class(best.1), best.1))
    }
}

/// Those whose draws are no lower than their least.
fn drawn(shard: ShardMark, scores: &Scores, sites: &Sites, least: &[u64]) -> Vec<(u64, SiteIndex)> {
    let mut near = Vec::with_capacity(2 * NEAR as usize);
    for ((site, _), least) in sites.iter().zip(least) {
        let (mark, reciprocal) = scores.of_site(site);
        let draw = mixed(shard.0, mark);
        if draw >= *least && sites.is_open(site) {
            near.push((weighted(draw, reciprocal), site));
        }
    }
    near
}

/// The first sites that come behind this point of the ring, and how many points were looked at.
fn clockwise(from: u64, (bits, arcs): (u32, &[Vec<(u64, SiteIndex)>]), open: usize) -> (Vec<(u64, SiteIndex)>, i64) {
    let (mut near, mut points) = (Vec::with_capacity(NEAR as usize), Vec::new());
    let (first, mut cost) = (arc(from, bits), 0);
    // Once round, and what lies before the point in its own arc.
    for step in 0..=arcs.len() {
        let points_of_arc = &arcs[(first + step) % arcs.len()];
        let is_last = step == arcs.len();
        let is_behind = |(point, _): &&(u64, SiteIndex)| (step > 0 || *point >= from) && (!is_last || *point < from);
        points.clear();
        points.extend(points_of_arc.iter().filter(is_behind));
        points.sort_unstable();
        cost += points.len() as i64 + 1;
        for (point, site) in &points {
            if near.iter().all(|(_, known)| known != site) {
                near.push((point.wrapping_sub(from), *site));
            }
        }
        if near.len() >= open.min(NEAR as usize) || cost > LOOKED_AT_MAX {
            break;
        }
    }
    (near, cost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::state::Name;
    use crate::identity::NodeId;
    use crate::shards::placement::{Key, Rule, Site, Standing, Strategy};

    fn sites(count: u16, weight: impl Fn(u16) -> u16) -> Sites {
        let site = |number: u16| {
            let standing = if number % 7 == 3 { Standing::Cordoned } else { Standing::Open };
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&number.to_le_bytes());
            let (node, zone) = (NodeId::from_bytes(bytes), Name::new("a").unwrap());
            Site { node, weight: weight(number), zone, standing }
        };
        Sites::new((0..count).map(site).collect()).unwrap()
    }

    /// Held against all sites in order of their scores.
    #[test]
    fn those_that_are_near_are_the_first_of_all() {
        let weights: [fn(u16) -> u16; 3] =
            [|_| 100, |number| 1 + number % 50, |number| if number == 5 { 1_024 } else { 1 }];
        for strategy in [Strategy::Ring, Strategy::Rendezvous, Strategy::Locality] {
            for (count, weight) in [3, 20, 300].into_iter().flat_map(|count| weights.map(|weight| (count, weight))) {
                let namespace = Name::new("tasks").unwrap();
                let key = Key::of(&Rule { namespace, shards: 64, copies: 3, strategy, seed: 9 });
                let sites = sites(count, weight);
                let mut scores = Scores::new(&sites, strategy, &key);
                while !scores.is_complete(&sites) {
                    scores.add(&sites, 100);
                }
                let mut seen = 0;
                for shard in 0..64 {
                    let mark = Scores::shard(&key, shard);
                    let open = sites.iter().map(|(index, _)| index).filter(|index| sites.is_open(*index));
                    let mut all: Vec<_> = open.map(|site| (scores.score(mark, site), site)).collect();
                    all.sort_unstable();
                    let mut ranked = Ranked::of(mark, &scores, &sites);
                    assert!(all.starts_with(&ranked.near), "{strategy:?} {count}: {:?} of {all:?}", ranked.near);
                    seen += ranked.near.len();
                    let last = all[all.len() - 1].1;
                    let of_last = |site: SiteIndex| u8::from(site != last);
                    assert_eq!(ranked.best((&scores, &sites), of_last), Some((0, last)));
                    assert_eq!(ranked.best((&scores, &sites), |_| 3), Some((3, all[0].1)));
                }
                let few = 64 * usize::from(count).min(5);
                assert!(seen >= few, "{strategy:?} {count}: {seen}");
            }
        }
    }
}
