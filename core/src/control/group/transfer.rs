//! A snapshot brought to a member, piece by piece, a few ahead of what it has.

use super::Replicated;
use super::machine::Action;
use super::member::Member;
use super::members::VoterId;
use super::observation::GroupObservation;
use super::wire::{Blob, Body, SnapshotMeta};
use crate::machine::Sink;
use crate::time::Time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use raft::SnapshotStatus;

/// How often the same piece is sent before the transfer is given up, until the crate asks for another.
const TRIES_MAX: u32 = 8;

/// A snapshot on its way to one member.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    meta: SnapshotMeta,
    pieces: Arc<Vec<Blob>>,
    /// The piece it wants.
    wanted: u32,
    /// The piece that is sent next.
    next: u32,
    tries: u32,
    until: Time,
}

impl<S: Replicated> Member<S> {
    /// The crate wants a member to get what the log stands on.
    pub(super) fn begin_transfer(&mut self, to: VoterId, out: &mut impl Sink<Action<S>>) {
        let Some(meta) = self.raft.store().base().cloned() else { return };
        if self.transfers.get(&to).is_none_or(|transfer| transfer.meta != meta) {
            let pieces = Arc::clone(&self.pieces);
            let transfer = Transfer { meta, pieces, wanted: 0, next: 0, tries: 0, until: self.clock.now };
            self.transfers.insert(to, transfer);
        }
        self.send_pieces(to, out);
    }

    fn send_pieces(&mut self, to: VoterId, out: &mut impl Sink<Action<S>>) {
        let (term, ahead) = (self.raft.raft.term, self.settings.bounds.pieces_ahead);
        let until = self.clock.now.saturating_add(self.settings.election_min);
        let Some(mut transfer) = self.transfers.remove(&to) else { return };
        while transfer.next < transfer.meta.pieces.min(transfer.wanted + ahead) {
            let (meta, number) = (transfer.meta.clone(), transfer.next);
            let bytes = transfer.pieces[number as usize].clone();
            self.send(to, term, Body::Piece { meta, number, bytes }, out);
            transfer.next += 1;
        }
        transfer.until = until;
        self.transfers.insert(to, transfer);
    }

    /// A member wants its next piece, or has them all.
    pub(super) fn wanted(&mut self, from: VoterId, index: u64, number: u32, out: &mut impl Sink<Action<S>>) {
        let Some(transfer) = self.transfers.get_mut(&from).filter(|it| it.meta.index == index) else { return };
        if number >= transfer.meta.pieces {
            self.transfers.remove(&from);
            return self.raft.report_snapshot(from.0, SnapshotStatus::Finish);
        }
        if number != transfer.wanted {
            // Less than before: it has begun anew.
            transfer.next = if number < transfer.wanted { number } else { transfer.next.max(number) };
            (transfer.wanted, transfer.tries) = (number, 0);
            self.send_pieces(from, out);
        }
    }

    /// Sends again what was not answered.
    pub(super) fn advance_transfers(&mut self, out: &mut impl Sink<Action<S>>) {
        let late: Vec<_> =
            self.transfers.iter().filter(|(_, it)| it.until <= self.clock.now).map(|(to, _)| *to).collect();
        for to in late {
            let Some(transfer) = self.transfers.get_mut(&to) else { continue };
            transfer.tries += 1;
            transfer.next = transfer.wanted;
            if transfer.tries < TRIES_MAX {
                self.send_pieces(to, out);
                continue;
            }
            let index = transfer.meta.index;
            self.transfers.remove(&to);
            self.raft.report_snapshot(to.0, SnapshotStatus::Failure);
            self.observe(GroupObservation::TransferFailed { voter: to.0, index }, out);
        }
    }

    pub(super) fn next_transfer(&self) -> Option<Time> {
        self.transfers.values().map(|transfer| transfer.until).min()
    }
}
