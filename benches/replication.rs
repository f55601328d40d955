//! How fast the replicated log of a shard is, without I/O, on one core.
//!
//! `cargo bench --bench replication` runs criterion; `cargo bench --bench replication -- figures [ROUNDS]` prints tables
//! (rounds interleaved, so that other work on the machine hits all rows alike); `-- spin SECONDS` keeps one load running,
//! for a profiler.
//!
//! Three replicas in one process, on one thread; syncs and links take no time, but happen in groups, round by round
//! (`core/tests/trio`). An entry counts when its answer came out: appended, encoded, carried, decoded, held by all three,
//! acknowledged and applied. Time is what the thread had of a core.

#[path = "load/figures.rs"]
mod figures;
#[path = "../core/tests/trio/mod.rs"]
mod trio;

use criterion::{BenchmarkId, Criterion, Throughput};
use figures::{Spread, core_time, machine};
use relaymesh_core::replication::Settings;
use std::time::{Duration, Instant};
use trio::{COMMAND_BYTES, Carriage, Load, PaddedRegisters, Sum, Trio};

/// Entries of one run. Replicas keep their whole logs.
const ENTRIES: u64 = 200_000;
/// Commands in one packet of clients that send many.
const PACKET: u64 = 32;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    match arguments.first().map(String::as_str) {
        Some("figures") => print_figures(number(1, 5)),
        Some("spin") => spin(Duration::from_secs(number(1, 10))),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            measure(&mut criterion);
            criterion.final_summary();
        }
    }
}

/// One row: a name, how many entries a run of it has, and the run.
struct Row {
    name: String,
    entries: u64,
    run: Box<dyn FnMut() -> Duration>,
}

fn rows() -> Vec<Row> {
    let mut rows = vec![];
    for carriage in [Carriage::Encoded, Carriage::HandedOver] {
        for (window, packet) in [(1_024, 1), (8_192, 1), (8_192, PACKET)] {
            rows.push(appending::<Sum>("sum", carriage, window, packet));
        }
        rows.push(appending::<PaddedRegisters>("registers", carriage, 8_192, 1));
    }
    for carriage in [Carriage::Encoded, Carriage::HandedOver] {
        for (entries, packet) in [(100_000, 1_024), (1_000_000, 1_024), (100_000, 16), (100_000, 1)] {
            rows.push(catching_up(carriage, entries, packet));
        }
    }
    rows
}

/// Clients keep `window` commands under way, in packets of that many.
fn appending<S: Load + 'static>(service: &str, carriage: Carriage, window: u64, packet: u64) -> Row {
    let commands = S::commands();
    let name = format!("append/{service}/{}/window {window}/packets of {packet}", name(carriage));
    let run = move || {
        let mut trio = Trio::<S>::new(carriage, 3, Settings::default());
        let begin = core_time();
        trio.run(&commands, window, packet, ENTRIES);
        core_time() - begin
    };
    Row { name, entries: ENTRIES, run: Box::new(run) }
}

/// An empty replica is placed, whose owner has so many entries in blocks of that many.
fn catching_up(carriage: Carriage, entries: u64, block: u64) -> Row {
    let name = format!("catch-up/{}/{entries}/blocks of {block}", name(carriage));
    let mut full: Option<Trio<Sum>> = None;
    let run = move || {
        // Its blocks are shared by all runs.
        let full = full.get_or_insert_with(|| owner_of(carriage, entries, block));
        let mut trio = full.clone();
        let begin = core_time();
        trio.catch_up();
        let time = core_time() - begin;
        assert_eq!(trio.service(1), trio.service(0));
        time
    };
    Row { name, entries, run: Box::new(run) }
}

fn owner_of(carriage: Carriage, entries: u64, block: u64) -> Trio<Sum> {
    let mut trio = Trio::new(carriage, 1, Settings::default());
    // Four blocks are under way at most, so that none is gathered.
    trio.run(&Sum::commands(), 4 * block, block, entries);
    trio
}

fn name(carriage: Carriage) -> &'static str {
    match carriage {
        Carriage::HandedOver => "handed over",
        Carriage::Encoded => "encoded",
    }
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replication");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for Row { name, entries, mut run } in rows() {
        group.throughput(Throughput::Elements(entries));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| run()).sum());
        });
    }
    group.finish();
}

fn print_figures(rounds: u64) {
    println!("{}\n", machine());
    let mut rows = rows();
    let mut times = vec![vec![]; rows.len()];
    for _ in 0..rounds {
        for (row, times) in rows.iter_mut().zip(&mut times) {
            times.push((row.run)());
        }
    }
    println!("| {COMMAND_BYTES} bytes | entries/s, min / median / max | ns/entry |\n| --- | --- | --- |");
    for (row, times) in rows.iter().zip(times) {
        let spread = Spread::of(times.iter().map(|time| row.entries as f64 / time.as_secs_f64()));
        println!("| {} | {} | {:.0} |", row.name, spread.thousands(), 1e9 / spread.median);
    }
    println!("\n{}", machine());
}

fn spin(time: Duration) {
    let mut row = appending::<Sum>("sum", Carriage::Encoded, 8_192, 1);
    let begin = Instant::now();
    let mut times = vec![];
    while begin.elapsed() < time {
        times.push((row.run)());
    }
    let spread = Spread::of(times.iter().map(|time| row.entries as f64 / time.as_secs_f64()));
    println!("{}: {} entries/s", row.name, spread.thousands());
}
