//! Getting a blob: from the disk what is there, the rest from other replicas or from a client. Every object is checked as it
//! comes (rule B1), and counts when it is durable (rule B3).

use super::AHEAD;
use super::local::Present;
use crate::blob::{BlobAddress, BlobObject, Manifest};
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::replication::machine::{Action, Reply, Ticket};
use crate::replication::service::Service;
use crate::replication::state::Replica;
use crate::replication::step::Step;
use crate::replication::wire::{Given, Message};
use crate::shards::ReplicaId;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// A blob that is not whole here yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Receiving {
    pub(super) manifest: Option<Manifest>,
    /// Objects that are durable here.
    pub(super) done: BTreeSet<u32>,
    pub(super) under_way: BTreeMap<u32, Way>,
    /// Not on the disk, or damaged there.
    absent: BTreeSet<u32>,
    is_on_disk: bool,
    /// Whoever named it; nobody where a client puts it.
    pub(super) source: Option<ReplicaId>,
    /// Those that have not given what they were asked for.
    lacking: BTreeSet<ReplicaId>,
    /// Nobody is asked before: all were in vain.
    rests_until: Option<Time>,
    /// An owner that has offered it.
    pub(super) offered: Option<(ReplicaId, Epoch)>,
    /// When it last came on.
    heard: Time,
    /// Clients, and the object that each has put.
    pub(super) tickets: Vec<(u32, Ticket)>,
}

/// Where an object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Disk,
    Asked {
        from: ReplicaId,
        again_at: Time,
    },
    /// It is here, and being written.
    Keeping,
}

impl Receiving {
    pub(super) fn new(source: Option<ReplicaId>, is_on_disk: bool, now: Time) -> Self {
        Self {
            manifest: None,
            done: BTreeSet::new(),
            under_way: BTreeMap::new(),
            absent: BTreeSet::new(),
            is_on_disk,
            source,
            lacking: BTreeSet::new(),
            rests_until: None,
            offered: None,
            heard: now,
            tickets: Vec::new(),
        }
    }

    /// The first object that is neither here nor under way; nothing where there is none.
    pub(super) fn next_missing(&self) -> Option<u32> {
        let objects = self.manifest.as_ref().map_or(1, Manifest::objects);
        (0..objects).find(|number| !self.done.contains(number) && !self.under_way.contains_key(number))
    }

    fn is_whole(&self) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| self.done.len() as u64 == u64::from(manifest.objects()))
    }

    /// Whether these bytes are that object; a manifest is taken note of.
    pub(super) fn takes(&mut self, object: BlobObject, bytes: &[u8]) -> bool {
        match (object.number, &self.manifest) {
            (0, _) => Manifest::read(object.address, bytes).is_ok_and(|read| {
                self.manifest = Some(read);
                true
            }),
            (number, Some(manifest)) => manifest.check(number, bytes).is_ok(),
            (_, None) => false,
        }
    }

    /// When something has to be done, at the latest.
    fn next_deadline(&self, wait: crate::time::Duration) -> Time {
        let ways = self.under_way.values().filter_map(|way| match way {
            Way::Asked { again_at, .. } => Some(*again_at),
            Way::Disk | Way::Keeping => None,
        });
        ways.chain(self.rests_until).fold(self.heard.saturating_add(wait), Time::min)
    }
}

impl<S: Service> Replica<S> {
    /// A blob is needed here: whoever named it is asked first. Nothing where so many are under way already.
    pub(super) fn begin_receiving(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        address: BlobAddress,
        source: ReplicaId,
        limit: usize,
    ) {
        let is_full = self.blobs.receiving.len() >= limit;
        let begun = self.blobs.receiving.get_mut(&address);
        match begun {
            None if is_full => return,
            None => {
                self.blobs.receiving.insert(address, Receiving::new(Some(source), true, step.now));
            }
            Some(begun) if begun.source != Some(source) => {
                begun.source = Some(source);
                begun.lacking.remove(&source);
            }
            Some(_) => return,
        }
        self.go_on_receiving(step, address);
    }

