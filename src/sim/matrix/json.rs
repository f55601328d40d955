//! A matrix as scripts read it.

use super::judge::{OverExcused, Zero};
use super::tally::Failure;
use super::{Judgement, Tally};
use crate::output::per_second;
use crate::sim::files::Source;
use serde::Serialize;
use std::collections::BTreeMap;

/// A matrix as scripts get it.
#[derive(Serialize)]
pub(crate) struct Json<'a> {
    runs: u64,
    verdict: &'static str,
    events: u64,
    events_per_second: f64,
    wall_seconds: f64,
    jobs: usize,
    not_begun: usize,
    failed: Vec<JsonFailure<'a>>,
    unexercised: &'a [Zero],
    excuses: &'a [OverExcused],
    faults: BTreeMap<&'a str, u64>,
    exercised: BTreeMap<&'a str, u64>,
    by_scenario: Vec<JsonScenario<'a>>,
}

#[derive(Serialize)]
struct JsonFailure<'a> {
    scenario: &'a str,
    #[serde(flatten)]
    failure: &'a Failure,
    replay: String,
}

#[derive(Serialize)]
struct JsonScenario<'a> {
    scenario: &'a str,
    seeds: u64,
    held: u64,
    failed: u64,
    safety: u64,
    liveness: u64,
    events: u64,
    idle_wakes: u64,
    events_per_second: f64,
    simulated_seconds: f64,
    core_seconds: f64,
    faults: &'a BTreeMap<String, u64>,
    exercised: &'a BTreeMap<String, u64>,
    excuses_most: u64,
    excuses_max: u32,
}

impl<'a> Json<'a> {
    /// `not_begun` counts the runs for which the budget was too short.
    pub(crate) fn new(
        rows: &[(&'a Source, &'a Tally)],
        judged: &'a Judgement,
        (wall_seconds, jobs): (f64, usize),
        not_begun: usize,
        replay: impl Fn(&Source, u64) -> String,
    ) -> Self {
        let events = rows.iter().map(|(_, tally)| tally.events).sum();
        let failed = rows.iter().flat_map(|(source, tally)| {
            tally.failed.iter().map(|failure| JsonFailure {
                scenario: &source.scenario.name,
                failure,
                replay: replay(source, failure.seed),
            })
        });
        Self {
            runs: judged.runs,
            verdict: judged.verdict(),
            events,
            events_per_second: per_second(events, wall_seconds),
            wall_seconds,
            jobs,
            not_begun,
            failed: failed.collect(),
            unexercised: &judged.zeros,
            excuses: &judged.over_excused,
            faults: sum(rows.iter().map(|(_, tally)| &tally.faults)),
            exercised: sum(rows.iter().map(|(_, tally)| &tally.exercised)),
            by_scenario: rows.iter().map(|(source, tally)| JsonScenario::new(source, tally)).collect(),
        }
    }
}

impl<'a> JsonScenario<'a> {
    fn new(source: &'a Source, tally: &'a Tally) -> Self {
        Self {
            scenario: &source.scenario.name,
            seeds: tally.seeds,
            held: tally.held,
            failed: tally.broken(),
            safety: tally.safety,
            liveness: tally.liveness,
            events: tally.events,
            idle_wakes: tally.idle_wakes,
            events_per_second: tally.events_per_second(),
            simulated_seconds: tally.simulated_seconds,
            core_seconds: tally.core_seconds,
            faults: &tally.faults,
            exercised: &tally.exercised,
            excuses_most: tally.excuses_most,
            excuses_max: source.scenario.expect.excuses_max,
        }
    }
}

fn sum<'a>(all: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<&'a str, u64> {
    let mut sum = BTreeMap::new();
    for (name, count) in all.flatten() {
        *sum.entry(name.as_str()).or_default() += count;
    }
    sum
}
