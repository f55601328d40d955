//! Objects while the node runs: kept under the write numbers of the journal, fetched with several readings, listed by
//! pages.
//!
//! Rules, and the interleaving that each forbids, are in `docs/adr/0005-objects.md`. The one that is not obvious: what an
//! earlier process kept may stand in the page cache and nowhere else, and after a sync that has failed no later sync
//! writes it. So an object that this process has not written yet is written once more, byte for byte, when it is fetched;
//! whatever shows that it was there waits for that at the gate.

use super::application::{Application, Input, ObjectError};
use super::contract::{Action, Scratch};
use super::engine::Node;
use super::loads::{READINGS_MAX, Ticket};
use super::observation::NodeObservation;
use super::outbox::{Outbox, Stored};
use crate::machine::{CauseId, Ctx};
use crate::object::{self, ObjectFrameError, ObjectId};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

/// Fetches and lists that an application may have under way at once, together. It bounds its own: more is a defect, and
/// asserted. With frames of 64 KiB they come to 16 MiB.
pub const FETCHES_MAX: usize = 256;
/// Ids in one answer to a list.
pub const LISTED_MAX: usize = 256;
/// Objects that are remembered to have been written by this process. Forgetting them costs writes, and nothing else.
const SETTLED_MAX: usize = 16_384;

/// What an application waits to be told of its objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    waiting: VecDeque<(Ticket, Wanted)>,
    /// Objects that this process has written.
    settled: BTreeSet<ObjectId>,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Object {
        object: ObjectId,
        readings: u8,
        /// It was kept or discarded since it was asked for: what was read may be older, and must not be written again.
        is_outdated: bool,
    },
    Page {
        after: Option<ObjectId>,
    },
}

/// What to do about the content of an object.
enum Reading<'a> {
    /// Nobody waits for it.
    Unwanted,
    /// Ask once more, under this ticket.
    Again(Ticket, ObjectId),
    /// It is what was kept. Whether it has to be written again first.
    Good(ObjectId, &'a [u8], bool),
    /// There is none, or it stays wrong.
    Failed(ObjectId, ObjectError),
}

impl Objects {
    fn ask(&mut self, ticket: Ticket, wanted: Wanted) {
        let under_way = self.waiting.len();
        assert!(under_way < FETCHES_MAX, "more than {FETCHES_MAX} fetches under way: the application bounds its own");
        self.waiting.push_back((ticket, wanted));
    }

    fn take(&mut self, ticket: Ticket) -> Option<Wanted> {
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == ticket)?;
        self.waiting.remove(at).map(|(_, wanted)| wanted)
    }

    /// The object is written by this process.
    fn settle(&mut self, object: ObjectId) {
        if self.settled.len() >= SETTLED_MAX {
            self.settled.clear();
        }
        self.settled.insert(object);
    }

    /// What was read of the object so far is outdated.
    fn outdate(&mut self, changed: ObjectId) {
        for (_, wanted) in &mut self.waiting {
            if let Wanted::Object { object, is_outdated, .. } = wanted {
                *is_outdated |= *object == changed;
            }
        }
    }

    /// Judges what was read under `ticket`. A fetch that is asked again goes to the back of the queue; `next` is for that.
    fn judge<'a>(&mut self, ticket: Ticket, frame: Option<&'a [u8]>, next: impl FnOnce() -> Ticket) -> Reading<'a> {
        let Some(Wanted::Object { object, readings, is_outdated }) = self.take(ticket) else {
            return Reading::Unwanted;
        };
        let Some(frame) = frame else { return Reading::Failed(object, ObjectError::Missing) };
        match object::open(object, frame) {
            Ok(bytes) => Reading::Good(object, bytes, !is_outdated && !self.settled.contains(&object)),
            Err(
                ObjectFrameError::Length { .. }
                | ObjectFrameError::Format
                | ObjectFrameError::Checksum
                | ObjectFrameError::Misplaced { .. },
            ) if readings < READINGS_MAX => {
                let ticket = next();
                self.waiting.push_back((ticket, Wanted::Object { object, readings: readings + 1, is_outdated }));
                Reading::Again(ticket, object)
            }
            Err(_) => Reading::Failed(object, ObjectError::Damaged),
        }
    }
}

