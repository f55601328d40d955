//! Whether what clients saw of one counter can be told as a story in which each addition happened at once, once, between its
//! request and its answer.
//!
//! Each client adds to bits of its own, its lane, so that a sum tells how many additions of each client are in it. So the
//! order of all that was seen follows from what was seen, and no search is needed: sums must form a chain in which each
//! addition is one step of its own lane, and which goes on as time does. What nobody knows the outcome of may be in a sum
//! from when it was asked for.
//!
//! A lane is one client's, which does one thing at a time.

use alloc::vec;
use alloc::vec::Vec;

/// One operation on a counter, as its client saw it. Instants come from one counter of all clients' events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// When it was asked for.
    pub invoked: u64,
    /// When the answer came, and the sum that it told: that behind an addition.
    pub returned: Option<(u64, u64)>,
    /// The lane that it added one to; nothing for what only reads.
    pub lane: Option<usize>,
}

/// The first operation, by its place in the history, that there is no place for in any story; nothing where there is one.
/// Lanes are of `bits` bits each. O(n log n).
pub fn misplaced(history: &[Count], bits: u32) -> Option<usize> {
    let lanes = lanes_of(bits);
    let answered = || (0..history.len()).filter(|at| history[*at].returned.is_some());
    let mut chain: Vec<(Vec<u64>, bool, usize)> = answered()
        .map(|at| (parts(history[at].returned.map_or(0, |(_, sum)| sum), bits), history[at].lane.is_none(), at))
        .collect();
    // An addition comes before those that read what it made.
    chain.sort_by_key(|(parts, reads, at)| (parts.iter().sum::<u64>(), *reads, *at));
    broken_link(history, &chain)
        .or_else(|| out_of_time(history, bits))
        .or_else(|| out_of_thin_air(history, bits, lanes))
}

fn lanes_of(bits: u32) -> usize {
    (u64::BITS / bits.clamp(1, u64::BITS)) as usize
}

fn parts(sum: u64, bits: u32) -> Vec<u64> {
    let mask = if bits >= u64::BITS { u64::MAX } else { (1 << bits) - 1 };
    (0..lanes_of(bits) as u32).map(|lane| (sum >> (lane * bits)) & mask).collect()
}

fn is_within(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).all(|(one, other)| one <= other)
}

/// What was seen in the order of sums: each contains what came before, and the last step to what an addition has made is its
/// own.
fn broken_link(history: &[Count], chain: &[(Vec<u64>, bool, usize)]) -> Option<usize> {
    let zero = vec![0; chain.first().map_or(0, |(parts, ..)| parts.len())];
    let mut before = &zero;
    for (parts, _, at) in chain {
        let is_step = history[*at].lane.is_none_or(|lane| before.get(lane) < parts.get(lane));
        if !is_within(before, parts) || !is_step {
            return Some(*at);
        }
        before = parts;
    }
    None
}

/// What was asked for after an answer has all that was in that answer, and an addition has more.
fn out_of_time(history: &[Count], bits: u32) -> Option<usize> {
    let mut instants: Vec<(u64, usize, bool)> = Vec::new();
    for (at, operation) in history.iter().enumerate() {
        let Some((returned, _)) = operation.returned else { continue };
        instants.extend([(operation.invoked, at, false), (returned, at, true)]);
    }
    instants.sort_unstable();
    let mut floors = vec![0; history.len()];
    let mut floor = 0;
    for (_, at, is_return) in instants {
        let sum = history[at].returned.map_or(0, |(_, sum)| sum);
        if !is_return {
            floors[at] = floor;
            continue;
        }
        let is_late = is_within(&parts(floors[at], bits), &parts(sum, bits));
        if !is_late || (history[at].lane.is_some() && sum == floors[at]) {
            return Some(at);
        }
        if is_within(&parts(floor, bits), &parts(sum, bits)) {
            floor = sum;
        }
    }
    None
}

/// Nothing is in a sum that was asked for only after it was told.
fn out_of_thin_air(history: &[Count], bits: u32, lanes: usize) -> Option<usize> {
    let mut asked: Vec<Vec<u64>> = vec![Vec::new(); lanes];
    for operation in history {
        if let Some(lane) = operation.lane.and_then(|lane| asked.get_mut(lane)) {
            lane.push(operation.invoked);
        }
    }
    asked.iter_mut().for_each(|lane| lane.sort_unstable());
    let is_made_up = |operation: &Count| {
        let Some((returned, sum)) = operation.returned else { return false };
        let until = asked.iter().map(|lane| lane.partition_point(|invoked| *invoked < returned) as u64);
        parts(sum, bits).iter().zip(until).any(|(count, asked)| *count > asked)
    };
    history.iter().position(is_made_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1;
    const OTHER: u64 = 1 << 16;

    /// Invoked, returned (zero for no answer), lane (9 for a read), the sum.
    fn verdict(history: &[(u64, u64, usize, u64)]) -> Option<usize> {
        let operation = |(invoked, returned, lane, sum): &(u64, u64, usize, u64)| Count {
            invoked: *invoked,
            returned: (*returned > 0).then_some((*returned, *sum)),
            lane: (*lane < 4).then_some(*lane),
        };
        misplaced(&history.iter().map(operation).collect::<Vec<_>>(), 16)
    }

    #[test]
    fn additions_in_turn_and_at_once_are_a_story() {
        assert_eq!(verdict(&[(1, 2, 0, ONE), (3, 4, 1, ONE + OTHER), (5, 6, 9, ONE + OTHER)]), None);
        assert_eq!(verdict(&[(1, 9, 0, ONE + OTHER), (2, 8, 1, OTHER), (3, 7, 9, 0)]), None);
        assert_eq!(verdict(&[(1, 9, 0, ONE), (2, 8, 1, ONE + OTHER), (3, 7, 9, ONE)]), None);
    }

    #[test]
    fn what_nobody_knows_of_may_have_happened_late_or_never() {
        assert_eq!(verdict(&[(1, 0, 0, 0), (2, 3, 9, 0), (4, 5, 9, ONE)]), None);
        assert_eq!(verdict(&[(1, 0, 0, 0), (2, 3, 0, ONE), (4, 5, 9, ONE)]), None);
        assert_eq!(verdict(&[(1, 0, 0, 0), (2, 3, 0, ONE), (4, 5, 9, 2 * ONE)]), None);
    }

    #[test]
    fn what_is_no_story_is_found() {
        for (what, history, at) in [
            ("a lost addition", vec![(1, 2, 0, ONE), (3, 4, 9, 0)], 1),
            ("an addition that took effect twice", vec![(1, 2, 0, ONE), (3, 4, 9, 2 * ONE)], 1),
            ("two that made the same", vec![(1, 8, 0, ONE + OTHER), (2, 9, 1, ONE + OTHER)], 1),
            ("two stories", vec![(1, 8, 0, ONE), (2, 9, 1, OTHER)], 1),
            ("a read that goes back", vec![(1, 0, 0, 0), (2, 3, 9, ONE), (4, 5, 9, 0)], 2),
            ("out of thin air", vec![(1, 2, 9, OTHER), (3, 0, 1, 0)], 0),
            ("an addition that changed nothing", vec![(1, 0, 0, 0), (2, 3, 9, ONE), (4, 5, 0, ONE)], 2),
            ("an answer that misses its own addition", vec![(1, 2, 0, 0)], 0),
        ] {
            assert_eq!(verdict(&history), Some(at), "{what}");
        }
    }
}
