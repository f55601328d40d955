//! `sim check-determinism`: one seed, one run, whatever executes it.
//!
//! Each scenario is run twice in this process, on two threads; [`builds`] has it run by the other build profile and as
//! wasm32. All must give one trace hash. Where they do not, the first event that differs is shown.

mod builds;

use super::execute::execute;
use super::files::{Library, Source};
use super::matrix::{self, Job, Limit};
use super::run::shortened;
use crate::cli::{self, CheckDeterminism, Hashes};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, counted, note, rendered};
use crate::wall::Stopwatch;
use builds::{Build, Built};
use relaymesh_sim::trace::{Divergence, first_divergence};
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs in which a divergence inside one process is looked for again.
const TRIES_MAX: u32 = 8;

/// Prints the trace hash of every scenario, for a check in another process.
pub(crate) fn hashes(library: &Library, arguments: &Hashes, output: &Output) -> Result<Exit, Error> {
    let sources = library.select(&arguments.selection)?;
    let hashes = run_times(&sources, arguments.seed, 1);
    let by_name: BTreeMap<&str, &String> =
        sources.iter().map(|it| it.scenario.name.as_str()).zip(hashes.iter().flatten()).collect();
    match output.is_json() {
        true => output.json(&by_name)?,
        false => by_name.iter().try_for_each(|(name, hash)| output.print(&format!("{hash}  {name}\n")))?,
    }
    Ok(Exit::Held)
}

/// The trace hashes of each scenario, run that often.
fn run_times(sources: &[Source], seed: u64, times: usize) -> Vec<Vec<String>> {
    let jobs: Vec<Job> = (0..times).flat_map(|_| (0..sources.len()).map(|scenario| Job { scenario, seed })).collect();
    let mut hashes = vec![Vec::new(); sources.len()];
    let limit = Limit { since: Stopwatch::start(), wall: None };
    let bar = matrix::progress(Some(jobs.len() as u64));
    matrix::each(sources, &jobs, cli::cores(), limit, |job, done| {
        hashes[job.scenario].push(done.report.trace_hash);
        bar.inc(1);
    });
    bar.finish_and_clear();
    hashes
}

/// One scenario under every build.
#[derive(Serialize)]
struct Row<'a> {
    scenario: &'a str,
    hash: &'a str,
    /// By build: whether it gave that hash. A build that was skipped is not there.
    same: BTreeMap<&'static str, bool>,
}

#[derive(Serialize)]
struct Json<'a> {
    seed: u64,
    deterministic: bool,
    skipped: &'a BTreeMap<&'static str, String>,
    scenarios: &'a [Row<'a>],
    divergences: &'a [String],
}

/// The columns, in order.
const BUILDS: [&str; 4] = ["twice", "debug", "release", "wasm"];

/// Runs every scenario in every way there is, and compares.
pub(crate) fn check(library: &Library, arguments: &CheckDeterminism, output: &Output) -> Result<Exit, Error> {
    let sources = library.select(&arguments.selection)?;
    let seed = arguments.seed;
    let here = run_times(&sources, seed, 2);
    let mut builds: BTreeMap<&'static str, Build> = BTreeMap::new();
    let mut skipped: BTreeMap<&'static str, String> = BTreeMap::new();
    for (name, built) in [builds::other_profile()?, builds::wasm()?] {
        match built {
            Built::Skipped(reason) => {
                note(format_args!("SKIPPED {name}: {reason}"));
                skipped.insert(name, reason);
            }
            Built::Ready(build) => drop(builds.insert(name, build)),
        }
    }
    let mut elsewhere: BTreeMap<&'static str, BTreeMap<String, String>> = BTreeMap::new();
    for (name, build) in &builds {
        elsewhere.insert(name, build.hashes(library, &arguments.selection, &sources, seed)?);
    }
    let rows: Vec<Row<'_>> = sources.iter().zip(&here).map(|(it, here)| Row::new(it, here, &elsewhere)).collect();
    let mut divergences = Vec::new();
    for (source, row) in sources.iter().zip(&rows) {
        for (name, _) in row.same.iter().filter(|(_, same)| !**same) {
            let found = match builds.get(name) {
                Some(build) => build.divergence(library, source, seed)?,
                None => divergence_here(source, seed),
            };
            divergences.push(told(source, seed, name, found));
        }
    }
    let is_deterministic = divergences.is_empty();
    if output.is_json() {
        let json = Json {
            seed,
            deterministic: is_deterministic,
            skipped: &skipped,
            scenarios: &rows,
            divergences: &divergences,
        };
        output.json(&json)?;
    } else {
        output.print(&text(output, &rows, &skipped, &divergences, seed))?;
    }
    Ok(if is_deterministic { Exit::Held } else { Exit::NonDeterminism })
}

