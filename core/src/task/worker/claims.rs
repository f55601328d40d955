//! What is claimed of shards, and what is given (rules T2, T2a, T4c).

use super::jobs::Doing;
use super::machine::{Action, Asking, Sees, Worker};
use super::posts::Asked;
use super::view::Killed;
use crate::codec::decode_value;
use crate::machine::Sink;
use crate::shards::ShardId;
use crate::shards::host;
use crate::task::answer::{Answer, Job, Refusal};
use crate::task::command::{Claim, Command};
use crate::task::wire::Offer;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// From here on an answer to a claim may have been cut short, so that the shard has more.
const LONG_ANSWER_BYTES: usize = 16 << 10;

impl Worker {
    /// Asks for more, of shards that may have something.
    pub(super) fn claim(&mut self, now: Time, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        while let (Some(worker), Some(shard)) = (self.life, self.posts.next(now)) {
            let free = self.free(now, sees);
            let Some(offer) = self.runner.as_ref().map(|runner| runner.offer.clone()) else { return };
            let post = self.posts.at(shard);
            let asked = match post.asked {
                // Under the same number: it is answered what it was given (rule T2a).
                Some(asked) => Asked { again_at: None, ..asked },
                None if free == 0 => return,
                None => {
                    Asked { number: post.number + 1, count: free, since: now, session: sees.session, again_at: None }
                }
            };
            post.asked = Some(asked);
            let Offer { agents, labels } = offer;
            let Asked { number, session, count, .. } = asked;
            let claim = Claim { worker, session, number, agents, labels, count };
            self.submit(Asking::Claim(shard), shard, &Command::Claim(Box::new(claim)), out);
        }
    }

    pub(super) fn claim_answered(
        &mut self,
        now: Time,
        sees: Sees<'_>,
        shard: ShardId,
        reply: &host::Reply,
        out: &mut impl Sink<Action>,
    ) {
        let retry = now.saturating_add(self.settings.retry);
        let Some(post) = self.posts.get_mut(&shard) else { return };
        let Some(asked) = post.asked else { return };
        let (answer, answer_bytes) = match reply {
            host::Reply::Done(bytes) => (decode_value::<Answer>(&bytes.0).ok(), bytes.0.len()),
            _ => (None, 0),
        };
        match answer {
            Some(Answer::Claimed(jobs)) => {
                // A long answer may have been cut short.
                let has_more = jobs.len() >= usize::from(asked.count) || answer_bytes >= LONG_ANSWER_BYTES;
                (post.number, post.asked, post.may_have) = (asked.number, None, has_more);
                self.take_jobs(now, sees, (shard, asked), jobs, out);
            }
            Some(Answer::Refused(Refusal::StaleClaim { taken, .. })) => (post.number, post.asked) = (taken, None),
            Some(_) => (post.asked, post.may_have) = (None, false),
            None => post.asked = Some(Asked { again_at: Some(retry), ..asked }),
        }
        if self.posts.at(shard).asked.is_none() && !self.posts.at(shard).may_have {
            // There was no more: to be told when there is.
            self.beat_at = Some(now);
        }
    }

    fn take_jobs(
        &mut self,
        now: Time,
        sees: Sees<'_>,
        (shard, asked): (ShardId, Asked),
        jobs: Vec<Job>,
        out: &mut impl Sink<Action>,
    ) {
        if jobs.is_empty() {
            return;
        }
        let until = asked.since.saturating_add(self.life());
        let post = self.posts.at(shard);
        post.until = post.until.max(Some(until));
        let is_over = post.until.is_some_and(|until| until <= now);
        for job in jobs {
            let mut doing = Doing::new(job, asked.since, asked.session);
            // The answer was long under way: the claim is over, or what counts for limits is, with the session it was asked in.
            if is_over || doing.outlives(now, sees, self.settings.kill) {
                doing.given_up(Killed::ClaimOver);
            }
            let key = doing.key(shard);
            if self.jobs.insert(key, doing).is_none() {
                self.posts.at(shard).jobs += 1;
            }
            self.go_on(key, out);
        }
    }
}
