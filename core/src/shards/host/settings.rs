//! Spans and bounds of the shards of one node, each with its unit.

use crate::control::state::Seat;
use crate::membership::settings::Profile;
use crate::replication;
use crate::time::Duration;

/// Spans and bounds of the shards of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Of each replica.
    pub replica: replication::Settings,
    /// How long an owner's answer is awaited, and an owner looked for.
    pub ask_timeout: Duration,
    /// The pause after which a request that was refused is made again.
    pub ask_retry: Duration,
    /// How long a replica whose node is gone is waited for before another takes its place.
    pub grace: Duration,
    /// The pause after which an owner looks again at a shard that is to move.
    pub move_pause: Duration,
    /// Of plans for the placement of shards.
    pub plans: PlanSettings,
    /// How often replicas of a shard whose record is void tell what they have kept.
    pub gather: Duration,
    /// How long an owner's answer to a submission with a key is awaited before it is parked. Less than `ask_timeout`.
    pub park_after: Duration,
    /// How long members of the set are waited for that are to keep a copy.
    pub keep_wait: Duration,
    /// The pause after which a parked submission is made again, at first.
    pub park_retry: Duration,
    /// Submissions that this node may keep.
    pub parked_max: usize,
    /// Bytes of their commands.
    pub parked_bytes_max: usize,
    /// Submissions of one shard that it may keep.
    pub parked_of_shard_max: usize,
    /// Bytes of their commands.
    pub parked_bytes_of_shard_max: usize,
    /// Requests of this node's clients that may be under way.
    pub asks_max: usize,
    /// Bytes that they hold, of those that members are asked to keep, too. 64 MiB by default.
    pub asks_bytes_max: usize,
    /// Requests that replicas of this node may have taken and not answered.
    pub tickets_max: usize,
    /// Bytes that these came with. 64 MiB by default.
    pub tickets_bytes_max: usize,
    /// Requests of those that one other node may have passed on. A quarter by default: who asks without end leaves room.
    pub tickets_of_peer_max: usize,
    /// Bytes that these came with. 16 MiB by default.
    pub tickets_bytes_of_peer_max: usize,
    /// Shards whose records one event may look at.
    pub learned_at_once: usize,
    /// Shards whose placement one event may work out.
    pub placed_at_once: usize,
    /// Commands for the control group in one event.
    pub commands_at_once: usize,
    /// How often the store is looked through for what nobody wants.
    pub sweep_every: Duration,
    /// How soon it is, once something was dropped.
    pub sweep_pause: Duration,
}

/// Spans and bounds of plans: what is moved without being asked for, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanSettings {
    /// What this node is as a place for shards. One that says nothing else is not told to the cluster.
    pub seat: Seat,
    /// How often namespaces are looked at.
    pub every: Duration,
    /// For how long nodes must not have come or gone before a plan is made of what they have left or brought.
    pub settle: Duration,
    /// How long a node has to be gone before what it had is placed elsewhere for good. Until then others stand in for it.
    pub gone_after: Duration,
    /// How long after a plan nothing is moved that nothing forces.
    pub cool_down: Duration,
    /// How long shards may take to move before the plan is given up.
    pub wave_max: Duration,
    /// Shards that move at once.
    pub parallel: u16,
    /// Owners that a plan moves although nothing forces it, in hundredths of all shards.
    pub moves_percent: u32,
    /// Whether plans that nothing forces are carried out without an operator's approval.
    pub is_automatic: bool,
    /// Pairs of a shard and a site that one event may look at.
    pub pairs: u32,
}

impl PlanSettings {
    fn of(grace: Duration) -> Self {
        Self {
            seat: Seat::default(),
            every: Duration::from_nanos(grace.as_nanos() / 10),
            settle: grace,
            gone_after: grace.saturating_mul(30),
            cool_down: grace.saturating_mul(3),
            wave_max: grace.saturating_mul(12),
            parallel: 8,
            moves_percent: 10,
            is_automatic: false,
            pairs: 20_000,
        }
    }
}

impl Settings {
    fn of(spans: [u64; 5], parking: [u64; 3]) -> Self {
        let [takeover, patience, ask_timeout, ask_retry, grace] = spans.map(Duration::from_millis);
        let [park_after, keep_wait, park_retry] = parking.map(Duration::from_millis);
        let replica = replication::Settings {
            takeover_wait: takeover,
            adoption_max: grace,
            patience,
            retry: takeover,
            ..replication::Settings::default()
        };
        Self {
            replica,
            ask_timeout,
            ask_retry,
            grace,
            move_pause: patience,
            plans: PlanSettings::of(grace),
            gather: patience.saturating_mul(2),
            park_after,
            keep_wait,
            park_retry,
            parked_max: 4_096,
            parked_bytes_max: 16 << 20,
            parked_of_shard_max: 1_024,
            parked_bytes_of_shard_max: 4 << 20,
            asks_max: 65_536,
            asks_bytes_max: 64 << 20,
            tickets_max: 65_536,
            tickets_bytes_max: 64 << 20,
            tickets_of_peer_max: 16_384,
            tickets_bytes_of_peer_max: 16 << 20,
            learned_at_once: 64,
            placed_at_once: 16,
            commands_at_once: 16,
            sweep_every: Duration::from_secs(600),
            sweep_pause: Duration::from_secs(1),
        }
    }
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Local => Self::of([60, 300, 3_000, 10, 5_000], [1_000, 200, 500]),
            Profile::Lan => Self::of([100, 500, 5_000, 20, 10_000], [2_000, 300, 1_000]),
            Profile::Wan => Self::of([1_000, 3_000, 20_000, 100, 60_000], [8_000, 2_000, 4_000]),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Profile::default().into()
    }
}
