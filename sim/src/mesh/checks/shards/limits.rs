//! What runs at once: TASK-4.
//!
//! True time: an attempt runs from the moment at which it was ordered until whoever runs it says that it has ended, or its node
//! dies. Not counted is what runs on a node that cannot know that its time is over: it is asleep, does not get to run, or its
//! clock is wrong by more than machines have to bear. That is what fences are for.

use crate::mesh::clients::shards::limits;
use crate::scenario::{FaultKind, PlannedFault};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::task::limit::{Bounds, LimitName};
use relaymesh_core::task::worker::view::{Run, RunKey};
use relaymesh_core::task::workflow::Name;

#[derive(Debug, Default)]
pub(in super::super) struct Limits {
    is_on: bool,
    running: BTreeMap<RunKey, (u32, Vec<LimitName>)>,
    /// Of nodes with such a fault, how many they have.
    straying: BTreeMap<u32, u32>,
    exercised: u64,
}

impl Limits {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// How often something ran that was not alone in its limit, or could have been.
    pub(super) fn exercised(&self) -> u64 {
        self.exercised
    }

    /// An attempt runs; what is wrong with that.
    pub(super) fn began(&mut self, host: u32, run: &Run, key: Option<Name>) -> Option<String> {
        if !self.is_on || self.straying.contains_key(&host) {
            return None;
        }
        let declared = limits();
        let bound = |limit: &LimitName| match (limit, declared.iter().find(|(name, _)| name == limit)) {
            (_, Some((_, declared))) => declared.bounds(limit).at_once,
            (LimitName::Key(_), None) => Bounds::ONE.at_once,
            (LimitName::Agent(_), None) => None,
        };
        let of_agent = LimitName::Agent(run.agent.clone());
        let limits: Vec<LimitName> = key.map(LimitName::Key).into_iter().chain([of_agent]).collect();
        let broken = limits.iter().find_map(|limit| {
            let bound = bound(limit)?;
            self.exercised += 1;
            let others: Vec<&RunKey> =
                self.running.iter().filter(|(_, (_, of))| of.contains(limit)).map(|(run, _)| run).collect();
            (others.len() as u32 >= bound)
                .then(|| format!("runs beside {others:?}, and {limit} allows {bound} at once"))
        });
        self.running.insert(run.key, (host, limits));
        broken
    }

    pub(super) fn ended(&mut self, run: &RunKey) {
        self.running.remove(run);
    }

    /// A process is over, and its agents with it.
    pub(in super::super) fn died(&mut self, host: u32) {
        self.running.retain(|_, (at, _)| *at != host);
    }

    pub(in super::super) fn fault(&mut self, fault: &PlannedFault, begins: bool) {
        use FaultKind::{ClockRate, Pause, SlowNode, Suspend};
        if !matches!(fault.kind, ClockRate | Pause | SlowNode | Suspend) {
            return;
        }
        for host in &fault.nodes {
            self.died(*host);
            let straying = self.straying.entry(*host).or_default();
            *straying = if begins { *straying + 1 } else { straying.saturating_sub(1) };
            if *straying == 0 {
                self.straying.remove(host);
            }
        }
    }
}
