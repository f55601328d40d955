//! The smallest run that still breaks the same promise.
//!
//! Works on the scenario itself: what the seed left open is fixed first, then faults, nodes and load are taken away as
//! long as a new run breaks the same invariant. Nothing is replayed from a recording, so the small scenario still
//! means the same after the code has changed.

use crate::scenario::units::{Span, SpanRange};
use crate::scenario::{Fault, Nodes, Plan, Scenario, validate};
use crate::streams::Streams;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// The result of shrinking.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// A scenario that breaks the same invariant from the same seed, with everything fixed.
    pub scenario: Scenario,
    /// Runs it took.
    pub runs: u32,
}

/// Takes away what `scenario` does not need to break a promise from `seed`. `still_fails` runs a candidate.
///
/// Stops early after `runs_max` runs; what was found until then still fails.
pub fn shrink(scenario: &Scenario, seed: u64, runs_max: u32, still_fails: impl FnMut(&Scenario) -> bool) -> Shrunk {
    let plan = Plan::draw(scenario, &mut Streams::new(seed));
    let mut search = Search { best: plan.fix(scenario), runs: 0, runs_max, still_fails };
    loop {
        let before = search.best.clone();
        search.drop_faults();
        search.narrow_faults();
        search.renumber();
        search.drop_nodes();
        search.drop_load();
        search.shorten();
        if search.best == before || search.runs >= runs_max {
            return Shrunk { scenario: search.best, runs: search.runs };
        }
    }
}

struct Search<F> {
    best: Scenario,
    runs: u32,
    runs_max: u32,
    still_fails: F,
}

impl<F: FnMut(&Scenario) -> bool> Search<F> {
    /// Keeps `candidate` if it still fails.
    fn try_out(&mut self, candidate: Scenario) -> bool {
        if candidate == self.best || self.runs >= self.runs_max || validate(&candidate).is_err() {
            return false;
        }
        self.runs += 1;
        let fails = (self.still_fails)(&candidate);
        if fails {
            self.best = candidate;
        }
        fails
    }

    fn with(&self, change: impl FnOnce(&mut Scenario)) -> Scenario {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        candidate
    }

    /// Delta debugging (Zeller and Hildebrandt 2002): ever smaller parts are left out.
    fn drop_faults(&mut self) {
        let mut part = self.best.faults.len().div_ceil(2);
        while part > 0 {
            let mut from = 0;
            while from < self.best.faults.len() {
                let until = (from + part).min(self.best.faults.len());
                let kept = |faults: &[Fault]| -> Vec<Fault> { [&faults[..from], &faults[until..]].concat() };
                let candidate = self.with(|it| it.faults = kept(&it.faults));
                if !self.try_out(candidate) {
                    from = until;
                }
            }
            part /= 2;
        }
    }

    /// Each fault on fewer nodes: halves are left out first, then single nodes.
    fn narrow_faults(&mut self) {
        for at in 0..self.best.faults.len() {
            let mut part = nodes_of(&self.best.faults[at]).len().div_ceil(2);
            while part > 0 {
                let mut from = 0;
                while nodes_of(&self.best.faults[at]).len() > 1 && from < nodes_of(&self.best.faults[at]).len() {
                    let mut nodes = nodes_of(&self.best.faults[at]).to_vec();
                    nodes.drain(from..(from + part).min(nodes.len()));
                    let is_left = !nodes.is_empty();
                    let candidate = self.with(|it| it.faults[at].nodes = Nodes::These(nodes));
                    if !(is_left && self.try_out(candidate)) {
                        from += part;
                    }
                }
                part /= 2;
            }
        }
    }

    /// The nodes that faults name get the lowest numbers, so that the rest can be dropped.
    fn renumber(&mut self) {
        let linked = self.best.faults.iter().flat_map(|fault| fault.links.iter().flatten());
        let ends = linked.flat_map(|(one, other)| [*one, *other]);
        let named = self.best.faults.iter().flat_map(|fault| nodes_of(fault).iter().copied());
        let used: BTreeSet<u32> = ends.chain(named).collect();
        let lower = |node: u32| used.range(..node).count() as u32;
        let candidate = self.with(|it| {
            for fault in &mut it.faults {
                if let Nodes::These(nodes) = &mut fault.nodes {
                    nodes.iter_mut().for_each(|node| *node = lower(*node));
                }
                for (one, other) in fault.links.iter_mut().flatten() {
                    (*one, *other) = (lower(*one), lower(*other));
                }
            }
        });
        self.try_out(candidate);
    }

    /// Fewer nodes, as far as the remaining faults allow.
    fn drop_nodes(&mut self) {
        let needed = self.best.faults.iter().map(last_node).max().unwrap_or(0).max(1);
        let mut count = needed;
        while count < self.best.nodes {
            if self.try_out(self.with(|it| it.nodes = count)) {
                return;
            }
            count = (count + 1).max(count * 2);
        }
    }

    fn drop_load(&mut self) {
        if self.best.mesh.is_given() {
            self.try_out(self.with(|it| it.mesh.strangers = 0));
            self.try_out(self.with(|it| it.mesh.late = Nodes::Some(0)));
            self.try_out(self.with(|it| it.mesh.start = SpanRange::default()));
        }
        if !self.best.echo.is_given() {
            return;
        }
        self.try_out(self.with(|it| it.echo.window = 0));
        self.try_out(self.with(|it| it.journal.clients = 0));
        for clients in [1, 2, 4] {
            if clients < self.best.journal.clients && self.try_out(self.with(|it| it.journal.clients = clients)) {
                break;
            }
        }
        self.try_out(self.with(|it| it.objects.clients = 0));
        for clients in [1, 2, 4] {
            if clients < self.best.objects.clients && self.try_out(self.with(|it| it.objects.clients = clients)) {
                break;
            }
        }
        if self.best.echo.window > 1 {
            self.try_out(self.with(|it| it.echo.window = 1));
        }
        self.try_out(self.with(|it| it.journal.activate_at = None));
    }

    /// An earlier end, as far as the remaining faults allow.
    fn shorten(&mut self) {
        let last = self.best.faults.iter().map(|fault| fault.at.to).max().unwrap_or(Duration::from_millis(1));
        let whole = self.best.phases.safety.0;
        for parts in [8, 4, 2] {
            let shorter = last.max(Duration::from_nanos(whole.as_nanos() / parts));
            if shorter < self.best.phases.safety.0 && self.try_out(self.with(|it| it.phases.safety = Span(shorter))) {
                break;
            }
        }
        for at in 0..self.best.faults.len() {
            let Some(lasts) = self.best.faults[at].lasts.filter(|lasts| lasts.to > Duration::from_millis(1)) else {
                continue;
            };
            let half = SpanRange::fixed(Duration::from_nanos(lasts.to.as_nanos() / 2));
            self.try_out(self.with(|it| it.faults[at].lasts = Some(half)));
        }
    }
}

/// The nodes that a fault names.
fn nodes_of(fault: &Fault) -> &[u32] {
    match &fault.nodes {
        Nodes::These(nodes) => nodes,
        Nodes::Some(_) | Nodes::All(_) => &[],
    }
}

/// One more than the highest node that a fault names.
fn last_node(fault: &Fault) -> u32 {
    let named = match &fault.nodes {
        Nodes::These(nodes) => nodes.iter().max().map_or(0, |last| last + 1),
        Nodes::Some(count) => *count,
        Nodes::All(_) => 0,
    };
    let linked = fault.links.iter().flatten().map(|(one, other)| one.max(other) + 1).max().unwrap_or(0);
    named.max(linked)
}
