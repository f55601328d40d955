//! What was made of schedules: TASK-5.
//!
//! The schedules count what they fired and what they missed; the tasks that are there say by their names of which due time each
//! is. Both are counted over all shards when the run is over, whoever owned them in between and whatever their clocks showed.

use super::super::{MeshChecks, TASK_5};
use crate::check::Findings;
use crate::clock::HostClock;
use crate::mesh::clients::shards::schedules;
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use relaymesh_core::replication::Service;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::state::{Answer as Said, task_query};
use relaymesh_core::task::answer::{Answer as Told, Query, Refusal};
use relaymesh_core::task::command::Scheduled;
use relaymesh_core::task::schedule::{MISSED_MAX, Schedule};
use relaymesh_core::task::view::ScheduleView;
use relaymesh_core::task::workflow::Name;
use relaymesh_core::time::{Duration, WallTime};

/// Due times that are looked at, from the last one that fired on, backwards.
const LOOKED_AT_MAX: u64 = 20_000;

/// Due times without a task before the first one that counts, where it is not known when a schedule was said.
const GAP_MAX: u64 = 64;

/// What clients have said of schedules.
#[derive(Debug)]
pub(super) struct Schedules {
    is_on: bool,
    /// When each was said first, in true time.
    said: BTreeMap<Name, TrueTime>,
}

impl Schedules {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, said: BTreeMap::new() }
    }

    pub(super) fn said(&mut self, name: &Name, now: TrueTime) {
        self.said.entry(name.clone()).or_insert(now);
    }

    /// When a schedule was said, by clocks that are right.
    fn since(&self, name: &Name) -> Option<WallTime> {
        self.said.get(name).map(|said| HostClock::new(Duration::ZERO).wall(*said))
    }
}

/// What is wrong with what was made of a schedule, which was said then, if that is known.
fn problem(view: &ScheduleView, since: Option<WallTime>, has_task: impl Fn(WallTime) -> bool) -> Option<String> {
    let (Schedule::Every { period, .. }, Some((last, _))) = (&view.schedule, view.last) else {
        return (view.fired > 0).then(|| format!("has fired {} times, and not last", view.fired));
    };
    let (mut tasks, mut skipped, mut gap, mut first) = (0, 0, 0, last);
    for back in 0..LOOKED_AT_MAX {
        let Some(due) = period.as_nanos().checked_mul(back).and_then(|span| last.as_unix_nanos().checked_sub(span))
        else {
            break;
        };
        let due = WallTime::from_unix_nanos(due);
        match has_task(due) {
            false => gap += 1,
            true => {
                (first, tasks, skipped) = (due, tasks + 1, skipped + u64::min(gap, MISSED_MAX.into()));
                gap = 0;
            }
        }
        // A task of which nobody knows may be before all others.
        let is_before = |since: WallTime| due < since && tasks >= view.fired;
        if since.map_or(tasks == view.fired && gap >= GAP_MAX, is_before) {
            break;
        }
    }
    if tasks != view.fired {
        return Some(format!("has fired {} times, and there are tasks of {tasks} due times", view.fired));
    }
    // What it missed before it fired first has no task in front of it.
    let waited = since.map_or(u64::MAX, |since| first.as_unix_nanos().saturating_sub(since.as_unix_nanos()));
    let before_first = u64::min(waited / period.as_nanos(), MISSED_MAX.into());
    let is_counted = (skipped..=skipped + before_first).contains(&view.missed);
    (!is_counted).then(|| format!("says that it missed {}, and of {skipped} between others there is none", view.missed))
}

impl MeshChecks {
    /// TASK-5: each due time has fired once, or is counted as missed.
    pub(in super::super) fn check_schedules(&mut self, found: &mut Findings) {
        let shards = &self.shards;
        if !shards.schedules.is_on || !shards.tasks.is_watched() {
            return;
        }
        let Some(namespace) = shards.all().next().map(|shard| shard.namespace) else { return };
        let count = shards.all().count() as u32;
        let read = |id: &SubmissionId, query: &Query| {
            let state = shards.digests.newest(&ShardId::of_submission(namespace, count, id))?;
            match state.service().read(&task_query(query).0) {
                Said::Tasks(told) => Some(told),
                Said::Registers(_) => None,
            }
        };
        let has_task = |id: SubmissionId| {
            let told = read(&id, &Query::Task { task: id, from: u32::MAX });
            !matches!(told, Some(Told::Refused(Refusal::NoTask)))
        };
        let mut fired = 0;
        for Scheduled { name, submit, .. } in schedules(&namespace) {
            let told = read(&Scheduled::id(&namespace, &name), &Query::Schedules { after: None });
            let Some(Told::Schedules { schedules, .. }) = told else { continue };
            let Some(view) = schedules.iter().find(|view| view.name == name) else { continue };
            fired += view.fired;
            let since = shards.schedules.since(&name).filter(|_| shards.times.are_clocks_right());
            if let Some(what) = problem(view, since, |due| has_task(submit.id.of_time(due))) {
                found.fail(TASK_5, &[], format!("schedule {name} {what}: {view:?}"));
            }
        }
        self.exercised.task_5 += fired;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(seconds: u64) -> WallTime {
        WallTime::from_unix_nanos(seconds * 1_000_000_000)
    }

    /// One that is due every ten seconds, and fired last at 1,100 s.
    fn view(fired: u64, missed: u64) -> ScheduleView {
        ScheduleView {
            name: Name::new("s").unwrap(),
            schedule: Schedule::every(Duration::from_secs(10), second(0)).unwrap(),
            what: None,
            unique: None,
            next: None,
            is_over: false,
            is_paused: true,
            fired,
            missed,
            last: Some((second(1_100), SubmissionId::from_bytes([1; 16]))),
        }
    }

    fn finds(fired: u64, missed: u64, tasks: &[u64]) -> Option<String> {
        problem(&view(fired, missed), Some(second(1_035)), |due| tasks.iter().any(|task| second(*task) == due))
    }

    #[test]
    fn task_5_is_silent_where_each_due_time_fired_once_or_is_counted() {
        assert_eq!(finds(3, 0, &[1_080, 1_090, 1_100]), None);
        assert_eq!(finds(2, 3, &[1_060, 1_100]), None);
        assert_eq!(finds(2, 5, &[1_060, 1_100]), None, "two before the first");
        assert_eq!(finds(2, 100, &[10, 1_100]), None, "who was away for long counts no further");
        assert_eq!(problem(&ScheduleView { last: None, ..view(0, 0) }, None, |_| false), None);
        let far = problem(&view(1, 50), None, |due| due == second(1_100));
        assert_eq!(far, None, "by a clock of which nothing is known");
    }

    #[test]
    fn task_5_finds_what_fired_twice_what_was_lost_and_what_nobody_counted() {
        let twice = finds(4, 0, &[1_080, 1_090, 1_100]).unwrap();
        assert!(twice.contains("fired 4 times") && twice.contains("3 due times"), "{twice}");
        assert!(finds(3, 0, &[1_080, 1_100]).unwrap().contains("2 due times"), "its task was lost");
        assert!(finds(2, 0, &[1_060, 1_080, 1_090, 1_100]).unwrap().contains("4 due times"), "and of two nobody knows");
        assert!(finds(2, 2, &[1_060, 1_100]).unwrap().contains("missed 2"));
        assert!(finds(2, 6, &[1_060, 1_100]).unwrap().contains("missed 6"), "it was not there before 1,035 s");
    }
}
