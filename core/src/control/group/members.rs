//! Who belongs to the group: voters and learners, under ids that are never reused.
//!
//! An id is bound to a node *and its store*: a node that lost its disk has lost what it promised, and is nobody here
//! until it is added anew. The set changes by committed entries only, one change at a time; voters always by way of a
//! joint configuration (Ongaro's thesis, 4.3).

use super::wire::Change;
use crate::identity::{NodeId, StoreIncarnation};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Voters that a group may have.
pub const VOTERS_MAX: usize = 7;
/// Members that a group may have while it changes: two sets of voters, and learners.
const MEMBERS_MAX: usize = 3 * VOTERS_MAX;

/// Names a member of a group for ever. Zero is nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VoterId(pub u64);

impl fmt::Display for VoterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "voter {}", self.0)
    }
}

/// Whom an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voter {
    /// The node.
    pub node: NodeId,
    /// The store that holds its promises.
    pub store: StoreIncarnation,
}

/// The members of a group at one place of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Members {
    /// The smallest id that was never assigned.
    pub(super) next: u64,
    pub(super) seats: BTreeMap<VoterId, Voter>,
    /// Voters from now on.
    pub(super) voters: BTreeSet<VoterId>,
    /// While the set of voters changes: those before, whose majority is needed too.
    pub(super) outgoing: BTreeSet<VoterId>,
    pub(super) learners: BTreeSet<VoterId>,
}

/// A change that does not fit the members it meets. It has no effect, the same on every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Void;

impl Members {
    /// The founders, under the ids from one on.
    pub(super) fn founders(voters: &BTreeSet<Voter>) -> Self {
        let seats: BTreeMap<_, _> = (1..).map(VoterId).zip(voters.iter().copied()).collect();
        let next = seats.len() as u64 + 1;
        Self { next, voters: seats.keys().copied().collect(), seats, ..Self::default() }
    }

    /// Each member, by id.
    pub fn iter(&self) -> impl Iterator<Item = (VoterId, Voter)> {
        self.seats.iter().map(|(id, voter)| (*id, *voter))
    }

    /// Whom an id stands for, while it belongs to the group.
    pub fn get(&self, id: VoterId) -> Option<Voter> {
        self.seats.get(&id).copied()
    }

    /// The id of a member.
    pub fn id_of(&self, voter: Voter) -> Option<VoterId> {
        self.iter().find(|(_, seat)| *seat == voter).map(|(id, _)| id)
    }

