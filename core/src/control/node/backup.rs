//! The state as an operator carries it: out of a node piece by piece, and into one.
//!
//! A backup is a snapshot of what this node knows to be committed. Both ways keep one state in memory, of the operator who
//! asked last; the pieces carry checksums, each chained to the one before, so that a mixture of two is refused.
//!
//! Absent on purpose: what a file of it looks like, and the history that begins with it (`recover`).

use super::machine::Control;
use super::view::{Refusal, Reply};
use crate::control::group::wire::Blob;
use crate::control::state::{SnapshotReader, SnapshotWriter, State};

/// What is carried.
#[derive(Clone, Debug, Default)]
pub(super) struct Backup {
    /// On its way out: the last entry it holds, the next piece, and the rest.
    out: Option<(u64, u32, SnapshotWriter)>,
    /// On its way in: the next piece.
    reading: (u32, SnapshotReader),
    state: Option<State>,
}

impl Backup {
    pub(super) fn is_complete(&self) -> bool {
        self.state.is_some()
    }

    pub(super) fn take(&mut self) -> Option<State> {
        self.state.take()
    }
}

impl Control {
    /// The piece of that number. The first begins a new snapshot, for which others are given up.
    pub(super) fn back_up(&mut self, number: u32) -> Result<Reply, Refusal> {
        if number == 0 {
            let state = self.state().ok_or(Refusal::NotMember)?.clone();
            self.backup.out = Some((state.applied(), 0, SnapshotWriter::new(state)));
        }
        let (index, next, writer) = self.backup.out.as_mut().ok_or(Refusal::OtherPiece)?;
        if *next != number {
            return Err(Refusal::OtherPiece);
        }
        let piece = writer.next_piece().map(|bytes| Blob(bytes.into()));
        *next += 1;
        let index = *index;
        if piece.is_none() {
            self.backup.out = None;
        }
        Ok(Reply::Piece { index, piece })
    }

    /// A piece of a backup. The first gives up what came before.
    pub(super) fn take_back(&mut self, number: u32, bytes: &[u8]) -> Result<Reply, Refusal> {
        if number == 0 {
            (self.backup.reading, self.backup.state) = Default::default();
        }
        let (next, reader) = &mut self.backup.reading;
        if *next != number {
            return Err(Refusal::OtherPiece);
        }
        *next += 1;
        match reader.take(bytes) {
            Ok(None) => Ok(Reply::Taken),
            Ok(Some(state)) => {
                let reply = Reply::Backup { lineage: state.lineage(), applied: state.applied() };
                (self.backup.reading, self.backup.state) = (Default::default(), Some(state));
                Ok(reply)
            }
            Err(_) => {
                self.backup.reading = Default::default();
                Err(Refusal::BadBackup)
            }
        }
    }
}
