//! An attempt is over: it was reported, or its claim has ended (rules T3, T4).

use super::graph::Follow;
use super::rows::{ClassId, StepState};
use super::tables::Tables;
use super::{At, StepKey, TaskNumber, WORK_MAX};
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::replication::blobs::References;
use crate::task::answer::{Answer, Refusal};
use crate::task::command::{Ended, Outcome, Policy, WORDS_BYTES_MAX};
use crate::task::payload::{PAYLOAD_BYTES_MAX, Payload};
use crate::task::view::{Conflict, Happened};
use crate::task::workflow::{ITEMS_MAX, Retry, StepIndex};
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Conflicts that are kept.
const CONFLICTS_MAX: u64 = 64;

impl Tables {
    pub(super) fn report(
        &mut self,
        at: At,
        (key, fence): (StepKey, FenceToken),
        outcome: Outcome,
        blobs: &mut References<'_>,
    ) -> Result<Answer, Refusal> {
        let Some(row) = self.steps.get(&key) else { return Err(Refusal::NoStep) };
        let now = row.running().map(|running| running.fence);
        if now != Some(fence) {
            // What was committed with that fence is, whatever became of the step since.
            if row.settled == Some(fence.epoch()) {
                return Ok(Answer::Reported);
            }
            self.conflicts(at, key, fence, now);
            return Err(Refusal::Stale { offered: fence, now });
        }
        outcome.check()?;
        if let Outcome::Succeeded { output, .. } = &outcome
            && let Some(blob) = output.blob()
        {
            blobs.refer(blob).map_err(|_| Refusal::NoBlob)?;
        }
        let mut follow = Follow::new(at);
        self.settle(at, key, fence, outcome, &mut follow);
        follow.all(self);
        Ok(Answer::Reported)
    }

    fn settle(&mut self, at: At, key: StepKey, fence: FenceToken, outcome: Outcome, follow: &mut Follow) {
        if let Some(row) = self.steps.get_mut(&key) {
            row.settled = Some(fence.epoch());
        }
        match outcome {
            Outcome::Succeeded { output, counts } => {
                self.count(key, &counts);
                follow.succeed(self, key, Some(output));
            }
            Outcome::Failed { is_worth_retrying, words } => {
                self.attempt_failed(at, key, (is_worth_retrying, Happened::Failed), Some(words), follow);
            }
            Outcome::Stopped | Outcome::GivenBack => self.given_back(at, key, follow),
        }
    }

    /// Items of lists in the output, for steps that are there once for each.
    fn count(&mut self, key: StepKey, counts: &[(StepIndex, u32)]) {
        let Some(flow) = self.tasks.get(&key.task).and_then(|task| task.flow.clone()) else { return };
        if self.steps.get(&key).is_none_or(|row| row.instance.is_some()) {
            return;
        }
        for (dependent, count) in counts {
            let source = flow.workflow.step(*dependent).and_then(|step| step.each.as_ref());
            let is_of_this = source.is_some_and(|source| u32::from(source.step.0) == key.row);
            if let Some(row) = self.steps.get_mut(&StepKey { row: u32::from(dependent.0), ..key })
                && is_of_this
            {
                row.counted(*count);
            }
        }
    }

    /// It was not at fault: the attempt does not count.
    fn given_back(&mut self, at: At, key: StepKey, follow: &mut Follow) {
        if self.is_cancelled(key.task) {
            return follow.cancel(self, key);
        }
        if let Some(row) = self.steps.get_mut(&key) {
            row.attempts = row.attempts.saturating_sub(1);
            row.happened(at.wall, Happened::GivenBack);
        }
        follow.go(key);
    }

    /// It is tried again, or not.
    fn attempt_failed(
        &mut self,
        at: At,
        key: StepKey,
        (is_worth_retrying, what): (bool, Happened),
        words: Option<Box<str>>,
        follow: &mut Follow,
    ) {
        if self.is_cancelled(key.task) {
            return follow.cancel(self, key);
        }
        let retry = self.retry(key);
        let Some(row) = self.steps.get_mut(&key) else { return };
        row.happened(at.wall, what);
        if words.is_some() {
            row.words = words;
        }
        if !is_worth_retrying || row.attempts >= retry.attempts_max {
            return follow.die(self, key, None);
        }
        let pause = self.pause_before_retry(key, retry);
        self.turn(key, StepState::delayed(at.wall, pause));
    }

