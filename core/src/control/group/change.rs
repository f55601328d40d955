//! Voters added, replaced and removed while the group goes on.
//!
//! A leader does it in steps, each an entry of its own: who is to vote first learns the log; when it has caught up, the
//! group enters a joint configuration, in which both majorities are needed, and leaves it again. Should the leader be
//! lost on the way, the next one leaves a joint configuration, and learners stay; who asked asks again, and what was
//! done is done.

use super::Replicated;
use super::convert::{change_bytes, conf_change};
use super::machine::Action;
use super::member::Member;
use super::members::{Voter, VoterId};
use super::view::{Refusal, Reply, Ticket};
use super::wire::Change;
use crate::identity::NodeId;
use crate::machine::Sink;
use crate::time::Time;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// A change of voters under way.
#[derive(Clone, Debug)]
pub(super) struct Procedure {
    ticket: Ticket,
    add: Vec<Voter>,
    remove: Vec<NodeId>,
    /// When those to be added must have caught up.
    until: Time,
}

impl Procedure {
    fn is_removed(&self, voter: Voter) -> bool {
        self.remove.contains(&voter.node) && !self.add.contains(&voter)
    }
}

/// Whether these can be all voters of a group.
pub(super) fn may_be_voters(voters: &BTreeSet<Voter>) -> bool {
    let nodes: BTreeSet<_> = voters.iter().map(|voter| voter.node).collect();
    matches!(voters.len(), 1 | 3 | 5 | 7) && nodes.len() == voters.len()
}

impl<S: Replicated> Member<S> {
    /// Begins to change the voters.
    pub(super) fn change_voters(
        &mut self,
        ticket: Ticket,
        add: Vec<Voter>,
        remove: Vec<NodeId>,
    ) -> Result<(), Refusal> {
        if !self.is_leader() {
            return Err(self.not_leader());
        }
        if self.procedure.is_some() || self.members.is_joint() || self.raft.raft.lead_transferee.is_some() {
            return Err(Refusal::Busy);
        }
        let until = self.clock.now.saturating_add(self.settings.catch_up);
        let procedure = Procedure { ticket, add, remove, until };
        let kept = self.members.voters().map(|(_, voter)| voter).filter(|voter| !procedure.is_removed(*voter));
        let after: BTreeSet<_> = kept.chain(procedure.add.iter().copied()).collect();
        if !may_be_voters(&after) {
            return Err(Refusal::BadVoters);
        }
        let own = Voter { node: self.life.node, store: self.life.store };
        if procedure.is_removed(own)
            && let Some(to) = self.heir(&procedure)
        {
            // It would have to commit its own removal, and leave the group without a leader.
            self.raft.transfer_leader(to.0);
            return Err(Refusal::NotLeader { hint: self.members.get(to).map(|voter| voter.node) });
        }
        self.procedure = Some(procedure);
        Ok(())
    }

    /// The voter that stays and has most of the log.
    fn heir(&self, procedure: &Procedure) -> Option<VoterId> {
        let matched = |id: VoterId| self.raft.raft.prs().get(id.0).map_or(0, |progress| progress.matched);
        let others = self.members.voters().filter(|(id, voter)| *id != self.id && !procedure.is_removed(*voter));
        others.map(|(id, _)| id).max_by_key(|id| (matched(*id), id.0))
    }

    /// Lets another member lead.
    pub(super) fn transfer(&mut self, to: NodeId) -> Result<(), Refusal> {
        if !self.is_leader() {
            return Err(self.not_leader());
        }
        let Some((id, _)) = self.members.voters().find(|(_, voter)| voter.node == to) else {
            return Err(Refusal::NotMember);
        };
        if id != self.id {
            self.raft.transfer_leader(id.0);
        }
        Ok(())
    }

    /// Takes the next step of a change. Whether it did anything.
    pub(super) fn advance_procedure(&mut self, now: Time, out: &mut impl Sink<Action<S>>) -> bool {
        let Some(procedure) = self.procedure.take() else { return false };
        if !self.is_leader() || self.members.is_joint() || self.raft.raft.has_pending_conf() {
            self.procedure = Some(procedure);
            return false;
        }
        let ids: Vec<_> = procedure.add.iter().map(|voter| self.members.id_of(*voter)).collect();
        let unknown = procedure.add.iter().zip(&ids).find(|(_, id)| id.is_none());
        let add: Vec<_> = ids.iter().flatten().copied().filter(|id| self.members.learners.contains(id)).collect();
        let removed = self.members.voters().filter(|(_, voter)| procedure.is_removed(*voter));
        let remove: Vec<_> = removed.map(|(id, _)| id).collect();
        let mut learners = self.members.learners.iter();
        let stale = learners.find(|id| self.members.get(**id).is_some_and(|voter| procedure.is_removed(voter)));
        let change = match (stale, unknown) {
            (Some(id), _) => Change::Forget { id: *id },
            (None, Some((voter, _))) => Change::Learn { id: VoterId(self.members.next), voter: *voter },
            _ if add.is_empty() && remove.is_empty() => {
                out.push(Action::Reply(procedure.ticket, Ok(Reply::Changed(self.members.clone()))));
                return false;
            }
            _ if add.iter().all(|id| self.has_caught_up(*id)) => Change::Enter { add, remove },
            _ if now >= procedure.until => {
                out.push(Action::Reply(procedure.ticket, Err(Refusal::TooSlow)));
                return false;
            }
            _ => {
                self.procedure = Some(procedure);
                return false;
            }
        };
        if self.members.after(&change).is_err() {
            out.push(Action::Reply(procedure.ticket, Err(Refusal::BadVoters)));
            return false;
        }
        self.procedure = Some(procedure);
        self.propose_change(&change)
    }

    fn has_caught_up(&self, id: VoterId) -> bool {
        let matched = self.raft.raft.prs().get(id.0).map_or(0, |progress| progress.matched);
        matched > 0 && matched + self.settings.bounds.learner_lag >= self.last_index()
    }

    /// Every leader leaves a joint configuration that it finds. Whether it did anything.
    pub(super) fn leave_joint(&mut self) -> bool {
        let may = self.is_leader() && self.members.is_joint() && !self.raft.raft.has_pending_conf();
        may && self.propose_change(&Change::Leave)
    }

    fn propose_change(&mut self, change: &Change) -> bool {
        if self.raft.raft.lead_transferee.is_some() {
            return false;
        }
        self.raft.propose_conf_change(change_bytes(change), conf_change(change)).is_ok()
    }

    pub(super) fn drop_procedure(&mut self, refusal: Refusal, out: &mut impl Sink<Action<S>>) {
        if let Some(procedure) = self.procedure.take() {
            out.push(Action::Reply(procedure.ticket, Err(refusal)));
        }
    }

    pub(super) fn next_procedure(&self) -> Option<Time> {
        self.procedure.as_ref().map(|procedure| procedure.until)
    }
}
