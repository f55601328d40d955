//! `sim measure clocks`: how far clocks may stray before two act at once, and that fences hold however far they do.

use super::execute::quietly;
use super::{matrix, pool};
use crate::cli::{self, Clocks};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, counted, grouped, note, rendered};
use crate::wall::Stopwatch;
use relaymesh_core::membership::settings::Profile;
use relaymesh_core::time::Duration;
use relaymesh_sim::mesh::margin::{PERCENTS, Probed, Stray, lease, probe};
use serde::Serialize;

/// One way in which clocks stray, as far as they were let.
#[derive(Debug, Serialize)]
struct Way {
    stray: &'static str,
    /// The farthest of those tried up to which nobody acted at once with another, in ms over one time to live.
    safe_to_ms: Option<f64>,
    steps: Vec<Step>,
}

/// One distance.
#[derive(Debug, Default, Serialize)]
struct Step {
    /// How far the clock strays over one time to live.
    stray_ms: f64,
    runs: u64,
    /// Runs in which two acted at once.
    lease_1: u64,
    /// Runs in which a token did not rise, an acceptor took an old one, or a register forgot.
    others: u64,
    /// How often tokens and acceptors were looked at.
    looked_at: u64,
}

#[derive(Debug, Serialize)]
struct Margin {
    profile: &'static str,
    ttl_ms: f64,
    epsilon_ms: f64,
    first_seed: u64,
    seeds: u64,
    /// Whether nothing was broken within ε, and nothing but LEASE-1 beyond.
    held: bool,
    wall_seconds: f64,
    ways: Vec<Way>,
}

fn millis(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e6
}

pub(crate) fn run(arguments: &Clocks, output: &Output) -> Result<Exit, Error> {
    let profile = Profile::named(arguments.profile).unwrap_or_default();
    let (ttl, epsilon) = lease(profile);
    let (ttl_ms, epsilon_ms) = (millis(ttl), millis(epsilon));
    let step = |percent: &u32| Step { stray_ms: ttl_ms * f64::from(*percent) / 100.0, ..Step::default() };
    let way = |stray: Stray| Way { stray: stray.name(), safe_to_ms: None, steps: PERCENTS.iter().map(step).collect() };
    let mut ways = Stray::ALL.map(way);
    let seeds = arguments.from_seed..arguments.from_seed.saturating_add(arguments.seeds);
    let places = (0..Stray::ALL.len()).flat_map(|way| (0..PERCENTS.len()).map(move |step| (way, step)));
    let jobs: Vec<(usize, usize, u64)> =
        places.flat_map(|(way, step)| seeds.clone().map(move |seed| (way, step, seed))).collect();
    let watch = Stopwatch::start();
    let bar = matrix::progress(Some(jobs.len() as u64));
    let look =
        |(way, step, seed): &(usize, usize, u64)| quietly(|| probe(Stray::ALL[*way], PERCENTS[*step], profile, *seed));
    let take = |(way, step, seed): &(usize, usize, u64), done: Result<Probed, String>| {
        let it = &mut ways[*way].steps[*step];
        it.runs += 1;
        match done {
            Ok(Probed { broken, looked_at }) => {
                let overlaps = broken.contains(&"LEASE-1");
                it.lease_1 += u64::from(overlaps);
                it.others += u64::from(broken.len() > usize::from(overlaps));
                it.looked_at += looked_at;
            }
            Err(detail) => {
                it.others += 1;
                bar.suspend(|| note(format_args!("seed {seed}: {detail}")));
            }
        }
        bar.inc(1);
    };
    pool::each(&jobs, cli::jobs_or_cores(arguments.jobs), || false, look, take);
    bar.finish_and_clear();
    for way in &mut ways {
        way.safe_to_ms = way.steps.iter().take_while(|step| step.lease_1 == 0).last().map(|step| step.stray_ms);
    }
    let is_kept = |step: &Step| step.others == 0 && (step.lease_1 == 0 || step.stray_ms > epsilon_ms);
    let margin = Margin {
        profile: arguments.profile,
        ttl_ms,
        epsilon_ms,
        first_seed: arguments.from_seed,
        seeds: arguments.seeds,
        held: ways.iter().flat_map(|way| &way.steps).all(is_kept),
        wall_seconds: watch.seconds(),
        ways: ways.into(),
    };
    match output.is_json() {
        true => output.json(&margin)?,
        false => output.print(&margin.text(output))?,
    }
    Ok(if margin.held { Exit::Held } else { Exit::Safety })
}

impl Margin {
    fn text(&self, output: &Output) -> String {
        let mut table = output.table(&["clock", ">strays by", ">runs", ">two at once", ">others", ">looked at"]);
        let tone = |count: u64, bad: Tone| if count > 0 { bad } else { Tone::Plain };
        for (way, step) in self.ways.iter().flat_map(|way| way.steps.iter().map(move |step| (way, step))) {
            let overlap = if step.stray_ms <= self.epsilon_ms { Tone::Bad } else { Tone::Warn };
            table.add_row([
                cell(Tone::Strong, way.stray),
                cell(Tone::Plain, format!("{:.0} ms", step.stray_ms)),
                cell(Tone::Plain, step.runs),
                cell(tone(step.lease_1, overlap), step.lease_1),
                cell(tone(step.others, Tone::Bad), step.others),
                cell(Tone::Dim, grouped(step.looked_at)),
            ]);
        }
        let mut text = format!(
            " ttl {:.0} ms, ε {:.0} ms  profile {}, {} from {}\n\n{}\n",
            self.ttl_ms,
            self.epsilon_ms,
            self.profile,
            counted(self.seeds, "seed"),
            self.first_seed,
            rendered(&table)
        );
        for way in &self.ways {
            text += &match way.safe_to_ms {
                Some(ms) => format!(" {}: safe to ±{ms:.0} ms over one ttl\n", way.stray),
                None => format!(" {}: two acted at once although no clock strayed\n", way.stray),
            };
        }
        let verdict = if self.held { "HELD" } else { "BROKEN" };
        text + &format!("\n {verdict}  in {:.1} s\n", self.wall_seconds)
    }
}
