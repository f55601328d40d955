//! Taking an owner's snapshot over: piece by piece into the journal, and in the place of log and state when the last one is
//! there (rule Z3).
//!
//! A half is never looked at: it goes when the process ends, when another owner begins, or when nothing of it has come for
//! long while a checkpoint waits for it. The owner then begins anew.

use super::above::{Above, Reader};
use super::block::SEQUENCE_MAX;
use super::log::Log;
use super::machine::Action;
use super::observation::ReplicationObservation;
use super::position::{LogSequence, Position};
use super::service::{PIECE_BYTES_MAX, Service};
use super::state::{Replica, Unsynced};
use super::step::Step;
use super::wire::{Message, Record};
use crate::blob::BlobAddress;
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::record::Sequence;
use crate::shards::ReplicaId;
use crate::time::Time;
use alloc::sync::Arc;

/// A piece as it came.
pub(super) struct Piece {
    pub(super) at: Position,
    pub(super) number: u32,
    pub(super) is_last: bool,
    pub(super) bytes: Arc<[u8]>,
}

/// A snapshot of which some pieces have come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Incoming<S: Service> {
    /// The owner's, which cuts its snapshot into pieces its own way.
    epoch: Epoch,
    pub(super) at: Position,
    pub(super) next: u32,
    pub(super) from: ReplicaId,
    pub(super) reader: Reader<S>,
    pub(super) heard: Time,
    /// All but the last piece are there, and that one waits for blobs (rule B10).
    pub(super) waits_for_blobs: bool,
    /// Up to that one all blobs are here.
    pub(super) has_blobs_upto: Option<BlobAddress>,
}

impl<S: Service> Replica<S> {
    /// A piece of an owner's snapshot.
    pub(super) fn take_piece(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        epoch: Epoch,
        piece: Piece,
    ) {
        let Piece { at, number, .. } = piece;
        let is_placed =
            number < u32::MAX && at.sequence > LogSequence(0) && at.sequence.0 <= SEQUENCE_MAX && at.epoch <= epoch;
        if !is_placed || piece.bytes.len() > PIECE_BYTES_MAX {
            let reason = "a piece that cannot be";
            return step.observe(ReplicationObservation::Rejected { from: from.node, reason });
        }
        if !self.accepts(step, from, epoch) {
            return;
        }
        if self.log.has(at) || at.sequence <= self.mark {
            return self.needs_no_snapshot(step, from, epoch, at);
        }
        let is_older = |it: &Incoming<S>| it.epoch == epoch && at.sequence < it.at.sequence;
        if self.incoming.as_ref().is_some_and(is_older) {
            return;
        }
        let begun = self.incoming.as_mut().filter(|it| (it.epoch, it.at) == (epoch, at));
        let next = begun.as_ref().map_or(0, |it| it.next);
        if number != next {
            return step.send(from, Message::SnapshotHeld { epoch, at, pieces: next });
        }
        if let Some(begun) = begun.filter(|_| piece.is_last) {
            (begun.waits_for_blobs, begun.from) = (true, from);
            if self.get_blobs_of_snapshot(step) {
                self.incoming.iter_mut().for_each(|it| it.waits_for_blobs = false);
            } else {
                return step.send(from, Message::SnapshotHeld { epoch, at, pieces: next });
            }
        }
        let begun = self.incoming.as_mut().filter(|it| (it.epoch, it.at) == (epoch, at));
        let mut reader = begun.map_or_else(Reader::default, |it| core::mem::take(&mut it.reader));
        let taken = reader.take_piece(&piece.bytes);
        let begun = self.incoming.as_mut().filter(|it| (it.epoch, it.at) == (epoch, at));
        match (taken, begun) {
            (Ok(()), _) => {
                let (next, heard) = (number + 1, step.now);
                let (waits_for_blobs, has_blobs_upto) = (false, None);
                let incoming = Incoming { epoch, at, next, from, reader, heard, waits_for_blobs, has_blobs_upto };
                self.took_piece(step, from, piece, incoming);
            }
            (Err(_), begun) => {
                if let Some(begun) = begun {
                    begun.reader = reader;
                }
                let reason = "a piece that is malformed";
                step.observe(ReplicationObservation::Rejected { from: from.node, reason });
            }
        }
    }

    /// All up to there is acknowledged, and here: what an owner's log has there, this one has (rule Z3).
    fn needs_no_snapshot(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        epoch: Epoch,
        at: Position,
    ) {
        if self.log.epoch_at(at.sequence).is_some_and(|own| own != at.epoch) {
            let reason = "a snapshot that differs in what is acknowledged";
            return step.observe(ReplicationObservation::Rejected { from: from.node, reason });
        }
        self.incoming.take_if(|it| it.at.sequence <= at.sequence);
        step.send(from, Message::Held { epoch, upto: at.sequence });
    }

    /// The piece follows those that have come: into the journal, and with the last one, everything into place.
    fn took_piece(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        piece: Piece,
        incoming: Incoming<S>,
    ) {
        let Piece { at, number, is_last, bytes } = piece;
        let (epoch, pieces) = (incoming.epoch, incoming.next);
        let record = Record::Snapshot { origin: Some(epoch), at, number, is_last, bytes };
        if !is_last {
            step.write(record);
            self.incoming = Some(incoming);
            return step.send(from, Message::SnapshotHeld { epoch, at, pieces });
        }
        self.incoming = None;
        let Ok(above) = incoming.reader.finish() else {
            let reason = "a snapshot that does not fit together";
            return step.observe(ReplicationObservation::Rejected { from: from.node, reason });
        };
        let written = step.write(record);
        self.install(step, written, at, above);
        step.observe(ReplicationObservation::Installed { sequence: at.sequence.0, pieces: u64::from(pieces) });
        step.send(from, Message::Held { epoch, upto: at.sequence });
    }

    /// The snapshot takes the place of everything, once the record of its last piece is durable.
    fn install(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        written: Sequence,
        at: Position,
        above: Above<S>,
    ) {
        assert!(
            self.tenure.is_none() && self.mark < at.sequence,
            "only a follower takes a snapshot, and never backwards"
        );
        self.unsynced.retain(|(_, what)| !matches!(what, Unsynced::Entries(_)));
        self.unsynced.push_back((written, Unsynced::Entries(at.sequence)));
        (self.log, self.durable) = (Log::behind(at), LogSequence(0));
        (self.mark, self.applied, self.above) = (at.sequence, at.sequence, above);
        self.blobs.restarts(&self.above.blobs);
        step.push(Action::Sweep);
        self.snapshot = None;
        self.restart_checkpoint(at.sequence);
    }

    /// Whether a checkpoint has to wait for a snapshot that is coming in, whose first pieces may be before the cut. Gives
    /// up one of which nothing has come for long.
    pub(super) fn waits_for_incoming(&mut self, now: Time) -> bool {
        let wait = self.settings.snapshot_wait;
        self.incoming.take_if(|it| it.heard.saturating_add(wait) <= now);
        self.incoming.is_some()
    }

    /// What an owner has begun whose epoch is over is never ended.
    pub(super) fn forget_incoming(&mut self, promised: Epoch) {
        self.incoming.take_if(|it| it.epoch < promised);
    }
}
