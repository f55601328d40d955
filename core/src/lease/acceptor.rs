//! The check that everything which accepts an ownership-changing write makes first.
//!
//! LEASE-3 rests on this alone and on no clock: once a newer epoch was accepted for a scope, nothing older is. Its memory
//! must survive a restart: the caller writes each [`Accepted`] that raises it before anybody sees the write's effect (the
//! gate sees to that), and hands them back with [`Acceptor::replay`].

use super::observation::LeaseObservation;
use crate::control::state::Scope;
use crate::control::state::limits::SCOPES_MAX;
use crate::epoch::{ClusterEpoch, Epoch};
use crate::identity::NodeId;
use crate::time::WallTime;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use core::ops::Bound;
use serde::{Deserialize, Serialize};

/// Conflicts on record, at most; the oldest go first.
pub const CONFLICTS_MAX: usize = 256;

/// What has to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Accepted {
    /// A write was accepted for a scope under a newer epoch than any before.
    Scope {
        /// For which.
        scope: Scope,
        /// Under which.
        epoch: Epoch,
    },
    /// Nothing under an older cluster epoch is accepted, for any scope.
    Cluster {
        /// Which.
        epoch: ClusterEpoch,
    },
}

/// A stale write, on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Conflict {
    /// For which scope.
    pub scope: Scope,
    /// At least what would have been accepted.
    pub expected: Epoch,
    /// What the writer came with.
    pub actual: Epoch,
    /// Who.
    pub who: NodeId,
    /// When, for people.
    pub when: WallTime,
}

/// Why a write was not accepted. Nothing changed, but that a conflict is on record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// A newer epoch has fenced it.
    #[error(
        "stale epoch {} for {} from {}: {} or newer is expected; ask who holds the scope now and retry there",
        .0.actual, .0.scope, .0.who, .0.expected
    )]
    Stale(Box<Conflict>),
    /// To accept it would mean to forget another scope's epoch (rule A3).
    #[error("writes for {limit} scopes have been accepted here; retire scopes that are not in use")]
    Full {
        /// Scopes that can be remembered.
        limit: usize,
    },
}

/// One acceptor's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acceptor {
    floor: ClusterEpoch,
    newest: ClusterEpoch,
    scopes: BTreeMap<Scope, Epoch>,
    conflicts: VecDeque<Conflict>,
    dropped: u64,
}

impl Acceptor {
    /// Accepts a write, or refuses it for good. With `Some`, the caller remembers that durably.
    ///
    /// # Errors
    /// [`NotAccepted`] names what was expected and what came.
    pub fn accept(
        &mut self,
        scope: Scope,
        actual: Epoch,
        who: NodeId,
        when: WallTime,
    ) -> Result<Option<Accepted>, NotAccepted> {
        let expected = self.expected(&scope);
        if actual < expected {
            let conflict = Conflict { scope, expected, actual, who, when };
            self.record(conflict);
            return Err(NotAccepted::Stale(Box::new(conflict)));
        }
        if self.scopes.get(&scope) == Some(&actual) {
            return Ok(None);
        }
        if self.scopes.len() >= SCOPES_MAX && !self.scopes.contains_key(&scope) {
            return Err(NotAccepted::Full { limit: SCOPES_MAX });
        }
        self.scopes.insert(scope, actual);
        self.newest = self.newest.max(actual.cluster);
        Ok(Some(Accepted::Scope { scope, epoch: actual }))
    }

    /// The cluster's epoch is known to have come so far (rule A2). With `Some`, the caller remembers that durably.
    pub fn raise(&mut self, epoch: ClusterEpoch) -> Option<Accepted> {
        let is_newer = epoch > self.floor;
        self.floor = self.floor.max(epoch);
        self.newest = self.newest.max(epoch);
        is_newer.then_some(Accepted::Cluster { epoch })
    }

    /// Takes back what was remembered, in the order in which it was.
    pub fn replay(&mut self, accepted: Accepted) {
        match accepted {
            Accepted::Scope { scope, epoch } => {
                let known = self.scopes.entry(scope).or_default();
                *known = epoch.max(*known);
                self.newest = self.newest.max(epoch.cluster);
            }
            Accepted::Cluster { epoch } => {
                self.floor = self.floor.max(epoch);
                self.newest = self.newest.max(epoch);
            }
        }
    }

    /// All that has to be remembered, in an order that does not change: what is behind `after`, or everything.
    pub fn remembered(&self, after: Option<&Accepted>) -> impl Iterator<Item = Accepted> {
        let cluster =
            (after.is_none() && self.floor > ClusterEpoch(0)).then_some(Accepted::Cluster { epoch: self.floor });
        let from = match after {
            Some(Accepted::Scope { scope, .. }) => Bound::Excluded(*scope),
            Some(Accepted::Cluster { .. }) | None => Bound::Unbounded,
        };
        let scopes = self.scopes.range((from, Bound::Unbounded));
        cluster.into_iter().chain(scopes.map(|(scope, epoch)| Accepted::Scope { scope: *scope, epoch: *epoch }))
    }

    /// The oldest epoch that is accepted for a scope.
    pub fn expected(&self, scope: &Scope) -> Epoch {
        let floor = Epoch { cluster: self.floor, lease: 0 };
        self.scopes.get(scope).copied().unwrap_or_default().max(floor)
    }

    /// The newest cluster epoch that was ever seen here.
    pub fn newest(&self) -> ClusterEpoch {
        self.newest
    }

    /// Stale writes, oldest first.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter()
    }

    /// Conflicts that are not on record any more.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn record(&mut self, conflict: Conflict) {
        if self.conflicts.len() >= CONFLICTS_MAX {
            self.conflicts.pop_front();
            self.dropped += 1;
        }
        self.conflicts.push_back(conflict);
    }
}

impl Conflict {
    /// The conflict as operators see it.
    pub fn observation(&self) -> LeaseObservation {
        LeaseObservation::Conflict {
            expected_cluster: self.expected.cluster.0,
            expected: self.expected.lease,
            actual_cluster: self.actual.cluster.0,
            actual: self.actual.lease,
            node: self.who,
        }
    }
}
