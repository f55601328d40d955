//! The way out: from what the application asks for to what the driver is told to do.
//!
//! Writes are numbered and framed here and leave at once; what others can see goes to the gate; what siblings tell one
//! another goes to the inbox.

use super::application::{Application, Gating, Message, Output, Route, Visible};
use super::contract::{Action, Effect, Observed, Outgoing, Scratch};
use super::loads::{LOADS_MAX, Loads};
use super::objects::Objects;
use super::observation::NodeObservation;
use super::trimming::Trimming;
use crate::codec::Body;
use crate::gate::{Gate, WriteNumber};
use crate::identity::{BootIncarnation, StoreIncarnation};
use crate::limits::Limits;
use crate::machine::{CauseId, Sink};
use crate::object::ObjectId;
use crate::observe::{Concern, Observe};
use crate::record::{Recovered, Sequence, Writer};
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

/// A packet that has not left yet.
const UNNUMBERED: u64 = 0;

/// What leaves the application passes here. Kept apart from it so that both can be borrowed at once.
pub(super) struct Outbox<A: Application> {
    pub(super) journal: Writer,
    pub(super) gate: Gate<Effect<A>>,
    pub(super) loads: Loads,
    pub(super) objects: Objects,
    pub(super) store: StoreIncarnation,
    pub(super) trimming: Trimming,
    /// Packets that have left in this boot.
    packets: u64,
    pub(super) record_bytes: usize,
    /// Actions held at which the gate takes no more.
    held_max: usize,
    /// Bytes of the frames that wait for the disk.
    pub(super) unsynced_bytes: u64,
    /// The writes that wait for the disk: what each stores, and its bytes.
    appended: VecDeque<(WriteNumber, Stored, u64)>,
    /// Objects that are durable, of which the application is yet to be told.
    pub(super) kept: VecDeque<ObjectId>,
}

/// What a write stores.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored {
    /// A record, or an anchor.
    Record(Sequence),
    /// An object that the application wants kept.
    Object(ObjectId),
    /// An object that was there before.
    Again,
}

impl<A: Application> Outbox<A> {
    /// Nothing written yet.
    pub(super) fn new(store: StoreIncarnation, limits: &Limits) -> Self {
        Self {
            journal: Recovered::empty().writer(BootIncarnation(0)),
            gate: Gate::new(),
            loads: Loads::default(),
            objects: Objects::default(),
            store,
            trimming: Trimming::new(limits),
            packets: 0,
            record_bytes: limits.record_bytes,
            held_max: limits.gate_actions * 2,
            unsynced_bytes: 0,
            appended: VecDeque::new(),
            kept: VecDeque::new(),
        }
    }

    /// Frames one record and asks for it to be stored.
    pub(super) fn frame<E: core::fmt::Debug>(
        &mut self,
        cause: CauseId,
        scratch: &mut Scratch<A>,
        write: impl FnOnce(&mut Writer, &mut Vec<u8>) -> Result<Sequence, E>,
    ) {
        let start = scratch.frames.len();
        match write(&mut self.journal, &mut scratch.frames) {
            Ok(sequence) => {
                self.trimming.wrote((scratch.frames.len() - start) as u64);
                self.append(cause, sequence, start, scratch);
            }
            Err(error) => panic!("a machine wrote a record that cannot be stored: {error:?}"),
        }
    }

    pub(super) fn append(&mut self, cause: CauseId, sequence: Sequence, start: usize, scratch: &mut Scratch<A>) {
        let (write, frame) = self.store(Stored::Record(sequence), start, scratch);
        scratch.push(cause, Action::Append { write, sequence, frame });
    }

    /// Numbers the write of the frame that begins at `start`.
    pub(super) fn store(&mut self, stored: Stored, start: usize, scratch: &Scratch<A>) -> (WriteNumber, Range<usize>) {
        let write = self.gate.wrote();
        let frame = start..scratch.frames.len();
        let bytes = frame.len() as u64;
        self.unsynced_bytes += bytes;
        self.appended.push_back((write, stored, bytes));
        (write, frame)
    }

    pub(super) fn persisted(&mut self, upto: WriteNumber) {
        self.gate.persisted(upto);
        while let Some((_, stored, bytes)) = self.appended.pop_front_if(|(write, ..)| *write <= upto) {
            self.unsynced_bytes -= bytes;
            match stored {
                Stored::Record(sequence) => self.journal.synced(sequence),
                Stored::Object(object) => self.kept.push_back(object),
                Stored::Again => {}
            }
        }
    }

    /// Hands something visible to the driver. A packet is numbered only here: what overtakes it at the gate must have
    /// the smaller number, since a receiver takes growing numbers only from a stream.
    pub(super) fn leave(&mut self, cause: CauseId, mut action: Action<A>, scratch: &mut Scratch<A>) {
        if let Action::Send(outgoing) = &mut action {
            self.packets += 1;
            outgoing.sequence = self.packets;
        }
        scratch.push(cause, action);
    }

