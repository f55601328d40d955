//! The rows by name, and what follows from them: who is ready, who is due, who runs.
//!
//! [`Tables::turn`] is the one place where the state of a step changes, so that what follows is never forgotten.

use super::gates::{GateRow, Gates, Holder, SlotRow};
use super::permits::PermitRow;
use super::rows::{Chore, ClassId, ClassRow, Labels, StepRow, StepState, TaskRow, WorkerRow};
use super::schedules::ScheduleRow;
use super::{StepKey, TaskNumber};
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::replication::frozen::FrozenMap;
use crate::replication::once::SubmissionId;
use crate::task::answer::{Refusal, Status};
use crate::task::command::{CancelMode, Policy};
use crate::task::limit::{Declared, LimitName};
use crate::task::view::Conflict;
use crate::task::word::Word;
use crate::task::workflow::{Name, Priority};
use crate::time::WallTime;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// Numbers that only grow, and what there is one of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Head {
    /// The last place in the order of what is ready.
    pub(super) order: u64,
    /// The last turn of a class.
    pub(super) turn: u64,
    /// The last class.
    pub(super) class: u32,
    /// The last conflict.
    pub(super) conflict: u64,
    /// Nothing is given out.
    pub(super) is_paused: bool,
    /// The last word to another shard.
    pub(super) word: u64,
    /// The last wish for permits.
    pub(super) permit: u64,
}

/// What holds for an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct AgentRow {
    pub(super) policy: Option<Policy>,
    pub(super) is_paused: bool,
}

/// The rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) head: Head,
    // What is boxed is large: a table whose keys rise is little more than half full.
    pub(super) tasks: FrozenMap<TaskNumber, Box<TaskRow>>,
    pub(super) steps: FrozenMap<StepKey, Box<StepRow>>,
    pub(super) classes: FrozenMap<ClassId, ClassRow>,
    pub(super) agents: FrozenMap<Name, AgentRow>,
    pub(super) workers: FrozenMap<Incarnation, WorkerRow>,
    pub(super) chores: FrozenMap<StepKey, Chore>,
    pub(super) conflicts: FrozenMap<u64, Conflict>,
    pub(super) limits: FrozenMap<LimitName, Declared>,
    pub(super) permits: FrozenMap<StepKey, PermitRow>,
    pub(super) gates: FrozenMap<LimitName, GateRow>,
    pub(super) slots: FrozenMap<(LimitName, Holder), SlotRow>,
    pub(super) outbox: FrozenMap<u64, Word>,
    /// The last word of each shard that was taken.
    pub(super) taken: FrozenMap<u32, u64>,
    pub(super) schedules: FrozenMap<Name, ScheduleRow>,
    // What follows from the rows.
    ids: BTreeMap<SubmissionId, TaskNumber>,
    pub(super) ready: BTreeMap<(ClassId, Priority, u64), StepKey>,
    delayed: BTreeSet<(WallTime, StepKey)>,
    /// Those that wait for a span, by when it began.
    delayed_since: BTreeSet<(WallTime, StepKey)>,
    /// Tasks that have ended, by when they go.
    leaving: BTreeSet<(WallTime, TaskNumber)>,
    /// The same, by when they ended.
    ended: BTreeSet<(WallTime, TaskNumber)>,
    /// By who runs them, and under which of its claims.
    running: BTreeSet<(Incarnation, u64, StepKey)>,
    /// Approvals that are waited for, and not for ever.
    asking: BTreeSet<(WallTime, StepKey)>,
    pub(super) by_agent: BTreeMap<Name, BTreeMap<Labels, ClassId>>,
    pub(super) opened: Gates,
    /// Schedules that wait for the owner, by when they are due, and the versions of what was said of them.
    pub(super) recurring: BTreeMap<(WallTime, u64), Name>,
    /// Open tasks that are not to be beside another one.
    unique: BTreeMap<Name, TaskNumber>,
}

impl Hash for Tables {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.head, &self.tasks, &self.steps, &self.classes).hash(state);
        (&self.agents, &self.workers, &self.chores, &self.conflicts).hash(state);
        (&self.limits, &self.permits, &self.gates, &self.slots).hash(state);
        (&self.outbox, &self.taken, &self.schedules).hash(state);
    }
}

