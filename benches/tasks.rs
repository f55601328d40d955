//! How fast the tasks of a shard are, above the log and without I/O, on one core, and how much memory they take.
//!
//! `cargo bench --bench tasks` runs criterion; `cargo bench --bench tasks -- figures [ROUNDS] [QUEUED]` prints tables;
//! `-- spin SECONDS` keeps one load running, for a profiler.
//!
//! A transition is one that a client sees: a task submitted, given to a worker, or done. Commands are encoded ahead, as they
//! stand in the log; decoding them is part of what is measured. Time is what the thread had of a core.
#![allow(unsafe_code, reason = "memory can only be counted by standing in the allocator's place")]
#![allow(clippy::disallowed_macros, reason = "the count belongs to the thread")]

#[path = "load/counting.rs"]
mod counting;
#[path = "load/figures.rs"]
mod figures;

use counting::bytes_in_use;
use criterion::{BenchmarkId, Criterion, Throughput};
use figures::{Spread, core_time, machine};
use relaymesh_core::codec::encode_value;
use relaymesh_core::control::state::Name as Namespace;
use relaymesh_core::epoch::{ClusterEpoch, Epoch, FenceToken};
use relaymesh_core::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::replication::blobs::{BlobTable, References};
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::replication::{LogSequence, PIECE_BYTES_MAX, Position, Progress, Service};
use relaymesh_core::task::answer::{Answer, Query};
use relaymesh_core::task::command::{Claim, Command, Entry, Outcome, Submit, What};
use relaymesh_core::task::id::{StepKey, TaskNumber};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::tasks::{Tasks, TasksReader};
use relaymesh_core::task::view::Counts;
use relaymesh_core::task::workflow::Name;
use relaymesh_core::time::WallTime;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Steps of one claim.
const BATCH: u64 = 32;
/// Bytes of an input, and of an output.
const PAYLOAD_BYTES: usize = 64;
/// Tasks of one run of the loads that end them.
const TASKS: u64 = 65_536;
const CLUSTER: ClusterEpoch = ClusterEpoch(1);

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    match arguments.first().map(String::as_str) {
        Some("figures") => print_figures(number(1, 5), number(2, 1_000_000)),
        Some("spin") => spin(Duration::from_secs(number(1, 10))),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            measure(&mut criterion);
            criterion.final_summary();
        }
    }
}

/// The tasks of a shard, at the end of its log.
#[derive(Clone, Default)]
struct Shard {
    tasks: Tasks,
    blobs: BlobTable,
    sequence: u64,
    claims: u64,
}

fn worker() -> Incarnation {
    Incarnation { node: NodeId::from_bytes([7; 16]), store: StoreIncarnation(1), boot: BootIncarnation(1) }
}

fn entry(command: &Command) -> Vec<u8> {
    let mut bytes = Entry::unstamped(command).expect("a short command");
    Tasks::stamp(&mut bytes, WallTime::from_unix_nanos(1_700_000_000_000_000_000));
    bytes
}

fn submission(number: u64, payload: usize) -> Vec<u8> {
    let agent = Name::new("resize").expect("a name");
    entry(&Command::Submit(Box::new(Submit {
        input: (payload > 0).then(|| Payload::inline(&vec![7; payload])),
        ..Submit::new(
            SubmissionId::of(&Namespace::new("n").expect("a name"), &number.to_le_bytes()),
            What::agent(agent),
        )
    })))
}

impl Shard {
    fn apply(&mut self, command: &[u8]) -> Answer {
        self.sequence += 1;
        let sequence = LogSequence(self.sequence);
        let position = Position { epoch: Epoch { cluster: CLUSTER, lease: 1 }, sequence };
        self.tasks.apply(position, command, &mut References::new(&mut self.blobs, sequence))
    }

    /// With so many tasks that wait.
    fn with_queue(queued: u64) -> Self {
        let mut shard = Self::default();
        (0..queued).for_each(|number| drop(shard.apply(&submission(number, PAYLOAD_BYTES))));
        shard
    }

    fn next_claim(&mut self, count: u16) -> Vec<u8> {
        self.claims += 1;
        let agents = vec![Name::new("resize").expect("a name")];
        entry(&Command::Claim(Box::new(Claim {
            worker: worker(),
            session: None,
            number: self.claims,
            agents,
            labels: vec![],
            count,
        })))
    }

    fn counts(&self) -> Counts {
        let mut query = vec![];
        encode_value(&Query::Counts, 64, &mut query).expect("a short query");
        match self.tasks.read(&query) {
            Answer::Counts(counts) => counts,
            other => panic!("counts are {other:?}"),
        }
    }
}

/// Entries of a log, in runs that are timed together: `ahead` tasks are submitted, then claimed, then done.
fn log(tasks: u64, ahead: u64) -> Vec<Vec<Vec<u8>>> {
    let (mut log, mut sequence, mut numbers) = (vec![], 0, Shard::default());
    for round in 0..tasks / ahead {
        let submitted: Vec<Vec<u8>> =
            (0..ahead).map(|number| submission(round * ahead + number, PAYLOAD_BYTES)).collect();
        let first = sequence + 1;
        sequence += ahead;
        log.push(submitted);
        for batch in 0..ahead / BATCH {
            sequence += 1;
            let fence = FenceToken::new(CLUSTER, sequence);
            let report = |number: u64| {
                let step = StepKey { task: TaskNumber(LogSequence(first + batch * BATCH + number)), row: 0 };
                let output = Payload::inline(&[7; PAYLOAD_BYTES]);
                entry(&Command::Report { step, fence, outcome: Outcome::Succeeded { output, counts: vec![] } })
            };
            log.push([numbers.next_claim(BATCH as u16)].into_iter().chain((0..BATCH).map(report)).collect());
            sequence += BATCH;
        }
    }
    log
}

