//! What the commands mean: as little as possible, and registers.

use super::COMMAND_BYTES;
use relaymesh_core::replication::Service;
use relaymesh_core::replication::registers::{Answer, Command, Registers};

/// Registers that are written to, each in turn.
const REGISTERS: u64 = 1_024;

/// A service that knows commands to be measured with.
pub(crate) trait Load: Service {
    /// Command number so-and-so.
    fn command(number: u64) -> [u8; COMMAND_BYTES];

    /// As many as are used in turn.
    fn commands() -> Vec<[u8; COMMAND_BYTES]> {
        (0..REGISTERS).map(Self::command).collect()
    }
}

/// Adds up the first eight bytes of every command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sum(u64);

impl Service for Sum {
    type Answer = u64;

    fn apply(&mut self, command: &[u8]) -> u64 {
        let number = command.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.0 = self.0.wrapping_add(number);
        self.0
    }

    fn read(&self, _: &[u8]) -> u64 {
        self.0
    }
}

impl Load for Sum {
    fn command(number: u64) -> [u8; COMMAND_BYTES] {
        let mut bytes = [7; COMMAND_BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes
    }
}

/// The registers, behind commands that are filled up: a length, so many bytes that count, and the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PaddedRegisters(Registers);

impl Service for PaddedRegisters {
    type Answer = Answer;

    fn apply(&mut self, command: &[u8]) -> Answer {
        let Some((length, rest)) = command.split_first() else { return Answer::Malformed };
        rest.get(..usize::from(*length)).map_or(Answer::Malformed, |command| self.0.apply(command))
    }

    fn read(&self, query: &[u8]) -> Answer {
        self.0.read(query)
    }
}

impl Load for PaddedRegisters {
    fn command(number: u64) -> [u8; COMMAND_BYTES] {
        let command = Command::Add { register: number % REGISTERS, by: number }.to_bytes();
        let mut bytes = [7; COMMAND_BYTES];
        bytes[0] = command.len() as u8;
        bytes[1..=command.len()].copy_from_slice(&command);
        bytes
    }
}
