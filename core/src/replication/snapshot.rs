//! Taking a snapshot: of the state at exactly what is applied at one moment, in pieces, one an event (rule Z2).
//!
//! A replica has one at a time, being taken or kept. The checkpoint and all followers that need one share it, and it goes
//! when the last of them is done with it.

use super::position::Position;
use super::service::{PIECE_BYTES_MAX, Progress, Service};
use super::state::Replica;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A snapshot being taken, or kept because somebody needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Snapshot {
    /// The last entry whose effect is in it.
    pub(super) at: Position,
    /// As many as have been made.
    pub(super) pieces: Vec<Arc<[u8]>>,
    /// They are all there are.
    pub(super) is_whole: bool,
}

impl Snapshot {
    /// A piece, if it has been made, and whether it is the last one.
    pub(super) fn piece(&self, number: u32) -> Option<(Arc<[u8]>, bool)> {
        let is_last = self.is_whole && number as usize + 1 == self.pieces.len();
        Some((self.pieces.get(number as usize)?.clone(), is_last))
    }
}

impl<S: Service> Replica<S> {
    /// The position of the snapshot that there is, or of one that begins now; nothing where nothing is applied. O(log n).
    pub(super) fn begin_snapshot(&mut self) -> Option<Position> {
        if let Some(snapshot) = &self.snapshot {
            return Some(snapshot.at);
        }
        let epoch = self.log.epoch_at(self.applied).filter(|_| self.applied.0 > 0)?;
        let at = Position { epoch, sequence: self.applied };
        self.above.freeze();
        self.snapshot = Some(Snapshot { at, pieces: Vec::new(), is_whole: false });
        Some(at)
    }

    /// One step towards the next piece.
    pub(super) fn make_piece(&mut self) {
        let Some(snapshot) = self.snapshot.as_mut().filter(|snapshot| !snapshot.is_whole) else { return };
        if let Progress::Piece { bytes, is_last } = self.above.next_piece(self.settings.piece_bytes) {
            assert!(bytes.len() <= PIECE_BYTES_MAX, "a piece is bounded");
            snapshot.pieces.push(bytes.into());
            snapshot.is_whole = is_last;
        }
    }

    /// Forgets the snapshot once nobody needs it.
    pub(super) fn release_snapshot(&mut self) {
        let is_sent =
            || self.tenure.iter().flat_map(|tenure| tenure.peers.values()).any(|peer| peer.transfer.is_some());
        if self.snapshot.is_some() && !self.is_snapshot_written() && !is_sent() {
            self.snapshot = None;
            self.above.thaw();
        }
    }
}
