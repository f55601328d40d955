//! Which blobs there are, as the log says: part of the state above it, equal in all replicas that have applied as much.
//!
//! A blob is there from the entry that brings it to the one that drops it. What refers to it is counted as commands are
//! applied (rule B5). The index of those that nothing refers to is made of the rest.

use crate::blob::{BLOB_BYTES_MAX, BlobAddress};
use crate::codec::{decode_value, encode_value};
use crate::replication::frozen::FrozenMap;
use crate::replication::position::LogSequence;
use crate::replication::service::{PIECE_BYTES_MAX, PieceError};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::Bound;
use serde::{Deserialize, Serialize};

/// Blobs that one shard may have.
pub const BLOBS_MAX: usize = 65_536;
/// Blobs that one step of a snapshot looks at.
const VISIT_STEPS: usize = 4_096;
/// Bytes of an encoded blob, at most.
const ROW_BYTES: usize = 24 + 3 * 9;

/// One blob, as the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// Bytes.
    pub length: u64,
    /// How much refers to it.
    pub references: u64,
    /// Where nothing refers to it: the entry that brought it, or let it go (rule B7).
    pub idle_since: LogSequence,
}

/// The blobs of a shard.
#[derive(Clone, Debug, Default)]
pub struct BlobTable {
    rows: FrozenMap<BlobAddress, Row>,
    /// Those that nothing refers to, by since when.
    idle: BTreeSet<(LogSequence, BlobAddress)>,
    /// The next piece of the snapshot being taken, as far as it has come.
    piece: Vec<(BlobAddress, Row)>,
}

impl PartialEq for BlobTable {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl Eq for BlobTable {}

impl Hash for BlobTable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rows.hash(state);
    }
}

/// There is no such blob: it was never brought, or it was dropped. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such blob in this shard; put it, and ask again")]
pub struct NoBlob;

/// The blobs, for a command that is being applied.
#[derive(Debug)]
pub struct References<'a> {
    table: &'a mut BlobTable,
    at: LogSequence,
}

impl<'a> References<'a> {
    /// For the command at that place of the log.
    pub fn new(table: &'a mut BlobTable, at: LogSequence) -> Self {
        Self { table, at }
    }

    /// The state above the log refers to a blob once more. O(log n).
    ///
    /// # Errors
    /// [`NoBlob`] where there is none.
    pub fn refer(&mut self, address: BlobAddress) -> Result<(), NoBlob> {
        let mut row = self.table.row(&address).ok_or(NoBlob)?;
        self.table.idle.remove(&(row.idle_since, address));
        row.references += 1;
        self.table.rows.insert(address, row);
        Ok(())
    }

    /// The state above the log refers to a blob once less. O(log n).
    ///
    /// # Panics
    /// When it did not refer to it.
    pub fn release(&mut self, address: BlobAddress) {
        let row = self.table.row(&address).filter(|row| row.references > 0);
        let Some(mut row) = row else { panic!("{address:?} is let go, and nothing refers to it") };
        row.references -= 1;
        if row.references == 0 {
            row.idle_since = self.at;
            self.table.idle.insert((self.at, address));
        }
        self.table.rows.insert(address, row);
    }
}

impl BlobTable {
    /// What the log says of a blob. O(log n).
    pub fn row(&self, address: &BlobAddress) -> Option<Row> {
        self.rows.get(address).copied()
    }

    /// All of them, in order.
    pub fn rows(&self) -> impl Iterator<Item = (&BlobAddress, &Row)> {
        self.rows.live().iter()
    }

    pub(in crate::replication) fn is_full(&self) -> bool {
        self.rows.live().len() >= BLOBS_MAX
    }

    /// Applies an entry that brings a blob; whether there is room for it.
    pub(crate) fn bring(&mut self, address: BlobAddress, length: u64, at: LogSequence) -> bool {
        let row = match self.row(&address) {
            Some(row) if row.references > 0 => return true,
            None if self.is_full() => return false,
            Some(row) => {
                self.idle.remove(&(row.idle_since, address));
                Row { idle_since: at, ..row }
            }
            None => Row { length, references: 0, idle_since: at },
        };
        self.rows.insert(address, row);
        self.idle.insert((at, address));
        true
    }

