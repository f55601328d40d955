//! Who is in the set: what the owner proposes, one change at a time, on condition of epoch and version (rules I1 to I10).

use super::flow::Peer;
use super::machine::Action;
use super::observation::ReplicationObservation;
use super::position::LogSequence;
use super::service::Service;
use super::state::{Intention, Phase, Replica};
use super::step::Step;
use super::wire::Record;
use crate::machine::Sink;
use crate::shards::{Change, IN_SYNC_MAX, ReplicaId, ShardRecord};

impl<S: Service> Replica<S> {
    /// The record changed under this tenure: what was proposed on an earlier version has committed, or no longer can.
    pub(super) fn set_changed(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let version = self.record.as_ref().map_or(0, |record| record.version);
        if let Some(tenure) = &mut self.tenure {
            tenure.intention.take_if(|intention| intention.version < version);
        }
        self.meet_peers(step);
        self.adopt_if_all_promised(step);
        self.acknowledge(step);
        self.grow_impatient(step);
        self.consider_change(step);
    }

    /// The control group refused a proposal on that version: it can commit no more.
    pub(super) fn proposal_refused(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, version: u64) {
        if let Some(tenure) = &mut self.tenure {
            tenure.intention.take_if(|intention| intention.version == version);
        }
        self.intended.take_if(|(_, intended, _)| *intended == version);
        self.meet_peers(step);
        self.acknowledge(step);
    }

    /// Proposes an addition that is due, or the removal of a member that is not wanted any more.
    pub(super) fn consider_change(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let change = self.due_addition().or_else(|| self.due_absentee()).or_else(|| self.due_departure());
        if let Some(change) = change {
            self.intend(step, change);
        }
    }

    /// A member that did not promise in time, and has not been heard of since (rule U8).
    fn due_absentee(&self) -> Option<Change> {
        let record = self.changeable().filter(|record| self.may_shrink(record))?;
        let tenure = self.tenure.as_ref()?;
        let Phase::Starting { start } = tenure.phase else { return None };
        let is_absent = |peer: &Peer| peer.promised.is_none() && peer.held < start;
        let mut members = tenure.peers.iter().filter(|(member, _)| record.in_sync.contains(member));
        members.find(|(_, peer)| is_absent(peer)).map(|(member, _)| Change::Remove(*member))
    }

    /// A placed replica that holds all that is acknowledged, the start of the epoch included (rule I3), and that is not what
    /// keeps the next entry from being acknowledged: it would be taken out again at once (rule I10).
    fn due_addition(&self) -> Option<Change> {
        let (tenure, record) = (self.tenure.as_ref()?, self.changeable()?);
        let needed = tenure.phase.start()?.max(self.mark.next()).min(self.log.last().sequence);
        let is_due = |replica: &ReplicaId, peer: &Peer| {
            self.placed.contains(replica) && !record.in_sync.contains(replica) && peer.held >= needed
        };
        let (add, _) = tenure.peers.iter().find(|(replica, peer)| is_due(replica, peer))?;
        // Another store of its node is the same machine (rule I7).
        let twin = record.in_sync.iter().find(|member| member.node == add.node);
        // Where there is no room for another, one that is not wanted any more makes it.
        let is_full = record.in_sync.len() >= IN_SYNC_MAX;
        let is_unwanted = |member: &&ReplicaId| !self.placed.contains(member) && **member != self.id();
        let twin = twin.or_else(|| record.in_sync.iter().find(is_unwanted).filter(|_| is_full));
        if is_full && twin.is_none() {
            return None;
        }
        Some(twin.map_or(Change::Add(*add), |remove| Change::Replace { add: *add, remove: *remove }))
    }

    /// A member that ought not to have a copy any more, once there are enough others.
    fn due_departure(&self) -> Option<Change> {
        let record = self.changeable().filter(|record| self.may_shrink(record))?;
        let is_serving = matches!(self.tenure.as_ref()?.phase, Phase::Serving { .. });
        let is_wanted = |member: &ReplicaId| self.placed.contains(member) || *member == self.id();
        let others = self.placed.iter().filter(|placed| record.in_sync.contains(placed)).count();
        let leaver = record.in_sync.iter().find(|member| !is_wanted(member))?;
        (is_serving && others == self.placed.len() && others > 0).then_some(Change::Remove(*leaver))
    }

