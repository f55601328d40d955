//! The fence that resources outside the mesh stand behind: a holder asks it under which token it may act, and a resource
//! asks it whether a write still counts.
//!
//! Whatever inside the mesh accepts ownership-changing writes makes the same check by itself, with an
//! [`Acceptor`] of its own. Absent on purpose: what is written.

use crate::control::state::Scope;
use crate::epoch::{ClusterEpoch, Epoch, FenceToken};
use crate::identity::NodeId;
use crate::lease::acceptor::{Accepted, Acceptor, Conflict, NotAccepted};
use crate::lease::{Client, LeaseObservation};
use crate::time::{Time, WallTime};
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Under which token may this node act for the scope? The answer leaves while it may, or says that it may not.
    Act(Scope),
    /// Does a write under that epoch count? If so, none under an older one does from now on.
    Accept {
        /// For which scope.
        scope: Scope,
        /// Under which epoch.
        epoch: Epoch,
        /// Who writes.
        who: NodeId,
    },
    /// Which stale writes came here?
    Conflicts,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It may, under this one.
    Acts(FenceToken),
    /// It does not hold the scope, or does not know whether it still does.
    NotHeld,
    /// The write counts, also after a crash of this node.
    Accepted,
    /// It does not.
    Stale(Box<Conflict>),
    /// It does not, for otherwise the epoch of another scope would have to be forgotten.
    Full {
        /// Scopes that can be remembered.
        limit: u64,
    },
    /// These, the oldest first.
    Conflicts {
        /// The newest ones.
        conflicts: Vec<Conflict>,
        /// How many older ones are not on record any more.
        dropped: u64,
    },
}

/// What a request comes to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: Reply,
    /// The last instant at which it may leave.
    pub(super) not_after: Option<Time>,
    /// To be remembered before it leaves.
    pub(super) record: Option<Accepted>,
    pub(super) observation: Option<LeaseObservation>,
}

impl Answer {
    fn now(reply: Reply) -> Self {
        Self { reply, not_after: None, record: None, observation: None }
    }
}

/// The fence of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fence {
    acceptor: Acceptor,
}

impl Fence {
    /// Takes back what was remembered.
    pub(super) fn replay(&mut self, accepted: Accepted) {
        self.acceptor.replay(accepted);
    }

    /// What is remembered, behind `after`.
    pub(super) fn remembered(&self, after: Option<&Accepted>) -> impl Iterator<Item = Accepted> {
        self.acceptor.remembered(after)
    }

    /// The cluster's epoch has come so far. What is returned is to be remembered.
    pub(super) fn raise(&mut self, epoch: ClusterEpoch) -> Option<Accepted> {
        self.acceptor.raise(epoch)
    }

    /// The newest cluster epoch under which anything was accepted, or that was known to be in force.
    pub(super) fn newest(&self) -> ClusterEpoch {
        self.acceptor.newest()
    }

    pub(super) fn request(&mut self, now: Time, wall: WallTime, client: &Client, request: Request) -> Answer {
        match request {
            Request::Act(scope) => match client.holding(&scope, now) {
                Some(held) => Answer { not_after: Some(held.not_after), ..Answer::now(Reply::Acts(held.token)) },
                None => Answer::now(Reply::NotHeld),
            },
            Request::Accept { scope, epoch, who } => match self.acceptor.accept(scope, epoch, who, wall) {
                Ok(record) => Answer { record, ..Answer::now(Reply::Accepted) },
                Err(NotAccepted::Stale(conflict)) => {
                    Answer { observation: Some(conflict.observation()), ..Answer::now(Reply::Stale(conflict)) }
                }
                Err(NotAccepted::Full { limit }) => Answer::now(Reply::Full { limit: limit as u64 }),
            },
            Request::Conflicts => {
                let (conflicts, dropped) = (self.acceptor.conflicts().copied().collect(), self.acceptor.dropped());
                Answer::now(Reply::Conflicts { conflicts, dropped })
            }
        }
    }
}
