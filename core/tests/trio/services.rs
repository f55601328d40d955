//! What the commands mean: as little as possible, and registers.

use super::COMMAND_BYTES;
use relaymesh_core::blob::BlobAddress;
use relaymesh_core::replication::blobs::References;
use relaymesh_core::replication::registers::{Answer, Command, Registers};
use relaymesh_core::replication::{PieceError, Position, Progress, Service};

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
    type Reader = Option<u64>;

    fn apply(&mut self, _: Position, command: &[u8], _: &mut References<'_>) -> u64 {
        let number = command.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.0 = self.0.wrapping_add(number);
        self.0
    }

    fn read(&self, _: &[u8]) -> u64 {
        self.0
    }

    // Nobody here takes a snapshot while commands go on; the number as it is then would do otherwise.
    fn freeze(&mut self) {}

    fn next_piece(&mut self, _: usize) -> Progress {
        Progress::Piece { bytes: self.0.to_le_bytes().into(), is_last: true }
    }

    fn thaw(&mut self) {}

    fn take_piece(reader: &mut Option<u64>, piece: &[u8], _: &mut impl FnMut(BlobAddress)) -> Result<(), PieceError> {
        let bytes = piece.try_into().map_err(|_| PieceError::Malformed { length: piece.len() })?;
        *reader = Some(u64::from_le_bytes(bytes));
        Ok(())
    }

    fn finish(reader: Option<u64>) -> Result<Self, PieceError> {
        reader.map(Self).ok_or(PieceError::Incomplete)
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
    type Reader = <Registers as Service>::Reader;

    fn apply(&mut self, at: Position, command: &[u8], blobs: &mut References<'_>) -> Answer {
        let Some((length, rest)) = command.split_first() else { return Answer::Malformed };
        rest.get(..usize::from(*length)).map_or(Answer::Malformed, |command| self.0.apply(at, command, blobs))
    }

    fn read(&self, query: &[u8]) -> Answer {
        self.0.read(query)
    }

    fn freeze(&mut self) {
        self.0.freeze();
    }

    fn next_piece(&mut self, limit: usize) -> Progress {
        self.0.next_piece(limit)
    }

    fn thaw(&mut self) {
        self.0.thaw();
    }

    fn take_piece(
        reader: &mut Self::Reader,
        piece: &[u8],
        refers: &mut impl FnMut(BlobAddress),
    ) -> Result<(), PieceError> {
        Registers::take_piece(reader, piece, refers)
    }

    fn finish(reader: Self::Reader) -> Result<Self, PieceError> {
        Registers::finish(reader).map(Self)
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
