//! What must never happen, checked at every event, by what nodes do and not by what they say of themselves.

use super::super::members::VoterId;
use super::super::replay::Replay;
use super::super::wire::{Body, Message};
use super::super::{At, Role};
use super::world::Register;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What the world knows to be true for ever.
#[derive(Default)]
pub(super) struct Watch {
    /// Nothing is held against anybody.
    pub(super) is_off: bool,
    /// Entries that were applied somewhere: term and digest of the state after it.
    pub(super) applied: BTreeMap<u64, (u64, u64)>,
    /// The sets of voters, in the order in which they came.
    voters: Vec<[BTreeSet<VoterId>; 2]>,
    /// Who led each term.
    leaders: BTreeMap<u64, VoterId>,
    /// How often what was checked.
    pub(super) checks: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) applied: u64,
    pub(super) leaders: u64,
    pub(super) votes: u64,
    pub(super) acknowledged: u64,
    pub(super) committed: u64,
}

impl Watch {
    /// State machine safety: nobody applies another entry at a place.
    pub(super) fn applied(
        &mut self,
        at: At,
        digest: u64,
        disks: &[(VoterId, &Replay<Register>)],
        quorums: &[[BTreeSet<VoterId>; 2]],
    ) {
        self.checks.applied += 1;
        if self.is_off {
            return;
        }
        for sets in quorums {
            if !self.voters.contains(sets) {
                self.voters.push(sets.clone());
            }
        }
        // A change counts from where it is applied: entries close behind it may have been committed by the voters before.
        let first = self.voters.iter().position(|sets| quorums.contains(sets)).unwrap_or(0);
        let before = &self.voters[first.saturating_sub(1)];
        let known = *self.applied.entry(at.index).or_insert_with(|| {
            // Committed means durable with a majority, not one that counts itself too early.
            self.checks.committed += 1;
            let holds = |disk: &Replay<Register>| disk.holds(at.index).is_some_and(|term| term == 0 || term == at.term);
            let has = |id: &&VoterId| disks.iter().any(|(it, disk)| it == *id && holds(disk));
            let is_majority =
                |set: &BTreeSet<VoterId>| set.is_empty() || set.iter().filter(has).count() * 2 > set.len();
            let is_committed = quorums.iter().chain([before]).any(|sets| sets.iter().all(is_majority));
            assert!(is_committed, "{at:?} was applied, but is not durable on a majority of {quorums:?}");
            (at.term, digest)
        });
        assert_eq!(known, (at.term, digest), "two entries applied at {}", at.index);
    }

    /// Election safety: at most one leader a term. Leader completeness: it has all that was applied anywhere.
    pub(super) fn role(&mut self, id: VoterId, role: Role, term_at: impl Fn(u64) -> Option<u64>) {
        let Role::Led { term } = role else { return };
        if self.is_off {
            return;
        }
        self.checks.leaders += 1;
        let leader = *self.leaders.entry(term).or_insert(id);
        assert_eq!(leader, id, "two leaders of term {term}");
        for (index, (term, _)) in &self.applied {
            let held = term_at(*index);
            assert!(
                held == Some(0) || held == Some(*term),
                "the leader has {held:?} at {index}, where {term} is committed"
            );
        }
    }

    /// What is said rests on what is durable.
    pub(super) fn sent(&mut self, message: &Message, disk: &Replay<Register>) {
        match &message.body {
            _ if self.is_off => {}
            // One sync may cover what was promised and acknowledged in a term, and then in a later one.
            Body::Vote(_) | Body::RequestVote(_) | Body::Appended { .. } if disk.promised().0 > message.term => {}
            Body::Vote(ballot) if ballot.granted => {
                self.checks.votes += 1;
                assert_eq!(disk.promised(), (message.term, Some(message.to)), "a vote was sent before it was durable");
            }
            Body::RequestVote(_) => {
                self.checks.votes += 1;
                assert_eq!(disk.promised(), (message.term, Some(message.from)), "a vote for itself was not durable");
            }
            Body::Appended { index, .. } if *index > 0 => {
                self.checks.acknowledged += 1;
                assert!(disk.holds(*index).is_some(), "entry {index} was acknowledged before it was durable");
            }
            Body::Append { .. } | Body::Heartbeat { .. } => {
                assert!(disk.promised().0 >= message.term, "a leader spoke before its term was durable");
            }
            _ => {}
        }
    }
}
