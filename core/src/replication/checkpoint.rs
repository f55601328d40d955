//! A replica's part of a checkpoint: everything that it needs of the records before the cut is written again.
//!
//! One bounded part for each time it is told, in this order; what is written anew meanwhile comes in between, and
//! [`replay`](super::replay) puts both together.
//!
//! - **What it promised, the newest record, and an intention** whose end is not known: each says all that it stands for.
//! - **The state** as a snapshot, piece by piece, from the first one on. One that is being brought to a follower does, too.
//! - **Entries behind the snapshot**, acknowledged or not, if they may be in records before the cut. They are written as
//!   kept, not as new: a new block takes the place of everything behind it, this one of nothing.
//!
//! A snapshot of an owner that is coming in is waited for: its first pieces may be before the cut. One that stands still
//! is given up. When the last piece of the own snapshot is durable, the log in memory is cut behind it (rule Z4).

use super::machine::Action;
use super::position::LogSequence;
use super::service::Service;
use super::state::{Replica, Unsynced};
use super::step::Step;
use super::wire::Record;
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::record::Sequence;

/// Bytes of entries, and blocks, that one event writes again.
const KEPT_BYTES: usize = 64 << 10;
const KEPT_BLOCKS: usize = 64;
/// Blocks that one event forgets.
const FORGOTTEN_BLOCKS: usize = 256;

/// The newest checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Checkpoint {
    /// Records before this one are given up.
    cut: Sequence,
    /// Entries up to there may be in records before the cut.
    old_until: LogSequence,
    turn: Turn,
}

/// What is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Turn {
    Standing,
    Piece(u32),
    Entries { next: LogSequence },
    Nothing,
}

impl<S: Service> Replica<S> {
    /// Whether all that is needed of the records before `cut` has been written again. It counts once that is durable.
    pub fn has_checkpoint(&self, cut: Sequence) -> bool {
        self.checkpoint.is_some_and(|it| it.cut >= cut && it.turn == Turn::Nothing)
    }

    /// Writes the next part. Nothing while it has to wait.
    pub(super) fn checkpoint(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, cut: Sequence) {
        if self.checkpoint.is_none_or(|it| it.cut < cut) {
            let old_until = self.log.last().sequence;
            self.checkpoint = Some(Checkpoint { cut, old_until, turn: Turn::Standing });
        }
        let Some(it) = self.checkpoint else { return };
        let turn = match it.turn {
            Turn::Standing => self.write_standing(step),
            Turn::Piece(_) | Turn::Entries { .. } if self.waits_for_incoming(step.now) => it.turn,
            Turn::Piece(number) => self.write_piece(step, number),
            Turn::Entries { next } => self.write_entries(step, next, it.old_until),
            Turn::Nothing => Turn::Nothing,
        };
        let is_over = matches!(turn, Turn::Entries { next } if next > it.old_until);
        self.checkpoint = Some(Checkpoint { turn: if is_over { Turn::Nothing } else { turn }, ..it });
    }

    fn write_standing(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) -> Turn {
        if self.promised > Epoch::default() {
            step.write(Record::Promised(self.promised));
        }
        if let Some(record) = &self.record {
            step.write(Record::Known(record.clone().into()));
        }
        if let Some((epoch, version, change)) = self.intended {
            step.write(Record::Intended { epoch, version, change });
        }
        Turn::Piece(0)
    }

    fn write_piece(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, number: u32) -> Turn {
        let Some(at) = self.begin_snapshot() else { return Turn::Entries { next: LogSequence(1) } };
        if self.snapshot.as_ref().is_none_or(|snapshot| snapshot.pieces.len() <= number as usize) {
            self.make_piece();
        }
        let piece = self.snapshot.as_ref().and_then(|snapshot| snapshot.piece(number));
        let Some((bytes, is_last)) = piece else { return Turn::Piece(number) };
        let written = step.write(Record::Snapshot { origin: None, at, number, is_last, bytes });
        if !is_last {
            return Turn::Piece(number + 1);
        }
        self.unsynced.push_back((written, Unsynced::Snapshot(at.sequence)));
        Turn::Entries { next: at.sequence.next() }
    }

    fn write_entries(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        mut next: LogSequence,
        old_until: LogSequence,
    ) -> Turn {
        let mut bytes = 0;
        for _ in 0..KEPT_BLOCKS {
            let Some(block) = self.log.block_of(next).filter(|_| next <= old_until && bytes < KEPT_BYTES) else {
                break;
            };
            bytes += block.size();
            next = block.last().sequence.next();
            step.write(Record::Kept(block.clone()));
        }
        Turn::Entries { next }
    }

    /// Entries from `first` on are written anew: those that stood there need not be written again.
    pub(super) fn overwrites(&mut self, first: LogSequence) {
        if let Some(it) = &mut self.checkpoint {
            it.old_until = it.old_until.min(first.before());
        }
    }

    /// An owner's snapshot has taken the place of everything, and some of its pieces may be before the cut.
    pub(super) fn restart_checkpoint(&mut self, at: LogSequence) {
        if let Some(it) = &mut self.checkpoint {
            it.old_until = at;
            if let Turn::Piece(_) | Turn::Entries { .. } = it.turn {
                it.turn = Turn::Piece(0);
            }
        }
    }

    /// Whether a checkpoint needs the snapshot's pieces.
    pub(super) fn is_snapshot_written(&self) -> bool {
        self.checkpoint.is_some_and(|it| matches!(it.turn, Turn::Piece(_)))
    }

    /// Cuts the log behind what is durable as a snapshot and acknowledged, but for the tail (rule Z4).
    pub(super) fn forget_entries(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let upto = self.durable_snapshot.min(self.mark).0.saturating_sub(self.settings.tail_entries);
        if upto > self.log.base().sequence.0 && self.log.forget(LogSequence(upto), FORGOTTEN_BLOCKS) {
            self.lift_peers(step);
        }
    }
}