fn transitions(log: &[Vec<Vec<u8>>], tasks: u64) -> Duration {
    let mut shard = Shard::default();
    let begin = core_time();
    for entry in log.iter().flatten() {
        black_box(shard.apply(entry));
    }
    let time = core_time() - begin;
    let counts = shard.counts();
    assert_eq!((counts.ended, counts.steps), (tasks, tasks), "all tasks have ended");
    time
}

/// One claim of a queue that has so many, on average.
fn claims(shard: &mut Shard, count: u16, claims: u32) -> Duration {
    let entries: Vec<Vec<u8>> = (0..claims).map(|_| shard.next_claim(count)).collect();
    let begin = core_time();
    for entry in &entries {
        black_box(shard.apply(entry));
    }
    (core_time() - begin) / claims
}

/// Bytes for each of so many tasks that wait, beyond the input.
fn bytes_of_a_task(queued: u64) -> f64 {
    let before = bytes_in_use();
    let shard = Shard::with_queue(queued);
    let bytes = bytes_in_use() - before;
    drop(shard);
    bytes as f64 / queued as f64 - PAYLOAD_BYTES as f64
}

/// All of a sequence of steps, and the longest one.
#[derive(Clone, Copy, Default)]
struct Steps {
    all: Duration,
    longest: Duration,
}

impl Steps {
    fn take<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let begin = core_time();
        let done = step();
        let time = core_time() - begin;
        (self.all, self.longest) = (self.all + time, self.longest.max(time));
        done
    }
}

/// Taking a snapshot, and reading it back. What was read is kept for good: whoever recovers has freed no million of tasks before,
/// and the allocator, which puts together what was freed when it is asked for much, would count as a step.
fn snapshot(shard: &mut Shard) -> (Steps, Steps) {
    let (mut taking, mut reading) = (Steps::default(), Steps::default());
    taking.take(|| shard.tasks.freeze());
    let mut reader = TasksReader::default();
    loop {
        let Progress::Piece { bytes, is_last } = taking.take(|| shard.tasks.next_piece(PIECE_BYTES_MAX)) else {
            continue;
        };
        reading.take(|| Tasks::take_piece(&mut reader, &bytes, &mut |_| ())).expect("a sound piece");
        if is_last {
            break;
        }
    }
    let again = reading.take(|| Tasks::finish(reader)).expect("a whole snapshot");
    assert!(again == shard.tasks, "what is read back is what was there");
    core::mem::forget(again);
    (taking, reading)
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tasks");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for ahead in [BATCH, TASKS] {
        let log = log(TASKS, ahead);
        group.throughput(Throughput::Elements(3 * TASKS));
        group.bench_function(BenchmarkId::new("transitions", format!("{ahead} ahead")), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| transitions(&log, TASKS)).sum());
        });
    }
    for queued in [1_000, 1_000_000] {
        let shard = Shard::with_queue(queued);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("claim", format!("{queued} queued")), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| claims(&mut shard.clone(), 1, 100)).sum());
        });
    }
    group.finish();
}

fn print_figures(rounds: u64, queued: u64) {
    println!("{}\n", machine());
    println!(
        "| {PAYLOAD_BYTES} bytes in, {PAYLOAD_BYTES} out | transitions/s, min / median / max | ns each |\n| --- | --- | --- |"
    );
    for ahead in [BATCH, 1_024, TASKS] {
        let log = log(TASKS, ahead);
        let times: Vec<Duration> = (0..rounds).map(|_| transitions(&log, TASKS)).collect();
        let spread = Spread::of(times.iter().map(|time| (3 * TASKS) as f64 / time.as_secs_f64()));
        println!(
            "| {ahead} submitted, claimed by {BATCH}, done | {} | {:.0} |",
            spread.thousands(),
            1e9 / spread.median
        );
    }
    println!("\n| queued | a claim of 1, ns | of {BATCH}, ns |\n| --- | --- | --- |");
    for queued in [1_000, 10_000, 100_000, queued] {
        let mut shard = Shard::with_queue(queued);
        let one = claims(&mut shard, 1, 200);
        let many = claims(&mut shard, BATCH as u16, 20);
        println!("| {queued} | {} | {} |", one.as_nanos(), many.as_nanos());
    }
    println!("\n{:.0} bytes for each of {queued} tasks that wait, beyond its input", bytes_of_a_task(queued));
    let mut shard = Shard::with_queue(queued);
    for round in 0..rounds.min(3) {
        let (taking, reading) = snapshot(&mut shard);
        println!(
            "round {round}: a snapshot of {queued} tasks is taken in {:.2} s (longest step {:.2} ms) and read in {:.2} s ({:.2} ms)",
            taking.all.as_secs_f64(),
            taking.longest.as_secs_f64() * 1e3,
            reading.all.as_secs_f64(),
            reading.longest.as_secs_f64() * 1e3
        );
    }
    let begin = core_time();
    drop(shard);
    println!("all of them are given up in {:.2} s, in one step", (core_time() - begin).as_secs_f64());
    println!("\n{}", machine());
}

fn spin(time: Duration) {
    let log = log(TASKS, 1_024);
    let begin = Instant::now();
    let mut times = vec![];
    while begin.elapsed() < time {
        times.push(transitions(&log, TASKS));
    }
    let spread = Spread::of(times.iter().map(|time| (3 * TASKS) as f64 / time.as_secs_f64()));
    println!("{} transitions/s", spread.thousands());
}
