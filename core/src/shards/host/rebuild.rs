//! After a recovery of the control group: what replicas kept of a shard is gathered, and the record is made of it (rules Y1 to
//! Y4).
//!
//! Every replica of a shard whose record is void tells one node of what it has kept, again and again: the one that suits the
//! shard best, as all see it alike. Where nobody is missing who may have what was acknowledged, that node has the control
//! group go on with what was gathered; else it waits for an operator's consent, and from then on for two rounds more, since
//! whoever has not told yet may hold what nobody else does.
//!
//! What was told counts for two rounds, and for one voiding: who has died since, or told before an earlier recovery, tells
//! nothing any more. A record that cannot be of the history that is over is not looked at.

use super::machine::{Action, Host, Sees};
use super::wire::{Answer, Message};
use crate::identity::{Incarnation, NodeId};
use crate::machine::{Ctx, Sink};
use crate::replication::Service;
use crate::shards::{Kept, ReplicaId, ShardId, ShardRecord, best, rebuilt};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Replicas of one shard that are remembered.
const KEPT_MAX: usize = 32;
/// Shards that one event tells of.
const TOLD_AT_ONCE: usize = 64;

/// Shards whose records are void.
#[derive(Clone, Debug, Default)]
pub(super) struct Rebuilding {
    /// Those of which this node has a replica.
    own: BTreeSet<ShardId>,
    /// The last one told of.
    told: Option<ShardId>,
    next_at: Option<Time>,
    gathered: BTreeMap<ShardId, Gathered>,
}

/// What replicas of one shard have told.
#[derive(Clone, Debug, Default)]
struct Gathered {
    /// The version of the void record.
    version: u64,
    kept: BTreeMap<ReplicaId, (Time, Kept)>,
    /// When an operator has decided to go on although members are missing.
    consented: Option<Time>,
}

impl Gathered {
    /// Begins anew where another recovery has voided the record.
    fn of(&mut self, version: u64) -> &mut Self {
        if self.version != version {
            *self = Self { version, ..Self::default() };
        }
        self
    }
}

impl Rebuilding {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.next_at
    }
}

impl<S: Service> Host<S> {
    /// The record of a shard is another one.
    pub(super) fn learn_void(&mut self, now: Time, shard: ShardId, is_void: bool) {
        let it = &mut self.rebuilding;
        if is_void && self.slots.has(&shard) {
            it.own.insert(shard);
            it.next_at.get_or_insert(now);
        } else if it.own.remove(&shard) && it.own.is_empty() {
            it.next_at = None;
        }
        if !is_void {
            it.gathered.remove(&shard);
        }
    }

    /// Who gathers what replicas kept.
    pub(super) fn gatherer(sees: Sees<'_>, shard: &ShardId) -> Option<NodeId> {
        let able = sees.state?.able_replicas();
        best(shard, able.into_iter(), 1).first().map(|replica| replica.node)
    }

    /// Tells what is kept, if that is due.
    pub(super) fn wake_rebuilding(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        let Some(life) = self.life else { return };
        let Some(at) = &mut self.rebuilding.next_at else { return };
        if *at > ctx.now {
            return;
        }
        *at = ctx.now.saturating_add(self.settings.gather);
        let last = self.rebuilding.told.take();
        let behind = self.rebuilding.own.iter().filter(|shard| last.is_none_or(|last| **shard > last));
        let part: Vec<ShardId> = behind.take(TOLD_AT_ONCE).copied().collect();
        if part.len() == TOLD_AT_ONCE {
            (self.rebuilding.told, self.rebuilding.next_at) = (part.last().copied(), Some(ctx.now));
        }
        for shard in part {
            let (Some(to), Some(replica)) = (Self::gatherer(sees, &shard), self.slots.replica(&shard)) else {
                continue;
            };
            let kept = replica.kept();
            if to == life.node {
                self.gather(ctx.now, sees, shard, kept);
                continue;
            }
            let message = Message::Kept { shard, kept: Box::new(kept) };
            out.push(Action::Send { to, message, not_after: None });
        }
    }

    /// A replica tells what it has kept.
    pub(super) fn hears_kept(&mut self, now: Time, sees: Sees<'_>, from: Incarnation, shard: ShardId, kept: Kept) {
        if kept.process == from && kept.replica == ReplicaId::from(from) {
            self.gather(now, sees, shard, kept);
        }
    }

    fn gather(&mut self, now: Time, sees: Sees<'_>, shard: ShardId, kept: Kept) {
        let Some(state) = sees.state else { return };
        let Some(void) = state.shard(&shard).filter(|record| record.is_void) else { return };
        let cannot_be =
            |record: &ShardRecord| record.epoch.cluster >= void.epoch.cluster || record.shape() != void.shape();
        if kept.record.as_ref().is_some_and(cannot_be) || kept.promised.cluster >= void.epoch.cluster {
            return;
        }
        let rounds = self.settings.gather.saturating_mul(2);
        let it = self.rebuilding.gathered.entry(shard).or_default().of(void.version);
        it.kept
            .retain(|_, (told, kept)| told.saturating_add(rounds) > now && state.own_session(kept.process).is_some());
        if state.own_session(kept.process).is_some()
            && (it.kept.len() < KEPT_MAX || it.kept.contains_key(&kept.replica))
        {
            it.kept.insert(kept.replica, (now, kept));
        }
        let kept: Vec<Kept> = it.kept.values().map(|(_, kept)| kept.clone()).collect();
        let has_consent = it.consented.is_some_and(|since| since.saturating_add(rounds) <= now);
        // What is missing may still come, or an operator consents.
        if let Ok(record) = rebuilt(void.epoch.cluster, void.version, &kept, has_consent) {
            self.commands.rebuild(shard, void.version, record);
        }
    }

    /// An operator goes on with what is there, whoever is missing. Forgotten when this node ends, or gathers no more: then the
    /// operator is to ask again.
    pub(super) fn consent(&mut self, now: Time, sees: Sees<'_>, shard: ShardId) -> Answer {
        let void = sees.state.and_then(|state| state.shard(&shard)).filter(|record| record.is_void);
        let is_gatherer = self.life.map(|life| life.node) == Self::gatherer(sees, &shard);
        let Some(void) = void.filter(|_| is_gatherer) else {
            return Answer::Elsewhere { version: self.version_of(sees, &shard) };
        };
        self.rebuilding.gathered.entry(shard).or_default().of(void.version).consented.get_or_insert(now);
        Answer::Rebuilding
    }
}
