//! `sim measure`: experiments × sizes × seeds on every core, and what many runs come to.
//!
//! What is measured, and its names, are the simulator's (`relaymesh_sim::mesh::measure`). A run that broke a safety
//! invariant ended there: what it has shown until then is no figure, and what it has not shown did not come about.

use super::bars::{self, Bar};
use super::execute::quietly;
use super::unit::Unit;
use super::{matrix, pool, replay};
use crate::cli::{self, Failover, Membership, Takeover};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, counted, grouped, note, rendered};
use crate::wall::Stopwatch;
use relaymesh_sim::check::{ASSERT, Violation};
use relaymesh_sim::mesh::measure::{Experiment, Sample, Setting, measure};
use relaymesh_sim::world::Verdict;
use serde::Serialize;

/// What one run has shown, by name; nothing where it broke.
type Shown = Vec<(&'static str, Option<f64>)>;

impl Series {
    /// What it came to, in a few lines: median and 99th percentile of each figure.
    fn summary(&self) -> String {
        let Setting { nodes, metadata_bytes, profile } = self.setting;
        let mut text = format!("{}, {nodes} nodes, {metadata_bytes} bytes, {profile}:", self.experiment.name());
        for it in figures(self) {
            let spell = |value: Option<f64>| value.map_or_else(|| "never".into(), |value| it.unit.spell(value));
            text += &format!("\n   {} {} / {} {}", it.figure, spell(it.median), spell(it.p99), it.unit.name());
        }
        text
    }
}

/// One run that is to be done.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// The place of its series in the list.
    series: usize,
    seed: u64,
}

/// One experiment with one setting, and what its runs have shown.
#[derive(Debug)]
struct Series {
    experiment: Experiment,
    setting: Setting,
    runs: Vec<Shown>,
}

/// How the runs are to be done.
#[derive(Clone, Copy, Debug)]
struct Runs {
    profile: &'static str,
    first_seed: u64,
    /// Of each series.
    seeds: u64,
    jobs: Option<u16>,
}

/// Measures membership.
pub(crate) fn membership(arguments: &Membership, output: &Output) -> Result<Exit, Error> {
    let Membership { profile, from_seed: first_seed, seeds, jobs, .. } = *arguments;
    measured(series(arguments), Runs { profile, first_seed, seeds, jobs }, output)
}

/// Measures the control group.
pub(crate) fn failover(arguments: &Failover, output: &Output) -> Result<Exit, Error> {
    let Failover { profile, from_seed: first_seed, seeds, jobs, .. } = *arguments;
    let setting = |nodes: &u32| Setting { nodes: *nodes, metadata_bytes: 40, profile };
    let experiments = match arguments.experiment.as_slice() {
        [] => &Experiment::FAILOVER[..4],
        chosen => chosen,
    };
    let of_size =
        |nodes| experiments.iter().map(move |it| Series { experiment: *it, setting: setting(nodes), runs: vec![] });
    let all = arguments.nodes.iter().flat_map(of_size).collect();
    measured(all, Runs { profile, first_seed, seeds, jobs }, output)
}

/// Measures shards.
pub(crate) fn takeover(arguments: &Takeover, output: &Output) -> Result<Exit, Error> {
    let Takeover { profile, from_seed: first_seed, seeds, jobs, .. } = *arguments;
    // Three nodes, so that each has a copy and any of them may own.
    let setting = Setting { nodes: 3, metadata_bytes: 40, profile };
    let experiments = match arguments.experiment.as_slice() {
        [] => &Experiment::TAKEOVER,
        chosen => chosen,
    };
    let all = experiments.iter().map(|it| Series { experiment: *it, setting, runs: vec![] }).collect();
    measured(all, Runs { profile, first_seed, seeds, jobs }, output)
}