    /// From nothing to a bound that doubles: full jitter (Brooker 2015). A hash in the place of a draw (rule T6).
    fn pause_before_retry(&self, key: StepKey, retry: Retry) -> Duration {
        let Some((task, row)) = self.tasks.get(&key.task).zip(self.steps.get(&key)) else { return Duration::ZERO };
        let doublings = u32::from(row.attempts.saturating_sub(1)).min(40);
        let bound = retry.base.saturating_mul(1 << doublings).as_nanos().min(retry.max.as_nanos());
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 pause before an attempt");
        hasher.update(task.id.as_bytes()).update(&task.generation.to_le_bytes());
        hasher.update(&key.row.to_le_bytes()).update(&row.attempts.to_le_bytes());
        let mut draw = [0; 8];
        draw.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Duration::from_nanos(u64::from_le_bytes(draw) % bound.saturating_add(1))
    }

    fn retry(&self, key: StepKey) -> Retry {
        let Some((task, row)) = self.tasks.get(&key.task).zip(self.steps.get(&key)) else { return Retry::default() };
        let said = match task.definition(row, key.row) {
            Some(step) => step.retry,
            None => task.rest.as_ref().and_then(|rest| rest.retry),
        };
        said.or_else(|| self.policy(row.class).and_then(|policy| policy.retry)).unwrap_or_default()
    }

    pub(super) fn policy(&self, class: ClassId) -> Option<&Policy> {
        let agent = &self.classes.get(&class)?.agent;
        self.agents.get(agent)?.policy.as_ref()
    }

    pub(super) fn is_cancelled(&self, task: TaskNumber) -> bool {
        self.tasks.get(&task).is_none_or(|task| task.cancel().is_some())
    }

    /// The owner ends a worker's claims (rule T4). What ended is not among what runs any more, so that the next piece begins where
    /// this one has ended.
    pub(super) fn end_claims(&mut self, at: At, worker: Incarnation, upto: u64, why: Ended) -> Answer {
        let mut ended: Vec<StepKey> = self.running_of(worker, upto).take(WORK_MAX + 1).collect();
        let has_more = ended.len() > WORK_MAX;
        ended.truncate(WORK_MAX);
        let mut follow = Follow::new(at);
        for key in ended {
            let words = match why {
                Ended::Silent => "the worker was silent for the time to live of its claim",
                Ended::Gone => "the session of the worker's node ended",
            };
            self.attempt_failed(at, key, (true, Happened::ClaimEnded(why)), Some(words.into()), &mut follow);
        }
        follow.all(self);
        let is_done = !has_more && self.running_of(worker, u64::MAX).next().is_none();
        if is_done && self.workers.get(&worker).is_some_and(|row| row.number <= upto) {
            self.workers.remove(&worker);
        }
        Answer::Done { has_more }
    }

    fn conflicts(&mut self, at: At, step: StepKey, offered: FenceToken, expected: Option<FenceToken>) {
        self.head.conflict += 1;
        self.conflicts.insert(self.head.conflict, Conflict { at: at.wall, step, offered, expected });
        self.conflicts.remove(&self.head.conflict.saturating_sub(CONFLICTS_MAX));
    }
}

impl Outcome {
    fn check(&self) -> Result<(), Refusal> {
        let too_much = |what: &str, limit: u64| Err(Refusal::TooMuch { what: what.into(), limit });
        match self {
            Self::Succeeded { output, .. } if !output.is_sound() => too_much("the output", PAYLOAD_BYTES_MAX),
            Self::Succeeded { counts, .. } if counts.iter().any(|(_, count)| *count > ITEMS_MAX) => {
                too_much("a list", u64::from(ITEMS_MAX))
            }
            Self::Failed { words, .. } if words.len() > WORDS_BYTES_MAX => {
                too_much("the text of a failure", WORDS_BYTES_MAX as u64)
            }
            _ => Ok(()),
        }
    }
}

impl Payload {
    /// A short text.
    pub(super) fn text(text: &str) -> Self {
        Self::inline(text.as_bytes())
    }
}
