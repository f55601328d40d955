//! How fast the engine and its simulator are.
//!
//! `cargo bench --bench engine` runs criterion: the echo mesh at four sizes, and the parts it is made of.
//! `cargo bench --bench engine -- figures [ROUNDS]` prints events per second at each size (rounds interleaved, so that
//! other work on the machine hits all sizes alike), what a load of each kind of event costs, and ratios.
//! `cargo bench --bench engine -- spin NODES SECONDS` keeps one load running, for a profiler.
//!
//! An event is one thing handed to a process, above all a packet that was opened, or to a client. Wakes after which
//! nothing followed are not counted. Time is what the one thread had of a core; building a world is not measured.

mod load;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use load::{NODES, PAYLOAD_BYTES, Run, Spread, echo, scenario};
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::envelope::{Class, Envelope, Keyring, Opened, open, seal};
use relaymesh_core::gate::Gate;
use relaymesh_core::identity::{
    BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, StoreIncarnation, Tenant,
};
use relaymesh_core::machine::{CauseId, Chooser, Seeded};
use relaymesh_core::record::{Genesis, Recovered, Recovery, Sequence, Writer, read_frame};
use relaymesh_core::secret::SecretKey;
use relaymesh_core::time::{Duration as Span, Time};
use relaymesh_sim::example::echo::payload_of;
use relaymesh_sim::example::wire::Message;
use relaymesh_sim::queue::Queue;
use relaymesh_sim::time::TrueTime;
use relaymesh_sim::trace::{EventKind, Trace};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Events of one run.
const EVENTS: u64 = 300_000;
/// The load of nothing but messages, and the one in which deadlines pass as well.
const NO_PAUSE: &str = "0s";
const PAUSE: &str = "2ms";
const CLUSTER: ClusterId = ClusterId::from_bytes(*b"benchmarked mesh");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    match arguments.first().map(String::as_str) {
        Some("figures") => figures(number(1, 7)),
        Some("spin") => spin(number(1, 5) as u32, Duration::from_secs(number(2, 10))),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            meshes(&mut criterion);
            parts(&mut criterion);
            criterion.final_summary();
        }
    }
}

// --- tables -----------------------------------------------------------------------------------------------------------

fn figures(rounds: u64) {
    println!("{}", load::machine());
    sizes("nothing but messages: no pause between answer and ping", NO_PAUSE, rounds);
    sizes("two messages to a deadline: 2 ms between answer and ping", PAUSE, rounds);
    kinds(rounds);
    println!("{}", load::machine());
}

/// Events per second at each size. Each round runs every size, so that other work hits all of them.
fn sizes(name: &str, pause: &str, rounds: u64) {
    let scenarios = NODES.map(|nodes| scenario(nodes, &echo(pause)));
    let runs: Vec<Vec<Run>> =
        (0..rounds).map(|seed| scenarios.iter().map(|scenario| Run::of(scenario, seed, EVENTS)).collect()).collect();
    println!("\n| echo mesh, {name} | events/s, min / median / max | ns/event | messages |\n| --- | --- | --- | --- |");
    for (at, nodes) in NODES.iter().enumerate() {
        let spread = Spread::of(runs.iter().map(|round| round[at].events_per_second()));
        let messages = runs[0][at].count("packet") as f64 * 100.0 / runs[0][at].events() as f64;
        println!("| {nodes} nodes | {} | {:.0} | {messages:.1} % |", spread.thousands(), 1e9 / spread.median);
    }
    let ratio = Spread::of(runs.iter().map(|round| round[1].events_per_second() / round[3].events_per_second()));
    println!(
        "\nAn event at 1,000 nodes costs {:.2} / {:.2} / {:.2} times one at 50 (min / median / max of the rounds).",
        ratio.min, ratio.median, ratio.max
    );
}

