//! What holds of the rows at any time, found by looking at all of them.

use super::super::rows::{Chore, ClassId, OF_TASK, StepRow, StepState, TaskRow};
use super::super::{StepKey, TaskNumber, Tasks};
use super::pieces::{read_back, referred};
use crate::blob::BlobAddress;
use crate::replication::blobs::BlobTable;
use crate::task::payload::Payload;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Panics where something that follows from the rows is not as they say.
pub(super) fn holds(tasks: &Tasks, blobs: &BlobTable) {
    assert_eq!(
        read_back(tasks).as_ref(),
        Ok(tasks),
        "what is read back has the same rows, and the same follows from them"
    );
    for (number, row) in tasks.tables.tasks.live() {
        task_holds(tasks, *number, row);
    }
    let is_homeless = |key: &&StepKey| tasks.tables.tasks.get(&key.task).is_none();
    assert_eq!(tasks.tables.steps.live().keys().find(is_homeless), None, "a step is of a task");
    assert_eq!(tasks.tables.chores.live().keys().find(is_homeless), None, "a chore is of a task");
    classes_hold(tasks);
    workers_hold(tasks);
    references_hold(tasks, blobs);
}

fn rows_of(tasks: &Tasks, number: TaskNumber) -> Vec<(u32, &StepRow)> {
    let first = StepKey { task: number, row: 0 };
    let rows = tasks.tables.steps.live().range(first..).take_while(|(key, _)| key.task == number);
    rows.map(|(key, row)| (key.row, &**row)).collect()
}

fn task_holds(tasks: &Tasks, number: TaskNumber, task: &TaskRow) {
    let chore = tasks.tables.chores.get(&StepKey { task: number, row: OF_TASK });
    if let Some(Chore::Purge { .. }) = chore {
        return assert!(task.ended.is_some(), "only what has ended goes");
    }
    let rows = rows_of(tasks, number);
    let active = rows.iter().filter(|(_, row)| row.state.is_active()).count() + usize::from(chore.is_some());
    assert_eq!(task.active as usize, active, "{number}: what is to be waited for");
    assert_eq!(task.active == 0, task.ended.is_some(), "{number}: it ends when nothing is to be waited for");
    let succeeded = rows.iter().filter(|(_, row)| matches!(row.state, StepState::Succeeded(_))).count();
    assert_eq!(task.left as usize, task.rows as usize - succeeded, "{number}: what has not succeeded");
    let defined = task.flow.as_ref().map_or(1, |flow| flow.workflow.steps.len());
    let eachs = || rows.iter().filter_map(|(_, row)| row.each.as_deref().filter(|each| each.first > 0));
    assert_eq!(rows.len(), defined + eachs().map(|each| each.made as usize).sum::<usize>(), "{number}: rows there are");
    assert_eq!(task.rows as usize, defined + eachs().map(|each| each.count as usize).sum::<usize>(), "{number}: rows");
    for (at, row) in &rows {
        step_holds(tasks, StepKey { task: number, row: *at }, task, row, &rows);
    }
}

fn step_holds(tasks: &Tasks, key: StepKey, task: &TaskRow, row: &StepRow, rows: &[(u32, &StepRow)]) {
    let is_replayed = matches!(
        tasks.tables.chores.get(&StepKey { row: OF_TASK, ..key }),
        Some(Chore::Replay { .. } | Chore::Begin { .. })
    );
    let defined = task.definition(row, key.row).filter(|_| row.instance.is_none());
    if let StepState::Waiting { left } = row.state {
        let missing = |on: u32| rows.iter().any(|(at, row)| *at == on && !matches!(row.state, StepState::Succeeded(_)));
        let expected = defined.map_or(0, |step| step.depends_on.iter().filter(|on| missing(u32::from(on.0))).count());
        assert_eq!(usize::from(left), expected, "{key} waits for as many");
        assert!(left > 0 || is_replayed || task.cancel().is_some(), "{key} waits for nothing, and does not begin");
    }
    let Some(each) = row.each.as_deref().filter(|each| each.first > 0) else {
        return assert_ne!(row.state, StepState::Expanded, "{key} has instances");
    };
    let instances: Vec<&StepRow> = rows.iter().map(|(_, row)| *row).filter(|row| is_of(row, key.row)).collect();
    assert_eq!(instances.len(), each.made as usize, "{key}: instances that are there");
    let succeeded = instances.iter().filter(|row| matches!(row.state, StepState::Succeeded(_))).count();
    let lost = instances.iter().filter(|row| matches!(row.state, StepState::Dead | StepState::Cancelled)).count();
    assert_eq!(each.succeeded as usize, succeeded, "{key}: instances that have succeeded");
    let is_expanding = tasks.tables.chores.get(&key).is_some();
    let is_whole = each.made == each.count || task.cancel().is_some();
    assert!(is_whole || is_expanding, "{key}: instances are still made");
    if !is_expanding {
        assert_eq!(each.lost as usize, lost + (each.count - each.made) as usize, "{key}: instances that are lost");
        let is_open = each.succeeded + each.lost < each.count;
        let is_held = is_replayed || task.cancel().is_some();
        assert!(row.state != StepState::Expanded || is_open || is_held, "{key} ends with its instances");
    }
}

fn is_of(row: &StepRow, parent: u32) -> bool {
    row.instance.is_some_and(|(of, _)| u32::from(of.0) == parent)
}

fn classes_hold(tasks: &Tasks) {
    let mut counted: BTreeMap<ClassId, u64> = BTreeMap::new();
    for row in tasks.tables.steps.live().values().filter(|row| row.class != ClassId::NONE) {
        *counted.entry(row.class).or_default() += 1;
    }
    let known: BTreeMap<ClassId, u64> =
        tasks.tables.classes.live().iter().map(|(class, row)| (*class, row.steps)).collect();
    assert_eq!(known, counted, "steps of each class");
}

fn workers_hold(tasks: &Tasks) {
    for row in tasks.tables.steps.live().values() {
        let Some(running) = row.running() else { continue };
        let newest = tasks.tables.workers.get(&running.worker).map(|worker| worker.number);
        assert!(newest >= Some(running.number), "who has something is known");
        assert!(row.settled != Some(running.fence.epoch()), "what runs is not committed");
    }
}

fn references_hold(tasks: &Tasks, blobs: &BlobTable) {
    let outputs = tasks.tables.steps.live().values().filter_map(|row| match &row.state {
        StepState::Succeeded(output) => output.as_ref().and_then(Payload::blob),
        _ => None,
    });
    let inputs = tasks.tables.tasks.live().values().filter_map(|task| task.input.as_ref().and_then(Payload::blob));
    let mut counted: Vec<BlobAddress> = outputs.chain(inputs).collect();
    counted.sort_unstable();
    assert_eq!(referred(tasks), counted, "what a snapshot says it refers to");
    let known = blobs.rows().flat_map(|(address, row)| (0..row.references).map(|_| *address));
    assert_eq!(known.collect::<Vec<_>>(), counted, "what is known to be referred to");
}
