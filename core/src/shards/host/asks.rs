//! Requests of this node's clients: passed on to whoever owns the shard, here or elsewhere, and again where that was refused.
//!
//! A question that was sent and is not answered may have taken effect: it is not sent again, but for reads.

use super::machine::{Action, Host, Sees};
use super::observation::{HostObservation, ShardsObservation};
use super::tickets::Asker;
use super::view::{Refusal, Reply, Request};
use super::wire::{Answer, Message};
use crate::identity::{NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::replication::{COMMAND_BYTES_MAX, Service};
use crate::shards::ShardId;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// A process begins to count somewhere below this: two of one node do not come to the same numbers.
const FIRST_NUMBER_BELOW: u64 = 1 << 62;
/// A pause between two questions is doubled this often, where there is too much under way.
const DOUBLINGS_MAX: u32 = 6;

#[derive(Clone, Debug)]
struct Ask {
    id: RequestId,
    shard: ShardId,
    request: Request,
    until: Time,
    state: Where,
    /// How often it was refused in a row because too much was under way.
    busy: u32,
}

/// Where a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// With the replica of this node.
    Here,
    /// With another node, as the owner.
    With(NodeId),
    /// Nowhere: it is asked again then, or when the record is another one.
    Waits { again_at: Time },
}

/// Questions under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    /// The number of the newest question.
    last: u64,
    asks: BTreeMap<u64, Ask>,
    by_shard: BTreeSet<(ShardId, u64)>,
    due: BTreeSet<(Time, u64)>,
}

impl Ask {
    fn due(&self) -> Time {
        match self.state {
            Where::Waits { again_at } => self.until.min(again_at),
            Where::Here | Where::With(_) => self.until,
        }
    }

    /// Whether it may be asked twice: a read, or what is the same however often it is done.
    fn is_read(&self) -> bool {
        matches!(self.request, Request::Read { .. } | Request::Put { .. } | Request::Get { .. })
    }
}

impl Asks {
    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>) {
        self.last = ctx.below(FIRST_NUMBER_BELOW);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, ask: Ask) -> u64 {
        self.last += 1;
        self.by_shard.insert((ask.shard, self.last));
        self.due.insert((ask.due(), self.last));
        self.asks.insert(self.last, ask);
        self.last
    }

    fn remove(&mut self, number: u64) -> Option<Ask> {
        let ask = self.asks.remove(&number)?;
        self.by_shard.remove(&(ask.shard, number));
        self.due.remove(&(ask.due(), number));
        Some(ask)
    }

    fn put(&mut self, number: u64, state: Where) {
        let Some(ask) = self.asks.get_mut(&number) else { return };
        self.due.remove(&(ask.due(), number));
        ask.state = state;
        self.due.insert((ask.due(), number));
    }
}

impl<S: Service> Host<S> {
    /// A client asks something of a shard.
    pub(super) fn ask(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        id: RequestId,
        request: Request,
        out: &mut impl Sink<Action>,
    ) {
        let Some(shard) = request.shard() else { return };
        let bytes = match &request {
            Request::Submit { command: bytes, .. } | Request::Read { query: bytes, .. } => bytes.0.len(),
            Request::Put { bytes, .. } => bytes.0.len(),
            _ => 0,
        };
        let refusal = match sees.state.and_then(|state| state.shard(&shard)) {
            None => Some(Refusal::NoShard),
            Some(_) if bytes > COMMAND_BYTES_MAX => Some(Refusal::TooLarge { limit: COMMAND_BYTES_MAX as u64 }),
            Some(_) if self.asks.asks.len() >= self.settings.asks_max => Some(Refusal::Busy),
            Some(_) => None,
        };
        if let Some(why) = refusal {
            return out.push(Action::Reply { id, reply: Reply::Refused(why), not_after: None });
        }
        let until = ctx.now.saturating_add(self.settings.ask_timeout);
        let state = Where::Waits { again_at: ctx.now };
        let number = self.asks.insert(Ask { id, shard, request, until, state, busy: 0 });
        self.pass_on(ctx, sees, number, out);
    }

