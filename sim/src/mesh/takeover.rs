//! Figures of shards: for how long nothing is acknowledged, after a crash or while a shard is handed over.
//!
//! Operators let one node own the shard, and the same or another one lead the control group; who owns is killed at an instant
//! that the seed draws. Clients ask again after milliseconds, so that what they are told comes that soon after it could have.

use super::checks::Record;
use super::cut_over;
use super::measure::{Experiment, Setting, millis};
use crate::scenario::{Scenario, parse};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// Who owns, and is killed.
const VICTIM: u32 = 1;
/// When, at the earliest, in seconds.
const AT: u64 = 10;
/// Answers that had left before the crash arrive within that time.
const UNDER_WAY: Duration = Duration::from_millis(20);
/// Acknowledgements before and after a hand-over among which the longest gap is looked for.
const BEFORE: Duration = Duration::from_millis(50);
/// By then the victim owns the shard.
const ARRANGED: Duration = Duration::from_secs(9);
const AFTER: Duration = Duration::from_secs(1);

/// The scenario of an experiment.
///
/// # Panics
/// When `setting` is not one a scenario can have: three nodes, all of which vote and hold copies.
pub(super) fn scenario(experiment: Experiment, setting: Setting) -> Scenario {
    let Setting { nodes, metadata_bytes, profile } = setting;
    let leader = if experiment == Experiment::OwnerAndLeaderCrash { VICTIM } else { 0 };
    let kill =
        || format!("[[fault]]\nkind = \"kill\"\nnodes = [{VICTIM}]\nat = \"{AT}s..{}s\"\nlasts = \"1h\"\n", AT + 1);
    if matches!(experiment, Experiment::CutOver | Experiment::CutOverBadClocks) {
        return cut_over::scenario(experiment, setting);
    }
    let (hand_overs, fault) = match experiment {
        Experiment::ShardHandOver => (1, String::new()),
        Experiment::Drain => (
            0,
            format!(
                "[placement]\ndrains = 1\ndrained = {VICTIM}\n[[fault]]\nkind = \"join\"\nnodes = [{nodes}]\nat = \"7s\"\n"
            ),
        ),
        _ => (0, kill()),
    };
    // Where a node is drained another has to take its copy: one that comes later, so that the first ones have all copies.
    let (nodes, late) = match experiment {
        Experiment::Drain => (nodes + 1, format!("late = [{nodes}]\n")),
        _ => (nodes, String::new()),
    };
    let text = format!(
        "name = \"measure-{}\"\nabout = \"Figures of shards.\"\ntags = [\"measure\"]\nsubject = \"mesh\"\n\
         nodes = {nodes}\n[phases]\nsafety = \"17s\"\nliveness = \"15s\"\n[clocks]\nrate = \"200ppm\"\n\
         [mesh]\nprofile = \"{profile}\"\nmetadata_bytes = {metadata_bytes}\nstart = \"0s..500ms\"\n{late}\
         [control]\nvoters = 3\nscopes = 0\nactors = 1\nwriters = 0\narrange_at = \"5s\"\nleader = {leader}\nholder = {leader}\n\
         [shards]\nshards = 1\nclients = 16\nthink = \"1ms..3ms\"\ntimeout = \"500ms\"\nreads = \"10%\"\n\
         hand_overs = {hand_overs}\narrange_at = \"6s\"\nowner = {VICTIM}\n{fault}",
        experiment.name(),
    );
    match parse(&text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// What a run has shown.
pub(super) fn figures(experiment: Experiment, record: &Record) -> Vec<(&'static str, Option<f64>)> {
    let first = |from: TrueTime| record.acknowledged.iter().copied().find(|at| *at > from + UNDER_WAY);
    let after_crash = record.killed_at.and_then(|from| first(from).map(|at| millis(at.since(from))));
    let successor = |from: TrueTime| record.tenures.iter().find(|(at, ..)| *at > from);
    let to_owner = || record.killed_at.and_then(|from| successor(from).map(|(at, ..)| millis(at.since(from))));
    match experiment {
        Experiment::OwnerCrash => {
            vec![("owner_crash_to_owner", to_owner()), ("owner_crash_to_first_ack", after_crash)]
        }
        Experiment::OwnerAndLeaderCrash => {
            let owner = ("owner_and_leader_crash_to_owner", to_owner());
            vec![owner, ("owner_and_leader_crash_to_first_ack", after_crash)]
        }
        Experiment::Drain => {
            let last = record.tenures.iter().rev().find(|(at, ..)| *at > TrueTime(0) + ARRANGED);
            vec![("drain_gap", last.and_then(|(at, ..)| longest_gap(record, *at)))]
        }
        Experiment::CutOver | Experiment::CutOverBadClocks => cut_over::figures(experiment, record),
        _ => vec![("hand_over_gap", record.hand_overs_of_shards.last().and_then(|at| longest_gap(record, *at)))],
    }
}

/// The longest time without an acknowledgement around a hand-over.
fn longest_gap(record: &Record, asked_at: TrueTime) -> Option<f64> {
    let is_near = |at: &&TrueTime| **at + BEFORE >= asked_at && **at <= asked_at + AFTER;
    let near: Vec<TrueTime> = record.acknowledged.iter().filter(is_near).copied().collect();
    near.windows(2).map(|pair| pair[1].since(pair[0])).max().map(millis)
}
