//! Chance, as the driver hands it in: seeded in production and simulation, scripted in tests and model checking.

use alloc::vec::Vec;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Draws numbers for a machine.
pub trait Chooser {
    /// A number in `0..bound`; `bound` is at least one.
    fn below(&mut self, bound: u64) -> u64;
}

/// One seeded stream of draws.
#[derive(Clone, Debug)]
pub struct Seeded {
    generator: ChaCha8Rng,
    draws: u64,
}

impl Seeded {
    /// The stream `stream` of `seed`: streams of one seed are independent of one another.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self { generator, draws: 0 }
    }

    /// How many numbers were drawn so far.
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// A number in the whole range of `u64`.
    pub fn word(&mut self) -> u64 {
        self.draws += 1;
        self.generator.next_u64()
    }
}

impl Chooser for Seeded {
    /// Widening multiplication: exactly one word per draw, so that a stream's position counts its decisions. The
    /// bias is below `bound / 2⁶⁴`.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }
}

/// Draws that a test or an enumerator wrote down. Past the script's end every draw is zero.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    script: Vec<u64>,
    at: usize,
}

impl Scripted {
    /// Draws `script` in order.
    pub fn new(script: Vec<u64>) -> Self {
        Self { script, at: 0 }
    }
}

impl Chooser for Scripted {
    fn below(&mut self, bound: u64) -> u64 {
        let draw = self.script.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        draw.min(bound - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_each_repeats() {
        let draw = |stream| -> Vec<u64> {
            let mut chooser = Seeded::new(7, stream);
            (0..8).map(|_| chooser.below(1_000)).collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_draw_stays_below_its_bound_and_counts_one() {
        let mut chooser = Seeded::new(1, 1);
        assert!((0..1_000).all(|_| chooser.below(3) < 3));
        assert_eq!(chooser.draws(), 1_000);
    }
}
