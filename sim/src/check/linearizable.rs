//! Whether what clients saw of one register can be told as a story in which each operation happens at once, at some
//! instant between its invocation and its return (Herlihy & Wing 1990).
//!
//! The search is that of Wing & Gong (1993) with a memory of what was seen (Lowe 2017): it extends an order by every
//! operation that may come next, and looks at no state twice. Two things keep it short. What only reads, and fits, is
//! put in place at once, since that closes no other way. What nobody knows the outcome of may have happened at any time
//! since, or never; it is left out where nobody has seen its value, which takes nothing from any story.
//!
//! Values are written once in a history. Without that the answer would still be right, but late.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// What an operation did to the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Wrote this.
    Wrote(u64),
    /// Found this.
    Read(Option<u64>),
    /// Found what was expected, and wrote another value.
    Swapped {
        /// What was there.
        expected: Option<u64>,
        /// What is there now.
        value: u64,
    },
    /// Found something else than expected, and wrote nothing.
    Differed {
        /// What was expected.
        expected: Option<u64>,
        /// What was there.
        found: Option<u64>,
    },
}

/// One operation, as its client saw it. Instants come from one counter of all clients' events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it was asked for.
    pub invoked: u64,
    /// When the answer came. Without one it may have happened at any time since, may yet, or may never.
    pub returned: Option<u64>,
    /// What it did, or would have done.
    pub deed: Deed,
}

/// What is known of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such a story.
    Linearizable,
    /// There is none.
    Impossible {
        /// The first operation, by its place in the history, that the longest attempt had no place for.
        stuck: usize,
    },
    /// The search was given up.
    Undecided,
}

/// An order as far as it has come. What follows depends on nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attempt {
    /// All answered operations before this one are in place.
    first: usize,
    /// Those behind it that are.
    ahead: Vec<usize>,
    /// Unanswered ones that are.
    taken: Vec<usize>,
    value: Option<u64>,
}

struct Search<'a> {
    history: &'a [Operation],
    /// Answered operations by invocation, as places in the history.
    answered: Vec<usize>,
    /// Unanswered ones that somebody has seen something of.
    open: Vec<usize>,
}

/// Looks for a story of a register that was never written before, in at most `states_max` states.
pub fn check(history: &[Operation], states_max: usize) -> Verdict {
    let search = Search::new(history);
    let start = Attempt { first: 0, ahead: Vec::new(), taken: Vec::new(), value: None };
    let mut seen = BTreeSet::from([start.clone()]);
    let mut to_do = Vec::from([start]);
    let mut farthest = 0;
    while let Some(attempt) = to_do.pop() {
        if attempt.first == search.answered.len() {
            return Verdict::Linearizable;
        }
        farthest = farthest.max(attempt.first);
        for next in search.successors(&attempt) {
            if seen.insert(next.clone()) {
                to_do.push(next);
            }
        }
        if seen.len() > states_max {
            return Verdict::Undecided;
        }
    }
    Verdict::Impossible { stuck: search.answered[farthest] }
}

impl<'a> Search<'a> {
    fn new(history: &'a [Operation]) -> Self {
        let mut answered: Vec<usize> = (0..history.len()).filter(|at| history[*at].returned.is_some()).collect();
        answered.sort_by_key(|at| history[*at].invoked);
        let open = seen_of_the_unanswered(history);
        Self { history, answered, open }
    }

    /// Every way to go on.
    fn successors(&self, attempt: &Attempt) -> Vec<Attempt> {
        let (candidates, soonest) = self.candidates(attempt);
        let happens = |at: usize| after(self.history[at].deed, attempt.value);
        let only_reads = |at: &&usize| matches!(self.deed(**at), Deed::Read(_) | Deed::Differed { .. });
        if let Some(at) = candidates.iter().filter(only_reads).find(|at| happens(self.answered[**at]).is_some()) {
            return Vec::from([self.with_answered(attempt, *at, attempt.value)]);
        }
        let mut found = Vec::new();
        let is_new = |at: &&usize| !attempt.taken.contains(at) && self.history[**at].invoked <= soonest;
        for at in self.open.iter().filter(is_new) {
            if let Some(value) = happens(*at) {
                let mut next = Attempt { value, ..attempt.clone() };
                next.taken.push(*at);
                next.taken.sort_unstable();
                found.push(next);
            }
        }
        for at in candidates {
            if let Some(value) = happens(self.answered[at]) {
                found.push(self.with_answered(attempt, at, value));
            }
        }
        found
    }

