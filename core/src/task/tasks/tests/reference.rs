//! What `docs/tasks.md` says, in the plainest way: lists that are searched from end to end, and everything at once.
//!
//! Nothing here is indexed, counted ahead, or done piece by piece. What takes several entries of the state (chores) happens
//! here with the entry that asks for it; instances come behind whatever else that entry makes ready.

mod entries;

use super::super::{RETENTION, StepKey, TaskNumber};
use super::*;
use crate::epoch::FenceToken;
use crate::task::command::Policy;
use crate::task::workflow::{Does, Retry, Step};
use alloc::collections::VecDeque;

type Labels = Vec<(Name, Box<str>)>;

/// What has become of a step. Steps that wait are looked at, not counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Waiting,
    /// Until one of these instants; and since when, if it is a span that is waited for.
    Delayed(WallTime, WallTime, Option<WallTime>),
    /// Until then, if not for ever.
    Asking(Option<WallTime>),
    /// The place in the order.
    Ready(u64),
    Running {
        fence: FenceToken,
        worker: Incarnation,
        number: u64,
    },
    Expanded,
    Succeeded(Option<Payload>),
    Dead,
    Cancelled,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) attempts: u16,
    /// Of an instance: of which step, and for which item.
    pub(super) instance: Option<(usize, u32)>,
    /// The items that were counted for it, or of which it has instances.
    pub(super) items: Option<u32>,
    is_expanded: bool,
    settled: Option<FenceToken>,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    number: u64,
    pub(super) id: SubmissionId,
    submit: Submit,
    pub(super) generation: u32,
    cancel: Option<CancelMode>,
    pub(super) ended: Option<(WallTime, Status)>,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq)]
struct Class {
    agent: Name,
    needs: Labels,
    served: u64,
    turn: u64,
}

/// The tasks of a shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    pub(super) tasks: Vec<Task>,
    classes: Vec<Class>,
    order: u64,
    turn: u64,
    /// The number of the newest claim of each worker, and what it was given.
    workers: Vec<(Incarnation, u64, Vec<StepKey>)>,
    policies: Vec<(Name, Policy)>,
    paused: Vec<Name>,
    is_paused: bool,
    pub(super) conflicts: usize,
}

/// What has still to be done of an entry.
enum Next {
    Begin(usize, usize),
    Go(usize, usize),
    Succeeded(usize, usize),
}

impl Task {
    pub(super) fn step(&self, row: usize) -> Option<&Step> {
        let What::Workflow(workflow) = &self.submit.what else { return None };
        workflow.steps.get(self.rows[row].instance.map_or(row, |(step, _)| step))
    }

    fn class(&self, row: usize) -> Option<(Name, Labels)> {
        match (&self.submit.what, self.step(row)) {
            (_, Some(step)) => {
                let needs = step.labels.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
                Some((step.agent()?.clone(), needs))
            }
            (What::Agent { agent, needs, .. }, None) => Some((agent.clone(), needs.clone())),
            _ => None,
        }
    }

    fn priority(&self, row: usize) -> Priority {
        self.step(row).and_then(|step| step.priority).unwrap_or(self.submit.priority)
    }

    /// Steps of the workflow that the row waits for.
    pub(super) fn waits_for(&self, row: usize) -> usize {
        let Some(step) = self.step(row).filter(|_| self.rows[row].instance.is_none()) else { return 0 };
        step.depends_on.iter().filter(|on| !matches!(self.rows[on.position()].state, State::Succeeded(_))).count()
    }

    fn is_over(&self) -> bool {
        let is_over =
            |row: &Row| matches!(row.state, State::Waiting | State::Succeeded(_) | State::Dead | State::Cancelled);
        self.rows.iter().all(is_over)
    }

    pub(super) fn status(&self) -> Status {
        match (self.ended, self.cancel) {
            (Some((_, status)), _) => status,
            (None, Some(_)) => Status::Cancelling,
            (None, None) => Status::Open,
        }
    }
}

fn row(state: State) -> Row {
    Row { state, attempts: 0, instance: None, items: None, is_expanded: false, settled: None }
}

