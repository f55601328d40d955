//! What people do: cancel, replay, approval, policy, pause, purge (rules T8, T9).

use super::graph::Follow;
use super::rows::{Chore, OF_TASK, StepState, TaskRow};
use super::submit::check_attempts;
use super::tables::{AgentRow, Tables};
use super::{At, StepKey};
use crate::replication::once::SubmissionId;
use crate::task::answer::{Answer, Refusal, Status};
use crate::task::command::{CancelMode, Policy, WORDS_BYTES_MAX};
use crate::task::payload::Payload;
use crate::task::workflow::Name;
use crate::time::WallTime;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Agents of which something is said.
const AGENTS_MAX: usize = 4_096;
/// Tasks that one purge finds.
const PURGE_MAX: usize = 256;

impl Tables {
    pub(super) fn cancel(&mut self, id: &SubmissionId, mode: CancelMode, reason: Box<str>) -> Result<Answer, Refusal> {
        check_words(&reason)?;
        let number = self.number(id)?;
        let Some(task) = self.tasks.get_mut(&number).filter(|task| task.ended.is_none()) else {
            return Ok(Answer::Cancel(self.status(number)));
        };
        let before = task.cancel();
        if before < Some(mode) {
            task.rest.get_or_insert_default().cancel = Some((mode, reason));
        }
        // What has not begun ends piece by piece; what waits for other steps never begins.
        if before.is_none() {
            let key = StepKey { task: number, row: OF_TASK };
            // A replay that is under way is over.
            if self.chores.get(&key).is_none() {
                self.hold(number, true);
            }
            self.chores.insert(key, Chore::Cancel { next: 0 });
        }
        Ok(Answer::Cancel(self.status(number)))
    }

    pub(super) fn replay(&mut self, id: &SubmissionId, generation: u32) -> Result<Answer, Refusal> {
        let number = self.number(id)?;
        let key = StepKey { task: number, row: OF_TASK };
        let is_leaving = self.chores.get(&key).is_some();
        let status = self.status(number);
        let Some(task) = self.tasks.get(&number).filter(|_| status == Status::Dead && !is_leaving) else {
            return Err(Refusal::Status { status });
        };
        // Asked again: it was done.
        if task.generation != generation {
            return Err(Refusal::Status { status });
        }
        let row = task.clone();
        if let Some((task, _)) = row.unique().and_then(|key| self.open_with(key)) {
            return Err(Refusal::NotUnique { task });
        }
        self.stays(number, &row);
        if let Some(task) = self.tasks.get_mut(&number) {
            task.ended = None;
            task.generation += 1;
        }
        let row = TaskRow { ended: None, ..*row };
        self.opens(number, &row);
        self.hold(number, true);
        self.chores.insert(key, Chore::Replay { next: 0 });
        Ok(Answer::Done { has_more: true })
    }

    pub(super) fn decide(
        &mut self,
        at: At,
        id: &SubmissionId,
        (step, item): (&Name, Option<u32>),
        (is_approved, words): (bool, Box<str>),
    ) -> Result<Answer, Refusal> {
        check_words(&words)?;
        let number = self.number(id)?;
        if self.status(number) == Status::Cancelling {
            return Err(Refusal::Status { status: Status::Cancelling });
        }
        let flow = self.tasks.get(&number).and_then(|task| task.flow.clone()).ok_or(Refusal::NoStep)?;
        let row = flow.workflow.find(step.as_str()).ok_or(Refusal::NoStep)?;
        let mut key = StepKey { task: number, row: u32::from(row.0) };
        if let Some(item) = item {
            let each = self.steps.get(&key).and_then(|row| row.each.as_deref());
            key.row = each.filter(|each| item < each.made).ok_or(Refusal::NoStep)?.first + item;
        }
        if self.steps.get(&key).is_none_or(|row| !matches!(row.state, StepState::Asking { .. })) {
            return Err(Refusal::NotAsking);
        }
        let mut follow = Follow::new(at);
        match is_approved {
            true => follow.succeed(self, key, Some(Payload::text(&words))),
            false => follow.die(self, key, Some(words)),
        }
        follow.all(self);
        Ok(Answer::Done { has_more: false })
    }

    pub(super) fn set_policy(&mut self, agent: Name, policy: Option<Policy>) -> Result<Answer, Refusal> {
        if let Some(Policy { retry, timeout }) = &policy {
            check_attempts(*timeout, *retry)?;
        }
        self.set_agent(agent, |row| row.policy = policy)
    }

    pub(super) fn pause(&mut self, agent: Option<Name>, is_paused: bool) -> Result<Answer, Refusal> {
        match agent {
            Some(agent) => self.set_agent(agent, |row| row.is_paused = is_paused),
            None => {
                self.head.is_paused = is_paused;
                Ok(Answer::Done { has_more: false })
            }
        }
    }

    fn set_agent(&mut self, agent: Name, change: impl FnOnce(&mut AgentRow)) -> Result<Answer, Refusal> {
        let mut row = self.agents.get(&agent).cloned().unwrap_or_default();
        change(&mut row);
        let is_new = self.agents.get(&agent).is_none();
        match row == AgentRow::default() {
            true => drop(self.agents.remove(&agent)),
            false if is_new && self.agents.live().len() >= AGENTS_MAX => {
                return Err(Refusal::TooMuch { what: "the number of agents".into(), limit: AGENTS_MAX as u64 });
            }
            false => self.agents.insert(agent, row),
        }
        Ok(Answer::Done { has_more: false })
    }

    pub(super) fn purge(&mut self, before: WallTime) -> Answer {
        let old: Vec<_> = self.ended_before(before).take(PURGE_MAX).collect();
        let has_more = old.len() == PURGE_MAX;
        for number in old {
            self.begin_purge(number);
        }
        Answer::Done { has_more }
    }
}

fn check_words(words: &str) -> Result<(), Refusal> {
    match words.len() <= WORDS_BYTES_MAX {
        true => Ok(()),
        false => Err(Refusal::TooMuch { what: "the reason".into(), limit: WORDS_BYTES_MAX as u64 }),
    }
}
