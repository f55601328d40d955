//! The section `[tasks]`: which tasks and workflows are submitted to the mesh's shards, and what runs them.

use super::units::{Share, Span, SpanRange};
use relaymesh_core::time::Duration;
use serde::{Deserialize, Serialize};

/// Clients that submit.
const CLIENTS_MAX: u32 = 256;
/// Runs of one node at once: what a worker bears.
const CAPACITY_MAX: u16 = 256;

/// What is to be run. Without clients nobody submits any, and nothing runs agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskLoad {
    /// Clients that submit tasks and workflows, besides those of the shards. With any, every member runs agents.
    pub clients: u32,
    /// Some tasks and steps run under limits: of keys, of which one may run at a time, of one agent, of which two may, and
    /// of another, of which three may begin in 2 s.
    pub limits: bool,
    /// Besides, two tasks recur: every two seconds, and every three.
    pub schedules: bool,
    /// People take part: some workflows wait for their approval, of what died some is replayed, and an agent is paused now
    /// and then.
    pub people: bool,
    /// Each two clients submit the same, under the same keys.
    pub twins: bool,
    /// Share of what is submitted that is cancelled.
    pub cancels: Share,
    /// Share of what is submitted that kills the process of every node that runs it.
    pub poison: Share,
    /// Runs of one node at once.
    pub capacity: u16,
    /// How long runs take that do not hang.
    pub takes: SpanRange,
    /// From when on something runs agents.
    pub workers_from: Span,
}

impl Default for TaskLoad {
    fn default() -> Self {
        Self {
            clients: 0,
            limits: false,
            schedules: false,
            people: false,
            twins: false,
            cancels: Share(100_000),
            poison: Share(0),
            capacity: 4,
            takes: SpanRange { from: Duration::from_millis(5), to: Duration::from_millis(1_500) },
            workers_from: Span(Duration::ZERO),
        }
    }
}

impl TaskLoad {
    /// Whether there are any.
    pub fn is_on(&self) -> bool {
        self.clients > 0
    }

    /// What the file's form cannot express: the field, and what is wrong with it.
    pub(super) fn problem(&self, has_shards: bool) -> Option<(&'static str, &'static str)> {
        let rules = [
            (!self.is_on() || has_shards, "clients", "need shards; set shards.shards"),
            (self.clients <= CLIENTS_MAX, "clients", "at most 256"),
            ((1..=CAPACITY_MAX).contains(&self.capacity), "capacity", "1 to 256"),
            (self.takes.from > Duration::ZERO, "takes", "must be longer than nothing, or time would stand still"),
        ];
        rules.into_iter().find(|(holds, ..)| !holds).map(|(_, field, problem)| (field, problem))
    }

    /// All spans that the file gives.
    pub(super) fn spans(&self) -> [Duration; 2] {
        [self.takes.to, self.workers_from.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_the_field() {
        let field = |text: &str, has_shards| {
            let load: TaskLoad = toml::from_str(text).unwrap();
            load.problem(has_shards).map(|(field, _)| field)
        };
        assert_eq!(field("", false), None);
        assert_eq!(field("clients = 3", true), None);
        assert_eq!(field("clients = 3", false), Some("clients"));
        assert_eq!(field("clients = 257", true), Some("clients"));
        assert_eq!(field("capacity = 0", true), Some("capacity"));
        assert_eq!(field("capacity = 257", false), Some("capacity"));
        assert_eq!(field("takes = \"0s..1s\"", true), Some("takes"));
    }
}
