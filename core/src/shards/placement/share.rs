//! What each site ought to carry, and between which bounds it may.

use super::site::{SiteIndex, Sites};
use alloc::vec;
use alloc::vec::Vec;

/// What one site ought to carry of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// With less it is filled up.
    pub(super) least: u32,
    /// What it is filled up to: its exact share, rounded down.
    pub(super) fill: u32,
    /// With more it gives away.
    pub(super) most: u32,
}

/// In hundredths of the exact share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) least: u64,
    pub(super) most: u64,
}

/// Of sites: the hottest one carries a quarter more than it ought to, at most.
pub(super) const OF_SITES: Bounds = Bounds { least: 75, most: 125 };
/// Of zones, so that within each there is room for its sites to differ.
pub(super) const OF_ZONES: Bounds = Bounds { least: 90, most: 110 };

/// Whose share is less is filled up to all of it.
const FEW: u32 = 4;

/// How much is carried for a weight: who carries more of two is to give.
pub(super) fn ratio(load: u32, weight: u64) -> u64 {
    (u64::from(load) << 24) / weight.max(1)
}

impl Share {
    /// Of that much, as this weight is to all weights.
    pub(super) fn of(total: u64, weight: u64, weights: u64, bounds: Bounds) -> Self {
        if weights == 0 {
            return Self::default();
        }
        let part = |hundredths: u64| (total * weight * hundredths / (weights * 100)) as u32;
        let up = (total * weight).div_ceil(weights) as u32;
        // Of few each counts.
        let least = if part(100) < FEW { part(100) } else { part(bounds.least) };
        Self { least, fill: part(100), most: part(bounds.most).max(up) }
    }

    const fn all(of: u32) -> Self {
        Self { least: of, fill: of, most: of }
    }
}

/// What every site ought to own, and of how many shards it ought to have a copy.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    pub(super) owned: Vec<Share>,
    pub(super) copies: Vec<Share>,
}

impl Shares {
    /// O(n), and O(n) again for each site that would have more than one copy of a shard.
    pub(super) fn of(sites: &Sites, shards: u32, copies: u8) -> Self {
        let weight = |index: SiteIndex| if sites.keeps(index) { u64::from(sites.site(index).weight) } else { 0 };
        let weights: Vec<u64> = sites.iter().map(|(index, _)| weight(index)).collect();
        let keeping = weights.iter().filter(|weight| **weight > 0).count() as u64;
        let (shards64, all) = (u64::from(shards), weights.iter().sum::<u64>());
        let owned = weights.iter().map(|weight| Share::of(shards64, *weight, all, OF_SITES)).collect();

        // A site has one copy of a shard: what is beyond that is for the others.
        let (mut total, mut others) = (shards64 * keeping.min(u64::from(copies)), all);
        let mut is_full = vec![false; weights.len()];
        while let Some(at) = (0..weights.len()).find(|at| !is_full[*at] && total * weights[*at] > shards64 * others) {
            is_full[at] = true;
            (total, others) = (total - shards64, others - weights[at]);
        }
        let share = |at: usize| match is_full[at] {
            true => Share::all(shards),
            false => {
                let share = Share::of(total, weights[at], others, OF_SITES);
                Share { most: share.most.min(shards), ..share }
            }
        };
        Self { owned, copies: (0..weights.len()).map(share).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Site, Standing};
    use super::*;
    use crate::control::state::Name;
    use crate::identity::NodeId;

    fn sites(weights: &[u16]) -> Sites {
        let site = |(weight, number): (&u16, u8)| Site {
            node: NodeId::from_bytes([number; 16]),
            weight: *weight,
            zone: Name::new("a").unwrap(),
            standing: Standing::Open,
        };
        Sites::new(weights.iter().zip(1..).map(site).collect()).unwrap()
    }

    #[test]
    fn bounds_lie_around_the_exact_share_and_leave_room_for_all() {
        let share = Share::of(1_000, 1, 50, OF_SITES);
        assert_eq!(share, Share { least: 15, fill: 20, most: 25 });
        // Where a quarter is less than one, one more is what there must be.
        assert_eq!(Share::of(10, 1, 8, OF_SITES), Share { least: 1, fill: 1, most: 2 });
        assert_eq!(Share::of(4, 1, 4, OF_SITES), Share { least: 1, fill: 1, most: 1 });
    }

    #[test]
    fn nobody_is_to_have_two_copies_of_a_shard() {
        let shares = Shares::of(&sites(&[100, 1, 1]), 12, 2);
        let copies = [0, 1, 2].map(|at| shares.copies[at].fill);
        assert_eq!(copies, [12, 6, 6], "the heavy one has one of each, the others share the rest");
        assert_eq!(shares.owned[0].fill, 11);
    }
}
