//! Reading objects, for clients and for other replicas. What a client gets is checked; what is missing or damaged is asked of
//! other members, stored again, and reported (rules B1, B11).
//!
//! What another replica gets it checks itself. Whoever holds the log that names the blob makes good what it lacks before it
//! answers; who is asked only to make good answers from its disk alone, so that nobody waits in a circle.

use super::READINGS_MAX;
use crate::blob::{BlobObject, Manifest};
use crate::machine::Sink;
use crate::replication::machine::{Action, Reply, Ticket};
use crate::replication::observation::ReplicationObservation;
use crate::replication::service::Service;
use crate::replication::state::Replica;
use crate::replication::step::Step;
use crate::replication::wire::{Given, Message};
use crate::shards::ReplicaId;
use crate::time::Time;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// A read under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    whom: Whom,
    goal: BlobObject,
    /// What the goal is checked by. A manifest needs none.
    manifest: Option<Manifest>,
    place: Place,
    until: Time,
}

/// Who is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whom {
    Client(Ticket),
    /// A replica; whether it asks only to make good.
    Peer(ReplicaId, bool),
}

/// Where an object is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Disk(BlobObject),
    Member { object: BlobObject, asked: Option<ReplicaId>, again_at: Time, lacking: BTreeSet<ReplicaId> },
}

/// What became of a look.
enum Found {
    Bytes(Vec<u8>),
    Nothing,
}

impl Reading {
    fn next_deadline(&self) -> Time {
        match &self.place {
            Place::Disk(_) => self.until,
            Place::Member { again_at, .. } => self.until.min(*again_at),
        }
    }

    /// Whether these bytes are that object, as far as this read has to know.
    fn accepts(&self, object: BlobObject, bytes: &[u8]) -> bool {
        match (object.number, &self.manifest) {
            (0, _) => Manifest::read(object.address, bytes).is_ok(),
            (number, Some(manifest)) => manifest.check(number, bytes).is_ok(),
            // The replica that has asked checks it.
            (_, None) => true,
        }
    }
}

impl<S: Service> Replica<S> {
    /// A client asks for an object of a blob.
    pub(in crate::replication) fn get(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        ticket: Ticket,
        object: BlobObject,
    ) {
        let owner = self.record.as_ref().and_then(|record| record.owner).map(|owner| owner.node);
        let view = self.view.filter(|until| step.now <= *until);
        let refusal = match self.above.blobs.row(&object.address) {
            _ if !self.is_serving() => Some((Reply::NotServing { owner }, None)),
            // Another owner may have one by now (rule V2).
            None if view.is_none() => Some((Reply::NotServing { owner }, None)),
            None => Some((Reply::NoBlob, view)),
            Some(_) if self.blobs.readings.len() >= READINGS_MAX => Some((Reply::Busy, None)),
            Some(_) => None,
        };
        match refusal {
            Some((reply, not_after)) => step.push(Action::Reply { ticket, reply, not_after }),
            // The manifest first: the object is checked by it.
            None => self.begin_reading(step, Whom::Client(ticket), object, BlobObject { number: 0, ..object }),
        }
    }

    /// Another replica asks for an object.
    pub(in crate::replication) fn wanted(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        object: BlobObject,
        is_repair: bool,
    ) {
        let epoch = self.promised;
        let address = &object.address;
        let is_there = self.above.blobs.row(address).is_some() || self.blobs.present.contains_key(address);
        let is_coming = self.blobs.is_ahead(address) || self.blobs.receiving.contains_key(address);
        let what = match is_there || is_coming {
            // What was brought, and is not there after what was applied, was dropped by an entry (rule B9).
            false if !is_repair => Given::Without { upto: self.applied },
            false => Given::Lacking,
            true if self.blobs.readings.len() >= READINGS_MAX => return,
            true => return self.begin_reading(step, Whom::Peer(from, is_repair), object, object),
        };
        step.send(from, Message::Given { epoch, object, what });
    }

    fn begin_reading(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        whom: Whom,
        goal: BlobObject,
        first: BlobObject,
    ) {
        let is_same = |it: &Reading| it.whom == whom && it.goal == goal;
        if self.blobs.readings.iter().any(is_same) {
            return;
        }
        let until = step.now.saturating_add(self.settings.blob_wait);
        self.blobs.readings.push(Reading { whom, goal, manifest: None, place: Place::Disk(first), until });
        self.fetch_object(step, first);
    }

    /// The disk has been asked for an object.
    pub(in crate::replication) fn fetched_object(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        object: BlobObject,
        bytes: Option<&[u8]>,
    ) {
        self.blobs.fetching.remove(&object);
        for reading in self.take_readings(|it| it.place == Place::Disk(object)) {
            let found = match bytes.filter(|bytes| reading.accepts(object, bytes)) {
                Some(bytes) => Found::Bytes(bytes.into()),
                None => Found::Nothing,
            };
            self.go_on_reading(step, reading, object, found);
        }
        self.received_from_disk(step, object, bytes);
    }

