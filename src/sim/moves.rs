//! `sim measure shards`: what moves when a node joins or leaves, and how hot the hottest node is.

use super::{matrix, pool};
use crate::cli::{self, Shards};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, counted, grouped, rendered};
use crate::wall::Stopwatch;
use relaymesh_core::shards::placement::Strategy;
use relaymesh_sim::placement::{Shape, Shown, measure};
use serde::Serialize;

/// One strategy, with nodes of one weight or of several.
#[derive(Debug, Serialize)]
struct Series {
    strategy: &'static str,
    /// Nodes differ in weight.
    weighted: bool,
    figures: Vec<Figure>,
}

/// What all seeds come to.
#[derive(Debug, Serialize)]
struct Figure {
    figure: &'static str,
    mean: f64,
    median: f64,
    p99: f64,
    max: f64,
    /// What it ought to be at most, where that is said: of which value, and how much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    of: &'static str,
    limit: f64,
    holds: bool,
}

#[derive(Debug, Serialize)]
struct Measured {
    shards: u32,
    nodes: u32,
    copies: u8,
    zones: u32,
    first_seed: u64,
    seeds: u64,
    held: bool,
    wall_seconds: f64,
    series: Vec<Series>,
}

/// Measures placement.
pub(crate) fn run(arguments: &Shards, output: &Output) -> Result<Exit, Error> {
    let Shards { shards, nodes, copies, zones, from_seed: first_seed, seeds, .. } = *arguments;
    let strategies = match arguments.strategy.as_slice() {
        [] => &Strategy::ALL,
        chosen => chosen,
    };
    let shape = |strategy, is_weighted| Shape { shards, nodes, copies, zones, strategy, is_weighted };
    let shapes: Vec<Shape> = strategies.iter().flat_map(|it| [shape(*it, false), shape(*it, true)]).collect();
    let jobs: Vec<(usize, u64)> = (0..shapes.len())
        .flat_map(|shape| (first_seed..first_seed.saturating_add(seeds)).map(move |seed| (shape, seed)))
        .collect();
    let watch = Stopwatch::start();
    let bar = matrix::progress(Some(jobs.len() as u64));
    let mut shown: Vec<Vec<Shown>> = vec![Vec::new(); shapes.len()];
    let take = |(shape, _): &(usize, u64), done| {
        shown[*shape].push(done);
        bar.inc(1);
    };
    let work = |(shape, seed): &(usize, u64)| measure(shapes[*shape], *seed);
    pool::each(&jobs, cli::jobs_or_cores(arguments.jobs), || false, work, take);
    bar.finish_and_clear();
    let series: Vec<Series> = shapes.iter().zip(&shown).map(|(shape, shown)| Series::of(shape, shown)).collect();
    let held = series.iter().flat_map(|it| &it.figures).flat_map(|it| &it.bars).all(|bar| bar.holds);
    let measured =
        Measured { shards, nodes, copies, zones, first_seed, seeds, held, wall_seconds: watch.seconds(), series };
    match output.is_json() {
        true => output.json(&measured)?,
        false => output.print(&measured.text(output))?,
    }
    // As everywhere in `measure`: what figures ought to be is said of the usual size, and is no promise of each.
    Ok(Exit::Held)
}

impl Series {
    fn of(shape: &Shape, shown: &[Shown]) -> Self {
        let share = f64::from(shape.shards) / f64::from(shape.nodes);
        let percent = |part: u32| 100.0 * f64::from(part) / f64::from(shape.shards);
        let figure = |name, value: &dyn Fn(&Shown) -> f64| Figure::of(name, shown.iter().map(value).collect());
        let of_share = |owners: u32, hundredths: u32| f64::from(owners) * 10_000.0 / f64::from(hundredths.max(1));
        let mut figures = vec![
            figure("owners_moved_by_a_join", &|it| f64::from(it.join.owners)),
            figure("owners_moved_by_a_leave", &|it| f64::from(it.leave.owners)),
            figure("join_percent_of_its_share", &|it| of_share(it.join.owners, it.join.share_hundredths)),
            figure("leave_percent_of_its_share", &|it| of_share(it.leave.owners, it.leave.share_hundredths)),
            figure("copies_made_by_a_join", &|it| f64::from(it.join.copies)),
            figure("copies_made_by_a_leave", &|it| f64::from(it.leave.copies)),
            figure("owners_moved_percent_of_all", &|it| percent(it.join.owners.max(it.leave.owners))),
            figure("owners_in_another_zone_percent", &|it| percent(it.join.strayed.max(it.leave.strayed))),
            figure("hottest_percent_of_its_share", &|it| f64::from(it.hottest_percent)),
        ];
        // The bound of placements by a draw for each pair: what chance would move, and three times its spread.
        if !shape.is_weighted && shape.strategy != Strategy::Locality {
            for moved in &mut figures[..2] {
                moved.ought("mean", 1.05 * share);
                moved.ought("p99", share + 3.0 * share.sqrt());
            }
        }
        figures[6].ought("max", 10.0);
        if shape.strategy == Strategy::Locality {
            figures[7].ought("max", 5.0);
        }
        figures[8].ought("max", 125.0);
        Self { strategy: shape.strategy.name(), weighted: shape.is_weighted, figures }
    }
}

