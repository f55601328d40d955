//! What the control group says of shards. Records that have changed are looked at a bounded number in one event.

use super::machine::{Action, Host, Sees};
use crate::control::state::Change;
use crate::identity::Incarnation;
use crate::machine::{Ctx, Sink};
use crate::replication::{self, Message, Service};
use crate::shards::{ReplicaId, ShardId};
use crate::time::Time;
use alloc::boxed::Box;

impl<S: Service> Host<S> {
    /// The copy of the control state is another one.
    pub(super) fn changed(&mut self, now: Time, change: Change) {
        match change {
            Change::Shard { shard } => drop(self.to_learn.insert(shard)),
            Change::Ended { owner, .. } => self.places.is_gone(owner.into(), now.saturating_add(self.settings.grace)),
            Change::Opened { owner, .. } => self.places.is_back(owner.into()),
            Change::Cordon { .. } => self.places.everything(),
            _ => {}
        }
    }

    /// Every record may be another one.
    pub(super) fn learn_all(&mut self, sees: Sees<'_>) {
        self.to_learn.extend(sees.state.into_iter().flat_map(|state| state.shards()).map(|(shard, _)| *shard));
        self.places.everything();
    }

    /// Looks at some of the records that have changed.
    pub(super) fn learn_some(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        if self.life.is_none() {
            return;
        }
        for _ in 0..self.settings.learned_at_once {
            let Some(shard) = self.to_learn.pop_first() else { return };
            self.learn(ctx, sees, shard, out);
        }
    }

    fn learn(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, shard: ShardId, out: &mut impl Sink<Action>) {
        let (Some(life), Some(record)) = (self.life, sees.state.and_then(|state| state.shard(&shard))) else { return };
        let is_member = record.in_sync.contains(&ReplicaId::from(life));
        if is_member || self.slots.has(&shard) {
            self.slots.make(shard, life, self.settings.replica);
            self.tell(ctx, sees, shard, replication::Event::Known(Box::new(record.clone())), out);
        }
        self.learn_void(ctx.now, shard, record.is_void);
        self.asks_learn(ctx, sees, shard, out);
    }

    /// Whether a replica may begin here that nobody has heard of: the shard's owner speaks to it.
    pub(super) fn may_follow(&self, sees: Sees<'_>, shard: ShardId, from: Incarnation, message: &Message) -> bool {
        let Some(record) = sees.state.and_then(|state| state.shard(&shard)) else { return false };
        record.is_owned_by(from) && record.epoch == message.epoch()
    }
}
