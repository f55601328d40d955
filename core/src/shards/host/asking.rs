//! The way of a question: passed on to whoever owns the shard, here or elsewhere, and again where that was refused.
//!
//! A question that was sent and is not answered may have taken effect: it is not sent again, but for reads, and for what takes
//! effect once. Of that kind are also the submissions that this node keeps ([`resubmit`](super::resubmit)).

use super::asks::{Ask, By, What, Where};
use super::machine::{Action, Host, Sees};
use super::observation::{HostObservation, ShardsObservation};
use super::once::Keyed;
use super::tickets::Asker;
use super::view::{Fate, Refusal, Reply, Request};
use super::wire::{Answer, Message};
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::replication::{COMMAND_BYTES_MAX, Service};
use crate::shards::ShardId;
use crate::time::Time;
use alloc::boxed::Box;

/// Questions that one event asks again, gives up or parks; and, besides, those of shards whose records have changed.
const AT_ONCE: usize = 256;
/// A pause between two questions is doubled this often, where there is too much under way.
const DOUBLINGS_MAX: u32 = 6;

impl By {
    /// Tells a client or a sibling.
    fn told(self, reply: Reply, not_after: Option<Time>) -> Action {
        match self {
            Self::Client(id) => Action::Reply { id, reply, not_after },
            Self::Sibling(ticket) => Action::Told { ticket, reply },
            Self::Keeper(_) => unreachable!("what is kept is submitted, and told to nobody"),
        }
    }
}

impl<S: Service> Host<S> {
    /// A client, or a sibling, asks something of a shard.
    pub(super) fn ask(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        by: By,
        request: Request,
        out: &mut impl Sink<Action>,
    ) {
        let Some(shard) = request.shard() else { return };
        let reply = match &request {
            Request::Submit { command: bytes, .. } | Request::Read { query: bytes, .. } => {
                self.refusal(sees, &shard, bytes.0.len(), COMMAND_BYTES_MAX).map(Reply::Refused)
            }
            Request::Outcome { key, .. } => self.refusal(sees, &shard, 0, 0).map(Reply::Refused).or_else(|| {
                let is_taken = self.known_fate(&shard, &key.0);
                is_taken.map(Reply::Outcome)
            }),
            Request::Put { bytes, .. } => {
                self.refusal(sees, &shard, bytes.0.len(), COMMAND_BYTES_MAX).map(Reply::Refused)
            }
            _ => self.refusal(sees, &shard, 0, 0).map(Reply::Refused),
        };
        if let Some(reply) = reply {
            return out.push(by.told(reply, None));
        }
        let until = ctx.now.saturating_add(self.settings.ask_timeout);
        self.begin_ask(ctx, sees, (by, shard, What::Request(request)), until, out);
    }

    /// Why a client's question is not taken.
    pub(super) fn refusal(&self, sees: Sees<'_>, shard: &ShardId, bytes: usize, limit: usize) -> Option<Refusal> {
        match sees.state.and_then(|state| state.shard(shard)) {
            None => Some(Refusal::NoShard),
            Some(_) if bytes > limit => Some(Refusal::TooLarge { limit: limit as u64 }),
            Some(_) if !self.asks.has_room(&self.settings, bytes, self.gathers.load()) => Some(Refusal::Busy),
            Some(_) => None,
        }
    }

    pub(super) fn begin_ask(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        (by, shard, what): (By, ShardId, What),
        until: Time,
        out: &mut impl Sink<Action>,
    ) {
        let state = Where::Waits { again_at: ctx.now };
        let number = self.asks.insert(Ask { by, shard, what, until, state, busy: 0 });
        self.pass_on(ctx, sees, number, out);
    }

    /// Who is to be asked, as far as that is known: the owner, or who gathers what replicas kept.
    fn whom(&self, sees: Sees<'_>, ask: &Ask) -> Option<NodeId> {
        match ask.what {
            What::Request(Request::Rebuild { shard }) => Self::gatherer(sees, &shard),
            _ => sees
                .state
                .and_then(|state| state.shard(&ask.shard))
                .and_then(|record| record.owner)
                .map(|owner| owner.node),
        }
    }

    /// To the owner, as far as one is known.
    fn pass_on(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, number: u64, out: &mut impl Sink<Action>) {
        let Some(ask) = self.asks.get(number) else { return };
        let (what, own) = (ask.what.clone(), self.life.map(|life| life.node));
        let (whom, is_in_doubt) = (self.whom(sees, ask), ask.is_in_doubt());
        if let Some(What::Once(keyed)) = self.asks.get_mut(number).map(|ask| &mut ask.what) {
            keyed.is_in_doubt = is_in_doubt;
        }
        match whom {
            None => {
                let again_at = ctx.now.saturating_add(self.settings.ask_retry);
                self.asks.put(number, Where::Waits { again_at });
            }
            Some(owner) if Some(owner) == own => {
                self.asks.put(number, Where::Here);
                match what {
                    What::Request(request) => self.take(ctx, sees, Asker::Here(number), request, out),
                    What::Once(Keyed { submission, since, .. }) => {
                        self.take_once(ctx, sees, Asker::Here(number), submission, since, out);
                    }
                }
            }
            Some(owner) => {
                self.asks.put(number, Where::With(owner));
                let message = match what {
                    What::Request(request) => Message::Ask { number, request: Box::new(request) },
                    What::Once(Keyed { submission, since, .. }) => {
                        Message::Once { number, since, submission: Box::new(submission) }
                    }
                };
                out.push(Action::Send { to: owner, message, not_after: None });
            }
        }
    }

