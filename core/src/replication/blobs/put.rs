//! An owner: a client puts a blob, every member gets it, and an entry brings it (rules B2, B4).

use super::receive::{Receiving, Way};
use super::{OFFERED_MAX, PUTS_MAX};
use crate::blob::{BlobAddress, BlobError, BlobObject, Manifest};
use crate::machine::Sink;
use crate::object::OBJECT_BYTES_MAX;
use crate::replication::machine::{Action, Reply, Ticket};
use crate::replication::position::LogSequence;
use crate::replication::service::Service;
use crate::replication::state::Replica;
use crate::replication::step::Step;
use crate::replication::wire::Message;
use crate::shards::ReplicaId;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// Clients that wait for one blob.
const PUTTERS_MAX: usize = 64;

/// A blob that is whole at the owner, and that clients wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::replication) struct Putting {
    length: u64,
    tickets: Vec<Ticket>,
    stored: BTreeSet<ReplicaId>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Members get it, until then at the latest.
    Offered { until: Time },
    /// That entry brings it.
    Logged(LogSequence),
}

impl Putting {
    pub(in crate::replication) fn into_tickets(self) -> Vec<Ticket> {
        self.tickets
    }

    pub(in crate::replication) fn deadline(&self) -> Option<Time> {
        match self.stage {
            Stage::Offered { until } => Some(until),
            Stage::Logged(_) => None,
        }
    }
}

impl<S: Service> Replica<S> {
    /// A client puts an object of a blob.
    pub(in crate::replication) fn put(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        ticket: Ticket,
        object: BlobObject,
        bytes: Box<[u8]>,
    ) {
        if let Err(reply) = self.take_object(step, ticket, object, bytes) {
            step.push(Action::Reply { ticket, reply, not_after: None });
        }
    }

