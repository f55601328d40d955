//! Clients of the shelf: each keeps and discards objects of its own, and fetches anybody's.
//!
//! Each asks one thing at a time, and what it has begun to change it asks for until it is answered, so that its objects
//! have one history on each node. Once nothing new is offered it fetches all its own objects on every node, so that what
//! nobody happened to fetch in time is held against the model, too.

use super::shelf::{Refusal, Reply, Request};
use crate::scenario::{ObjectLoad, Scenario};
use crate::streams::{Stream, Streams};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::machine::Chooser;
use relaymesh_core::object::ObjectId;
use relaymesh_core::time::Duration;

/// The clients of one run.
#[derive(Debug)]
pub struct Keepers {
    load: ObjectLoad,
    nodes: u32,
    stream: Stream,
    keepers: Vec<Keeper>,
}

#[derive(Clone, Debug, Default)]
struct Keeper {
    /// How often each object was changed, by node and number.
    changes: BTreeMap<(u32, u32), u64>,
    rest_until: Option<TrueTime>,
    under_way: Option<(u32, Request)>,
    /// Objects fetched at the end.
    audited: u32,
    /// What is under way is such a fetch.
    is_auditing: bool,
}

impl Keepers {
    /// The clients of a run of `scenario`.
    pub fn new(scenario: &Scenario, streams: &mut Streams) -> Self {
        Self {
            load: *scenario.objects,
            nodes: scenario.nodes,
            stream: streams.open("object clients"),
            keepers: (0..scenario.objects.clients).map(|_| Keeper::default()).collect(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.load.clients
    }

    /// What a client does next.
    pub fn turn(&mut self, client: u32, now: TrueTime, offering: bool) -> Turn<Request> {
        let it = &mut self.keepers[client as usize];
        if let Some(until) = it.rest_until.filter(|until| *until > now) {
            return Turn::Rest(until);
        }
        it.rest_until = None;
        if it.under_way.is_none() {
            let next = if offering { Some(self.invent(client)) } else { self.audit(client) };
            let it = &mut self.keepers[client as usize];
            (it.under_way, it.is_auditing) = (next, !offering);
        }
        match self.keepers[client as usize].under_way.clone() {
            Some((host, request)) => Turn::Ask { host, request, timeout: self.load.timeout.0 },
            None => Turn::Done,
        }
    }

    fn invent(&mut self, client: u32) -> (u32, Request) {
        let ObjectLoad { clients, per_client, fetches, lists, discards, object_bytes, .. } = self.load;
        let host = self.stream.below(self.nodes.into()) as u32;
        let number = self.stream.below(per_client.into()) as u32;
        if self.stream.happens(lists.0) {
            let somebody = self.stream.below(clients.into()) as u32;
            let after = (self.stream.below(2) == 0).then(|| object_of(somebody, number));
            return (host, Request::List { after });
        }
        if self.stream.happens(fetches.0) {
            let somebody = self.stream.below(clients.into()) as u32;
            return (host, Request::Fetch { object: object_of(somebody, number) });
        }
        let changes = self.keepers[client as usize].changes.entry((host, number)).or_default();
        *changes += 1;
        let object = object_of(client, number);
        if self.stream.happens(discards.0) {
            return (host, Request::Discard { object });
        }
        // Every other time the same bytes again.
        let data = data_of(object, *changes / 2, object_bytes);
        (host, Request::Keep { object, data, once_told: self.stream.below(2) == 0 })
    }

    fn audit(&self, client: u32) -> Option<(u32, Request)> {
        let audited = self.keepers[client as usize].audited;
        let (host, number) = (audited / self.load.per_client, audited % self.load.per_client);
        (host < self.nodes).then(|| (host, Request::Fetch { object: object_of(client, number) }))
    }

    /// What became of a client's last request.
    pub fn outcome(&mut self, client: u32, now: TrueTime, outcome: &Outcome<Reply>) {
        let think = self.stream.span(self.load.think.from, self.load.think.to);
        let it = &mut self.keepers[client as usize];
        it.rest_until = Some(now + think.saturating_add(Duration::from_nanos(1)));
        match outcome {
            Outcome::Reply(Reply::Refused(Refusal::Busy)) => {}
            Outcome::Reply(_) => {
                it.audited += u32::from(it.is_auditing);
                it.under_way = None;
            }
            Outcome::Refused(_) | Outcome::Unreachable | Outcome::TimedOut => {}
        }
    }

    /// Clients that still wait for something, with what.
    pub fn unanswered(&self) -> Vec<(u32, String)> {
        let waiting = |(client, it): (u32, &Keeper)| {
            let (host, request) = it.under_way.as_ref()?;
            let what = match request {
                Request::Keep { object, .. } => format!("object {object:?} to be kept on n{host}"),
                Request::Fetch { object } => format!("object {object:?} of n{host}"),
                Request::Discard { object } => format!("object {object:?} to be discarded on n{host}"),
                Request::List { .. } => format!("a list of n{host}"),
            };
            Some((client, what))
        };
        let unread = |(client, it): (u32, &Keeper)| {
            let left = self.nodes * self.load.per_client - it.audited;
            (left > 0).then(|| (client, format!("{left} objects that it wants to see in the end")))
        };
        let keepers = || (0..).zip(&self.keepers);
        keepers().filter_map(waiting).chain(keepers().filter_map(unread)).collect()
    }
}

/// The object that `client` calls its `number`: two pieces of each address.
pub fn object_of(client: u32, number: u32) -> ObjectId {
    let address = *blake3::hash(format!("{client} {}", number / 2).as_bytes()).as_bytes();
    ObjectId { address, piece: number % 2 }
}

/// Content `content` of an object: anyone can tell whether a copy is true, and which it is.
pub fn data_of(object: ObjectId, content: u64, bytes_max: u32) -> Vec<u8> {
    let pattern = blake3::hash(format!("{object:?} {content}").as_bytes());
    let span = bytes_max.saturating_sub(CONTENT_BYTES as u32) + 1;
    let [a, b, c, d, ..] = *pattern.as_bytes();
    let length = CONTENT_BYTES + (u32::from_le_bytes([a, b, c, d]) % span) as usize;
    let stamped = content.to_le_bytes().into_iter().chain(pattern.as_bytes().iter().copied().cycle());
    stamped.take(length).collect()
}

/// Which content some bytes say they are.
pub fn content_of(data: &[u8]) -> Option<u64> {
    data.first_chunk().map(|content| u64::from_le_bytes(*content))
}

/// Bytes that say which content it is.
const CONTENT_BYTES: usize = 8;
