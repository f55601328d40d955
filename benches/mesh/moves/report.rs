//! What came out, for people and for programs.

use super::super::disk::Disk;
use super::super::machine::machine;
use super::super::options::Options;
use super::super::report::{disk_table, file_system, three};
use super::check::Tasks;
use super::clients::Journal;
use super::kinds::{Together, core_ms, leasts, names, rate, seconds};
use super::operator::{Moves, Peer};
use super::timeline::{Kind, Phase};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Of what is steady before: the goal is never to be below it while shards move.
const GOAL: f64 = 0.8;

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine_before: String,
    machine_after: String,
    /// Of the folder in which the nodes and the raw loops write.
    file_system: String,
    is_optimised: bool,
    clients: usize,
    /// Tasks that they submit in a second; as many as they can where there is none.
    rate: Option<u32>,
    shards: u32,
    copies: u8,
    /// Agents that each node runs at once.
    capacity: u16,
    pub(crate) disk_before: Vec<Disk>,
    pub(crate) disk_after: Vec<Disk>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) foretold: Vec<Foretold>,
    /// From the start of the fifth process until it was a place for shards.
    pub(crate) open_after_seconds: f64,
    /// At the end.
    pub(crate) peers: Vec<Peer>,
    pub(crate) tasks: Tasks,
    retried: BTreeMap<String, u64>,
    parked: u64,
}

/// What `simulate` said before, and `diff` after.
#[derive(Debug, Serialize)]
pub(crate) struct Foretold {
    what: &'static str,
    simulate: Moves,
    diff: Moves,
}

impl Foretold {
    pub(crate) fn of(what: &'static str, simulate: Moves, diff: Moves) -> Self {
        Self { what, simulate, diff }
    }
}

impl Report {
    pub(crate) fn begin(options: &Options, place: &Path) -> Self {
        Self {
            machine_before: machine(),
            machine_after: String::new(),
            file_system: file_system(place),
            is_optimised: !cfg!(debug_assertions),
            clients: options.clients[0],
            rate: options.rate,
            shards: options.shards,
            copies: options.copies,
            capacity: options.capacity,
            disk_before: Vec::new(),
            disk_after: Vec::new(),
            phases: Vec::new(),
            foretold: Vec::new(),
            open_after_seconds: 0.0,
            peers: Vec::new(),
            tasks: Tasks::default(),
            retried: BTreeMap::new(),
            parked: 0,
        }
    }

    pub(crate) fn end(&mut self, journal: Journal) {
        self.machine_after = machine();
        (self.retried, self.parked) = (journal.retried, journal.parked);
    }

    pub(crate) fn print(&self, is_json: bool) {
        match is_json {
            true => println!("{}", serde_json::to_string_pretty(self).expect("figures are JSON")),
            false => self.tables(),
        }
    }

    fn tables(&self) {
        let Self { clients, shards, copies, capacity, .. } = self;
        let pace = self.rate.map_or("as fast as they can".into(), |rate| format!("{rate} tasks a second together"));
        println!("{}, {}\n", self.machine_before, self.file_system);
        println!(
            "four processes, then five; {shards} shards with {copies} copies each, {capacity} agents at once on each node, \
             {clients} clients, {pace}; all disks are this one\n"
        );
        disk_table(&self.disk_before, &self.disk_after);
        self.phase_tables();
        self.foretold_table();
        self.counts();
        println!("{}", self.machine_after);
    }