fn measured(mut all: Vec<Series>, how: Runs, output: &Output) -> Result<Exit, Error> {
    let seeds = how.first_seed..how.first_seed.saturating_add(how.seeds);
    // Seed by seed within a series, so that its figures are complete early.
    let jobs: Vec<Job> =
        (0..all.len()).flat_map(|series| seeds.clone().map(move |seed| Job { series, seed })).collect();
    let work: Vec<(Experiment, Setting)> = all.iter().map(|it| (it.experiment, it.setting)).collect();
    let threads = cli::jobs_or_cores(how.jobs);
    let watch = Stopwatch::start();
    let bar = matrix::progress(Some(jobs.len() as u64));
    let mut broken = Vec::new();
    let run = |job: &Job| {
        let (experiment, setting) = work[job.series];
        quietly(|| measure(experiment, setting, job.seed))
    };
    let take = |job: &Job, done| {
        let series = &mut all[job.series];
        let (shown, failure) = judge(done);
        if let Some(failure) = failure {
            let it = Broken::new(series, job.seed, failure);
            bar.suspend(|| note(it.text()));
            broken.push(it);
        }
        series.runs.push(shown);
        bar.inc(1);
        // Whoever stops a long measurement keeps what is complete.
        if series.runs.len() as u64 == how.seeds && how.seeds > 1 {
            bar.suspend(|| note(series.summary()));
        }
    };
    pool::each(&jobs, threads, || false, run, take);
    bar.finish_and_clear();
    let sizes = sizes(&all);
    let measured = Measured {
        profile: how.profile,
        first_seed: how.first_seed,
        seeds: how.seeds,
        runs: jobs.len() as u64,
        verdict: worst(&broken),
        wall_seconds: watch.seconds(),
        jobs: threads,
        bars: bars::all(sizes.iter().flat_map(|size| &size.figures)),
        sizes,
        broken,
    };
    match output.is_json() {
        true => output.json(&measured)?,
        false => output.print(&measured.text(output))?,
    }
    Ok(measured.verdict.into())
}

/// By size, since that is how they are shown.
fn series(arguments: &Membership) -> Vec<Series> {
    let experiments = match arguments.experiment.as_slice() {
        [] => &Experiment::ALL,
        chosen => chosen,
    };
    let mut all = Vec::new();
    for nodes in &arguments.nodes {
        for metadata_bytes in &arguments.metadata {
            let setting = Setting { nodes: *nodes, metadata_bytes: *metadata_bytes, profile: arguments.profile };
            all.extend(experiments.iter().map(|it| Series { experiment: *it, setting, runs: Vec::new() }));
        }
    }
    all
}

/// A broken promise, and how bad that is.
struct Failure {
    verdict: Verdict,
    invariant: &'static str,
    /// When it was seen, where that is known.
    at_seconds: Option<f64>,
    detail: String,
}

/// What a run has shown, and what it broke.
fn judge(done: Result<Sample, String>) -> (Shown, Option<Failure>) {
    let Sample { figures, report } = match done {
        Ok(sample) => sample,
        Err(detail) => {
            let failure = Failure { verdict: Verdict::Safety, invariant: ASSERT, at_seconds: None, detail };
            return (Shown::new(), Some(failure));
        }
    };
    let failure = report.violations.first().map(|violation| {
        let Violation { invariant, at, detail, .. } = violation;
        Failure { verdict: report.verdict, invariant, at_seconds: Some(at.as_secs_f64()), detail: detail.clone() }
    });
    (if report.verdict == Verdict::Safety { Shown::new() } else { figures }, failure)
}

fn worst(broken: &[Broken]) -> Verdict {
    let is = |verdict: Verdict| broken.iter().any(|it| it.verdict == verdict);
    match () {
        () if is(Verdict::Safety) => Verdict::Safety,
        () if is(Verdict::Liveness) => Verdict::Liveness,
        () => Verdict::Held,
    }
}

/// A measurement, as scripts get it and as people read it.
#[derive(Debug, Serialize)]
struct Measured {
    profile: &'static str,
    first_seed: u64,
    /// Of each experiment with each setting.
    seeds: u64,
    runs: u64,
    verdict: Verdict,
    wall_seconds: f64,
    jobs: usize,
    sizes: Vec<Size>,
    /// What figures ought to be, and are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bars: Vec<Bar>,
    broken: Vec<Broken>,
}

/// The figures of one size.
#[derive(Debug, Serialize)]
struct Size {
    nodes: u32,
    metadata_bytes: u16,
    figures: Vec<Figure>,
}

