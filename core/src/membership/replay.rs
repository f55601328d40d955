//! Which packets of a sender have arrived before.
//!
//! Packets of one boot are numbered across all its peers, so a receiver sees a growing sequence with holes. It
//! remembers the newest few numbers of datagrams, which may be overtaken, and the last number of streams, which may not.

use crate::envelope::Class;
use crate::identity::{BootIncarnation, StoreIncarnation};

/// Datagrams of one sender that may overtake one another.
const DATAGRAMS: usize = 8;

/// The packets seen of one sender. Fixed size.
///
/// It remembers two lives: for a while after a disk was lost, the view may go back and forth between the former store
/// and the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Windows {
    current: Window,
    former: Window,
}

impl Windows {
    /// Whether the packet is new, which is remembered. A packet of a life that is not remembered takes the place of the
    /// one heard of less lately: which lives may speak, the caller knows.
    pub(super) fn admit(&mut self, life: (StoreIncarnation, BootIncarnation), class: Class, sequence: u64) -> bool {
        if [self.current, self.former].iter().any(|window| window.is_after(life)) {
            return false;
        }
        if self.current.life != Some(life) {
            let returns = self.former.life == Some(life);
            let next = if returns { self.former } else { Window { life: Some(life), ..Window::default() } };
            (self.current, self.former) = (next, self.current);
        }
        self.current.admit(class, sequence)
    }
}

/// The packets seen of one life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Window {
    life: Option<(StoreIncarnation, BootIncarnation)>,
    /// The newest datagrams, ascending; zero where there were fewer. Numbers start at one.
    datagrams: [u64; DATAGRAMS],
    /// The last packet of each stream class.
    streams: [u64; 3],
}

impl Window {
    /// Whether it is of a later process on the same store.
    fn is_after(&self, life: (StoreIncarnation, BootIncarnation)) -> bool {
        self.life.is_some_and(|(store, boot)| store == life.0 && boot > life.1)
    }

    fn admit(&mut self, class: Class, sequence: u64) -> bool {
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
        let mut window = Windows::default();
        for sequence in [5, 900, 7, 6, 12_000] {
            assert!(window.admit(LIFE, Class::Gossip, sequence));
            assert!(!window.admit(LIFE, Class::Gossip, sequence));
        }
    }

    #[test]
    fn a_packet_older_than_all_that_is_remembered_is_refused() {
        let mut window = Windows::default();
        assert!((10..18).all(|sequence| window.admit(LIFE, Class::Gossip, sequence)));
        assert!(!window.admit(LIFE, Class::Gossip, 9), "it may have been seen");
        assert!(window.admit(LIFE, Class::Gossip, 18));
        assert!(!window.admit(LIFE, Class::Gossip, 10), "forgotten, so it counts as seen");
    }

    #[test]
    fn a_stream_only_goes_on() {
        let mut window = Windows::default();
        assert!(window.admit(LIFE, Class::Control, 4));
        assert!(!window.admit(LIFE, Class::Control, 4));
        assert!(!window.admit(LIFE, Class::Control, 3));
        assert!(window.admit(LIFE, Class::Gossip, 3), "datagrams have a window of their own");
    }

    #[test]
    fn another_life_begins_anew() {
        let mut window = Windows::default();
        assert!(window.admit(LIFE, Class::Gossip, 4));
        assert!(window.admit((StoreIncarnation(7), BootIncarnation(2)), Class::Gossip, 4));
        assert!(!window.admit(LIFE, Class::Gossip, 5), "an earlier process does not come back");
    }
    #[test]
    fn a_view_that_goes_back_and_forth_between_two_stores_takes_no_packet_twice() {
        let mut window = Windows::default();
        let other = (StoreIncarnation(9), BootIncarnation(1));
        assert!(window.admit(LIFE, Class::Gossip, 4));
        assert!(window.admit(other, Class::Gossip, 4));
        assert!(!window.admit(LIFE, Class::Gossip, 4));
        assert!(window.admit(LIFE, Class::Gossip, 5));
        assert!(!window.admit(other, Class::Gossip, 4));
    }
}
