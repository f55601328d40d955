//! One machine of the world: its process, disk, clocks and condition.

use super::Inbound;
use super::addresses::endpoint_of;
use super::keys::HostKeys;
use crate::clock::HostClock;
use crate::disk::{Disk, DiskCondition};
use crate::scenario::{DiskSettings, Scenario};
use crate::streams::{Stream, Streams};
use crate::time::TrueTime;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use relaymesh_core::codec::{Body, BodyVersion};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::identity::{ClusterId, GossipDomain, NodeId, StoreIncarnation};
use relaymesh_core::limits::Limits;
use relaymesh_core::machine::{CauseId, Chooser};
use relaymesh_core::node::{Application, Node, Seat};
use relaymesh_core::time::{Duration, Time};

/// The cluster that the simulated nodes belong to, unless they are strangers.
pub(super) const CLUSTER: ClusterId = ClusterId::from_bytes(*b"simulated mesh  ");
/// The cluster of the strangers.
pub(super) const STRANGERS: ClusterId = ClusterId::from_bytes(*b"strangers' mesh ");

/// A machine's sleep.
pub(super) struct Sleep {
    /// How many faults want it.
    depth: u32,
    /// What the monotonic clock showed when it began, if the clock does not count it.
    reading: Option<Time>,
}

/// One machine.
pub(super) struct Host<A: Application> {
    /// The process, while one runs.
    pub(super) node: Option<Node<A>>,
    /// Counts processes: what was meant for an earlier one does not reach a later one.
    pub(super) life: u32,
    pub(super) id: NodeId,
    pub(super) version: BodyVersion,
    pub(super) cluster: ClusterId,
    /// Its keys: an operator's, so that they outlive processes and stores.
    pub(super) keys: HostKeys,
    /// Where it is.
    pub(super) endpoint: Endpoint,
    /// How often it has moved.
    pub(super) moves: u32,
    /// Where its process believes others to be.
    pub(super) book: BTreeMap<NodeId, Endpoint>,
    pub(super) clock: HostClock,
    pub(super) disk: Disk,
    pub(super) disk_condition: DiskCondition,
    /// No sync ends before this.
    pub(super) disk_stalled_until: TrueTime,
    /// What the node chooses with.
    pub(super) chooser: Stream,
    /// Draws made while the node handled events: all that may come from its chooser.
    pub(super) draws_accounted: u64,
    /// What draws the incarnations of new stores.
    founding: Stream,
    /// The write that the sync under way covers last, and the event that emitted it.
    pub(super) syncing: Option<(WriteNumber, CauseId)>,
    /// The last write handed to the disk.
    pub(super) written: (WriteNumber, CauseId),
    /// When loads asked for so far will have been answered: answers keep their order.
    pub(super) reads_done: TrueTime,
    /// The wake that is scheduled, and the event that asked for it.
    pub(super) wake: Option<(TrueTime, CauseId)>,
    /// The process handles nothing before this.
    pub(super) paused_until: TrueTime,
    /// The machine sleeps, its network card too.
    pub(super) asleep: Option<Sleep>,
    /// How long handling one event takes.
    pub(super) event_cost: Duration,
    /// What waits while the process is frozen or busy.
    pub(super) backlog: VecDeque<Inbound>,
    /// Faults that keep the process from starting.
    pub(super) held_down: u32,
    /// It has not joined yet.
    pub(super) is_absent: bool,
    /// A write or sync of this process has failed: nothing more is written.
    pub(super) store_failed: bool,
    /// What the process last saw of its monotonic clock.
    pub(super) last_seen: Time,
    /// Draws how long the machine has been up when a process starts after a power loss.
    pub(super) uptime: Stream,
    /// Counts syncs: the end of one that was replaced ends nothing.
    pub(super) sync_number: u32,
    /// Why the process starts, or started.
    pub(super) start_cause: CauseId,
    /// The rate of its clocks without faults, in parts per billion.
    pub(super) base_rate_ppb: i64,
    limits: Limits,
}

