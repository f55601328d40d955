//! The way out: from what the application asks for to what the driver is told to do.
//!
//! Writes are numbered and framed here and leave at once; what others can see goes to the gate; what siblings tell one
//! another goes to the inbox.

use super::application::{Application, Gating, Message, Output, Visible};
use super::contract::{Action, Effect, Observed, Outgoing, Scratch};
use super::loads::{LOADS_MAX, Loads};
use super::observation::NodeObservation;
use crate::codec::Body;
use crate::gate::{Gate, WriteNumber};
use crate::identity::{BootIncarnation, StoreIncarnation};
use crate::machine::{CauseId, Sink};
use crate::observe::{Concern, Observe};
use crate::record::{Recovered, Sequence, Writer};
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What leaves the application passes here. Kept apart from it so that both can be borrowed at once.
pub(super) struct Outbox<A: Application> {
    pub(super) journal: Writer,
    pub(super) gate: Gate<Effect<A>>,
    pub(super) loads: Loads,
    pub(super) store: StoreIncarnation,
    pub(super) packets: u64,
    /// Journal position before this boot's first write, which turns write numbers into positions.
    pub(super) record_bytes: usize,
    appended: VecDeque<(WriteNumber, Sequence)>,
}

impl<A: Application> Outbox<A> {
    /// Nothing written yet.
    pub(super) fn new(store: StoreIncarnation, record_bytes: usize) -> Self {
        Self {
            journal: Recovered::empty().writer(BootIncarnation(0)),
            gate: Gate::new(),
            loads: Loads::default(),
            store,
            packets: 0,
            record_bytes,
            appended: VecDeque::new(),
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
            Ok(sequence) => self.append(cause, sequence, start, scratch),
            Err(error) => panic!("a machine wrote a record that cannot be stored: {error:?}"),
        }
    }

    pub(super) fn append(&mut self, cause: CauseId, sequence: Sequence, start: usize, scratch: &mut Scratch<A>) {
        let write = self.gate.wrote();
        self.appended.push_back((write, sequence));
        let frame = start..scratch.frames.len();
        scratch.push(cause, Action::Append { write, sequence, frame });
    }

    pub(super) fn persisted(&mut self, upto: WriteNumber) {
        self.gate.persisted(upto);
        while let Some((_, sequence)) = self.appended.pop_front_if(|(write, _)| *write <= upto) {
            self.journal.synced(sequence);
        }
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
            Output::Show { what, not_after } => self.show(what, not_after),
            Output::Local(local) => self.scratch.inbox.push_back(local),
            Output::Compute { id, work } => self.scratch.push(cause, Action::Compute { id, work }),
            Output::Load(sequence) => match self.outbox.loads.ask(sequence) {
                Some(ticket) => self.scratch.push(cause, Action::Load { ticket, sequence }),
                None => panic!("more than {LOADS_MAX} loads under way: the application bounds its own"),
            },
            Output::Observe(observation) => {
                let concern = observation.descriptor().concern;
                let action = Action::Observe(Observed::Application(observation));
                match concern {
                    Concern::Health => self.scratch.push(cause, action),
                    Concern::State => self.outbox.gate.hold(None, Effect { cause, action }),
                }
            }
        }
    }
}

impl<A: Application> StepSink<'_, A> {
    fn show(&mut self, what: Visible<A>, not_after: Option<Time>) {
        let cause = self.cause;
        match what {
            Visible::Reply { id, reply } => {
                let action = Action::Reply { id, reply, not_after };
                self.outbox.gate.hold(not_after, Effect { cause, action });
            }
            Visible::Message { to, class, version, message } => {
                let gating = message.gating();
                if gating == Gating::Ungated && not_after.is_some_and(|limit| self.now > limit) {
                    return self.scratch.late.push_back(Visible::Message { to, class, version, message });
                }
                self.outbox.packets += 1;
                let sequence = self.outbox.packets;
                let action = Action::Send(Outgoing { to, class, version, sequence, not_after, message });
                match gating {
                    Gating::Gated => self.outbox.gate.hold(not_after, Effect { cause, action }),
                    Gating::Ungated => self.scratch.push(cause, action),
                }
            }
        }
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
        Action::Send(Outgoing { to, class, version, message, .. }) => {
            Some(Visible::Message { to, class, version, message })
        }
        Action::Reply { id, reply, .. } => Some(Visible::Reply { id, reply }),
        _ => None,
    }
}