    fn phase_tables(&self) {
        println!(
            "| phase | seconds | completed/s | in the least second | of steady before | the least second, of steady before | \
             longest without a completion, ms: all, one shard |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for phase in &self.phases {
            println!(
                "| {} | {:.1} | {:.0} | {:.0} | {:.0} % | {:.0} % | {:.0}, {:.0} |",
                phase.name,
                phase.seconds,
                phase.completed_per_second,
                phase.least_completed_per_second,
                phase.share_of_steady * 100.0,
                phase.least_share_of_steady * 100.0,
                phase.longest_pause_ms,
                phase.longest_pause_of_a_shard_ms,
            );
        }
        println!();
        self.moves_table();
        println!("| phase | acknowledged, ms: median / p99 / max | cores: all nodes | clients | load of the machine |");
        println!("| --- | --- | --- | --- | --- |");
        for phase in &self.phases {
            println!(
                "| {} | {} | {:.2} | {:.2} | {:.1} |",
                phase.name,
                three(&phase.acknowledged),
                phase.nodes_cores,
                phase.clients_cores,
                phase.machine_load
            );
        }
        println!();
    }

    /// Moves of one kind together, since each is short; and all of them against the goal.
    fn moves_table(&self) {
        println!(
            "| moves, all of a kind | times | seconds, mean | completed/s | of steady before | of steady after | the least second of \
             each, of steady before | the same of what is steady itself | core ms of a task | before | after |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        let [mut of_before, mut of_lesser, mut second] = [f64::INFINITY; 3];
        for name in names(&self.phases, Kind::Moving) {
            let Together { before, moving, after } = Together::of(name, &self.phases);
            let share = rate(&moving) / rate(&before);
            let seconds_of = |phases: &[&Phase]| leasts(phases, &before);
            println!(
                "| {name} | {} | {:.1} | {:.0} | {:.0} % | {:.0} % | {} | {} | {:.2} | {:.2} | {:.2} |",
                moving.len(),
                seconds(&moving) / moving.len() as f64,
                rate(&moving),
                share * 100.0,
                rate(&moving) / rate(&after) * 100.0,
                percents(&seconds_of(&moving)),
                percents(&seconds_of(&before)),
                core_ms(&moving),
                core_ms(&before),
                core_ms(&after),
            );
            of_before = of_before.min(share);
            of_lesser = of_lesser.min(rate(&moving) / rate(&before).min(rate(&after)));
            second = seconds_of(&moving).into_iter().fold(second, f64::min);
        }
        for (what, least) in [
            ("in the mean of a kind, against the steady before", of_before),
            ("in the mean of a kind, against the lesser of the steady before and after", of_lesser),
            ("in any second, against the steady before", second),
        ] {
            let word = if least >= GOAL { "holds" } else { "does not hold" };
            println!("\nnever below {:.0} % while shards move, {what}: {word}, {:.0} %", GOAL * 100.0, least * 100.0);
        }
        println!();
    }

    fn foretold_table(&self) {
        println!("| shards, owners, copies | `simulate` said | `diff` shows | the same |");
        println!("| --- | --- | --- | --- |");
        let words = |moves: &Moves| format!("{}, {}, {}", moves.shards, moves.owners, moves.copies);
        for Foretold { what, simulate, diff } in &self.foretold {
            let is_same = if simulate == diff { "yes" } else { "no" };
            println!("| {what} | {} | {} | {is_same} |", words(simulate), words(diff));
        }
        println!();
    }

    fn counts(&self) {
        let Tasks { acknowledged, there, attempts } = self.tasks;
        println!(
            "{acknowledged} tasks acknowledged, {there} there, each succeeded once, in {attempts} attempts; {} submissions \
             made again, {} of them parked; the fifth node took shards {:.1} s after its start",
            self.retried.values().sum::<u64>() + self.parked,
            self.parked,
            self.open_after_seconds
        );
        self.retried.iter().for_each(|(reason, times)| println!("made again, {times} times: {reason}"));
        let load = |peer: &Peer| format!("{} owns {} and has {} copies", peer.name, peer.owned, peer.copies);
        println!("at the end {}\n", self.peers.iter().map(load).collect::<Vec<_>>().join(", "));
    }
}

fn percents(shares: &[f64]) -> String {
    let words: Vec<String> = shares.iter().map(|share| format!("{:.0}", share * 100.0)).collect();
    format!("{} %", words.join(", "))
}