fn kinds(rounds: u64) {
    println!(
        "\n| load, 5 nodes | events by kind | events/s, min / median / max | ns/event |\n| --- | --- | --- | --- |"
    );
    // Loads that differ in the kinds of events they are made of.
    let loads = [
        ("echo mesh, no pause", echo(NO_PAUSE)),
        ("echo mesh, 2 ms pause", echo(PAUSE)),
        ("appends of 0 to 200 bytes", load::journal("0%", "0%")),
        ("appends that carry a hash", load::journal("0%", "100%")),
        ("nine reads to an append", load::journal("90%", "0%")),
        ("the defaults of a scenario", String::new()),
    ];
    for (name, tables) in loads {
        let scenario = scenario(5, &tables);
        let runs: Vec<Run> = (0..rounds).map(|seed| Run::of(&scenario, seed, EVENTS / 3)).collect();
        let spread = Spread::of(runs.iter().map(Run::events_per_second));
        let share = |kind: &EventKind| {
            let count = runs[0].count(kind.name());
            let percent = count as f64 * 100.0 / runs[0].events() as f64;
            (percent >= 0.05).then(|| format!("{} {percent:.1} %", kind.name()))
        };
        let shares: Vec<String> = EventKind::ALL.iter().filter_map(share).collect();
        println!("| {name} | {} | {} | {:.0} |", shares.join(", "), spread.thousands(), 1e9 / spread.median);
    }
}

fn spin(nodes: u32, time: Duration) {
    let scenario = scenario(nodes, &echo(NO_PAUSE));
    let begin = Instant::now();
    let mut rates = Vec::new();
    while begin.elapsed() < time {
        rates.push(Run::of(&scenario, rates.len() as u64, 4 * EVENTS).events_per_second());
    }
    println!("{nodes} nodes: {} events/s", Spread::of(rates).thousands());
}

// --- criterion --------------------------------------------------------------------------------------------------------

fn meshes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo_mesh");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).throughput(Throughput::Elements(EVENTS));
    for nodes in NODES {
        let scenario = scenario(nodes, &echo(NO_PAUSE));
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|seed| Run::of(&scenario, seed, EVENTS).time).sum());
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    packet(criterion);
    gate(criterion);
    frame(criterion);
    recovery(criterion);
    queue(criterion);
    trace(criterion);
}

fn packet(criterion: &mut Criterion) {
    let keyring = Keyring::new(SecretKey::from_bytes([7; 32]));
    let (source, destination) = (NodeId::of_public_key(&[1; 32]), NodeId::of_public_key(&[2; 32]));
    let envelope = Envelope {
        cluster: CLUSTER,
        domain: GossipDomain(0),
        tenant: Tenant(0),
        source: Incarnation { node: source, store: StoreIncarnation(1), boot: BootIncarnation(1) },
        destination,
        next_hop: destination,
        ttl: 1,
        class: Class::Control,
        sequence: 1,
        cause: CauseId(1),
        version: BodyVersion(2),
        speaks: BodyVersion(2),
    };
    let message = Message::Ping {
        sequence: 1_000,
        answer_within: Span::from_millis(50),
        payload: payload_of(source, 1_000, PAYLOAD_BYTES),
    };
    let mut bytes = Vec::new();
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(1));
    group.bench_function("seal", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            seal(&keyring, &envelope, black_box(&message), 1 << 20, &mut bytes)
        });
    });
    group.bench_function("open", |bencher| {
        bencher.iter(|| -> Opened<Message> {
            open(&keyring, CLUSTER, destination, BodyVersion(2), black_box(&bytes)).expect("it was sealed above")
        });
    });
    group.finish();
}