impl Tables {
    pub(super) fn freeze(&mut self) {
        self.tasks.freeze();
        self.steps.freeze();
        self.classes.freeze();
        self.agents.freeze();
        self.workers.freeze();
        self.chores.freeze();
        self.conflicts.freeze();
        self.limits.freeze();
        self.permits.freeze();
        self.gates.freeze();
        self.slots.freeze();
        self.outbox.freeze();
        self.taken.freeze();
        self.schedules.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.tasks.thaw();
        self.steps.thaw();
        self.classes.thaw();
        self.agents.thaw();
        self.workers.thaw();
        self.chores.thaw();
        self.conflicts.thaw();
        self.limits.thaw();
        self.permits.thaw();
        self.gates.thaw();
        self.slots.thaw();
        self.outbox.thaw();
        self.taken.thaw();
        self.schedules.thaw();
    }

    /// The task of that name.
    pub(super) fn number(&self, id: &SubmissionId) -> Result<TaskNumber, Refusal> {
        self.ids.get(id).copied().ok_or(Refusal::NoTask)
    }

    pub(super) fn status(&self, number: TaskNumber) -> Status {
        self.tasks.get(&number).map_or(Status::Cancelled, |task| task.status())
    }

    pub(super) fn add_task(&mut self, number: TaskNumber, row: TaskRow) {
        self.index_task(number, &row);
        self.tasks.insert(number, Box::new(row));
    }

    /// What follows from a task's row, but for one that is on its way out.
    pub(super) fn index_task(&mut self, number: TaskNumber, row: &TaskRow) {
        self.ids.insert(row.id, number);
        self.opens(number, row);
        self.leaves(number, row);
    }

    pub(super) fn remove_task(&mut self, number: TaskNumber) {
        if let Some(row) = self.tasks.remove(&number) {
            self.ids.remove(&row.id);
            self.stays(number, &row);
        }
    }

    /// A task that is open is the one with its unique key.
    pub(super) fn opens(&mut self, number: TaskNumber, row: &TaskRow) {
        if let Some(key) = row.unique().filter(|_| row.ended.is_none()) {
            self.unique.insert(key.clone(), number);
        }
    }

    /// The open task with that unique key.
    pub(super) fn open_with(&self, key: &Name) -> Option<(SubmissionId, TaskNumber)> {
        let number = *self.unique.get(key)?;
        Some((self.tasks.get(&number)?.id, number))
    }

    /// A task goes when its retention is over.
    pub(super) fn leaves(&mut self, number: TaskNumber, row: &TaskRow) {
        if let Some(ending) = row.ended {
            if let Some(key) = row.unique().filter(|key| self.unique.get(key) == Some(&number)) {
                self.unique.remove(key);
            }
            self.leaving.insert((ending.at.saturating_add(row.retention()), number));
            self.ended.insert((ending.at, number));
        }
    }

    /// It does not: it begins again, or is on its way out.
    pub(super) fn stays(&mut self, number: TaskNumber, row: &TaskRow) {
        if let Some(ending) = row.ended {
            self.leaving.remove(&(ending.at.saturating_add(row.retention()), number));
            self.ended.remove(&(ending.at, number));
        }
    }

    /// The first task whose retention is over by then.
    pub(super) fn first_leaving(&self, now: WallTime) -> Option<TaskNumber> {
        self.leaving.first().filter(|(at, _)| *at <= now).map(|(_, number)| *number)
    }

    /// Tasks that ended before that.
    pub(super) fn ended_before(&self, before: WallTime) -> impl Iterator<Item = TaskNumber> {
        self.ended.iter().take_while(move |(at, _)| *at < before).map(|(_, number)| *number)
    }

    pub(super) fn ended_count(&self) -> u64 {
        self.ended.len() as u64
    }

    /// The first step that is due.
    pub(super) fn first_delayed(&self, now: WallTime) -> Option<StepKey> {
        self.delayed.first().filter(|(due, _)| *due <= now).map(|(_, step)| *step)
    }

    /// The first approval that nobody has answered in time.
    pub(super) fn first_unanswered(&self, now: WallTime) -> Option<StepKey> {
        self.asking.first().filter(|(until, _)| *until <= now).map(|(_, step)| *step)
    }

    /// A step whose span of waiting began in the future: the clock was ahead, and is not any more.
    pub(super) fn delayed_ahead(&self, now: WallTime) -> Option<StepKey> {
        self.delayed_since.last().filter(|(since, _)| *since > now).map(|(_, step)| *step)
    }

    /// When something is due, by a clock that shows `now`; the past where a span began in the future.
    pub(super) fn next_due(&self, now: WallTime) -> Option<WallTime> {
        if self.delayed_ahead(now).is_some() || self.opened.is_ahead(now) {
            return Some(WallTime::from_unix_nanos(0));
        }
        let delayed = self.delayed.first().map(|(due, _)| *due);
        let asking = self.asking.first().map(|(until, _)| *until);
        let leaving = self.leaving.first().map(|(at, _)| *at);
        [delayed, asking, leaving, self.opened.next_due()].into_iter().flatten().min()
    }

