//! Who ought to have a copy of a shard: the nodes of its row in the agreed table, and in the place of those that are not well
//! the replicas that suit it best of those that are (rendezvous hashing). Worked out by whoever owns the shard, a bounded number
//! of shards in one event.
//!
//! Well is who has a session and is not cordoned. Who had one is waited for: it may be restarting, and to fill another
//! replica costs more than to wait.
//!
//! An owner whose shard a plan moves hands it over to the first of the row, once that one is in the set (rule P3 of placement) and,
//! where owners are to change at a set time, not before that.

use super::machine::{Action, Host, Sees};
use super::reference::Reference;
use crate::control::state::Cordon;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::replication::{self, Service};
use crate::shards::{ReplicaId, ShardId, best};
use crate::time::{Duration, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Placements of the shards that this node owns.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Who is waited for, and until when; of whom that is over, nothing.
    gone: BTreeMap<ReplicaId, Option<Time>>,
    /// Who has a new process, until all owned shards were worked out since.
    back: BTreeSet<ReplicaId>,
    placed: BTreeMap<ShardId, BTreeSet<ReplicaId>>,
    /// Shards whose placement is to be worked out.
    work: BTreeSet<ShardId>,
    /// Shards of this node that a plan moves, and when they are looked at again.
    moving: BTreeMap<ShardId, Time>,
    /// All of this node's are.
    is_everything: bool,
}

impl Places {
    pub(super) fn of(&self, shard: &ShardId) -> Option<&BTreeSet<ReplicaId>> {
        self.placed.get(shard)
    }

    pub(super) fn work_out(&mut self, shard: ShardId) {
        self.placed.remove(&shard);
        self.work.insert(shard);
    }

    /// A shard ought to be elsewhere, or its record is another one.
    pub(super) fn look_at(&mut self, shard: ShardId) {
        self.work.insert(shard);
    }

    /// Whether this node moves that shard.
    pub(super) fn is_moving(&self, shard: &ShardId) -> bool {
        self.moving.contains_key(shard)
    }

    pub(super) fn everything(&mut self) {
        self.is_everything = true;
    }

    /// A session has ended.
    pub(super) fn is_gone(&mut self, replica: ReplicaId, until: Time) {
        self.gone.insert(replica, Some(until));
        self.everything();
    }

    /// A session was opened.
    pub(super) fn is_back(&mut self, replica: ReplicaId) {
        self.gone.remove(&replica);
        self.back.insert(replica);
        self.everything();
    }

    pub(super) fn has_work(&self) -> bool {
        self.is_everything || !self.work.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.gone.values().flatten().chain(self.moving.values()).min().copied()
    }

    /// Who was waited for long enough is waited for no more.
    pub(super) fn wake(&mut self, now: Time) {
        for until in self.gone.values_mut() {
            if until.take_if(|until| *until <= now).is_some() {
                self.is_everything = true;
            }
        }
        self.work.extend(self.moving.iter().filter(|(_, at)| **at <= now).map(|(shard, _)| *shard));
    }
}

impl<S: Service> Host<S> {
    /// Works some placements out, and tells the replicas.
    pub(super) fn place_some(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        // Whoever has no copy of the state begins with everything when there is one.
        let is_everything = core::mem::take(&mut self.places.is_everything);
        let Some(state) = sees.state else {
            self.places.moving.clear();
            return self.places.work.clear();
        };
        if is_everything {
            self.places.work.extend(self.slots.owned());
            let owned: BTreeSet<ShardId> = self.slots.owned().collect();
            self.places.placed.retain(|shard, _| owned.contains(shard));
        }
        if self.places.work.is_empty() {
            return;
        }
        let able: BTreeMap<NodeId, ReplicaId> =
            state.able_replicas().into_iter().map(|replica| (replica.node, replica)).collect();
        for _ in 0..self.settings.placed_at_once {
            let Some(shard) = self.places.work.pop_first() else { break };
            self.places.moving.remove(&shard);
            let Some(record) = state.shard(&shard).filter(|_| self.slots.owns(&shard)) else { continue };
            let mut candidates = able.clone();
            for member in &record.in_sync {
                // Who is cordoned keeps what it has.
                let is_cordoned = state.cordon(member.node) == Cordon::Cordoned && state.has_process(*member);
                if is_cordoned {
                    candidates.insert(member.node, *member);
                }
                // Of a member that is not there nothing was heard since this process began: it is waited for from now on.
                if !candidates.contains_key(&member.node) {
                    let until = ctx.now.saturating_add(self.settings.grace);
                    self.places.gone.entry(*member).or_insert(Some(until));
                }
            }
            for (awaited, _) in self.places.gone.iter().filter(|(_, until)| until.is_some()) {
                candidates.entry(awaited.node).or_insert(*awaited);
            }
            let placement = state.placement(&shard.namespace);
            let row = placement.into_iter().flat_map(|placement| placement.table().copies(shard.number));
            let copies = usize::from(record.copies);
            let mut placed: BTreeSet<ReplicaId> =
                row.take(copies).filter_map(|node| candidates.remove(&node)).collect();
            placed.extend(best(&shard, candidates.into_values(), copies - placed.len()));
            let back: Vec<ReplicaId> = placed.intersection(&self.places.back).copied().collect();
            if self.places.placed.get(&shard) != Some(&placed) {
                self.places.placed.insert(shard, placed.clone());
                self.tell(ctx, sees, shard, replication::Event::Placed(placed), out);
            }
            for replica in back {
                self.tell(ctx, sees, shard, replication::Event::Returned(replica), out);
            }
            self.move_on(ctx, sees, shard, out);
        }
        if self.places.work.is_empty() {
            self.places.back.clear();
        }
    }

    /// A shard that a plan moves goes to the first of its row, once that one is in the set and can take it. What comes of it the
    /// record tells; where that is nothing, it is tried again.
    fn move_on(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, shard: ShardId, out: &mut impl Sink<Action>) {
        let (Some(state), Some(life)) = (sees.state, self.life) else { return };
        let placement = state.placement(&shard.namespace);
        let placement = placement.and_then(|placement| Some((placement, placement.moving(shard.number)?)));
        let record = state.shard(&shard).filter(|record| record.is_owned_by(life));
        let Some(((placement, run), record)) = placement.zip(record) else { return };
        let again_at = ctx.now.saturating_add(self.settings.move_pause);
        self.places.moving.insert(shard, again_at);
        let due = run.at.map(|at| self.reference.due((ctx.now, ctx.wall), at));
        if let Some((at, due)) = run.at.zip(due) {
            // It stops taking what it could not acknowledge by then.
            let from = due.saturating_sub(Duration::from_nanos(self.settings.replica.drain.as_nanos() / 4));
            if from > ctx.now {
                self.reference.want(ctx.now, at);
                self.places.moving.insert(shard, Reference::look_at(ctx.now, from));
                return;
            }
        }
        let Some(to) = placement.table().owner(shard.number).filter(|to| *to != life.node) else { return };
        let takes = |member: &&ReplicaId| member.node == to && state.has_process(**member);
        let is_able = record.in_sync.iter().any(|member| takes(&member)) && state.cordon(to) == Cordon::None;
        if is_able && sees.view.is_some() {
            self.tell(ctx, sees, shard, replication::Event::HandOver { to: Some(to), at: due }, out);
        }
    }
}
