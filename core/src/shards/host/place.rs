//! Who ought to have a copy of a shard: the replicas that suit it best of those that are well (rendezvous hashing). Worked
//! out by whoever owns the shard, a bounded number of shards in one event.
//!
//! Well is who has a session and is not cordoned. Who had one is waited for: it may be restarting, and to fill another
//! replica costs more than to wait.

use super::machine::{Action, Host, Sees};
use crate::control::state::Cordon;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::replication::{self, Service};
use crate::shards::{ReplicaId, ShardId, best};
use crate::time::Time;
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
        self.gone.values().flatten().min().copied()
    }

    /// Who was waited for long enough is waited for no more.
    pub(super) fn wake(&mut self, now: Time) {
        for until in self.gone.values_mut() {
            if until.take_if(|until| *until <= now).is_some() {
                self.is_everything = true;
            }
        }
    }
}

impl<S: Service> Host<S> {
    /// Works some placements out, and tells the replicas.
    pub(super) fn place_some(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        // Whoever has no copy of the state begins with everything when there is one.
        let is_everything = core::mem::take(&mut self.places.is_everything);
        let Some(state) = sees.state else { return self.places.work.clear() };
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
            let Some(record) = state.shard(&shard) else { continue };
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
            let placed = best(&shard, candidates.into_values(), usize::from(record.copies));
            let back: Vec<ReplicaId> = placed.intersection(&self.places.back).copied().collect();
            if self.places.placed.get(&shard) != Some(&placed) {
                self.places.placed.insert(shard, placed.clone());
                self.tell(ctx, sees, shard, replication::Event::Placed(placed), out);
            }
            for replica in back {
                self.tell(ctx, sees, shard, replication::Event::Returned(replica), out);
            }
        }
        if self.places.work.is_empty() {
            self.places.back.clear();
        }
    }
}