    pub(super) fn delayed_count(&self) -> u64 {
        self.delayed.len() as u64
    }

    pub(super) fn running_count(&self) -> u64 {
        self.running.len() as u64
    }

    pub(super) fn add_step(&mut self, key: StepKey, row: StepRow) {
        self.index_step(key, &row.state, row.class, row.priority);
        let is_active = row.state.is_active();
        self.steps.insert(key, Box::new(row));
        if is_active && let Some(task) = self.tasks.get_mut(&key.task) {
            task.active += 1;
        }
    }

    /// A step comes into another state; what it was in. Nothing happens to one that is not there.
    pub(super) fn turn(&mut self, key: StepKey, state: StepState) -> Option<StepState> {
        let row = self.steps.get_mut(&key)?;
        let (class, priority) = (row.class, row.priority);
        let before = core::mem::replace(&mut row.state, state.clone());
        self.unindex_step(key, &before, class, priority);
        self.index_step(key, &state, class, priority);
        if before.is_active() != state.is_active()
            && let Some(task) = self.tasks.get_mut(&key.task)
        {
            task.active = if state.is_active() { task.active + 1 } else { task.active - 1 };
        }
        match state {
            StepState::Running(_) => self.begins_under_limits(key),
            state if before.is_permitted() && !state.is_permitted() => self.let_go(key),
            _ => {}
        }
        Some(before)
    }

    /// Something of the task is to be waited for, or not any more, that is no step.
    pub(super) fn hold(&mut self, number: TaskNumber, is_held: bool) {
        if let Some(task) = self.tasks.get_mut(&number) {
            task.active = if is_held { task.active + 1 } else { task.active - 1 };
        }
    }

    pub(super) fn remove_step(&mut self, key: &StepKey) -> Option<Box<StepRow>> {
        let row = self.steps.remove(key)?;
        self.unindex_step(*key, &row.state, row.class, row.priority);
        self.leave_class(row.class);
        Some(row)
    }

    /// What follows from a step's row.
    pub(super) fn index_step(&mut self, key: StepKey, state: &StepState, class: ClassId, priority: Priority) {
        match state {
            StepState::Delayed { due, since } => {
                self.delayed.insert((*due, key));
                self.delayed_since.extend(since.map(|since| (since, key)));
            }
            StepState::Ready { order } => {
                self.ready.insert((class, priority, *order), key);
            }
            StepState::Running(running) => {
                self.running.insert((running.worker, running.number, key));
            }
            StepState::Asking { until: Some(until) } => {
                self.asking.insert((*until, key));
            }
            _ => {}
        }
    }

    fn unindex_step(&mut self, key: StepKey, state: &StepState, class: ClassId, priority: Priority) {
        match state {
            StepState::Delayed { due, since } => {
                self.delayed.remove(&(*due, key));
                since.map(|since| self.delayed_since.remove(&(since, key)));
            }
            StepState::Ready { order } => {
                self.ready.remove(&(class, priority, *order));
            }
            StepState::Running(running) => {
                self.running.remove(&(running.worker, running.number, key));
            }
            StepState::Asking { until: Some(until) } => {
                self.asking.remove(&(*until, key));
            }
            _ => {}
        }
    }

    /// Steps that a worker has of its claims up to that one, the oldest claim first.
    pub(super) fn running_of(&self, worker: Incarnation, upto: u64) -> impl Iterator<Item = StepKey> {
        let first = StepKey { task: TaskNumber::default(), row: 0 };
        let range = self.running.range((worker, 0, first)..);
        range.take_while(move |(of, number, _)| *of == worker && *number <= upto).map(|(.., step)| *step)
    }

    pub(super) fn to_stop(&self, worker: Incarnation) -> impl Iterator<Item = (StepKey, FenceToken)> {
        let is_cancelled =
            |step: &StepKey| self.tasks.get(&step.task).is_some_and(|task| task.cancel() == Some(CancelMode::Hard));
        let stopped = self.running_of(worker, u64::MAX).filter(is_cancelled);
        stopped.filter_map(|step| Some((step, self.steps.get(&step)?.running()?.fence)))
    }

    /// Whether there is a class of steps that need this; `needs` are in order.
    pub(super) fn has_class(&self, agent: &Name, needs: &Labels) -> bool {
        self.by_agent.get(agent).is_some_and(|classes| classes.contains_key(needs))
    }

    pub(super) fn has_room(&self) -> bool {
        self.tasks.live().len() < super::TASKS_MAX
    }
}
