//! How well a site suits a shard, in whole numbers: the same on every machine and in every build. Less is better.

use super::near::Near;
use super::site::{SiteIndex, Sites};
use super::{Key, Strategy};
use alloc::vec;
use alloc::vec::Vec;

/// Points on the ring of a site of the mean weight; of others in proportion.
const POINTS_OF_MEAN: u64 = 128;
const POINTS_MAX: u64 = 1_024;

/// Sites by what is worked out once for each, instead of once for each pair.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    strategy: Strategy,
    key: Key,
    /// Of each site: what stands for it in a pair, and the reciprocal of its weight.
    marks: Vec<(u64, u64)>,
    /// Of each site its points on the ring, in order; empty where there is no ring.
    points: Vec<Vec<u64>>,
    weights: u64,
    /// The same as of sites, of zones.
    zones: Vec<(u64, u64)>,
    near: Near,
}

/// What stands for a shard in a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardMark(pub(super) u64);

impl Scores {
    /// Of no site yet. O(n).
    pub(super) fn new(sites: &Sites, strategy: Strategy, key: &Key) -> Self {
        let mut zones = vec![(0, 0); sites.zones()];
        for (index, site) in sites.iter().filter(|(index, _)| sites.is_open(*index)) {
            let (mark, weight) = &mut zones[usize::from(sites.zone(index))];
            (*mark, *weight) = (key.mark(Key::ZONE, site.zone.as_str().as_bytes()), *weight + u64::from(site.weight));
        }
        zones
            .iter_mut()
            .for_each(|(_, weight)| *weight = (1u64 << RECIPROCAL_BITS).checked_div(*weight).unwrap_or(u64::MAX));
        let weights: u64 = sites.iter().map(|(_, site)| u64::from(site.weight)).sum();
        let near = match strategy {
            Strategy::Ring => Near::ring(POINTS_OF_MEAN * sites.len() as u64),
            Strategy::Rendezvous | Strategy::Locality => Near::draws(sites),
        };
        Self { strategy, key: key.clone(), marks: Vec::new(), points: Vec::new(), weights, zones, near }
    }

    /// Adds sites, until about that was spent; says how much was.
    pub(super) fn add(&mut self, sites: &Sites, left: i64) -> i64 {
        let mut cost = 0;
        for (index, site) in sites.iter().skip(self.marks.len()) {
            if cost >= left {
                break;
            }
            let mark = self.key.mark(Key::SITE, site.node.as_bytes());
            let reciprocal = (1 << RECIPROCAL_BITS) / u64::from(site.weight);
            self.marks.push((mark, reciprocal));
            cost += 32 + self.near.add(reciprocal);
            if self.strategy == Strategy::Ring {
                let count = POINTS_OF_MEAN * u64::from(site.weight) * sites.len() as u64 / self.weights;
                let mut points: Vec<u64> = (0..count.clamp(1, POINTS_MAX)).map(|number| mixed(mark, number)).collect();
                points.sort_unstable();
                cost += points.len() as i64;
                if sites.is_open(index) {
                    self.near.add_points(index, &points);
                }
                self.points.push(points);
            }
        }
        cost
    }

    pub(super) fn is_complete(&self, sites: &Sites) -> bool {
        self.marks.len() == sites.len()
    }

    pub(super) fn shard(key: &Key, number: u32) -> ShardMark {
        ShardMark(key.mark(Key::SHARD, &number.to_le_bytes()))
    }

    /// How well they suit one another. O(1), on a ring O(log points).
    pub(super) fn score(&self, shard: ShardMark, site: SiteIndex) -> u64 {
        match self.strategy {
            Strategy::Ring => clockwise(shard.0, &self.points[site.at()]),
            Strategy::Rendezvous | Strategy::Locality => {
                let (mark, reciprocal) = self.marks[site.at()];
                weighted(mixed(shard.0, mark), reciprocal)
            }
        }
    }

    /// What stands for a site in a pair, and the reciprocal of its weight.
    pub(super) fn of_site(&self, site: SiteIndex) -> (u64, u64) {
        self.marks[site.at()]
    }

    pub(super) const fn near(&self) -> &Near {
        &self.near
    }

    /// The zone that suits a shard best. O(zones).
    pub(super) fn zone(&self, shard: ShardMark) -> u16 {
        let score = |(_, (mark, reciprocal)): &(u16, &(u64, u64))| weighted(mixed(shard.0, *mark), *reciprocal);
        // Without an open site it is nobody's home.
        let open = (0..).zip(&self.zones).filter(|(_, (_, reciprocal))| *reciprocal != u64::MAX);
        open.min_by_key(score).map_or(0, |(zone, _)| zone)
    }
}