    fn take_object(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        ticket: Ticket,
        object: BlobObject,
        bytes: Box<[u8]>,
    ) -> Result<(), Reply<S::Answer>> {
        let BlobObject { address, number } = object;
        let owner = self.record.as_ref().and_then(|record| record.owner).map(|owner| owner.node);
        let is_serving = self.is_serving();
        let tenure = self.tenure.as_mut().filter(|tenure| is_serving && tenure.drained_by.is_none());
        let Some(tenure) = tenure else { return Err(Reply::NotServing { owner }) };
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(Reply::BadObject(BlobError::Differs));
        }
        // What was found damaged here since is put anew, whatever waits for it.
        let is_present = self.blobs.present.contains_key(&address);
        if let Some(putting) = tenure.puts.get_mut(&address).filter(|_| is_present) {
            if putting.tickets.len() >= PUTTERS_MAX {
                return Err(Reply::Busy);
            }
            putting.tickets.push(ticket);
            return Ok(());
        }
        if tenure.puts.len() >= PUTS_MAX && !tenure.puts.contains_key(&address) {
            return Err(Reply::Busy);
        }
        if let Some(present) = self.blobs.present.get(&address) {
            let length = present.length;
            self.put_is_whole(step, address, length, vec![ticket]);
            return Ok(());
        }
        self.begin_put(step.now, object, &bytes)?;
        let Some(it) = self.blobs.receiving.get_mut(&address) else { return Err(Reply::Wants { object: 0 }) };
        let is_taken = it.done.contains(&number) || it.under_way.get(&number) == Some(&Way::Keeping);
        let Some(manifest) = it.manifest.as_ref().filter(|_| it.tickets.len() < PUTTERS_MAX) else {
            return Err(Reply::Busy);
        };
        if number >= manifest.objects() {
            return Err(Reply::BadObject(BlobError::NoPiece));
        }
        if !is_taken {
            if !it.takes(object, &bytes) {
                return Err(Reply::BadObject(BlobError::Differs));
            }
            it.under_way.insert(number, Way::Keeping);
            it.tickets.push((number, ticket));
            self.keep_object(step, object, bytes.into());
        } else if let Some(next) = it.next_missing().filter(|_| it.done.contains(&number)) {
            return Err(Reply::Wants { object: next });
        } else {
            it.tickets.push((number, ticket));
        }
        self.go_on_receiving(step, address);
        Ok(())
    }

    /// Makes room for a blob, and takes note of its manifest. What is being got from others is gone on with.
    fn begin_put(&mut self, now: Time, object: BlobObject, bytes: &[u8]) -> Result<(), Reply<S::Answer>> {
        let BlobObject { address, number } = object;
        let limit = self.settings.blob_bytes_max;
        if self.blobs.receiving.get(&address).is_some_and(|it| it.manifest.is_some()) {
            return Ok(());
        }
        if number > 0 {
            return Err(Reply::Wants { object: 0 });
        }
        let manifest = Manifest::read(address, bytes).map_err(Reply::BadObject)?;
        if manifest.length() > limit {
            return Err(Reply::TooLarge { limit });
        }
        let row = self.above.blobs.row(&address);
        let is_full = self.blobs.receiving.len() >= OFFERED_MAX || (row.is_none() && self.above.blobs.is_full());
        if is_full && !self.blobs.receiving.contains_key(&address) {
            return Err(Reply::Busy);
        }
        // What is known of may be on the disk already.
        let it = self.blobs.receiving.entry(address).or_insert_with(|| Receiving::new(None, row.is_some(), now));
        it.manifest = Some(manifest);
        Ok(())
    }

    /// A blob that clients put is whole here: the others are to get it.
    pub(super) fn put_is_whole(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        address: BlobAddress,
        length: u64,
        tickets: Vec<Ticket>,
    ) {
        let until = step.now.saturating_add(self.settings.offer_wait);
        let members: Vec<ReplicaId> = self.required().collect();
        let Some(tenure) = &mut self.tenure else {
            for ticket in tickets {
                step.push(Action::Reply { ticket, reply: Reply::Unknown, not_after: None });
            }
            return;
        };
        let epoch = tenure.epoch;
        let stage = Stage::Offered { until };
        let putting = Putting { length, tickets: Vec::new(), stored: BTreeSet::new(), stage };
        tenure.puts.entry(address).or_insert(putting).tickets.extend(tickets);
        for member in members {
            step.send(member, Message::Offer { epoch, address });
        }
        self.log_if_stored(step, address);
    }

    /// An owner has a blob that an entry is about to bring.
    pub(in crate::replication) fn offered(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        epoch: crate::epoch::Epoch,
        address: BlobAddress,
    ) {
        if !self.accepts(step, from, epoch) {
            return;
        }
        if self.blobs.present.contains_key(&address) {
            return step.send(from, Message::Stored { epoch, address });
        }
        self.begin_receiving(step, address, from, OFFERED_MAX);
        if let Some(it) = self.blobs.receiving.get_mut(&address) {
            it.offered = Some((from, epoch));
        }
    }

    /// A replica has all of a blob, durably.
    pub(in crate::replication) fn stored_by(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        address: BlobAddress,
    ) {
        let putting = self.tenure.as_mut().and_then(|tenure| tenure.puts.get_mut(&address));
        let Some(putting) = putting.filter(|putting| matches!(putting.stage, Stage::Offered { .. })) else { return };
        putting.stored.insert(from);
        self.log_if_stored(step, address);
    }

    /// Writes the entry that brings a blob, once all have it, or have had the time to get it.
    fn log_if_stored(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, address: BlobAddress) {
        let members: Vec<ReplicaId> = self.required().collect();
        let putting = self.tenure.as_ref().and_then(|tenure| tenure.puts.get(&address));
        let Some(Stage::Offered { until }) = putting.map(|putting| putting.stage) else { return };
        let has = |member: &&ReplicaId| putting.is_some_and(|putting| putting.stored.contains(*member));
        let stored = members.iter().filter(has).count();
        if stored < members.len() && step.now < until {
            return;
        }
        // What this disk alone has, and may lose, would stop the log for good.
        if stored == 0 && !members.is_empty() || !self.blobs.present.contains_key(&address) {
            return self.offer_again(step, address, &members);
        }
        let Some(length) = putting.map(|putting| putting.length) else { return };
        let Some(at) = self.log_blob_entry(step, |open| open.push_brings(address, length)) else { return };
        if let Some(putting) = self.tenure.as_mut().and_then(|tenure| tenure.puts.get_mut(&address)) {
            putting.stage = Stage::Logged(at);
        }
        self.flush(step);
    }

    /// No other member has a blob yet, or it is damaged here: it is offered once more, or clients put it once more.
    fn offer_again(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        address: BlobAddress,
        members: &[ReplicaId],
    ) {
        let is_present = self.blobs.present.contains_key(&address);
        let until = step.now.saturating_add(self.settings.offer_wait);
        let Some(tenure) = &mut self.tenure else { return };
        let epoch = tenure.epoch;
        if !is_present {
            for ticket in tenure.puts.remove(&address).into_iter().flat_map(Putting::into_tickets) {
                step.push(Action::Reply { ticket, reply: Reply::Wants { object: 0 }, not_after: None });
            }
            return;
        }
        if let Some(putting) = tenure.puts.get_mut(&address) {
            putting.stage = Stage::Offered { until };
        }
        for member in members {
            step.send(*member, Message::Offer { epoch, address });
        }
    }

    /// An entry for the next block, and its place.
    pub(super) fn log_blob_entry(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        push: impl FnOnce(&mut crate::replication::block::Open),
    ) -> Option<LogSequence> {
        if self.tenure.as_ref().is_some_and(|tenure| !tenure.open.has_room_for_blob()) {
            self.close_block(step);
        }
        let last = self.log.last().sequence;
        let tenure = self.tenure.as_mut().filter(|tenure| tenure.drained_by.is_none())?;
        push(&mut tenure.open);
        Some(LogSequence(last.0 + tenure.open.len() as u64))
    }

    /// An entry that brings a blob is applied: whoever waits for it is told.
    pub(in crate::replication) fn apply_brings(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        at: LogSequence,
        address: BlobAddress,
        length: u64,
    ) {
        self.blobs.is_applied(address, at);
        let has_room = self.above.blobs.bring(address, length, at);
        let Some(tenure) = &mut self.tenure else { return };
        if tenure.puts.get(&address).is_some_and(|putting| putting.stage == Stage::Logged(at))
            && let Some(putting) = tenure.puts.remove(&address)
        {
            for ticket in putting.tickets {
                let reply = if has_room { Reply::Held } else { Reply::Busy };
                step.push(Action::Reply { ticket, reply, not_after: None });
            }
        }
    }

    /// Blobs whose members have had their time are brought all the same: who is slow is taken out (rule I10).
    pub(in crate::replication) fn wake_puts(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let puts = self.tenure.iter().flat_map(|tenure| &tenure.puts);
        let is_due = |putting: &Putting| putting.deadline().is_some_and(|until| until <= step.now);
        let due: Vec<BlobAddress> = puts.filter(|(_, it)| is_due(it)).map(|(address, _)| *address).collect();
        for address in due {
            self.log_if_stored(step, address);
        }
    }
}
