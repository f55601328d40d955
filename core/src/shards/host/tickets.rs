//! Requests that a replica of this node has taken, and whose answer is awaited: each is answered once.

use super::machine::{Action, Host, Sees};
use super::view::{Refusal, Reply, Request};
use super::wire::{Answer, Message};
use crate::bytes::Blob;
use crate::codec::encode_value;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::replication::{self, Service, Ticket};
use crate::shards::ShardId;
use crate::time::Time;
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
        self.learn_first(ctx, sees, shard, out);
        let is_known = sees.state.is_some_and(|state| state.shard(&shard).is_some());
        if !is_known || !self.slots.has(&shard) {
            let version = self.version_of(sees, &shard);
            return self.tell_asker(ctx.now, sees, asker, Answer::Elsewhere { version }, None, out);
        }
        if self.tickets.taken.len() >= self.settings.tickets_max {
            return self.tell_asker(ctx.now, sees, asker, Answer::Refused(Refusal::Busy), None, out);
        }
        self.tickets.last += 1;
        let ticket = Ticket(self.tickets.last);
        let event = match request {
            Request::Submit { command, .. } => replication::Event::Submit { ticket, command: command.0 },
            Request::Read { query, .. } => replication::Event::Read { ticket, query: query.0 },
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
            Request::Declare { .. } | Request::List { .. } | Request::Rebuild { .. } => return,
        };
        self.tickets.taken.insert(ticket, (asker, shard));
        self.tell(ctx, sees, shard, event, out);
    }

    /// A replica answers.
    pub(super) fn ticket_done(
        &mut self,
        now: Time,
        sees: Sees<'_>,
        ticket: Ticket,
        reply: replication::Reply<S::Answer>,
        not_after: Option<Time>,
        out: &mut impl Sink<Action>,
    ) {
        let Some((asker, shard)) = self.tickets.taken.remove(&ticket) else { return };
        let answer = match reply {
            replication::Reply::Done(answer) => {
                let mut bytes = Vec::new();
                let encoded = encode_value(&answer, ANSWER_BYTES_MAX, &mut bytes);
                assert!(encoded.is_ok(), "a service's answers are short");
                Answer::Done(Blob(bytes.into()))
            }
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

    fn tell_asker(
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
            Answer::Refused(why) => Some(Self::Refused(why)),
            Answer::Wants { object } => Some(Self::Wants { object }),
            Answer::Held => Some(Self::Held),
        }
    }
}
