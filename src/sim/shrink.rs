//! `sim shrink`: the smallest scenario that still breaks the same invariant, as a file.

use super::execute::execute;
use super::files::{Library, Source};
use super::matrix;
use super::replay;
use crate::cli::Shrink;
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, grouped, rendered};
use crate::wall::Stopwatch;
use crate::whole::write_whole;
use relaymesh_sim::scenario::{self, Plan, Scenario};
use relaymesh_sim::streams::Streams;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The longest name a scenario may have.
const NAME_MAX: usize = 64;

/// Shrinks a failing run and writes what is left of its scenario.
pub(crate) fn shrink(library: &Library, arguments: &Shrink, output: &Output) -> Result<Exit, Error> {
    let Shrink { seed, .. } = *arguments;
    let source = library.find(&arguments.scenario, &arguments.set)?;
    let watch = Stopwatch::start();
    let Some(broken) = first_broken(&source.scenario, seed) else {
        return Err(Error::SeedHolds { scenario: source.scenario.name, seed });
    };
    let bar = matrix::progress(None).with_message(format!("looking for less that still breaks {broken}"));
    let shrunk = relaymesh_sim::shrink::shrink(&source.scenario, seed, arguments.runs_max, |candidate| {
        bar.inc(1);
        first_broken(candidate, seed) == Some(broken)
    });
    bar.finish_and_clear();
    let small = Scenario { name: name(&source.scenario.name, seed), tags: Vec::new(), ..shrunk.scenario };
    let path = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", small.name)));
    let text = scenario::to_toml(&small);
    let read_back = scenario::parse(&text).map_err(|problem| Error::BadScenario { path: path.clone(), problem })?;
    if first_broken(&read_back, seed) != Some(broken) {
        return Err(Error::ShrunkHolds { invariant: broken });
    }
    write_whole(
        &path,
        format!("# Shrunk from {} seed {seed}: breaks {broken} from that seed.\n{text}", source.scenario.name),
    )?;
    let spelled = path.display().to_string();
    let replay = replay::command(library, &Source { path: path.clone(), scenario: small.clone(), spelled }, &[], seed);
    let result = Json {
        scenario: &source.scenario.name,
        seed,
        invariant: broken,
        runs: shrunk.runs,
        wall_seconds: watch.seconds(),
        before: Size::of(&source.scenario, seed),
        after: Size::of(&small, seed),
        file: &path,
        replay,
    };
    match output.is_json() {
        true => output.json(&result)?,
        false => output.print(&result.text(output))?,
    }
    Ok(Exit::Held)
}

/// The first invariant that a run breaks.
fn first_broken(scenario: &Scenario, seed: u64) -> Option<&'static str> {
    execute(scenario, seed, false).report.violations.first().map(|violation| violation.invariant)
}

fn name(scenario: &str, seed: u64) -> String {
    let ending = format!("-seed{seed}-shrunk");
    let kept = scenario.len().min(NAME_MAX - ending.len());
    format!("{}{ending}", &scenario[..kept])
}

#[derive(Serialize)]
struct Json<'a> {
    scenario: &'a str,
    seed: u64,
    invariant: &'static str,
    runs: u32,
    wall_seconds: f64,
    before: Size,
    after: Size,
    file: &'a Path,
    replay: String,
}

/// What a person compares.
#[derive(Serialize)]
struct Size {
    faults: u64,
    nodes: u64,
    clients: u64,
    simulated_seconds: f64,
}

impl Size {
    fn of(scenario: &Scenario, seed: u64) -> Self {
        let simulated = scenario.phases.safety.0.as_nanos() + scenario.phases.liveness.0.as_nanos();
        Self {
            faults: Plan::draw(scenario, &mut Streams::new(seed)).faults.len() as u64,
            nodes: scenario.nodes.into(),
            clients: scenario.journal.clients.into(),
            simulated_seconds: simulated as f64 / 1e9,
        }
    }
}

impl Json<'_> {
    fn text(&self, output: &Output) -> String {
        let mut table = output.table(&["", ">before", ">after"]);
        let (before, after) = (&self.before, &self.after);
        let counts = [
            ("faults drawn", before.faults, after.faults),
            ("nodes", before.nodes, after.nodes),
            ("clients", before.clients, after.clients),
        ];
        for (what, before, after) in counts {
            let tone = if after < before { Tone::Good } else { Tone::Plain };
            table.add_row([cell(Tone::Plain, what), cell(Tone::Plain, grouped(before)), cell(tone, grouped(after))]);
        }
        let seconds = |size: &Size| format!("{} s", size.simulated_seconds);
        table.add_row([
            cell(Tone::Plain, "simulated"),
            cell(Tone::Plain, seconds(before)),
            cell(Tone::Plain, seconds(after)),
        ]);
        format!(
            " {} seed {} breaks {} with less: {} runs in {:.1} s\n\n{}\n {}   {}\n {}  {}\n",
            output.paint(Tone::Strong, self.scenario),
            self.seed,
            output.paint(Tone::Bad, self.invariant),
            grouped(self.runs.into()),
            self.wall_seconds,
            rendered(&table),
            output.paint(Tone::Strong, "wrote"),
            self.file.display(),
            output.paint(Tone::Strong, "replay"),
            self.replay,
        )
    }
}