impl Reference {
    /// Applies a command, as the entry with that number; `later` is when what takes several entries is done. What is said,
    /// in a few words.
    pub(super) fn apply(&mut self, number: u64, at: WallTime, later: WallTime, command: &Command) -> String {
        let mut next = vec![];
        let said = match command {
            Command::Submit(submit) => self.submit(number, at, submit, &mut next),
            Command::Claim(claim) => self.claim(number, claim),
            Command::Report { step, fence, outcome } => self.report(at, *step, *fence, outcome, &mut next),
            Command::End { worker, upto, .. } => self.end(at, *worker, *upto),
            Command::Due => self.due(at, &mut next),
            Command::Cancel { task, mode, .. } => self.cancel(later, task, *mode),
            Command::Replay { task, generation } => self.replay(task, *generation, &mut next),
            Command::Decide { task, step, item, is_approved, words } => {
                self.decide(task, (step, *item), *is_approved, words, &mut next)
            }
            Command::Policy { agent, policy } => {
                self.policies.retain(|(of, _)| of != agent);
                self.policies.extend(policy.clone().map(|policy| (agent.clone(), policy)));
                "done".into()
            }
            Command::Pause { agent: None, is_paused } => {
                self.is_paused = *is_paused;
                "done".into()
            }
            Command::Pause { agent: Some(agent), is_paused } => {
                self.paused.retain(|of| of != agent);
                self.paused.extend(is_paused.then(|| agent.clone()));
                "done".into()
            }
            Command::Purge { before } => {
                self.tasks.retain(|task| task.ended.is_none_or(|(ended, _)| ended >= *before));
                "done".into()
            }
            Command::Limit { .. }
            | Command::Take { .. }
            | Command::Taken { .. }
            | Command::Schedule(_)
            | Command::Unschedule { .. }
            | Command::PauseSchedule { .. }
            | Command::Fire(_) => {
                panic!("limits and schedules have tests of their own")
            }
        };
        let at = if matches!(command, Command::Replay { .. }) { later } else { at };
        self.follow(at, next);
        self.finish(at);
        if let Command::Due = command {
            let goes =
                |task: &Task, ended: WallTime| ended.saturating_add(task.submit.retention.unwrap_or(RETENTION)) <= at;
            self.tasks.retain(|task| task.ended.is_none_or(|(ended, _)| !goes(task, ended)));
        }
        if matches!(command, Command::Purge { .. } | Command::Due) {
            let (tasks, classes) = (&self.tasks, &mut self.classes);
            let has = |task: &Task, class: &Class| {
                (0..task.rows.len()).any(|row| task.class(row) == Some((class.agent.clone(), class.needs.clone())))
            };
            classes.retain(|class| tasks.iter().any(|task| has(task, class)));
        }
        match said.as_str() {
            "submitted" => format!("submitted, {:?}", self.tasks.last().map(Task::status)),
            _ => said,
        }
    }

    fn task(&self, id: &SubmissionId) -> Option<usize> {
        self.tasks.iter().position(|task| task.id == *id)
    }

    fn at(&self, key: StepKey) -> Option<(usize, usize)> {
        let task = self.tasks.iter().position(|task| task.number == key.task.0.0)?;
        ((key.row as usize) < self.tasks[task].rows.len()).then_some((task, key.row as usize))
    }

    fn key(&self, (task, row): (usize, usize)) -> StepKey {
        StepKey { task: TaskNumber(LogSequence(self.tasks[task].number)), row: row as u32 }
    }

    fn set(&mut self, (task, row): (usize, usize), state: State) {
        self.tasks[task].rows[row].state = state;
    }

    fn submit(&mut self, number: u64, at: WallTime, submit: &Submit, next: &mut Vec<Next>) -> String {
        if let Some(task) = self.task(&submit.id) {
            return format!("known, {:?}", self.tasks[task].status());
        }
        let steps = match &submit.what {
            What::Agent { .. } => 1,
            What::Workflow(workflow) => workflow.steps.len(),
        };
        let rows = vec![row(State::Waiting); steps];
        let (id, submit) = (submit.id, submit.clone());
        self.tasks.push(Task { number, id, submit, generation: 0, cancel: None, ended: None, rows });
        let task = self.tasks.len() - 1;
        for row in 0..steps {
            if let Some((agent, needs)) = self.tasks[task].class(row)
                && !self.classes.iter().any(|class| class.agent == agent && class.needs == needs)
            {
                self.classes.push(Class { agent, needs, served: 0, turn: 0 });
            }
            if self.tasks[task].waits_for(row) == 0 {
                match self.tasks[task].submit.not_before.filter(|time| *time > at) {
                    None => next.push(Next::Begin(task, row)),
                    Some(time) => {
                        let delay = self.tasks[task].step(row).and_then(|step| step.delay).unwrap_or_default();
                        let due = time.saturating_add(delay);
                        self.set((task, row), State::Delayed(due, due, None));
                    }
                }
            }
        }
        "submitted".into()
    }

