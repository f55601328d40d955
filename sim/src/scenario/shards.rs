//! The section `[shards]`: which replicated logs there are, and what clients ask of the state above them.

use super::units::{Share, Span, SpanRange};
use relaymesh_core::shards::IN_SYNC_MAX;
use relaymesh_core::time::Duration;
use serde::{Deserialize, Serialize};

/// Shards of the namespace: what one answer can name, and some.
const SHARDS_MAX: u32 = 1_024;
/// Clients: four of them share a counter.
const CLIENTS_MAX: u32 = 256;
/// Registers of one shard.
const REGISTERS_MAX: u32 = 4_096;
/// Hand-overs of one run.
const HAND_OVERS_MAX: u32 = 1_000;

/// What is asked of replicated logs. Without shards nobody declares any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardLoad {
    /// Shards of the one namespace.
    pub shards: u32,
    /// Replicas of each.
    pub copies: u8,
    /// Replicas that have to hold an entry before it is acknowledged, at least.
    pub minimum: u8,
    /// Clients, each with one operation under way.
    pub clients: u32,
    /// Registers of each shard that are written, besides the counters.
    pub registers: u32,
    /// Pause of each client between an answer and the next operation.
    pub think: SpanRange,
    /// How long an answer is waited for.
    pub timeout: Span,
    /// Share of operations that read.
    pub reads: Share,
    /// Share of operations that are submitted under a key, to take effect once. Clients then have to wait longer than it takes
    /// to park one.
    #[serde(skip_serializing_if = "is_nothing")]
    pub keyed: Share,
    /// Clients that put blobs and have registers refer to them, besides the others. With any, what nothing refers to is
    /// dropped after 3 s, given up when it stands still for 3 s, and looked for every 2 s.
    pub blob_clients: u32,
    /// Hand-overs that an operator asks for, at drawn times of the safety phase.
    pub hand_overs: u32,
    /// From when on an operator has every shard handed to the node `owner`, until that is so, if at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrange_at: Option<Span>,
    /// Who is to own every shard then.
    pub owner: u32,
}

impl Default for ShardLoad {
    fn default() -> Self {
        Self {
            shards: 0,
            copies: 3,
            minimum: 2,
            clients: 8,
            registers: 2,
            think: SpanRange { from: Duration::from_millis(5), to: Duration::from_millis(80) },
            timeout: Span(Duration::from_secs(2)),
            reads: Share(300_000),
            keyed: Share(0),
            blob_clients: 0,
            hand_overs: 0,
            arrange_at: None,
            owner: 0,
        }
    }
}

fn is_nothing(share: &Share) -> bool {
    share.0 == 0
}

impl ShardLoad {
    /// Whether there are any.
    pub fn is_on(&self) -> bool {
        self.shards > 0
    }

    /// What the file's form cannot express: the field, and what is wrong with it. `members` belong to the mesh.
    ///
    /// Also of a section without shards: who writes a value that cannot be, and forgets the shards, is not to find out later.
    pub(super) fn problem(&self, members: u32, has_group: bool) -> Option<(&'static str, &'static str)> {
        let is_off = !self.is_on();
        let rules = [
            (is_off || has_group, "shards", "need a control group; set control.voters"),
            (self.shards <= SHARDS_MAX, "shards", "at most 1024"),
            (usize::from(self.copies) < IN_SYNC_MAX, "copies", "at most 7"),
            (is_off || u32::from(self.minimum) <= members, "minimum", "the mesh has not that many members"),
            ((1..=self.copies).contains(&self.minimum), "minimum", "at least 1, and at most the copies"),
            (self.clients <= CLIENTS_MAX, "clients", "at most 256"),
            (self.blob_clients <= CLIENTS_MAX, "blob_clients", "at most 256"),
            ((1..=REGISTERS_MAX).contains(&self.registers), "registers", "1 to 4096"),
            (self.think.from > Duration::ZERO, "think", "must be longer than nothing, or time would stand still"),
            (self.timeout.0 > Duration::ZERO, "timeout", "must be longer than nothing"),
            (self.hand_overs <= HAND_OVERS_MAX, "hand_overs", "at most 1000"),
            (self.arrange_at.is_none() || self.owner < members, "owner", "must be a member"),
        ];
        rules.into_iter().find(|(holds, ..)| !holds).map(|(_, field, problem)| (field, problem))
    }

    /// All spans that the file gives.
    pub(super) fn spans(&self) -> [Duration; 3] {
        [self.think.to, self.timeout.0, self.arrange_at.unwrap_or_default().0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> ShardLoad {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn without_shards_there_may_be_any_mesh_and_no_value_that_cannot_be() {
        assert!(!ShardLoad::default().is_on());
        assert_eq!(ShardLoad::default().problem(1, false), None);
        assert_eq!(load("clients = 4").problem(1, false), None);
        for (text, field) in [("copies = 9", "copies"), ("minimum = 0", "minimum"), ("think = \"0s..1s\"", "think")] {
            assert_eq!(load(text).problem(1, false).map(|(field, _)| field), Some(field), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_field() {
        assert_eq!(load("shards = 4").problem(3, true), None);
        assert_eq!(load("shards = 4").problem(3, false).map(|(field, _)| field), Some("shards"));
        for (text, field) in [
            ("shards = 1025", "shards"),
            ("copies = 8", "copies"),
            ("minimum = 0", "minimum"),
            ("copies = 2\nminimum = 3", "minimum"),
            ("copies = 5\nminimum = 4", "minimum"),
            ("clients = 257", "clients"),
            ("registers = 0", "registers"),
            ("think = \"0s..1s\"", "think"),
            ("timeout = \"0s\"", "timeout"),
            ("hand_overs = 1001", "hand_overs"),
            ("blob_clients = 257", "blob_clients"),
            ("arrange_at = \"5s\"\nowner = 3", "owner"),
        ] {
            let text = if text.starts_with("shards") { text.into() } else { std::format!("shards = 1\n{text}") };
            assert_eq!(load(&text).problem(3, true).map(|(field, _)| field), Some(field), "{text}");
        }
    }
}
