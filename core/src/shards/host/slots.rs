//! The replicas of a node, each with its next deadline, and what of theirs is not durable.

use super::place::Places;
use super::view::OwnReplica;
use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use crate::machine::{Ctx, Machine};
use crate::record::Sequence;
use crate::replication::once::{Once, Told};
use crate::replication::{self, Replica, Service, Standing};
use crate::shards::{ReplicaId, ShardId};
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::ops::Bound;

#[derive(Clone, Debug)]
struct Slot<S: Service> {
    replica: Replica<Once<S>>,
    due: Option<Time>,
    /// The view that the replica was told of last.
    view: Option<Time>,
    /// It was the owner when it was looked at last.
    is_owner: bool,
    /// It was told something since siblings looked at it last.
    is_touched: bool,
}

/// The replicas of a node.
#[derive(Clone, Debug)]
pub(super) struct Slots<S: Service> {
    slots: BTreeMap<ShardId, Slot<S>>,
    due: BTreeSet<(Time, ShardId)>,
    /// The shards that this node owns.
    owned: BTreeSet<ShardId>,
    /// Those that were told something since siblings looked at them last.
    touched: Vec<ShardId>,
    /// Records that are not durable, in order.
    unsynced: VecDeque<(Sequence, ShardId)>,
}

impl<S: Service> Default for Slots<S> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            due: BTreeSet::new(),
            owned: BTreeSet::new(),
            touched: Vec::new(),
            unsynced: VecDeque::new(),
        }
    }
}

/// Of a process that has not begun nobody speaks.
const NOBODY: Incarnation =
    Incarnation { node: NodeId::from_bytes([0; 16]), store: StoreIncarnation(0), boot: BootIncarnation(0) };

impl<S: Service> Slots<S> {
    pub(super) fn replay(&mut self, shard: ShardId, settings: replication::Settings, record: replication::Record) {
        self.make(shard, NOBODY, settings);
        if let Some(slot) = self.slots.get_mut(&shard) {
            slot.replica.replay(record);
        }
    }

    /// The journal is read.
    pub(super) fn begin(&mut self, life: Incarnation) {
        for (shard, slot) in &mut self.slots {
            slot.replica.begin(life);
            slot.due = slot.replica.next_deadline();
            self.due.extend(slot.due.map(|at| (at, *shard)));
        }
    }

    pub(super) fn make(&mut self, shard: ShardId, life: Incarnation, settings: replication::Settings) {
        self.slots.entry(shard).or_insert_with(|| Slot {
            replica: Replica::new(life, settings),
            due: None,
            view: None,
            is_owner: false,
            is_touched: false,
        });
    }

    pub(super) fn has(&self, shard: &ShardId) -> bool {
        self.slots.contains_key(shard)
    }

    pub(super) fn replica(&self, shard: &ShardId) -> Option<&Replica<Once<S>>> {
        self.slots.get(shard).map(|slot| &slot.replica)
    }

    /// The first shard behind that one, of which there is a replica here.
    pub(super) fn behind(&self, last: Option<&ShardId>) -> Option<ShardId> {
        let from = last.map_or(Bound::Unbounded, |last| Bound::Excluded(*last));
        self.slots.range((from, Bound::Unbounded)).next().map(|(shard, _)| *shard)
    }

    /// Those of which there is a replica here.
    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.slots.keys().copied()
    }

    pub(super) fn owned(&self) -> impl Iterator<Item = ShardId> {
        self.owned.iter().copied()
    }

    pub(super) fn owns(&self, shard: &ShardId) -> bool {
        self.owned.contains(shard)
    }

    /// What this node has of a shard, for people.
    pub(super) fn own(&self, shard: &ShardId, places: &Places) -> Option<OwnReplica> {
        let replica = self.replica(shard)?;
        let placed: Vec<ReplicaId> = places.of(shard).into_iter().flatten().copied().collect();
        let (last, acknowledged) = (replica.log().last(), replica.mark().0);
        Some(OwnReplica { standing: replica.standing(), last, acknowledged, placed })
    }

    /// Hands a replica an event, after what has become of the view of the session.
    pub(super) fn handle(
        &mut self,
        ctx: &mut Ctx<'_>,
        view: Option<Time>,
        shard: ShardId,
        event: replication::Event,
        out: &mut Vec<replication::Action<Told<S::Answer>>>,
    ) {
        let Some(slot) = self.slots.get_mut(&shard) else { return };
        if !core::mem::replace(&mut slot.is_touched, true) {
            self.touched.push(shard);
        }
        if core::mem::replace(&mut slot.view, view) != view {
            slot.replica.handle(ctx, replication::Event::View(view), out);
        }
        slot.replica.handle(ctx, event, out);
        let due = slot.replica.next_deadline();
        if due != slot.due {
            if let Some(at) = slot.due {
                self.due.remove(&(at, shard));
            }
            self.due.extend(due.map(|at| (at, shard)));
            slot.due = due;
        }
    }

    /// A shard whose replica was told something since this was asked last.
    pub(super) fn next_touched(&mut self) -> Option<ShardId> {
        let shard = self.touched.pop()?;
        if let Some(slot) = self.slots.get_mut(&shard) {
            slot.is_touched = false;
        }
        Some(shard)
    }

    /// Whether this node has come to own the shard since this was asked last.
    pub(super) fn became_owner(&mut self, shard: &ShardId) -> bool {
        let Some(slot) = self.slots.get_mut(shard) else { return false };
        let is_owner = slot.replica.standing() != Standing::Follower;
        let was_owner = core::mem::replace(&mut slot.is_owner, is_owner);
        match is_owner {
            true => self.owned.insert(*shard),
            false => self.owned.remove(shard),
        };
        is_owner && !was_owner
    }

    /// A record of the shard was written there.
    pub(super) fn wrote(&mut self, shard: ShardId, at: Sequence) {
        self.unsynced.push_back((at, shard));
    }

    /// The next shard of which something has become durable.
    pub(super) fn next_durable(&mut self, upto: Sequence) -> Option<ShardId> {
        let (_, shard) = self.unsynced.pop_front_if(|(at, _)| *at <= upto)?;
        while self.unsynced.pop_front_if(|(at, next)| *at <= upto && *next == shard).is_some() {}
        Some(shard)
    }

    /// The shards whose deadline has passed.
    pub(super) fn due(&self, now: Time, into: &mut Vec<ShardId>) {
        into.extend(self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, shard)| *shard));
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }
}
