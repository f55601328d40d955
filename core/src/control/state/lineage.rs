//! Which history this is: cluster epochs, bumps of it, and recoveries that begin another.

use super::table::State;
use super::{Change, Text};
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::NodeId;
use crate::machine::Sink;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Drawn at random by every recovery and restore, so that two of them that chose the same epoch cannot meet unnoticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecoveryId(pub u64);

impl fmt::Display for RecoveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A history of the cluster, and how far its epoch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lineage {
    /// The cluster's epoch.
    pub epoch: ClusterEpoch,
    /// The recovery that began this history.
    pub recovery: RecoveryId,
}

/// Two histories with one epoch: two recoveries that did not know of each other. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cluster epoch {} was begun by recovery {} here and by recovery {} there: two recoveries of one cluster; \
     raise the epoch of the one to keep, and the nodes of the other follow it", own.epoch.0, own.recovery, other.recovery
)]
pub struct Conflict {
    /// The history known here.
    pub own: Lineage,
    /// The other one.
    pub other: Lineage,
}

impl Lineage {
    /// Whether this history began by a recovery that the other knows nothing of, and above its epoch.
    pub fn is_later_than(self, other: Self) -> bool {
        self.recovery != other.recovery && self.epoch > other.epoch
    }

    /// Whether something of the history `other` may be looked at here; what is older is for the caller to fence.
    ///
    /// # Errors
    /// [`Conflict`] when both claim the same epoch after different recoveries.
    pub fn meets(self, other: Self) -> Result<(), Conflict> {
        let is_other = self.epoch == other.epoch && self.recovery != other.recovery;
        if is_other { Err(Conflict { own: self, other }) } else { Ok(()) }
    }
}

/// The last bump of the cluster epoch, or the recovery that raised it: who, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bump {
    /// The entry that did it.
    pub index: u64,
    /// The epoch it began.
    pub epoch: ClusterEpoch,
    /// The node that passed it on.
    pub by: NodeId,
    /// Why, as the operator said.
    pub reason: Text,
    /// Who, as the operator said.
    pub actor: Text,
}

/// Why a state did not become the beginning of a new history. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverRefused {
    /// The epoch would not fence what came before.
    #[error("cluster epoch {} is not above {}; choose one above every epoch that any reachable node knows", offered.0, known.0)]
    EpochTooLow {
        /// The epoch offered.
        offered: ClusterEpoch,
        /// The state's own.
        known: ClusterEpoch,
    },
    /// Every recovery draws an id of its own.
    #[error("recovery {0} has already begun a history; draw another id")]
    IdUsed(RecoveryId),
}

impl State {
    /// Makes this state, of a backup or of what a lost quorum left, the beginning of a new history (rules C3 to C5).
    ///
    /// Sessions and registrations end, all scopes become free, and nothing is granted until the quarantine is lifted. The
    /// caller chooses the epoch of `bump` above every one that any reachable node ever persisted.
    ///
    /// # Errors
    /// [`RecoverRefused`]; the state is unchanged.
    pub fn recover(&mut self, bump: Bump, recovery: RecoveryId) -> Result<(), RecoverRefused> {
        let epoch = bump.epoch;
        if epoch <= self.lineage.epoch {
            return Err(RecoverRefused::EpochTooLow { offered: epoch, known: self.lineage.epoch });
        }
        if recovery == self.lineage.recovery {
            return Err(RecoverRefused::IdUsed(recovery));
        }
        self.lineage = Lineage { epoch, recovery };
        (self.is_quarantined, self.last_bump) = (true, Some(bump));
        self.sessions.clear();
        self.owners.clear();
        self.clients.clear();
        for tenure in self.scopes.values_mut() {
            tenure.lease = None;
            tenure.waiting.clear();
        }
        for record in self.shards.values_mut() {
            record.void(self.applied, epoch);
        }
        self.drop_plans();
        self.chain = self.chain.branch(self.lineage);
        Ok(())
    }

    /// Raises the epoch by one and re-issues every token, so that holders can be told from those of before (rule C1).
    pub(super) fn bump(&mut self, bump: Bump, out: &mut impl Sink<Change>) {
        self.lineage.epoch = bump.epoch;
        self.last_bump = Some(bump);
        let token = FenceToken::new(bump.epoch, bump.index);
        for (scope, tenure) in &mut self.scopes {
            let Some(lease) = &mut tenure.lease else { continue };
            lease.token = token;
            out.push(Change::Reissued { scope: *scope, lease: *lease });
        }
        self.bump_shards(token.log_index(), token.cluster(), out);
        // Last: whoever hears of the epoch has no older token any more, and may say so.
        out.push(Change::Epoch { lineage: self.lineage });
    }
}
