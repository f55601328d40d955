//! A matrix: scenarios × seeds, run on many threads and judged as a whole. Shared by `chaos` and `campaign`.
//!
//! [`each`] hands results over in the order of the jobs, however the threads finish; [`tally`] adds them up by
//! scenario; [`judge`] says what a matrix proves, and what it does not; [`table`] and
//! [`json`] show it.

pub(crate) mod json;
pub(crate) mod judge;
pub(crate) mod table;
pub(crate) mod tally;

pub(crate) use judge::Judgement;
pub(crate) use tally::Tally;

use super::execute::{Executed, execute};
use super::files::Source;
use super::pool;
use crate::wall::Stopwatch;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// One run that is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// The place of its scenario in the list.
    pub(crate) scenario: usize,
    /// Its seed.
    pub(crate) seed: u64,
}

/// When no further job may begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Since when time counts.
    pub(crate) since: Stopwatch,
    /// How long; `None` for ever.
    pub(crate) wall: Option<Duration>,
}

impl Limit {
    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.wall.is_some_and(|wall| self.since.elapsed() >= wall)
    }
}

/// Runs `jobs` on that many threads and hands each result to `take`, in the order of the jobs.
///
/// Returns how many were done: all, or those that began before the limit, which are the first ones.
pub(crate) fn each(
    sources: &[Source],
    jobs: &[Job],
    threads: usize,
    limit: Limit,
    mut take: impl FnMut(Job, Executed),
) -> usize {
    pool::each(
        jobs,
        threads,
        || limit.is_over(),
        |job| execute(&sources[job.scenario].scenario, job.seed, false),
        |job, done| take(*job, done),
    )
}

/// A bar on stderr where that is a terminal, and nothing elsewhere.
pub(crate) fn progress(length: Option<u64>) -> ProgressBar {
    let form = match length {
        Some(_) => " {bar:32.green/dim} {pos}/{len} runs  {elapsed}, {eta} left  {msg}",
        None => " {spinner} {pos} runs  {elapsed}  {msg}",
    };
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