impl<A: Application> Outbox<A> {
    /// Frames one object and asks for it to be stored.
    pub(super) fn keep(&mut self, cause: CauseId, object: ObjectId, bytes: &[u8], scratch: &mut Scratch<A>) {
        let start = scratch.frames.len();
        object::seal(object, bytes, &mut scratch.frames);
        self.objects.outdate(object);
        self.store_object(cause, object, Stored::Object(object), start, scratch);
    }

    fn store_object(
        &mut self,
        cause: CauseId,
        object: ObjectId,
        stored: Stored,
        start: usize,
        scratch: &mut Scratch<A>,
    ) {
        self.objects.settle(object);
        let (write, frame) = self.store(stored, start, scratch);
        scratch.push(cause, Action::Keep { write, object, frame });
    }

    pub(super) fn discard(&mut self, cause: CauseId, object: ObjectId, scratch: &mut Scratch<A>) {
        self.objects.settled.remove(&object);
        self.objects.outdate(object);
        let write = self.gate.wrote();
        scratch.push(cause, Action::Discard { write, object });
    }

    pub(super) fn fetch(&mut self, cause: CauseId, object: ObjectId, scratch: &mut Scratch<A>) {
        let ticket = self.loads.ticket();
        self.objects.ask(ticket, Wanted::Object { object, readings: 1, is_outdated: false });
        scratch.push(cause, Action::Fetch { ticket, object });
    }

    pub(super) fn list(&mut self, cause: CauseId, after: Option<ObjectId>, scratch: &mut Scratch<A>) {
        let ticket = self.loads.ticket();
        self.objects.ask(ticket, Wanted::Page { after });
        scratch.push(cause, Action::List { ticket, after });
    }
}

impl<A: Application> Node<A> {
    /// Objects are durable that the application waits for: as many as one sync has covered.
    pub(super) fn tell_kept(&mut self, ctx: &mut Ctx<'_>, scratch: &mut Scratch<A>) {
        while let Some(object) = self.outbox.kept.pop_front() {
            self.hand_over(ctx, Input::Kept { object }, scratch);
        }
    }

    pub(super) fn fetched(
        &mut self,
        ctx: &mut Ctx<'_>,
        ticket: Ticket,
        frame: Option<&[u8]>,
        scratch: &mut Scratch<A>,
    ) {
        let Outbox { objects, loads, .. } = &mut self.outbox;
        let (object, bytes) = match objects.judge(ticket, frame, || loads.ticket()) {
            Reading::Unwanted => return,
            Reading::Again(ticket, object) => {
                let (address, piece) = (object.prefix(), object.piece.into());
                scratch.observe(ctx.cause, NodeObservation::ObjectReread { address, piece });
                return scratch.push(ctx.cause, Action::Fetch { ticket, object });
            }
            Reading::Good(object, bytes, is_unsettled) => {
                if is_unsettled {
                    self.secure(ctx.cause, object, frame.unwrap_or_default(), scratch);
                }
                (object, Ok(bytes.to_vec()))
            }
            Reading::Failed(object, error) => {
                if error == ObjectError::Damaged {
                    let (address, piece) = (object.prefix(), object.piece.into());
                    scratch.observe(ctx.cause, NodeObservation::ObjectDamaged { address, piece });
                }
                (object, Err(error))
            }
        };
        self.step(ctx, Input::Fetched { object, bytes }, scratch);
    }

    /// Writes an object of an earlier process again as it is. A crash that tears that write puts the same bytes together.
    fn secure(&mut self, cause: CauseId, object: ObjectId, frame: &[u8], scratch: &mut Scratch<A>) {
        let (address, piece) = (object.prefix(), object.piece.into());
        scratch.observe(cause, NodeObservation::ObjectSecured { address, piece });
        let start = scratch.frames.len();
        scratch.frames.extend_from_slice(frame);
        self.outbox.store_object(cause, object, Stored::Again, start, scratch);
    }

    /// # Panics
    /// When the driver names more than [`LISTED_MAX`] objects, or does so out of order.
    pub(super) fn listed(
        &mut self,
        ctx: &mut Ctx<'_>,
        ticket: Ticket,
        objects: Vec<ObjectId>,
        is_last: bool,
        scratch: &mut Scratch<A>,
    ) {
        let Some(Wanted::Page { after }) = self.outbox.objects.take(ticket) else { return };
        let is_ascending = objects.is_sorted_by(|one, other| one < other) && objects.first().copied() > after;
        assert!(objects.len() <= LISTED_MAX && (objects.is_empty() || is_ascending), "a driver lists objects in order");
        self.step(ctx, Input::Objects { after, objects, is_last }, scratch);
    }
}
