//! Commands that take effect once, however often they are submitted: a service around another one, which knows the ids of
//! those that it has taken (rules K2, K4, K8 of `docs/shard-log.md`).
//!
//! Ids are numbered from 1 in the order in which they are taken. The newest [`REMEMBERED_MAX`] are known, with what each
//! came to where that is short. A submission says how many ids had been taken before it was first submitted: if it was
//! taken, then under a higher number. So one that is not known was not taken, as long as all numbers above that are known.
//!
//! | file | holds |
//! | --- | --- |
//! | `id` | the name of a submission |
//! | `envelope` | how a submission stands in the log |
//! | `pieces` | the ids in a snapshot, in front of the state below |
//!
//! A command without an id is handed down as it is, and costs nothing here but a look at its first byte.
//!
//! Absent on purpose: who submits again, and when ([`host`](crate::shards::host)); what commands mean.

mod envelope;
mod id;
mod pieces;
#[cfg(test)]
mod tests;

pub use envelope::{ENVELOPE_BYTES, Stored, fate, once, open, plain};
pub use id::{KEY_BYTES_MAX, SubmissionId};

use self::pieces::{Capture, OnceReader};
use super::blobs::References;
use super::frozen::FrozenMap;
use super::position::Position;
use super::service::{PieceError, Progress, Service};
use crate::blob::BlobAddress;
use crate::bytes::Blob;
use crate::codec::encode_value;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use serde::Serialize;

/// Ids of a shard that are known; older ones are forgotten. Fewer in this crate's own tests, so that they come to see it.
pub const REMEMBERED_MAX: u64 = if cfg!(test) { 64 } else { 65_536 };
/// Bytes of an encoded answer that is kept with its id; of a longer one it is known only that the id was taken.
pub const KEPT_ANSWER_BYTES_MAX: usize = 64;

/// What a command or a query comes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Told<A> {
    /// It took effect now, or was asked: this is what the service below says.
    Answer(A),
    /// It took effect before, and came to this, encoded, if that is known.
    Taken(Option<Blob>),
    /// It has not taken effect, as far as ids are known, and does not now.
    NotTaken,
    /// It may have taken effect before what is known now, and so never will again; or it is of a lost history (rule K4b).
    Expired {
        /// How many have been taken.
        taken: u64,
    },
}

/// What is known of a submission before it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has taken effect, and came to that, if that is known.
    Taken(Option<Blob>),
    /// Whether it has is not known any more, nor ever will be.
    Forgotten,
    /// Neither.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Taken {
    id: SubmissionId,
    answer: Option<Blob>,
}

/// A service, and the ids of what it was told to do once.
#[derive(Clone, Debug, Default)]
pub struct Once<S: Service> {
    service: S,
    /// How many ids have been taken.
    count: u64,
    /// The newest, by number, without gaps.
    taken: FrozenMap<u64, Taken>,
    numbers: BTreeMap<SubmissionId, u64>,
    capture: Capture,
}

impl<S: Service> PartialEq for Once<S> {
    fn eq(&self, other: &Self) -> bool {
        (self.count, &self.taken, &self.service) == (other.count, &other.taken, &other.service)
    }
}

impl<S: Service> Eq for Once<S> {}

impl<S: Service> Hash for Once<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.count.hash(state);
        self.taken.hash(state);
        self.service.hash(state);
    }
}

impl<S: Service> Once<S> {
    /// The service below.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// How many ids have been taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number up to which ids are forgotten.
    pub fn forgotten(&self) -> u64 {
        self.count.saturating_sub(REMEMBERED_MAX)
    }

    /// What is known of a submission that is as old as that. O(log n).
    pub fn known(&self, id: &SubmissionId, since: u64) -> Known {
        match self.answer_of(id) {
            Some(answer) => Known::Taken(answer),
            None if since < self.forgotten() => Known::Forgotten,
            None => Known::Nothing,
        }
    }

    /// What a submission came to that was taken: nothing where that is not known of it. O(log n).
    fn answer_of(&self, id: &SubmissionId) -> Option<Option<Blob>> {
        let number = self.numbers.get(id)?;
        self.taken.get(number).map(|taken| taken.answer.clone())
    }

    fn apply_once(
        &mut self,
        (id, since): (SubmissionId, u64),
        (at, command): (Position, &[u8]),
        blobs: &mut References<'_>,
    ) -> Told<S::Answer> {
        match self.known(&id, since) {
            Known::Taken(answer) => Told::Taken(answer),
            Known::Forgotten => Told::Expired { taken: self.count },
            // Nobody can have known of more, but in a history that is lost (rule K4b).
            Known::Nothing if since > self.count => Told::Expired { taken: self.count },
            Known::Nothing => {
                let answer = self.service.apply(at, command, blobs);
                self.remember(id, &answer);
                Told::Answer(answer)
            }
        }
    }

    fn remember(&mut self, id: SubmissionId, answer: &S::Answer) {
        let mut bytes = Vec::new();
        let is_short = encode_value(answer, KEPT_ANSWER_BYTES_MAX, &mut bytes).is_ok();
        self.count += 1;
        self.taken.insert(self.count, Taken { id, answer: is_short.then(|| Blob(bytes.into())) });
        self.numbers.insert(id, self.count);
        if let Some(oldest) = self.taken.remove(&self.forgotten()) {
            self.numbers.remove(&oldest.id);
        }
    }
}

impl<S: Service> Service for Once<S> {
    type Answer = Told<S::Answer>;
    type Reader = OnceReader<S>;

    fn apply(&mut self, at: Position, command: &[u8], blobs: &mut References<'_>) -> Told<S::Answer> {
        match open(command) {
            Stored::Plain(command) => Told::Answer(self.service.apply(at, command, blobs)),
            Stored::Once { id, since, command } => self.apply_once((id, since), (at, command), blobs),
            // That is a query.
            Stored::Fate(_) => Told::NotTaken,
        }
    }

    fn backlog(&self) -> u64 {
        self.service.backlog()
    }

    fn read(&self, query: &[u8]) -> Told<S::Answer> {
        match open(query) {
            Stored::Plain(query) => Told::Answer(self.service.read(query)),
            Stored::Fate(id) | Stored::Once { id, .. } => self.answer_of(&id).map_or(Told::NotTaken, Told::Taken),
        }
    }

    fn freeze(&mut self) {
        self.taken.freeze();
        self.service.freeze();
        self.capture = Capture::of(self.count);
    }

    fn next_piece(&mut self, limit: usize) -> Progress {
        self.capture_piece(limit)
    }

    fn thaw(&mut self) {
        self.taken.thaw();
        self.service.thaw();
        self.capture = Capture::default();
    }

    fn take_piece(
        reader: &mut OnceReader<S>,
        piece: &[u8],
        refers: &mut impl FnMut(BlobAddress),
    ) -> Result<(), PieceError> {
        reader.take(piece, refers)
    }

    fn finish(reader: OnceReader<S>) -> Result<Self, PieceError> {
        reader.finish()
    }
}
