//! How fast tables of placements are worked out and looked up, on one core, and how large they are.
//!
//! `cargo bench --bench placement` runs criterion; `cargo bench --bench placement -- figures [ROUNDS]` prints tables (rounds
//! interleaved, so that other work on the machine hits all rows alike). Time is what the thread had of a core.
#![allow(unsafe_code, reason = "memory can only be counted by standing in the allocator's place")]
#![allow(clippy::disallowed_macros, reason = "the count belongs to the thread")]

#[path = "load/counting.rs"]
mod counting;
#[path = "load/figures.rs"]
mod figures;

use counting::bytes_in_use;
use criterion::{BenchmarkId, Criterion};
use figures::{Spread, core_time, machine};
use relaymesh_core::control::state::Name;
use relaymesh_core::identity::NodeId;
use relaymesh_core::shards::placement::{Rule, Site, Sites, Standing, Strategy, Table, Work};
use std::hint::black_box;
use std::time::Duration;

/// Pairs of one step: what a node would do between two events.
const PAIRS: u32 = 100_000;
const SIZES: [(u32, u16); 2] = [(1_000, 200), (10_000, 2_000)];

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("figures") => print_figures(arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(5)),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            measure(&mut criterion);
            criterion.final_summary();
        }
    }
}

fn sites(count: u16) -> Vec<Site> {
    let site = |number: u16| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
        let zone = Name::new(["zone-a", "zone-b", "zone-c"][usize::from(number % 3)]).unwrap();
        Site { node: NodeId::from_bytes(bytes), weight: 64 << (number % 3), zone, standing: Standing::Open }
    };
    (0..count).map(site).collect()
}

fn rule(shards: u32, strategy: Strategy) -> Rule {
    Rule { namespace: Name::new("bench").unwrap(), shards, copies: 3, strategy, seed: 1 }
}

/// Works it out in steps; the whole time, the longest step, and what it came to.
fn worked_out(rule: Rule, sites: Vec<Site>, before: Option<&Table>) -> (Duration, Duration, Table) {
    let began = core_time();
    let mut work = Work::new(rule, Sites::new(sites).unwrap(), before, u32::MAX).unwrap();
    let mut longest = core_time() - began;
    loop {
        let at = core_time();
        let is_over = work.step(PAIRS);
        longest = longest.max(core_time() - at);
        if is_over {
            let at = core_time();
            let table = work.done(1).table;
            longest = longest.max(core_time() - at);
            return (core_time() - began, longest, table);
        }
    }
}

struct Row {
    name: String,
    before: Option<Table>,
    rule: Rule,
    sites: Vec<Site>,
    times: Vec<f64>,
    longest: Vec<f64>,
}

fn rows() -> Vec<Row> {
    let row = |(shards, nodes): (u32, u16), strategy: Strategy, is_join: bool| {
        let (rule, all) = (rule(shards, strategy), sites(nodes));
        let before = is_join.then(|| worked_out(rule, sites(nodes - 1), None).2);
        let how = if is_join { "one joins" } else { "from nothing" };
        let name = format!("{}, {shards} shards × {nodes} nodes, {how}", strategy.name());
        Row { name, before, rule, sites: all, times: Vec::new(), longest: Vec::new() }
    };
    let of_size = |size| Strategy::ALL.into_iter().flat_map(move |it| [row(size, it, false), row(size, it, true)]);
    SIZES.into_iter().flat_map(of_size).collect()
}

fn print_figures(rounds: usize) {
    println!("{}; {rounds} rounds, steps of {PAIRS} pairs\n", machine());
    let mut rows = rows();
    for _ in 0..rounds {
        for row in &mut rows {
            let (time, longest, _) = worked_out(row.rule, row.sites.clone(), row.before.as_ref());
            row.times.push(time.as_secs_f64() * 1e3);
            row.longest.push(longest.as_secs_f64() * 1e3);
        }
    }
    println!("| worked out | ms, min / median / max | longest step, ms |\n| --- | --- | --- |");
    for row in &rows {
        let Spread { min, median, max } = Spread::of(row.times.iter().copied());
        let longest = Spread::of(row.longest.iter().copied()).max;
        println!("| {} | {min:.2} / {median:.2} / {max:.2} | {longest:.2} |", row.name);
    }
    let began = bytes_in_use();
    let table = worked_out(rule(10_000, Strategy::Rendezvous), sites(2_000), None).2;
    println!("\nA table of 10,000 shards on 2,000 nodes: {} bytes", bytes_in_use() - began);
    let looks = 10_000_000u32;
    let look = |_| {
        let at = core_time();
        for number in 0..looks {
            black_box(table.owner(black_box(number.wrapping_mul(7_919) % 10_000)));
        }
        f64::from(looks) / (core_time() - at).as_secs_f64()
    };
    let looks = Spread::of((0..rounds).map(look));
    println!("Looks at an owner: {} a second, {:.1} ns each", looks.thousands(), 1e9 / looks.median);
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("placement");
    group.sample_size(10);
    for row in rows() {
        group.bench_function(BenchmarkId::from_parameter(&row.name), |bencher| {
            bencher.iter(|| worked_out(row.rule, row.sites.clone(), row.before.as_ref()));
        });
    }
    group.finish();
}
