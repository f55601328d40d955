//! What a message must be like before the crate sees it.
//!
//! The crate trusts its peers: a commit beyond the log, a gap before an entry, an acknowledgement of what was never
//! sent, or a term at the end of its range make it panic, now or at the next election. No correct member says any of
//! it; one that does is refused wholly, and reported.

use super::Replicated;
use super::convert::change_fits;
use super::member::Member;
use super::members::{Voter, VoterId};
use super::wire::{Ballot, Body, Candidacy, Change, Entry, Message, Payload, SnapshotMeta};
use crate::identity::Incarnation;
use raft::StateRole;

/// How far a term may leap ahead at once. Elections raise it by one; a peer that could set it to its end would end all
/// elections.
const TERM_LEAP: u64 = 1 << 32;
/// Terms and indices stay below, so that what is added to them never overflows.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

/// What is wrong with a message. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// It is of another group.
    #[error("another group")]
    OtherGroup,
    /// It is meant for another id, or for a store that this node does not have any more.
    #[error("another receiver")]
    OtherReceiver,
    /// Its sender is not who it says, has left the group, or has another store than its voter.
    #[error("another sender")]
    OtherSender,
    /// Only members may say that.
    #[error("not a member")]
    NotMember,
    /// The term is zero or out of reach.
    #[error("impossible term")]
    Term,
    /// A place in the log cannot exist, or not be known to the sender.
    #[error("impossible index")]
    Index,
    /// An entry does not fit those before it.
    #[error("impossible entry")]
    Entry,
    /// An entry is too large or of a kind that this build does not know.
    #[error("unknown entry")]
    UnknownEntry,
    /// Two leaders in one term.
    #[error("second leader")]
    SecondLeader,
    /// The answer to a question that was not asked.
    #[error("unasked answer")]
    Unasked,
    /// A piece of a snapshot that cannot be, or is damaged.
    #[error("impossible snapshot")]
    Snapshot,
    /// This member is not in a state to do so.
    #[error("not now")]
    NotNow,
}

impl Fault {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OtherGroup => "other_group",
            Self::OtherReceiver => "other_receiver",
            Self::OtherSender => "other_sender",
            Self::NotMember => "not_member",
            Self::Term => "term",
            Self::Index => "index",
            Self::Entry => "entry",
            Self::UnknownEntry => "unknown_entry",
            Self::SecondLeader => "second_leader",
            Self::Unasked => "unasked",
            Self::Snapshot => "snapshot",
            Self::NotNow => "not_now",
        }
    }
}

/// What is wrong unless `holds`.
fn must(holds: bool, fault: Fault) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(fault) }
}

/// Whether (index, term) can be a place in a log.
const fn is_place(index: u64, term: u64) -> bool {
    index < NUMBER_MAX && (index == 0) == (term == 0)
}

impl<S: Replicated> Member<S> {
    /// Whether the crate may see the message.
    pub(super) fn check(&self, source: &Incarnation, message: &Message) -> Result<(), Fault> {
        self.check_parties(source, message)?;
        let (term, own) = (message.term, self.raft.raft.term);
        must(term > 0 && term < NUMBER_MAX && term <= own.saturating_add(TERM_LEAP), Fault::Term)?;
        match &message.body {
            Body::Append { index, log_term, commit, entries } => {
                self.check_leader(term)?;
                must(is_place(*index, *log_term) && *log_term <= term && *commit < NUMBER_MAX, Fault::Index)?;
                must(entries.len() as u64 <= NUMBER_MAX - index, Fault::Index)?;
                if term < own {
                    // A leader that was deposed: nothing of it is taken, and it is told so.
                    return Ok(());
                }
                // Who has no snapshot yet has nothing that entries could follow.
                must(*index > 0 || self.state.is_some(), Fault::Index)?;
                self.check_entries(*index, *log_term, term, entries)
            }
            Body::Heartbeat { commit, .. } => {
                self.check_leader(term)?;
                // It was acknowledged by this very store, which kept it.
                must(term < own || *commit <= self.last_index(), Fault::Index)
            }
            Body::Appended { index, commit } => must(self.was_sent(term, *index) && *commit < NUMBER_MAX, Fault::Index),
            Body::Rejected { index, hint, hint_term, commit } => {
                must(self.was_sent(term, *index) && hint <= index && *commit < NUMBER_MAX, Fault::Index)?;
                must(*hint_term <= term, Fault::Term)
            }
            Body::Heard { commit, .. } => must(*commit < NUMBER_MAX, Fault::Index),
            Body::RequestVote(candidacy) | Body::RequestPreVote(candidacy) => check_candidacy(term, candidacy),
            Body::Vote(ballot) => {
                check_ballot(term, ballot)?;
                must(term != own || self.role() != StateRole::Candidate || self.was_asked(), Fault::Unasked)
            }
            Body::PreVote(ballot) => {
                check_ballot(term, ballot)?;
                must(self.role() != StateRole::PreCandidate || self.was_asked(), Fault::Unasked)
            }
            Body::TimeoutNow => {
                let is_from_leader = self.raft.raft.leader_id == message.from.0 && term == own;
                must(term < own || is_from_leader, Fault::NotNow)?;
                must(term < own || self.may_stand(), Fault::NotNow)
            }
            Body::Piece { meta, number, bytes } => {
                self.check_leader(term)?;
                let bounds = &self.settings.bounds;
                must(number < &meta.pieces && meta.pieces <= bounds.pieces, Fault::Snapshot)?;
                must(bytes.0.len() as u64 <= u64::from(bounds.piece_bytes), Fault::Snapshot)?;
                self.check_meta(term, meta)
            }
            Body::Wants { index, .. } => must(*index < NUMBER_MAX, Fault::Index),
        }
    }

