//! `sim campaign`: a matrix that runs for hours, may be stopped at any time, and leaves its results as data.
//!
//! A campaign is a folder that is meant to be committed: `campaign.toml` says where and how each session ran, one
//! `SCENARIO.json` says what the seeds of a scenario came to, `summary.md` says it to people. Seeds run in order and in
//! batches over all scenarios; after each batch the summaries are replaced as a whole, so what stands in them was run.

use super::files::{Library, Source};
use super::matrix::json::Json;
use super::matrix::judge::Rules;
use super::matrix::{self, Job, Judgement, Limit, Tally, table};
use super::replay;
use crate::cli::{self, Campaign};
use crate::error::{Error, Exit};
use crate::output::{Output, grouped, note};
use crate::wall::{self, Stopwatch};
use crate::whole::write_whole;
use relaymesh_sim::scenario;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Seeds of each scenario in a batch: what a campaign that is stopped may lose.
const BATCH: u64 = 10;
/// The budget where neither seeds nor a budget are given.
const BUDGET_DEFAULT: Duration = Duration::from_secs(3_600);
/// What a revision means: changes elsewhere (such as results of campaigns) do not make it another one.
const SOURCE_FOLDERS: [&str; 7] = ["core", "sim", "io-tokio", "src", "scenarios", "Cargo.toml", "Cargo.lock"];

/// `campaign.toml`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// One for each time the campaign was begun or continued.
    #[serde(default)]
    session: Vec<Session>,
}

/// One time the campaign was begun or continued.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    started: String,
    revision: String,
    profile: String,
    rustc: String,
    machine: String,
    cores: usize,
    jobs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_seconds: Option<u64>,
    /// Wall time × jobs.
    core_seconds: f64,
}

/// `SCENARIO.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    scenario: String,
    /// Which seeds ran under which source. They follow one another without a gap, from seed 1.
    ranges: Vec<Range>,
    total: Tally,
}

/// Seeds in a row that ran under one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    revision: String,
    /// Hash of the scenario as it was.
    scenario_hash: String,
    first_seed: u64,
    last_seed: u64,
    /// The trace hashes of these seeds in order, each hashed with what came before it.
    trace_hashes: String,
}

impl Summary {
    fn next_seed(&self) -> u64 {
        self.ranges.last().map_or(1, |range| range.last_seed + 1)
    }

    fn add(&mut self, seed: u64, trace_hash: &str, revision: &str, scenario_hash: &str) {
        let goes_on = |range: &Range| range.revision == revision && range.scenario_hash == scenario_hash;
        if !self.ranges.last().is_some_and(goes_on) {
            let (revision, scenario_hash) = (revision.into(), scenario_hash.into());
            self.ranges.push(Range {
                revision,
                scenario_hash,
                first_seed: seed,
                last_seed: seed,
                trace_hashes: String::new(),
            });
        }
        if let Some(range) = self.ranges.last_mut() {
            range.last_seed = seed;
            range.trace_hashes = hashed(&format!("{}{trace_hash}", range.trace_hashes));
        }
    }
}

fn hashed(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Begins a campaign, or goes on with it.
pub(crate) fn campaign(library: &Library, arguments: &Campaign, output: &Output) -> Result<Exit, Error> {
    let sources = library.select(&arguments.selection)?;
    let mut folder = Folder::open(&arguments.out, &sources)?;
    let session = session(library, arguments)?;
    folder.begin(session, arguments.new_revision)?;
    let budget = arguments.budget.or(arguments.seeds.is_none().then_some(BUDGET_DEFAULT));
    folder.run(&sources, arguments.seeds, budget)?;

    let rules = Rules { allow_zero: arguments.allow_zero, is_narrowed: arguments.selection.scenario.is_some() };
    let tallies = folder.summaries.iter().map(|summary| &summary.total);
    let judged = Judgement::of(sources.iter().map(|it| &it.scenario).zip(tallies.clone()), rules);
    let rows: Vec<(&Source, &Tally)> = sources.iter().zip(tallies).collect();
    folder.write_summary(&rows, &judged)?;
    let threads = cli::jobs_or_cores(arguments.jobs);
    let time = (folder.core_seconds() / threads as f64, threads);
    let replay = |source: &Source, seed| replay::command(library, source, &[], seed);
    match output.is_json() {
        true => output.json(&Json::new(&rows, &judged, time, 0, replay))?,
        false => {
            output.print(&table::text(output, &rows, &judged, time, replay))?;
            output.print(&format!(" the results stand in {}\n", folder.path.display()))?;
        }
    }
    Ok(judged.exit())
}

/// What is known of this machine and this source.
fn session(library: &Library, arguments: &Campaign) -> Result<Session, Error> {
    Ok(Session {
        started: wall::utc(),
        revision: revision(&library.folder()?),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
        rustc: says("rustc", &["--version"], Path::new(".")).unwrap_or_else(|| "unknown".into()),
        machine: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cores: cli::cores(),
        jobs: cli::jobs_or_cores(arguments.jobs),
        tag: arguments.selection.tag.clone(),
        scenario: arguments.selection.scenario.clone(),
        seeds: arguments.seeds,
        budget_seconds: arguments.budget.map(|budget| budget.as_secs()),
        core_seconds: 0.0,
    })
}

/// The commit that is checked out around `folder`, with `-dirty` where the source differs from it.
fn revision(folder: &Path) -> String {
    let Some(root) = says("git", &["rev-parse", "--show-toplevel"], folder) else { return "unknown".into() };
    let root = Path::new(&root);
    let Some(commit) = says("git", &["rev-parse", "--short=12", "HEAD"], root) else { return "unknown".into() };
    let status = [&["status", "--porcelain", "--"][..], &SOURCE_FOLDERS].concat();
    match says("git", &status, root) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}-dirty"),
    }
}

