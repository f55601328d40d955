//! What is told of tasks.

use super::StepKey;
use super::TaskNumber;
use super::rows::{StepRow, StepState, TaskRow};
use super::tables::Tables;
use crate::replication::LogSequence;
use crate::replication::once::SubmissionId;
use crate::task::answer::{Answer, Query, ROWS_SHOWN_MAX, Refusal, Status};
use crate::task::payload::Payload;
use crate::task::view::{Counts, StepStatus, StepView, TaskView};
use crate::task::workflow::{Name, StepIndex};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Steps in front of one that are counted.
const AHEAD_MAX: usize = 1_000;
/// Tasks that one question looks at.
const LOOKED_AT_MAX: usize = 4_096;
/// Bytes of outputs in one answer.
const OUTPUTS_BYTES_MAX: usize = 128 << 10;
/// Bytes of outputs and texts of steps in one answer.
const STEPS_BYTES_MAX: usize = 64 << 10;

impl Tables {
    pub(super) fn answer(&self, query: Query) -> Result<Answer, Refusal> {
        match query {
            Query::Task { task, from } => self.task(&task, from),
            Query::Tasks { status, before } => Ok(self.list(status, before)),
            Query::Outputs { task, step, from } => self.outputs(&task, step, from),
            Query::Counts => Ok(Answer::Counts(self.counts())),
            Query::Limit(limit) => Ok(Answer::Limit(self.limit_view(&limit))),
            Query::Agents { after } => Ok(self.agents_behind(after.as_ref())),
            Query::Workers { after } => Ok(self.workers_behind(after)),
            Query::Schedules { after } => Ok(self.show_schedules(after.as_ref())),
            Query::Conflicts => Ok(Answer::Conflicts(self.conflicts.live().values().rev().cloned().collect())),
        }
    }

    fn task(&self, id: &SubmissionId, from: u32) -> Result<Answer, Refusal> {
        let number = self.number(id)?;
        let task = self.tasks.get(&number).ok_or(Refusal::NoTask)?;
        let mut view = self.view(number, task);
        let (mut bytes, first) = (0, StepKey { task: number, row: from });
        let rows = self.steps.live().range(first..).take_while(|(key, _)| key.task == number);
        for (key, row) in rows.take(ROWS_SHOWN_MAX) {
            bytes += bytes_of(row);
            if bytes > STEPS_BYTES_MAX && !view.steps.is_empty() {
                break;
            }
            view.steps.push(self.step(*key, task, row));
        }
        Ok(Answer::Task(Box::new(view)))
    }

    /// The newest first.
    fn list(&self, status: Option<Status>, before: Option<u64>) -> Answer {
        let end = TaskNumber(LogSequence(before.unwrap_or(u64::MAX)));
        let mut tasks: Vec<TaskView> = Vec::new();
        let mut next = None;
        for (looked, (number, task)) in self.tasks.live().range(..end).rev().enumerate() {
            if looked == LOOKED_AT_MAX || tasks.len() == ROWS_SHOWN_MAX {
                next = Some(number.0.0 + 1);
                break;
            }
            if status.is_none_or(|status| task.status() == status) {
                tasks.push(self.view(*number, task));
            }
        }
        Answer::Tasks { tasks, next }
    }

    fn view(&self, number: TaskNumber, task: &TaskRow) -> TaskView {
        let flow = task.flow.as_ref();
        let agent = || {
            let row = self.steps.get(&StepKey { task: number, row: 0 })?;
            self.classes.get(&row.class).map(|class| class.agent.clone())
        };
        let rest = task.rest.as_deref();
        TaskView {
            id: task.id,
            number: number.0.0,
            name: flow.map_or_else(agent, |flow| flow.workflow.name.clone()),
            status: task.status(),
            priority: task.priority,
            created: task.created,
            ended: task.ended.map(|ending| ending.at),
            generation: task.generation,
            cancel: rest.and_then(|rest| rest.cancel.clone()),
            labels: rest.map(|rest| rest.labels.clone()).unwrap_or_default(),
            principal: rest.and_then(|rest| rest.principal.clone()),
            rows: task.rows,
            steps: Vec::new(),
        }
    }