/// How far it is on the ring to the next of these points (Karger et al. 1997).
fn clockwise(from: u64, points: &[u64]) -> u64 {
    let next = points.partition_point(|point| *point < from);
    let point = points.get(next).or_else(|| points.first());
    point.map_or(u64::MAX, |point| point.wrapping_sub(from))
}

/// Bits behind the point of the reciprocal of a weight.
pub(super) const RECIPROCAL_BITS: u32 = 32;

/// −log2 of the draw as a part of 2⁶⁴, by the weight: the least of such values is a site's as often as its weight is a
/// part of all (weighted rendezvous hashing, Schindelhauer & Schomaker 2005).
pub(super) fn weighted(draw: u64, reciprocal: u64) -> u64 {
    let span = (64 << LOG_BITS) - log2(draw.max(1));
    ((u128::from(span) * u128::from(reciprocal)) >> (RECIPROCAL_BITS - 16)) as u64
}

/// Bits behind the point of a logarithm.
const LOG_BITS: u32 = 40;
/// Bits of the number behind its first one that the table has a step for.
const STEP_BITS: u32 = 8;
const STEPS: usize = 1 << STEP_BITS;

/// log2(1 + i / 256) for i from 0 to 256.
const LOGS: [u64; STEPS + 1] = logs();

/// By squaring, a bit at a time.
const fn logs() -> [u64; STEPS + 1] {
    let mut logs = [0; STEPS + 1];
    let mut step = 0;
    while step <= STEPS {
        let (mut number, mut log, mut bit) = (((STEPS + step) as u128) << (62 - STEP_BITS), 0u64, 0);
        if step == STEPS {
            log = 1 << LOG_BITS;
        } else {
            while bit < LOG_BITS {
                number = (number * number) >> 62;
                log <<= 1;
                if number >= 1 << 63 {
                    number >>= 1;
                    log |= 1;
                }
                bit += 1;
            }
        }
        logs[step] = log;
        step += 1;
    }
    logs
}

/// The logarithm to the base 2, straight between the steps of the table: it rises with the number, and is less than 3 · 10⁻⁶
/// too small.
fn log2(number: u64) -> u64 {
    let whole = 63 - number.leading_zeros();
    // The first bit falls out at the top.
    let behind = (number << (63 - whole)) << 1;
    let step = (behind >> (64 - STEP_BITS)) as usize;
    let within = (behind << STEP_BITS) >> 32;
    let rise = LOGS[step + 1] - LOGS[step];
    (u64::from(whole) << LOG_BITS) + LOGS[step] + ((rise * (within >> 8)) >> 24)
}

/// Two numbers as one that looks like chance (the last steps of SplitMix64, Steele et al. 2014).
pub(super) fn mixed(one: u64, other: u64) -> u64 {
    let mut mixed = one.wrapping_add(other.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_rises_and_is_as_exact_as_it_says() {
        let numbers =
            (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) | (1 << bit >> 1), (1 << bit) + ((1 << bit) - 1) / 3]);
        let mut numbers: Vec<u64> = numbers.chain([u64::MAX, u64::MAX - 1]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let logs: Vec<u64> = numbers.iter().map(|number| log2(*number)).collect();
        assert!(logs.is_sorted());
        (0..64).for_each(|bit| assert_eq!(log2(1 << bit), bit << LOG_BITS));
        // A square has twice the logarithm. Each of the two may be too small by 3 · 10⁻⁶.
        let exact = (1 << LOG_BITS) * 3 / 1_000_000;
        for number in numbers.iter().filter(|number| **number < 1 << 32) {
            let (twice, of_square) = (2 * log2(*number), log2(number * number));
            assert!(twice.abs_diff(of_square) <= 2 * exact, "{number}: {twice} {of_square}");
        }
    }

    #[test]
    fn the_next_point_of_a_ring_may_lie_behind_its_beginning() {
        assert_eq!(clockwise(5, &[1, 5, 9]), 0);
        assert_eq!(clockwise(6, &[1, 5, 9]), 3);
        assert_eq!(clockwise(u64::MAX, &[1, 5, 9]), 2);
    }

    /// Twice the weight is twice the chance.
    #[test]
    fn a_site_is_best_as_often_as_its_weight_says() {
        let weights = [1u64, 2, 5];
        let reciprocals = weights.map(|weight| (1 << RECIPROCAL_BITS) / weight);
        let mut best = [0u32; 3];
        for shard in 0..80_000 {
            let score = |site: &usize| weighted(mixed(shard, mixed(7, *site as u64)), reciprocals[*site]);
            best[(0..3).min_by_key(score).unwrap()] += 1;
        }
        for (count, weight) in best.iter().zip(weights) {
            assert!(count.abs_diff(weight as u32 * 10_000) < 400, "{best:?}");
        }
    }
}