    /// The record, if a change of it may be proposed now (rule I5).
    fn changeable(&self) -> Option<&ShardRecord> {
        let tenure = self.tenure.as_ref().filter(|tenure| tenure.intention.is_none() && tenure.drained_by.is_none())?;
        self.record.as_ref().filter(|record| record.epoch == tenure.epoch)
    }

    fn may_shrink(&self, record: &ShardRecord) -> bool {
        record.in_sync.len() > usize::from(record.minimum)
    }

    /// Decides on a change. Whoever it adds is required from now on (rule I2).
    fn intend(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, change: Change) {
        let Some(version) = self.record.as_ref().map(|record| record.version) else { return };
        let again_at = step.now.saturating_add(self.settings.patience);
        let Some(tenure) = &mut self.tenure else { return };
        let epoch = tenure.epoch;
        step.observe(match change {
            Change::Add(add) | Change::Replace { add, .. } => ReplicationObservation::CaughtUp { node: add.node },
            Change::Remove(remove) => ReplicationObservation::Dropped { node: remove.node },
        });
        tenure.intention = Some(Intention { version, change, again_at });
        self.intended = Some((epoch, version, change));
        step.write(Record::Intended { epoch, version, change });
        step.push(Action::Propose { epoch, version, change });
        if let Some(add) = change.added() {
            // It may have rested until now.
            self.feed(step, add);
        }
    }

    /// What every required member has to hold next: the start of the epoch, or the entry behind the mark.
    fn awaited(&self) -> Option<LogSequence> {
        let next = match self.tenure.as_ref()?.phase {
            Phase::Starting { start } => start,
            Phase::Serving { .. } => self.mark.next(),
            Phase::Promising | Phase::Fetching { .. } => return None,
        };
        (next <= self.log.last().sequence).then_some(next)
    }

    /// From now on members are waited for.
    pub(super) fn grow_impatient(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let waits = self.awaited().is_some();
        let at = step.now.saturating_add(self.settings.patience);
        let Some(tenure) = &mut self.tenure else { return };
        match waits {
            true => drop(tenure.impatient_at.get_or_insert(at)),
            false => tenure.impatient_at = None,
        }
    }

    /// Who keeps entries from being acknowledged is proposed for removal (rules I10, U8); a proposal without an answer is
    /// made again (rule I5).
    pub(super) fn wake_set(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let patience = self.settings.patience;
        if let Some(tenure) = &mut self.tenure
            && let Some(intention) = tenure.intention.as_mut().filter(|intention| intention.again_at <= step.now)
        {
            intention.again_at = step.now.saturating_add(patience);
            let (epoch, version, change) = (tenure.epoch, intention.version, intention.change);
            step.push(Action::Propose { epoch, version, change });
        }
        let Some(tenure) = self.tenure.as_mut() else { return };
        if tenure.impatient_at.take_if(|at| *at <= step.now).is_none() {
            return;
        }
        if let Some(laggard) = self.laggard() {
            self.intend(step, Change::Remove(laggard));
        }
        self.grow_impatient(step);
    }

    /// The member that is furthest behind, if the set can do without it and this replica itself is not behind.
    fn laggard(&self) -> Option<ReplicaId> {
        let awaited = self.awaited().filter(|awaited| *awaited <= self.durable)?;
        let record = self.changeable().filter(|record| self.may_shrink(record))?;
        let peers = &self.tenure.as_ref()?.peers;
        let held = |member: &ReplicaId| peers.get(member).map_or(LogSequence(0), |peer| peer.held);
        let others = record.in_sync.iter().filter(|member| **member != self.id());
        others.map(|member| (held(member), *member)).min().filter(|(held, _)| *held < awaited).map(|(_, member)| member)
    }
}