    fn step(&self, key: StepKey, task: &TaskRow, row: &StepRow) -> StepView {
        StepView {
            row: key.row,
            name: task.definition(row, key.row).map(|step| step.id.clone()),
            item: row.instance.map(|(_, item)| item),
            agent: self.classes.get(&row.class).map(|class| class.agent.clone()),
            state: self.state(key, task, row),
            waits_for: self.missing(key, task, row),
            attempts: row.attempts,
            words: row.words.clone(),
            history: row.history.clone(),
        }
    }

    /// The first of the steps that a step waits for.
    fn missing(&self, key: StepKey, task: &TaskRow, row: &StepRow) -> Option<Name> {
        let StepState::Waiting { left: 1.. } = row.state else { return None };
        let step = task.definition(row, key.row)?;
        let is_missing = |on: &&StepIndex| {
            let row = self.steps.get(&StepKey { row: u32::from(on.0), ..key });
            row.is_none_or(|row| !matches!(row.state, StepState::Succeeded(_)))
        };
        let on = step.depends_on.iter().find(is_missing)?;
        Some(task.flow.as_ref()?.workflow.step(*on)?.id.clone())
    }

    fn state(&self, key: StepKey, task: &TaskRow, row: &StepRow) -> StepStatus {
        match &row.state {
            StepState::Waiting { .. } if task.status() == Status::Cancelled => StepStatus::Cancelled,
            StepState::Waiting { left } => StepStatus::Waiting { left: *left },
            StepState::Delayed { due, .. } => StepStatus::Delayed { due: *due },
            StepState::Asking { .. } => StepStatus::Asking,
            StepState::Ready { order } => {
                let before = (row.class, row.priority, 0)..(row.class, row.priority, *order);
                let ahead = self.ready.range(before).take(AHEAD_MAX).count() as u32;
                let agent = self.classes.get(&row.class).and_then(|class| self.agents.get(&class.agent));
                let is_paused = self.head.is_paused || agent.is_some_and(|agent| agent.is_paused);
                StepStatus::Ready { ahead, is_paused }
            }
            StepState::Running(running) => StepStatus::Running { worker: running.worker, fence: running.fence },
            StepState::Expanded => {
                let each = row.each.as_deref().copied().unwrap_or_default();
                StepStatus::Expanded { left: each.count - each.succeeded, count: each.count }
            }
            StepState::Succeeded(output) => StepStatus::Succeeded { output: output.clone() },
            StepState::Limited => StepStatus::Limited { limit: self.waits_for(key) },
            StepState::Dead => StepStatus::Dead,
            StepState::Cancelled => StepStatus::Cancelled,
        }
    }

    fn outputs(&self, id: &SubmissionId, step: StepIndex, from: u32) -> Result<Answer, Refusal> {
        let number = self.number(id)?;
        let key = StepKey { task: number, row: u32::from(step.0) };
        let row = self.steps.get(&key).ok_or(Refusal::NoStep)?;
        let rows = match row.each.as_deref() {
            Some(each) => each.first.saturating_add(from)..each.first + each.made,
            None => key.row.saturating_add(from)..key.row + 1,
        };
        let (mut outputs, mut bytes, mut has_more) = (Vec::new(), 0, false);
        for number in rows {
            let row = self.steps.get(&StepKey { row: number, ..key });
            let Some(StepState::Succeeded(Some(output))) = row.map(|row| &row.state) else { break };
            bytes += if output.blob().is_some() { 64 } else { output.len() as usize };
            has_more = bytes > OUTPUTS_BYTES_MAX && !outputs.is_empty();
            if has_more {
                break;
            }
            outputs.push(output.clone());
        }
        Ok(Answer::Outputs { is_list: row.each.is_some(), outputs, has_more })
    }

    fn counts(&self) -> Counts {
        Counts {
            tasks: self.tasks.live().len() as u64,
            ended: self.ended_count(),
            steps: self.steps.live().len() as u64,
            ready: self.ready.len() as u64,
            running: self.running_count(),
            delayed: self.delayed_count(),
            chores: self.chores.live().len() as u64,
        }
    }
}

/// Bytes of a step in an answer, about.
fn bytes_of(row: &StepRow) -> usize {
    let output = match &row.state {
        StepState::Succeeded(Some(Payload::Inline(bytes))) => bytes.len(),
        _ => 64,
    };
    128 + output + row.words.as_ref().map_or(0, |words| words.len()) + row.history.len() * 48
}
