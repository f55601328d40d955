//! The one event queue, ordered by (true time, order of scheduling).

use crate::time::TrueTime;
use alloc::collections::BinaryHeap;
use core::cmp::Ordering;

/// Future happenings. Ties are broken by the order in which they were scheduled, so that a run has one order.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    scheduled: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: TrueTime,
    order: u64,
    happening: T,
}

impl<T> Queue<T> {
    /// Nothing to come.
    pub const fn new() -> Self {
        Self { heap: BinaryHeap::new(), scheduled: 0 }
    }

    /// `happening` will take place at `at`.
    pub fn schedule(&mut self, at: TrueTime, happening: T) {
        self.scheduled += 1;
        self.heap.push(Entry { at, order: self.scheduled, happening });
    }

    /// The next happening. O(log n).
    pub fn pop(&mut self) -> Option<(TrueTime, T)> {
        self.heap.pop().map(|entry| (entry.at, entry.happening))
    }

    /// When the next happening takes place.
    pub fn next_at(&self) -> Option<TrueTime> {
        self.heap.peek().map(|entry| entry.at)
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: the heap's greatest entry is the earliest one.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn what_is_scheduled_for_one_instant_happens_in_the_order_of_scheduling() {
        let mut queue = Queue::new();
        for (at, name) in [(2, "c"), (1, "a"), (2, "d"), (1, "b")] {
            queue.schedule(TrueTime(at), name);
        }
        let order: Vec<_> = core::iter::from_fn(|| queue.pop()).map(|(_, name)| name).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
