//! What stands above the log: the service, and the table of the blobs that it may refer to.
//!
//! A snapshot has both, the table first: who is brought one knows which blobs it needs before the last piece (rule B10). The
//! last byte of a piece says whose it is.

use super::blobs::table::{BlobTable, References};
use super::position::Position;
use super::service::{PIECE_BYTES_MAX, PieceError, Progress, Service};
use crate::blob::BlobAddress;
use alloc::collections::BTreeMap;
use core::hash::{Hash, Hasher};

const OF_TABLE: u8 = 0;
const OF_SERVICE: u8 = 1;

/// The state that entries are applied to.
#[derive(Clone, Debug, Default)]
pub(super) struct Above<S> {
    pub(super) service: S,
    pub(super) blobs: BlobTable,
    /// All pieces of the table are made.
    is_table_done: bool,
}

impl<S: PartialEq> PartialEq for Above<S> {
    fn eq(&self, other: &Self) -> bool {
        self.service == other.service && self.blobs == other.blobs
    }
}

impl<S: Eq> Eq for Above<S> {}

impl<S: Hash> Hash for Above<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.service.hash(state);
        self.blobs.hash(state);
    }
}

/// Both, put together from pieces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reader<S: Service> {
    pub(super) blobs: BlobTable,
    service: S::Reader,
    is_table_done: bool,
    referred: Referred,
}

/// The references that pieces of the state have, beside those that the table counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Referred {
    counted: u64,
    found: u64,
    of: BTreeMap<BlobAddress, u64>,
    /// Some blob has more of them than the table says.
    has_more: bool,
}

impl Referred {
    fn refers(&mut self, table: &BlobTable, address: BlobAddress) {
        self.found = self.found.saturating_add(1);
        let of = self.of.entry(address).or_default();
        *of += 1;
        self.has_more |= table.row(&address).is_none_or(|row| row.references < *of);
    }

    /// None has more, and all together have as many: each has as many as the table says.
    fn are_as_counted(&self) -> bool {
        !self.has_more && self.found == self.counted
    }
}

impl<S: Service> Default for Reader<S> {
    fn default() -> Self {
        let (blobs, service, referred) = (BlobTable::default(), S::Reader::default(), Referred::default());
        Self { blobs, service, is_table_done: false, referred }
    }
}

impl<S: Service> Reader<S> {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`PieceError`] when it cannot follow those taken before. The reader is as it was.
    pub(super) fn take_piece(&mut self, piece: &[u8]) -> Result<(), PieceError> {
        let malformed = PieceError::Malformed { length: piece.len() };
        match piece.split_last() {
            Some((&OF_TABLE, _)) if self.is_table_done => Err(PieceError::OutOfOrder),
            Some((&OF_TABLE, bytes)) => {
                let counted = self.blobs.take_piece(bytes)?;
                self.referred.counted = self.referred.counted.saturating_add(counted);
                Ok(())
            }
            Some((&OF_SERVICE, bytes)) => {
                let (table, referred) = (&self.blobs, &mut self.referred);
                S::take_piece(&mut self.service, bytes, &mut |address| referred.refers(table, address))?;
                self.is_table_done = true;
                Ok(())
            }
            _ => Err(malformed),
        }
    }

    /// The state of which all pieces have been taken.
    ///
    /// # Errors
    /// [`PieceError`] when something is missing, or the table counts other references than the state has: a command that lets
    /// one of those go would make nonsense of the state, or of this process.
    pub(super) fn finish(self) -> Result<Above<S>, PieceError> {
        if !self.referred.are_as_counted() {
            return Err(PieceError::References);
        }
        Ok(Above { service: S::finish(self.service)?, blobs: self.blobs, is_table_done: false })
    }
}

impl<S: Service> Above<S> {
    pub(super) fn apply(&mut self, command: &[u8], at: Position) -> S::Answer {
        self.service.apply(at, command, &mut References::new(&mut self.blobs, at.sequence))
    }

    pub(super) fn freeze(&mut self) {
        self.is_table_done = false;
        self.blobs.freeze();
        self.service.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.blobs.thaw();
        self.service.thaw();
    }

    /// Goes on with the snapshot begun last. Bounded work.
    pub(super) fn next_piece(&mut self, limit: usize) -> Progress {
        let limit = limit.min(PIECE_BYTES_MAX - 1);
        if !self.is_table_done {
            let (piece, is_last) = self.blobs.next_piece(limit);
            self.is_table_done = is_last;
            match piece {
                Some(mut bytes) => {
                    bytes.push(OF_TABLE);
                    return Progress::Piece { bytes, is_last: false };
                }
                None if !is_last => return Progress::Busy,
                None => {}
            }
        }
        match self.service.next_piece(limit) {
            Progress::Piece { mut bytes, is_last } => {
                bytes.push(OF_SERVICE);
                Progress::Piece { bytes, is_last }
            }
            Progress::Busy => Progress::Busy,
        }
    }
}
