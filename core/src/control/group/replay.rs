//! From the journal back to a member.
//!
//! A journal that was trimmed begins anywhere in the story: with entries whose predecessors are gone, or pieces without
//! the first. What it lacks comes again before the checkpoint's end, which says what the store is; until then, or until
//! it becomes a member anew, what does not fit is passed over.

use super::Replicated;
use super::convert::entry_in;
use super::log::Log;
use super::members::VoterId;
use super::wire::{Blob, GroupId, Record, SnapshotMeta, Standing};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use raft::eraftpb::{Entry, HardState};

/// The last member that this store has been of each group: it is none of those, or earlier ones, again.
pub(super) type Seats = BTreeMap<GroupId, VoterId>;

/// What the records read so far amount to.
#[derive(Clone, Debug)]
pub(super) struct Replay<S: Replicated> {
    joined: Option<(GroupId, VoterId)>,
    seats: Seats,
    term: u64,
    vote: Option<VoterId>,
    commit: u64,
    dropped: (u64, u64),
    entries: VecDeque<Entry>,
    base: Option<SnapshotMeta>,
    state: Option<S>,
    pieces: Arc<Vec<Blob>>,
    /// What is in the making: of its own, and of a leader.
    own: Option<Staged<S>>,
    incoming: Option<Staged<S>>,
}

#[derive(Clone, Debug)]
struct Staged<S: Replicated> {
    index: u64,
    reader: S::Reader,
    pieces: Vec<Blob>,
    state: Option<S>,
}

/// What a member starts with.
pub(super) struct Recovered<S> {
    pub(super) group: GroupId,
    pub(super) id: VoterId,
    pub(super) log: Log,
    pub(super) state: Option<S>,
    pub(super) pieces: Arc<Vec<Blob>>,
    /// Term and vote.
    pub(super) promised: (u64, u64),
}

impl<S: Replicated> Replay<S> {
    pub(super) fn new() -> Self {
        Self {
            joined: None,
            seats: Seats::new(),
            term: 1,
            vote: None,
            commit: 0,
            dropped: (0, 0),
            entries: VecDeque::new(),
            base: None,
            state: None,
            pieces: Arc::default(),
            own: None,
            incoming: None,
        }
    }

