//! What the log of a shard in a production node is about: tasks, and registers and counters beside them.
//!
//! A command or query that begins with [`TASKS`] is for the tasks; what is behind that byte is theirs. Everything else is for
//! the registers, none of whose commands begins so. An answer is that of whoever was asked: who asks knows whom.

use crate::blob::BlobAddress;
use crate::bytes::Blob;
use crate::codec::{EncodeError, encode_value};
use crate::replication::blobs::References;
use crate::replication::registers::{self, Registers};
use crate::replication::{PieceError, Position, Progress, Service};
use crate::task::answer::{self, Query};
use crate::task::command::{Command, Entry};
use crate::task::tasks::{Tasks, TasksReader};
use crate::time::WallTime;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use serde::{Serialize, Serializer};

/// The first byte of what is for the tasks.
pub const TASKS: u8 = 0xE0;

/// Bytes of an encoded query for the tasks, at most.
const QUERY_BYTES: usize = 128;

/// The last byte of a piece says whose it is.
const OF_REGISTERS: u8 = 0;
const OF_TASKS: u8 = 1;

/// The state of a shard.
#[derive(Clone, Debug, Default)]
pub struct ShardState {
    registers: Registers,
    tasks: Tasks,
    /// All pieces of the registers are made.
    are_registers_done: bool,
}

/// What a command or query comes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What the registers say.
    Registers(registers::Answer),
    /// What the tasks say.
    Tasks(answer::Answer),
}

/// The bytes are those of the answer itself.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Registers(answer) => answer.serialize(serializer),
            Self::Tasks(answer) => answer.serialize(serializer),
        }
    }
}

/// A state that is being put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader {
    registers: <Registers as Service>::Reader,
    tasks: TasksReader,
    are_registers_done: bool,
}

impl PartialEq for ShardState {
    fn eq(&self, other: &Self) -> bool {
        (&self.registers, &self.tasks) == (&other.registers, &other.tasks)
    }
}

impl Eq for ShardState {}

impl Hash for ShardState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.registers.hash(state);
        self.tasks.hash(state);
    }
}

impl ShardState {
    /// The tasks of the shard.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The registers of the shard.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }
}

impl Service for ShardState {
    type Answer = Answer;
    type Reader = Reader;

    fn stamp(command: &mut [u8], wall: WallTime) {
        if let Some((&mut TASKS, command)) = command.split_first_mut() {
            Tasks::stamp(command, wall);
        }
    }

    fn apply(&mut self, at: Position, command: &[u8], blobs: &mut References<'_>) -> Answer {
        match command.split_first() {
            Some((&TASKS, command)) => Answer::Tasks(self.tasks.apply(at, command, blobs)),
            _ => Answer::Registers(self.registers.apply(at, command, blobs)),
        }
    }

    fn read(&self, query: &[u8]) -> Answer {
        match query.split_first() {
            Some((&TASKS, query)) => Answer::Tasks(self.tasks.read(query)),
            _ => Answer::Registers(self.registers.read(query)),
        }
    }

    fn backlog(&self) -> u64 {
        self.tasks.backlog()
    }

    fn freeze(&mut self) {
        self.are_registers_done = false;
        self.registers.freeze();
        self.tasks.freeze();
    }

    fn next_piece(&mut self, limit: usize) -> Progress {
        let (limit, is_of) = (limit.saturating_sub(1), |done| if done { OF_TASKS } else { OF_REGISTERS });
        let was_done = self.are_registers_done;
        let progress = match was_done {
            false => self.registers.next_piece(limit),
            true => self.tasks.next_piece(limit),
        };
        match progress {
            Progress::Piece { mut bytes, is_last } => {
                bytes.push(is_of(was_done));
                self.are_registers_done |= is_last;
                Progress::Piece { bytes, is_last: was_done && is_last }
            }
            Progress::Busy => Progress::Busy,
        }
    }

    fn thaw(&mut self) {
        self.registers.thaw();
        self.tasks.thaw();
    }

    fn take_piece(reader: &mut Reader, piece: &[u8], refers: &mut impl FnMut(BlobAddress)) -> Result<(), PieceError> {
        match piece.split_last() {
            Some((&OF_REGISTERS, _)) if reader.are_registers_done => Err(PieceError::OutOfOrder),
            Some((&OF_REGISTERS, bytes)) => Registers::take_piece(&mut reader.registers, bytes, refers),
            Some((&OF_TASKS, bytes)) => {
                Tasks::take_piece(&mut reader.tasks, bytes, refers)?;
                reader.are_registers_done = true;
                Ok(())
            }
            _ => Err(PieceError::Malformed { length: piece.len() }),
        }
    }

    fn finish(reader: Reader) -> Result<Self, PieceError> {
        let (registers, tasks) = (Registers::finish(reader.registers)?, Tasks::finish(reader.tasks)?);
        Ok(Self { registers, tasks, are_registers_done: false })
    }
}

/// A command for the tasks, as it is submitted.
///
/// # Errors
/// [`EncodeError::TooLarge`] when the log has no room for it.
pub fn task_command(command: &Command) -> Result<Blob, EncodeError> {
    Entry::unstamped(command).map(|bytes| for_tasks(&bytes))
}

/// Whether that is a command for the tasks that only nodes submit.
pub fn is_of_nodes(command: &[u8]) -> bool {
    matches!(command.split_first(), Some((&TASKS, command)) if Entry::is_of_nodes(command))
}

/// A query for the tasks, as it is asked.
pub fn task_query(query: &Query) -> Blob {
    let mut bytes = Vec::new();
    let encoded = encode_value(query, QUERY_BYTES, &mut bytes);
    assert!(encoded.is_ok(), "a query is short");
    for_tasks(&bytes)
}

fn for_tasks(bytes: &[u8]) -> Blob {
    Blob([&[TASKS], bytes].concat().into())
}
