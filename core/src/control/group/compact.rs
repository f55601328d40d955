//! The log compacted behind a snapshot of its own making, one piece for each event.
//!
//! The log is cut only when the snapshot is durable as a whole. Some entries stay behind it, so that a member that lags
//! a little needs no snapshot.

use super::Replicated;
use super::machine::Action;
use super::member::Member;
use super::members::VoterId;
use super::observation::GroupObservation;
use super::wire::{Blob, Record, SnapshotMeta};
use crate::machine::Sink;
use crate::record::Sequence;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A snapshot being made.
#[derive(Clone, Debug)]
pub(super) struct Build<S: Replicated> {
    meta: SnapshotMeta,
    writer: S::Writer,
    pieces: Vec<Blob>,
    /// The record of its first piece.
    from: Option<Sequence>,
    /// The record that makes it whole, and the entries to be dropped once that is durable.
    whole: Option<(Sequence, u64)>,
}

impl<S: Replicated> Build<S> {
    /// Whether all of it is written.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole.is_some()
    }
}

impl<S: Replicated> Member<S> {
    /// Begins a snapshot when enough was applied since the last one, when that one does not know of a member that is to be
    /// brought up by it, or when a checkpoint needs a newer one.
    pub(super) fn begin_build(&mut self) {
        let Some(base) = self.raft.store().base().filter(|_| self.build.is_none()) else { return };
        let bounds = &self.settings.bounds;
        let applied = self.applied.index - base.index;
        let is_heavy = applied > 0 && self.raft.store().bytes() >= bounds.compact_bytes;
        let is_long = applied >= bounds.compact_after || is_heavy;
        let is_new = |id: &VoterId| !base.members.seats.contains_key(id);
        let is_lacking = self.is_leader() && self.members.seats.keys().any(is_new);
        let is_due = is_long || is_lacking || self.is_checkpoint_due();
        let Some(state) = self.state.as_ref().filter(|_| is_due) else { return };
        let (members, writer) = (self.members.clone(), state.writer());
        let meta = SnapshotMeta { index: self.applied.index, term: self.applied.term, members, pieces: 0 };
        self.build = Some(Build { meta, writer, pieces: Vec::new(), from: None, whole: None });
    }

    /// Makes one more piece. Whether there is more to do.
    pub(super) fn advance_build(&mut self, out: &mut impl Sink<Action<S>>) -> bool {
        let Some(mut build) = self.build.take() else { return false };
        if build.whole.is_some() {
            self.build = Some(build);
            return false;
        }
        let index = build.meta.index;
        match S::next_piece(&mut build.writer) {
            Some(piece) => {
                let (number, bytes) = (build.meta.pieces, Blob(piece.into()));
                let record = Record::Piece { index, number, bytes: bytes.clone(), is_installed: false };
                let written = self.write(record, out);
                build.from.get_or_insert(written);
                build.meta.pieces += 1;
                build.pieces.push(bytes);
            }
            None => {
                let bounds = &self.settings.bounds;
                let behind = self.raft.store().behind(index, bounds.keep_behind, bounds.compact_bytes);
                let old = self.dropped_by_checkpoint(build.from, index);
                let dropped = behind.max(old.unwrap_or(0));
                if old.is_some() {
                    self.checkpoint_dropped(dropped);
                }
                let record = Record::Base { meta: build.meta.clone(), dropped, is_installed: false };
                build.whole = Some((self.write(record, out), dropped));
            }
        }
        let is_more = build.whole.is_none();
        self.build = Some(build);
        is_more
    }

    /// The log stands on the new snapshot, once that is durable.
    pub(super) fn rebased(&mut self, out: &mut impl Sink<Action<S>>) {
        let is_durable = |(record, _): (Sequence, u64)| self.disk.is_durable(record);
        if !self.build.as_ref().and_then(|build| build.whole).is_some_and(is_durable) {
            return;
        }
        let Some(Build { meta, pieces, whole: Some((_, dropped)), .. }) = self.build.take() else { return };
        let (index, count) = (meta.index, u64::from(meta.pieces));
        self.pieces = Arc::new(pieces);
        self.raft.mut_store().rebase(meta, dropped);
        self.observe(GroupObservation::Compacted { index, pieces: count }, out);
    }
}