/// What the runs of one experiment come to in one respect. What did not come about is none.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figure {
    experiment: &'static str,
    pub(super) figure: &'static str,
    unit: Unit,
    runs: u64,
    /// Runs in which it came about.
    came_about: u64,
    pub(super) median: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) max: Option<f64>,
    /// The sum over all runs, of what is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<f64>,
}

/// A run that broke a promise.
#[derive(Debug, Serialize)]
struct Broken {
    experiment: &'static str,
    nodes: u32,
    metadata_bytes: u16,
    seed: u64,
    verdict: Verdict,
    invariant: &'static str,
    at_seconds: Option<f64>,
    detail: String,
    replay: String,
}

/// Series of one size stand together.
fn sizes(all: &[Series]) -> Vec<Size> {
    let size = |it: &Series| (it.setting.nodes, it.setting.metadata_bytes);
    let together = all.chunk_by(|one, other| size(one) == size(other));
    let of_size = together.filter_map(|series| {
        let (nodes, metadata_bytes) = size(series.first()?);
        Some(Size { nodes, metadata_bytes, figures: series.iter().flat_map(figures).collect() })
    });
    of_size.collect()
}

fn figures(series: &Series) -> Vec<Figure> {
    // Every run that was not broken shows the same figures.
    let names = series.runs.iter().find(|shown| !shown.is_empty()).into_iter().flatten().map(|(name, _)| *name);
    let value = |shown: &Shown, name| shown.iter().find(|(other, _)| *other == name).and_then(|(_, value)| *value);
    let figure = |name| {
        let values: Vec<Option<f64>> = series.runs.iter().map(|shown| value(shown, name)).collect();
        Figure::of(series.experiment.name(), name, &values)
    };
    names.map(figure).collect()
}

impl Figure {
    fn of(experiment: &'static str, figure: &'static str, values: &[Option<f64>]) -> Self {
        let unit = Unit::of(figure);
        let mut sorted: Vec<f64> = values.iter().map(|value| value.unwrap_or(f64::INFINITY)).collect();
        sorted.sort_by(f64::total_cmp);
        Self {
            experiment,
            figure,
            unit,
            runs: values.len() as u64,
            came_about: values.iter().flatten().count() as u64,
            median: rank(&sorted, 50),
            p99: rank(&sorted, 99),
            max: rank(&sorted, 100),
            total: (unit == Unit::Count).then(|| values.iter().flatten().sum()),
        }
    }
}

#[cfg(test)]
impl Figure {
    /// One that was measured so.
    pub(super) fn measured(figure: &'static str, median: Option<f64>, p99: Option<f64>) -> Self {
        Self { median, p99, ..Self::of("of a test", figure, &[]) }
    }
}

/// The nearest rank: a value that was measured, not one between two. What never came about is infinitely late.
fn rank(sorted: &[f64], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
    sorted.get(place).copied().filter(|value| value.is_finite())
}

impl Broken {
    fn new(series: &Series, seed: u64, failure: Failure) -> Self {
        let Failure { verdict, invariant, at_seconds, detail } = failure;
        let Series { experiment, setting, .. } = series;
        Self {
            experiment: experiment.name(),
            nodes: setting.nodes,
            metadata_bytes: setting.metadata_bytes,
            seed,
            verdict,
            invariant,
            at_seconds,
            detail,
            replay: replay::measurement(*experiment, *setting, seed),
        }
    }

    fn text(&self) -> String {
        let at = self.at_seconds.map(|at| format!(" at {at:.6}s")).unwrap_or_default();
        format!(
            "✗ {} of {} nodes, seed {}: {}{at}\n   {}\n   {}",
            self.experiment,
            grouped(self.nodes.into()),
            self.seed,
            self.invariant,
            self.detail.replace('\n', "\n   "),
            self.replay,
        )
    }
}

