//! Registers and counters: the service of the tests and of the model.

use super::blobs::References;
use super::frozen::FrozenMap;
use super::position::Position;
use super::service::{PIECE_BYTES_MAX, PieceError, Progress, Service};
use crate::blob::BlobAddress;
use crate::codec::{decode_value, encode_value};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// Registers that there may be.
pub const REGISTERS_MAX: usize = 65_536;
/// Bytes of an encoded command or query.
const COMMAND_BYTES: usize = 64;
/// Bytes of an encoded register, at most, and of the length of a list.
const REGISTER_BYTES: usize = 18;
/// One that has a blob takes the room of so many.
const ROOM_WITH_BLOB: usize = 3;
/// Registers that one step of a snapshot looks at.
const VISIT_STEPS: usize = 8_192;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Write a register.
    Write {
        /// Which.
        register: u64,
        /// What.
        value: u64,
    },
    /// Write a register if it holds what is expected.
    CompareAndSet {
        /// Which.
        register: u64,
        /// What it must hold; nothing stands for never written.
        expected: Option<u64>,
        /// What to write.
        value: u64,
    },
    /// Add to a counter, which is a register that began with 0. Wraps.
    Add {
        /// Which.
        register: u64,
        /// How much.
        by: u64,
    },
    /// Read a register.
    Read {
        /// Which.
        register: u64,
    },
    /// Write a register, and have it refer to a blob until it is written again.
    Refer {
        /// Which.
        register: u64,
        /// What.
        value: u64,
        /// To what.
        blob: BlobAddress,
    },
}

impl Command {
    /// The command as the log holds it.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![];
        let encoded = encode_value(&self, COMMAND_BYTES, &mut bytes);
        assert!(encoded.is_ok(), "a command is short");
        bytes
    }
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// What the register holds now.
    Holds(Option<u64>),
    /// Not written: the register holds this.
    Differs(Option<u64>),
    /// There are too many registers.
    Full,
    /// The bytes are no command, or one that a query may not be.
    Malformed,
    /// Not written: there is no such blob.
    NoBlob,
}

/// Registers by number.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    values: FrozenMap<u64, Held>,
    /// The next piece of the snapshot being taken, as far as it has come.
    piece: Piece,
}

/// What a register holds, and the blob that it refers to.
type Held = (u64, Option<BlobAddress>);

/// Registers, and the blobs that some of them refer to.
type Piece = (Vec<(u64, u64)>, Vec<(u64, BlobAddress)>);

impl PartialEq for Registers {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl Eq for Registers {}

impl Hash for Registers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.values.hash(state);
    }
}

impl Registers {
    /// What a register holds.
    pub fn value(&self, register: u64) -> Option<u64> {
        self.values.get(&register).map(|(value, _)| *value)
    }

    /// The blob that a register refers to.
    pub fn blob(&self, register: u64) -> Option<BlobAddress> {
        self.values.get(&register).and_then(|(_, blob)| *blob)
    }

    fn write(&mut self, register: u64, value: u64, blob: Option<BlobAddress>, blobs: &mut References<'_>) -> Answer {
        if self.values.live().len() >= REGISTERS_MAX && self.value(register).is_none() {
            return Answer::Full;
        }
        if blob.is_some_and(|blob| blobs.refer(blob).is_err()) {
            return Answer::NoBlob;
        }
        if let Some(before) = self.blob(register) {
            blobs.release(before);
        }
        self.values.insert(register, (value, blob));
        Answer::Holds(Some(value))
    }
}

impl Service for Registers {
    type Answer = Answer;
    type Reader = BTreeMap<u64, Held>;

    fn apply(&mut self, _: Position, command: &[u8], blobs: &mut References<'_>) -> Answer {
        match decode_value(command) {
            Err(_) => Answer::Malformed,
            Ok(Command::Read { register }) => Answer::Holds(self.value(register)),
            Ok(Command::Write { register, value }) => self.write(register, value, None, blobs),
            Ok(Command::Refer { register, value, blob }) => self.write(register, value, Some(blob), blobs),
            Ok(Command::Add { register, by }) => {
                self.write(register, self.value(register).unwrap_or(0).wrapping_add(by), None, blobs)
            }
            Ok(Command::CompareAndSet { register, expected, value }) => match self.value(register) {
                found if found == expected => self.write(register, value, None, blobs),
                found => Answer::Differs(found),
            },
        }
    }

    fn read(&self, query: &[u8]) -> Answer {
        match decode_value(query) {
            Ok(Command::Read { register }) => Answer::Holds(self.value(register)),
            _ => Answer::Malformed,
        }
    }

    fn freeze(&mut self) {
        self.values.freeze();
        self.piece = Piece::default();
    }

    fn next_piece(&mut self, limit: usize) -> Progress {
        let room = (limit.min(PIECE_BYTES_MAX) / REGISTER_BYTES).saturating_sub(ROOM_WITH_BLOB).max(1);
        let ((values, blobs), mut is_full) = (&mut self.piece, false);
        let is_last = self.values.visit(VISIT_STEPS, |register, (value, blob)| {
            is_full = values.len() + blobs.len() * (ROOM_WITH_BLOB - 1) >= room;
            if !is_full {
                values.push((*register, *value));
                blobs.extend(blob.map(|blob| (*register, blob)));
            }
            !is_full
        });
        if !is_full && !is_last {
            return Progress::Busy;
        }
        let mut bytes = vec![];
        let encoded = encode_value(&self.piece, PIECE_BYTES_MAX, &mut bytes);
        assert!(encoded.is_ok(), "so many registers fit");
        self.piece = Piece::default();
        Progress::Piece { bytes, is_last }
    }

    fn thaw(&mut self) {
        self.values.thaw();
        self.piece = Piece::default();
    }

    fn take_piece(
        reader: &mut BTreeMap<u64, Held>,
        piece: &[u8],
        refers: &mut impl FnMut(BlobAddress),
    ) -> Result<(), PieceError> {
        let length = piece.len();
        let malformed = PieceError::Malformed { length };
        if length > PIECE_BYTES_MAX {
            return Err(malformed);
        }
        let (registers, blobs): Piece = decode_value(piece).map_err(|_| malformed)?;
        let keys = || registers.iter().map(|(register, _)| *register);
        let last = reader.last_key_value().map(|(register, _)| *register);
        if !keys().is_sorted_by(|a, b| a < b) || keys().next().zip(last).is_some_and(|(first, last)| first <= last) {
            return Err(PieceError::OutOfOrder);
        }
        if reader.len() + registers.len() > REGISTERS_MAX {
            return Err(PieceError::TooMany { limit: REGISTERS_MAX });
        }
        let is_of_piece = |register: &u64| registers.binary_search_by_key(register, |(it, _)| *it).is_ok();
        let is_once = blobs.is_sorted_by(|(a, _), (b, _)| a < b);
        if !is_once || !blobs.iter().all(|(register, _)| is_of_piece(register)) {
            return Err(malformed);
        }
        reader.extend(registers.into_iter().map(|(register, value)| (register, (value, None))));
        for (register, blob) in blobs {
            refers(blob);
            reader.entry(register).and_modify(|held| held.1 = Some(blob));
        }
        Ok(())
    }

    fn finish(reader: BTreeMap<u64, Held>) -> Result<Self, PieceError> {
        Ok(Self { values: reader.into(), piece: Piece::default() })
    }
}
