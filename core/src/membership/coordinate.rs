//! Network coordinates: an estimate of the delay to a node that was never probed.
//!
//! Vivaldi (Dabek et al. 2004, §4) with three dimensions and a height, in fixed point: microseconds and millionths, so
//! that every machine computes the same.

use crate::machine::Ctx;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// Share of the error by which one sample moves a node (Vivaldi §4.4: cₑ and c_c), in percent.
const GAIN_PERCENT: i64 = 25;
/// The error of a node that knows nothing, in millionths.
const ERROR_MAX: u32 = 1_500_000;
/// Neither a coordinate nor a delay is taken beyond a minute.
const MICROS_MAX: i64 = 60_000_000;
/// The least height, so that two nodes in one place still differ by what their own links cost.
const HEIGHT_MIN: i64 = 10;

/// A place in the space of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Coordinate {
    /// In microseconds.
    place: [i32; 3],
    /// The part of every delay that the node's own link accounts for, in microseconds.
    height: u32,
    /// How far off the estimates are, in millionths of the delay.
    error: u32,
}

impl Default for Coordinate {
    fn default() -> Self {
        Self { place: [0; 3], height: HEIGHT_MIN as u32, error: ERROR_MAX }
    }
}

impl Coordinate {
    /// The estimated round trip between two places.
    pub fn distance(&self, other: &Self) -> Duration {
        Duration::from_micros(self.micros_to(other).max(0) as u64)
    }

    /// How far off this node's estimates are, in millionths.
    pub fn error(&self) -> u32 {
        self.error
    }

    fn micros_to(&self, other: &Self) -> i64 {
        let squares = self.place.iter().zip(other.place).map(|(a, b)| {
            let apart = (i64::from(*a) - i64::from(b)).unsigned_abs();
            apart * apart
        });
        squares.sum::<u64>().isqrt() as i64 + i64::from(self.height) + i64::from(other.height)
    }

    /// Moves by what a round trip to `other` has shown. Whatever the other one claims, the step is bounded.
    pub(super) fn learn(&mut self, ctx: &mut Ctx<'_>, other: &Self, round_trip: Duration) {
        let other = other.bounded();
        let measured = ((round_trip.as_nanos() / 1_000) as i64).clamp(1, MICROS_MAX);
        let off = measured - self.micros_to(&other);
        let (own, theirs) = (i64::from(self.error), i64::from(other.error));
        // Confidence in the sample: how much worse one's own error is, in millionths.
        let weight = own * 1_000_000 / (own + theirs).max(1);
        let relative = (off.abs() * 1_000_000 / measured).min(i64::from(ERROR_MAX));
        let step = weight * GAIN_PERCENT / 100;
        self.error = ((own * (1_000_000 - step) + relative * step) / 1_000_000).clamp(1, i64::from(ERROR_MAX)) as u32;
        let push = off * step / 1_000_000;
        self.move_away_from(ctx, &other, push);
    }

    fn move_away_from(&mut self, ctx: &mut Ctx<'_>, other: &Self, push: i64) {
        let mut direction = [0, 1, 2].map(|axis| i64::from(self.place[axis]) - i64::from(other.place[axis]));
        if direction == [0; 3] {
            // Two nodes in one place part in a random direction.
            direction = [0; 3].map(|_| ctx.below(2_001) as i64 - 1_000);
        }
        let length = (direction.iter().map(|part| part.unsigned_abs().pow(2)).sum::<u64>().isqrt() as i64).max(1);
        let heights = i64::from(self.height) + i64::from(other.height);
        let whole = length + heights;
        for (place, part) in self.place.iter_mut().zip(direction) {
            let moved = i64::from(*place) + push * part / length * length / whole;
            *place = moved.clamp(-MICROS_MAX, MICROS_MAX) as i32;
        }
        let height = i64::from(self.height) + push * heights / whole;
        self.height = height.clamp(HEIGHT_MIN, MICROS_MAX) as u32;
    }

    fn bounded(&self) -> Self {
        Self {
            place: self.place.map(|part| part.clamp(-MICROS_MAX as i32, MICROS_MAX as i32)),
            height: self.height.min(MICROS_MAX as u32),
            error: self.error.clamp(1, ERROR_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{CauseId, Seeded};
    use crate::time::{Time, WallTime};

    #[test]
    fn nodes_in_a_row_learn_their_distances() {
        let mut seeded = Seeded::new(1, 1);
        let mut ctx = Ctx::new(Time::ZERO, WallTime::default(), CauseId(0), &mut seeded);
        let mut nodes = [Coordinate::default(); 4];
        let millis = |a: usize, b: usize| 10 * a.abs_diff(b) as u64 + 1;
        for _ in 0..2_000 {
            let (a, b) = (ctx.below(4) as usize, ctx.below(4) as usize);
            if a != b {
                let other = nodes[b];
                nodes[a].learn(&mut ctx, &other, Duration::from_millis(millis(a, b)));
            }
        }
        for (a, b) in [(0, 1), (0, 3), (1, 3)] {
            let (estimate, truth) = (nodes[a].distance(&nodes[b]).as_nanos() as i64, millis(a, b) as i64 * 1_000_000);
            assert!((estimate - truth).abs() < truth / 4, "{a} to {b}: {estimate} ns instead of {truth}");
        }
    }

    #[test]
    fn a_hostile_coordinate_moves_nobody_out_of_bounds() {
        let mut seeded = Seeded::new(1, 1);
        let mut ctx = Ctx::new(Time::ZERO, WallTime::default(), CauseId(0), &mut seeded);
        let hostile = Coordinate { place: [i32::MAX, i32::MIN, i32::MAX], height: u32::MAX, error: 0 };
        let mut own = Coordinate::default();
        (0..1_000).for_each(|_| own.learn(&mut ctx, &hostile, Duration::MAX));
        assert!(own.place.iter().all(|part| i64::from(*part).abs() <= MICROS_MAX));
    }
}
