//! Registers and counters: the service of the tests and of the model.

use super::service::Service;
use crate::codec::{decode_value, encode_value};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Registers that there may be.
pub const REGISTERS_MAX: usize = 65_536;
/// Bytes of an encoded command or query.
const COMMAND_BYTES: usize = 64;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Registers {
    values: BTreeMap<u64, u64>,
}

impl Registers {
    /// What a register holds.
    pub fn value(&self, register: u64) -> Option<u64> {
        self.values.get(&register).copied()
    }

    fn write(&mut self, register: u64, value: u64) -> Answer {
        if self.values.len() >= REGISTERS_MAX && !self.values.contains_key(&register) {
            return Answer::Full;
        }
        self.values.insert(register, value);
        Answer::Holds(Some(value))
    }
}

impl Service for Registers {
    type Answer = Answer;

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
}
