//! A step begins, succeeds or is lost, and what follows from that for others (rule T7).
//!
//! What follows is worked off from a list, so that a chain of a thousand steps needs no stack.

use super::rows::{Chore, ClassId, Each, End, Ending, StepRow, StepState};
use super::tables::Tables;
use super::{At, StepKey, TaskNumber};
use crate::task::command::CancelMode;
use crate::task::payload::Payload;
use crate::task::view::Happened;
use crate::task::workflow::{ITEMS_MAX, StepIndex};
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};

/// What is still to be looked at.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// All that the step waits for has succeeded.
    Begin(StepKey),
    /// Its time has come, too.
    Go(StepKey),
    /// It has succeeded.
    Succeeded(StepKey),
    /// It is dead or cancelled.
    Lost(StepKey),
}

/// What follows from an entry.
#[derive(Debug)]
pub(super) struct Follow {
    at: At,
    next: VecDeque<Next>,
    touched: BTreeSet<TaskNumber>,
}

impl Follow {
    pub(super) fn new(at: At) -> Self {
        Self { at, next: VecDeque::new(), touched: BTreeSet::new() }
    }

    /// The entry that it follows from.
    pub(super) fn at(&self) -> At {
        self.at
    }

    /// All that a step waits for has succeeded.
    pub(super) fn begin(&mut self, key: StepKey) {
        self.next.push_back(Next::Begin(key));
    }

    /// Its time has come.
    pub(super) fn go(&mut self, key: StepKey) {
        self.next.push_back(Next::Go(key));
    }

    /// Something of a task may have been the last that was to be waited for.
    pub(super) fn touch(&mut self, task: TaskNumber) {
        self.touched.insert(task);
    }

    /// A step has succeeded.
    pub(super) fn succeed(&mut self, tables: &mut Tables, key: StepKey, output: Option<Payload>) {
        self.happened(tables, key, Happened::Succeeded);
        tables.turn(key, StepState::Succeeded(output));
        self.next.push_back(Next::Succeeded(key));
    }

    /// A step has failed for good.
    pub(super) fn die(&mut self, tables: &mut Tables, key: StepKey, words: Option<Box<str>>) {
        if let Some(row) = tables.steps.get_mut(&key) {
            row.words = words.or(row.words.take());
            row.happened(self.at.wall, Happened::Died);
        }
        tables.turn(key, StepState::Dead);
        self.next.push_back(Next::Lost(key));
    }

    /// A step is cancelled.
    pub(super) fn cancel(&mut self, tables: &mut Tables, key: StepKey) {
        self.happened(tables, key, Happened::Cancelled);
        tables.turn(key, StepState::Cancelled);
        self.next.push_back(Next::Lost(key));
    }

    /// Works off what follows.
    pub(super) fn all(mut self, tables: &mut Tables) {
        while let Some(next) = self.next.pop_front() {
            match next {
                Next::Begin(key) => self.begins(tables, key),
                Next::Go(key) => self.goes(tables, key),
                Next::Succeeded(key) => self.succeeded(tables, key),
                Next::Lost(key) => self.lost(tables, key),
            }
        }
        for task in core::mem::take(&mut self.touched) {
            self.end(tables, task);
        }
    }

    fn happened(&self, tables: &mut Tables, key: StepKey, what: Happened) {
        if let Some(row) = tables.steps.get_mut(&key) {
            row.happened(self.at.wall, what);
        }
    }

    fn begins(&mut self, tables: &mut Tables, key: StepKey) {
        match tables.delay(key) {
            // What is cancelled waits for nothing any more.
            delay if delay > Duration::ZERO && !tables.is_cancelled(key.task) => {
                tables.turn(key, StepState::delayed(self.at.wall, delay));
            }
            _ => self.goes(tables, key),
        }
    }

    fn goes(&mut self, tables: &mut Tables, key: StepKey) {
        let Some((task, row)) = tables.tasks.get(&key.task).zip(tables.steps.get(&key)) else { return };
        let is_repeated =
            row.instance.is_none() && task.definition(row, key.row).is_some_and(|step| step.is_repeated());
        if task.cancel().is_some() {
            return self.cancel(tables, key);
        }
        match (row.class, is_repeated) {
            (_, true) => self.expand(tables, key),
            (ClassId::NONE, _) => {
                self.happened(tables, key, Happened::Asked);
                let until = tables.time_to_answer(key).map(|time| self.at.wall.saturating_add(time));
                tables.turn(key, StepState::Asking { until });
            }
            _ if tables.ask_permits(key) => {
                self.happened(tables, key, Happened::Limited);
                tables.turn(key, StepState::Limited);
            }
            _ => self.ready(tables, key),
        }
    }

    /// It waits for a worker only.
    pub(super) fn ready(&mut self, tables: &mut Tables, key: StepKey) {
        self.happened(tables, key, Happened::Ready);
        tables.head.order += 1;
        tables.turn(key, StepState::Ready { order: tables.head.order });
    }

    /// A step that is there once for each item: how many, whoever reported the list has counted.
    fn expand(&mut self, tables: &mut Tables, key: StepKey) {
        let Some(count) = tables.items(key).filter(|count| *count <= ITEMS_MAX) else {
            return self.die(
                tables,
                key,
                Some("what it is to be repeated for is no list of at most 10,000 items".into()),
            );
        };
        let Some(task) = tables.tasks.get_mut(&key.task) else { return };
        let each = Each { first: task.rows, count, ..Each::default() };
        task.rows += count;
        task.left += count;
        if let Some(row) = tables.steps.get_mut(&key) {
            row.each = Some(Box::new(each));
        }
        if count == 0 {
            return self.succeed(tables, key, None);
        }
        tables.turn(key, StepState::Expanded);
        tables.chores.insert(key, Chore::Expand);
    }