    /// Applies an entry that drops a blob; whether it did (rule B7).
    pub(in crate::replication) fn drop_blob(&mut self, address: BlobAddress, idle_since: LogSequence) -> bool {
        let is_as_it_was = |row: &Row| row.references == 0 && row.idle_since == idle_since;
        let is_dropped = self.row(&address).is_some_and(|row| is_as_it_was(&row));
        if is_dropped {
            self.idle.remove(&(idle_since, address));
            self.rows.remove(&address);
        }
        is_dropped
    }

    pub(in crate::replication) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Those that nothing has referred to since that entry, the oldest first.
    pub(in crate::replication) fn idle_since(
        &self,
        at: LogSequence,
    ) -> impl Iterator<Item = (LogSequence, BlobAddress)> {
        self.idle.iter().take_while(move |(since, _)| *since <= at).copied()
    }

    /// The first ones behind that address.
    pub(in crate::replication) fn behind(&self, last: Option<BlobAddress>) -> impl Iterator<Item = BlobAddress> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.rows.live().range((from, Bound::Unbounded)).map(|(address, _)| *address)
    }

    pub(in crate::replication) fn freeze(&mut self) {
        self.rows.freeze();
        self.piece.clear();
    }

    pub(in crate::replication) fn thaw(&mut self) {
        self.rows.thaw();
        self.piece.clear();
    }

    /// A bounded step of the snapshot: a piece if one is full or it is the last one, and whether it is the last one.
    pub(in crate::replication) fn next_piece(&mut self, limit: usize) -> (Option<Vec<u8>>, bool) {
        let room = (limit.min(PIECE_BYTES_MAX) / ROW_BYTES).saturating_sub(1).max(1);
        let (piece, mut is_full) = (&mut self.piece, false);
        let is_last = self.rows.visit(VISIT_STEPS, |address, row| {
            is_full = piece.len() >= room;
            if !is_full {
                piece.push((*address, *row));
            }
            !is_full
        });
        if piece.is_empty() || (!is_full && !is_last) {
            return (None, is_last);
        }
        let mut bytes = vec![];
        let encoded = encode_value(piece, PIECE_BYTES_MAX, &mut bytes);
        assert!(encoded.is_ok(), "so many blobs fit");
        piece.clear();
        (Some(bytes), is_last)
    }

    /// Takes a piece of a snapshot. How many references it counts.
    ///
    /// # Errors
    /// [`PieceError`] when it cannot follow. Nothing changed.
    pub(in crate::replication) fn take_piece(&mut self, piece: &[u8]) -> Result<u64, PieceError> {
        let malformed = PieceError::Malformed { length: piece.len() };
        let rows: Vec<(BlobAddress, Row)> = decode_value(piece).map_err(|_| malformed)?;
        let is_sound = |row: &Row| (1..=BLOB_BYTES_MAX).contains(&row.length);
        if rows.is_empty() || !rows.iter().all(|(_, row)| is_sound(row)) {
            return Err(malformed);
        }
        let last = self.rows.live().last_key_value().map(|(address, _)| *address);
        let is_behind = rows.first().is_some_and(|(first, _)| last.is_none_or(|last| last < *first));
        if !is_behind || !rows.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(PieceError::OutOfOrder);
        }
        if self.rows.live().len() + rows.len() > BLOBS_MAX {
            return Err(PieceError::TooMany { limit: BLOBS_MAX });
        }
        let references = rows.iter().fold(0, |sum: u64, (_, row)| sum.saturating_add(row.references));
        for (address, row) in rows {
            self.rows.insert(address, row);
            if row.references == 0 {
                self.idle.insert((row.idle_since, address));
            }
        }
        Ok(references)
    }
}