/// What a program says, if it is there and succeeds.
fn says(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let done = Command::new(program).args(arguments).current_dir(folder).output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_string())
}

/// The folder of a campaign, and what stands in it.
struct Folder {
    path: PathBuf,
    head: Head,
    summaries: Vec<Summary>,
    scenario_hashes: Vec<String>,
}

impl Folder {
    fn open(path: &Path, sources: &[Source]) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(|problem| Error::Write { path: path.into(), problem })?;
        let head = read(&path.join("campaign.toml"), |text| toml::from_str(text).map_err(|error| error.to_string()))?;
        let summary = |source: &Source| -> Result<Summary, Error> {
            let found = read_json::<Summary>(&path.join(format!("{}.json", source.scenario.name)))?;
            Ok(found.unwrap_or_else(|| Summary { scenario: source.scenario.name.clone(), ..Summary::default() }))
        };
        Ok(Self {
            path: path.into(),
            head: head.unwrap_or_default(),
            summaries: sources.iter().map(summary).collect::<Result<_, _>>()?,
            scenario_hashes: sources.iter().map(|it| hashed(&scenario::to_toml(&it.scenario))).collect(),
        })
    }

    fn begin(&mut self, session: Session, new_revision: bool) -> Result<(), Error> {
        if let Some(last) = self.head.session.last().filter(|last| last.revision != session.revision && !new_revision) {
            let (theirs, ours) = (last.revision.clone(), session.revision);
            return Err(Error::OtherRevision { folder: self.path.clone(), theirs, ours });
        }
        self.head.session.push(session);
        self.write_head()
    }

    fn core_seconds(&self) -> f64 {
        self.head.session.iter().map(|session| session.core_seconds).sum()
    }

    /// Runs until every scenario has its seeds or the budget is used up.
    fn run(&mut self, sources: &[Source], seeds: Option<u64>, budget: Option<Duration>) -> Result<(), Error> {
        let threads = self.head.session.last().map_or(1, |session| session.jobs);
        let left = budget.map(|budget| (budget.as_secs_f64() - self.core_seconds()).max(0.0));
        let wall = left.map(|left| Duration::from_secs_f64(left / threads as f64));
        let limit = Limit { since: Stopwatch::start(), wall };
        let last_seed = seeds.unwrap_or(u64::MAX);
        let done_before = self.summaries.iter().map(|summary| summary.next_seed() - 1);
        let bar = matrix::progress(seeds.map(|seeds| done_before.map(|done| seeds.saturating_sub(done)).sum()));
        loop {
            let jobs = self.batch(last_seed);
            let done = matrix::each(sources, &jobs, threads, limit, |job, done| {
                let (source, summary) = (&sources[job.scenario], &mut self.summaries[job.scenario]);
                let revision = self.head.session.last().map_or("", |session| &session.revision);
                summary.add(job.seed, &done.report.trace_hash, revision, &self.scenario_hashes[job.scenario]);
                summary.total.add(&done, source.scenario.expect.excuses_max);
                bar.inc(1);
            });
            if let Some(session) = self.head.session.last_mut() {
                session.core_seconds = limit.since.seconds() * threads as f64;
            }
            self.write_data(&jobs[..done])?;
            if jobs.is_empty() || done < jobs.len() {
                bar.finish_and_clear();
                if !jobs.is_empty() {
                    note("the budget is used up; the campaign can go on with a larger one");
                }
                return Ok(());
            }
        }
    }

    /// The next seeds of every scenario, one of each in turn.
    fn batch(&self, last_seed: u64) -> Vec<Job> {
        let seed_of = |scenario: usize, place: u64| self.summaries[scenario].next_seed() + place;
        let places = (0..BATCH).flat_map(|place| (0..self.summaries.len()).map(move |scenario| (scenario, place)));
        let jobs = places.map(|(scenario, place)| Job { scenario, seed: seed_of(scenario, place) });
        jobs.filter(|job| job.seed <= last_seed).collect()
    }

    /// Summaries first: a head that lags behind understates only the time used.
    fn write_data(&self, done: &[Job]) -> Result<(), Error> {
        for (number, summary) in self.summaries.iter().enumerate() {
            if done.iter().any(|job| job.scenario == number) {
                let text = serde_json::to_string_pretty(summary).map_err(|error| Error::Print(error.into()))?;
                write_whole(&self.path.join(format!("{}.json", summary.scenario)), format!("{text}\n"))?;
            }
        }
        self.write_head()
    }

    fn write_head(&self) -> Result<(), Error> {
        let path = self.path.join("campaign.toml");
        let bad = |error: toml::ser::Error| Error::BadCampaign { path: path.clone(), problem: error.to_string() };
        let text = toml::to_string_pretty(&self.head).map_err(bad)?;
        write_whole(&path, format!("# Written by `relaymesh sim campaign`; summary.md tells it to people.\n\n{text}"))
    }

    fn write_summary(&self, rows: &[(&Source, &Tally)], judged: &Judgement) -> Result<(), Error> {
        let mut text = String::from("# Campaign\n\n");
        for session in &self.head.session {
            let _ = writeln!(
                text,
                "- {}: revision `{}`, {}, {}, {} jobs on {} cores ({}), {:.0} core-seconds",
                session.started,
                session.revision,
                session.profile,
                session.rustc,
                session.jobs,
                session.cores,
                session.machine,
                session.core_seconds,
            );
        }
        let _ = writeln!(text, "\nVerdict: **{}** after {} runs.\n", judged.verdict(), grouped(judged.runs));
        text += "| scenario | seeds | held | safety | liveness | events | excuses at most | never |\n";
        text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n";
        for (source, tally) in rows {
            let zeros = judged.zeros.iter().filter(|zero| zero.scenario.as_ref() == Some(&source.scenario.name));
            let never: Vec<&str> = zeros.map(|zero| zero.name.as_str()).collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} of {} | {} |",
                source.scenario.name,
                grouped(tally.seeds),
                grouped(tally.held),
                grouped(tally.safety),
                grouped(tally.liveness),
                grouped(tally.events),
                tally.excuses_most,
                source.scenario.expect.excuses_max,
                never.join(", "),
            );
        }
        text += &totals("Faults and their consequences", rows.iter().flat_map(|(_, tally)| &tally.faults));
        text += &totals("Invariants exercised", rows.iter().flat_map(|(_, tally)| &tally.exercised));
        text += &failures(rows);
        write_whole(&self.path.join("summary.md"), &text)
    }
}

fn totals<'a>(heading: &str, counts: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let mut sums = std::collections::BTreeMap::new();
    for (name, count) in counts {
        *sums.entry(name).or_insert(0) += count;
    }
    let list: Vec<String> = sums.into_iter().map(|(name, count)| format!("{name} {}", grouped(count))).collect();
    format!("\n**{heading}**: {}\n", list.join(" · "))
}

fn failures(rows: &[(&Source, &Tally)]) -> String {
    let mut text = String::new();
    for (source, failure) in rows.iter().flat_map(|(source, tally)| tally.failed.iter().map(move |it| (source, it))) {
        let name = &source.scenario.name;
        let _ = write!(
            text,
            "\n- `relaymesh sim run {name} --seed {}`: {} at {:.6} s, {}",
            failure.seed, failure.invariant, failure.at_seconds, failure.detail
        );
    }
    if text.is_empty() { text } else { format!("\n## Failed\n{text}\n") }
}

/// What stands in a file; `None` where there is none.
fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).map(Some).map_err(|problem| Error::BadCampaign { path: path.into(), problem }),
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(Error::Read { path: path.into(), problem }),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    read(path, |text| serde_json::from_str(text).map_err(|error| error.to_string()))
}
