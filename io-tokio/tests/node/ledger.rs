//! The smallest application that uses every wire of a driver: it keeps numbers, and says what it hears and is told.

use relaymesh_core::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, KeyChange};
use relaymesh_core::identity::{NodeId, RequestId};
use relaymesh_core::machine::{Ctx, Machine, Sink};
use relaymesh_core::node::{self, Application, Delivery, Gating, Input, ObjectError, Output, Route, Visible};
use relaymesh_core::object::ObjectId;
use relaymesh_core::record::Sequence;
use relaymesh_core::time::{Duration, Time};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

pub(crate) const V1: BodyVersion = BodyVersion(1);

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<(u64, u64)>,
    loading: VecDeque<RequestId>,
    /// Who waits for the disk to have an object, to bring one, or to list them.
    keeping: VecDeque<RequestId>,
    fetching: VecDeque<(ObjectId, RequestId)>,
    listing: VecDeque<RequestId>,
    alarm: Option<(Time, RequestId)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) number: u64,
    pub(crate) gated: bool,
    pub(crate) padding: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry(u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Write a number down; the reply is how many there are.
    Add(u64),
    Count,
    Tell {
        to: NodeId,
        class: Class,
        number: u64,
        padding: u32,
        gated: bool,
    },
    Locate {
        node: NodeId,
        endpoint: Endpoint,
    },
    Forget(NodeId),
    Seek,
    UseKey(u16),
    RemoveKey(u16),
    /// Compute its square on another core.
    Square(u64),
    /// Read the entry at this position of the journal back.
    Reread(u64),
    /// Answer after so many nanoseconds.
    Alarm(u64),
    /// Answer, but not after now.
    AtOnce,
    Break,
    /// Keep an object of so many bytes of that value; the reply follows once it is told to be durable.
    Keep {
        piece: u32,
        value: u8,
        bytes: u32,
    },
    Fetch(u32),
    Discard(u32),
    List {
        after: Option<u32>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Number(u64),
    Position { at: u64, count: u64 },
    Object(Vec<u8>),
    Missing,
    Damaged,
    Pieces { pieces: Vec<u32>, is_last: bool },
}

pub(crate) fn object(piece: u32) -> ObjectId {
    ObjectId { address: [0xab; 32], piece }
}

relaymesh_core::observations! {
    /// What the ledger sees.
    pub(crate) enum Seen {
        /// The node may speak.
        Counter Health Count "test_started_total" => Started { boot: u64 },
        /// A note came.
        Counter Health Count "test_heard_total" => Heard { from: NodeId, number: u64 },
        /// A node was found.
        Counter Health Count "test_found_total" => Found { node: NodeId },
        /// A queue is full.
        Counter Health Count "test_filled_total" => Filled { peer: NodeId },
        /// A queue has room.
        Counter Health Count "test_relieved_total" => Relieved { peer: NodeId },
        /// The keyring changed.
        Counter Health Count "test_rekeyed_total" => Rekeyed { sealing: u64, keys: u64 },
    }
}

macro_rules! plain_body {
    ($($type:ty),+) => {$(
        impl Body for $type {
            const OLDEST: BodyVersion = V1;
            const NEWEST: BodyVersion = V1;

            fn encode(&self, _: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                encode_value(self, limit, out)
            }

            fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
                match version {
                    V1 => decode_value(bytes),
                    found => Err(DecodeError::UnknownVersion { found, oldest: V1, newest: V1 }),
                }
            }
        }
    )+};
}

plain_body!(Note, Entry, Request, Reply);

impl node::Message for Note {
    fn gating(&self) -> Gating {
        if self.gated { Gating::Gated } else { Gating::Ungated }
    }
}

impl Application for Ledger {
    type Message = Note;
    type Record = Entry;
    type Request = Request;
    type Reply = Reply;
    type Local = ();
    type Work = u64;
    type Done = u64;
    type WorkId = RequestId;
    type Observation = Seen;

    fn replay(&mut self, sequence: Sequence, record: Entry) {
        self.entries.push((sequence.0, record.0));
    }

    fn compute(work: u64) -> u64 {
        work * work
    }
}

