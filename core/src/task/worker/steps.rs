//! A step, from its claim to its report, as the worker goes on with it.

use super::jobs::{Phase, Stage, cut};
use super::machine::{Action, Asking, Sees, Worker};
use super::view::{Killed, Order, RunEnd, RunKey};
use crate::codec::decode_value;
use crate::epoch::FenceToken;
use crate::machine::Sink;
use crate::shards::ShardId;
use crate::shards::host;
use crate::task::answer::{Answer, Refusal};
use crate::task::command::{Command, Outcome};
use crate::task::id::StepKey;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

impl Worker {
    /// The next thing to ask for a step, or to have done.
    pub(super) fn go_on(&mut self, key: RunKey, out: &mut impl Sink<Action>) {
        let Some(doing) = self.jobs.get_mut(&key).filter(|doing| !doing.is_asking) else { return };
        doing.again_at = None;
        let Some(stage) = doing.phase.stage() else { return };
        let request = match &doing.phase {
            Phase::Fetching(inputs) => inputs.request(key.shard, &doing.job),
            Phase::Storing(upload, _) => Some(upload.request(key.shard)),
            Phase::Reporting(outcome) => {
                let command = Command::Report { step: key.step, fence: key.fence, outcome: outcome.clone() };
                doing.is_asking = true;
                return self.submit(Asking::Job(key, stage), key.shard, &command, out);
            }
            Phase::Running => None,
        };
        match request {
            Some(request) => {
                doing.is_asking = true;
                self.ask(Asking::Job(key, stage), request, out);
            }
            None => self.run(key, out),
        }
    }

    /// All of the input is there.
    fn run(&mut self, key: RunKey, out: &mut impl Sink<Action>) {
        let Some(doing) = self.jobs.get_mut(&key) else { return };
        let Phase::Fetching(inputs) = &doing.phase else { return };
        match inputs.make(&doing.job) {
            Ok(input) => {
                let run = doing.run(key.shard, input);
                doing.phase = Phase::Running;
                self.order(Order::Run(Box::new(run)), out);
            }
            // It is made of what is committed: another attempt would come to the same.
            Err(words) => {
                doing.failed(&cut(words));
                self.go_on(key, out);
            }
        }
    }

    pub(super) fn job_answered(
        &mut self,
        now: Time,
        (key, stage): (RunKey, Stage),
        reply: &host::Reply,
        out: &mut impl Sink<Action>,
    ) {
        let retry = now.saturating_add(self.settings.retry);
        let Some(doing) = self.jobs.get_mut(&key) else { return };
        doing.is_asking = false;
        // It was given up meanwhile: there is something else to say.
        if doing.phase.stage() != Some(stage) {
            return self.go_on(key, out);
        }
        if is_to_be_asked_again(reply) {
            doing.again_at = Some(retry);
            return;
        }
        match &mut doing.phase {
            Phase::Fetching(inputs) => {
                if let Err(words) = inputs.take(reply) {
                    doing.ended(RunEnd::Failed { is_worth_retrying: true, words: cut(words) });
                }
            }
            Phase::Storing(upload, counts) => match reply {
                host::Reply::Wants { object } => upload.wants(*object),
                host::Reply::Held => {
                    let (output, counts) = (upload.payload(), core::mem::take(counts));
                    doing.phase = Phase::Reporting(Outcome::Succeeded { output, counts });
                }
                _ => {
                    upload.begin_again();
                    doing.again_at = Some(retry);
                    return;
                }
            },
            Phase::Reporting(_) => return self.reported(retry, key, reply),
            Phase::Running => return,
        }
        self.go_on(key, out);
    }

    /// What was reported is committed, or counts no more.
    fn reported(&mut self, retry: Time, key: RunKey, reply: &host::Reply) {
        let answer = match reply {
            host::Reply::Done(bytes) => decode_value::<Answer>(&bytes.0).ok(),
            _ => None,
        };
        let Some(doing) = self.jobs.get_mut(&key) else { return };
        doing.again_at = Some(retry);
        match answer {
            Some(Answer::Reported | Answer::Refused(Refusal::Stale { .. } | Refusal::NoStep)) => self.forget(key),
            // The blob was dropped meanwhile, as nothing referred to it.
            Some(Answer::Refused(Refusal::NoBlob)) => doing.ended(RunEnd::Failed {
                is_worth_retrying: true,
                words: "the output was lost before it was committed".into(),
            }),
            Some(Answer::Refused(why)) => doing.failed(&cut(why.to_string().into())),
            Some(_) | None => {}
        }
    }

