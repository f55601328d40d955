//! Schedules: what recurs, and what was made of it (rule T12).
//!
//! When something is due next, the owner works out, by its wall clock and the time zones that it knows; here it is only written
//! down, and what does not follow upon what is written does nothing.

use super::submit::check;
use super::tables::Tables;
use super::{At, SCHEDULES_MAX};
use crate::replication::once::SubmissionId;
use crate::task::answer::{Answer, ROWS_SHOWN_MAX, Refusal};
use crate::task::command::{Fire, Scheduled, Submit};
use crate::task::payload::{INLINE_BYTES_MAX, Payload};
use crate::task::schedule::Schedule;
use crate::task::view::ScheduleView;
use crate::task::word::Word;
use crate::task::workflow::Name;
use crate::time::WallTime;
use alloc::boxed::Box;
use core::ops::Bound;
use serde::{Deserialize, Serialize};

/// What recurs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ScheduleRow {
    pub(super) schedule: Schedule,
    /// What is made, under a name of its own for each due time.
    submit: Box<Submit>,
    /// The entry that said last what is to be; what was worked out from what was said before does nothing.
    version: u64,
    is_paused: bool,
    next: Next,
    /// The newest due time that was made something of: none is twice, whatever clocks show.
    last: Option<(WallTime, SubmissionId)>,
    fired: u64,
    missed: u64,
}

/// What it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Next {
    /// For its owner to say when it is due.
    Unknown,
    /// For that time.
    At(WallTime),
    /// For nothing: it is not due any more.
    Never,
}

/// A schedule, as its owner sees it.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Its name.
    pub name: &'a Name,
    /// When it is due.
    pub schedule: &'a Schedule,
    /// Names what was said of it, in its shard.
    pub version: u64,
    /// What it waits for, as far as that is known.
    pub due: Option<WallTime>,
    /// What is due up to then was made something of.
    pub last: Option<WallTime>,
}

impl ScheduleRow {
    /// Its place among those that wait for the owner; nothing for one that does not.
    pub(super) fn due(&self) -> Option<(WallTime, u64)> {
        let due = match self.next {
            Next::Unknown => WallTime::from_unix_nanos(0),
            Next::At(due) => due,
            Next::Never => return None,
        };
        (!self.is_paused).then_some((due, self.version))
    }

    pub(super) fn waiting<'a>(&'a self, name: &'a Name) -> Waiting<'a> {
        Waiting {
            name,
            schedule: &self.schedule,
            version: self.version,
            due: self.known(),
            last: self.last.map(|(last, _)| last),
        }
    }

    fn known(&self) -> Option<WallTime> {
        match self.next {
            Next::At(due) => Some(due),
            Next::Unknown | Next::Never => None,
        }
    }

    /// Whether what the owner has worked out follows upon what is written, and was not worked out too early.
    fn is_followed_by(&self, at: At, fire: &Fire) -> bool {
        let waits_for = match self.next {
            Next::Unknown => None,
            Next::At(due) => Some(due),
            Next::Never => return false,
        };
        let is_new = |time: WallTime| self.last.is_none_or(|(last, _)| last < time);
        let follows = match (waits_for, fire.fires) {
            (None, fires) => fires.is_none() && fire.next.is_none_or(is_new),
            (Some(due), Some(fires)) => {
                due <= fires && fires <= at.wall && is_new(fires) && fire.next.is_none_or(|next| fires < next)
            }
            (Some(_), None) => false,
        };
        follows && !self.is_paused && (self.version, waits_for) == (fire.version, fire.due)
    }

    /// The task of one due time. Where only one may be open at a time, all of them are in one shard.
    fn task(&self, due: WallTime) -> Submit {
        let id = self.submit.id.of_time(due);
        let id = if self.submit.unique.is_some() { id.beside(&self.submit.id) } else { id };
        Submit { id, not_before: None, ..(*self.submit).clone() }
    }
}

