//! The rows in a snapshot, table by table, and back.
//!
//! A piece is the number of a table, and rows of it in the order of their keys, each behind its length.

use super::rows::{OF_TASK, StepState};
use super::tables::{Head, Tables};
use super::{CLASSES_MAX, StepKey, TASKS_MAX};
use crate::blob::BlobAddress;
use crate::codec::{decode_value, encode_value};
use crate::replication::frozen::FrozenMap;
use crate::replication::{PIECE_BYTES_MAX, PieceError, Progress};
use crate::task::payload::Payload;
use alloc::vec::Vec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Rows that one step of a snapshot looks at.
const VISIT_STEPS: usize = 2_048;
/// Bytes in front of a row.
const LENGTH_BYTES: usize = 4;

/// The tables, in the order in which a snapshot has them.
const HEAD: u8 = 0;
const TASKS: u8 = 1;
const STEPS: u8 = 2;
const CLASSES: u8 = 3;
const AGENTS: u8 = 4;
const WORKERS: u8 = 5;
const CHORES: u8 = 6;
const CONFLICTS: u8 = 7;
const LIMITS: u8 = 8;
const PERMITS: u8 = 9;
const GATES: u8 = 10;
const SLOTS: u8 = 11;
const OUTBOX: u8 = 12;
const TAKEN: u8 = 13;
const SCHEDULES: u8 = 14;

/// A snapshot that is being taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    head: Head,
    table: u8,
    /// The next piece, as far as it has come.
    piece: Vec<u8>,
}

impl Capture {
    pub(super) fn of(tables: &Tables) -> Self {
        Self { head: tables.head, table: HEAD, piece: Vec::new() }
    }