    /// The runner says how a run ended.
    pub(super) fn ended(&mut self, key: RunKey, end: RunEnd, out: &mut impl Sink<Action>) {
        let Some(doing) = self.jobs.get_mut(&key).filter(|doing| matches!(doing.phase, Phase::Running)) else { return };
        doing.ended(end);
        self.go_on(key, out);
    }

    /// Nothing more is to be done for a step that runs, or is about to: the agent is killed.
    pub(super) fn give_up(&mut self, key: RunKey, why: Killed, out: &mut impl Sink<Action>) {
        let Some(doing) = self.jobs.get_mut(&key).filter(|doing| doing.phase.needs_claim()) else { return };
        match doing.phase {
            // What is being killed by a cancel has its grace no more once the claim is over.
            Phase::Running if doing.killed < Some(why) => {
                doing.killed = Some(why);
                self.order(Order::Kill { run: key, why }, out);
            }
            Phase::Running => {}
            _ => {
                doing.given_up(why);
                self.go_on(key, out);
            }
        }
    }

    /// What counts for limits ends with the node's session: the end of that ends its claims at once, and gives its permits to
    /// others (rule T10).
    pub(super) fn end_what_is_limited(&mut self, now: Time, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        let kill = self.settings.kill;
        let over = self.jobs.iter().filter(|(_, doing)| doing.may_run_limited() && doing.outlives(now, sees, kill));
        for key in over.map(|(key, _)| *key).collect::<Vec<RunKey>>() {
            self.give_up(key, Killed::ClaimOver, out);
        }
    }

    /// Claims whose time is over (rule T4c).
    pub(super) fn end_what_is_over(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let is_over = |until: Option<Time>| until.is_some_and(|until| until <= now);
        let over: Vec<ShardId> =
            self.posts.iter().filter(|(_, post)| is_over(post.until)).map(|(shard, _)| *shard).collect();
        for shard in over {
            self.end_claims(shard, now, out);
        }
    }

    /// The claims with a shard that were asked for before then are over: what runs is killed. What has ended is still told:
    /// its fence says whether it counts.
    pub(super) fn end_claims(&mut self, shard: ShardId, before: Time, out: &mut impl Sink<Action>) {
        let first = RunKey { shard, step: StepKey { task: Default::default(), row: 0 }, fence: FenceToken::LEAST };
        let of_shard = self.jobs.range(first..).take_while(|(key, _)| key.shard == shard);
        let (lost, live): (Vec<_>, Vec<_>) = of_shard
            .filter(|(_, doing)| doing.phase.needs_claim())
            .map(|(key, doing)| (*key, doing.since))
            .partition(|(_, since)| *since <= before);
        for (key, _) in lost {
            self.give_up(key, Killed::ClaimOver, out);
        }
        if let Some(post) = self.posts.get_mut(&shard).filter(|_| live.is_empty()) {
            post.until = None;
        }
    }

    pub(super) fn forget(&mut self, key: RunKey) {
        if self.jobs.remove(&key).is_none() {
            return;
        }
        if let Some(post) = self.posts.get_mut(&key.shard) {
            post.jobs -= 1;
            if post.jobs == 0 {
                post.until = None;
            }
        }
    }
}

/// It was not taken, or nobody knows: asked again it does no harm.
fn is_to_be_asked_again(reply: &host::Reply) -> bool {
    use host::Refusal::{Busy, NoGroup, NoOwner, NotStarted};
    match reply {
        host::Reply::Unknown => true,
        host::Reply::Refused(why) => matches!(why, Busy | NoOwner { .. } | NotStarted | NoGroup),
        _ => false,
    }
}
