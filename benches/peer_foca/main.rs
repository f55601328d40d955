//! The mesh and foca 2.0 side by side: detection of crashes, false deaths and bytes, under one schedule.
//!
//! `cargo bench --bench peer_foca -- [NODES ...] [--seeds N] [--suspicion-ms N]` prints a table for each number of nodes
//! (50 and 200 unless given) and each loss. Without `--bench`, which `cargo bench` passes, or with `--test`, the driver of
//! foca is tested instead: `cargo test --bench peer_foca`.
//!
//! Times and rates are median / 99th percentile / greatest: of all crashes of all runs, or of all runs. *Never* is not
//! before the end of the run, or, of forming, not before one of the nodes crashed.
//!
//! What is the same: the simulator's network with its default delays (200 µs to 1 ms, one in a hundred ten times that),
//! datagrams of at most 1,400 bytes, the number of nodes, the instants at which they start within one second, one of them
//! known to all others, loss, who crashes and when ([`schedule`]), and what measures it ([`watch`]). All is simulated time,
//! so the machine does not matter.
//!
//! What differs, and in whose favour:
//!
//! - foca's datagrams are bare, ours carry a header and an authenticator of 136 bytes.
//! - foca is configured as it recommends for a LAN of just this size, which it is told from the start
//!   (`Config::new_lan`); ours is the profile `lan`, which is the same for every size.
//! - Each of foca's identities carries 40 bytes besides address and generation, ours 40 bytes of metadata besides its name,
//!   so that what is said of a member is of comparable size. Two more columns show foca where another choice serves
//!   it better: with identities of address and generation alone, and with updates sent 15 times, the most that its
//!   documentation calls reasonable.
//! - Our nodes have disks, and speak only once what they say of themselves is durable there; and clocks, which run at
//!   rates of their own. foca's have neither.
//! - What does not fit a datagram, ours sends on streams. They are counted with TCP's headers and acknowledgements, each
//!   try, and with what it takes to open a connection and to ask the seed who it is; closing them is not. foca uses
//!   datagrams alone.
//! - Our checkers watch. What they find broken is printed below the table, and the exit code is then 1.

mod figures;
mod ours;
mod schedule;
mod smoke;
mod theirs;
mod watch;

use figures::{Column, Figures, table};
use foca::Config;
use relaymesh_core::membership::suspicion;
use relaymesh_sim::check::Violation;
use schedule::Schedule;
use std::num::NonZeroU8;
use std::process::ExitCode;
use std::time::Duration;
use theirs::Settings;

const NODES: [u32; 2] = [50, 200];
/// How often foca sends an update in the column that is to show what more would buy: the most that its documentation
/// calls reasonable, for very large meshes.
const TRANSMISSIONS: NonZeroU8 = NonZeroU8::new(15).unwrap();
const LOSSES: [&str; 2] = ["1%", "5%"];
const SEEDS: u64 = 20;
/// Four crash, and some must be left to notice.
const NODES_MIN: u32 = 6;

const USAGE: &str = "usage: cargo bench --bench peer_foca -- [NODES ...] [--seeds N] [--suspicion-ms N]";

/// What was asked for.
struct Request {
    nodes: Vec<u32>,
    seeds: u64,
    suspicion: Option<Duration>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if given("--test") || !given("--bench") {
        smoke::test();
        return ExitCode::SUCCESS;
    }
    let Some(request) = Request::of(arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench"))
    else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut broken = 0;
    for nodes in &request.nodes {
        for loss in LOSSES {
            broken += compare(*nodes, loss, &request);
        }
    }
    ExitCode::from(u8::from(broken > 0))
}

impl Request {
    fn of<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut request = Self { nodes: Vec::new(), seeds: SEEDS, suspicion: None };
        while let Some(argument) = arguments.next() {
            match argument {
                "--seeds" => request.seeds = arguments.next()?.parse().ok().filter(|seeds| *seeds > 0)?,
                "--suspicion-ms" => {
                    request.suspicion =
                        Some(Duration::from_millis(arguments.next()?.parse().ok().filter(|ms| *ms > 0)?));
                }
                nodes => request.nodes.push(nodes.parse().ok().filter(|nodes| *nodes >= NODES_MIN)?),
            }
        }
        if request.nodes.is_empty() {
            request.nodes = NODES.to_vec();
        }
        Some(request)
    }
}

/// One table. Returns how many of our runs have broken a promise.
fn compare(nodes: u32, loss: &str, request: &Request) -> usize {
    let schedules: Vec<Schedule> = (0..request.seeds).map(|seed| Schedule::new(nodes, loss, seed)).collect();
    let recommended = Settings { metadata: true, suspicion: request.suspicion, transmissions: None };
    let foca =
        |settings| -> Vec<Figures> { schedules.iter().map(|schedule| theirs::run(schedule, settings).0).collect() };
    let (ours, violations): (Vec<Figures>, Vec<Vec<Violation>>) = schedules
        .iter()
        .map(|schedule| {
            let ours::Run { figures, violations } = ours::run(schedule);
            (figures, violations)
        })
        .unzip();
    let columns = [
        Column { name: "RelayMesh", runs: ours },
        Column { name: "foca", runs: foca(recommended) },
        Column { name: "foca, bare identities", runs: foca(Settings { metadata: false, ..recommended }) },
        Column {
            name: "foca, 15 transmissions",
            runs: foca(Settings { transmissions: Some(TRANSMISSIONS), ..recommended }),
        },
    ];
    println!("## {nodes} nodes, {loss} loss, {} seeds\n\n{}\n", request.seeds, table(&columns));
    println!("{}\n{}\n", our_settings(nodes, &schedules), their_settings(&recommended.config(nodes)));
    let broken = schedules.iter().zip(&violations).filter(|(_, violations)| !violations.is_empty());
    let lines: Vec<String> = broken.map(|(schedule, violations)| said(schedule.seed, violations)).collect();
    if !lines.is_empty() {
        println!("RelayMesh broke promises in {} of {} runs:\n\n{}\n", lines.len(), request.seeds, lines.join("\n"));
    }
    lines.len()
}

/// The first of a run's broken promises, and how many more there are.
fn said(seed: u64, violations: &[Violation]) -> String {
    let first = violations.first().map(|it| format!("{} at {}: {}", it.invariant, it.at, it.detail));
    let more = violations.len().saturating_sub(1);
    format!("- seed {seed}: {}; {more} more", first.unwrap_or_default())
}

fn our_settings(nodes: u32, schedules: &[Schedule]) -> String {
    let Some(settings) = schedules.first().map(ours::configured) else { return String::new() };
    format!(
        "RelayMesh: probe every {}, direct answer within {}, {} indirect probes, {} to {} from suspicion to death, by \
         confirmations",
        settings.probe_interval,
        settings.probe_timeout,
        settings.relays,
        suspicion::shortest(nodes, &settings),
        suspicion::timeout(0, nodes, &settings),
    )
}

fn their_settings(config: &Config) -> String {
    format!(
        "foca: probe every {:?}, direct answer within {:?}, {} indirect probes, {:?} from suspicion to death, an update is \
         sent {} times",
        config.probe_period,
        config.probe_rtt,
        config.num_indirect_probes,
        config.suspect_to_down_after,
        config.max_transmissions
    )
}
