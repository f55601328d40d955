//! Requests that a replica of this node has taken, and whose answer is awaited: each is answered once.

use super::machine::{Action, Host, Sees};
use super::settings::Settings;
use super::view::{Fate, Refusal, Reply, Request};
use super::wire::{Answer, Message};
use crate::bytes::Blob;
use crate::codec::encode_value;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::replication::once::{SubmissionId, Told, fate, plain};
use crate::replication::{self, Service, Standing, Ticket};
use crate::shards::{ChangeRefused, ShardId};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Bytes of an answer, at most.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A client of this node, by the number of its question.
    Here(u64),
    /// A client of another node, by the number that the question has there.
    There(NodeId, u64),
}

/// What replicas have taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Tickets {
    last: u64,
    taken: BTreeMap<Ticket, Taken>,
    all: Load,
    /// Of each other node that has passed something on.
    of_peers: BTreeMap<NodeId, Load>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    asker: Asker,
    shard: ShardId,
    /// With which it came.
    bytes: usize,
    since: Time,
    /// Whether it is to take effect.
    is_command: bool,
}

/// How much was taken and is not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    requests: usize,
    bytes: usize,
}

impl Load {
    fn has_room(self, bytes: usize, (requests_max, bytes_max): (usize, usize)) -> bool {
        self.requests < requests_max && self.bytes.saturating_add(bytes) <= bytes_max
    }

    fn add(&mut self, bytes: usize) {
        *self = Self { requests: self.requests + 1, bytes: self.bytes + bytes };
    }

    fn remove(&mut self, bytes: usize) {
        *self = Self { requests: self.requests - 1, bytes: self.bytes - bytes };
    }
}

