//! What one active fault of the network does to which packets.

use crate::scenario::{Direction, FaultKind, PlannedFault};
use crate::time::TrueTime;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// One active fault.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) kind: FaultKind,
    since: TrueTime,
    concerned: Vec<bool>,
    /// Cut both ways; the lower number stands first.
    links: BTreeSet<(u32, u32)>,
    direction: Direction,
    pub(super) share: u64,
    pub(super) amount: Duration,
    pub(super) bytes_per_second: u64,
}

impl Condition {
    /// What `fault` does to a network of so many nodes.
    pub(super) fn of(fault: &PlannedFault, nodes: u32) -> Self {
        let mut concerned = vec![false; nodes as usize];
        fault.nodes.iter().for_each(|node| concerned[*node as usize] = true);
        Self {
            kind: fault.kind,
            since: fault.at,
            concerned,
            links: fault.links.iter().map(|(one, other)| (*one.min(other), *one.max(other))).collect(),
            direction: fault.direction,
            share: fault.share,
            amount: fault.amount,
            bytes_per_second: fault.value,
        }
    }

    /// Whether it concerns packets of that link.
    pub(super) fn touches(&self, from: u32, to: u32) -> bool {
        match self.direction {
            Direction::Both => self.concerned[from as usize] || self.concerned[to as usize],
            Direction::Out => self.concerned[from as usize],
            Direction::In => self.concerned[to as usize],
        }
    }

    /// Whether no segment of a stream crosses that link now.
    pub(super) fn cuts_streams(&self, now: TrueTime, from: u32, to: u32) -> bool {
        let (from_inside, to_inside) = (self.concerned[from as usize], self.concerned[to as usize]);
        let is_held_up = self.kind == FaultKind::NoStreams && from_inside != to_inside && self.touches(from, to);
        is_held_up || self.cuts(now, from, to)
    }

    /// Whether nothing crosses that link now.
    pub(super) fn cuts(&self, now: TrueTime, from: u32, to: u32) -> bool {
        let (from_inside, to_inside) = (self.concerned[from as usize], self.concerned[to as usize]);
        match self.kind {
            FaultKind::Partition => from_inside != to_inside,
            FaultKind::OneWay => from_inside && !to_inside,
            FaultKind::Partial => self.links.contains(&(from.min(to), from.max(to))),
            FaultKind::FlipFlop => from_inside != to_inside && self.touches(from, to) && self.is_on(now),
            _ => false,
        }
    }

    /// Whether a fault that comes and goes is there now. It begins with a phase in which it is.
    fn is_on(&self, now: TrueTime) -> bool {
        let phases = now.since(self.since).as_nanos() / self.amount.as_nanos().max(1);
        phases.is_multiple_of(2)
    }
}