    /// Another node answers.
    pub(super) fn answered(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        from: NodeId,
        number: u64,
        answer: Answer,
        out: &mut impl Sink<Action>,
    ) {
        let is_with = |ask: &Ask| ask.state == Where::With(from);
        if self.asks.get(number).is_some_and(is_with) {
            self.ask_answered(ctx.now, sees, number, answer, None, out);
        }
    }

    /// Whoever was asked answers.
    pub(super) fn ask_answered(
        &mut self,
        now: Time,
        sees: Sees<'_>,
        number: u64,
        answer: Answer,
        not_after: Option<Time>,
        out: &mut impl Sink<Action>,
    ) {
        let Some(ask) = self.asks.get_mut(number) else { return };
        let is_lost = answer == Answer::Unknown && ask.may_be_asked_again();
        if let What::Once(keyed) = &mut ask.what {
            keyed.is_in_doubt |= is_lost && keyed.since.is_some();
        }
        if Self::learns_since(ask, &answer) {
            return self.asks.put(number, Where::Waits { again_at: now });
        }
        ask.busy = if answer == Answer::Refused(Refusal::Busy) { ask.busy.saturating_add(1) } else { 0 };
        let (shard, busy) = (ask.shard, ask.busy);
        let version = match answer {
            Answer::Elsewhere { version } => version,
            _ => 0,
        };
        let is_fate = matches!(ask.what, What::Request(Request::Outcome { .. }));
        let is_doubtful = matches!((ask.by, &ask.what), (By::Client(_), What::Once(keyed)) if keyed.is_in_doubt);
        let reply = match answer {
            // It was submitted before, and whether it took effect then nobody knows any more (rule K6).
            Answer::Expired { .. } if is_doubtful => Some(Reply::Unknown),
            Answer::Taken(answer) if is_fate => Some(Reply::Outcome(Fate::Taken(answer))),
            answer => Reply::of(answer).filter(|_| !is_lost),
        };
        match reply {
            Some(reply) => {
                if let Some(ask) = self.asks.remove(number) {
                    self.end_ask(now, ask, reply, not_after, out);
                }
            }
            None => {
                // Whoever knows an older record than this node is not asked again before it may have learned more.
                let is_behind = version <= self.version_of(sees, &shard);
                let pause = self.settings.ask_retry.saturating_mul(1 << busy.min(DOUBLINGS_MAX));
                let again_at = now.saturating_add(if is_behind { pause } else { pause.saturating_mul(2) });
                self.asks.put(number, Where::Waits { again_at });
            }
        }
    }

    /// Whoever waits for it is told.
    pub(super) fn end_ask(
        &mut self,
        now: Time,
        ask: Ask,
        reply: Reply,
        not_after: Option<Time>,
        out: &mut impl Sink<Action>,
    ) {
        match (ask.by, ask.what) {
            (By::Keeper(id), _) => self.returned(now, ask.shard, id, &reply, out),
            (By::Client(id), What::Request(Request::Outcome { shard, key })) => {
                // Where no owner has told that it was taken, what this node keeps is the best there is to know.
                let is_taken = matches!(reply, Reply::Outcome(Fate::Taken(_)));
                let reply = self.kept_fate(&shard, &key.0).filter(|_| !is_taken).map_or(reply, Reply::Outcome);
                out.push(Action::Reply { id, reply, not_after });
            }
            (by, _) => out.push(by.told(reply, not_after)),
        }
    }

    /// Records of shards are other ones: what waits for an owner is asked at once, and so is what may be asked again and whose
    /// owner is gone. So many as one event may.
    pub(super) fn asks_learned(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        let mut room = AT_ONCE;
        while let Some((shard, numbers)) = (room > 0).then(|| self.asks.next_learned(room)).flatten() {
            room = room.saturating_sub(numbers.len().max(1));
            let owner = sees.state.and_then(|state| state.shard(&shard)).and_then(|record| record.owner);
            let Some(owner) = owner.map(|owner| owner.node) else { continue };
            for number in numbers {
                let is_to_be_asked = self.asks.get(number).is_some_and(|ask| match ask.state {
                    Where::Waits { .. } => true,
                    Where::With(asked) => asked != owner && ask.may_be_asked_again(),
                    Where::Here => false,
                });
                if is_to_be_asked {
                    self.pass_on(ctx, sees, number, out);
                }
            }
        }
    }

    /// What is due: asked again, or given up.
    pub(super) fn wake_asks(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        for number in self.asks.due(ctx.now, AT_ONCE) {
            let Some(ask) = self.asks.get(number) else { continue };
            if ask.until > ctx.now {
                self.pass_on(ctx, sees, number, out);
                continue;
            }
            let owner = sees.state.and_then(|state| state.shard(&ask.shard)).and_then(|record| record.owner);
            let is_unknown = ask.is_in_doubt();
            if let (By::Client(_), What::Once(_)) = (ask.by, &ask.what) {
                self.park(ctx, sees, number, out);
                continue;
            }
            let reply = match is_unknown {
                true => Reply::Unknown,
                false if ask.busy > 0 => Reply::Refused(Refusal::Busy),
                false => Reply::Refused(Refusal::NoOwner { owner }),
            };
            let Some(ask) = self.asks.remove(number) else { continue };
            if let By::Client(_) = ask.by {
                let waited = self.settings.ask_timeout.as_nanos();
                let observation = HostObservation::GivenUp { waited, unknown: u64::from(is_unknown) };
                out.push(Action::Observe(ShardsObservation::Host(observation)));
            }
            self.end_ask(ctx.now, ask, reply, None, out);
        }
    }
}
