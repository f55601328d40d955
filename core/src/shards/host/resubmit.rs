//! What this node keeps is submitted, like what a client asks, until an owner has told what became of it (rule K3).
//!
//! Only what an owner says ends it: that it is acknowledged, that it was taken before, or that it never will be. What another
//! keeper says does not.

use super::asks::{By, What};
use super::machine::{Action, Host, Sees};
use super::observation::{HostObservation, ShardsObservation};
use super::once::Keyed;
use super::view::{Refusal, Reply};
use super::wire::Record;
use crate::machine::{Ctx, Sink};
use crate::replication::Service;
use crate::replication::once::SubmissionId;
use crate::shards::ShardId;
use crate::time::Time;

/// Submissions that one event begins, shards that it looks at, and submissions that it forgets.
const STARTED_AT_ONCE: usize = 32;
const SHARDS_AT_ONCE: usize = 16;
const FORGOTTEN_AT_ONCE: usize = 64;

impl<S: Service> Host<S> {
    /// Writes a record of the node's own.
    pub(super) fn write(&mut self, ctx: &mut Ctx<'_>, record: Record, out: &mut impl Sink<Action>) {
        ctx.next_record = ctx.next_record.next();
        out.push(Action::Write(record));
    }

    /// Forgets what is over, and submits what is due.
    pub(super) fn wake_parked(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((shard, id)) = self.parked.next_over() else { break };
            self.write(ctx, Record::Forgotten { shard, id }, out);
            self.parked.hurry(&shard, ctx.now);
        }
        let mut room = STARTED_AT_ONCE;
        for _ in 0..SHARDS_AT_ONCE {
            let Some(shard) = self.parked.next_due(ctx.now) else { return };
            while let Some((submission, since)) = (room > 0).then(|| self.parked.start(&shard)).flatten() {
                room -= 1;
                let until = ctx.now.saturating_add(self.settings.park_after);
                let by = By::Keeper(submission.id);
                let keyed = Keyed { submission, since: Some(since), is_in_doubt: false };
                self.begin_ask(ctx, sees, (by, shard, What::Once(keyed)), until, out);
            }
            if room == 0 {
                return self.parked.hurry(&shard, ctx.now);
            }
        }
    }

    /// What became of one that was submitted again.
    pub(super) fn returned(
        &mut self,
        now: Time,
        shard: ShardId,
        id: SubmissionId,
        reply: &Reply,
        out: &mut impl Sink<Action>,
    ) {
        let is_over = match reply {
            Reply::Done(_) | Reply::Taken => true,
            Reply::Refused(Refusal::Expired | Refusal::TooLarge { .. }) => true,
            // A shard that is not known may be declared again.
            _ => false,
        };
        if is_over {
            self.parked.end(shard, id);
            let (shard, kept) = (u64::from(shard.number), self.parked.len() as u64);
            let observation = match reply {
                Reply::Refused(_) => HostObservation::Expired { shard, kept },
                _ => HostObservation::Returned { shard, kept },
            };
            out.push(Action::Observe(ShardsObservation::Host(observation)));
        }
        self.parked.stopped(now, &shard, &id, is_over, self.settings.park_retry);
    }
}
