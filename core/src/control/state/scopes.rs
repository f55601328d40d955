//! Scopes: who holds each, under which token, and who is next.

use super::limits::{SCOPES_MAX, WAITING_MAX};
use super::table::State;
use super::{Answer, Change, Cordon, Refusal, Scope, SessionId, Table};
use crate::epoch::FenceToken;
use crate::identity::NodeId;
use crate::machine::Sink;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One grant of a scope. How long it lasts is a matter of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The session that holds it.
    pub session: SessionId,
    /// The node whose session that is.
    pub holder: NodeId,
    /// How many times the scope has been granted.
    pub term: u64,
    /// The entry that granted it: what names this grant.
    pub granted: FenceToken,
    /// What the holder fences with: the grant's entry, or that of the last bump since.
    pub token: FenceToken,
}

/// A scope: its holder and those who want to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tenure {
    /// How many times it has been granted.
    pub term: u64,
    /// The grant in force.
    pub lease: Option<Lease>,
    /// Who comes next, in order.
    pub waiting: Vec<SessionId>,
}

impl Tenure {
    /// Whether nobody holds the scope or waits for it.
    fn is_idle(&self) -> bool {
        self.lease.is_none() && self.waiting.is_empty()
    }
}

impl State {
    pub(super) fn campaign(
        &mut self,
        scope: Scope,
        session: SessionId,
        token: FenceToken,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        if !self.scopes.contains_key(&scope) && self.scopes.len() >= SCOPES_MAX {
            return Err(Refusal::full(Table::Scopes, SCOPES_MAX));
        }
        let waiting = self.scopes.get(&scope).map_or(0, |tenure| tenure.waiting.len());
        let own = self.sessions.get_mut(&session).ok_or(Refusal::NoSession)?;
        if own.scopes.contains(&scope) {
            return Ok(self.standing(scope, session));
        }
        if waiting >= WAITING_MAX {
            return Err(Refusal::full(Table::Candidates, WAITING_MAX));
        }
        own.scopes.insert(scope);
        self.scopes.entry(scope).or_default().waiting.push(session);
        out.push(Change::Waits { scope, session });
        self.fill(scope, token, out);
        Ok(self.standing(scope, session))
    }

    /// The holder gives its grant up, which leaves it with nothing to do with the scope.
    pub(super) fn release(
        &mut self,
        scope: Scope,
        session: SessionId,
        granted: FenceToken,
        token: FenceToken,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        self.check_holder(scope, session, granted)?;
        self.leave(scope, session, token, out);
        Ok(Answer::Released)
    }

    /// The holder hands its grant to a session of `to`; to the next in line where that one cannot take it, for the holder
    /// has stopped in any case.
    pub(super) fn transfer(
        &mut self,
        scope: Scope,
        session: SessionId,
        granted: FenceToken,
        to: NodeId,
        token: FenceToken,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        self.check_holder(scope, session, granted)?;
        let target = self.session_of(to).filter(|target| *target != session && self.is_eligible(*target));
        if let Some(target) = target {
            let own = self.sessions.get_mut(&target).expect("an owner's session is in the table");
            own.scopes.insert(scope);
            let tenure = self.scopes.get_mut(&scope).expect("the scope has a holder");
            tenure.waiting.retain(|waiting| *waiting != target);
            tenure.waiting.insert(0, target);
        }
        self.leave(scope, session, token, out);
        Ok(if target.is_some() { Answer::Transferred { to } } else { Answer::PassedOn })
    }

    /// A candidate wants it no more. A holder has to release.
    pub(super) fn withdraw(
        &mut self,
        scope: Scope,
        session: SessionId,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        if self.lease(&scope).is_some_and(|lease| lease.session == session) {
            return Err(Refusal::Holds);
        }
        self.strike(scope, session);
        out.push(Change::Withdrew { scope, session });
        Ok(Answer::Withdrawn)
    }

    /// Forgets a scope that nobody holds or wants, as version 1 had it.
    pub(super) fn forget(&mut self, scope: Scope) -> Result<Answer, Refusal> {
        match self.scopes.get(&scope) {
            Some(tenure) if !tenure.is_idle() => Err(Refusal::InUse),
            _ => {
                self.scopes.remove(&scope);
                Ok(Answer::Set)
            }
        }
    }

