//! Epochs, fence tokens, and the check every acceptor makes.
//!
//! LEASE-3 in one place: once an acceptor has accepted under a newer epoch it accepts nothing older, whatever the
//! clocks do. Who grants epochs does not belong here.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Raised by operators and by recovery; fences every ownership-changing write made before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterEpoch(pub u64);

/// The epoch under which an entry of a shard's log was written. Compares by cluster epoch first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// The cluster's epoch at the grant.
    pub cluster: ClusterEpoch,
    /// The scope's or shard's own epoch.
    pub lease: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.cluster.0, self.lease)
    }
}

/// (cluster epoch, index of the granting log entry) as one integer that keeps the order, so that an outside system
/// can fence with a plain comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FenceToken(u128);

impl FenceToken {
    /// Lower than every one that is issued.
    pub const LEAST: Self = Self(0);

    /// The token of the grant at `log_index` under `cluster`.
    pub const fn new(cluster: ClusterEpoch, log_index: u64) -> Self {
        Self((cluster.0 as u128) << 64 | log_index as u128)
    }
    /// The token as an integer: greater is newer.
    pub const fn as_integer(self) -> u128 {
        self.0
    }
    /// The cluster epoch it was issued under.
    pub const fn cluster(self) -> ClusterEpoch {
        ClusterEpoch((self.0 >> 64) as u64)
    }
    /// The index of the log entry that issued it.
    pub const fn log_index(self) -> u64 {
        self.0 as u64
    }
    /// The same as an epoch: what acceptors compare.
    pub const fn epoch(self) -> Epoch {
        Epoch { cluster: self.cluster(), lease: self.log_index() }
    }
}

impl fmt::Display for FenceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.epoch())
    }
}

/// A write under an epoch that a newer one has fenced. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "stale epoch {offered}: this acceptor has already accepted {accepted}; fetch the current owner and retry there"
)]
pub struct StaleEpoch {
    /// The epoch the writer came with.
    pub offered: Epoch,
    /// The newest epoch accepted so far.
    pub accepted: Epoch,
}

/// One acceptor's memory of the newest epoch it has accepted under.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EpochGuard {
    accepted: Epoch,
}

impl EpochGuard {
    /// Accepts `offered` and remembers it.
    ///
    /// # Errors
    /// [`StaleEpoch`] when a newer epoch was accepted before; the memory is unchanged.
    pub fn accept(&mut self, offered: Epoch) -> Result<(), StaleEpoch> {
        if offered < self.accepted {
            return Err(StaleEpoch { offered, accepted: self.accepted });
        }
        self.accepted = offered;
        Ok(())
    }

    /// The newest epoch accepted so far.
    pub fn accepted(&self) -> Epoch {
        self.accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn epoch(cluster: u64, lease: u64) -> Epoch {
        Epoch { cluster: ClusterEpoch(cluster), lease }
    }

    #[test]
    fn once_a_newer_epoch_was_accepted_an_older_one_is_refused_by_name() {
        let mut guard = EpochGuard::default();
        assert_eq!(guard.accept(epoch(1, 4)), Ok(()));
        assert_eq!(guard.accept(epoch(1, 4)), Ok(()), "the same epoch is not stale");
        let refusal = guard.accept(epoch(1, 3)).unwrap_err();
        assert_eq!(refusal, StaleEpoch { offered: epoch(1, 3), accepted: epoch(1, 4) });
        assert_eq!(guard.accepted(), epoch(1, 4), "a refusal changes nothing");
    }

    #[test]
    fn the_cluster_epoch_outranks_the_lease_epoch() {
        let mut guard = EpochGuard::default();
        guard.accept(epoch(2, 1)).unwrap();
        assert!(guard.accept(epoch(1, 900)).is_err());
        assert!(FenceToken::new(ClusterEpoch(2), 1) > FenceToken::new(ClusterEpoch(1), u64::MAX));
    }
}