    /// Who is to be asked, as far as that is known: the owner, or who gathers what replicas kept.
    fn whom(&self, sees: Sees<'_>, ask: &Ask) -> Option<NodeId> {
        match ask.request {
            Request::Rebuild { shard } => Self::gatherer(sees, &shard),
            _ => sees
                .state
                .and_then(|state| state.shard(&ask.shard))
                .and_then(|record| record.owner)
                .map(|owner| owner.node),
        }
    }

    /// To the owner, as far as one is known.
    fn pass_on(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, number: u64, out: &mut impl Sink<Action>) {
        let Some(ask) = self.asks.asks.get(&number) else { return };
        let (request, own) = (ask.request.clone(), self.life.map(|life| life.node));
        match self.whom(sees, ask) {
            None => {
                let again_at = ctx.now.saturating_add(self.settings.ask_retry);
                self.asks.put(number, Where::Waits { again_at });
            }
            Some(owner) if Some(owner) == own => {
                self.asks.put(number, Where::Here);
                self.take(ctx, sees, Asker::Here(number), request, out);
            }
            Some(owner) => {
                self.asks.put(number, Where::With(owner));
                let message = Message::Ask { number, request: Box::new(request) };
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
        if self.asks.asks.get(&number).is_some_and(is_with) {
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
        let Some(ask) = self.asks.asks.get_mut(&number) else { return };
        let is_lost_read = answer == Answer::Unknown && ask.is_read();
        ask.busy = if answer == Answer::Refused(Refusal::Busy) { ask.busy.saturating_add(1) } else { 0 };
        let (shard, busy) = (ask.shard, ask.busy);
        let version = match answer {
            Answer::Elsewhere { version } => version,
            _ => 0,
        };
        match Reply::of(answer).filter(|_| !is_lost_read) {
            Some(reply) => {
                if let Some(Ask { id, .. }) = self.asks.remove(number) {
                    out.push(Action::Reply { id, reply, not_after });
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

    /// The record of a shard is another one: what waits for an owner is asked at once, and so are reads whose owner is gone.
    pub(super) fn asks_learn(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        shard: ShardId,
        out: &mut impl Sink<Action>,
    ) {
        let owner = sees.state.and_then(|state| state.shard(&shard)).and_then(|record| record.owner);
        let Some(owner) = owner.map(|owner| owner.node) else { return };
        let numbers = self.asks.by_shard.range((shard, 0)..=(shard, u64::MAX)).map(|(_, number)| *number);
        let is_to_be_asked = |number: &u64| match self.asks.asks.get(number) {
            Some(Ask { state: Where::Waits { .. }, .. }) => true,
            Some(ask @ Ask { state: Where::With(asked), .. }) => *asked != owner && ask.is_read(),
            _ => false,
        };
        let again: Vec<u64> = numbers.filter(is_to_be_asked).collect();
        for number in again {
            self.pass_on(ctx, sees, number, out);
        }
    }

    /// What is due: asked again, or given up.
    pub(super) fn wake_asks(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        let due: Vec<u64> =
            self.asks.due.iter().take_while(|(at, _)| *at <= ctx.now).map(|(_, number)| *number).collect();
        for number in due {
            let Some(ask) = self.asks.asks.get(&number) else { continue };
            if ask.until > ctx.now {
                self.pass_on(ctx, sees, number, out);
                continue;
            }
            let owner = sees.state.and_then(|state| state.shard(&ask.shard)).and_then(|record| record.owner);
            let is_unknown = !matches!(ask.state, Where::Waits { .. }) && !ask.is_read();
            let reply = match is_unknown {
                true => Reply::Unknown,
                false if ask.busy > 0 => Reply::Refused(Refusal::Busy),
                false => Reply::Refused(Refusal::NoOwner { owner }),
            };
            let waited = self.settings.ask_timeout.as_nanos();
            let observation = HostObservation::GivenUp { waited, unknown: u64::from(is_unknown) };
            out.push(Action::Observe(ShardsObservation::Host(observation)));
            if let Some(Ask { id, .. }) = self.asks.remove(number) {
                out.push(Action::Reply { id, reply, not_after: None });
            }
        }
    }
}