    /// The next piece, of at most `limit` bytes, or of one row.
    pub(super) fn next(&mut self, tables: &mut Tables, limit: usize) -> Progress {
        if self.table == HEAD {
            let mut bytes = Vec::from([HEAD]);
            put(&mut bytes, &self.head);
            self.table = TASKS;
            return Progress::Piece { bytes, is_last: false };
        }
        if self.piece.is_empty() {
            self.piece.push(self.table);
        }
        let piece = &mut self.piece;
        let (is_over, is_full) = match self.table {
            TASKS => fill(&mut tables.tasks, piece, limit),
            STEPS => fill(&mut tables.steps, piece, limit),
            CLASSES => fill(&mut tables.classes, piece, limit),
            AGENTS => fill(&mut tables.agents, piece, limit),
            WORKERS => fill(&mut tables.workers, piece, limit),
            CHORES => fill(&mut tables.chores, piece, limit),
            CONFLICTS => fill(&mut tables.conflicts, piece, limit),
            LIMITS => fill(&mut tables.limits, piece, limit),
            PERMITS => fill(&mut tables.permits, piece, limit),
            GATES => fill(&mut tables.gates, piece, limit),
            SLOTS => fill(&mut tables.slots, piece, limit),
            OUTBOX => fill(&mut tables.outbox, piece, limit),
            TAKEN => fill(&mut tables.taken, piece, limit),
            _ => fill(&mut tables.schedules, piece, limit),
        };
        let is_last = is_over && self.table == SCHEDULES;
        if is_over {
            self.table += 1;
        }
        // A table without rows is no piece, but for the last one.
        match is_last || is_full || (is_over && self.piece.len() > 1) {
            true => Progress::Piece { bytes: core::mem::take(&mut self.piece), is_last },
            false => {
                if is_over {
                    self.piece.clear();
                }
                Progress::Busy
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, row: &impl Serialize) {
    let from = bytes.len();
    bytes.extend([0; LENGTH_BYTES]);
    let encoded = encode_value(row, PIECE_BYTES_MAX, bytes);
    assert!(encoded.is_ok(), "a row is short enough for a piece");
    let length = (bytes.len() - from - LENGTH_BYTES) as u32;
    bytes[from..from + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// Whether all rows of the table were visited, and whether there is no room for the next one.
fn fill<K, V>(table: &mut FrozenMap<K, V>, piece: &mut Vec<u8>, limit: usize) -> (bool, bool)
where
    K: Ord + Clone + Serialize,
    V: Clone + Serialize,
{
    let mut is_full = false;
    let is_over = table.visit(VISIT_STEPS, |key, value| {
        let from = piece.len();
        put(piece, &(key, value));
        is_full = piece.len() > limit && from > 1;
        if is_full {
            piece.truncate(from);
        }
        !is_full
    });
    (is_over, is_full)
}

/// Rows that are being put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TasksReader {
    tables: Tables,
    table: u8,
    has_head: bool,
}

impl TasksReader {
    /// Takes the next piece.
    pub(super) fn take(&mut self, piece: &[u8], refers: &mut impl FnMut(BlobAddress)) -> Result<(), PieceError> {
        let malformed = PieceError::Malformed { length: piece.len() };
        let (table, rows) = piece.split_first().ok_or(malformed)?;
        if piece.len() > PIECE_BYTES_MAX || *table > SCHEDULES {
            return Err(malformed);
        }
        if *table < self.table || (*table == HEAD) == self.has_head {
            return Err(PieceError::OutOfOrder);
        }
        let tables = &mut self.tables;
        match *table {
            HEAD => match read::<Head>(rows).ok_or(malformed)?[..] {
                [head] => tables.head = head,
                _ => return Err(malformed),
            },
            TASKS => {
                let rows = read_after(rows, &tables.tasks).ok_or(malformed)?;
                if tables.tasks.live().len() + rows.len() > TASKS_MAX {
                    return Err(PieceError::TooMany { limit: TASKS_MAX });
                }
                for (number, row) in rows {
                    row.input.as_ref().and_then(Payload::blob).into_iter().for_each(&mut *refers);
                    tables.index_task(number, &row);
                    tables.tasks.insert(number, row);
                }
            }
            STEPS => {
                for (key, row) in read_after(rows, &tables.steps).ok_or(malformed)? {
                    if let StepState::Succeeded(Some(output)) = &row.state {
                        output.blob().into_iter().for_each(&mut *refers);
                    }
                    tables.index_step(key, &row.state, row.class, row.priority);
                    tables.steps.insert(key, row);
                }
            }
            CLASSES => {
                let rows = read_after(rows, &tables.classes).ok_or(malformed)?;
                if tables.classes.live().len() + rows.len() > CLASSES_MAX {
                    return Err(PieceError::TooMany { limit: CLASSES_MAX });
                }
                for (class, row) in rows {
                    tables.index_class(class, &row);
                    tables.classes.insert(class, row);
                }
            }
            AGENTS => extend(&mut tables.agents, rows).ok_or(malformed)?,
            WORKERS => extend(&mut tables.workers, rows).ok_or(malformed)?,
            CHORES => {
                for (key, chore) in read_after(rows, &tables.chores).ok_or(malformed)? {
                    tables.chores.insert(key, chore);
                    tables.index_chore(key);
                }
            }
            CONFLICTS => extend(&mut tables.conflicts, rows).ok_or(malformed)?,
            LIMITS => extend(&mut tables.limits, rows).ok_or(malformed)?,
            PERMITS => extend(&mut tables.permits, rows).ok_or(malformed)?,
            GATES => extend(&mut tables.gates, rows).ok_or(malformed)?,
            SLOTS => {
                for (key, row) in read_after(rows, &tables.slots).ok_or(malformed)? {
                    tables.index_slot(&key, row);
                    tables.slots.insert(key, row);
                }
            }
            OUTBOX => extend(&mut tables.outbox, rows).ok_or(malformed)?,
            TAKEN => extend(&mut tables.taken, rows).ok_or(malformed)?,
            _ => {
                for (name, row) in read_after(rows, &tables.schedules).ok_or(malformed)? {
                    tables.index_schedule(&name, &row);
                    tables.schedules.insert(name, row);
                }
            }
        }
        (self.table, self.has_head) = (*table, true);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Tables, PieceError> {
        match self.has_head {
            true => Ok(self.tables),
            false => Err(PieceError::Incomplete),
        }
    }
}

fn extend<K, V>(table: &mut FrozenMap<K, V>, rows: &[u8]) -> Option<()>
where
    K: Ord + Clone + DeserializeOwned,
    V: Clone + DeserializeOwned,
{
    read_after(rows, table)?.into_iter().for_each(|(key, value)| table.insert(key, value));
    Some(())
}

/// Rows, if their keys are in order, and behind those that the table has.
fn read_after<K, V>(bytes: &[u8], table: &FrozenMap<K, V>) -> Option<Vec<(K, V)>>
where
    K: Ord + Clone + DeserializeOwned,
    V: Clone + DeserializeOwned,
{
    let rows: Vec<(K, V)> = read(bytes)?;
    let last = table.live().last_key_value().map(|(key, _)| key);
    let follows = last.is_none_or(|last| rows.first().is_none_or(|(key, _)| key > last));
    (follows && rows.is_sorted_by(|(one, _), (other, _)| one < other)).then_some(rows)
}

fn read<R: DeserializeOwned>(mut bytes: &[u8]) -> Option<Vec<R>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
        let (row, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rows.push(decode_value(row).ok()?);
        bytes = rest;
    }
    Some(rows)
}

impl Tables {
    /// What follows from a chore's row: a task that is on its way out ends in no other way.
    fn index_chore(&mut self, key: StepKey) {
        if key.row == OF_TASK
            && let Some(row) = self.tasks.get(&key.task).cloned()
        {
            self.stays(key.task, &row);
        }
    }
}
