//! What came out, for people and for programs.

use super::disk::{APPEND_BYTES, Disk};
use super::figures::Spans;
use super::idle::Idle;
use super::load::Load;
use super::machine::machine;
use super::options::Options;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine_before: String,
    machine_after: String,
    /// Of the folder in which the nodes and the raw loops write.
    file_system: String,
    is_optimised: bool,
    setting: Setting,
    pub(crate) disk_before: Vec<Disk>,
    pub(crate) disk_after: Vec<Disk>,
    pub(crate) idle: Idle,
    pub(crate) load: Vec<Load>,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Setting {
    nodes: u8,
    shards: u32,
    copies: u8,
    /// Agents that each node runs at once.
    capacity: u16,
    seconds: f64,
}

impl Report {
    pub(crate) fn begin(options: &Options, place: &Path) -> Self {
        let Options { shards, copies, capacity, load_time, .. } = *options;
        Self {
            machine_before: machine(),
            machine_after: String::new(),
            file_system: file_system(place),
            is_optimised: !cfg!(debug_assertions),
            setting: Setting { nodes: 3, shards, copies, capacity, seconds: load_time.as_secs_f64() },
            disk_before: Vec::new(),
            disk_after: Vec::new(),
            idle: Idle::default(),
            load: Vec::new(),
        }
    }

    pub(crate) fn end(&mut self) {
        self.machine_after = machine();
    }

    pub(crate) fn print(&self, is_json: bool) {
        match is_json {
            true => println!("{}", serde_json::to_string_pretty(self).expect("figures are JSON")),
            false => self.tables(),
        }
    }

    fn tables(&self) {
        let Setting { nodes, shards, copies, capacity, seconds } = &self.setting;
        println!("{}, {}\n", self.machine_before, self.file_system);
        println!(
            "{nodes} processes, {shards} shards with {copies} copies each, {capacity} agents at once on each node; \
             all disks are this one\n"
        );
        disk_table(&self.disk_before, &self.disk_after);
        self.idle_tables();
        println!("Loads of {seconds} s:\n");
        self.load_tables();
        println!("{}", self.machine_after);
    }

    fn idle_tables(&self) {
        let Idle { own, others, all, parts, looks, entries_per_task, left_out } = &self.idle;
        println!("| one task at a time, ms: median / p99 / max | tasks | acknowledged | seen to have succeeded |");
        println!("| --- | --- | --- | --- |");
        for (name, trips) in [("all", all), ("shard of the node that is asked", own), ("shard of another node", others)]
        {
            let count = trips.acknowledged.count;
            // Who owns a shard is drawn: one node may have all, or none.
            if count == 0 {
                continue;
            }
            println!("| {name} | {count} | {} | {} |", three(&trips.acknowledged), three(&trips.succeeded));
        }
        println!("\n| of which, ms: median / p99 / max | |\n| --- | --- |");
        for (name, spans) in [
            ("sent, until its owner takes it into the log", &parts.taken),
            ("until a claim is taken into the log", &parts.claimed),
            ("until its report is", &parts.reported),
            ("until it is seen", &parts.seen),
        ] {
            println!("| {name} | {} |", three(spans));
        }
        println!(
            "\n{entries_per_task:.2} log entries and {looks:.1} questions for each task; {left_out} tasks left out\n"
        );
    }

    fn load_tables(&self) {
        println!(
            "| clients | acknowledged/s | one, ms: median / p99 | completed/s meanwhile | completed/s to the last | drained after, s | retried | parked |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for load in &self.load {
            println!(
                "| {} | {:.0} | {} | {:.0} | {:.0} | {:.1} | {} | {} |",
                load.clients,
                load.acknowledged_per_second,
                two(&load.acknowledged),
                load.completed_per_second,
                load.completed_to_the_last_per_second,
                load.drained_after_seconds,
                load.retried.values().sum::<u64>(),
                load.parked
            );
        }
        let reasons = self.load.iter().flat_map(|load| load.retried.keys()).collect::<BTreeSet<_>>();
        reasons.iter().for_each(|reason| println!("\nretried: {reason}"));
        println!(
            "\n| clients | log entries of a task | core time of a task, ms: all nodes | by thread | clients | KiB written of a task |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        for Load { clients, entries_per_task, cost, .. } in &self.load {
            let mut threads: Vec<_> = cost.core_ms.iter().filter(|(_, ms)| **ms >= 0.005).collect();
            threads.sort_by(|one, other| other.1.total_cmp(one.1));
            let threads: Vec<String> = threads.iter().map(|(name, ms)| format!("{name} {ms:.2}")).collect();
            println!(
                "| {clients} | {entries_per_task:.2} | {:.2} | {} | {:.2} | {:.0} |",
                cost.nodes_core_ms(),
                threads.join(", "),
                cost.clients_core_ms,
                cost.written_kib
            );
        }
        println!();
    }
}

/// The disk by itself, before and after.
pub(crate) fn disk_table(before: &[Disk], after: &[Disk]) {
    println!(
        "| {APPEND_BYTES} bytes appended and synced | syncs/s before | one, ms: median / p99 | syncs/s after | one, ms |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (before, after) in before.iter().zip(after) {
        println!(
            "| {} at once | {:.0} | {} | {:.0} | {} |",
            before.loops,
            before.syncs_per_second,
            two(&before.one),
            after.syncs_per_second,
            two(&after.one)
        );
    }
    println!();
}

fn two(spans: &Spans) -> String {
    format!("{:.2} / {:.2}", spans.median_ms, spans.p99_ms)
}

pub(crate) fn three(spans: &Spans) -> String {
    format!("{:.2} / {:.2} / {:.2}", spans.median_ms, spans.p99_ms, spans.max_ms)
}

/// The kind of file system that a folder is on: in memory, where nothing is synced, figures say nothing.
pub(crate) fn file_system(place: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let kind = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        place.starts_with(&point).then_some((point.len(), kind))
    };
    let longest = mounts.lines().filter_map(kind).max_by_key(|(length, _)| *length);
    longest.map_or_else(|| "an unknown file system".into(), |(_, kind)| kind)
}