    /// Takes a named scope out that nobody holds or waits for. Its next grant is that of another entry, so that its tokens
    /// go on rising (rule V6); its term begins anew.
    pub(super) fn retire(&mut self, scope: Scope) -> Result<Answer, Refusal> {
        if scope == Scope::Global {
            return Err(Refusal::NotRetirable);
        }
        match self.scopes.get(&scope) {
            None => Err(Refusal::UnknownScope),
            Some(tenure) if !tenure.is_idle() => Err(Refusal::InUse),
            Some(_) => {
                self.scopes.remove(&scope);
                Ok(Answer::Set)
            }
        }
    }

    /// A session has nothing to do with a scope any more, whether it held it or waited.
    pub(super) fn leave(&mut self, scope: Scope, session: SessionId, token: FenceToken, out: &mut impl Sink<Change>) {
        self.strike(scope, session);
        let Some(tenure) = self.scopes.get_mut(&scope) else { return };
        if let Some(lease) = tenure.lease.take_if(|lease| lease.session == session) {
            out.push(Change::Freed { scope, lease });
            self.fill(scope, token, out);
        }
    }

    /// Grants a free scope to the first in line that may have it (rule S4).
    pub(super) fn fill(&mut self, scope: Scope, token: FenceToken, out: &mut impl Sink<Change>) {
        let next = self.scopes.get(&scope).and_then(|tenure| {
            let is_free = tenure.lease.is_none() && !self.is_quarantined;
            let mut eligible = tenure.waiting.iter().filter(|waiting| self.is_eligible(**waiting));
            is_free.then(|| eligible.next().copied()).flatten()
        });
        let Some(session) = next else { return };
        let holder = self.sessions[&session].owner.node;
        let tenure = self.scopes.get_mut(&scope).expect("somebody waits for it");
        tenure.waiting.retain(|waiting| *waiting != session);
        tenure.term += 1;
        let lease = Lease { session, holder, term: tenure.term, granted: token, token };
        tenure.lease = Some(lease);
        out.push(Change::Granted { scope, lease });
    }

    /// Every free scope, after something that kept candidates out has gone.
    pub(super) fn fill_all(&mut self, token: FenceToken, out: &mut impl Sink<Change>) {
        let is_open = |(_, tenure): &(&Scope, &Tenure)| tenure.lease.is_none() && !tenure.waiting.is_empty();
        let open: Vec<Scope> = self.scopes.iter().filter(is_open).map(|(scope, _)| *scope).collect();
        for scope in open {
            self.fill(scope, token, out);
        }
    }

    fn is_eligible(&self, session: SessionId) -> bool {
        let owner = self.sessions.get(&session).map(|session| session.owner.node);
        owner.is_some_and(|node| self.shared.cordon(node) == Cordon::None)
    }

    fn check_holder(&self, scope: Scope, session: SessionId, granted: FenceToken) -> Result<(), Refusal> {
        let lease = self.lease(&scope);
        let is_holder = lease.is_some_and(|lease| lease.session == session && lease.granted == granted);
        if is_holder { Ok(()) } else { Err(Refusal::NotHolder { lease: lease.copied() }) }
    }

    fn strike(&mut self, scope: Scope, session: SessionId) {
        if let Some(tenure) = self.scopes.get_mut(&scope) {
            tenure.waiting.retain(|waiting| *waiting != session);
        }
        if let Some(own) = self.sessions.get_mut(&session) {
            own.scopes.remove(&scope);
        }
    }

    /// How a session stands with a scope it asked for.
    fn standing(&self, scope: Scope, session: SessionId) -> Answer {
        match self.lease(&scope) {
            Some(lease) if lease.session == session => Answer::Granted(*lease),
            _ => Answer::Waiting,
        }
    }

    /// The grant in force, if the scope is held.
    pub fn lease(&self, scope: &Scope) -> Option<&Lease> {
        self.scopes.get(scope)?.lease.as_ref()
    }

    /// Whether a scope could be transferred to `node` now: it has a session and is not cordoned.
    pub fn can_receive(&self, node: NodeId) -> bool {
        self.session_of(node).is_some_and(|session| self.is_eligible(session))
    }
}
