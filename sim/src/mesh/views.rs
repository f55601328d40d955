//! What operators could read off every node: who it holds to be what.
//!
//! Built from observations, which is how operators learn of it; the auditor compares with what nodes answer.

use crate::time::TrueTime;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::membership::Status;

/// What one node holds of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// `None` while it has not heard of it.
    pub status: Option<Status>,
    /// At that incarnation.
    pub incarnation: u64,
    /// Since when, in truth.
    pub since: TrueTime,
    /// When it was last held to be anything but alive.
    pub unwell_at: Option<TrueTime>,
    /// Whether it does not count as alive for placement.
    pub is_suppressed: bool,
    /// When that changed last.
    pub suppressed_at: TrueTime,
    /// When it last stopped to count.
    pub held_at: TrueTime,
    /// How often it has stopped to count.
    pub relapses: u32,
    /// How often it was found to be unwell.
    pub falls: u32,
    /// How often the healthy while that it must show has been doubled, at least.
    pub doublings: u32,
    /// Whether it was held dead since it stopped to count.
    pub was_dead: bool,
}

const UNKNOWN: Held = Held {
    status: None,
    incarnation: 0,
    since: TrueTime(0),
    unwell_at: None,
    is_suppressed: false,
    suppressed_at: TrueTime(0),
    held_at: TrueTime(0),
    relapses: 0,
    falls: 0,
    doublings: 0,
    was_dead: false,
};

/// Every node's view of every other.
#[derive(Clone, Debug)]
pub struct Views {
    nodes: u32,
    held: Vec<Held>,
}

impl Views {
    /// Nobody has heard of anybody.
    pub fn new(nodes: u32) -> Self {
        Self { nodes, held: vec![UNKNOWN; nodes as usize * nodes as usize] }
    }

    /// What `observer` holds of `subject`.
    pub fn get(&self, observer: u32, subject: u32) -> Held {
        self.held[(observer * self.nodes + subject) as usize]
    }

    pub(super) fn set(&mut self, observer: u32, subject: u32, held: Held) {
        self.held[(observer * self.nodes + subject) as usize] = held;
    }

    /// `observer` has not heard of `subject`, or does not remember.
    pub(super) fn forget(&mut self, observer: u32, subject: u32) {
        self.set(observer, subject, UNKNOWN);
    }

    /// A new process knows nobody.
    pub(super) fn reset(&mut self, observer: u32) {
        let start = (observer * self.nodes) as usize;
        self.held[start..start + self.nodes as usize].fill(UNKNOWN);
    }

    /// Subjects that `observer` holds to be members.
    pub fn members(&self, observer: u32) -> impl Iterator<Item = u32> {
        let of = move |subject: &u32| self.get(observer, *subject).status.is_some_and(Status::is_member);
        (0..self.nodes).filter(of)
    }
}