    /// Asks for what may be asked for, and says so when all is there.
    pub(super) fn go_on_receiving(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, address: BlobAddress) {
        loop {
            let Some(it) = self.blobs.receiving.get(&address) else { return };
            if it.is_whole() {
                return self.is_whole(step, address);
            }
            let Some(number) = it.next_missing().filter(|_| it.under_way.len() < AHEAD) else { return };
            let object = BlobObject { address, number };
            let way = if it.is_on_disk && !it.absent.contains(&number) {
                self.fetch_object(step, object);
                Way::Disk
            } else {
                let Some((from, is_repair)) = self.whom_to_ask(step.now, address) else { return };
                let epoch = self.promised;
                step.send(from, Message::Want { epoch, object, is_repair });
                Way::Asked { from, again_at: step.now.saturating_add(self.settings.retry) }
            };
            if let Some(it) = self.blobs.receiving.get_mut(&address) {
                it.under_way.insert(number, way);
            }
        }
    }

    /// Whoever named the blob, or else another member. Where all were asked in vain, a while passes.
    fn whom_to_ask(&mut self, now: Time, address: BlobAddress) -> Option<(ReplicaId, bool)> {
        let (own, rest) = (self.id(), now.saturating_add(self.settings.retry));
        let it = self.blobs.receiving.get_mut(&address)?;
        let source = it.source?;
        if it.rests_until.is_some_and(|until| now < until) {
            return None;
        }
        it.rests_until = None;
        let members = self.record.iter().flat_map(|record| record.in_sync.iter().copied());
        let mut all = core::iter::once(source).chain(members.filter(|member| *member != source && *member != own));
        let found = all.find(|replica| !it.lacking.contains(replica));
        if found.is_none() {
            it.lacking.clear();
            it.rests_until = Some(rest);
        }
        found.map(|from| (from, from != source))
    }

    /// The disk has been asked for an object of a blob that is being received.
    pub(super) fn received_from_disk(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        object: BlobObject,
        bytes: Option<&[u8]>,
    ) {
        let Some(it) = self.blobs.receiving.get_mut(&object.address) else { return };
        if it.under_way.get(&object.number) != Some(&Way::Disk) {
            return;
        }
        it.under_way.remove(&object.number);
        match bytes.filter(|bytes| it.takes(object, bytes)) {
            // It may be in a cache only: it counts once it is written, and that is durable.
            Some(bytes) => {
                it.heard = step.now;
                it.under_way.insert(object.number, Way::Keeping);
                self.keep_object(step, object, bytes.into());
            }
            None => {
                it.absent.insert(object.number);
                it.is_on_disk &= object.number > 0;
            }
        }
        self.go_on_receiving(step, object.address);
        self.answer_putters(step, object.address);
    }

    /// Another replica has answered.
    pub(super) fn received_from_peer(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        object: BlobObject,
        given: &Given,
    ) {
        let Some(it) = self.blobs.receiving.get_mut(&object.address) else { return };
        let is_asked =
            matches!(it.under_way.get(&object.number), Some(Way::Asked { from: asked, .. }) if *asked == from);
        if !is_asked {
            return;
        }
        it.under_way.remove(&object.number);
        match given {
            Given::Object(bytes) if it.takes(object, bytes) => {
                it.heard = step.now;
                it.under_way.insert(object.number, Way::Keeping);
                self.keep_object(step, object, bytes.as_ref().into());
            }
            Given::Without { upto } if it.source == Some(from) => {
                let without = self.blobs.without.entry(object.address).or_default();
                *without = (*without).max(*upto);
                self.blobs.receiving.remove(&object.address);
                return self.passes_gate(step, object.address);
            }
            Given::Object(_) | Given::Lacking | Given::Without { .. } => drop(it.lacking.insert(from)),
        }
        self.go_on_receiving(step, object.address);
    }