impl Measured {
    fn text(&self, output: &Output) -> String {
        let last_seed = self.first_seed + (self.seeds - 1);
        let mut text = String::new();
        for size in &self.sizes {
            let head = format!("{}, {} bytes of metadata", counted(size.nodes.into(), "node"), size.metadata_bytes);
            text += &format!(
                " {}  {}\n\n{}\n",
                output.paint(Tone::Strong, head),
                output.paint(Tone::Dim, format!("profile {}, seeds {} to {last_seed}", self.profile, self.first_seed)),
                size.table(output),
            );
        }
        for bar in &self.bars {
            let tone = if bar.holds { Tone::Good } else { Tone::Bad };
            text += &format!(" {}\n", output.paint(tone, bar.text()));
        }
        let verdict = match self.broken.len() as u64 {
            0 => output.paint(Tone::Good, "HELD"),
            broken => output.paint(Tone::Bad, format!("{} FAILED", counted(broken, "run").to_uppercase())),
        };
        text + &format!(
            " {verdict}  {} in {:.1} s on {}\n",
            counted(self.runs, "run"),
            self.wall_seconds,
            counted(self.jobs as u64, "core"),
        )
    }
}

impl Size {
    fn table(&self, output: &Output) -> String {
        let mut table = output.table(&["experiment", "figure", "unit", ">runs", ">median", ">p99", ">max", ">total"]);
        for figure in &self.figures {
            let Figure { experiment, figure: name, unit, runs, came_about, median, p99, max, total } = figure;
            let of_all = if came_about == runs { Tone::Dim } else { Tone::Warn };
            let value = |value: &Option<f64>| match value {
                Some(value) => cell(Tone::Plain, unit.spell(*value)),
                None => cell(Tone::Warn, "never"),
            };
            table.add_row([
                cell(Tone::Plain, experiment),
                cell(Tone::Strong, name),
                cell(Tone::Dim, unit.name()),
                cell(of_all, format_args!("{} of {}", grouped(*came_about), grouped(*runs))),
                value(median),
                value(p99),
                value(max),
                cell(Tone::Plain, total.map(|total| unit.spell(total)).unwrap_or_default()),
            ]);
        }
        rendered(&table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(values: &[Option<f64>]) -> Figure {
        Figure::of("changes", "crash_known_to_all", values)
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<Option<f64>> = (1..=200).rev().map(|value| Some(f64::from(value))).collect();
        let it = figure(&values);
        assert_eq!((it.median, it.p99, it.max), (Some(100.0), Some(198.0), Some(200.0)));
        assert_eq!((it.runs, it.came_about, it.total), (200, 200, None));
        let it = figure(&[Some(7.0)]);
        assert_eq!((it.median, it.p99, it.max), (Some(7.0), Some(7.0), Some(7.0)));
    }

    #[test]
    fn what_never_came_about_is_later_than_everything() {
        let mut values = vec![Some(5.0); 100];
        values[30] = None;
        let it = figure(&values);
        assert_eq!((it.median, it.p99, it.max, it.came_about), (Some(5.0), Some(5.0), None, 99));
        values[31] = None;
        assert_eq!(figure(&values).p99, None, "two of a hundred are more than 1 %");
        assert_eq!(figure(&[None, None, Some(1.0)]).median, None);
    }

    #[test]
    fn a_run_that_broke_shows_nothing_and_counts() {
        let (shown, failure) = judge(Err("left == right".into()));
        assert!(shown.is_empty());
        assert!(failure.is_some_and(|it| it.invariant == ASSERT && it.verdict == Verdict::Safety));
        let setting = Setting { nodes: 8, metadata_bytes: 40, profile: "lan" };
        let runs = vec![shown, vec![("formed", Some(300.0))]];
        let series = Series { experiment: Experiment::Changes, setting, runs };
        let it = &figures(&series)[0];
        assert_eq!((it.figure, it.runs, it.came_about, it.median, it.max), ("formed", 2, 1, Some(300.0), None));
    }

    #[test]
    fn what_is_counted_is_summed_up() {
        let it = Figure::of("quiet", "false_deaths", &[Some(2.0), Some(0.0), None]);
        assert_eq!((it.unit, it.total), (Unit::Count, Some(2.0)));
        assert_eq!(Unit::of("lossy_node_settled"), Unit::Milliseconds);
        assert_eq!(Unit::of("bytes_per_second_sent_by_the_busiest"), Unit::BytesPerSecond);
    }
}