    /// Makes some instances; whether all of them are there.
    pub(super) fn make_instances(&mut self, tables: &mut Tables, key: StepKey, room: &mut usize) -> bool {
        let is_cancelled = tables.tasks.get(&key.task).is_none_or(|task| task.cancel().is_some());
        let Some(row) = tables.steps.get_mut(&key) else { return true };
        let (class, priority) = (row.class, row.priority);
        let Some(each) = &mut row.each else { return true };
        if is_cancelled {
            each.lost += each.count - each.made;
            self.resolve(tables, key);
            return true;
        }
        let from = each.made;
        each.made = each.count.min(from.saturating_add(u32::try_from(*room).unwrap_or(u32::MAX)));
        let (each, upto) = (**each, each.made);
        *room -= (upto - from) as usize;
        for item in from..upto {
            let instance = StepKey { row: each.first + item, ..key };
            let mut row = StepRow::new(StepState::Waiting { left: 0 }, class, priority);
            row.instance = Some((StepIndex(key.row as u16), item));
            tables.grow_class(class);
            tables.add_step(instance, row);
            self.go(instance);
        }
        upto == each.count
    }

    fn succeeded(&mut self, tables: &mut Tables, key: StepKey) {
        let Some(task) = tables.tasks.get_mut(&key.task) else { return };
        task.left -= 1;
        self.touch(key.task);
        let flow = task.flow.clone();
        let Some(row) = tables.steps.get(&key) else { return };
        if let Some((parent, _)) = row.instance {
            let parent = StepKey { row: u32::from(parent.0), ..key };
            if let Some(each) = tables.steps.get_mut(&parent).and_then(|row| row.each.as_mut()) {
                each.succeeded += 1;
            }
            return self.resolve(tables, parent);
        }
        let Some(flow) = flow else { return };
        for dependent in flow.graph.dependents(StepIndex(key.row as u16)) {
            self.release(tables, StepKey { row: u32::from(dependent.0), ..key });
        }
    }

    /// A step waits for one step less.
    fn release(&mut self, tables: &mut Tables, key: StepKey) {
        let Some(row) = tables.steps.get_mut(&key) else { return };
        let StepState::Waiting { left } = &mut row.state else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.begin(key);
        }
    }

    fn lost(&mut self, tables: &mut Tables, key: StepKey) {
        self.touch(key.task);
        let Some((parent, _)) = tables.steps.get(&key).and_then(|row| row.instance) else { return };
        let parent = StepKey { row: u32::from(parent.0), ..key };
        if let Some(each) = tables.steps.get_mut(&parent).and_then(|row| row.each.as_mut()) {
            each.lost += 1;
        }
        self.resolve(tables, parent);
    }

    /// A step ends when all of its instances have.
    pub(super) fn resolve(&mut self, tables: &mut Tables, key: StepKey) {
        let Some(row) = tables.steps.get(&key).filter(|row| row.state == StepState::Expanded) else { return };
        let Some(each) = row.each.as_deref().filter(|each| each.succeeded + each.lost == each.count) else { return };
        let is_cancelled = tables.tasks.get(&key.task).is_some_and(|task| task.cancel().is_some());
        match (each.lost, is_cancelled) {
            (0, _) => self.succeed(tables, key, None),
            (_, true) => self.cancel(tables, key),
            (_, false) => self.die(tables, key, None),
        }
    }

    /// A task ends when nothing of it is to be waited for.
    fn end(&mut self, tables: &mut Tables, number: TaskNumber) {
        let Some(task) = tables.tasks.get_mut(&number).filter(|task| task.active == 0 && task.ended.is_none()) else {
            return;
        };
        let how = match (task.left, task.cancel()) {
            (0, _) => End::Succeeded,
            (_, Some(CancelMode::Soft | CancelMode::Hard)) => End::Cancelled,
            (_, None) => End::Dead,
        };
        task.ended = Some(Ending { at: self.at.wall, how });
        let row = task.clone();
        tables.leaves(number, &row);
    }
}

impl Tables {
    /// How long a step waits when all that it depends on has succeeded.
    pub(super) fn delay(&self, key: StepKey) -> Duration {
        let row = self.tasks.get(&key.task).zip(self.steps.get(&key)).filter(|(_, row)| row.instance.is_none());
        row.and_then(|(task, row)| task.definition(row, key.row)?.delay).unwrap_or(Duration::ZERO)
    }

    /// How long an approval may be open.
    fn time_to_answer(&self, key: StepKey) -> Option<Duration> {
        let (task, row) = (self.tasks.get(&key.task)?, self.steps.get(&key)?);
        task.definition(row, key.row)?.timeout
    }

    /// For how many items a step is to be there, as far as that was counted.
    fn items(&self, key: StepKey) -> Option<u32> {
        let (task, row) = (self.tasks.get(&key.task)?, self.steps.get(&key)?);
        let source = task.definition(row, key.row)?.each.as_ref()?;
        let from = self.steps.get(&StepKey { row: u32::from(source.step.0), ..key })?;
        match &from.each {
            // The list is what the instances of another step gave, one item each.
            Some(each) => source.pointer.is_whole().then_some(each.count),
            None => row.each.as_ref().map(|each| each.count),
        }
    }
}
