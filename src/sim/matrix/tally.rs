//! Runs of one scenario, added up. What a campaign keeps on disk, and what `chaos` prints as JSON.

use crate::output::per_second;
use crate::sim::execute::{Executed, idle_wakes};
use relaymesh_sim::world::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Failed runs that are kept one by one; more are only counted.
const FAILURES_MAX: usize = 1_000;

/// Runs of one scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {
    /// Runs, one for each seed.
    pub(crate) seeds: u64,
    /// Those in which every invariant held.
    pub(crate) held: u64,
    /// Those that broke a safety invariant.
    pub(crate) safety: u64,
    /// Those that broke liveness only.
    pub(crate) liveness: u64,
    /// Events that were work.
    pub(crate) events: u64,
    /// Wakes after which nothing followed.
    pub(crate) idle_wakes: u64,
    /// Simulated time.
    pub(crate) simulated_seconds: f64,
    /// Time the runs took, each on its core.
    pub(crate) core_seconds: f64,
    /// How often each fault and each of its consequences came about.
    pub(crate) faults: BTreeMap<String, u64>,
    /// How often each invariant was put to the test.
    pub(crate) exercised: BTreeMap<String, u64>,
    /// The most excuses of one run.
    pub(crate) excuses_most: u64,
    /// Runs with more excuses than the scenario allows.
    pub(crate) over_excused: Vec<u64>,
    /// The runs that failed.
    pub(crate) failed: Vec<Failure>,
}

/// A run that failed, with the first promise it broke.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// Its seed.
    pub(crate) seed: u64,
    /// `safety` or `liveness`.
    pub(crate) verdict: String,
    /// The invariant.
    pub(crate) invariant: String,
    /// When.
    pub(crate) at_seconds: f64,
    /// Whose it is.
    pub(crate) nodes: Vec<u32>,
    /// What was seen and what was expected.
    pub(crate) detail: String,
    /// The event at which it was seen.
    pub(crate) event: u64,
    /// The hash of the run.
    pub(crate) trace_hash: String,
}

impl Tally {
    /// Adds a run. `excuses_max` is what the scenario allows.
    pub(crate) fn add(&mut self, done: &Executed, excuses_max: u32) {
        let report = &done.report;
        self.seeds += 1;
        match report.verdict {
            Verdict::Held => self.held += 1,
            Verdict::Safety => self.safety += 1,
            Verdict::Liveness => self.liveness += 1,
        }
        self.events += done.work_events();
        self.idle_wakes += idle_wakes(report);
        self.simulated_seconds += report.simulated_seconds;
        self.core_seconds += done.wall_seconds;
        for (name, count) in &report.faults {
            *self.faults.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &report.exercised {
            *self.exercised.entry((*name).into()).or_default() += count;
        }
        self.excuses_most = self.excuses_most.max(report.excuses);
        if report.excuses > u64::from(excuses_max) {
            self.over_excused.push(report.seed);
        }
        if self.failed.len() < FAILURES_MAX {
            self.failed.extend(Failure::of(done));
        }
    }

    /// Runs that broke something.
    pub(crate) fn broken(&self) -> u64 {
        self.safety + self.liveness
    }

    /// Work that one core does in a second.
    pub(crate) fn events_per_second(&self) -> f64 {
        per_second(self.events, self.core_seconds)
    }
}

impl Failure {
    fn of(done: &Executed) -> Option<Self> {
        let first = done.report.violations.first()?;
        let verdict = if done.report.verdict == Verdict::Liveness { "liveness" } else { "safety" };
        Some(Self {
            seed: done.report.seed,
            verdict: verdict.into(),
            invariant: first.invariant.into(),
            at_seconds: first.at.as_secs_f64(),
            nodes: first.nodes.clone(),
            detail: first.detail.clone(),
            event: first.event.0,
            trace_hash: done.report.trace_hash.clone(),
        })
    }
}