    pub(super) fn unsynced_writes(&self) -> u64 {
        self.gate.written().0 - self.gate.durable().0
    }
}

/// Where the application's outputs go during one step.
pub(super) struct StepSink<'a, A: Application> {
    pub(super) cause: CauseId,
    pub(super) now: Time,
    pub(super) outbox: &'a mut Outbox<A>,
    pub(super) scratch: &'a mut Scratch<A>,
}

impl<A: Application> Sink<Output<A>> for StepSink<'_, A> {
    fn push(&mut self, output: Output<A>) {
        let cause = self.cause;
        match output {
            Output::Write { version, record } => {
                let limit = self.outbox.record_bytes;
                self.outbox.frame(cause, self.scratch, |journal, out| {
                    journal.application(version, out, |body| record.encode(version, limit, body))
                });
            }
            Output::Checkpointed(below) => self.outbox.trimming.checkpointed(below),
            Output::Show { what, not_after } => self.show(what, not_after),
            Output::Local(local) => self.scratch.inbox.push_back(local),
            Output::Compute { id, work } => self.scratch.push(cause, Action::Compute { id, work }),
            Output::Load(sequence) => match self.outbox.loads.ask(sequence) {
                Some(ticket) => self.scratch.push(cause, Action::Load { ticket, sequence }),
                None => panic!("more than {LOADS_MAX} loads under way: the application bounds its own"),
            },
            Output::Seek => self.scratch.push(cause, Action::Seek),
            Output::Locate { node, endpoint } => self.scratch.push(cause, Action::Locate { node, endpoint }),
            Output::Forget(node) => self.scratch.push(cause, Action::Forget(node)),
            Output::Keyring(change) => self.scratch.push(cause, Action::Keyring(change)),
            Output::Observe(observation) => {
                let concern = observation.descriptor().concern;
                let action = Action::Observe(Observed::Application(observation));
                match concern {
                    Concern::Health => self.scratch.push(cause, action),
                    Concern::State => self.hold(None, action),
                }
            }
            Output::Keep { object, bytes } => self.outbox.keep(cause, object, &bytes, self.scratch),
            Output::Discard { object } => self.outbox.discard(cause, object, self.scratch),
            Output::Fetch { object } => self.outbox.fetch(cause, object, self.scratch),
            Output::ListObjects { after } => self.outbox.list(cause, after, self.scratch),
        }
    }
}

impl<A: Application> StepSink<'_, A> {
    fn show(&mut self, what: Visible<A>, not_after: Option<Time>) {
        match what {
            Visible::Reply { id, reply } => match A::reply_gating(&reply) {
                Gating::Gated => self.hold(not_after, Action::Reply { id, reply, not_after }),
                Gating::Ungated => self.scratch.push(self.cause, Action::Reply { id, reply, not_after }),
            },
            Visible::Message { ref message, .. } if self.is_late(message, not_after) => {
                self.scratch.late.push_back(what)
            }
            Visible::Message { route: Route { to, via, ttl, class, tenant }, version, message } => {
                let gating = message.gating();
                let sequence = UNNUMBERED;
                let outgoing = Outgoing { to, via, ttl, class, tenant, version, sequence, not_after, message };
                match gating {
                    Gating::Gated => self.hold(not_after, Action::Send(outgoing)),
                    Gating::Ungated => self.outbox.leave(self.cause, Action::Send(outgoing), self.scratch),
                }
            }
        }
    }

    /// What does not wait at the gate is held against its limit here.
    fn is_late(&self, message: &A::Message, not_after: Option<Time>) -> bool {
        message.gating() == Gating::Ungated && not_after.is_some_and(|limit| self.now > limit)
    }

    fn hold(&mut self, not_after: Option<Time>, action: Action<A>) {
        let cause = self.cause;
        let held_actions = self.outbox.gate.len();
        if held_actions >= self.outbox.held_max {
            let held_actions = held_actions as u64;
            return self.scratch.observe(cause, NodeObservation::ActionDropped { held_actions });
        }
        self.outbox.gate.hold(not_after, Effect { cause, action });
    }
}

impl<A: Application> Scratch<A> {
    pub(super) fn push(&mut self, cause: CauseId, action: Action<A>) {
        self.effects.push(Effect { cause, action });
    }

    pub(super) fn observe(&mut self, cause: CauseId, observation: NodeObservation) {
        self.push(cause, Action::Observe(Observed::Node(observation)));
    }
}

/// What the application had asked to show, as it is handed back.
pub(super) fn visible_again<A: Application>(action: Action<A>) -> Option<Visible<A>> {
    match action {
        Action::Send(Outgoing { to, via, ttl, class, tenant, version, message, .. }) => {
            Some(Visible::Message { route: Route { to, via, ttl, class, tenant }, version, message })
        }
        Action::Reply { id, reply, .. } => Some(Visible::Reply { id, reply }),
        _ => None,
    }
}