    /// Takes a record back.
    ///
    /// # Panics
    /// When records do not fit one another: the journal has checked that they are what was written.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Joined { group, id } => self.sit_down(group, id),
            Record::Founded { group, id, meta } => {
                let incoming = self.incoming.take();
                self.sit_down(group, id);
                (self.incoming, self.term) = (incoming, meta.term);
                let dropped = meta.index;
                self.stand_on(meta, dropped, true);
            }
            Record::Hard { term, vote, commit } => {
                (self.term, self.vote) = (term, vote);
                self.commit = self.commit.max(commit);
            }
            Record::Entries { first, commit, entries } => {
                if self.joined.is_none() && (self.entries.is_empty() || first <= self.dropped.0) {
                    self.entries.clear();
                    self.dropped = (first.saturating_sub(1), 0);
                }
                let kept = first.checked_sub(self.dropped.0 + 1).filter(|kept| *kept <= self.entries.len() as u64);
                let Some(kept) = kept else { panic!("entries from {first} on do not follow what was stored") };
                self.entries.truncate(kept as usize);
                self.entries.extend((first..).zip(entries).map(|(index, entry)| entry_in(index, entry)));
                self.commit = self.commit.max(commit);
            }
            Record::Piece { index, number, bytes, is_installed } => self.stage(index, number, bytes, is_installed),
            Record::Base { meta, dropped, is_installed } => self.stand_on(meta, dropped, is_installed),
            Record::Standing { seats, member } => self.stand(seats, member),
        }
    }

    /// It is what it was when the checkpoint ended.
    fn stand(&mut self, seats: Vec<(GroupId, VoterId)>, member: Option<Standing>) {
        self.seats.extend(seats);
        let Some(Standing { group, id, term, vote, commit, dropped }) = member else {
            let seats = core::mem::take(&mut self.seats);
            *self = Self { seats, ..Self::new() };
            return;
        };
        assert!(self.base.is_some() || dropped == (0, 0), "a checkpoint has ended without the snapshot it stands on");
        self.joined = Some((group, id));
        (self.term, self.vote) = (term, vote);
        self.commit = self.commit.max(commit);
        while self.entries.pop_front_if(|entry| entry.index <= dropped.0).is_some() {}
        let follows = self.entries.front().is_none_or(|entry| entry.index == dropped.0 + 1);
        assert!(follows, "a checkpoint has ended without the entries behind {}", dropped.0);
        self.dropped = dropped;
    }

    /// It begins as another member.
    fn sit_down(&mut self, group: GroupId, id: VoterId) {
        let mut seats = core::mem::take(&mut self.seats);
        seats.insert(group, id);
        *self = Self { joined: Some((group, id)), seats, ..Self::new() };
    }

    /// Takes over what the store has been before.
    pub(super) fn remember(&mut self, seats: &Seats) {
        self.seats.clone_from(seats);
    }

    /// What the store has been.
    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    fn stage(&mut self, index: u64, number: u32, bytes: Blob, is_installed: bool) {
        let slot = if is_installed { &mut self.incoming } else { &mut self.own };
        if number == 0 {
            *slot = Some(Staged { index, reader: S::Reader::default(), pieces: Vec::new(), state: None });
        }
        let Some(staged) = slot.as_mut().filter(|it| it.index == index && it.pieces.len() == number as usize) else {
            assert!(self.joined.is_none(), "a piece of the snapshot up to {index} is missing");
            return;
        };
        match S::take_piece(&mut staged.reader, &bytes.0) {
            Ok(state) => staged.state = state,
            Err(damaged) => panic!("the snapshot up to {index} was stored, and cannot be read: {damaged}"),
        }
        staged.pieces.push(bytes);
    }

    fn stand_on(&mut self, meta: SnapshotMeta, dropped: u64, is_installed: bool) {
        let slot = if is_installed { &mut self.incoming } else { &mut self.own };
        let staged = slot.take_if(|it| it.index == meta.index);
        let is_whole = staged.as_ref().is_some_and(|it| it.state.is_some());
        assert!(is_whole || self.joined.is_none(), "the snapshot up to {} is not whole", meta.index);
        if let Some(Staged { pieces, state: Some(state), .. }) = staged {
            (self.state, self.pieces) = (Some(state), Arc::new(pieces));
        }
        self.commit = self.commit.max(meta.index);
        if is_installed {
            self.entries.clear();
            self.dropped = (meta.index, meta.term);
        } else {
            while let Some(entry) = self.entries.pop_front_if(|entry| entry.index <= dropped) {
                self.dropped = (entry.index, entry.term);
            }
        }
        self.base = Some(meta).filter(|_| is_whole);
    }

    /// The term of an entry, if it is there or in the snapshot.
    #[cfg(test)]
    pub(super) fn holds(&self, index: u64) -> Option<u64> {
        let base = self.base.as_ref().map_or(0, |base| base.index);
        if index <= base.max(self.dropped.0) {
            return Some(0);
        }
        self.entries.get((index - self.dropped.0 - 1) as usize).map(|entry| entry.term)
    }

    /// Term and vote.
    #[cfg(test)]
    pub(super) fn promised(&self) -> (u64, Option<VoterId>) {
        (self.term, self.vote)
    }

    /// The member that this store is, if it is one.
    pub(super) fn finish(self) -> Option<Recovered<S>> {
        let (group, id) = self.joined?;
        let last = self.dropped.0 + self.entries.len() as u64;
        let vote = self.vote.map_or(0, |vote| vote.0);
        let hard = HardState { term: self.term, vote, commit: self.commit.min(last), ..HardState::default() };
        let log = Log::new(self.base, self.dropped, self.entries, hard);
        Some(Recovered { group, id, log, state: self.state, pieces: self.pieces, promised: (self.term, vote) })
    }
}

/// What a founder stores: the same on all of them. Nothing but pieces that nobody will miss before the last record.
pub(super) fn founding_records<S: Replicated>(
    group: GroupId,
    id: VoterId,
    meta: SnapshotMeta,
    state: &S,
) -> Vec<Record> {
    let mut writer = state.writer();
    let mut records = Vec::new();
    let mut meta = meta;
    while let Some(piece) = S::next_piece(&mut writer) {
        let (index, number, bytes) = (meta.index, meta.pieces, Blob(piece.into()));
        records.push(Record::Piece { index, number, bytes, is_installed: true });
        meta.pieces += 1;
    }
    records.push(Record::Founded { group, id, meta });
    records
}
