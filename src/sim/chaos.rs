//! `sim chaos`: scenarios × seeds on every core, and whether the matrix as a whole proves what it should.

use super::files::{Library, Source};
use super::junit;
use super::matrix::json::Json;
use super::matrix::judge::Rules;
use super::matrix::{self, Job, Judgement, Limit, Tally, table};
use super::replay;
use crate::cli::{self, Chaos};
use crate::error::{Error, Exit};
use crate::output::{Output, note};
use crate::wall::Stopwatch;

/// Runs the matrix.
pub(crate) fn chaos(library: &Library, arguments: &Chaos, output: &Output) -> Result<Exit, Error> {
    let sources = library.select(&arguments.selection)?;
    let threads = cli::jobs_or_cores(arguments.jobs);
    let jobs = jobs(sources.len(), arguments);
    let limit = Limit { since: Stopwatch::start(), wall: arguments.budget };
    let mut tallies = vec![Tally::default(); sources.len()];
    let mut cases = vec![Vec::new(); sources.len()];
    let bar = matrix::progress(Some(jobs.len() as u64));
    let done = matrix::each(&sources, &jobs, threads, limit, |job, done| {
        tallies[job.scenario].add(&done, sources[job.scenario].scenario.expect.excuses_max);
        if arguments.junit.is_some() {
            cases[job.scenario].push(junit::Case::of(&done));
        }
        bar.inc(1);
    });
    bar.finish_and_clear();
    if done < jobs.len() {
        note(format_args!("the budget ended after {done} of {} runs", jobs.len()));
    }
    let wall_seconds = limit.since.seconds();
    let rules = Rules { allow_zero: arguments.allow_zero, is_narrowed: arguments.selection.scenario.is_some() };
    let judged = Judgement::of(sources.iter().map(|it| &it.scenario).zip(&tallies), rules);
    let replay = |source: &Source, seed| replay::command(library, source, &[], seed);
    if let Some(path) = &arguments.junit {
        junit::write(path, &sources, &cases, &judged, replay)?;
    }
    let rows: Vec<(&Source, &Tally)> = sources.iter().zip(&tallies).collect();
    match output.is_json() {
        true => output.json(&Json::new(&rows, &judged, (wall_seconds, threads), jobs.len() - done, replay))?,
        false => output.print(&table::text(output, &rows, &judged, (wall_seconds, threads), replay))?,
    }
    Ok(judged.exit())
}

/// Seed by seed, so that a budget that ends early has cut every scenario alike.
fn jobs(scenarios: usize, arguments: &Chaos) -> Vec<Job> {
    let seeds = arguments.from_seed..arguments.from_seed.saturating_add(arguments.seeds);
    seeds.flat_map(|seed| (0..scenarios).map(move |scenario| Job { scenario, seed })).collect()
}
