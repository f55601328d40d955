//! What an entry changed, for machines that act on it: the leader's keeper and the node's own client of leases.

use super::scopes::Lease;
use super::table::State;
use super::{Lineage, Name, Scope, SessionId};
use crate::identity::{Incarnation, NodeId};
use crate::machine::Sink;
use crate::shards::ShardId;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// Something that is committed. In log order these tell all about sessions and scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A session was opened.
    Opened {
        /// Which.
        session: SessionId,
        /// Whose.
        owner: Incarnation,
        /// Its time to live.
        ttl: Duration,
        /// Its bound on clocks.
        epsilon: Duration,
    },
    /// A session has ended. What becomes of its scopes follows.
    Ended {
        /// Which.
        session: SessionId,
        /// Whose.
        owner: Incarnation,
        /// Why.
        cause: EndCause,
    },
    /// A session waits for a scope.
    Waits {
        /// Which scope.
        scope: Scope,
        /// Which session.
        session: SessionId,
    },
    /// A session waits no more.
    Withdrew {
        /// For which scope.
        scope: Scope,
        /// Which session.
        session: SessionId,
    },
    /// A scope is held.
    Granted {
        /// Which.
        scope: Scope,
        /// By whom, under which token.
        lease: Lease,
    },
    /// A scope is held by the same grant under a newer token.
    Reissued {
        /// Which.
        scope: Scope,
        /// The grant.
        lease: Lease,
    },
    /// A grant is over.
    Freed {
        /// Of which scope.
        scope: Scope,
        /// The grant.
        lease: Lease,
    },
    /// The record of a shard is another one.
    Shard {
        /// Which shard.
        shard: ShardId,
    },
    /// A shard ought to be elsewhere.
    Placed {
        /// Which shard.
        shard: ShardId,
    },
    /// The plan of a namespace has begun, is another one, has come further, or is over.
    Plan {
        /// Which namespace.
        namespace: Name,
    },
    /// A node may be given new things, or may not any more.
    Cordon {
        /// Which.
        node: NodeId,
    },
    /// The cluster's epoch has risen.
    Epoch {
        /// To what.
        lineage: Lineage,
    },
    /// After a recovery nothing is granted until this is lifted.
    Quarantined {
        /// The history that began.
        lineage: Lineage,
        /// How long after winning an election the leader waits.
        span: Duration,
    },
    /// Grants may be made again.
    Lifted,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndCause {
    /// Nothing was heard of it.
    Expired,
    /// Its owner closed it.
    Closed,
    /// A later process of the same store has registered.
    Restarted,
}

impl State {
    /// All that the changes so far amount to, for a machine that starts from this state. O(n).
    pub fn restate(&self, out: &mut impl Sink<Change>) {
        out.push(Change::Epoch { lineage: self.lineage });
        if self.is_quarantined {
            out.push(Change::Quarantined { lineage: self.lineage, span: self.span_max });
        }
        for (id, session) in &self.sessions {
            let (owner, ttl, epsilon) = (session.owner, session.ttl, session.epsilon);
            out.push(Change::Opened { session: *id, owner, ttl, epsilon });
        }
        for (scope, tenure) in &self.scopes {
            for session in &tenure.waiting {
                out.push(Change::Waits { scope: *scope, session: *session });
            }
            if let Some(lease) = tenure.lease {
                out.push(Change::Granted { scope: *scope, lease });
            }
        }
        for shard in self.shards.keys() {
            out.push(Change::Shard { shard: *shard });
        }
    }
}
