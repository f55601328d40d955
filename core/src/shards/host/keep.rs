//! Copies of what no owner takes in time: on this disk, and on those of the members of the set that can be reached (rules K1,
//! K1a, K6, K7).
//!
//! Where this node does not know since when a submission may take effect, the members are asked that first: one that has
//! looked the id up and not found it says.

use super::asks::{Ask, By, What};
use super::machine::{Action, Host, Sees};
use super::observation::{HostObservation, ShardsObservation};
use super::once::{Keyed, ONCE_BYTES_MAX};
use super::view::{Refusal, Reply};
use super::wire::{Keeping, Message, Record, Submission};
use crate::identity::{NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::replication::Service;
use crate::replication::once::Known;
use crate::shards::{ReplicaId, ShardId};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

/// Submissions for which one event stops waiting for copies.
const GATHERED_AT_ONCE: usize = 256;

/// A submission that is being parked, for a client.
#[derive(Clone, Debug)]
struct Gather {
    client: RequestId,
    submission: Submission,
    /// Once that is known it is kept here.
    since: Option<u64>,
    is_in_doubt: bool,
    /// Who has not answered.
    asked: BTreeSet<NodeId>,
    copies: u8,
    until: Time,
}

/// Submissions that are being parked.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathers {
    under_way: BTreeMap<u64, Gather>,
    /// Bytes of their commands.
    bytes: usize,
    due: BTreeSet<(Time, u64)>,
}

impl Gathers {
    /// How many there are, and how many bytes they hold.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.under_way.len(), self.bytes)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, number: u64, gather: Gather) {
        self.due.insert((gather.until, number));
        self.bytes += gather.submission.command.0.len();
        self.under_way.insert(number, gather);
    }

    fn remove(&mut self, number: u64) -> Option<Gather> {
        let gather = self.under_way.remove(&number)?;
        self.due.remove(&(gather.until, number));
        self.bytes -= gather.submission.command.0.len();
        Some(gather)
    }
}

impl<S: Service> Host<S> {
    /// No owner has answered a client's submission in time.
    pub(super) fn park(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, number: u64, out: &mut impl Sink<Action>) {
        let Some(ask) = self.asks.remove(number) else { return };
        let is_in_doubt = ask.is_in_doubt();
        let Ask { by: By::Client(client), what: What::Once(keyed), .. } = ask else { return };
        let Keyed { submission, since, .. } = keyed;
        let (asked, until) = (BTreeSet::new(), ctx.now);
        let gather = Gather { client, submission, since: None, is_in_doubt, asked, copies: 0, until };
        let others = self.members(sees, &gather.submission.shard);
        match since {
            None if !others.is_empty() => self.ask_to_keep(ctx, gather, others, out),
            since => {
                let since = since.unwrap_or_else(|| self.own_since(&gather.submission));
                self.keep_here(ctx, sees, gather, since, out);
            }
        }
    }

    /// The other members of the set, as far as this node knows.
    fn members(&self, sees: Sees<'_>, shard: &ShardId) -> BTreeSet<NodeId> {
        let record = sees.state.and_then(|state| state.shard(shard));
        let own = self.life.map(|life| life.node);
        let members = record.into_iter().flat_map(|record| record.in_sync.iter());
        members.map(|member| member.node).filter(|node| Some(*node) != own).collect()
    }

    /// Since when something may take effect that has not been submitted with any *since*, where no member says: a replica that
    /// is no member may lag, but what it has not found was not taken as far as it has come. Without one nobody knows; as long as
    /// the shard has forgotten nothing, that is no matter.
    fn own_since(&self, submission: &Submission) -> u64 {
        let state = self.own_state(&submission.shard);
        state
            .filter(|state| state.known(&submission.id, state.count()) == Known::Nothing)
            .map_or(0, |state| state.count())
    }

    /// Whether this node's replica is one of them, too.
    pub(super) fn is_member(&self, sees: Sees<'_>, shard: &ShardId) -> bool {
        let record = sees.state.and_then(|state| state.shard(shard));
        let own = self.life.map(ReplicaId::from);
        record.zip(own).is_some_and(|(record, own)| record.in_sync.contains(&own))
    }

    fn ask_to_keep(&mut self, ctx: &mut Ctx<'_>, gather: Gather, asked: BTreeSet<NodeId>, out: &mut impl Sink<Action>) {
        let number = self.asks.next_number();
        let until = ctx.now.saturating_add(self.settings.keep_wait);
        for to in &asked {
            let submission = Box::new(gather.submission.clone());
            let message = Message::Keep { number, since: gather.since, submission };
            out.push(Action::Send { to: *to, message, not_after: None });
        }
        self.gathers.insert(number, Gather { asked, until, ..gather });
    }