impl<'a> Row<'a> {
    fn new(
        source: &'a Source,
        here: &'a [String],
        elsewhere: &BTreeMap<&'static str, BTreeMap<String, String>>,
    ) -> Self {
        let scenario = source.scenario.name.as_str();
        let hash = here.first().map_or("", String::as_str);
        let twice = here.iter().all(|other| other == hash);
        let others = elsewhere.iter().map(|(name, hashes)| (*name, hashes.get(scenario).is_some_and(|it| it == hash)));
        let same = [("twice", twice), (builds::THIS_PROFILE, true)].into_iter().chain(others).collect();
        Self { scenario, hash, same }
    }
}

/// Runs until two traces differ, or gives up.
fn divergence_here(source: &Source, seed: u64) -> Option<Divergence> {
    let first = execute(&source.scenario, seed, true).lines;
    (0..TRIES_MAX).find_map(|_| first_divergence(&first, &execute(&source.scenario, seed, true).lines))
}

fn told(source: &Source, seed: u64, build: &str, found: Option<Divergence>) -> String {
    let (name, this) = (&source.scenario.name, builds::THIS_PROFILE);
    let versus = if build == "twice" { format!("{this} and {this} again") } else { format!("{this} and {build}") };
    let found = match found {
        // Only what is the same may be cut short: the difference could stand in any number of the rest.
        Some(it) => Divergence { common: it.common.as_deref().map(shortened), ..it }.to_string(),
        None => "their lines are the same: what differs is hashed but not printed, or did not differ again".into(),
    };
    format!("{name} seed {seed}, {versus}: {found}")
}

fn text(
    output: &Output,
    rows: &[Row<'_>],
    skipped: &BTreeMap<&'static str, String>,
    divergences: &[String],
    seed: u64,
) -> String {
    let headings: Vec<&str> = ["scenario"].into_iter().chain(BUILDS).chain(["hash"]).collect();
    let mut table = output.table(&headings);
    for row in rows {
        let mut cells = vec![cell(Tone::Strong, row.scenario)];
        cells.extend(BUILDS.map(|build| match row.same.get(build) {
            Some(true) => cell(Tone::Good, "same"),
            Some(false) => cell(Tone::Bad, "DIFFERS"),
            None => cell(Tone::Warn, "skipped"),
        }));
        cells.push(cell(Tone::Dim, row.hash.get(..16).unwrap_or(row.hash)));
        table.add_row(cells);
    }
    let mut text = rendered(&table);
    for (build, reason) in skipped {
        text += &format!("\n {} {build}: {reason}", output.paint(Tone::Warn, "SKIPPED"));
    }
    for divergence in divergences {
        text += &format!("\n {} {}\n", output.paint(Tone::Bad, "✗"), divergence.replace('\n', "\n   "));
    }
    let verdict = match divergences.is_empty() {
        true => output.paint(Tone::Good, "ONE HASH EACH"),
        false => output.paint(Tone::Bad, "NOT DETERMINISTIC"),
    };
    let ways = BUILDS.len() - skipped.len();
    text + &format!(
        "\n {verdict}  {}, seed {seed}, {ways} of {} ways\n",
        counted(rows.len() as u64, "scenario"),
        BUILDS.len()
    )
}
