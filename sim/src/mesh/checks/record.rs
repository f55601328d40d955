//! What happened, at true time, for figures.

use crate::scenario::{FaultKind, PlannedFault};
use crate::time::TrueTime;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::envelope::Class;
use relaymesh_core::replication::ReplicationObservation;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::ShardsObservation;

/// Bytes of UDP and IPv4 headers.
pub const DATAGRAM_HEADER_BYTES: usize = 28;

/// What happened, at true time, for figures.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Whether to keep all of it, which takes memory.
    pub is_kept: bool,
    /// Who came to know of whom, when: time, observer, subject.
    pub learned: Vec<(TrueTime, u32, u32)>,
    /// Who came to hold whom dead, when: time, observer, subject.
    pub dead: Vec<(TrueTime, u32, u32)>,
    /// Who came to hold whom gone, when: time, observer, subject.
    pub left: Vec<(TrueTime, u32, u32)>,
    /// False deaths among the deaths.
    pub false_deaths: u64,
    /// Changes of the view for placement: time, observer, subject, whether it counts now.
    pub placement: Vec<(TrueTime, u32, u32, bool)>,
    /// Bytes on the wire with UDP/IP or TCP/IP headers, by sender.
    pub bytes: Vec<u64>,
    /// Packets, by sender.
    pub packets: Vec<u64>,
    /// When a packet first reached another host after `mark`, between the two sides.
    pub first_across: Option<TrueTime>,
    /// The one side of a partition, while a heal is waited for.
    pub side: Vec<bool>,
    /// Pairs of running members of which one does not hold the other alive.
    pub wrong: i64,
    /// When the last such pair was gone.
    pub agreed_at: Option<TrueTime>,
    /// When that was so for the first time after a packet had come across a healed partition.
    pub reunited_at: Option<TrueTime>,
    /// When that was so for the first time with every node that starts by itself.
    pub formed_at: Option<TrueTime>,
    /// When clients of the control group were told that something is committed.
    pub commits: Vec<TrueTime>,
    /// When they were told that a node acts for the global scope, and which.
    pub acts: Vec<(TrueTime, u32)>,
    /// When one was shown how the group looks: its term, and the last entry applied.
    pub statuses: Vec<(TrueTime, u64, u64)>,
    /// When a node was told to hand a scope over.
    pub handovers: Vec<TrueTime>,
    /// When clients of shards were told that a command took effect.
    pub acknowledged: Vec<TrueTime>,
    /// When a node was told to hand a shard over.
    pub hand_overs_of_shards: Vec<TrueTime>,
    /// When a node first acted as owner of a shard, under each epoch.
    pub tenures: Vec<(TrueTime, ShardId, u32)>,
    /// When an owner stopped for good, whatever the reason.
    pub stops: Vec<TrueTime>,
    /// When one served.
    pub serves: Vec<TrueTime>,
    /// When a process was first killed.
    pub killed_at: Option<TrueTime>,
    pub(super) is_counting: bool,
}

impl Record {
    /// Nothing has happened yet to that many nodes.
    pub(super) fn new(nodes: u32, is_kept: bool) -> Self {
        let zeros = || vec![0; nodes as usize];
        Self { is_kept, bytes: zeros(), packets: zeros(), ..Self::default() }
    }

    /// A node lets operators see something of its shards.
    pub(super) fn observed(&mut self, seen: &ShardsObservation, now: TrueTime) {
        match seen {
            ShardsObservation::Replica(ReplicationObservation::SteppedDown { .. }) if self.is_kept => {
                self.stops.push(now);
            }
            ShardsObservation::Replica(ReplicationObservation::Serves { .. }) if self.is_kept => self.serves.push(now),
            _ => {}
        }
    }

    /// A fault begins.
    pub(super) fn began(&mut self, fault: &PlannedFault, members: u32, now: TrueTime) {
        match fault.kind {
            FaultKind::Kill => self.killed_at = self.killed_at.or(Some(now)),
            FaultKind::Partition => self.side = (0..members).map(|host| fault.nodes.contains(&host)).collect(),
            _ => {}
        }
    }

    /// A packet was handed to the network.
    pub(super) fn carried(&mut self, host: u32, class: Class, bytes: usize) {
        if self.is_counting {
            self.bytes[host as usize] += on_wire(class, bytes);
            self.packets[host as usize] += 1;
        }
    }

    /// A packet has reached another host.
    pub(super) fn crossed(&mut self, from: u32, to: u32, now: TrueTime) {
        let side = |host: u32| self.side.get(host as usize).copied();
        if self.first_across.is_none() && side(from).is_some() && side(from) != side(to) {
            self.first_across = Some(now);
        }
    }
}

/// The bytes on the wire of a packet: with UDP and IP headers, or as part of a TCP stream that acknowledges every
/// second segment.
pub fn on_wire(class: Class, bytes: usize) -> u64 {
    const SEGMENT_BYTES: usize = 1_448;
    const TCP_HEADER_BYTES: usize = 52;
    const LENGTH_BYTES: usize = 4;
    match class {
        Class::Gossip => (bytes + DATAGRAM_HEADER_BYTES) as u64,
        _ => {
            let segments = (bytes + LENGTH_BYTES).div_ceil(SEGMENT_BYTES);
            (bytes + LENGTH_BYTES + (segments + segments.div_ceil(2)) * TCP_HEADER_BYTES) as u64
        }
    }
}
