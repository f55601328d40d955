//! A worker takes what is ready (rules T2, T2a), in the order that is said in `docs/tasks.md`.

use super::graph::Follow;
use super::rows::{ClassId, Running, StepRow, StepState, TaskRow, WorkerRow};
use super::tables::Tables;
use super::{At, StepKey, TIMEOUT, WORK_MAX};
use crate::task::answer::{Answer, Job, JobInput, Refusal};
use crate::task::command::{AGENTS_MAX, CLAIM_MAX, Claim, LABELS_MAX};
use crate::task::payload::Payload;
use crate::task::view::Happened;
use crate::task::worker::sources;
use crate::task::workflow::{Priority, Step, StepIndex, Template};
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Workers that have a claim.
const WORKERS_MAX: usize = 4_096;
/// Bytes of inputs and definitions in one answer, before the last job.
const ANSWER_BYTES_MAX: usize = 128 << 10;
/// Bytes of outputs that go with one job; others are asked for.
const OUTPUTS_BYTES_MAX: usize = 32 << 10;
/// Of so many claims of a class one serves low first, and five normal first.
const ROUND: u64 = 16;

/// Who is served first in the so manieth claim of a class.
pub(super) fn order_of(served: u64) -> [Priority; 3] {
    match served % ROUND {
        15 => [Priority::Low, Priority::Normal, Priority::High],
        2 | 5 | 8 | 11 | 14 => [Priority::Normal, Priority::High, Priority::Low],
        _ => Priority::ALL,
    }
}

impl Tables {
    pub(super) fn claim(&mut self, at: At, claim: &Claim) -> Result<Answer, Refusal> {
        self.check_claim(claim)?;
        let known = self.workers.get(&claim.worker).map(|row| (row.number, row.given.clone()));
        match known {
            Some((taken, given)) if taken == claim.number => return Ok(self.claimed_before(claim, &given)),
            Some((taken, _)) if taken > claim.number => {
                return Err(Refusal::StaleClaim { offered: claim.number, taken });
            }
            _ => {}
        }
        let jobs = self.give(at, claim);
        let given = jobs.iter().map(|job| job.step).collect();
        // Also of one that found nothing: what comes later is not for a late copy of it.
        self.workers.insert(claim.worker, WorkerRow { number: claim.number, session: claim.session, given });
        Ok(Answer::Claimed(jobs))
    }

    fn check_claim(&self, claim: &Claim) -> Result<(), Refusal> {
        let too_much = |what: &str, limit: usize| Err(Refusal::TooMuch { what: what.into(), limit: limit as u64 });
        match claim {
            _ if claim.agents.len() > AGENTS_MAX => too_much("the number of agents", AGENTS_MAX),
            _ if claim.labels.len() > LABELS_MAX => too_much("the number of labels", LABELS_MAX),
            _ if claim.count > CLAIM_MAX => too_much("the number of steps", usize::from(CLAIM_MAX)),
            _ if self.workers.live().len() >= WORKERS_MAX && self.workers.get(&claim.worker).is_none() => {
                too_much("the number of workers", WORKERS_MAX)
            }
            _ => Ok(()),
        }
    }

    /// The same claim again: what it was given, as far as the worker still has it.
    fn claimed_before(&self, claim: &Claim, given: &[StepKey]) -> Answer {
        let has = |key: &&StepKey| {
            let running = self.steps.get(key).and_then(|row| row.running());
            running.is_some_and(|running| (running.worker, running.number) == (claim.worker, claim.number))
        };
        Answer::Claimed(given.iter().filter(has).filter_map(|key| self.job(*key)).collect())
    }

    fn give(&mut self, at: At, claim: &Claim) -> Vec<Job> {
        let mut classes: Vec<(u64, ClassId)> = self.matching(claim).map(|(id, row)| (row.turn, id)).collect();
        classes.sort_unstable();
        let mut classes: VecDeque<ClassId> = classes.into_iter().map(|(_, class)| class).collect();
        let (mut jobs, mut bytes, mut follow) = (Vec::new(), 0, Follow::new(at));
        let mut looks = WORK_MAX + usize::from(claim.count);
        while jobs.len() < usize::from(claim.count) && bytes < ANSWER_BYTES_MAX && looks > 0 {
            let Some(class) = classes.pop_front() else { break };
            let Some(key) = self.next_of(class) else { continue };
            looks -= 1;
            if self.is_cancelled(key.task) {
                follow.cancel(self, key);
                classes.push_front(class);
                continue;
            }
            classes.push_back(class);
            self.run(at, claim, class, key);
            if let Some(job) = self.job(key) {
                bytes += job.bytes();
                jobs.push(job);
            }
        }
        follow.all(self);
        jobs
    }