impl Tables {
    /// Said again it changes nothing; otherwise it takes the place of what was said under that name.
    pub(super) fn schedule(&mut self, at: At, scheduled: Scheduled) -> Result<Answer, Refusal> {
        let Scheduled { name, schedule, submit } = scheduled;
        check(&submit)?;
        // It is not known yet which shards would have to have the blob.
        if submit.input.as_ref().is_some_and(|input| !matches!(input, Payload::Inline(_))) {
            return Err(Refusal::TooMuch { what: "the input of a schedule".into(), limit: INLINE_BYTES_MAX as u64 });
        }
        let before = self.schedules.get(&name);
        if before.is_some_and(|row| (&row.schedule, &row.submit) == (&schedule, &submit)) {
            return Ok(Answer::Done { has_more: false });
        }
        if before.is_none() && self.schedules.live().len() >= SCHEDULES_MAX {
            return Err(Refusal::TooMuch { what: "the number of schedules".into(), limit: SCHEDULES_MAX as u64 });
        }
        let row = ScheduleRow {
            schedule,
            submit,
            version: at.number.0.0,
            is_paused: before.is_some_and(|row| row.is_paused),
            next: Next::Unknown,
            last: before.and_then(|row| row.last),
            fired: before.map_or(0, |row| row.fired),
            missed: before.map_or(0, |row| row.missed),
        };
        self.set_schedule(name, Some(row));
        Ok(Answer::Done { has_more: false })
    }

    pub(super) fn unschedule(&mut self, name: Name) -> Result<Answer, Refusal> {
        self.schedules.get(&name).ok_or(Refusal::NoSchedule)?;
        self.set_schedule(name, None);
        Ok(Answer::Done { has_more: false })
    }

    /// What becomes due during a pause is not made up for.
    pub(super) fn pause_schedule(&mut self, at: At, name: Name, is_paused: bool) -> Result<Answer, Refusal> {
        let row = self.schedules.get(&name).ok_or(Refusal::NoSchedule)?;
        if row.is_paused != is_paused {
            let row = ScheduleRow { is_paused, version: at.number.0.0, next: Next::Unknown, ..row.clone() };
            self.set_schedule(name, Some(row));
        }
        Ok(Answer::Done { has_more: false })
    }

    /// A due time has come, or it is known which one is next.
    pub(super) fn fire(&mut self, at: At, fire: Fire) -> Answer {
        let Some(row) = self.schedules.get(&fire.name).filter(|row| row.is_followed_by(at, &fire)) else {
            return Answer::Done { has_more: false };
        };
        let mut row = row.clone();
        row.next = fire.next.map_or(Next::Never, Next::At);
        if let Some(due) = fire.fires {
            let task = row.task(due);
            row.last = Some((due, task.id));
            row.fired = row.fired.saturating_add(1);
            row.missed = row.missed.saturating_add(u64::from(fire.missed));
            self.post(Word::Submit(Box::new(task)));
        }
        self.set_schedule(fire.name, Some(row));
        Answer::Done { has_more: false }
    }

    fn set_schedule(&mut self, name: Name, row: Option<ScheduleRow>) {
        if let Some(due) = self.schedules.get(&name).and_then(ScheduleRow::due) {
            self.recurring.remove(&due);
        }
        match row {
            Some(row) => {
                self.index_schedule(&name, &row);
                self.schedules.insert(name, row);
            }
            None => drop(self.schedules.remove(&name)),
        }
    }

    /// What follows from a schedule's row.
    pub(super) fn index_schedule(&mut self, name: &Name, row: &ScheduleRow) {
        self.recurring.extend(row.due().map(|due| (due, name.clone())));
    }

    /// In the order of their names.
    pub(super) fn show_schedules(&self, after: Option<&Name>) -> Answer {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = self.schedules.live().range::<Name, _>((from, Bound::Unbounded));
        let schedules = rows.by_ref().take(ROWS_SHOWN_MAX).map(|(name, row)| row.view(name)).collect();
        Answer::Schedules { schedules, has_more: rows.next().is_some() }
    }
}

impl ScheduleRow {
    fn view(&self, name: &Name) -> ScheduleView {
        ScheduleView {
            name: name.clone(),
            schedule: self.schedule.clone(),
            what: self.submit.what.name().cloned(),
            unique: self.submit.unique.clone(),
            next: self.known(),
            is_over: self.next == Next::Never,
            is_paused: self.is_paused,
            fired: self.fired,
            missed: self.missed,
            last: self.last,
        }
    }
}
