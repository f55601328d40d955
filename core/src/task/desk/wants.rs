//! Workers that could do more, and are told when there is something for them.
//!
//! A worker that was told is not told again before it has spoken: it claims, and says when it got less than it asked for.
//! One that is full takes from each shard in its turn, once it can: it hears, when it speaks, of each that has something.

use super::{Action, Settings, Tasks, claim_of};
use crate::identity::Incarnation;
use crate::machine::Sink;
use crate::shards::ShardId;
use crate::task::command::{AGENTS_MAX, LABELS_MAX};
use crate::task::wire::{Message, Offer, Offered};
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

#[derive(Clone, Debug)]
struct Want {
    offer: Offer,
    free: u16,
    /// When it is forgotten, without word from it.
    until: Time,
}

/// Workers that one answer tells of, and bytes of the names of what they offer.
const OFFERS_TOLD_MAX: usize = 64;
const OFFERS_BYTES_MAX: usize = 64 << 10;

/// Workers that could do more.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    wants: BTreeMap<Incarnation, Want>,
    hungry: BTreeSet<Incarnation>,
    /// Rises when somebody becomes hungry.
    version: u64,
    /// Who was told last: the next one is whoever follows.
    last: Option<Incarnation>,
}

impl Wants {
    /// A worker says what it could do; whether there was room to hear it.
    pub(super) fn hear(
        &mut self,
        now: Time,
        settings: &Settings,
        worker: Incarnation,
        offer: Offer,
        free: u16,
    ) -> bool {
        let is_full = self.wants.len() >= settings.workers_max && !self.wants.contains_key(&worker);
        if is_full || offer.agents.len() > AGENTS_MAX || offer.labels.len() > LABELS_MAX {
            return false;
        }
        let until = now.saturating_add(settings.ttl);
        self.wants.insert(worker, Want { offer, free, until });
        match free {
            0 => self.hungry.remove(&worker),
            _ => {
                let is_new = self.hungry.insert(worker);
                self.version += u64::from(is_new);
                is_new
            }
        };
        true
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn is_hungry(&self, worker: Incarnation) -> bool {
        self.hungry.contains(&worker)
    }

    /// Who could do what, behind that one; and behind whom there are others.
    pub(super) fn offers(&self, after: Option<Incarnation>) -> (Vec<Offered>, Option<Incarnation>) {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let (mut offers, mut bytes) = (Vec::<Offered>::new(), 0);
        for (worker, want) in self.wants.range(range) {
            if offers.len() == OFFERS_TOLD_MAX || bytes >= OFFERS_BYTES_MAX {
                let last = offers.last().map(|last| last.worker);
                return (offers, last);
            }
            let names = want.offer.agents.iter().map(|agent| agent.as_str().len()).sum::<usize>();
            bytes +=
                names + want.offer.labels.iter().map(|(name, text)| name.as_str().len() + text.len()).sum::<usize>();
            offers.push(Offered { worker: *worker, offer: want.offer.clone(), free: want.free });
        }
        (offers, None)
    }

    pub(super) fn remove(&mut self, worker: Incarnation) {
        self.wants.remove(&worker);
        self.hungry.remove(&worker);
    }

    /// Who was not heard of for long is not told anything.
    pub(super) fn forget(&mut self, now: Time) {
        self.wants.retain(|_, want| want.until > now);
        self.hungry.retain(|worker| self.wants.contains_key(worker));
    }

    /// Tells a worker that is full; or else a shard would wait for as long as others keep it so.
    pub(super) fn offer_later(&self, worker: Incarnation, shard: ShardId, tasks: &Tasks, out: &mut impl Sink<Action>) {
        let want = self.wants.get(&worker).filter(|want| want.free == 0 && tasks.ready() > 0);
        if want.is_some_and(|want| tasks.has_for(&claim_of(worker, &want.offer))) {
            out.push(Action::Send { to: worker.node, message: Message::Offer { shard }, not_after: None });
        }
    }

    /// Tells as many workers as there are steps that are ready. O(1) where there is no such step, or nobody to tell.
    pub(super) fn offer(&mut self, shard: ShardId, tasks: &Tasks, out: &mut impl Sink<Action>) {
        let ready = tasks.ready();
        if ready == 0 || self.hungry.is_empty() {
            return;
        }
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.hungry.range((after, Bound::Unbounded));
        let before = self.hungry.iter().take_while(|worker| Some(**worker) <= self.last);
        let has_for = |worker: &&Incarnation| {
            self.wants.get(worker).is_some_and(|want| tasks.has_for(&claim_of(**worker, &want.offer)))
        };
        let told: Vec<Incarnation> = behind.chain(before).filter(has_for).take(ready).copied().collect();
        for worker in told {
            self.hungry.remove(&worker);
            self.last = Some(worker);
            out.push(Action::Send { to: worker.node, message: Message::Offer { shard }, not_after: None });
        }
    }
}
