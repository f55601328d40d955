//! One event being handled: the time, where the next record goes, and where actions go.

use super::machine::Action;
use super::observation::ReplicationObservation;
use super::wire::{Message, Record};
use crate::machine::{Ctx, Sink};
use crate::record::Sequence;
use crate::shards::ReplicaId;
use crate::time::Time;

pub(super) struct Step<'a, O> {
    pub(super) now: Time,
    /// The position of the next record.
    pub(super) next_record: Sequence,
    out: &'a mut O,
}

impl<'a, O> Step<'a, O> {
    pub(super) fn new(ctx: &Ctx<'_>, out: &'a mut O) -> Self {
        Self { now: ctx.now, next_record: ctx.next_record, out }
    }

    pub(super) fn push<A>(&mut self, action: Action<A>)
    where
        O: Sink<Action<A>>,
    {
        self.out.push(action);
    }

    /// Appends a record, and says where.
    pub(super) fn write<A>(&mut self, record: Record) -> Sequence
    where
        O: Sink<Action<A>>,
    {
        let at = self.next_record;
        self.next_record = at.next();
        self.out.push(Action::Write(record));
        at
    }

    pub(super) fn send<A>(&mut self, to: ReplicaId, message: Message)
    where
        O: Sink<Action<A>>,
    {
        self.out.push(Action::Send { to, message });
    }

    pub(super) fn observe<A>(&mut self, observation: ReplicationObservation)
    where
        O: Sink<Action<A>>,
    {
        self.out.push(Action::Observe(observation));
    }
}