    /// Another replica answers.
    pub(in crate::replication) fn given(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        object: BlobObject,
        given: &Given,
    ) {
        let is_asked = |it: &Reading| match &it.place {
            Place::Member { object: wanted, asked, .. } => *wanted == object && *asked == Some(from),
            Place::Disk(_) => false,
        };
        for mut reading in self.take_readings(is_asked) {
            match given {
                Given::Object(bytes) if reading.accepts(object, bytes) => {
                    step.observe(ReplicationObservation::BlobRepaired {
                        from: from.node,
                        object: object.number.into(),
                    });
                    self.keep_object(step, object, bytes.as_ref().into());
                    self.go_on_reading(step, reading, object, Found::Bytes(bytes.as_ref().into()));
                }
                _ => {
                    if let Place::Member { lacking, .. } = &mut reading.place {
                        lacking.insert(from);
                    }
                    self.ask_next_member(step, reading);
                }
            }
        }
        self.received_from_peer(step, from, object, given);
    }

    fn take_readings(&mut self, is_meant: impl Fn(&Reading) -> bool) -> Vec<Reading> {
        self.blobs.readings.extract_if(.., |it| is_meant(it)).collect()
    }

    /// An object was found, or is not on the disk.
    fn go_on_reading(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        mut reading: Reading,
        object: BlobObject,
        found: Found,
    ) {
        let goal = reading.goal;
        match found {
            Found::Bytes(bytes) if object == goal => self.answer_reading(step, &reading, Given::Object(bytes.into())),
            Found::Bytes(bytes) => {
                reading.manifest = Manifest::read(object.address, &bytes).ok();
                if reading.manifest.as_ref().is_none_or(|manifest| goal.number >= manifest.objects()) {
                    return self.answer_reading(step, &reading, Given::Lacking);
                }
                reading.place = Place::Disk(goal);
                self.blobs.readings.push(reading);
                self.fetch_object(step, goal);
            }
            Found::Nothing if matches!(reading.whom, Whom::Peer(_, true)) => {
                self.answer_reading(step, &reading, Given::Lacking);
            }
            // What makes it good has to be checked.
            Found::Nothing if object.number > 0 && reading.manifest.is_none() => {
                let first = BlobObject { number: 0, ..object };
                reading.place = Place::Disk(first);
                self.blobs.readings.push(reading);
                self.fetch_object(step, first);
            }
            Found::Nothing => {
                self.blobs.present.remove(&object.address);
                step.observe(ReplicationObservation::BlobDamaged { object: object.number.into() });
                let lacking = BTreeSet::new();
                reading.place = Place::Member { object, asked: None, again_at: step.now, lacking };
                self.ask_next_member(step, reading);
            }
        }
    }

    /// Asks a member that has not been asked, or has not answered; where all have none, it is lost.
    fn ask_next_member(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, mut reading: Reading) {
        let members: Vec<ReplicaId> = self.required().collect();
        let (again_at, epoch) = (step.now.saturating_add(self.settings.retry), self.promised);
        let Place::Member { object, asked, again_at: due, lacking } = &mut reading.place else { return };
        let behind = members.iter().filter(|member| asked.is_none_or(|asked| **member > asked));
        let next = behind.chain(&members).find(|member| !lacking.contains(*member)).copied();
        let Some(next) = next else {
            step.observe(ReplicationObservation::BlobLost { object: u64::from(object.number) });
            return self.answer_reading(step, &reading, Given::Without { upto: self.applied });
        };
        (*asked, *due) = (Some(next), again_at);
        step.send(next, Message::Want { epoch, object: *object, is_repair: true });
        self.blobs.readings.push(reading);
    }

    /// Tells whoever asked: `Without` stands for what no member has any more.
    fn answer_reading(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, reading: &Reading, what: Given) {
        let (object, epoch) = (reading.goal, self.promised);
        match reading.whom {
            Whom::Peer(to, _) => step.send(to, Message::Given { epoch, object, what }),
            Whom::Client(ticket) => {
                let reply = match what {
                    Given::Object(bytes) => Reply::Object(bytes),
                    Given::Lacking => Reply::BadObject(crate::blob::BlobError::NoPiece),
                    Given::Without { .. } => Reply::Lost,
                };
                step.push(Action::Reply { ticket, reply, not_after: None });
            }
        }
    }

    /// When a read has waited for long enough.
    pub(in crate::replication) fn readings_deadline(&self) -> Option<Time> {
        self.blobs.readings.iter().map(Reading::next_deadline).min()
    }

    /// Members that do not answer are not waited for; readers are not kept waiting for ever.
    pub(in crate::replication) fn wake_readings(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let now = step.now;
        for reading in self.take_readings(|it| it.next_deadline() <= now) {
            match reading.whom {
                _ if reading.until > now => self.ask_next_member(step, reading),
                Whom::Client(ticket) => {
                    step.push(Action::Reply { ticket, reply: Reply::Unknown, not_after: None });
                }
                // It asks again.
                Whom::Peer(..) => {}
            }
        }
    }
}
