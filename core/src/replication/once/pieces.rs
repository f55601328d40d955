//! The ids in a snapshot: pieces of their own, in front of those of the state below. Whose it is the last byte of a piece says.
//!
//! Where no id was ever taken there is no piece of them.

use super::{KEPT_ANSWER_BYTES_MAX, Once, REMEMBERED_MAX, SubmissionId, Taken};
use crate::blob::BlobAddress;
use crate::bytes::Blob;
use crate::codec::{decode_value, encode_value};
use crate::replication::block::SEQUENCE_MAX;
use crate::replication::service::{PIECE_BYTES_MAX, PieceError, Progress, Service};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

const OF_IDS: u8 = 0;
const OF_STATE: u8 = 1;
/// Bytes of one id with its answer, at most, and of the head of a piece.
const ID_BYTES: usize = SubmissionId::BYTES + 4 + KEPT_ANSWER_BYTES_MAX;
const HEAD_BYTES: usize = 32;
/// Ids that one step looks at.
const VISIT_STEPS: usize = 2_048;

/// How far a snapshot has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    /// How many ids had been taken at the moment of freezing.
    count: u64,
    /// The next piece, as far as it has come.
    piece: Vec<(SubmissionId, Option<Blob>)>,
    /// The number of its first id.
    first: u64,
    are_ids_done: bool,
}

impl Capture {
    pub(super) fn of(count: u64) -> Self {
        Self { count, piece: Vec::new(), first: 0, are_ids_done: count == 0 }
    }
}

/// Some of the ids.
#[derive(Serialize, Deserialize)]
struct Ids {
    /// How many have been taken.
    count: u64,
    /// The number of the first one here; the others follow.
    first: u64,
    ids: Vec<(SubmissionId, Option<Blob>)>,
}

impl<S: Service> Once<S> {
    pub(super) fn capture_piece(&mut self, limit: usize) -> Progress {
        let limit = limit.min(PIECE_BYTES_MAX);
        if !self.capture.are_ids_done {
            return self.piece_of_ids(limit);
        }
        match self.service.next_piece(limit.saturating_sub(1)) {
            Progress::Busy => Progress::Busy,
            Progress::Piece { mut bytes, is_last } => {
                bytes.push(OF_STATE);
                Progress::Piece { bytes, is_last }
            }
        }
    }

    fn piece_of_ids(&mut self, limit: usize) -> Progress {
        let room = (limit.saturating_sub(HEAD_BYTES) / ID_BYTES).max(1);
        let capture = &mut self.capture;
        let mut is_full = false;
        let is_over = self.taken.visit(VISIT_STEPS, |number, taken| {
            is_full = capture.piece.len() >= room;
            if !is_full {
                capture.first = if capture.piece.is_empty() { *number } else { capture.first };
                capture.piece.push((taken.id, taken.answer.clone()));
            }
            !is_full
        });
        if !is_full && !is_over {
            return Progress::Busy;
        }
        capture.are_ids_done = is_over;
        let ids = Ids { count: capture.count, first: capture.first, ids: core::mem::take(&mut capture.piece) };
        let mut bytes = Vec::new();
        let encoded = encode_value(&ids, PIECE_BYTES_MAX, &mut bytes);
        assert!(encoded.is_ok(), "so many ids fit");
        bytes.push(OF_IDS);
        Progress::Piece { bytes, is_last: false }
    }
}

/// Ids and a state that are being put together from pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OnceReader<S: Service> {
    count: u64,
    taken: BTreeMap<u64, Taken>,
    numbers: BTreeMap<SubmissionId, u64>,
    state: S::Reader,
    has_state: bool,
}

impl<S: Service> OnceReader<S> {
    pub(super) fn take(&mut self, piece: &[u8], refers: &mut impl FnMut(BlobAddress)) -> Result<(), PieceError> {
        let malformed = PieceError::Malformed { length: piece.len() };
        match piece.split_last() {
            Some((&OF_IDS, ids)) if piece.len() <= PIECE_BYTES_MAX => {
                self.take_ids(decode_value(ids).map_err(|_| malformed)?)
            }
            Some((&OF_STATE, _)) if self.newest() != self.count => Err(PieceError::OutOfOrder),
            Some((&OF_STATE, piece)) => {
                S::take_piece(&mut self.state, piece, refers)?;
                self.has_state = true;
                Ok(())
            }
            _ => Err(malformed),
        }
    }

    fn newest(&self) -> u64 {
        self.taken.last_key_value().map_or(0, |(number, _)| *number)
    }

    fn take_ids(&mut self, piece: Ids) -> Result<(), PieceError> {
        let Ids { count, first, ids } = piece;
        let is_first = self.taken.is_empty();
        let expected = if is_first { count.saturating_sub(REMEMBERED_MAX) + 1 } else { self.newest() + 1 };
        let is_in_order = first == expected && (is_first || count == self.count) && !self.has_state;
        if count > SEQUENCE_MAX || !is_in_order || ids.is_empty() {
            return Err(PieceError::OutOfOrder);
        }
        if ids.len() as u64 > count - (first - 1) {
            return Err(PieceError::TooMany { limit: REMEMBERED_MAX as usize });
        }
        let new: BTreeSet<SubmissionId> = ids.iter().map(|(id, _)| *id).collect();
        let is_long = |answer: &Option<Blob>| answer.as_ref().is_some_and(|it| it.0.len() > KEPT_ANSWER_BYTES_MAX);
        let are_known = new.iter().any(|id| self.numbers.contains_key(id));
        if new.len() < ids.len() || are_known || ids.iter().any(|(_, answer)| is_long(answer)) {
            return Err(PieceError::Malformed { length: ids.len() });
        }
        self.count = count;
        for (number, (id, answer)) in (first..).zip(ids) {
            self.numbers.insert(id, number);
            self.taken.insert(number, Taken { id, answer });
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Once<S>, PieceError> {
        if self.newest() != self.count {
            return Err(PieceError::Incomplete);
        }
        let service = S::finish(self.state)?;
        let Self { count, taken, numbers, .. } = self;
        Ok(Once { service, count, taken: taken.into(), numbers, capture: Capture::default() })
    }
}
