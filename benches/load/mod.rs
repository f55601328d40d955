//! The load that speed figures of the simulator are about.
//!
//! The echo mesh, everything on: each node keeps four pings under way to peers it draws, a ping is encoded, sealed,
//! delayed, opened, decoded, answered, and every event and action is hashed into the trace and checked.

#![allow(dead_code, unused_imports, reason = "each bench uses a part")]

mod figures;

pub(crate) use figures::{Spread, core_time, machine};
use relaymesh_sim::example::Example;
use relaymesh_sim::scenario::{Scenario, parse};
use relaymesh_sim::world::{Options, Report, Verdict, World};
use std::time::Duration;

/// Bytes of payload in a ping, which make its body 202 bytes and that of the answer 207.
pub(crate) const PAYLOAD_BYTES: usize = 192;
/// Pings that each node keeps under way.
pub(crate) const WINDOW: usize = 4;
/// How often a ping is sent again.
pub(crate) const RETRIES: u8 = 3;
/// Node numbers that figures are given for.
pub(crate) const NODES: [u32; 4] = [5, 50, 200, 1_000];

/// The echo mesh without clients; each answer is followed by `pause` and then by the next ping.
pub(crate) fn echo(pause: &str) -> String {
    format!("[echo]\nwindow = {WINDOW}\npayload_bytes = {PAYLOAD_BYTES}\npause = \"{pause}\"\n[journal]\nclients = 0\n")
}

/// Journals without the echo mesh: 64 clients, of whose requests that share reads; `hashed` of the appends carry a hash.
pub(crate) fn journal(reads: &str, hashed: &str) -> String {
    format!(
        "[echo]\nwindow = 0\n[journal]\nclients = 64\nentry_bytes = 200\nreads = \"{reads}\"\nhashed = \"{hashed}\"\n"
    )
}

/// A scenario without faults that lasts until it is stopped; `tables` says what the load is.
pub(crate) fn scenario(nodes: u32, tables: &str) -> Scenario {
    let text = format!(
        "name = \"bench\"\nabout = \"A load to be measured.\"\nnodes = {nodes}\n\
         [phases]\nsafety = \"3600s\"\nliveness = \"1s\"\n{tables}"
    );
    parse(&text).unwrap_or_else(|error| panic!("the load is no scenario: {error}\n{text}"))
}

/// One measured run.
pub(crate) struct Run {
    pub(crate) report: Report,
    /// Core time it took.
    pub(crate) time: Duration,
}

impl Run {
    /// Runs `scenario` for `events` events; building the world is not measured.
    pub(crate) fn of(scenario: &Scenario, seed: u64, events: u64) -> Self {
        let mut world = World::<Example>::new(scenario, seed, Options { keep_lines: false, events_max: events });
        let begin = core_time();
        world.run();
        let time = core_time() - begin;
        let report = world.report();
        assert_eq!(report.verdict, Verdict::Held, "a load without faults broke something: {:?}", report.violations);
        Self { report, time }
    }

    /// Events of one kind.
    pub(crate) fn count(&self, kind: &str) -> u64 {
        self.report.events_by_kind.get(kind).copied().unwrap_or(0)
    }

    /// Events that count: a wake after which nothing followed is none.
    pub(crate) fn events(&self) -> u64 {
        self.report.events - self.count("idle_wake")
    }

    pub(crate) fn events_per_second(&self) -> f64 {
        self.events() as f64 / self.time.as_secs_f64()
    }

    /// Messages delivered and opened per second.
    pub(crate) fn messages_per_second(&self) -> f64 {
        self.count("packet") as f64 / self.time.as_secs_f64()
    }
}
