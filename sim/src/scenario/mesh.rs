//! The section `[mesh]`: who takes part in the mesh, and when.

use super::schema::{All, Nodes};
use super::units::{Span, SpanRange};
use relaymesh_core::time::Duration;
use serde::{Deserialize, Serialize};

/// Bytes of metadata that a node may describe itself with.
const METADATA_BYTES_MAX: u16 = 512;

/// The mesh's own settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeshLoad {
    /// The timing that the nodes are set to.
    pub profile: Profile,
    /// The first so many nodes are the seeds that every node asks.
    pub seeds: u32,
    /// Bytes of metadata in each node's description of itself.
    pub metadata_bytes: u16,
    /// When the process of each node starts first.
    pub start: SpanRange,
    /// Nodes that are not there until a `join` fault starts them: a list, or so many of the last members.
    pub late: Nodes,
    /// The last so many nodes belong to another cluster with another key. They ask everybody's seeds, too.
    pub strangers: u32,
    /// Nodes that an operator lets say good-bye, one after the other: a list.
    pub leave: Nodes,
    /// When the first of them does.
    pub leave_at: Span,
    /// When an operator describes every node anew, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub describe_at: Option<Span>,
    /// When an operator lets every node use key 1, and then drop key 0, if at all. Key 1 is to be installed by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rekey_at: Option<Span>,
}

/// The timing of membership, after the network it is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// One machine.
    Local,
    /// One machine room.
    #[default]
    Lan,
    /// Several places.
    Wan,
}

impl Default for MeshLoad {
    fn default() -> Self {
        Self {
            profile: Profile::Lan,
            seeds: 1,
            metadata_bytes: 40,
            start: SpanRange::default(),
            late: Nodes::Some(0),
            strangers: 0,
            leave: Nodes::Some(0),
            leave_at: Span(Duration::ZERO),
            describe_at: None,
            rekey_at: None,
        }
    }
}

impl MeshLoad {
    /// How many of `nodes` nodes belong to the mesh: the first ones.
    pub fn members(&self, nodes: u32) -> u32 {
        nodes.saturating_sub(self.strangers)
    }

    /// Whether that one of `nodes` nodes belongs to another cluster.
    pub fn is_stranger(&self, nodes: u32, host: u32) -> bool {
        host >= self.members(nodes)
    }

    /// Whether that one of `nodes` nodes is not there until it joins.
    pub fn is_late(&self, nodes: u32, host: u32) -> bool {
        match &self.late {
            Nodes::These(late) => late.contains(&host),
            Nodes::Some(count) => host < self.members(nodes) && host + count >= self.members(nodes),
            Nodes::All(All::All) => true,
        }
    }

    /// The nodes that `host` asks who is there: everybody's seeds, and for strangers those of their own cluster, too.
    pub fn seeds_of(&self, nodes: u32, host: u32) -> impl Iterator<Item = u32> + use<> {
        let (members, strangers) = (self.members(nodes), self.is_stranger(nodes, host));
        let own = if strangers { members..nodes.min(members.saturating_add(self.seeds)) } else { 0..0 };
        (0..self.seeds.min(members)).chain(own)
    }

    /// What the file's form cannot express: the field, and what is wrong with it.
    pub(super) fn problem(&self, nodes: u32) -> Option<(&'static str, &'static str)> {
        let late = match &self.late {
            Nodes::These(late) => late.iter().max().map_or(0, |last| last + 1),
            Nodes::Some(count) => *count,
            Nodes::All(All::All) => 0,
        };
        let rules = [
            (self.strangers < nodes, "strangers", "at least one node must be no stranger"),
            (
                (1..=self.members(nodes)).contains(&self.seeds),
                "seeds",
                "at least one node must be a seed, and no stranger",
            ),
            (self.metadata_bytes <= METADATA_BYTES_MAX, "metadata_bytes", "at most 512 bytes"),
            (late <= nodes, "late", "the scenario has not that many nodes; they are numbered from 0"),
        ];
        rules.into_iter().find(|(holds, ..)| !holds).map(|(_, field, problem)| (field, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn load(text: &str) -> MeshLoad {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_last_members_are_late_and_the_last_nodes_strangers() {
        let load = load("strangers = 2\nlate = 3\nseeds = 2\nprofile = \"wan\"");
        let late: Vec<u32> = (0..9).filter(|host| load.is_late(9, *host)).collect();
        let strangers: Vec<u32> = (0..9).filter(|host| load.is_stranger(9, *host)).collect();
        assert_eq!((late, strangers), (Vec::from([4, 5, 6]), Vec::from([7, 8])));
        assert_eq!(load.problem(9), None);
    }

    #[test]
    fn strangers_ask_everybodys_seeds_and_their_own() {
        let load = load("strangers = 3\nseeds = 2");
        assert_eq!(load.seeds_of(9, 4).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(load.seeds_of(9, 8).collect::<Vec<_>>(), [0, 1, 6, 7]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_field() {
        for (text, field) in [
            ("strangers = 9", "strangers"),
            ("seeds = 0", "seeds"),
            ("seeds = 7\nstrangers = 3", "seeds"),
            ("metadata_bytes = 513", "metadata_bytes"),
            ("late = [9]", "late"),
            ("late = 10", "late"),
        ] {
            assert_eq!(load(text).problem(9).map(|(field, _)| field), Some(field), "{text}");
        }
        assert_eq!(load("late = \"all\"").problem(9), None);
    }
}
