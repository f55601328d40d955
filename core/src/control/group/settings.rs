//! Times and bounds of a group, with the defaults of each profile (SPEC 11).

use crate::codec::BodyVersion;
use crate::control::state::NEWEST;
use crate::time::Duration;

/// Ticks of the crate's logical clock in one heartbeat: fine enough that draws of election timeouts differ.
const TICKS_PER_HEARTBEAT: u64 = 6;

/// The longest election timeouts for which a leader may commit nothing.
const ELECTIONS_OF_PATIENCE: u64 = 4;

/// Times and bounds of a group. The same on all its members, but for what each speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The newest version of entries that this build understands.
    pub speaks: BodyVersion,
    /// How often a leader speaks to each member.
    pub heartbeat: Duration,
    /// A follower hears nothing for this long before it may stand for election. At least three heartbeats.
    pub election_min: Duration,
    /// It stands before this long. Above `election_min`.
    pub election_max: Duration,
    /// How long learners may take to catch up before a change of voters is given up.
    pub catch_up: Duration,
    /// Bounds.
    pub bounds: Bounds,
}

/// Bounds of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Bytes of one entry.
    pub entry_bytes: u32,
    /// Bytes of entries in one message; one entry always fits.
    pub message_bytes: u32,
    /// Bytes of entries in one journal record; one entry always fits.
    pub record_bytes: u32,
    /// Bytes of committed entries applied in one step; one entry always fits.
    pub apply_bytes: u32,
    /// Proposals under way.
    pub proposals: u32,
    /// Bytes of proposals under way.
    pub proposal_bytes: u64,
    /// Confirmations under way.
    pub confirmations: u32,
    /// Append messages that a member may be sent ahead of its acknowledgements.
    pub appends_ahead: u32,
    /// Applied entries after which the log is compacted behind a snapshot.
    pub compact_after: u64,
    /// Bytes of entries after which it is, too.
    pub compact_bytes: u64,
    /// Applied entries that stay in the log behind a snapshot, for members that lag a little; less where they have more
    /// than `compact_bytes`.
    pub keep_behind: u64,
    /// Bytes of one piece of a snapshot.
    pub piece_bytes: u32,
    /// Pieces of one snapshot.
    pub pieces: u32,
    /// Pieces that a member may be sent ahead of its acknowledgements.
    pub pieces_ahead: u32,
    /// Entries that a learner may lag behind before it is given a vote.
    pub learner_lag: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entry_bytes: 64 << 10,
            message_bytes: 128 << 10,
            record_bytes: 256 << 10,
            apply_bytes: 64 << 10,
            proposals: 1_024,
            proposal_bytes: 8 << 20,
            confirmations: 1_024,
            appends_ahead: 64,
            compact_after: 8_192,
            compact_bytes: 16 << 20,
            keep_behind: 2_048,
            piece_bytes: 64 << 10,
            pieces: 4_096,
            pieces_ahead: 8,
            learner_lag: 64,
        }
    }
}

impl Settings {
    /// One machine, or one rack.
    pub fn local() -> Self {
        Self::of(Duration::from_millis(30), Duration::from_millis(150), Duration::from_millis(300))
    }

    /// One site.
    pub fn lan() -> Self {
        Self::of(Duration::from_millis(60), Duration::from_millis(300), Duration::from_millis(600))
    }

    /// Sites far from one another.
    pub fn wan() -> Self {
        Self::of(Duration::from_millis(500), Duration::from_millis(2_500), Duration::from_millis(5_000))
    }

    fn of(heartbeat: Duration, election_min: Duration, election_max: Duration) -> Self {
        let catch_up = election_max.saturating_mul(50);
        Self { speaks: NEWEST, heartbeat, election_min, election_max, catch_up, bounds: Bounds::default() }
    }

    /// The length of one tick of the crate's logical clock.
    pub(super) fn tick(&self) -> Duration {
        Duration::from_nanos((self.heartbeat.as_nanos() / TICKS_PER_HEARTBEAT).max(1))
    }

    /// Ticks in a heartbeat, in the shortest and in the longest election timeout.
    pub(super) fn ticks(&self) -> (u64, u64, u64) {
        let tick = self.tick().as_nanos();
        let least = (self.election_min.as_nanos() / tick).max(2 * TICKS_PER_HEARTBEAT);
        let most = (self.election_max.as_nanos() / tick).max(least + 1);
        (TICKS_PER_HEARTBEAT, least, most)
    }

    /// Ticks for which a leader may commit nothing although there is something to commit: far more than a lost segment takes.
    /// A quorum of disks that stall does not answer heartbeats either, and ends its term sooner.
    pub(super) fn patience_ticks(&self) -> u64 {
        let (_, _, most) = self.ticks();
        most * ELECTIONS_OF_PATIENCE
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::lan()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_has_room_for_many_draws() {
        for settings in [Settings::local(), Settings::lan(), Settings::wan()] {
            let (heartbeat, least, most) = settings.ticks();
            assert!(heartbeat * 3 <= least && most >= least + 29, "{heartbeat} {least} {most}");
        }
    }
}
