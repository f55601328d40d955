//! What a process asks of its disk besides the journal's writes: objects, and everything that is read.

use super::Inbound;
use super::run::World;
use crate::disk::Bytes;
use crate::subject::Subject;
use crate::trace::EventKind;
use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;
use relaymesh_core::envelope::tag_of;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::{Event, Ticket};
use relaymesh_core::object::ObjectId;
use relaymesh_core::record::Sequence;
use relaymesh_core::time::Duration;

/// A reading under way: which, what it will bring, and the event that asked.
pub(super) struct Read {
    ticket: Ticket,
    content: Content,
    cause: CauseId,
}

enum Content {
    Slot(Sequence, Option<Vec<u8>>),
    Object(ObjectId, Option<Vec<u8>>),
    Page(Vec<ObjectId>, bool),
}

impl<S: Subject> World<S> {
    pub(super) fn load(&mut self, host: u32, event: CauseId, ticket: Ticket, sequence: Sequence) {
        self.trace.bytes(&sequence.0.to_le_bytes());
        self.trace.note(|| format!("load slot {sequence}"));
        let it = &mut self.hosts[host as usize];
        let (delay, bytes) = it.disk.read(&it.disk_condition, sequence);
        self.reading(host, delay, Read { ticket, content: Content::Slot(sequence, bytes), cause: event });
    }

    pub(super) fn keep(
        &mut self,
        host: u32,
        event: CauseId,
        write: WriteNumber,
        object: ObjectId,
        frame: Range<usize>,
    ) {
        let bytes: Bytes = self.scratch.frame(&frame).into();
        self.trace.bytes(tag_of(&bytes));
        self.trace.bytes(&write.0.to_le_bytes());
        self.trace.note(|| format!("write {write}: object {object:?}"));
        let it = &mut self.hosts[host as usize];
        it.written = (write, event);
        self.engine_checks.kept(host, event, write, object, &bytes, &mut self.found);
        if !it.store_failed {
            let result = it.disk.keep(&it.disk_condition, write, object, bytes);
            self.written(host, event, result);
        }
    }

    pub(super) fn discard_object(&mut self, host: u32, event: CauseId, write: WriteNumber, object: ObjectId) {
        self.trace_object(object);
        self.trace.note(|| format!("write {write}: discard object {object:?}"));
        let it = &mut self.hosts[host as usize];
        it.written = (write, event);
        self.engine_checks.discarded(host, event, write, object);
        if !it.store_failed {
            let result = it.disk.discard(&it.disk_condition, write, object);
            self.written(host, event, result);
        }
    }

    pub(super) fn fetch(&mut self, host: u32, event: CauseId, ticket: Ticket, object: ObjectId) {
        self.trace_object(object);
        self.trace.note(|| format!("fetch object {object:?}"));
        let it = &mut self.hosts[host as usize];
        let (delay, bytes) = it.disk.fetch(&it.disk_condition, object);
        self.reading(host, delay, Read { ticket, content: Content::Object(object, bytes), cause: event });
    }

    pub(super) fn list(&mut self, host: u32, event: CauseId, ticket: Ticket, after: Option<ObjectId>) {
        after.into_iter().for_each(|after| self.trace_object(after));
        self.trace.note(|| format!("list objects behind {after:?}"));
        let it = &mut self.hosts[host as usize];
        let (delay, objects, is_last) = it.disk.list(&it.disk_condition, after);
        self.reading(host, delay, Read { ticket, content: Content::Page(objects, is_last), cause: event });
    }

    /// Answers keep the order of the questions.
    fn reading(&mut self, host: u32, delay: Duration, read: Read) {
        let it = &mut self.hosts[host as usize];
        it.reads_done = it.reads_done.max(self.now + delay);
        let wait = it.reads_done.since(self.now);
        let place = self.reads.put(read);
        self.later(wait, host, Inbound::Loaded { place });
    }

    /// Hands a process what was read.
    pub(super) fn take_read(&mut self, host: u32, place: u32) {
        let Read { ticket, content, cause } = self.reads.take(place);
        let event = self.begin(EventKind::Load, Some(host), cause);
        match content {
            Content::Slot(sequence, bytes) => {
                self.trace.bytes(&sequence.0.to_le_bytes());
                self.trace.bytes(bytes.as_deref().unwrap_or_default());
                self.trace.note(|| format!("slot {sequence} was read"));
                self.handle(host, event, Event::Loaded { ticket, sequence, bytes });
            }
            Content::Object(object, bytes) => {
                self.trace_object(object);
                self.trace.bytes(bytes.as_deref().unwrap_or_default());
                self.trace.note(|| format!("object {object:?} was read"));
                self.engine_checks.fetched(host, event, object, bytes.as_deref(), &self.hosts[host as usize].disk);
                self.handle(host, event, Event::Fetched { ticket, object, bytes });
            }
            Content::Page(objects, is_last) => {
                objects.iter().for_each(|object| self.trace_object(*object));
                self.trace.note(|| format!("{} objects were listed", objects.len()));
                self.handle(host, event, Event::Listed { ticket, objects, is_last });
            }
        }
    }

    fn trace_object(&mut self, object: ObjectId) {
        self.trace.bytes(&object.address);
        self.trace.bytes(&object.piece.to_le_bytes());
    }
}