impl Machine for Ledger {
    type Event = Input<Self>;
    type Action = Output<Self>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Input<Self>, out: &mut impl Sink<Output<Self>>) {
        match event {
            Input::Start { life, .. } => out.push(Output::Observe(Seen::Started { boot: life.boot.0 })),
            Input::Wake => self.wake(ctx, out),
            Input::Message(Delivery { envelope, message }) => {
                out.push(Output::Observe(Seen::Heard { from: envelope.source.node, number: message.number }));
            }
            Input::Request { id, request } => self.asked(ctx, id, request, out),
            Input::Computed { id, done } => out.push(Output::reply(id, Reply::Number(done))),
            Input::Loaded { record, .. } => {
                let id = self.loading.pop_front().expect("loads are answered in order");
                out.push(Output::reply(id, Reply::Number(record.expect("the disk is whole").0)));
            }
            Input::Full { peer, .. } => out.push(Output::Observe(Seen::Filled { peer })),
            Input::Room { peer, .. } => out.push(Output::Observe(Seen::Relieved { peer })),
            Input::Found { node, .. } => out.push(Output::Observe(Seen::Found { node })),
            Input::Keys(ids) => {
                let sealing = ids.sealing().map_or(0, |id| u64::from(id.0));
                out.push(Output::Observe(Seen::Rekeyed { sealing, keys: ids.iter().count() as u64 }));
            }
            // Every entry may be asked for.
            Input::Checkpoint { .. } => {}
            Input::Kept { .. } => {
                let id = self.keeping.pop_front().expect("each keep is told once");
                out.push(Output::reply(id, Reply::Done));
            }
            Input::Fetched { object, bytes } => {
                let at = self.fetching.iter().position(|(fetched, _)| *fetched == object);
                let (_, id) = at.and_then(|at| self.fetching.remove(at)).expect("somebody has asked");
                let reply = match bytes {
                    Ok(bytes) => Reply::Object(bytes),
                    Err(ObjectError::Missing) => Reply::Missing,
                    Err(ObjectError::Damaged) => Reply::Damaged,
                };
                out.push(Output::reply(id, reply));
            }
            Input::Objects { objects, is_last, .. } => {
                let id = self.listing.pop_front().expect("lists are answered in order");
                let pieces = objects.iter().map(|object| object.piece).collect();
                out.push(Output::reply(id, Reply::Pieces { pieces, is_last }));
            }
            Input::Local(()) | Input::Persisted { .. } | Input::Late(_) => {}
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.alarm.map(|(at, _)| at)
    }
}

impl Ledger {
    fn wake(&mut self, ctx: &Ctx<'_>, out: &mut impl Sink<Output<Self>>) {
        if let Some((_, id)) = self.alarm.take_if(|(at, _)| ctx.now >= *at) {
            out.push(Output::reply(id, Reply::Done));
        }
    }

    fn asked(&mut self, ctx: &Ctx<'_>, id: RequestId, request: Request, out: &mut impl Sink<Output<Self>>) {
        let reply = match request {
            Request::Add(number) => {
                let at = ctx.next_record.0;
                self.entries.push((at, number));
                out.push(Output::Write { version: V1, record: Entry(number) });
                Reply::Position { at, count: self.entries.len() as u64 }
            }
            Request::Count => Reply::Number(self.entries.len() as u64),
            Request::Tell { to, class, number, padding, gated } => {
                let message = Note { number, gated, padding: vec![7; padding as usize] };
                out.push(Output::message(Route::direct(to, class), V1, message));
                Reply::Done
            }
            Request::Locate { node, endpoint } => {
                out.push(Output::Locate { node, endpoint });
                Reply::Done
            }
            Request::Forget(node) => {
                out.push(Output::Forget(node));
                Reply::Done
            }
            Request::Seek => {
                out.push(Output::Seek);
                Reply::Done
            }
            Request::UseKey(key) => {
                out.push(Output::Keyring(KeyChange::Use(relaymesh_core::envelope::KeyId(key))));
                Reply::Done
            }
            Request::RemoveKey(key) => {
                out.push(Output::Keyring(KeyChange::Remove(relaymesh_core::envelope::KeyId(key))));
                Reply::Done
            }
            Request::Square(work) => return out.push(Output::Compute { id, work }),
            Request::Reread(at) => {
                self.loading.push_back(id);
                return out.push(Output::Load(Sequence(at)));
            }
            Request::Alarm(nanos) => {
                self.alarm = Some((ctx.now + Duration::from_nanos(nanos), id));
                return;
            }
            Request::AtOnce => {
                let what = Visible::Reply { id, reply: Reply::Done };
                return out.push(Output::Show { what, not_after: Some(ctx.now) });
            }
            Request::Keep { piece, value, bytes } => {
                self.keeping.push_back(id);
                return out.push(Output::Keep { object: object(piece), bytes: vec![value; bytes as usize] });
            }
            Request::Fetch(piece) => {
                self.fetching.push_back((object(piece), id));
                return out.push(Output::Fetch { object: object(piece) });
            }
            Request::Discard(piece) => {
                out.push(Output::Discard { object: object(piece) });
                Reply::Done
            }
            Request::List { after } => {
                self.listing.push_back(id);
                return out.push(Output::ListObjects { after: after.map(object) });
            }
            Request::Break => panic!("a story wants this node to break"),
        };
        out.push(Output::reply(id, reply));
    }
}
