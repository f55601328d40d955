//! Which nodes have more to do than they can: ranked against the others, and judged slowly, so that nothing moves because of a
//! burst.
//!
//! The level of a node is the worst of three: what is under way there for its weight, and how long its disk takes, both against the
//! median of all (how long a command takes rests on the disks of others, too); and the share of commands that failed. One that is hot for [`ROUNDS`] rounds of asking is strained, and one
//! that was cool for as many is so no more. Where more than a third are hot at once it is not a node that has too much to do but
//! all of them, and nobody is.

use super::load::Load;
use crate::identity::NodeId;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Rounds in a row that it takes to be strained, or not to be any more.
const ROUNDS: u8 = 4;
/// In percent of the median: from here on a node is hot.
const HOT: u32 = 300;
/// Up to here it is cool.
const COOL: u32 = 150;
/// Records and commands without which nothing is said of how long the former take, and of how many of the latter fail.
const COMMANDS_MIN: u32 = 20;
/// What takes less than this is fast whatever the others are. In microseconds.
const FAST_US: u64 = 2_000;
/// What is under way up to here is little whatever the others have.
const LITTLE: u32 = 32;
/// What is under way for a weight of one is counted in such parts.
const SCALE: u64 = 1 << 20;
/// So many failures make a node hot. In a thousand.
const FAILURES: u32 = 50;
/// Nodes without which there is nothing to compare with.
const NODES_MIN: usize = 3;

/// What is known of nodes from the rounds so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Strain {
    has_begun: bool,
    nodes: BTreeMap<NodeId, Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    rounds: u8,
    is_strained: bool,
}

impl Strain {
    pub(super) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// This node begins to judge: whoever counts as half already is strained until it has been found to be well.
    pub(super) fn begin(&mut self, strained: impl Iterator<Item = NodeId>) {
        if !core::mem::replace(&mut self.has_begun, true) {
            let known = Known { rounds: ROUNDS, is_strained: true };
            self.nodes = strained.map(|node| (node, known)).collect();
        }
    }

    /// In order.
    pub(super) fn strained(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, known)| known.is_strained).map(|(node, _)| *node).collect()
    }

    /// The level of each node, in percent. O(n log n).
    pub(super) fn levels(loads: &[(NodeId, u16, Load)]) -> BTreeMap<NodeId, u32> {
        let queued =
            |weight: u16, load: &Load| u64::from(load.under_way.max(LITTLE)) * SCALE / u64::from(weight.max(1));
        let has_some = |load: &Load| load.syncs >= COMMANDS_MIN;
        let queue = median(loads.iter().map(|(_, weight, load)| queued(*weight, load)));
        let disk = median(
            loads.iter().filter(|(.., load)| has_some(load)).map(|(.., load)| u64::from(load.sync_us).max(FAST_US)),
        );
        let level = |(node, weight, load): &(NodeId, u16, Load)| {
            let of = |value: u64, median: u64| {
                let percent = value * 100 / median.max(1);
                percent.try_into().unwrap_or(u32::MAX)
            };
            let is_long = load.under_way > LITTLE;
            let of_queue = if is_long { of(queued(*weight, load), queue) } else { 0 };
            let of_disk = if has_some(load) { of(u64::from(load.sync_us).max(FAST_US), disk) } else { 0 };
            let commands = u64::from(load.answered) + u64::from(load.failed);
            let failures = u64::from(load.failed) * 1_000 / commands.max(1);
            let is_failing = commands >= u64::from(COMMANDS_MIN) && failures >= u64::from(FAILURES);
            (*node, of_queue.max(of_disk).max(if is_failing { HOT } else { 0 }))
        };
        loads.iter().map(level).collect()
    }

    /// Takes what one round has shown; of who did not answer it shows nothing, and who is not there any more is forgotten. Says
    /// whether others are strained than before.
    pub(super) fn judge(&mut self, levels: &BTreeMap<NodeId, u32>, is_there: impl Fn(NodeId) -> bool) -> bool {
        let before = self.strained();
        let hot = levels.values().filter(|level| **level >= HOT).count();
        let may_be_hot = levels.len() >= NODES_MIN && hot * 3 <= levels.len();
        self.nodes.retain(|node, _| is_there(*node));
        for (node, level) in levels {
            let known = self.nodes.entry(*node).or_default();
            let is_hot = *level >= HOT && may_be_hot;
            let counts = if known.is_strained { *level <= COOL } else { is_hot };
            // A strained one counts down what another counts up.
            known.rounds = match (known.is_strained, counts) {
                (false, true) => known.rounds + 1,
                (false, false) => 0,
                (true, true) => known.rounds.saturating_sub(1),
                (true, false) => ROUNDS,
            };
            if known.rounds == if known.is_strained { 0 } else { ROUNDS } {
                known.is_strained = !known.is_strained;
                known.rounds = if known.is_strained { ROUNDS } else { 0 };
            }
        }
        self.strained() != before
    }
}