    /// Answered operations that may come next, and when the first of all that are left returned: what was asked for
    /// later cannot come before it.
    fn candidates(&self, attempt: &Attempt) -> (Vec<usize>, u64) {
        let (mut found, mut soonest) = (Vec::new(), u64::MAX);
        for at in (attempt.first..self.answered.len()).filter(|at| !attempt.ahead.contains(at)) {
            let operation = &self.history[self.answered[at]];
            if operation.invoked > soonest {
                break;
            }
            soonest = soonest.min(operation.returned.unwrap_or(u64::MAX));
            found.push(at);
        }
        (found, soonest)
    }

    fn deed(&self, at: usize) -> Deed {
        self.history[self.answered[at]].deed
    }

    fn with_answered(&self, attempt: &Attempt, at: usize, value: Option<u64>) -> Attempt {
        let mut next = Attempt { value, ..attempt.clone() };
        next.ahead.push(at);
        next.ahead.sort_unstable();
        while next.ahead.first() == Some(&next.first) {
            next.ahead.remove(0);
            next.first += 1;
        }
        next
    }
}

/// What the register holds after it; nothing where it cannot have happened.
fn after(deed: Deed, value: Option<u64>) -> Option<Option<u64>> {
    match deed {
        Deed::Wrote(written) => Some(Some(written)),
        Deed::Read(read) => (read == value).then_some(value),
        Deed::Swapped { expected, value: written } => (expected == value).then_some(Some(written)),
        Deed::Differed { expected, found } => (found == value && expected != found).then_some(value),
    }
}

/// Unanswered operations whose value somebody has seen: others may as well not have happened.
fn seen_of_the_unanswered(history: &[Operation]) -> Vec<usize> {
    let is_answered = |operation: &&Operation| operation.returned.is_some();
    let mut seen: BTreeSet<u64> = history.iter().filter(is_answered).filter_map(|it| it.deed.saw()).collect();
    let mut left: Vec<usize> = (0..history.len()).filter(|at| history[*at].returned.is_none()).collect();
    let mut kept = Vec::new();
    while let Some(at) = left.iter().position(|at| history[*at].deed.writes().is_some_and(|it| seen.contains(&it))) {
        let at = left.swap_remove(at);
        // What it found must have been there in turn.
        seen.extend(history[at].deed.saw());
        kept.push(at);
    }
    kept.sort_unstable();
    kept
}

impl Deed {
    /// The value that must have been there.
    const fn saw(self) -> Option<u64> {
        match self {
            Self::Wrote(_) => None,
            Self::Read(seen) | Self::Swapped { expected: seen, .. } | Self::Differed { found: seen, .. } => seen,
        }
    }

