//! The bounded queue before a stream. It says when it is full, and, once half of it has left, when it has room.

use super::Parcel;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Packets that wait for one stream.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
    packets_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// It was said to be full, and not yet to have room again.
    full: bool,
}

/// What became of a packet at the end of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// It waits now; else it is gone.
    pub(super) taken: bool,
    /// The queue has just become full.
    pub(super) filled: bool,
}

impl Queue {
    pub(super) fn new(packets_max: usize, bytes_max: usize) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), packets_max: packets_max.max(1), bytes_max }
    }

    /// Takes a packet while there is room for it. One that is larger than the whole queue is taken when it is alone.
    pub(super) fn push(&self, parcel: Parcel) -> Pushed {
        let mut state = self.state();
        let fits = state.parcels.is_empty()
            || state.parcels.len() < self.packets_max && state.bytes + parcel.bytes.len() <= self.bytes_max;
        if fits {
            state.bytes += parcel.bytes.len();
            state.parcels.push_back(parcel);
            self.arrived.notify_one();
        }
        let brimful = !fits || state.parcels.len() >= self.packets_max || state.bytes >= self.bytes_max;
        let filled = brimful && !state.full;
        state.full |= filled;
        Pushed { taken: fits, filled }
    }

    /// Waits until there is a packet. For one waiter.
    pub(super) async fn wait(&self) {
        while self.state().parcels.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Moves packets of up to `bytes` in all, but at least one, to `out`. Returns whether the queue has room again.
    pub(super) fn take(&self, bytes: usize, out: &mut Vec<Parcel>) -> bool {
        let mut state = self.state();
        let mut moved = 0;
        while let Some(parcel) = state.parcels.pop_front_if(|parcel| moved == 0 || moved + parcel.bytes.len() <= bytes)
        {
            moved += parcel.bytes.len();
            out.push(parcel);
        }
        state.bytes -= moved;
        self.relieved(&mut state)
    }

    /// Drops all packets. Returns how many, and whether the queue has room again.
    pub(super) fn clear(&self) -> (usize, bool) {
        let mut state = self.state();
        let dropped = state.parcels.len();
        state.parcels.clear();
        state.bytes = 0;
        (dropped, self.relieved(&mut state))
    }

    /// Whether the queue was said to be full and not to have room again.
    pub(super) fn is_full(&self) -> bool {
        self.state().full
    }

    fn relieved(&self, state: &mut State) -> bool {
        let relieved = state.full && state.parcels.len() <= self.packets_max / 2 && state.bytes <= self.bytes_max / 2;
        state.full &= !relieved;
        relieved
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(bytes: usize) -> Parcel {
        Parcel { bytes: vec![7; bytes], not_after: None }
    }

    const TAKEN: Pushed = Pushed { taken: true, filled: false };
    const BRIMMED: Pushed = Pushed { taken: true, filled: true };
    const SPILT: Pushed = Pushed { taken: false, filled: false };

    #[test]
    fn it_says_once_that_it_is_full_and_once_that_it_has_room() {
        let queue = Queue::new(4, 1_000);
        assert_eq!([(); 6].map(|()| queue.push(parcel(10))), [TAKEN, TAKEN, TAKEN, BRIMMED, SPILT, SPILT]);
        let mut out = Vec::new();
        assert!(!queue.take(10, &mut out), "three are still more than half");
        assert!(queue.is_full());
        assert!(queue.take(10, &mut out));
        assert!(!queue.take(10, &mut out), "once");
        assert_eq!(out.len(), 3);
    }

    #[test]
    fn bytes_fill_it_too_and_a_giant_passes_alone() {
        let queue = Queue::new(100, 1_000);
        assert_eq!(queue.push(parcel(5_000)), BRIMMED);
        assert_eq!(queue.push(parcel(1)), SPILT);
        let mut out = Vec::new();
        assert!(queue.take(1, &mut out), "at least one leaves");
        assert_eq!(queue.push(parcel(600)), TAKEN);
        assert_eq!(queue.push(parcel(600)), Pushed { taken: false, filled: true });
    }

    #[test]
    fn clearing_gives_room() {
        let queue = Queue::new(2, 1_000);
        assert_eq!([queue.push(parcel(1)), queue.push(parcel(1))], [TAKEN, BRIMMED]);
        assert_eq!(queue.clear(), (2, true));
        assert_eq!(queue.clear(), (0, false));
    }

    #[tokio::test]
    async fn a_packet_that_came_before_the_wait_is_not_missed() {
        let queue = Queue::new(2, 1_000);
        queue.push(parcel(1));
        queue.wait().await;
    }
}
