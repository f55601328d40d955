//! A step, from its claim to its report.

use super::inputs::Inputs;
use super::machine::Sees;
use super::view::{Killed, Run, RunEnd, RunKey};
use crate::bytes::Blob;
use crate::control::state::SessionId;
use crate::shards::ShardId;
use crate::task::answer::Job;
use crate::task::command::{Outcome, WORDS_BYTES_MAX};
use crate::task::payload::Payload;
use crate::task::transfer::Upload;
use crate::task::wire::Progress;
use crate::task::workflow::{Output, Pointer, StepIndex, count_items};
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What is done with a step.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Its input is brought.
    Fetching(Inputs),
    /// An agent runs.
    Running,
    /// Its output is put where all copies of the shard have it.
    Storing(Upload, Vec<(StepIndex, u32)>),
    /// The shard is told what became of it, until it has said that it knows: a step that this worker does not have, and the
    /// shard thinks it has, would be nobody's for as long as the worker lives.
    Reporting(Outcome),
}

/// What is asked of a shard for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Fetch,
    Store,
    Report,
}

impl Phase {
    pub(super) const fn stage(&self) -> Option<Stage> {
        match self {
            Self::Fetching(_) => Some(Stage::Fetch),
            Self::Running => None,
            Self::Storing(..) => Some(Stage::Store),
            Self::Reporting(_) => Some(Stage::Report),
        }
    }

    /// It rests on the claim: without it, nothing more is done.
    pub(super) const fn needs_claim(&self) -> bool {
        matches!(self, Self::Fetching(_) | Self::Running)
    }
}

/// A step that this worker has.
#[derive(Clone, Debug)]
pub(super) struct Doing {
    pub(super) job: Job,
    /// When its claim was asked for.
    pub(super) since: Time,
    /// In which session.
    pub(super) session: Option<SessionId>,
    pub(super) phase: Phase,
    /// Its agent is being killed, and why.
    pub(super) killed: Option<Killed>,
    /// Something of it is asked, and not answered.
    pub(super) is_asking: bool,
    /// What was refused, or not answered, is asked again then.
    pub(super) again_at: Option<Time>,
    /// How far it says it is, and whether that was told.
    pub(super) progress: Option<(Progress, bool)>,
}

impl Doing {
    pub(super) fn new(job: Job, since: Time, session: Option<SessionId>) -> Self {
        let phase = Phase::Fetching(Inputs::of(&job));
        Self { job, since, session, phase, killed: None, is_asking: false, again_at: None, progress: None }
    }

    /// An agent of it may run, or begin to, and counts for limits.
    pub(super) const fn may_run_limited(&self) -> bool {
        self.job.is_limited && self.phase.needs_claim() && self.killed.is_none()
    }

    /// It counts for limits, and the session that it was claimed in is over, or nearly.
    pub(super) fn outlives(&self, now: Time, sees: Sees<'_>, kill: Duration) -> bool {
        let is_in_view = sees.view.is_some_and(|view| view > now.saturating_add(kill));
        self.job.is_limited && !(is_in_view && sees.session == self.session)
    }

    pub(super) fn key(&self, shard: ShardId) -> RunKey {
        RunKey { shard, step: self.job.step, fence: self.job.fence }
    }

    pub(super) fn run(&self, shard: ShardId, input: Vec<u8>) -> Run {
        let job = &self.job;
        Run {
            key: self.key(shard),
            task: job.task,
            name: job.name.clone(),
            item: job.item,
            attempt: job.attempt,
            agent: job.agent.clone(),
            input: Blob(input.into()),
            timeout: job.timeout,
            traceparent: job.traceparent.clone(),
        }
    }

    /// The run has ended: what is to be said of it, or put first.
    pub(super) fn ended(&mut self, end: RunEnd) {
        self.phase = match end {
            RunEnd::Succeeded { output } => {
                let counts = self.counts(&output.0);
                match Upload::of(&output.0) {
                    Some(upload) => Phase::Storing(upload, counts),
                    None => {
                        let output = Payload::inline(&output.0);
                        Phase::Reporting(Outcome::Succeeded { output, counts })
                    }
                }
            }
            RunEnd::Failed { is_worth_retrying, words } => {
                Phase::Reporting(Outcome::Failed { is_worth_retrying, words: cut(words) })
            }
            RunEnd::Killed => Phase::Reporting(self.outcome_of_kill()),
            RunEnd::NotRun => Phase::Reporting(Outcome::GivenBack),
        };
    }

    fn outcome_of_kill(&self) -> Outcome {
        match self.killed {
            Some(Killed::Cancelled) => Outcome::Stopped,
            Some(Killed::ClaimOver) | None => {
                let words = "its claim was over before it had ended, and it was killed".into();
                Outcome::Failed { is_worth_retrying: true, words }
            }
        }
    }

    /// It did not come to be run.
    pub(super) fn given_up(&mut self, why: Killed) {
        self.killed = Some(why);
        self.phase = Phase::Reporting(match why {
            Killed::Cancelled => Outcome::Stopped,
            Killed::ClaimOver => Outcome::GivenBack,
        });
    }

    /// What it gave cannot be committed.
    pub(super) fn failed(&mut self, words: &str) {
        self.phase = Phase::Reporting(Outcome::Failed { is_worth_retrying: false, words: words.into() });
    }

    /// Items of the lists in the output of which another step is to be there once for each. One that is no list has none:
    /// that step says so.
    fn counts(&self, output: &[u8]) -> Vec<(StepIndex, u32)> {
        if self.job.lists.is_empty() {
            return Vec::new();
        }
        let output = Output::of(output);
        let count = |(step, pointer): &(StepIndex, Box<str>)| {
            let pointer = Pointer::new(pointer).ok()?;
            Some((*step, count_items(&output, &pointer).ok()?))
        };
        self.job.lists.iter().filter_map(count).collect()
    }
}

/// As much of a text as may be said.
pub(super) fn cut(words: Box<str>) -> Box<str> {
    match words.len() <= WORDS_BYTES_MAX {
        true => words,
        false => words[..words.floor_char_boundary(WORDS_BYTES_MAX)].into(),
    }
}
