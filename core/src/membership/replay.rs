//! Which packets of a sender have arrived before.
//!
//! Packets of one boot are numbered across all its peers, so a receiver sees a growing sequence with holes. It
//! remembers the newest few numbers of datagrams, which may be overtaken, and the last number of streams, which may not.

use crate::envelope::Class;
use crate::identity::{BootIncarnation, StoreIncarnation};

/// Datagrams of one sender that may overtake one another.
const DATAGRAMS: usize = 8;

/// The packets seen of one sender. Fixed size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Window {
    life: Option<(StoreIncarnation, BootIncarnation)>,
    /// The newest datagrams, ascending; zero where there were fewer. Numbers start at one.
    datagrams: [u64; DATAGRAMS],
    /// The last packet of each stream class.
    streams: [u64; 3],
}

impl Window {
    /// Whether the packet is new, which is remembered. A packet of another life begins a new window: which life is the
    /// current one, the caller knows.
    pub(super) fn admit(&mut self, life: (StoreIncarnation, BootIncarnation), class: Class, sequence: u64) -> bool {
        if self.life.is_some_and(|(store, boot)| store == life.0 && boot > life.1) {
            return false;
        }
        if self.life != Some(life) {
            *self = Self { life: Some(life), ..Self::default() };
        }
        let stream = match class {
            Class::Control => Some(0),
            Class::Priority => Some(1),
            Class::Bulk => Some(2),
            Class::Gossip => None,
        };
        if let Some(stream) = stream {
            let last = &mut self.streams[stream];
            let is_new = sequence > *last;
            *last = sequence.max(*last);
            return is_new;
        }
        let place = self.datagrams.partition_point(|seen| *seen < sequence);
        if place == 0 || self.datagrams.get(place) == Some(&sequence) {
            return false;
        }
        self.datagrams.copy_within(1..place, 0);
        self.datagrams[place - 1] = sequence;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: (StoreIncarnation, BootIncarnation) = (StoreIncarnation(7), BootIncarnation(1));

    #[test]
    fn each_packet_is_admitted_once() {
        let mut window = Window::default();
        for sequence in [5, 900, 7, 6, 12_000] {
            assert!(window.admit(LIFE, Class::Gossip, sequence));
            assert!(!window.admit(LIFE, Class::Gossip, sequence));
        }
    }

    #[test]
    fn a_packet_older_than_all_that_is_remembered_is_refused() {
        let mut window = Window::default();
        assert!((10..18).all(|sequence| window.admit(LIFE, Class::Gossip, sequence)));
        assert!(!window.admit(LIFE, Class::Gossip, 9), "it may have been seen");
        assert!(window.admit(LIFE, Class::Gossip, 18));
        assert!(!window.admit(LIFE, Class::Gossip, 10), "forgotten, so it counts as seen");
    }

    #[test]
    fn a_stream_only_goes_on() {
        let mut window = Window::default();
        assert!(window.admit(LIFE, Class::Control, 4));
        assert!(!window.admit(LIFE, Class::Control, 4));
        assert!(!window.admit(LIFE, Class::Control, 3));
        assert!(window.admit(LIFE, Class::Gossip, 3), "datagrams have a window of their own");
    }

    #[test]
    fn another_life_begins_anew() {
        let mut window = Window::default();
        assert!(window.admit(LIFE, Class::Gossip, 4));
        assert!(window.admit((StoreIncarnation(7), BootIncarnation(2)), Class::Gossip, 4));
        assert!(!window.admit(LIFE, Class::Gossip, 5), "an earlier process does not come back");
    }
}