impl<A: Application> Host<A> {
    pub(super) fn new(scenario: &Scenario, number: u32, streams: &mut Streams) -> Self {
        let mut clocks = streams.open(format!("clocks {number}"));
        let mut clock = HostClock::new(clocks.span(Duration::from_secs(60), Duration::from_secs(86_400)));
        let rate = scenario.clocks.rate.0.unsigned_abs();
        let base_rate_ppb = signed(clocks.below(2 * rate + 1), rate);
        clock.set_rate(TrueTime(0), base_rate_ppb);
        clock.set_wall_rate(TrueTime(0), base_rate_ppb);
        let offset = scenario.clocks.offset.0.as_nanos();
        clock.step_wall(TrueTime(0), signed(clocks.below(2 * offset + 1), offset));
        let is_stranger = scenario.mesh.is_stranger(scenario.nodes, number);
        let cluster = if is_stranger { STRANGERS } else { CLUSTER };
        Self {
            node: None,
            life: 0,
            id: node_id(number),
            version: first_version::<A>(scenario),
            cluster,
            keys: HostKeys::new(cluster),
            endpoint: endpoint_of(number, 0),
            moves: 0,
            book: BTreeMap::new(),
            clock,
            disk: Disk::new(streams, number),
            disk_condition: condition_of(&scenario.disk),
            disk_stalled_until: TrueTime(0),
            chooser: streams.open(format!("node {number}")),
            draws_accounted: 0,
            founding: streams.open(format!("store {number}")),
            syncing: None,
            written: (WriteNumber(0), CauseId(0)),
            reads_done: TrueTime(0),
            wake: None,
            paused_until: TrueTime(0),
            asleep: None,
            last_seen: Time::ZERO,
            uptime: clocks,
            sync_number: 0,
            start_cause: CauseId(0),
            event_cost: Duration::ZERO,
            backlog: VecDeque::new(),
            held_down: 0,
            is_absent: scenario.mesh.is_late(scenario.nodes, number),
            store_failed: false,
            base_rate_ppb,
            limits: limits_of(&scenario.disk),
        }
    }

    /// Where the next process of this host sits.
    pub(super) fn seat(&mut self) -> Seat {
        Seat {
            cluster: self.cluster,
            domain: GossipDomain(0),
            node: self.id,
            fresh_store: StoreIncarnation(self.founding.below(u64::MAX)),
            speaks: self.version,
            keys: self.keys.ring.ids(),
            limits: self.limits.clone(),
        }
    }

    /// Whether the process can handle nothing now.
    pub(super) fn is_frozen(&self, now: TrueTime) -> bool {
        self.asleep.is_some() || self.paused_until > now
    }

    /// The machine falls asleep, perhaps once more.
    pub(super) fn fall_asleep(&mut self, now: TrueTime, counted: bool) {
        match &mut self.asleep {
            Some(sleep) => sleep.depth += 1,
            None => self.asleep = Some(Sleep { depth: 1, reading: (!counted).then(|| self.clock.monotonic(now)) }),
        }
    }

    /// One reason to sleep is gone; with the last one the machine wakes.
    pub(super) fn stir(&mut self, now: TrueTime) {
        match &mut self.asleep {
            Some(sleep) if sleep.depth > 1 => sleep.depth -= 1,
            _ => self.wake_up(now),
        }
    }

    /// The machine wakes, if it sleeps.
    pub(super) fn wake_up(&mut self, now: TrueTime) {
        if let Some(reading) = self.asleep.take().and_then(|sleep| sleep.reading) {
            self.clock.resume_at(now, reading);
        }
    }

    /// Ends the process, if one runs. What it had under way is gone; what it wrote is still in the cache.
    pub(super) fn end_process(&mut self) {
        self.node = None;
        self.life += 1;
        self.backlog.clear();
        self.book.clear();
        self.wake = None;
        self.syncing = None;
        self.paused_until = TrueTime(0);
        self.last_seen = Time::ZERO;
        self.disk.abandon();
    }
}

/// The body version of the builds that a scenario starts with.
pub(super) fn first_version<A: Application>(scenario: &Scenario) -> BodyVersion {
    scenario.version.map_or(<A::Message as Body>::NEWEST, BodyVersion)
}

/// The bounds of every node of a scenario.
fn limits_of(settings: &DiskSettings) -> Limits {
    let DiskSettings { trim_records, trim_bytes, trim_slots, .. } = *settings;
    Limits { trim_records, trim_bytes, trim_slots, ..Limits::default() }
}

/// The disk as the scenario has it without faults.
pub(super) fn condition_of(settings: &DiskSettings) -> DiskCondition {
    DiskCondition {
        sync: (settings.sync.from, settings.sync.to),
        read: (settings.read.from, settings.read.to),
        slowdown: 1,
        torn: settings.torn.0,
        write_fails: 0,
        sync_fails: 0,
        read_corrupts: 0,
        full: false,
    }
}

/// The id of host `number`, the same in every run.
pub fn node_id(number: u32) -> NodeId {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_le_bytes());
    NodeId::of_public_key(&key)
}

/// A draw from `0..=2 × bound` as one from `-bound..=bound`.
fn signed(draw: u64, bound: u64) -> i64 {
    draw as i64 - bound as i64
}