    const fn writes(self) -> Option<u64> {
        match self {
            Self::Wrote(value) | Self::Swapped { value, .. } => Some(value),
            Self::Read(_) | Self::Differed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Deed::{Differed, Read, Swapped, Wrote};
    use super::*;

    /// Invoked, returned, done; zero for no answer.
    fn verdict(history: &[(u64, u64, Deed)]) -> Verdict {
        let operation = |(invoked, returned, deed): &(u64, u64, Deed)| Operation {
            invoked: *invoked,
            returned: (*returned > 0).then_some(*returned),
            deed: *deed,
        };
        check(&history.iter().map(operation).collect::<Vec<_>>(), 100_000)
    }

    fn swap(expected: u64, value: u64) -> Deed {
        Swapped { expected: (expected > 0).then_some(expected), value }
    }

    #[test]
    fn what_one_client_does_in_turn_is_a_story() {
        let history = [
            (1, 2, Read(None)),
            (3, 4, Wrote(1)),
            (5, 6, Read(Some(1))),
            (7, 8, swap(1, 2)),
            (9, 10, Differed { expected: Some(1), found: Some(2) }),
            (11, 12, Read(Some(2))),
        ];
        assert_eq!(verdict(&history), Verdict::Linearizable);
    }

    #[test]
    fn operations_that_overlap_may_have_happened_in_either_order() {
        for read in [None, Some(1), Some(2)] {
            assert_eq!(verdict(&[(1, 5, Wrote(1)), (2, 6, Wrote(2)), (3, 4, Read(read))]), Verdict::Linearizable);
        }
        let both = [(1, 9, Wrote(1)), (2, 8, Wrote(2)), (10, 11, Read(Some(1))), (12, 13, Read(Some(1)))];
        assert_eq!(verdict(&both), Verdict::Linearizable);
    }

    #[test]
    fn what_nobody_knows_of_may_have_happened_late_or_never() {
        assert_eq!(verdict(&[(1, 0, Wrote(1)), (2, 3, Read(None)), (4, 5, Read(Some(1)))]), Verdict::Linearizable);
        assert_eq!(verdict(&[(1, 0, Wrote(1)), (2, 3, Read(None)), (4, 5, Read(None))]), Verdict::Linearizable);
        // A swap of which nobody knows, on top of a write of which nobody knows.
        let chain = [(1, 0, Wrote(1)), (2, 0, swap(1, 2)), (3, 4, Wrote(3)), (5, 6, Read(Some(2)))];
        assert_eq!(verdict(&chain), Verdict::Linearizable);
    }

    #[test]
    fn what_is_no_story_is_found() {
        let impossible = [
            ("a stale read", vec![(1, 2, Wrote(1)), (3, 4, Wrote(2)), (5, 6, Read(Some(1)))], 2),
            ("a lost write", vec![(1, 2, Wrote(1)), (3, 4, Read(None))], 1),
            ("a read that goes back", vec![(1, 0, Wrote(1)), (2, 3, Read(Some(1))), (4, 5, Read(None))], 2),
            ("a value out of thin air", vec![(1, 2, Wrote(1)), (3, 4, Read(Some(9)))], 1),
            ("a value before its write", vec![(1, 2, Read(Some(1))), (3, 4, Wrote(1))], 0),
            (
                "a swap that was executed twice",
                vec![(1, 2, Wrote(1)), (3, 4, swap(1, 2)), (5, 6, swap(2, 3)), (7, 8, swap(1, 4))],
                3,
            ),
            (
                "a swap that succeeded, and was told that it did not",
                vec![(1, 2, Wrote(1)), (3, 4, Differed { expected: Some(1), found: Some(2) }), (5, 6, Read(Some(2)))],
                1,
            ),
            (
                "a write of which nobody knew, executed twice",
                vec![(1, 0, Wrote(1)), (2, 3, Read(Some(1))), (4, 5, Wrote(2)), (6, 7, Read(Some(1)))],
                3,
            ),
            (
                "a swap that differed from what it expected",
                vec![(1, 2, Wrote(1)), (3, 4, Differed { expected: Some(1), found: Some(1) })],
                1,
            ),
        ];
        for (what, history, stuck) in impossible {
            assert_eq!(verdict(&history), Verdict::Impossible { stuck }, "{what}");
        }
    }

    #[test]
    fn hundreds_of_operations_of_several_clients_are_quick_and_a_search_without_end_is_given_up() {
        // Eight clients that overlap all the time; every fourth write is never answered.
        let mut history = Vec::new();
        for round in 0..100_u64 {
            let begins = round * 100;
            for client in 0..8 {
                let value = round * 8 + client + 1;
                let returned = (client % 4 != 3).then_some(begins + 50 + client);
                history.push(Operation { invoked: begins + client, returned, deed: Wrote(value) });
            }
            let read = Read(Some(round * 8 + 1 + round % 8));
            history.push(Operation { invoked: begins + 60, returned: Some(begins + 70), deed: read });
        }
        assert_eq!(check(&history, 200_000), Verdict::Linearizable);
        assert_eq!(check(&history, 10), Verdict::Undecided);
    }
}
