//! A step that wants to run under limits, seen from its own shard (rule T10).
//!
//! It asks one limit after the other, in the order of their names, and is ready when all have said yes. What it has it gives
//! back when the attempt is over, however it ended. A step that runs, or may still run, keeps what it has.

use super::graph::Follow;
use super::rows::{StepRow, StepState, TaskRow};
use super::tables::Tables;
use super::{At, StepKey};
use crate::task::answer::Refusal;
use crate::task::limit::{Declared, LimitName};
use crate::task::word::{Permit, Word};
use crate::task::workflow::Name;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Limits of which something is said.
const LIMITS_MAX: usize = 65_536;

/// What a step has of limits, or wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct PermitRow {
    pub(super) number: u64,
    /// In order.
    pub(super) limits: Vec<LimitName>,
    /// So many of them have said yes.
    pub(super) given: u8,
    pub(super) has_begun: bool,
}

impl StepState {
    /// The step may hold permits, or wait for them.
    pub(super) const fn is_permitted(&self) -> bool {
        matches!(self, Self::Limited | Self::Ready { .. } | Self::Running(_))
    }
}

impl Tables {
    /// Asks for what the step needs to run, and whether that is anything.
    pub(super) fn ask_permits(&mut self, key: StepKey) -> bool {
        self.let_go(key);
        let limits = self.limits_of(key);
        if limits.is_empty() {
            return false;
        }
        self.head.permit += 1;
        let row = PermitRow { number: self.head.permit, limits, given: 0, has_begun: false };
        self.permits.insert(key, row);
        self.ask_next(key);
        true
    }

    /// Asks the next limit; whether there is one.
    fn ask_next(&mut self, key: StepKey) -> bool {
        let (Some(row), Some(step)) = (self.permits.get(&key), self.steps.get(&key)) else { return false };
        let Some(limit) = row.limits.get(usize::from(row.given)).cloned() else { return false };
        let permit = Permit { step: key, number: row.number };
        let (priority, declared) = (step.priority, self.declared(&limit));
        self.post(Word::Ask { limit, permit, priority, declared });
        true
    }

    /// A limit has said yes.
    pub(super) fn is_given(&mut self, at: At, limit: &LimitName, permit: Permit) {
        let key = permit.step;
        let Some(row) = self.permits.get_mut(&key).filter(|row| row.number == permit.number) else {
            // It has been told already that the step does not want to run any more.
            return;
        };
        if row.limits.get(usize::from(row.given)) != Some(limit) {
            return;
        }
        row.given += 1;
        if !self.ask_next(key) {
            let mut follow = Follow::new(at);
            follow.ready(self, key);
            follow.all(self);
        }
    }

    /// The step runs.
    pub(super) fn begins_under_limits(&mut self, key: StepKey) {
        let Some(row) = self.permits.get_mut(&key) else { return };
        row.has_begun = true;
        let (limits, permit) = (row.limits.clone(), Permit { step: key, number: row.number });
        for limit in limits {
            // Only a rate counts beginnings.
            if self.declared(&limit).bounds(&limit).rate.is_some() {
                self.post(Word::Began { limit, permit });
            }
        }
    }

    /// The attempt is over, or the step does not want to run any more.
    pub(super) fn let_go(&mut self, key: StepKey) {
        let Some(PermitRow { number, limits, given, has_begun }) = self.permits.remove(&key) else { return };
        let permit = Permit { step: key, number };
        // The one that was asked last may say yes yet.
        for limit in limits.into_iter().take(usize::from(given) + 1) {
            self.post(Word::Over { limit, permit, has_begun });
        }
    }

    fn limits_of(&self, key: StepKey) -> Vec<LimitName> {
        let Some((task, row)) = self.tasks.get(&key.task).zip(self.steps.get(&key)) else { return Vec::new() };
        let of_key = task.concurrency_key(row, key).cloned().map(LimitName::Key);
        let of_agent = self.classes.get(&row.class).map(|class| LimitName::Agent(class.agent.clone()));
        let is_limited = |limit: &LimitName| {
            let bounds = self.declared(limit).bounds(limit);
            bounds.at_once.is_some() || bounds.rate.is_some()
        };
        of_key.into_iter().chain(of_agent).filter(is_limited).collect()
    }

    /// What this shard knows of a limit.
    pub(super) fn declared(&self, limit: &LimitName) -> Declared {
        self.limits.get(limit).copied().unwrap_or_default()
    }

    /// Something is said of a limit; nothing older counts any more.
    pub(super) fn declare(&mut self, limit: LimitName, declared: Declared) -> Result<(), Refusal> {
        if !declared.bounds.is_none_or(|bounds| bounds.is_sound()) {
            return Err(Refusal::NoLimit);
        }
        let known = self.limits.get(&limit).copied();
        if known.is_none() && self.limits.live().len() >= LIMITS_MAX {
            return Err(Refusal::TooMuch { what: "the number of limits".into(), limit: LIMITS_MAX as u64 });
        }
        if known.is_none_or(|known| known.version < declared.version) {
            self.limits.insert(limit.clone(), declared);
        }
        self.is_declared(&limit);
        Ok(())
    }

    /// The limit that a step waits for.
    pub(super) fn waits_for(&self, key: StepKey) -> Option<LimitName> {
        let row = self.permits.get(&key)?;
        row.limits.get(usize::from(row.given)).cloned()
    }
}

impl TaskRow {
    fn concurrency_key(&self, row: &StepRow, key: StepKey) -> Option<&Name> {
        match self.definition(row, key.row) {
            Some(step) => step.concurrency_key.as_ref(),
            None => self.rest.as_ref().and_then(|rest| rest.concurrency_key.as_ref()),
        }
    }
}
