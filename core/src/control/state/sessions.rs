//! Sessions: one for each process that holds anything. How long one lives without a word is a duration here.

use super::limits::{SESSIONS_MAX, TTL_MIN};
use super::table::State;
use super::{Answer, Change, EndCause, Refusal, Scope, Table};
use crate::epoch::FenceToken;
use crate::identity::{Incarnation, NodeId};
use crate::machine::Sink;
use crate::time::Duration;
use alloc::collections::BTreeSet;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A session: named by the entry that opened it, so that no other has its name, not even in another history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub FenceToken);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What is agreed on about a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    /// The process whose session it is.
    pub owner: Incarnation,
    /// How long it lives without being renewed.
    pub ttl: Duration,
    /// How far two monotonic clocks may diverge over one `ttl`: the holder stops so much early, the leader waits so much
    /// longer.
    pub epsilon: Duration,
    /// Scopes it holds or waits for. Follows from the scopes, so it is not stored twice.
    #[serde(skip)]
    pub(super) scopes: BTreeSet<Scope>,
}

impl Session {
    /// Scopes it holds or waits for, in order.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter()
    }
}

impl State {
    pub(super) fn open(
        &mut self,
        id: SessionId,
        owner: Incarnation,
        ttl: Duration,
        epsilon: Duration,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        if let Some(session) = self.owners.get(&owner) {
            return Ok(Answer::Opened(*session));
        }
        let span = ttl.saturating_add(epsilon);
        let is_too_close = epsilon.saturating_mul(2) >= ttl;
        if ttl < TTL_MIN || span > self.span_max || is_too_close {
            return Err(Refusal::BadSpan { ttl, epsilon, span_max: self.span_max });
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(Refusal::full(Table::Sessions, SESSIONS_MAX));
        }
        self.owners.insert(owner, id);
        self.sessions.insert(id, Session { owner, ttl, epsilon, scopes: BTreeSet::new() });
        out.push(Change::Opened { session: id, owner, ttl, epsilon });
        self.give_all(id.0, out);
        Ok(Answer::Opened(id))
    }

    /// Ends a session; each of its scopes goes to whoever waits next, with this entry's token. Nothing if it has ended.
    pub(super) fn end(
        &mut self,
        id: SessionId,
        token: FenceToken,
        cause: EndCause,
        out: &mut impl Sink<Change>,
    ) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        self.owners.remove(&session.owner);
        out.push(Change::Ended { session: id, owner: session.owner, cause });
        for scope in session.scopes {
            self.leave(scope, id, token, out);
        }
        self.vacate_shards(token, session.owner, out);
        true
    }

    /// The newest session of a node, by boot, whatever store it runs on. O(log n).
    pub fn session_of(&self, node: NodeId) -> Option<SessionId> {
        let first = Incarnation { node, store: Default::default(), boot: Default::default() };
        let own = self.owners.range(first..).take_while(|(owner, _)| owner.node == node);
        own.map(|(_, session)| *session).max()
    }
}
