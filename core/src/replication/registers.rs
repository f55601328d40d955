//! Registers and counters: the service of the tests and of the model.

use super::frozen::FrozenMap;
use super::service::{PIECE_BYTES_MAX, PieceError, Progress, Service};
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
}

/// Registers by number.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    values: FrozenMap<u64, u64>,
    /// The next piece of the snapshot being taken, as far as it has come.
    piece: Vec<(u64, u64)>,
}

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
        self.values.get(&register).copied()
    }

    fn write(&mut self, register: u64, value: u64) -> Answer {
        if self.values.live().len() >= REGISTERS_MAX && self.value(register).is_none() {
            return Answer::Full;
        }
        self.values.insert(register, value);
        Answer::Holds(Some(value))
    }
}

impl Service for Registers {
    type Answer = Answer;
    type Reader = BTreeMap<u64, u64>;

    fn apply(&mut self, command: &[u8]) -> Answer {
        match decode_value(command) {
            Err(_) => Answer::Malformed,
            Ok(Command::Read { register }) => Answer::Holds(self.value(register)),
            Ok(Command::Write { register, value }) => self.write(register, value),
            Ok(Command::Add { register, by }) => {
                self.write(register, self.value(register).unwrap_or(0).wrapping_add(by))
            }
            Ok(Command::CompareAndSet { register, expected, value }) => match self.value(register) {
                found if found == expected => self.write(register, value),
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
        self.piece.clear();
    }

    fn next_piece(&mut self, limit: usize) -> Progress {
        let room = (limit.min(PIECE_BYTES_MAX) / REGISTER_BYTES).saturating_sub(1).max(1);
        let (piece, mut is_full) = (&mut self.piece, false);
        let is_last = self.values.visit(VISIT_STEPS, |register, value| {
            is_full = piece.len() >= room;
            if !is_full {
                piece.push((*register, *value));
            }
            !is_full
        });
        if !is_full && !is_last {
            return Progress::Busy;
        }
        let mut bytes = vec![];
        let encoded = encode_value(piece, PIECE_BYTES_MAX, &mut bytes);
        assert!(encoded.is_ok(), "so many registers fit");
        piece.clear();
        Progress::Piece { bytes, is_last }
    }

    fn thaw(&mut self) {
        self.values.thaw();
        self.piece.clear();
    }

    fn take_piece(reader: &mut BTreeMap<u64, u64>, piece: &[u8]) -> Result<(), PieceError> {
        let length = piece.len();
        let malformed = PieceError::Malformed { length };
        if length > PIECE_BYTES_MAX {
            return Err(malformed);
        }
        let registers: Vec<(u64, u64)> = decode_value(piece).map_err(|_| malformed)?;
        let keys = || registers.iter().map(|(register, _)| *register);
        let last = reader.last_key_value().map(|(register, _)| *register);
        if !keys().is_sorted_by(|a, b| a < b) || keys().next().zip(last).is_some_and(|(first, last)| first <= last) {
            return Err(PieceError::OutOfOrder);
        }
        if reader.len() + registers.len() > REGISTERS_MAX {
            return Err(PieceError::TooMany { limit: REGISTERS_MAX });
        }
        reader.extend(registers);
        Ok(())
    }

    fn finish(reader: BTreeMap<u64, u64>) -> Result<Self, PieceError> {
        Ok(Self { values: reader.into(), piece: vec![] })
    }
}
