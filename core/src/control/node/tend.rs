//! What a leader does unasked: it says that it leads, it records who votes, so that everybody can read it, and it has
//! clients forgotten of which there are too many. One thing at a time; what gets lost is done at the next look.

use super::desk::Purpose;
use super::machine::{Action, Control};
use super::wire::Message;
use crate::control::state::{LeaderCommand, State};
use crate::identity::{NodeId, StoreIncarnation};
use crate::machine::Sink;
use crate::time::Time;
use alloc::collections::BTreeMap;

/// A leader says so again after so many looks: half a minute on a site.
const LOOKS_PER_ANNOUNCEMENT: u32 = 64;

/// Whether this node leads, and when it looks next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tending {
    /// The term it leads, with all applied that was committed before.
    term: Option<u64>,
    at: Time,
    /// A proposal is under way.
    is_busy: bool,
    /// Looks since this leader has said that it leads.
    looks: u32,
}

impl Tending {
    pub(super) fn begin(&mut self, now: Time, term: u64) {
        *self = Self { term: Some(term), at: now, is_busy: false, looks: 0 };
    }

    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Something has changed that a look may be worth.
    pub(super) fn hurry(&mut self) {
        self.at = Time::ZERO;
    }

    /// The term that this node leads, ready for anything.
    pub(super) fn term(&self) -> Option<u64> {
        self.term
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.term.map(|_| self.at)
    }
}

impl Control {
    pub(super) fn tend(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let Some(term) = self.tending.term.filter(|_| self.tending.at <= now) else { return };
        self.tending.at = now.saturating_add(self.settings.tend_interval());
        self.tending.looks += 1;
        if self.tending.looks >= LOOKS_PER_ANNOUNCEMENT {
            self.announce_leader(out);
        }
        if self.tending.is_busy {
            return;
        }
        if let Some(command) = self.next_to_tend() {
            self.tending.is_busy = true;
            let ticket = self.desk.ticket(Purpose::Tend);
            self.propose(term, command, ticket);
        }
    }

    /// Tells every member of the mesh that this node leads: whoever goes by another history learns of this one.
    pub(super) fn announce_leader(&mut self, out: &mut impl Sink<Action>) {
        self.tending.looks = 0;
        if let Some(lineage) = self.group.state().map(State::lineage) {
            out.push(Action::Announce(Message::Leads { voters: self.voters(), lineage }));
        }
    }

    /// It is done, or was refused.
    pub(super) fn tended(&mut self, now: Time, is_done: bool) {
        self.tending.is_busy = false;
        if is_done {
            self.tending.at = now;
        }
    }

    fn next_to_tend(&self) -> Option<LeaderCommand> {
        let state = self.state()?;
        if let Some(members) = self.voters_to_record(state) {
            return Some(LeaderCommand::RecordVoters { members });
        }
        state.to_evict().map(|(client, registered)| LeaderCommand::Evict { client, registered })
    }

    /// Who votes, where the state tells otherwise.
    fn voters_to_record(&self, state: &State) -> Option<BTreeMap<NodeId, StoreIncarnation>> {
        let members = self.group.status()?.members;
        let voters: BTreeMap<_, _> = members.voters().map(|(_, voter)| (voter.node, voter.store)).collect();
        (!members.is_joint() && voters != state.voters().members).then_some(voters)
    }
}
