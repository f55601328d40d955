//! The shelf's state and how it reacts.

use super::{Action, Event, Refusal, Reply, Request, WAITING_MAX};
use alloc::collections::VecDeque;
use relaymesh_core::identity::RequestId;
use relaymesh_core::machine::{Ctx, Machine, Sink};
use relaymesh_core::node::ObjectError;
use relaymesh_core::object::{OBJECT_BYTES_MAX, ObjectId};
use relaymesh_core::time::Time;

/// Who waits for what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shelf {
    /// Objects that are not durable yet, with whoever is to be told.
    keeping: VecDeque<(ObjectId, Option<RequestId>)>,
    fetching: VecDeque<(ObjectId, RequestId)>,
    listing: VecDeque<(Option<ObjectId>, RequestId)>,
}

impl Shelf {
    fn request(&mut self, id: RequestId, request: Request, out: &mut impl Sink<Action>) {
        if let Some(refusal) = self.refusal(&request) {
            return out.push(Action::Reply(id, Reply::Refused(refusal)));
        }
        match request {
            Request::Keep { object, data, once_told } => {
                self.keeping.push_back((object, once_told.then_some(id)));
                out.push(Action::Keep(object, data));
                if !once_told {
                    out.push(Action::Reply(id, Reply::Kept));
                }
            }
            Request::Discard { object } => {
                out.push(Action::Discard(object));
                out.push(Action::Reply(id, Reply::Discarded));
            }
            Request::Fetch { object } => {
                self.fetching.push_back((object, id));
                out.push(Action::Fetch(object));
            }
            Request::List { after } => {
                self.listing.push_back((after, id));
                out.push(Action::List(after));
            }
        }
    }

    fn refusal(&self, request: &Request) -> Option<Refusal> {
        let waiting = match request {
            Request::Keep { data, .. } if data.len() > OBJECT_BYTES_MAX => return Some(Refusal::Size),
            Request::Keep { .. } => self.keeping.len(),
            Request::Fetch { .. } => self.fetching.len(),
            Request::List { .. } => self.listing.len(),
            Request::Discard { .. } => 0,
        };
        (waiting >= WAITING_MAX).then_some(Refusal::Busy)
    }
}

/// Takes out the first that waits for `wanted`.
fn take<W: PartialEq, T>(waiting: &mut VecDeque<(W, T)>, wanted: &W) -> Option<T> {
    let at = waiting.iter().position(|(waited, _)| waited == wanted)?;
    waiting.remove(at).map(|(_, found)| found)
}

impl Machine for Shelf {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, _: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        match event {
            Event::Request(id, request) => self.request(id, request, out),
            Event::Kept(object) => {
                if let Some(id) = take(&mut self.keeping, &object).flatten() {
                    out.push(Action::Reply(id, Reply::Kept));
                }
            }
            Event::Fetched(object, bytes) => {
                let Some(id) = take(&mut self.fetching, &object) else { return };
                let reply = match bytes {
                    Ok(data) => Reply::Object { data },
                    Err(ObjectError::Missing) => Reply::Refused(Refusal::Missing),
                    Err(ObjectError::Damaged) => Reply::Refused(Refusal::Damaged),
                };
                out.push(Action::Reply(id, reply));
            }
            Event::Listed(after, objects, is_last) => {
                if let Some(id) = take(&mut self.listing, &after) {
                    out.push(Action::Reply(id, Reply::Objects { objects, is_last }));
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        None
    }
}