    fn check_parties(&self, source: &Incarnation, message: &Message) -> Result<(), Fault> {
        must(message.group == self.group, Fault::OtherGroup)?;
        must(message.to == self.id && message.store == self.life.store, Fault::OtherReceiver)?;
        must(message.from.0 > 0 && message.from.0 < NUMBER_MAX && message.from != self.id, Fault::OtherSender)?;
        let voter = Voter { node: source.node, store: source.store };
        match self.members.get(message.from) {
            Some(known) => must(known == voter, Fault::OtherSender),
            None if self.members.has_left(message.from) => Err(Fault::OtherSender),
            // Added by an entry that has not come here yet. It may lead, or stand for election; the answers of those who
            // were asked come from members that this one knows.
            None => must(self.members.id_of(voter).is_none(), Fault::OtherSender)
                .and_then(|()| must(is_for_strangers(&message.body), Fault::NotMember)),
        }
    }

    /// A leader of this term other than this member cannot be.
    fn check_leader(&self, term: u64) -> Result<(), Fault> {
        must(term != self.raft.raft.term || self.role() != StateRole::Leader, Fault::SecondLeader)
    }

    /// Whether this member, if it leads that term, can have sent something of that index.
    fn was_sent(&self, term: u64, index: u64) -> bool {
        let is_own = term == self.raft.raft.term && self.role() == StateRole::Leader;
        index < NUMBER_MAX && (!is_own || index <= self.last_index())
    }

    fn check_entries(&self, index: u64, log_term: u64, term: u64, entries: &[Entry]) -> Result<(), Fault> {
        let mut before = log_term.max(1);
        let mut at = index;
        for entry in entries {
            at += 1;
            must(entry.term >= before && entry.term <= term, Fault::Entry)?;
            before = entry.term;
            let is_committed_here = at <= self.raft.raft.raft_log.committed && at >= self.first_index();
            must(!is_committed_here || self.term_of(at) == Some(entry.term), Fault::Entry)?;
            self.check_payload(&entry.payload)?;
        }
        Ok(())
    }

    fn check_payload(&self, payload: &Payload) -> Result<(), Fault> {
        match payload {
            Payload::Empty => Ok(()),
            Payload::Command(bytes) => {
                let fits = bytes.0.len() as u64 <= u64::from(self.settings.bounds.entry_bytes);
                must(fits && !bytes.0.is_empty() && S::understands(&bytes.0, self.settings.speaks), Fault::UnknownEntry)
            }
            Payload::Change(change) => {
                let named = |ids: &[VoterId]| ids.iter().all(|id| id.0 > 0 && id.0 < NUMBER_MAX);
                let is_sound = match change {
                    Change::Learn { id, .. } | Change::Forget { id } => named(&[*id]),
                    Change::Enter { add, remove } => named(add) && named(remove),
                    Change::Leave => true,
                };
                must(is_sound && change_fits(change), Fault::UnknownEntry)
            }
        }
    }

    fn check_meta(&self, term: u64, meta: &SnapshotMeta) -> Result<(), Fault> {
        let is_place = meta.index > 0 && is_place(meta.index, meta.term) && meta.term <= term;
        must(is_place && meta.members.is_sound(), Fault::Snapshot)?;
        // Who is not among them when it is taken would be a member that nobody has.
        let own = Voter { node: self.life.node, store: self.life.store };
        must(meta.members.get(self.id) == Some(own), Fault::Snapshot)
    }
}

fn check_candidacy(term: u64, candidacy: &Candidacy) -> Result<(), Fault> {
    let Candidacy { index, log_term, commit, commit_term, .. } = *candidacy;
    must(is_place(index, log_term) && is_place(commit, commit_term) && commit <= index, Fault::Index)?;
    must(log_term <= term && commit_term <= log_term, Fault::Term)
}

fn check_ballot(term: u64, ballot: &Ballot) -> Result<(), Fault> {
    // Who grants does not say what it knows.
    must(is_place(ballot.commit, ballot.commit_term), Fault::Index)?;
    must(ballot.commit_term <= term, Fault::Term)
}

/// What a member may be told by one that it has not heard of yet.
const fn is_for_strangers(body: &Body) -> bool {
    matches!(
        body,
        Body::Append { .. }
            | Body::Heartbeat { .. }
            | Body::Piece { .. }
            | Body::RequestVote(_)
            | Body::RequestPreVote(_)
    )
}
