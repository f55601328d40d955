//! Spans and bounds of workers and of those who give work out, each with its unit. The same on all nodes.

use crate::membership::settings::Profile;
use crate::time::Duration;

/// Spans and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The time to live of a worker's claims, without word from it (rule T4a).
    pub ttl: Duration,
    /// By how much two monotonic clocks may differ over that time (rule T4b).
    pub epsilon: Duration,
    /// How long it takes until nothing is left of an agent that is killed: so much earlier than its claim ends it is (rule T4c).
    pub kill: Duration,
    /// How often a worker speaks, and an owner looks at who has claims.
    pub beat: Duration,
    /// The pause after which what was refused, or not answered, is asked again.
    pub retry: Duration,
    /// Workers that one node gives work to.
    pub workers_max: usize,
    /// Steps that one worker runs at once, at most; as many more may wait for their reports to be answered.
    pub capacity_max: u16,
}

impl Settings {
    const fn of(ttl: u64, epsilon: u64, kill: u64, beat: u64, retry: u64) -> Self {
        Self {
            ttl: Duration::from_millis(ttl),
            epsilon: Duration::from_millis(epsilon),
            kill: Duration::from_millis(kill),
            beat: Duration::from_millis(beat),
            retry: Duration::from_millis(retry),
            workers_max: 4_096,
            capacity_max: 256,
        }
    }
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Local => Self::of(2_000, 100, 100, 400, 50),
            Profile::Lan => Self::of(5_000, 250, 250, 1_000, 100),
            Profile::Wan => Self::of(30_000, 1_500, 1_000, 5_000, 500),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Profile::default().into()
    }
}