    /// An object is durable.
    pub(in crate::replication) fn kept_object(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        object: BlobObject,
    ) {
        self.blobs.keeping.remove(&object);
        let Some(it) = self.blobs.receiving.get_mut(&object.address) else { return };
        if it.under_way.get(&object.number) != Some(&Way::Keeping) {
            return;
        }
        it.under_way.remove(&object.number);
        it.done.insert(object.number);
        it.heard = step.now;
        self.go_on_receiving(step, object.address);
        self.answer_putters(step, object.address);
        self.come_on(step.now);
    }

    /// Those whose object is durable are told what is missing; where nothing is, they wait until the blob is held.
    fn answer_putters(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, address: BlobAddress) {
        let Some(it) = self.blobs.receiving.get_mut(&address) else { return };
        let Some(next) = it.next_missing() else { return };
        let done = &it.done;
        for (_, ticket) in it.tickets.extract_if(.., |(number, _)| done.contains(number)) {
            step.push(Action::Reply { ticket, reply: Reply::Wants { object: next }, not_after: None });
        }
    }

    /// Every object of it is durable here.
    fn is_whole(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, address: BlobAddress) {
        let Some(it) = self.blobs.receiving.remove(&address) else { return };
        let length = it.manifest.as_ref().map_or(0, Manifest::length);
        self.blobs.present.insert(address, Present { since: step.now, length });
        self.blobs.without.remove(&address);
        // Under an older epoch nothing is said any more to whoever offered it (rule P5).
        if let Some((owner, epoch)) = it.offered.filter(|(_, epoch)| *epoch >= self.promised) {
            step.send(owner, Message::Stored { epoch, address });
        }
        let tickets: Vec<Ticket> = it.tickets.into_iter().map(|(_, ticket)| ticket).collect();
        if !tickets.is_empty() {
            self.put_is_whole(step, address, length, tickets);
        }
        self.passes_gate(step, address);
    }

    /// Writes an object, unless that is under way.
    pub(super) fn keep_object(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        object: BlobObject,
        bytes: Vec<u8>,
    ) {
        if self.blobs.keeping.insert(object) {
            step.push(Action::Keep { object, bytes });
        }
    }

    /// Reads an object from the disk, unless that is under way.
    pub(super) fn fetch_object(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, object: BlobObject) {
        if self.blobs.fetching.insert(object) {
            step.push(Action::Fetch { object });
        }
    }

    /// When something of this has to be done.
    pub(in crate::replication) fn receiving_deadline(&self) -> Option<Time> {
        self.blobs.receiving.values().map(|it| it.next_deadline(self.settings.blob_wait)).min()
    }

    /// Who did not answer is not asked again; what does not come on is given up.
    pub(in crate::replication) fn wake_receiving(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let wait = self.settings.blob_wait;
        let is_due = |it: &Receiving| it.next_deadline(wait) <= step.now;
        let due: Vec<BlobAddress> =
            self.blobs.receiving.iter().filter(|(_, it)| is_due(it)).map(|(address, _)| *address).collect();
        for address in due {
            let Some(it) = self.blobs.receiving.get_mut(&address) else { continue };
            if it.heard.saturating_add(wait) <= step.now {
                let given_up = self.blobs.receiving.remove(&address);
                for (_, ticket) in given_up.into_iter().flat_map(|it| it.tickets) {
                    step.push(Action::Reply { ticket, reply: Reply::Unknown, not_after: None });
                }
                continue;
            }
            it.rests_until.take_if(|until| *until <= step.now);
            let lacking = &mut it.lacking;
            it.under_way.retain(|_, way| match way {
                Way::Asked { from, again_at } if *again_at <= step.now => {
                    lacking.insert(*from);
                    false
                }
                _ => true,
            });
            self.go_on_receiving(step, address);
        }
    }

    /// What has become of the answers that clients wait for when this process does not own the shard any more.
    pub(in crate::replication) fn forget_putters(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        for (_, ticket) in self.blobs.receiving.values_mut().flat_map(|it| it.tickets.drain(..)) {
            step.push(Action::Reply { ticket, reply: Reply::Unknown, not_after: None });
        }
    }
}
