//! Requests that a replica of this node has taken, and whose answer is awaited: each is answered once.

use super::machine::{Action, Host, Sees};
use super::view::{Fate, Refusal, Reply, Request};
use super::wire::{Answer, Message};
use crate::bytes::Blob;
use crate::codec::encode_value;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::replication::once::{SubmissionId, Told, fate, plain};
use crate::replication::{self, Service, Ticket};
use crate::shards::ShardId;
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
    taken: BTreeMap<Ticket, (Asker, ShardId)>,
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
        if !self.may_take(ctx, sees, asker, shard, out) {
            return;
        }
        let ticket = Ticket(self.tickets.last + 1);
        let event = match request {
            Request::Submit { command, .. } => replication::Event::Submit { ticket, command: plain(command.0) },
            Request::Read { query, .. } => replication::Event::Read { ticket, query: plain(query.0) },
            Request::Outcome { key, .. } => {
                let query = fate(SubmissionId::of(&shard.namespace, &key.0));
                replication::Event::Read { ticket, query }
            }
            Request::Put { object, bytes, .. } => replication::Event::Put { ticket, object, bytes: bytes.0 },
            Request::Get { object, .. } => replication::Event::Get { ticket, object },
            Request::HandOver { to, .. } => {
                let answer = match self.slots.replica(&shard).map(|replica| replica.standing()) {
                    Some(replication::Standing::Serving(_)) => Answer::HandingOver,
                    _ => Answer::Elsewhere { version: self.version_of(sees, &shard) },
                };
                if answer == Answer::HandingOver {
                    self.tell(ctx, sees, shard, replication::Event::HandOver { to }, out);
                }
                return self.tell_asker(ctx.now, sees, asker, answer, None, out);
            }
            Request::Declare { .. } | Request::List { .. } | Request::Rebuild { .. } | Request::SubmitOnce { .. } => {
                return;
            }
        };
        self.tickets.last = ticket.0;
        self.tickets.taken.insert(ticket, (asker, shard));
        self.tell(ctx, sees, shard, event, out);
    }

    /// Whether there is a replica here to ask; tells whoever asks if not.
    pub(super) fn may_take(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        asker: Asker,
        shard: ShardId,
        out: &mut impl Sink<Action>,
    ) -> bool {
        self.learn_first(ctx, sees, shard, out);
        let is_known = sees.state.is_some_and(|state| state.shard(&shard).is_some());
        let is_full = self.tickets.taken.len() >= self.settings.tickets_max;
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
        self.tickets.last += 1;
        let ticket = Ticket(self.tickets.last);
        self.tickets.taken.insert(ticket, (asker, shard));
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
        let Some((asker, shard)) = self.tickets.taken.remove(&ticket) else { return };
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
