//! What the control group says of shards. Records that have changed are looked at a bounded number in one event.

use super::machine::{Action, Host, Sees};
use crate::control::state::Change;
use crate::identity::Incarnation;
use crate::machine::{Ctx, Sink};
use crate::replication::{self, Message, Service};
use crate::shards::{ReplicaId, ShardId, ShardRecord};
use crate::time::Time;
use alloc::boxed::Box;

impl<S: Service> Host<S> {
    /// The copy of the control state is another one.
    pub(super) fn changed(&mut self, now: Time, change: Change) {
        match change {
            Change::Shard { shard } => drop(self.to_learn.insert(shard)),
            Change::Ended { owner, .. } => {
                self.places.is_gone(owner.into(), now.saturating_add(self.settings.grace));
                self.plans.has_gone(now);
            }
            Change::Opened { owner, .. } => {
                self.places.is_back(owner.into());
                self.plans.has_come(now);
            }
            Change::Cordon { .. } => {
                self.places.everything();
                self.plans.everything(now);
            }
            Change::Placed { shard } => self.places.look_at(shard),
            Change::Plan { namespace } => self.plans.look_at(namespace),
            _ => {}
        }
    }

    /// Every record may be another one, or gone.
    pub(super) fn learn_all(&mut self, now: Time, sees: Sees<'_>) {
        self.to_learn.extend(sees.state.into_iter().flat_map(|state| state.shards()).map(|(shard, _)| *shard));
        self.to_learn.extend(self.slots.shards());
        self.is_behind = sees.state.is_some() && !self.to_learn.is_empty();
        self.places.everything();
        self.plans.has_come(now);
    }

    /// Looks at some of the records that have changed.
    pub(super) fn learn_some(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        if self.life.is_none() {
            return;
        }
        for _ in 0..self.settings.learned_at_once {
            let Some(shard) = self.to_learn.pop_first() else { break };
            self.learn(ctx, sees, shard, out);
        }
        if self.to_learn.is_empty() && core::mem::take(&mut self.is_behind) {
            self.to_wake.extend(self.slots.owned());
        }
    }

    /// Looks at the record of a shard, if it has changed, before anything else is done about it.
    pub(super) fn learn_first(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        shard: ShardId,
        out: &mut impl Sink<Action>,
    ) {
        if self.to_learn.remove(&shard) {
            self.learn(ctx, sees, shard, out);
        }
    }

    fn learn(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, shard: ShardId, out: &mut impl Sink<Action>) {
        let (Some(life), Some(state)) = (self.life, sees.state) else { return };
        let Some(record) = state.shard(&shard) else { return self.forget_tenure(ctx, sees, shard, out) };
        let is_member = record.in_sync.contains(&ReplicaId::from(life));
        if is_member || self.slots.has(&shard) {
            self.slots.make(shard, life, self.settings.replica);
            self.tell(ctx, sees, shard, replication::Event::Known(Box::new(record.clone())), out);
        }
        self.learn_void(ctx.now, shard, record.is_void);
        if self.places.is_moving(&shard) {
            self.places.look_at(shard);
        }
        self.asks.learn(shard);
        self.parked.hurry(&shard, ctx.now);
    }

    /// The history that the cluster goes by now knows of no such shard: nobody owns it.
    fn forget_tenure(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, shard: ShardId, out: &mut impl Sink<Action>) {
        if let Some(known) = self.slots.replica(&shard).and_then(|replica| replica.record()) {
            let void = ShardRecord { is_void: true, owner: None, ..known.clone() };
            self.tell(ctx, sees, shard, replication::Event::Known(Box::new(void)), out);
        }
    }

    /// Whether a message is from whom it may be, as far as this node's copy of the record says: what an owner says, from the
    /// owner of the record's epoch, also where there is no replica yet; what is of an epoch that is over, to be told so; and
    /// what is said to an owner, from a replica that it knows. An owner of whom the copy does not know yet says it again.
    pub(super) fn is_from_whom_it_may_be(
        &mut self,
        sees: Sees<'_>,
        shard: ShardId,
        from: Incarnation,
        message: &Message,
    ) -> bool {
        let Some(record) = sees.state.and_then(|state| state.shard(&shard)) else { return false };
        let promised = self.slots.replica(&shard).map(|replica| replica.promised());
        let is_of_owner = record.is_owned_by(from) && record.epoch == message.epoch();
        match message {
            Message::Promise { .. }
            | Message::Append { .. }
            | Message::Snapshot { .. }
            | Message::Fetch { .. }
            | Message::Offer { .. } => {
                if let Some(life) = self.life.filter(|_| is_of_owner) {
                    self.slots.make(shard, life, self.settings.replica);
                }
                is_of_owner || promised.is_some_and(|promised| message.epoch() < promised)
            }
            _ => {
                let from = ReplicaId::from(from);
                let is_placed = self.places.of(&shard).is_some_and(|placed| placed.contains(&from));
                promised.is_some() && (is_placed || record.in_sync.contains(&from))
            }
        }
    }
}
