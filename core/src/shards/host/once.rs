//! Submissions with a key: since when they may take effect, and what an owner says of them (rules K4 to K4c).
//!
//! *Since* is fixed by whoever has looked the id up and not found it, before anything can take effect: by the replica of this
//! node, or by the owner, who is asked without it and says. It is not moved after that, but where everything that was
//! submitted with it was refused.

use super::asks::{Ask, By, What};
use super::machine::{Action, Host, Sees};
use super::tickets::Asker;
use super::view::{Fate, Refusal, Reply};
use super::wire::{Answer, Submission};
use crate::bytes::Blob;
use crate::identity::RequestId;
use crate::machine::{Ctx, Sink};
use crate::replication::once::{ENVELOPE_BYTES, KEY_BYTES_MAX, Known, Once, SubmissionId, once};
use crate::replication::{COMMAND_BYTES_MAX, Service};
use crate::shards::ShardId;

/// Bytes of a command that is to take effect once, at most.
pub(super) const ONCE_BYTES_MAX: usize = COMMAND_BYTES_MAX - ENVELOPE_BYTES;

/// A question that takes effect once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyed {
    pub(super) submission: Submission,
    /// How many ids the shard had taken, as far as was known, before this could first take effect.
    pub(super) since: Option<u64>,
    /// It was submitted with that, and may have taken effect, before it was where it is now.
    pub(super) is_in_doubt: bool,
}

impl<S: Service> Host<S> {
    /// The state of a shard, as far as this node's replica has come.
    pub(super) fn own_state(&self, shard: &ShardId) -> Option<&Once<S>> {
        self.slots.replica(shard).map(|replica| replica.service())
    }

    /// A client submits something that is to take effect once.
    pub(super) fn ask_once(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        client: RequestId,
        (shard, key, command): (ShardId, &[u8], Blob),
        out: &mut impl Sink<Action>,
    ) {
        let is_key = (1..=KEY_BYTES_MAX).contains(&key.len());
        let bad_key = (!is_key).then_some(Refusal::BadKey { limit: KEY_BYTES_MAX as u64 });
        if let Some(why) = bad_key.or_else(|| self.refusal(sees, &shard, command.0.len(), ONCE_BYTES_MAX)) {
            return out.push(Action::Reply { id: client, reply: Reply::Refused(why), not_after: None });
        }
        let id = SubmissionId::of(&shard.namespace, key);
        let known = self.own_state(&shard).map(|state| (state.known(&id, state.count()), state.count()));
        if let Some((Known::Taken(answer), _)) = known {
            let reply = answer.map_or(Reply::Taken, Reply::Done);
            return out.push(Action::Reply { id: client, reply, not_after: None });
        }
        // What was asked before goes on all the same.
        if sees.state.is_some_and(|state| state.is_paused(&shard)) {
            let kept = self.parked.copies(&shard, &id);
            let reply = kept.map_or(Reply::Refused(Refusal::Paused), |copies| Reply::Parked { id, copies });
            return out.push(Action::Reply { id: client, reply, not_after: None });
        }
        // A replica that has left its shard may lag without end: what it says of since when expires the sooner. Others are asked.
        let since = known.filter(|_| self.is_member(sees, &shard)).map(|(_, count)| count);
        let submission = Submission { shard, id, command };
        let keyed = Keyed { submission, since, is_in_doubt: false };
        let until = ctx.now.saturating_add(self.settings.park_after);
        self.begin_ask(ctx, sees, (By::Client(client), shard, What::Once(keyed)), until, out);
    }

    /// This node is taken for the owner. What is known to be taken, or forgotten, needs no entry: it is so for ever,
    /// whoever owns the shard. A submission without *since* never gets one.
    pub(super) fn take_once(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        asker: Asker,
        submission: Submission,
        since: Option<u64>,
        out: &mut impl Sink<Action>,
    ) {
        let Submission { shard, id, mut command } = submission;
        if command.0.len() > ONCE_BYTES_MAX {
            let answer = Answer::Refused(Refusal::TooLarge { limit: ONCE_BYTES_MAX as u64 });
            return self.tell_asker(ctx.now, sees, asker, answer, None, out);
        }
        if !self.may_take(ctx, sees, asker, (shard, command.0.len()), out) {
            return;
        }
        let Some(state) = self.own_state(&shard) else { return };
        let taken = state.count();
        let answer = match (state.known(&id, since.unwrap_or(taken)), since) {
            (Known::Taken(answer), _) => Answer::Taken(answer),
            (Known::Forgotten, _) | (Known::Nothing, None) => Answer::Expired { taken },
            (Known::Nothing, Some(since)) => {
                S::stamp(&mut command.0, ctx.wall);
                return self.submit(ctx, sees, asker, (shard, once(id, since, &command.0)), out);
            }
        };
        self.tell_asker(ctx.now, sees, asker, answer, None, out);
    }

    /// Whether the answer tells since when a client's submission may take effect, and it may be submitted so: nothing that
    /// was submitted before is in doubt.
    pub(super) fn learns_since(ask: &mut Ask, answer: &Answer) -> bool {
        match (&mut ask.what, answer) {
            (What::Once(keyed), Answer::Expired { taken }) => {
                let is_free = matches!(ask.by, By::Client(_)) && !keyed.is_in_doubt && keyed.since != Some(*taken);
                if is_free {
                    keyed.since = Some(*taken);
                }
                is_free
            }
            _ => false,
        }
    }

    /// What this node knows for certain of a key: that it was taken.
    pub(super) fn known_fate(&self, shard: &ShardId, key: &[u8]) -> Option<Fate> {
        let id = SubmissionId::of(&shard.namespace, key);
        match self.own_state(shard)?.known(&id, u64::MAX) {
            Known::Taken(answer) => Some(Fate::Taken(answer)),
            Known::Forgotten | Known::Nothing => None,
        }
    }

    /// What this node keeps under a key.
    pub(super) fn kept_fate(&self, shard: &ShardId, key: &[u8]) -> Option<Fate> {
        let id = SubmissionId::of(&shard.namespace, key);
        self.parked.copies(shard, &id).map(|copies| Fate::Parked { copies })
    }
}