    /// Who of a class is served next.
    fn next_of(&self, class: ClassId) -> Option<StepKey> {
        let served = self.classes.get(&class)?.served;
        let first = |priority| self.ready.range((class, priority, 0)..=(class, priority, u64::MAX)).next();
        order_of(served).into_iter().find_map(first).map(|(_, key)| *key)
    }

    fn run(&mut self, at: At, claim: &Claim, class: ClassId, key: StepKey) {
        self.head.turn += 1;
        if let Some(row) = self.classes.get_mut(&class) {
            row.served += 1;
            row.turn = self.head.turn;
        }
        let running = Running { fence: at.fence, worker: claim.worker, number: claim.number };
        self.turn(key, StepState::Running(Box::new(running)));
        if let Some(row) = self.steps.get_mut(&key) {
            row.attempts = row.attempts.saturating_add(1);
            row.happened(at.wall, Happened::Claimed(claim.worker));
        }
    }

    /// What the worker has to do, of a step that runs.
    fn job(&self, key: StepKey) -> Option<Job> {
        let (task, row) = (self.tasks.get(&key.task)?, self.steps.get(&key)?);
        let running = row.running()?;
        let class = self.classes.get(&row.class)?;
        let step = task.definition(row, key.row);
        Some(Job {
            step: key,
            task: task.id,
            name: step.map(|step| step.id.clone()),
            item: row.instance.map(|(_, item)| item),
            fence: running.fence,
            attempt: row.attempts,
            agent: class.agent.clone(),
            input: self.input(key, task, step),
            timeout: self.timeout(task, row, key),
            traceparent: task.rest.as_ref().and_then(|rest| rest.traceparent.clone()),
            lists: task.lists(row, key),
            is_limited: self.permits.get(&key).is_some(),
        })
    }

    fn input(&self, key: StepKey, task: &TaskRow, step: Option<&Step>) -> JobInput {
        let Some(step) = step else { return JobInput::Given(task.input.clone()) };
        let (mut outputs, mut room) = (Vec::new(), OUTPUTS_BYTES_MAX);
        for from in sources(step) {
            let row = self.steps.get(&StepKey { row: u32::from(from.0), ..key });
            let Some(StepState::Succeeded(Some(output))) = row.map(|row| &row.state) else { continue };
            let bytes = if output.blob().is_some() { 64 } else { output.len() as usize };
            if bytes <= room {
                room -= bytes;
                outputs.push((from, output.clone()));
            }
        }
        JobInput::Made { step: Box::new(step.clone()), workflow: task.input.clone(), outputs }
    }

    fn timeout(&self, task: &TaskRow, row: &StepRow, key: StepKey) -> Duration {
        let said = match task.definition(row, key.row) {
            Some(step) => step.timeout,
            None => task.rest.as_ref().and_then(|rest| rest.timeout),
        };
        let policy = || self.policy(row.class).and_then(|policy| policy.timeout);
        said.or_else(policy).unwrap_or(TIMEOUT)
    }
}

impl Job {
    /// Bytes that it takes in an answer, about.
    fn bytes(&self) -> usize {
        let of = |payload: &Payload| if payload.blob().is_some() { 64 } else { payload.len() as usize };
        let made = match &self.input {
            JobInput::Given(input) => input.as_ref().map_or(0, of),
            JobInput::Made { step, workflow, outputs } => {
                let outputs: usize = outputs.iter().map(|(_, output)| of(output)).sum();
                step.input().map_or(0, Template::bytes) + workflow.as_ref().map_or(0, of) + outputs
            }
        };
        512 + made
    }
}

impl TaskRow {
    /// Lists in what this step gives of which other steps are to be there once for each item.
    fn lists(&self, row: &StepRow, key: StepKey) -> Vec<(StepIndex, Box<str>)> {
        // Of what instances give, the list is how many of them there are.
        let Some(flow) = self.flow.as_ref().filter(|_| row.instance.is_none()) else { return Vec::new() };
        let dependents = flow.graph.dependents(StepIndex(key.row as u16)).iter();
        let listed = dependents.filter_map(|dependent| {
            let source = flow.workflow.step(*dependent)?.each.as_ref()?;
            (u32::from(source.step.0) == key.row).then(|| (*dependent, Box::from(source.pointer.as_str())))
        });
        listed.collect()
    }
}