/// The lower median; zero of nothing.
fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 16])
    }

    fn load(sync_us: u32, under_way: u32, failed: u32) -> Load {
        Load { owned: 4, under_way, backlog: 0, answered: 1_000, failed, latency_us: 9_000, syncs: 500, sync_us }
    }

    fn all(_: NodeId) -> bool {
        true
    }

    /// Four nodes, the first of which has that to do.
    fn with(first: Load) -> Vec<(NodeId, u16, Load)> {
        let others = (2..=4).map(|n| (node(n), 100, load(4_000, 10, 0)));
        core::iter::once((node(1), 100, first)).chain(others).collect()
    }

    #[test]
    fn whoever_is_slow_or_has_much_or_fails_is_ranked_above_the_others() {
        let level = |first| Strain::levels(&with(first))[&node(1)];
        assert_eq!(level(load(4_000, 10, 0)), 100);
        assert_eq!(level(load(20_000, 10, 0)), 500);
        assert_eq!(level(load(4_000, 320, 0)), 1_000);
        assert_eq!(level(load(4_000, 10, 100)), HOT);
        assert_eq!(level(Load { syncs: 3, ..load(90_000, 0, 0) }), 0, "three records say nothing");
        let light =
            vec![(node(1), 100, load(900, 1, 0)), (node(2), 100, load(200, 0, 0)), (node(3), 100, load(100, 0, 0))];
        assert!(Strain::levels(&light).values().all(|level| *level <= 100), "all of them are fast");
    }

    #[test]
    fn a_node_is_strained_once_it_was_hot_for_long_and_well_once_it_was_cool_for_as_long() {
        let mut strain = Strain::default();
        let [hot, cool] = [40_000, 4_000].map(|latency| Strain::levels(&with(load(latency, 10, 0))));
        for _ in 0..ROUNDS - 1 {
            assert!(!strain.judge(&hot, all));
        }
        assert!(!strain.judge(&cool, all), "a burst");
        for _ in 0..ROUNDS - 1 {
            assert!(!strain.judge(&hot, all));
        }
        assert!(strain.judge(&hot, all));
        assert_eq!(strain.strained(), [node(1)]);
        for _ in 0..ROUNDS - 1 {
            assert!(!strain.judge(&cool, all));
        }
        assert!(!strain.judge(&Strain::levels(&with(load(8_000, 10, 0))), all), "neither hot nor cool: it begins anew");
        for _ in 0..ROUNDS - 1 {
            assert!(!strain.judge(&cool, all));
        }
        assert!(strain.judge(&cool, all));
        assert!(strain.strained().is_empty());
    }

    #[test]
    fn where_many_are_hot_nobody_is_strained_and_who_is_gone_is_forgotten() {
        let mut strain = Strain::default();
        let mut many = with(load(80_000, 10, 0));
        many[1].2 = load(80_000, 10, 0);
        let many = Strain::levels(&many);
        for _ in 0..20 {
            assert!(!strain.judge(&many, all), "half of them");
        }
        let mut hot = Strain::levels(&with(load(80_000, 10, 0)));
        for _ in 0..ROUNDS {
            strain.judge(&hot, all);
        }
        assert_eq!(strain.strained(), [node(1)]);
        hot.remove(&node(1));
        for _ in 0..2 * ROUNDS {
            assert!(!strain.judge(&hot, all), "it has not answered");
        }
        assert!(strain.judge(&hot, |there| there != node(1)));
        assert!(strain.strained().is_empty());
    }
}
