//! Spans and bounds of a replica, each with its unit.

use super::service::PIECE_BYTES_MAX;
use crate::time::Duration;

/// How long a replica waits, and how much it keeps under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// How long a new owner waits for promises, and for each answer while it fetches (rule U2).
    pub takeover_wait: Duration,
    /// How long a take-over may last, from its beginning on, that is prolonged because what is adopted comes on (rule U2a).
    pub adoption_max: Duration,
    /// How long a required member may keep entries from being acknowledged before it is proposed for removal (rule I10).
    pub patience: Duration,
    /// After so long without an answer what was sent is sent again.
    pub retry: Duration,
    /// Followers are told what is acknowledged so long after it was, if nothing else has told them.
    pub tell: Duration,
    /// How long an owner that hands over waits for what is under way (rule H2).
    pub drain: Duration,
    /// Blocks of its own that an owner has under way; what comes meanwhile is gathered into the next one.
    pub pipeline_blocks: usize,
    /// Bytes that may be under way to one follower.
    pub window_bytes: u64,
    /// A spare replica is sent nothing for so many times as long as it took to hold the last things; with 0 it is fed as all others
    /// are.
    pub rests: u32,
    /// Submissions that may wait for acknowledgement; more are refused.
    pub pending_max: usize,
    /// Acknowledged entries that one event may apply.
    pub apply_max: u64,
    /// Entries that stay in the log behind a snapshot, for followers that lag a little.
    pub tail_entries: u64,
    /// Bytes of one piece of a snapshot.
    pub piece_bytes: usize,
    /// Pieces of a snapshot that may be under way to one follower, beyond those it has.
    pub pieces_ahead: u32,
    /// A snapshot under way of which nothing was heard for so long is given up, at either end.
    pub snapshot_wait: Duration,
    /// Bytes of the largest blob that clients may put.
    pub blob_bytes_max: u64,
    /// How long a blob that nothing refers to is kept, at least.
    pub blob_grace: Duration,
    /// How long members have to get a blob before an entry brings it (rule B4).
    pub offer_wait: Duration,
    /// A blob of which nothing more has come for so long is given up, and so is a read.
    pub blob_wait: Duration,
}

impl Settings {
    /// How long a new owner waits before it asks for a promise again.
    pub(super) fn promise_retry(&self) -> Duration {
        Duration::from_nanos(self.takeover_wait.as_nanos() / 4)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            takeover_wait: Duration::from_millis(100),
            adoption_max: Duration::from_secs(10),
            patience: Duration::from_millis(500),
            retry: Duration::from_millis(100),
            tell: Duration::from_millis(20),
            drain: Duration::from_millis(40),
            pipeline_blocks: 4,
            window_bytes: 4 << 20,
            rests: 3,
            pending_max: 65_536,
            apply_max: 16_384,
            tail_entries: 65_536,
            piece_bytes: PIECE_BYTES_MAX,
            pieces_ahead: 8,
            snapshot_wait: Duration::from_secs(5),
            blob_bytes_max: 10 << 20,
            blob_grace: Duration::from_secs(3_600),
            offer_wait: Duration::from_secs(2),
            blob_wait: Duration::from_secs(10),
        }
    }
}
