//! A task comes to be (rule T1).

use super::graph::Follow;
use super::rows::{ClassId, Flow, Labels, Rest, StepRow, StepState, TaskRow};
use super::tables::Tables;
use super::{At, CLASSES_MAX, StepKey, TASKS_MAX};
use crate::replication::blobs::References;
use crate::task::answer::{Answer, Refusal};
use crate::task::command::{LABELS_MAX, Submit, WORDS_BYTES_MAX, What};
use crate::task::payload::Payload;
use crate::task::workflow::{self, Does, LABEL_BYTES_MAX, Priority, Retry, Step};
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes of a trace context.
const TRACEPARENT_BYTES_MAX: usize = 128;

impl Tables {
    pub(super) fn submit(&mut self, at: At, submit: Submit, blobs: &mut References<'_>) -> Result<Answer, Refusal> {
        if let Ok(number) = self.number(&submit.id) {
            return Ok(Answer::Submitted { is_known: true, status: self.status(number) });
        }
        check(&submit)?;
        if let Some((task, number)) = submit.unique.as_ref().and_then(|key| self.open_with(key)) {
            return Ok(Answer::Unique { task, status: self.status(number) });
        }
        if !self.has_room() {
            return Err(Refusal::Full { limit: TASKS_MAX as u64 });
        }
        if self.classes.live().len() + self.new_classes(&submit.what) > CLASSES_MAX {
            return Err(Refusal::Classes { limit: CLASSES_MAX as u64 });
        }
        if let Some(blob) = submit.input.as_ref().and_then(Payload::blob) {
            blobs.refer(blob).map_err(|_| Refusal::NoBlob)?;
        }
        let not_before = submit.not_before.filter(|time| *time > at.wall);
        // Of a workflow, the steps that wait for no other are what waits.
        let mut follow = Follow::new(at);
        for key in self.add(at, submit) {
            match not_before {
                Some(time) => {
                    let due = time.saturating_add(self.delay(key));
                    self.turn(key, StepState::Delayed { due, since: None });
                }
                None => follow.begin(key),
            }
        }
        follow.all(self);
        Ok(Answer::Submitted { is_known: false, status: self.status(at.number) })
    }

    /// Classes that there are not yet.
    fn new_classes(&self, what: &What) -> usize {
        match what {
            What::Agent { agent, needs, .. } => {
                let mut needs = needs.clone();
                needs.sort_unstable();
                usize::from(!self.has_class(agent, &needs))
            }
            What::Workflow(workflow) => {
                let classes = workflow.steps.iter().filter_map(|step| Some((step.agent()?, labels_of(step))));
                let new: BTreeSet<_> = classes.filter(|(agent, needs)| !self.has_class(agent, needs)).collect();
                new.len()
            }
        }
    }

    /// The steps that wait for no other.
    fn add(&mut self, at: At, submit: Submit) -> Vec<StepKey> {
        let (mut row, what) = task_row(at, submit);
        let keys = |row| StepKey { task: at.number, row };
        let (priority, mut begins) = (row.priority, Vec::new());
        match what {
            What::Agent { agent, mut needs, .. } => {
                needs.sort_unstable();
                let class = self.join_class(&agent, needs);
                self.add_task(at.number, row);
                self.add_step(keys(0), StepRow::new(StepState::Waiting { left: 0 }, class, priority));
                begins.push(keys(0));
            }
            What::Workflow(workflow) => {
                let flow = Arc::new(Flow::from(workflow));
                row.flow = Some(flow.clone());
                self.add_task(at.number, row);
                for (number, step) in flow.workflow.steps.iter().enumerate() {
                    let key = keys(number as u32);
                    let row = self.step_row(step, priority);
                    self.add_step(key, row);
                    begins.extend(step.depends_on.is_empty().then_some(key));
                }
            }
        }
        begins
    }

    fn step_row(&mut self, step: &Step, priority: Priority) -> StepRow {
        let class = match &step.does {
            Does::Agent { agent, .. } => self.join_class(agent, labels_of(step)),
            Does::Approval { .. } => ClassId::NONE,
        };
        let left = step.depends_on.len() as u16;
        StepRow::new(StepState::Waiting { left }, class, step.priority.unwrap_or(priority))
    }
}

/// The labels that a step asks for, in order.
fn labels_of(step: &Step) -> Labels {
    step.labels.iter().map(|(name, text)| (name.clone(), Box::from(text.as_str()))).collect()
}

fn task_row(at: At, submit: Submit) -> (TaskRow, What) {
    let Submit { id, what, input, priority, labels, principal, traceparent, retention, unique, .. } = submit;
    let mut rest = Rest { labels, principal, traceparent, retention, unique, ..Rest::default() };
    if let What::Agent { timeout, retry, concurrency_key, .. } = &what {
        (rest.timeout, rest.retry, rest.concurrency_key) = (*timeout, *retry, concurrency_key.clone());
    }
    let rows = match &what {
        What::Agent { .. } => 1,
        What::Workflow(workflow) => workflow.steps.len() as u32,
    };
    let rest = (rest != Rest::default()).then(|| Box::new(rest));
    let row = TaskRow {
        id,
        priority,
        created: at.wall,
        ended: None,
        generation: 0,
        rows,
        left: rows,
        active: 0,
        flow: None,
        input,
        rest,
    };
    (row, what)
}

/// How long an attempt may take, and how often there is one: bounded as those of a workflow's steps.
pub(super) fn check_attempts(timeout: Option<Duration>, retry: Option<Retry>) -> Result<(), Refusal> {
    workflow::check_attempts(timeout, retry).map_err(|problem| Refusal::Attempts(problem.to_string().into()))
}

/// Bounds of what comes from outside.
pub(super) fn check(submit: &Submit) -> Result<(), Refusal> {
    let bound = |what: &str, length: usize, limit: usize| match length <= limit {
        true => Ok(()),
        false => Err(Refusal::TooMuch { what: what.into(), limit: limit as u64 }),
    };
    let labels = |labels: &Labels| {
        let longest = labels.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
        bound("the number of labels", labels.len(), LABELS_MAX)?;
        bound("the text of a label", longest, LABEL_BYTES_MAX)
    };
    let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    if !submit.input.as_ref().is_none_or(Payload::is_sound) {
        return Err(Refusal::TooMuch { what: "the input".into(), limit: crate::task::payload::PAYLOAD_BYTES_MAX });
    }
    labels(&submit.labels)?;
    bound("the principal", length(&submit.principal), WORDS_BYTES_MAX)?;
    bound("the trace context", length(&submit.traceparent), TRACEPARENT_BYTES_MAX)?;
    match &submit.what {
        What::Agent { needs, timeout, retry, .. } => {
            labels(needs)?;
            check_attempts(*timeout, *retry)
        }
        What::Workflow(workflow) => workflow.check().map_err(|error| Refusal::Workflow(error.to_string().into())),
    }
}