    /// Whether the id votes, before or after a change under way.
    pub fn votes(&self, id: VoterId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Those who vote once a change under way is done.
    pub fn voters(&self) -> impl Iterator<Item = (VoterId, Voter)> {
        self.iter().filter(|(id, _)| self.voters.contains(id))
    }

    /// Whether the set of voters is being changed.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `id` is a majority by itself.
    pub(super) fn is_alone(&self, id: VoterId) -> bool {
        self.voters.iter().chain(&self.outgoing).all(|voter| *voter == id) && self.voters.contains(&id)
    }

    /// Whether the id was assigned and is no member any more.
    pub(super) fn has_left(&self, id: VoterId) -> bool {
        id.0 < self.next && !self.seats.contains_key(&id)
    }

    /// Whether these can be the members of a group. Members that came from a peer may be anything.
    pub(super) fn is_sound(&self) -> bool {
        let within = |set: &BTreeSet<VoterId>| set.iter().all(|id| self.seats.contains_key(id));
        let placed = |id: &VoterId| self.votes(*id) || self.learners.contains(id);
        let distinct: BTreeSet<_> = self.seats.values().collect();
        self.seats.keys().all(|id| id.0 > 0 && id.0 < self.next && placed(id))
            && (self.next < u64::MAX / 2 && self.seats.len() <= MEMBERS_MAX && distinct.len() == self.seats.len())
            && (within(&self.voters) && within(&self.outgoing) && within(&self.learners))
            && !self.voters.is_empty()
            && self.learners.iter().all(|id| !self.votes(*id))
    }

    /// The members after `change`.
    pub(super) fn after(&self, change: &Change) -> Result<Self, Void> {
        let mut after = self.clone();
        match change {
            Change::Learn { id, voter } => {
                let is_next = id.0 == self.next && self.id_of(*voter).is_none();
                if !is_next || self.is_joint() || self.seats.len() >= MEMBERS_MAX {
                    return Err(Void);
                }
                after.next += 1;
                after.seats.insert(*id, *voter);
                after.learners.insert(*id);
            }
            Change::Forget { id } => {
                if self.is_joint() || !after.learners.remove(id) {
                    return Err(Void);
                }
                after.seats.remove(id);
            }
            Change::Enter { add, remove } => {
                if self.is_joint() || add.iter().any(|id| !self.learners.contains(id)) {
                    return Err(Void);
                }
                after.outgoing = self.voters.clone();
                after.voters.extend(add.iter().copied());
                after.voters.retain(|id| !remove.contains(id));
                after.learners.retain(|id| !add.contains(id));
                if after.voters == self.voters || after.voters.len() > VOTERS_MAX {
                    return Err(Void);
                }
            }
            Change::Leave => {
                if !self.is_joint() {
                    return Err(Void);
                }
                after.outgoing.clear();
                after.seats.retain(|id, _| after.voters.contains(id) || after.learners.contains(id));
            }
        }
        if after.is_sound() { Ok(after) } else { Err(Void) }
    }

    /// Those who belong to `self`, but no longer to `after`.
    pub(super) fn gone_in(&self, after: &Self) -> Vec<VoterId> {
        self.seats.keys().filter(|id| !after.seats.contains_key(id)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn voter(n: u8) -> Voter {
        Voter { node: NodeId::from_bytes([n; 16]), store: StoreIncarnation(u64::from(n)) }
    }

    fn three() -> Members {
        Members::founders(&BTreeSet::from([voter(1), voter(2), voter(3)]))
    }

    #[test]
    fn a_voter_is_replaced_in_four_steps_and_its_id_is_never_used_again() {
        let learning = three().after(&Change::Learn { id: VoterId(4), voter: voter(4) }).unwrap();
        assert!(!learning.votes(VoterId(4)));
        let enter = Change::Enter { add: vec![VoterId(4)], remove: vec![VoterId(1)] };
        let joint = learning.after(&enter).unwrap();
        assert!(joint.votes(VoterId(1)) && joint.votes(VoterId(4)) && joint.is_joint());
        let after = joint.after(&Change::Leave).unwrap();
        assert!(after.has_left(VoterId(1)) && after.id_of(voter(4)) == Some(VoterId(4)));
        assert_eq!(after.after(&Change::Learn { id: VoterId(1), voter: voter(1) }), Err(Void));
    }

    #[test]
    fn what_does_not_fit_is_void() {
        let members = three();
        let (add, remove) = (vec![], vec![]);
        for change in [
            Change::Learn { id: VoterId(9), voter: voter(9) },
            Change::Learn { id: VoterId(4), voter: voter(1) },
            Change::Enter { add: vec![VoterId(9)], remove: remove.clone() },
            Change::Enter { add: add.clone(), remove: vec![VoterId(1), VoterId(2), VoterId(3)] },
            Change::Enter { add, remove },
            Change::Leave,
            Change::Forget { id: VoterId(1) },
        ] {
            assert_eq!(members.after(&change), Err(Void), "{change:?}");
        }
    }

    #[test]
    fn members_of_a_peer_are_looked_at() {
        assert!(three().is_sound());
        assert!(!Members::default().is_sound());
        let mut strange = three();
        strange.learners.insert(VoterId(1));
        assert!(!strange.is_sound(), "who votes learns nothing");
        let mut strange = three();
        strange.voters.insert(VoterId(9));
        assert!(!strange.is_sound(), "nobody has that id");
        let mut strange = three();
        strange.seats.insert(VoterId(2), voter(1));
        assert!(!strange.is_sound(), "one store has one id");
    }
}
