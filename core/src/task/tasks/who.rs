//! What is told of agents and workers.

use super::tables::Tables;
use crate::identity::Incarnation;
use crate::task::answer::{Answer, ROWS_SHOWN_MAX};
use crate::task::view::{AgentView, WorkerView};
use crate::task::workflow::{Name, Priority};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

/// Steps and classes that one answer counts: what is behind them is not counted.
const COUNTED_MAX: usize = 16_384;

impl Tables {
    /// Agents that steps need, or of which something is said, in the order of their names.
    pub(super) fn agents_behind(&self, after: Option<&Name>) -> Answer {
        let range = || (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let said = self.agents.live().range::<Name, _>(range()).map(|(name, _)| name);
        let needed = self.by_agent.range::<Name, _>(range()).map(|(name, _)| name);
        let names: BTreeSet<&Name> = said.take(ROWS_SHOWN_MAX + 1).chain(needed.take(ROWS_SHOWN_MAX + 1)).collect();
        let mut left = COUNTED_MAX;
        let agents: Vec<AgentView> =
            names.iter().take(ROWS_SHOWN_MAX).map(|name| self.agent(name, &mut left)).collect();
        let next = (names.len() > agents.len()).then(|| agents.last().map(|row| row.agent.clone())).flatten();
        Answer::Agents { is_paused: self.head.is_paused, agents, next }
    }

    fn agent(&self, name: &Name, left: &mut usize) -> AgentView {
        let row = self.agents.get(name).cloned().unwrap_or_default();
        let (mut ready, mut steps) = (0, 0);
        for class in self.by_agent.get(name).into_iter().flat_map(BTreeMap::values) {
            if *left == 0 {
                break;
            }
            let waiting = (*class, Priority::High, 0)..=(*class, Priority::Low, u64::MAX);
            let counted = self.ready.range(waiting).take(*left).count();
            *left = left.saturating_sub(counted + 1);
            ready += counted as u64;
            steps += self.classes.get(class).map_or(0, |class| class.steps);
        }
        AgentView { agent: name.clone(), policy: row.policy, is_paused: row.is_paused, ready, steps }
    }

    /// Workers that have a claim, in order, and what they run.
    pub(super) fn workers_behind(&self, after: Option<Incarnation>) -> Answer {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut left = COUNTED_MAX;
        let mut workers: Vec<WorkerView> = Vec::new();
        let mut next = None;
        for (worker, _) in self.workers.live().range(range) {
            if workers.len() == ROWS_SHOWN_MAX || left == 0 {
                next = workers.last().map(|last| last.worker);
                break;
            }
            workers.push(self.worker(*worker, &mut left));
        }
        Answer::Workers { workers, next }
    }

    fn worker(&self, worker: Incarnation, left: &mut usize) -> WorkerView {
        let mut running: BTreeMap<Name, u32> = BTreeMap::new();
        for step in self.running_of(worker, u64::MAX).take(*left) {
            *left -= 1;
            let class = self.steps.get(&step).and_then(|row| self.classes.get(&row.class));
            if let Some(class) = class {
                *running.entry(class.agent.clone()).or_default() += 1;
            }
        }
        *left = left.saturating_sub(1);
        WorkerView { worker, running: running.into_iter().collect() }
    }
}
