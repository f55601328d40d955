//! What clients ask of the example's shelves.

use super::units::{Share, Span, SpanRange};
use relaymesh_core::object::OBJECT_BYTES_MAX;
use relaymesh_core::time::Duration;
use serde::{Deserialize, Serialize};

/// What clients ask of the shelves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectLoad {
    /// Clients, each with one request under way; zero, the default, switches the load off.
    pub clients: u32,
    /// Pause between an answer and the client's next request.
    pub think: SpanRange,
    /// Time after which a client sends a request again.
    pub timeout: Span,
    /// Bytes of an object, at most this many and at least 8.
    pub object_bytes: u32,
    /// Objects that each client has on each node.
    pub per_client: u32,
    /// Share of requests that list.
    pub lists: Share,
    /// Share of the others that fetch.
    pub fetches: Share,
    /// Share of the others that discard; the rest keep.
    pub discards: Share,
}

impl Default for ObjectLoad {
    fn default() -> Self {
        Self {
            clients: 0,
            think: SpanRange { from: Duration::from_millis(1), to: Duration::from_millis(20) },
            timeout: Span(Duration::from_millis(300)),
            object_bytes: 1_000,
            per_client: 4,
            lists: Share(50_000),
            fetches: Share(400_000),
            discards: Share(150_000),
        }
    }
}

impl ObjectLoad {
    /// The first field that cannot be, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let is_of_size = (8..=OBJECT_BYTES_MAX).contains(&(self.object_bytes as usize));
        [
            (self.clients <= 1_000, "clients", "at most 1000 clients"),
            ((1..=1_000).contains(&self.per_client), "per_client", "1 to 1000 objects"),
            (self.timeout.0 > Duration::ZERO, "timeout", "must be longer than nothing"),
            (is_of_size, "object_bytes", "must be from 8 to 65536"),
        ]
        .into_iter()
        .find_map(|(holds, field, problem)| (!holds).then_some((field, problem)))
    }

    /// Every span, to be bounded.
    pub(super) fn spans(&self) -> [Duration; 2] {
        [self.think.to, self.timeout.0]
    }
}