fn gate(criterion: &mut Criterion) {
    /// About as large as an action that carries a message.
    type Action = [u64; 32];
    let mut group = criterion.benchmark_group("gate");
    let mut gate = Gate::<Action>::new();
    group.throughput(Throughput::Elements(1));
    group.bench_function("pass", |bencher| {
        bencher.iter(|| {
            gate.hold(None, black_box([1; 32]));
            gate.close_step();
            gate.release(Time::ZERO)
        });
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("hold_64_for_a_sync", |bencher| {
        bencher.iter(|| {
            let write = gate.wrote();
            for _ in 0..64 {
                gate.hold(None, black_box([1; 32]));
                gate.close_step();
                assert!(gate.release(Time::ZERO).is_none(), "nothing is durable yet");
            }
            gate.persisted(write);
            while let Some(release) = gate.release(Time::ZERO) {
                black_box(release);
            }
        });
    });
    group.finish();
}

/// A journal of `records` records of 200 bytes, slot by slot.
fn journal(records: u64) -> Vec<Vec<u8>> {
    let mut writer = Recovered::empty().writer(BootIncarnation(1));
    let genesis = Genesis { cluster: CLUSTER, node: NodeId::of_public_key(&[1; 32]), store: StoreIncarnation(1) };
    let mut slots: Vec<Vec<u8>> = Vec::new();
    let mut slot = |write: &mut dyn FnMut(&mut Vec<u8>) -> Sequence| {
        let mut bytes = Vec::new();
        write(&mut bytes);
        slots.push(bytes);
    };
    slot(&mut |out| writer.genesis(&genesis, out).expect("a genesis record fits"));
    slot(&mut |out| writer.boot_record(out).expect("a boot record fits"));
    for number in 2..records {
        slot(&mut |out| append(&mut writer, out));
        if number % 16 == 0 {
            writer.synced(Sequence(number));
        }
    }
    slots
}

fn append(writer: &mut Writer, out: &mut Vec<u8>) -> Sequence {
    let body = |out: &mut Vec<u8>| {
        out.extend_from_slice(&[7; 200]);
        Ok(())
    };
    writer.application(BodyVersion(1), out, body).expect("200 bytes fit")
}

fn frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(1));
    let mut writer = Recovered::empty().writer(BootIncarnation(1));
    let mut bytes = Vec::new();
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            append(&mut writer, &mut bytes)
        });
    });
    group.bench_function("read", |bencher| bencher.iter(|| read_frame(black_box(&bytes)).is_ok()));
    group.finish();
}

fn recovery(criterion: &mut Criterion) {
    let slots = journal(10_000);
    let mut group = criterion.benchmark_group("recovery");
    group.sample_size(20).throughput(Throughput::Elements(slots.len() as u64));
    group.bench_function("10_000_records", |bencher| {
        bencher.iter(|| {
            let mut recovery = Recovery::new();
            for (at, bytes) in (1..).map(Sequence).zip(&slots) {
                let kept = recovery.feed(at, Some(bytes)).expect("the journal is whole");
                assert!(kept.is_some(), "every record extends the prefix");
            }
            recovery.finish().expect("the journal is whole").end
        });
    });
    group.finish();
}

fn queue(criterion: &mut Criterion) {
    let mut chooser = Seeded::new(1, 1);
    let mut queue = Queue::new();
    let mut now = 0;
    for _ in 0..10_000 {
        queue.schedule(TrueTime(chooser.below(1_000_000)), [0u64; 3]);
    }
    let mut group = criterion.benchmark_group("queue");
    group.throughput(Throughput::Elements(1));
    group.bench_function("schedule_and_pop_among_10_000", |bencher| {
        bencher.iter(|| {
            queue.schedule(TrueTime(now + 200_000 + chooser.below(800_000)), [now; 3]);
            let popped = queue.pop();
            now = popped.map_or(now, |(at, _)| at.0);
            popped
        });
    });
    group.finish();
}

fn trace(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trace");
    let (tag, text) = ([7u8; 16], [9u8; 24]);
    group.throughput(Throughput::Elements(1));
    group.bench_function("event", |bencher| {
        let mut trace = Trace::new(false);
        bencher.iter(|| {
            let event = trace.event(EventKind::Packet, TrueTime(1), Some(1), CauseId(1));
            trace.bytes(black_box(&tag));
            trace.bytes(black_box(&tag));
            trace.bytes(black_box(&text));
            event
        });
    });
    let block = vec![1u8; 1 << 20];
    group.sample_size(20).throughput(Throughput::Bytes(block.len() as u64));
    group.bench_function("hash_1_MiB", |bencher| {
        bencher.iter_batched(
            || Trace::new(false),
            |mut trace| {
                block.chunks(64).for_each(|bytes| trace.bytes(bytes));
                trace.hash()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}