    /// Works off what follows, and then makes the instances there are to be.
    fn follow(&mut self, at: WallTime, next: Vec<Next>) {
        let (mut next, mut expanded) = (VecDeque::from(next), vec![]);
        while let Some(what) = next.pop_front() {
            match what {
                Next::Begin(task, row) => {
                    let delay = self.tasks[task].step(row).and_then(|step| step.delay).unwrap_or_default();
                    match delay > Duration::ZERO && self.tasks[task].cancel.is_none() {
                        true => {
                            let due = at.saturating_add(delay);
                            self.set((task, row), State::Delayed(due, due, Some(at)));
                        }
                        false => next.push_front(Next::Go(task, row)),
                    }
                }
                Next::Go(task, row) => {
                    if let Some(what) = self.go(at, (task, row), &mut expanded) {
                        next.push_back(what);
                    }
                }
                Next::Succeeded(task, row) => self.succeeded(task, row, &mut next),
            }
        }
        expanded.sort_unstable();
        for (task, parent) in expanded {
            for row in 0..self.tasks[task].rows.len() {
                if self.tasks[task].rows[row].instance.is_some_and(|(step, _)| step == parent) {
                    self.go(at, (task, row), &mut vec![]);
                }
            }
        }
    }

    fn go(&mut self, at: WallTime, (task, row_at): (usize, usize), expanded: &mut Vec<(usize, usize)>) -> Option<Next> {
        let the = &mut self.tasks[task];
        let is_instance = the.rows[row_at].instance.is_some();
        let each = the.step(row_at).and_then(|step| step.each.clone()).filter(|_| !is_instance);
        let is_approval = the.step(row_at).is_some_and(|step| matches!(step.does, Does::Approval { .. }));
        if the.cancel.is_some() {
            the.rows[row_at].state = State::Cancelled;
        } else if let Some(each) = each {
            let from = &the.rows[each.step.position()];
            let items = match from.is_expanded {
                true => from.items.filter(|_| each.pointer.is_whole()),
                false => the.rows[row_at].items,
            };
            let Some(items) = items else {
                the.rows[row_at].state = State::Dead;
                return None;
            };
            (the.rows[row_at].items, the.rows[row_at].is_expanded) = (Some(items), true);
            if items == 0 {
                the.rows[row_at].state = State::Succeeded(None);
                return Some(Next::Succeeded(task, row_at));
            }
            the.rows[row_at].state = State::Expanded;
            the.rows.extend((0..items).map(|item| Row { instance: Some((row_at, item)), ..row(State::Waiting) }));
            expanded.push((task, row_at));
        } else if is_approval {
            let timeout = the.step(row_at).and_then(|step| step.timeout);
            the.rows[row_at].state = State::Asking(timeout.map(|timeout| at.saturating_add(timeout)));
        } else {
            self.order += 1;
            self.set((task, row_at), State::Ready(self.order));
        }
        None
    }

    fn succeeded(&mut self, task: usize, row: usize, next: &mut VecDeque<Next>) {
        let the = &mut self.tasks[task];
        if let Some((parent, _)) = the.rows[row].instance {
            let is_of = |row: &&Row| row.instance.is_some_and(|(step, _)| step == parent);
            if the.rows.iter().filter(is_of).all(|row| matches!(row.state, State::Succeeded(_))) {
                the.rows[parent].state = State::Succeeded(None);
                next.push_back(Next::Succeeded(task, parent));
            }
            return;
        }
        for dependent in 0..the.rows.len() {
            let waits = the.step(dependent).filter(|_| the.rows[dependent].instance.is_none());
            let waits = waits.is_some_and(|step| step.depends_on.iter().any(|on| on.position() == row));
            if waits && the.rows[dependent].state == State::Waiting && the.waits_for(dependent) == 0 {
                next.push_back(Next::Begin(task, dependent));
            }
        }
    }

    /// Steps end with their instances, and tasks with their steps.
    fn finish(&mut self, at: WallTime) {
        for the in &mut self.tasks {
            for parent in 0..the.rows.len() {
                let is_of = |row: &&Row| row.instance.is_some_and(|(step, _)| step == parent);
                let has_ended = |row: &Row| matches!(row.state, State::Succeeded(_) | State::Dead | State::Cancelled);
                if the.rows[parent].state == State::Expanded && the.rows.iter().filter(is_of).all(has_ended) {
                    the.rows[parent].state = if the.cancel.is_some() { State::Cancelled } else { State::Dead };
                }
            }
            if the.ended.is_none() && the.is_over() {
                let has_succeeded = the.rows.iter().all(|row| matches!(row.state, State::Succeeded(_)));
                let status = match (has_succeeded, the.cancel) {
                    (true, _) => Status::Succeeded,
                    (false, Some(_)) => Status::Cancelled,
                    (false, None) => Status::Dead,
                };
                the.ended = Some((at, status));
            }
        }
    }
}