impl Tickets {
    /// Whether one more of so many bytes may be taken from whoever asks.
    fn has_room(&self, settings: &Settings, asker: Asker, bytes: usize) -> bool {
        let of_peer = match asker {
            Asker::Here(_) => Load::default(),
            Asker::There(from, _) => self.of_peers.get(&from).copied().unwrap_or_default(),
        };
        self.all.has_room(bytes, (settings.tickets_max, settings.tickets_bytes_max))
            && of_peer.has_room(bytes, (settings.tickets_of_peer_max, settings.tickets_bytes_of_peer_max))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    fn add(&mut self, asker: Asker, shard: ShardId, bytes: usize, (since, is_command): (Time, bool)) -> Ticket {
        self.last += 1;
        self.all.add(bytes);
        if let Asker::There(from, _) = asker {
            self.of_peers.entry(from).or_default().add(bytes);
        }
        self.taken.insert(Ticket(self.last), Taken { asker, shard, bytes, since, is_command });
        Ticket(self.last)
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Taken> {
        let taken = self.taken.remove(&ticket)?;
        self.all.remove(taken.bytes);
        if let Asker::There(from, _) = taken.asker
            && let Some(load) = self.of_peers.get_mut(&from)
        {
            load.remove(taken.bytes);
            if load.requests == 0 {
                self.of_peers.remove(&from);
            }
        }
        Some(taken)
    }
}

impl<S: Service> Host<S> {
    /// Asks the replica of this node.
    pub(super) fn take(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        asker: Asker,
        request: Request,
        out: &mut impl Sink<Action>,
    ) {
        let Some(shard) = request.shard() else {
            return self.tell_asker(ctx.now, sees, asker, Answer::Refused(Refusal::NoShard), None, out);
        };
        if let Request::Rebuild { .. } = request {
            let answer = self.consent(ctx.now, sees, shard);
            return self.tell_asker(ctx.now, sees, asker, answer, None, out);
        }
        let bytes = request.bytes();
        if !self.may_take(ctx, sees, asker, (shard, bytes), out) {
            return;
        }
        if let Request::HandOver { to, .. } = request {
            let answer = self.hands_over(ctx, sees, shard, to, out);
            return self.tell_asker(ctx.now, sees, asker, answer, None, out);
        }
        let ticket = Ticket(self.tickets.last + 1);
        let event = match request {
            Request::Submit { mut command, .. } => {
                S::stamp(&mut command.0, ctx.wall);
                replication::Event::Submit { ticket, command: plain(command.0) }
            }
            Request::Read { query, .. } => replication::Event::Read { ticket, query: plain(query.0) },
            Request::Outcome { key, .. } => {
                let query = fate(SubmissionId::of(&shard.namespace, &key.0));
                replication::Event::Read { ticket, query }
            }
            Request::Put { object, bytes, .. } => replication::Event::Put { ticket, object, bytes: bytes.0 },
            Request::Get { object, .. } => replication::Event::Get { ticket, object },
            // These are no replica's.
            Request::Declare { .. } | Request::List { .. } | Request::Placement { .. } | Request::Loads => return,
            Request::Rebuild { .. } => return,
            Request::HandOver { .. } | Request::SubmitOnce { .. } => return,
        };
        let is_command = matches!(event, replication::Event::Submit { .. });
        self.tickets.add(asker, shard, bytes, (ctx.now, is_command));
        self.tell(ctx, sees, shard, event, out);
    }

    /// An operator has the replica of this node let the shard go. Only another member can have it (rule U1): to go on asking
    /// for somebody else would move the shard about for nothing.
    fn hands_over(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        shard: ShardId,
        to: Option<NodeId>,
        out: &mut impl Sink<Action>,
    ) -> Answer {
        let replica = self.slots.replica(&shard);
        let is_serving = replica.is_some_and(|it| matches!(it.standing(), Standing::Serving(_)));
        let Some(record) = replica.and_then(|it| it.record()).filter(|_| is_serving) else {
            return Answer::Elsewhere { version: self.version_of(sees, &shard) };
        };
        let own = self.life.map(|life| life.node);
        let is_other_member = |to: &NodeId| Some(*to) != own && record.in_sync.iter().any(|member| member.node == *to);
        if !to.as_ref().is_none_or(is_other_member) {
            return Answer::Refused(Refusal::Control(ChangeRefused::NoChange.into()));
        }
        self.tell(ctx, sees, shard, replication::Event::HandOver { to, at: None }, out);
        Answer::HandingOver
    }

    /// Whether there is a replica here to ask; tells whoever asks if not.
    pub(super) fn may_take(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        asker: Asker,
        (shard, bytes): (ShardId, usize),
        out: &mut impl Sink<Action>,
    ) -> bool {
        self.learn_first(ctx, sees, shard, out);
        let is_known = sees.state.is_some_and(|state| state.shard(&shard).is_some());
        let is_full = !self.tickets.has_room(&self.settings, asker, bytes);
        let answer = match is_known && self.slots.has(&shard) {
            false => Answer::Elsewhere { version: self.version_of(sees, &shard) },
            true if is_full => Answer::Refused(Refusal::Busy),
            true => return true,
        };
        self.tell_asker(ctx.now, sees, asker, answer, None, out);
        false
    }

    /// Has the replica of this node take a command.
    pub(super) fn submit(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        asker: Asker,
        (shard, command): (ShardId, Box<[u8]>),
        out: &mut impl Sink<Action>,
    ) {
        let ticket = self.tickets.add(asker, shard, command.len(), (ctx.now, true));
        self.tell(ctx, sees, shard, replication::Event::Submit { ticket, command }, out);
    }

    /// A replica answers.
    pub(super) fn ticket_done(
        &mut self,
        now: Time,
        sees: Sees<'_>,
        ticket: Ticket,
        reply: replication::Reply<Told<S::Answer>>,
        not_after: Option<Time>,
        out: &mut impl Sink<Action>,
    ) {
        let Some(Taken { asker, shard, since, is_command, .. }) = self.tickets.remove(ticket) else { return };
        let is_well = match &reply {
            replication::Reply::Done(_) => Some(true),
            replication::Reply::Busy | replication::Reply::Unknown => Some(false),
            _ => None,
        };
        if let Some(is_well) = is_well.filter(|_| is_command) {
            self.meter.count((now, self.settings.grace), since, is_well);
        }
        let answer = match reply {
            replication::Reply::Done(Told::Answer(answer)) => {
                let mut bytes = Vec::new();
                let encoded = encode_value(&answer, ANSWER_BYTES_MAX, &mut bytes);
                assert!(encoded.is_ok(), "a service's answers are short");
                Answer::Done(Blob(bytes.into()))
            }
            replication::Reply::Done(Told::Taken(answer)) => Answer::Taken(answer),
            replication::Reply::Done(Told::NotTaken) => Answer::NotTaken,
            replication::Reply::Done(Told::Expired { taken }) => Answer::Expired { taken },
            replication::Reply::NotServing { .. } => Answer::Elsewhere { version: self.version_of(sees, &shard) },
            replication::Reply::Busy => Answer::Refused(Refusal::Busy),
            replication::Reply::TooLarge { limit } => Answer::Refused(Refusal::TooLarge { limit }),
            replication::Reply::Unknown => Answer::Unknown,
            replication::Reply::Wants { object } => Answer::Wants { object },
            replication::Reply::Held => Answer::Held,
            replication::Reply::Object(bytes) => Answer::Done(Blob(bytes.as_ref().into())),
            replication::Reply::NoBlob => Answer::Refused(Refusal::NoBlob),
            replication::Reply::Lost => Answer::Refused(Refusal::BlobLost),
            replication::Reply::BadObject(why) => Answer::Refused(Refusal::BadObject(why)),
        };
        self.tell_asker(now, sees, asker, answer, not_after, out);
    }

    pub(super) fn tell_asker(
        &mut self,
        now: Time,
        sees: Sees<'_>,
        asker: Asker,
        answer: Answer,
        not_after: Option<Time>,
        out: &mut impl Sink<Action>,
    ) {
        match asker {
            Asker::Here(number) => self.ask_answered(now, sees, number, answer, not_after, out),
            Asker::There(to, number) => {
                out.push(Action::Send { to, message: Message::Answer { number, answer }, not_after });
            }
        }
    }

    /// A node passes on what a client of its own asks.
    pub(super) fn asked(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        from: NodeId,
        number: u64,
        request: Request,
        out: &mut impl Sink<Action>,
    ) {
        if self.life.is_some() {
            self.take(ctx, sees, Asker::There(from, number), request, out);
        }
    }

    /// The version of the record that this node knows.
    pub(super) fn version_of(&self, sees: Sees<'_>, shard: &ShardId) -> u64 {
        sees.state.and_then(|state| state.shard(shard)).map_or(0, |record| record.version)
    }
}

impl Reply {
    /// What a client is told for an owner's answer; nothing where it asks on.
    pub(super) fn of(answer: Answer) -> Option<Self> {
        match answer {
            Answer::Done(answer) => Some(Self::Done(answer)),
            Answer::HandingOver => Some(Self::HandingOver),
            Answer::Rebuilding => Some(Self::Rebuilding),
            Answer::Unknown => Some(Self::Unknown),
            Answer::Elsewhere { .. } | Answer::Refused(Refusal::Busy) => None,
            Answer::Taken(Some(answer)) => Some(Self::Done(answer)),
            Answer::Taken(None) => Some(Self::Taken),
            Answer::NotTaken => Some(Self::Outcome(Fate::NotTaken)),
            Answer::Expired { .. } => Some(Self::Refused(Refusal::Expired)),
            Answer::Refused(why) => Some(Self::Refused(why)),
            Answer::Wants { object } => Some(Self::Wants { object }),
            Answer::Held => Some(Self::Held),
        }
    }
}
