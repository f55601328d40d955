//! Figures of the control group: for how long nobody leads, or nobody holds a scope.
//!
//! Operators let one node lead and one hold everything; one of the two, or both in one, is killed at an instant that
//! the seed draws. Clients ask again after milliseconds, so that what they are told comes that soon after it could have.

use super::checks::Record;
use super::measure::{COUNT_FROM, Experiment, Setting, millis};
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
    match experiment {
        Experiment::Steady => return steady(nodes, profile),
        Experiment::FewScopes => return scopes(20, profile),
        Experiment::ManyScopes => return scopes(1_000, profile),
        _ => {}
    }
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
    parsed(&text)
}

fn parsed(text: &str) -> Scenario {
    match parse(text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// An hour with a bad network and short stops.
fn steady(nodes: u32, profile: &str) -> Scenario {
    parsed(&format!(
        "name = \"measure-steady\"\nabout = \"Figures of the control group.\"\ntags = [\"measure\"]\nsubject = \"mesh\"\n\
         version = 1\nnodes = {nodes}\n[phases]\nsafety = \"3600s\"\nliveness = \"15s\"\n[clocks]\nrate = \"200ppm\"\n\
         [mesh]\nprofile = \"{profile}\"\nstart = \"0s..500ms\"\n\
         [control]\nvoters = 3\nscopes = 0\nactors = 1\nlate = \"0%\"\nregisters = 1\nwriters = 0\n\
         pace = \"100ms..300ms\"\narrange_at = \"5s\"\nleader = 1\nholder = 0\n\
         [[fault]]\nkind = \"loss\"\nnodes = \"all\"\nat = \"0s\"\nlasts = \"2h\"\nshare = \"1%\"\n\
         [[fault]]\nkind = \"pause\"\nnodes = 1\nat = \"{FROM}s..3590s\"\nlasts = \"100ms\"\ntimes = 1000\n",
    ))
}

/// Twenty nodes, all of which want every scope.
fn scopes(count: u32, profile: &str) -> Scenario {
    parsed(&format!(
        "name = \"measure-scopes\"\nabout = \"Figures of the control group.\"\ntags = [\"measure\"]\nsubject = \"mesh\"\n\
         version = 1\nnodes = 20\n[phases]\nsafety = \"180s\"\nliveness = \"40s\"\n\
         [mesh]\nprofile = \"{profile}\"\nstart = \"0s..500ms\"\n\
         [control]\nvoters = 3\nscopes = {}\ncandidates = 20\nactors = 1\nlate = \"0%\"\nwriters = 0\nregisters = 1\n\
         pace = \"100ms..300ms\"\n",
        count - 1,
    ))
}

/// When a steady group is looked at from, in seconds.
const FROM: u64 = 15;

/// How often the group has changed its term, and the scope its holder, while nothing failed.
fn failovers(record: &Record) -> Vec<(&'static str, Option<f64>)> {
    let from = TrueTime(0) + Duration::from_secs(FROM);
    let mut terms: Vec<u64> = record.statuses.iter().filter(|(at, ..)| *at > from).map(|(_, term, _)| *term).collect();
    terms.sort_unstable();
    terms.dedup();
    let holders: Vec<u32> = record.acts.iter().filter(|(at, _)| *at > from).map(|(_, host)| *host).collect();
    let changes = holders.windows(2).filter(|pair| pair[0] != pair[1]).count();
    vec![
        ("false_leader_changes", Some(terms.len().saturating_sub(1) as f64)),
        ("false_holder_changes", Some(changes as f64)),
    ]
}

/// What it costs to hold them, once each has its holder.
fn upkeep(experiment: Experiment, record: &Record) -> Vec<(&'static str, Option<f64>)> {
    let span = |at: TrueTime| at > TrueTime(0) + Duration::from_secs(COUNT_FROM);
    let applied = || record.statuses.iter().filter(|(at, ..)| span(*at)).map(|(.., applied)| *applied);
    let entries = applied().min().zip(applied().max()).map(|(first, last)| (last - first) as f64);
    let seconds = (180 + 40 - COUNT_FROM) as f64;
    let packets = record.packets.iter().sum::<u64>() as f64 / 20.0 / seconds;
    match experiment {
        Experiment::FewScopes => {
            vec![("entries_with_20_scopes", entries), ("packets_per_second_with_20_scopes", Some(packets))]
        }
        _ => vec![("entries_with_1000_scopes", entries), ("packets_per_second_with_1000_scopes", Some(packets))],
    }
}

/// What a run has shown.
pub(super) fn figures(experiment: Experiment, record: &Record) -> Vec<(&'static str, Option<f64>)> {
    let since = |from: TrueTime| move |at: TrueTime| millis(at.since(from));
    let commits = |from: TrueTime| record.commits.iter().copied().find(|at| *at > from + UNDER_WAY);
    let held = |from: TrueTime| held_by_another(record, from);
    let figure = match experiment {
        Experiment::Steady => return failovers(record),
        Experiment::FewScopes | Experiment::ManyScopes => return upkeep(experiment, record),
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