    /// On this disk, and then on others.
    fn keep_here(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        gather: Gather,
        since: u64,
        out: &mut impl Sink<Action>,
    ) {
        let submission = &gather.submission;
        if !self.keep(ctx, submission, since, out) {
            // It may have taken effect (rule K6).
            let reply = if gather.is_in_doubt { Reply::Unknown } else { Reply::Refused(Refusal::NoRoom) };
            return out.push(Action::Reply { id: gather.client, reply, not_after: None });
        }
        let others = self.members(sees, &submission.shard);
        let gather = Gather { since: Some(since), copies: 1, ..gather };
        match others.is_empty() {
            true => self.is_parked(gather, out),
            false => self.ask_to_keep(ctx, gather, others, out),
        }
    }

    /// Into the journal, if it is not there and there is room.
    fn keep(&mut self, ctx: &mut Ctx<'_>, submission: &Submission, since: u64, out: &mut impl Sink<Action>) -> bool {
        let Submission { shard, id, command } = submission;
        if self.parked.has(shard, id) {
            return true;
        }
        // One that is over, and that the journal still has, has to be forgotten there before it is kept again.
        let has_room = self.parked.has_room(&self.settings, shard, command.0.len());
        if !has_room || self.parked.is_over(shard, id) {
            return false;
        }
        let due = ctx.now.saturating_add(self.settings.park_retry);
        self.parked.keep(submission, since, due);
        self.write(ctx, Record::Parked { submission: Box::new(submission.clone()), since }, out);
        true
    }

    fn is_parked(&mut self, gather: Gather, out: &mut impl Sink<Action>) {
        let Gather { client, submission, copies, .. } = gather;
        let Submission { shard, id, .. } = submission;
        self.parked.has_copies(&shard, &id, copies);
        let observation = HostObservation::Parked { copies: u64::from(copies), kept: self.parked.len() as u64 };
        out.push(Action::Observe(ShardsObservation::Host(observation)));
        out.push(Action::Reply { id: client, reply: Reply::Parked { id, copies }, not_after: None });
    }

    /// A member that was asked answers.
    pub(super) fn keeper_says(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        from: NodeId,
        number: u64,
        keeping: Keeping,
        out: &mut impl Sink<Action>,
    ) {
        let Some(gather) = self.gathers.under_way.get_mut(&number) else { return };
        if !gather.asked.remove(&from) {
            return;
        }
        let is_first = gather.since.is_none();
        match keeping {
            Keeping::Taken(answer) => {
                let Some(Gather { client, submission, .. }) = self.gathers.remove(number) else { return };
                self.parked.end(submission.shard, submission.id);
                let reply = answer.map_or(Reply::Taken, Reply::Done);
                return out.push(Action::Reply { id: client, reply, not_after: None });
            }
            Keeping::Since(since) if is_first => {
                let Some(gather) = self.gathers.remove(number) else { return };
                return self.keep_here(ctx, sees, gather, since, out);
            }
            Keeping::Kept if !is_first => gather.copies = gather.copies.saturating_add(1),
            Keeping::Kept | Keeping::Since(_) | Keeping::Refused => {}
        }
        if gather.asked.is_empty() {
            self.gathered(ctx, sees, number, out);
        }
    }

    /// Who was asked has answered, or was waited for long enough.
    fn gathered(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, number: u64, out: &mut impl Sink<Action>) {
        let Some(gather) = self.gathers.remove(number) else { return };
        match gather.since {
            Some(_) => self.is_parked(gather, out),
            None => {
                let since = self.own_since(&gather.submission);
                self.keep_here(ctx, sees, gather, since, out);
            }
        }
    }

    pub(super) fn wake_gathers(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        for _ in 0..GATHERED_AT_ONCE {
            let due = self.gathers.due.first().copied().filter(|(at, _)| *at <= ctx.now);
            let Some((_, number)) = due else { return };
            self.gathered(ctx, sees, number, out);
        }
    }

    /// Another node asks this one to keep something, or since when that may take effect (rule K7).
    pub(super) fn asked_to_keep(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        (from, number): (NodeId, u64),
        submission: Submission,
        since: Option<u64>,
        out: &mut impl Sink<Action>,
    ) {
        if self.life.is_none() {
            return;
        }
        let (shard, id) = (submission.shard, submission.id);
        self.learn_first(ctx, sees, shard, out);
        let is_member = self.is_member(sees, &shard);
        let state = self.own_state(&shard).filter(|_| is_member && submission.command.0.len() <= ONCE_BYTES_MAX);
        let known = state.map(|state| (state.known(&id, since.unwrap_or(u64::MAX)), state.count()));
        let keeping = match (known, since) {
            (None, _) => {
                let observation = HostObservation::Strange { from, reason: "asks who may not keep" };
                out.push(Action::Observe(ShardsObservation::Host(observation)));
                Keeping::Refused
            }
            (Some((Known::Taken(answer), _)), _) => Keeping::Taken(answer),
            (Some((_, count)), None) => Keeping::Since(count),
            (Some(_), Some(since)) if self.keep(ctx, &submission, since, out) => Keeping::Kept,
            (Some(_), Some(_)) => Keeping::Refused,
        };
        let message = Message::Keeping { number, keeping };
        out.push(Action::Send { to: from, message, not_after: None });
    }
}
