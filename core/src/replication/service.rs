//! The state above the log: what commands mean, and how it is cut into the pieces of a snapshot.

use super::blobs::References;
use super::position::Position;
use crate::blob::BlobAddress;
use crate::time::WallTime;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;
use serde::Serialize;

/// Bytes of one piece of a snapshot, at most.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// A deterministic state machine: equal commands in equal order give equal states and answers on every machine.
///
/// A snapshot of it is taken in bounded steps while commands go on being applied. Two services with equal contents are
/// equal, and hash alike, whether or not a snapshot is being taken; a clone goes on with it like the original.
pub trait Service: Clone + Debug + Default + PartialEq + Eq + Hash {
    /// What a command or a query comes to.
    type Answer: Clone + Debug + PartialEq + Eq + Hash + Serialize;

    /// A state that is being put together from pieces. Within the bounds that the state itself has.
    type Reader: Clone + Debug + Default + PartialEq + Eq + Hash;

    /// Sets the time at which the owner takes a command, where commands have one. An entry says what it says on every
    /// machine; this is done before it is one.
    fn stamp(_command: &mut [u8], _wall: WallTime) {}

    /// Takes the next acknowledged command, which is the entry at that place. Total: one that makes no sense is answered so,
    /// and changes nothing.
    /// What it refers to of the shard's blobs, and does not any more, it says to `blobs`, on every machine alike (rule B5).
    fn apply(&mut self, at: Position, command: &[u8], blobs: &mut References<'_>) -> Self::Answer;

    /// Answers a query; changes nothing.
    fn read(&self, query: &[u8]) -> Self::Answer;

    /// How much waits in it for somebody to do it: what tells operators and whoever places shards, no more. O(1).
    fn backlog(&self) -> u64 {
        0
    }

    /// Begins a snapshot of what the state is now; one being taken is given up. O(1).
    fn freeze(&mut self);

    /// Goes on with the snapshot begun last. Bounded work; what the pieces are depends on the frozen state and on `limit`
    /// alone, so that two snapshots of one state have the same ones.
    fn next_piece(&mut self, limit: usize) -> Progress;

    /// Gives up the snapshot being taken, if there is one.
    fn thaw(&mut self);

    /// Takes the next piece. Bounded work. Of each reference to a blob that the piece has it tells `refers`: as many as
    /// [`apply`](Self::apply) has counted.
    ///
    /// # Errors
    /// [`PieceError`] when it cannot follow those taken before. The reader is as it was, and nothing was told.
    fn take_piece(
        reader: &mut Self::Reader,
        piece: &[u8],
        refers: &mut impl FnMut(BlobAddress),
    ) -> Result<(), PieceError>;

    /// The state of which all pieces have been taken. O(1).
    ///
    /// # Errors
    /// [`PieceError::Incomplete`] when something is missing.
    fn finish(reader: Self::Reader) -> Result<Self, PieceError>;
}

/// What one step of taking a snapshot came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The next piece. A snapshot has one at least.
    Piece {
        /// At most `limit` of them, or the smallest part that the state can be cut into; never more than
        /// [`PIECE_BYTES_MAX`].
        bytes: Vec<u8>,
        /// No other follows; the snapshot is taken.
        is_last: bool,
    },
    /// None yet: the step has looked at as much as one may.
    Busy,
}

/// Why a piece of a snapshot was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// The bytes are no piece.
    #[error("{length} bytes are no piece of a snapshot")]
    Malformed {
        /// How many bytes.
        length: usize,
    },
    /// It does not begin behind where the one before ended.
    #[error("a piece does not follow the one before it")]
    OutOfOrder,
    /// The state would have more than it may have.
    #[error("a snapshot holds more than the {limit} entries that a state may have")]
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// The references that its blobs are said to have are not those of its state.
    #[error("a snapshot refers to other blobs than it says")]
    References,
    /// All pieces together are less than a state.
    #[error("a snapshot ended early")]
    Incomplete,
}
