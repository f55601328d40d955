//! Figures of the control group: for how long nobody leads, or nobody holds a scope.
//!
//! Operators let one node lead and one hold everything; one of the two, or both in one, is killed at an instant that
//! the seed draws. Clients ask again after milliseconds, so that what they are told comes that soon after it could have.

use super::checks::Record;
use super::measure::{Experiment, Setting, millis};
use crate::scenario::{Scenario, parse};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// Who is killed.
const VICTIM: u32 = 1;
/// When, at the earliest, in seconds.
const AT: u64 = 10;

/// The scenario of an experiment.
///
/// # Panics
/// When `setting` is not one a scenario can have: at least three nodes, the first of which vote.
pub(super) fn scenario(experiment: Experiment, setting: Setting) -> Scenario {
    let Setting { nodes, metadata_bytes, profile } = setting;
    let (leader, holder) = match experiment {
        Experiment::LeaderCrash => (VICTIM, 0),
        Experiment::HolderCrash => (0, VICTIM),
        _ => (VICTIM, VICTIM),
    };
    let (control, fault) = match experiment {
        Experiment::Handover => (format!("transfer_every = \"{AT}s\"\n"), String::new()),
        _ => (
            format!("arrange_at = \"5s\"\nleader = {leader}\nholder = {holder}\n"),
            format!("[[fault]]\nkind = \"kill\"\nnodes = [{VICTIM}]\nat = \"{AT}s..{}s\"\nlasts = \"1h\"\n", AT + 1),
        ),
    };
    let text = format!(
        "name = \"measure-{}\"\nabout = \"Figures of the control group.\"\ntags = [\"measure\"]\nsubject = \"mesh\"\n\
         version = 1\nnodes = {nodes}\n[phases]\nsafety = \"16s\"\nliveness = \"15s\"\n\
         [clocks]\nrate = \"200ppm\"\n\
         [mesh]\nprofile = \"{profile}\"\nmetadata_bytes = {metadata_bytes}\nstart = \"0s..500ms\"\n\
         [control]\nvoters = 3\nscopes = 0\nactors = 6\nlate = \"0%\"\nregisters = 4\nwriters = 4\n\
         pace = \"3ms..6ms\"\n{control}{fault}",
        experiment.name(),
    );
    match parse(&text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("the scenario of {experiment:?} with {setting:?}: {error}\n{text}"),
    }
}

/// What a run has shown.
pub(super) fn figures(experiment: Experiment, record: &Record) -> Vec<(&'static str, Option<f64>)> {
    let since = |from: TrueTime| move |at: TrueTime| millis(at.since(from));
    let commits = |from: TrueTime| record.commits.iter().copied().find(|at| *at > from + UNDER_WAY);
    let held = |from: TrueTime| held_by_another(record, from);
    let figure = match experiment {
        Experiment::LeaderCrash => {
            ("raft_leader_crash_to_first_commit", record.killed_at.and_then(|from| commits(from).map(since(from))))
        }
        Experiment::HolderCrash => {
            ("scope_holder_crash_to_held", record.killed_at.and_then(|from| held(from).map(since(from))))
        }
        Experiment::BothCrash => ("both_crash_to_held", record.killed_at.and_then(|from| held(from).map(since(from)))),
        _ => {
            let from = record.handovers.first().copied();
            ("planned_transfer_gap", from.and_then(|from| held(from).map(since(from))))
        }
    };
    vec![figure]
}

/// Answers that had left before the crash arrive within that time.
const UNDER_WAY: Duration = Duration::from_millis(20);

/// When somebody else than before first acts.
fn held_by_another(record: &Record, from: TrueTime) -> Option<TrueTime> {
    let (_, before) = record.acts.iter().rev().find(|(at, _)| *at <= from)?;
    record.acts.iter().find(|(at, host)| *at > from && host != before).map(|(at, _)| *at)
}
