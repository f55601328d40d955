//! Random streams: one per purpose, so that adding a draw in one place changes nothing anywhere else.
//!
//! A stream is opened once in a run and named by what it decides, never by the order in which it was opened. Opening
//! one twice would make two decisions share their draws; DRAW-1 holds that against the run.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use relaymesh_core::machine::{Chooser, Seeded};
use relaymesh_core::time::Duration;

/// Probabilities and other shares are counted in millionths, since floating point may differ between machines.
pub const MILLION: u64 = 1_000_000;

/// Opens the streams of one seed.
#[derive(Debug)]
pub struct Streams {
    seed: u64,
    opened: BTreeSet<u64>,
    /// Purposes that were opened more than once.
    shared: Vec<String>,
}

impl Streams {
    /// The streams of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, opened: BTreeSet::new(), shared: Vec::new() }
    }

    /// The stream for `purpose`, which stands for one kind of decision of one part of the world.
    pub fn open(&mut self, purpose: impl Display) -> Stream {
        let name = format!("{purpose}");
        let hash = blake3::hash(name.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_bytes()[..8]);
        let id = u64::from_le_bytes(id);
        if !self.opened.insert(id) {
            self.shared.push(name);
        }
        Stream { seeded: Seeded::new(self.seed, id), decisions: 0 }
    }

    /// Purposes whose stream was opened twice.
    pub fn shared(&self) -> &[String] {
        &self.shared
    }
}

/// The draws for one purpose. Not to be cloned: two copies would give the same draws twice.
#[derive(Debug)]
pub struct Stream {
    seeded: Seeded,
    decisions: u64,
}

impl Stream {
    /// Announces one decision, which takes exactly one draw. DRAW-1 compares the two counts at the end of the run.
    pub fn decide(&mut self) -> &mut Self {
        self.decisions += 1;
        self
    }

    /// Decisions announced.
    pub const fn decisions(&self) -> u64 {
        self.decisions
    }

    /// Numbers drawn.
    pub fn draws(&self) -> u64 {
        self.seeded.draws()
    }

    /// Whether an event of probability `millionths` happens.
    pub fn happens(&mut self, millionths: u64) -> bool {
        self.below(MILLION) < millionths
    }

    /// A span in `from..=to`.
    pub fn span(&mut self, from: Duration, to: Duration) -> Duration {
        let width = to.saturating_sub(from).as_nanos();
        from + Duration::from_nanos(self.below(width + 1))
    }

    /// `count` different members of `0..of`, ascending.
    pub fn pick(&mut self, count: usize, of: usize) -> Vec<u32> {
        let mut left: Vec<u32> = (0..of as u32).collect();
        let mut picked: Vec<u32> = Vec::new();
        for _ in 0..count.min(of) {
            let at = self.below(left.len() as u64) as usize;
            picked.push(left.swap_remove(at));
        }
        picked.sort_unstable();
        picked
    }
}

impl Chooser for Stream {
    fn below(&mut self, bound: u64) -> u64 {
        self.seeded.below(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_follows_from_seed_and_purpose_alone() {
        let draws = |mut stream: Stream| -> Vec<u64> { (0..4).map(|_| stream.below(1 << 40)).collect() };
        let mut one = Streams::new(7);
        let first = draws(one.open("loss"));
        let mut other = Streams::new(7);
        other.open("something opened before");
        assert_eq!(draws(other.open("loss")), first);
        assert_ne!(draws(other.open("delay")), first);
        assert_ne!(draws(Streams::new(8).open("loss")), first);
    }

    #[test]
    fn a_stream_opened_twice_is_reported() {
        let mut streams = Streams::new(1);
        streams.open("loss");
        streams.open("loss");
        assert_eq!(streams.shared(), ["loss"]);
    }

    #[test]
    fn picked_members_differ() {
        let mut stream = Streams::new(1).open("pick");
        assert_eq!(stream.pick(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(stream.pick(9, 3).len(), 3);
    }
}
