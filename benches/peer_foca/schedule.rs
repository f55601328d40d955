//! What every contender goes through: one scenario for each size, loss and seed.

use relaymesh_core::machine::Chooser;
use relaymesh_core::time::Duration;
use relaymesh_sim::scenario::{FaultKind, Nodes, Scenario, parse};
use relaymesh_sim::streams::Streams;
use relaymesh_sim::time::TrueTime;
use std::collections::BTreeSet;

/// Until then nothing is lost and nobody crashes; from then on bytes count as those of an idle mesh.
pub(crate) const LOSS_BEGINS: TrueTime = TrueTime(30_000_000_000);
/// When the run is over.
pub(crate) const END: TrueTime = TrueTime(160_000_000_000);
/// The node that all others know at the start. It never crashes.
pub(crate) const SEED_NODE: u32 = 0;

/// All other nodes start after the seed node within this time, each at a drawn instant, as machines do that were switched
/// on together. Started at one instant, nodes without jitter of their own would tick in step for the whole run.
const START_SPREAD: Duration = Duration::from_secs(1);

/// Whole seconds in which nodes crash, and how many in each. When in that second is drawn, the same for those of one
/// second: whoever probes once a second would otherwise always, or never, do so right after the crash.
const CRASHES: [(u64, usize); 3] = [(40, 1), (60, 1), (80, 2)];

/// One run to go through.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Network, faults and number of nodes.
    pub(crate) scenario: Scenario,
    /// The faults as a scenario spells them.
    pub(crate) faults: String,
    /// What everything that is drawn follows from.
    pub(crate) seed: u64,
}

impl Schedule {
    /// The schedule of the comparison: loss on all links, and four crashes.
    pub(crate) fn new(nodes: u32, loss: &str, seed: u64) -> Self {
        let mut draws = Streams::new(seed).open("peers crash");
        // All but the seed node, counted from 1.
        let victims = draws.pick(CRASHES.iter().map(|(_, count)| count).sum(), nodes as usize - 1);
        // They come in ascending order, which must not decide who crashes first.
        let mut victims: Vec<u32> = victims.into_iter().map(|victim| victim + 1).collect();
        let mut faults = fault("loss", &format!("\"all\"\nshare = \"{loss}\""), LOSS_BEGINS.0);
        for (second, count) in CRASHES {
            let together: Vec<u32> =
                (0..count).map(|_| victims.swap_remove(draws.below(victims.len() as u64) as usize)).collect();
            let at = second * 1_000_000_000 + draws.below(1_000_000_000);
            faults += &fault("crash", &format!("{together:?}"), at);
        }
        Self::of(nodes, &faults, seed)
    }

    /// A schedule of other faults, as a scenario spells them.
    pub(crate) fn of(nodes: u32, faults: &str, seed: u64) -> Self {
        let text = format!(
            "name = \"peers\"\nabout = \"Nodes find one another, packets are lost, nodes die.\"\nnodes = {nodes}\n\
             [phases]\nsafety = \"{}ns\"\nliveness = \"1s\"\n\
             [echo]\nwindow = 0\n[journal]\nclients = 0\n{faults}",
            END.0
        );
        let scenario = parse(&text).unwrap_or_else(|error| panic!("the schedule is no scenario: {error}\n{text}"));
        Self { scenario, faults: faults.into(), seed }
    }

    /// When each node starts.
    pub(crate) fn starts(&self) -> Vec<TrueTime> {
        let mut draws = Streams::new(self.seed).open("peers start");
        let mut start = |node| match node {
            SEED_NODE => TrueTime(0),
            _ => TrueTime(0) + draws.span(Duration::ZERO, START_SPREAD),
        };
        (0..self.scenario.nodes).map(&mut start).collect()
    }
}

/// The nodes that crash. Only the others are asked what they hold.
pub(crate) fn victims(scenario: &Scenario) -> BTreeSet<u32> {
    let crashes = scenario.faults.iter().filter(|fault| fault.kind == FaultKind::Crash);
    let nodes = crashes.filter_map(|fault| match &fault.nodes {
        Nodes::These(nodes) => Some(nodes.clone()),
        Nodes::Some(_) | Nodes::All(_) => None,
    });
    nodes.flatten().collect()
}

/// A fault that lasts longer than the run.
fn fault(kind: &str, nodes: &str, at: u64) -> String {
    format!("[[fault]]\nkind = \"{kind}\"\nnodes = {nodes}\nat = \"{at}ns\"\nlasts = \"1h\"\n")
}
