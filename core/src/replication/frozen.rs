//! An ordered map whose contents at one moment can be visited later, a little at a time, while it goes on changing.
//!
//! Freezing copies nothing. What is changed before it was visited is kept as it was, so that what a visit costs is what it
//! reads, and what was changed meanwhile. One visit at a time. Two maps with equal contents are equal, visited or not.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};
use core::ops::Bound;

/// A map with at most one visit of its contents at an earlier moment under way.
#[derive(Clone, Debug)]
pub struct FrozenMap<K, V> {
    live: BTreeMap<K, V>,
    visit: Option<Visit<K, V>>,
}

/// How far a visit has come.
#[derive(Clone, Debug)]
struct Visit<K, V> {
    /// The last key visited.
    at: Option<K>,
    /// What keys behind it had at the moment of freezing, where that has changed; nothing for those that are new.
    before: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for FrozenMap<K, V> {
    fn default() -> Self {
        Self { live: BTreeMap::new(), visit: None }
    }
}

impl<K, V> From<BTreeMap<K, V>> for FrozenMap<K, V> {
    fn from(live: BTreeMap<K, V>) -> Self {
        Self { live, visit: None }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for FrozenMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.live == other.live
    }
}

impl<K: Eq, V: Eq> Eq for FrozenMap<K, V> {}

impl<K: Hash, V: Hash> Hash for FrozenMap<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.live.hash(state);
    }
}

impl<K: Ord + Clone, V: Clone> FrozenMap<K, V> {
    /// The contents now.
    pub fn live(&self) -> &BTreeMap<K, V> {
        &self.live
    }

    /// What a key has now. O(log n).
    pub fn get(&self, key: &K) -> Option<&V> {
        self.live.get(key)
    }

    /// Gives a key a value. O(log n).
    pub fn insert(&mut self, key: K, value: V) {
        self.keep(&key);
        self.live.insert(key, value);
    }

    /// What a key has, to be changed. O(log n).
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.keep(key);
        self.live.get_mut(key)
    }

    /// Takes a key out. O(log n).
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.keep(key);
        self.live.remove(key)
    }

    /// Begins a visit of what is there now; one under way is over. O(1), but for what the older one had kept.
    pub fn freeze(&mut self) {
        self.visit = Some(Visit { at: None, before: BTreeMap::new() });
    }

    /// Ends a visit under way.
    pub fn thaw(&mut self) {
        self.visit = None;
    }

    /// Goes on with the visit, in the order of keys: at most `steps` of them, and until `take` refuses one, which it is
    /// offered again next time. Whether the visit is over; without one under way it is. O(`steps` + log n).
    pub fn visit(&mut self, steps: usize, mut take: impl FnMut(&K, &V) -> bool) -> bool {
        let Some(visit) = &mut self.visit else { return true };
        let from = visit.at.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut live = self.live.range((from, Bound::Unbounded)).peekable();
        let mut before = visit.before.iter().peekable();
        let (mut last, mut is_over) = (None, false);
        for _ in 0..steps {
            let order = match (live.peek(), before.peek()) {
                (None, None) => {
                    is_over = true;
                    break;
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((live, _)), Some((before, _))) => live.cmp(before),
            };
            // What was kept is what counts.
            let (key, value) = match order {
                Ordering::Less => live.next().map(|(key, value)| (key, Some(value))),
                Ordering::Greater => before.next().map(|(key, value)| (key, value.as_ref())),
                Ordering::Equal => {
                    live.next();
                    before.next().map(|(key, value)| (key, value.as_ref()))
                }
            }
            .expect("it was peeked at");
            if !value.is_none_or(|value| take(key, value)) {
                break;
            }
            last = Some(key);
        }
        if let Some(last) = last.cloned() {
            while visit.before.first_key_value().is_some_and(|(key, _)| *key <= last) {
                visit.before.pop_first();
            }
            visit.at = Some(last);
        }
        if is_over {
            self.visit = None;
        }
        is_over
    }

    /// A key is about to change: a visit that has not come to it needs what it has.
    fn keep(&mut self, key: &K) {
        let Some(visit) = self.visit.as_mut().filter(|visit| visit.at.as_ref().is_none_or(|at| at < key)) else {
            return;
        };
        if !visit.before.contains_key(key) {
            visit.before.insert(key.clone(), self.live.get(key).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FrozenMap;
    use alloc::vec::Vec;
    use proptest::collection::vec;
    use proptest::prelude::proptest;

    proptest! {
        #[test]
        fn a_visit_sees_what_was_there_at_the_moment_of_freezing(
            first in vec((0u8..32, 0u8..8), 0..32),
            then in vec((0u8..32, 0u8..8, 0usize..4), 0..64),
            room in 1usize..5,
        ) {
            let mut map = FrozenMap::default();
            first.into_iter().for_each(|(key, value)| map.insert(key, value));
            let frozen: Vec<(u8, u8)> = map.live().iter().map(|(key, value)| (*key, *value)).collect();
            map.freeze();
            let (mut seen, mut changes) = (Vec::new(), then.into_iter());
            loop {
                let mut left = room;
                let mut take = |key: &u8, value: &u8| {
                    let is_taken = left > 0;
                    if is_taken {
                        left -= 1;
                        seen.push((*key, *value));
                    }
                    is_taken
                };
                if map.visit(3, &mut take) {
                    break;
                }
                for (key, value, what) in changes.by_ref().take(2) {
                    match what {
                        0 => assert!(map.remove(&key).is_none_or(|old| old < 8)),
                        _ => map.insert(key, value),
                    }
                }
            }
            assert_eq!(seen, frozen);
        }
    }
}