impl Figure {
    fn of(figure: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(place).copied().unwrap_or_default()
        };
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Self { figure, mean, median: rank(50), p99: rank(99), max: rank(100), bars: Vec::new() }
    }

    fn ought(&mut self, of: &'static str, limit: f64) {
        let value = match of {
            "mean" => self.mean,
            "p99" => self.p99,
            _ => self.max,
        };
        self.bars.push(Bar { of, limit, holds: value <= limit });
    }
}

impl Measured {
    fn text(&self, output: &Output) -> String {
        let head = format!(
            "{} on {}, {} copies of each, {}",
            counted(self.shards.into(), "shard"),
            counted(self.nodes.into(), "node"),
            self.copies,
            counted(self.zones.into(), "zone"),
        );
        let last_seed = self.first_seed + (self.seeds - 1);
        let seeds = format!("seeds {} to {last_seed}, each with 40 changes behind it", self.first_seed);
        let mut text = format!(" {}  {}\n", output.paint(Tone::Strong, head), output.paint(Tone::Dim, seeds));
        for series in &self.series {
            let weights = if series.weighted { "weights of 1, 2 and 4" } else { "one weight" };
            let title = output.paint(Tone::Strong, series.strategy);
            text += &format!("\n {title}  {}\n\n{}", output.paint(Tone::Dim, weights), series.table(output));
        }
        let verdict = match self.held {
            true => output.paint(Tone::Good, "HELD"),
            false => output.paint(Tone::Bad, "MISSED"),
        };
        text + &format!("\n {verdict}  {} in {:.1} s\n", counted(self.seeds, "seed"), self.wall_seconds)
    }
}

impl Series {
    fn table(&self, output: &Output) -> String {
        let mut table = output.table(&["figure", ">mean", ">median", ">p99", ">max", "ought to be"]);
        for it in &self.figures {
            let ought: Vec<String> = it.bars.iter().map(Bar::text).collect();
            let tone = if it.bars.iter().all(|bar| bar.holds) { Tone::Good } else { Tone::Bad };
            let whole = |value: f64| cell(Tone::Plain, grouped(value.round() as u64));
            let percent = it.figure.contains("percent");
            let part = |value: f64| if percent { cell(Tone::Plain, format!("{value:.1}")) } else { whole(value) };
            table.add_row([
                cell(Tone::Strong, it.figure),
                cell(Tone::Plain, format!("{:.2}", it.mean)),
                part(it.median),
                part(it.p99),
                part(it.max),
                cell(tone, ought.join(", ")),
            ]);
        }
        rendered(&table)
    }
}

impl Bar {
    fn text(&self) -> String {
        format!("{} {} ≤ {:.1}", if self.holds { "✓" } else { "✗" }, self.of, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_bar_is_of_one_value_and_holds_up_to_its_limit() {
        let mut figure = Figure::of("moved", vec![30.0, 10.0, 20.0, 20.0]);
        assert_eq!((figure.mean, figure.median, figure.p99, figure.max), (20.0, 20.0, 30.0, 30.0));
        figure.ought("mean", 20.0);
        figure.ought("p99", 29.9);
        assert_eq!(figure.bars.iter().map(|bar| bar.holds).collect::<Vec<_>>(), [true, false]);
    }
}
