//! What a run reports: the verdict, and the counts that show what it was worth.

use super::run::World;
use crate::check::{ASSERT, DRAW_1, LIVE_1, Violation};
use crate::scenario::FaultKind;
use crate::subject::{Checks, Subject};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Serialize, Serializer};

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every invariant held.
    Held,
    /// Something bad happened.
    Safety,
    /// Something good did not happen in time.
    Liveness,
}

/// What a run reports. Serialises as the command line's JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// What the run came to.
    pub verdict: Verdict,
    /// Hash of every event and action, in hexadecimal.
    pub trace_hash: String,
    /// Events handled, idle wakes included.
    pub events: u64,
    /// Events by kind.
    pub events_by_kind: BTreeMap<&'static str, u64>,
    /// Simulated time that passed.
    pub simulated_seconds: f64,
    /// How often each fault and each of its consequences came about.
    pub faults: BTreeMap<String, u64>,
    /// How often each invariant was put to the test.
    pub exercised: BTreeMap<&'static str, u64>,
    /// Stores given up because more was broken than one disk can survive.
    pub excuses: u64,
    /// Faults that the seed switched off.
    pub switched_off: Vec<String>,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            invariant: &'a str,
            at_seconds: f64,
            nodes: &'a [u32],
            detail: &'a str,
            event: u64,
        }
        let Self { invariant, at, nodes, detail, event, .. } = self;
        Form { invariant, at_seconds: at.as_secs_f64(), nodes, detail, event: event.0 }.serialize(serializer)
    }
}

impl<S: Subject> World<S> {
    /// What the run came to.
    pub fn report(&mut self) -> Report {
        let violations = self.found.violations.clone();
        let verdict = match violations.first() {
            None => Verdict::Held,
            Some(_) if violations.iter().all(|violation| violation.of_liveness) => Verdict::Liveness,
            Some(_) => Verdict::Safety,
        };
        let exercised = self.engine_checks.exercised().into_iter().chain(self.checks.exercised());
        let own = [(DRAW_1, self.draw_decisions), (LIVE_1, self.answered_after_healing)];
        Report {
            scenario: self.scenario.name.clone(),
            seed: self.seed,
            verdict,
            trace_hash: self.trace.hash().to_hex().to_string(),
            events: self.trace.events(),
            events_by_kind: self.trace.by_kind().map(|(kind, count)| (kind.name(), count)).collect(),
            simulated_seconds: self.now.as_secs_f64(),
            faults: self.faults_fired(),
            exercised: exercised.chain(own).collect(),
            excuses: self.excuses,
            switched_off: self.plan.switched_off.clone(),
            violations,
        }
    }

    /// A report of a run that an assertion of ours has ended.
    pub fn report_panic(&mut self, message: &str) -> Report {
        (self.found.now, self.found.event) = (self.now, self.trace.current());
        self.found.fail(ASSERT, &[], message.to_string());
        self.report()
    }

    /// Faults by name, and the consequences of those that are not visible as such.
    fn faults_fired(&self) -> BTreeMap<String, u64> {
        let mut fired: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |name: &str, count: u64| *fired.entry(name.to_string()).or_default() += count;
        for fault in &self.plan.faults {
            add(fault.kind.name(), 0);
        }
        self.network.fired().iter().for_each(|(kind, count)| add(kind.name(), *count));
        for (kind, count) in &self.fired {
            // What counts is that something failed, not that it might have.
            let is_chance = matches!(
                kind,
                FaultKind::FailingWrites
                    | FaultKind::FailingSyncs
                    | FaultKind::DiskFull
                    | FaultKind::CorruptReads
                    | FaultKind::RotObjects
                    | FaultKind::SlowNode
            );
            add(kind.name(), if is_chance { 0 } else { *count });
        }
        for disk in self.hosts.iter().map(|host| host.disk.faults()) {
            add("lost_unsynced", disk.lost_unsynced);
            add("torn_write", disk.torn);
            add("torn_erasure", disk.torn_erasures);
            add("rotten_object", disk.rotten_objects);
            add("gone_object", disk.gone_objects);
            add(FaultKind::FailingWrites.name(), disk.failed_writes);
            add(FaultKind::FailingSyncs.name(), disk.failed_syncs);
            add(FaultKind::DiskFull.name(), disk.full);
            add(FaultKind::CorruptReads.name(), disk.corrupt_reads);
            add(FaultKind::RotObjects.name(), disk.rotten_objects + disk.gone_objects);
        }
        add(FaultKind::SlowNode.name(), self.slow_events);
        add("refused_packet", self.refused_packets);
        add("misdirected_packet", self.misdirected_packets);
        add("unlocated_packet", self.unlocated_packets);
        add("unanswered_endpoint", self.unanswered_endpoints);
        add("retransmitted", self.retransmitted);
        add("broken_connection", self.broken_connections);
        add("stream_overflow", self.overflows);
        self.stops.iter().chain(&self.observations).for_each(|(name, count)| add(name, *count));
        fired.retain(|name, count| *count > 0 || self.plan.faults.iter().any(|fault| fault.kind.name() == name));
        fired
    }
}
