//! What waits for its time, and chores (rules T5, T13).

use super::graph::Follow;
use super::rows::{Chore, OF_TASK, StepState};
use super::tables::Tables;
use super::{At, StepKey, TaskNumber, WORK_MAX};
use crate::replication::blobs::References;
use crate::task::answer::Answer;
use crate::task::payload::Payload;
use crate::task::view::Happened;
use crate::time::Duration;

/// Tasks of which one entry finds that their retention is over.
const LEAVING_MAX: usize = 64;

impl Tables {
    pub(super) fn due(&mut self, at: At, blobs: &mut References<'_>) -> Answer {
        let mut room = WORK_MAX;
        self.begin_spans_anew(at, &mut room);
        let mut follow = Follow::new(at);
        while room > 0
            && let Some(key) = self.first_delayed(at.wall)
        {
            room -= 1;
            // Out of those that are delayed, whatever it comes to.
            self.turn(key, StepState::Waiting { left: 0 });
            follow.go(key);
        }
        while room > 0
            && let Some(key) = self.first_unanswered(at.wall)
        {
            room -= 1;
            match self.is_cancelled(key.task) {
                true => follow.cancel(self, key),
                false => follow.die(self, key, Some("nobody answered in time".into())),
            }
        }
        follow.all(self);
        for _ in 0..LEAVING_MAX {
            let Some(task) = self.first_leaving(at.wall) else { break };
            self.begin_purge(task);
        }
        self.due_of_limits(at, &mut room);
        let mut follow = Follow::new(at);
        while room > 0
            && let Some((key, chore)) = self.chores.live().first_key_value().map(|(key, chore)| (*key, chore.clone()))
        {
            // A look at a chore costs something, too.
            room -= 1;
            self.go_on(key, chore, &mut room, &mut follow, blobs);
        }
        follow.all(self);
        let has_more = !self.chores.live().is_empty() || self.next_due(at.wall).is_some_and(|due| due <= at.wall);
        Answer::Done { has_more }
    }

    /// The clock was ahead when these began to wait, and was put right, or another owner's is: the span begins anew. So it is
    /// never cut short, and is waited for twice at most, instead of for as long as the clock was ahead.
    fn begin_spans_anew(&mut self, at: At, room: &mut usize) {
        while *room > 0
            && let Some(key) = self.delayed_ahead(at.wall)
            && let Some(StepState::Delayed { due, since: Some(since) }) = self.steps.get(&key).map(|row| &row.state)
        {
            *room -= 1;
            let span = Duration::from_nanos(due.as_unix_nanos().saturating_sub(since.as_unix_nanos()));
            self.turn(key, StepState::delayed(at.wall, span));
        }
    }

    fn go_on(&mut self, key: StepKey, chore: Chore, room: &mut usize, follow: &mut Follow, blobs: &mut References<'_>) {
        let rows = self.tasks.get(&key.task).map_or(0, |task| task.rows);
        let upto = |next: u32, room: &usize| rows.min(next.saturating_add(u32::try_from(*room).unwrap_or(u32::MAX)));
        let (next, is_done) = match chore {
            Chore::Expand => {
                let is_done = follow.make_instances(self, key, room);
                (Chore::Expand, is_done)
            }
            Chore::Cancel { next } => {
                let upto = upto(next, room);
                (next..upto).for_each(|row| self.cancel_row(StepKey { row, ..key }, follow));
                *room -= (upto - next) as usize;
                (Chore::Cancel { next: upto }, upto == rows)
            }
            Chore::Replay { next } => {
                let upto = upto(next, room);
                (next..upto).for_each(|row| self.replay_row(StepKey { row, ..key }, follow.at()));
                *room -= (upto - next) as usize;
                match upto == rows {
                    true => (Chore::Begin { next: 0, upto: rows }, false),
                    false => (Chore::Replay { next: upto }, false),
                }
            }
            Chore::Begin { next, upto: rows } => {
                let upto = rows.min(upto(next, room));
                let keys = (next..upto).map(|row| StepKey { row, ..key });
                let waits = |key: &StepKey| self.steps.get(key).is_some_and(|row| row.state.waits_for_nothing());
                keys.filter(waits).for_each(|key| follow.go(key));
                *room -= (upto - next) as usize;
                (Chore::Begin { next: upto, upto: rows }, upto == rows)
            }
            Chore::Purge { next } => {
                let upto = upto(next, room);
                (next..upto).for_each(|row| self.purge_row(&StepKey { row, ..key }, blobs));
                *room -= (upto - next) as usize;
                if upto == rows {
                    self.purge_task(key.task, blobs);
                }
                (Chore::Purge { next: upto }, upto == rows)
            }
        };
        match is_done {
            false => self.chores.insert(key, next),
            true => {
                self.chores.remove(&key);
                if let Chore::Cancel { .. } | Chore::Begin { .. } = next {
                    self.hold(key.task, false);
                    follow.touch(key.task);
                }
            }
        }
    }

    fn cancel_row(&mut self, key: StepKey, follow: &mut Follow) {
        match self.steps.get(&key).map(|row| &row.state) {
            Some(
                StepState::Delayed { .. } | StepState::Asking { .. } | StepState::Limited | StepState::Ready { .. },
            ) => {
                follow.cancel(self, key);
            }
            // A replay was under way.
            Some(state) if state.waits_for_nothing() => follow.cancel(self, key),
            Some(StepState::Expanded) => follow.resolve(self, key),
            _ => {}
        }
    }

    /// What is dead waits again. Steps come before their instances.
    fn replay_row(&mut self, key: StepKey, at: At) {
        let Some(row) = self.steps.get_mut(&key).filter(|row| row.state == StepState::Dead) else { return };
        row.attempts = 0;
        row.happened(at.wall, Happened::Replayed);
        let (has_instances, instance) = (row.each.as_deref().is_some_and(|each| each.made > 0), row.instance);
        if let Some((parent, _)) = instance
            && let Some(row) = self.steps.get_mut(&StepKey { row: u32::from(parent.0), ..key })
            && let Some(each) = &mut row.each
        {
            each.lost -= 1;
        }
        // Instances that have succeeded have.
        self.turn(key, if has_instances { StepState::Expanded } else { StepState::Waiting { left: 0 } });
    }

    /// The task goes, piece by piece.
    pub(super) fn begin_purge(&mut self, task: TaskNumber) {
        if let Some(row) = self.tasks.get(&task).cloned() {
            self.stays(task, &row);
        }
        self.chores.insert(StepKey { task, row: OF_TASK }, Chore::Purge { next: 0 });
    }

    fn purge_row(&mut self, key: &StepKey, blobs: &mut References<'_>) {
        if let Some(row) = self.remove_step(key)
            && let StepState::Succeeded(Some(output)) = &row.state
            && let Some(blob) = output.blob()
        {
            blobs.release(blob);
        }
    }

    fn purge_task(&mut self, task: TaskNumber, blobs: &mut References<'_>) {
        let input = self.tasks.get(&task).and_then(|row| row.input.as_ref().and_then(Payload::blob));
        self.remove_task(task);
        if let Some(blob) = input {
            blobs.release(blob);
        }
    }
}
