//! A snapshot in one piece, for a carrier that takes it as a whole.

use super::snapshot::{SnapshotError, SnapshotReader, SnapshotWriter};
use super::table::State;
use alloc::vec;
use alloc::vec::Vec;

/// All pieces in one, each behind its length: for a carrier that takes a snapshot as a whole.
pub fn snapshot_bytes(state: &State) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(state.clone());
    let mut bytes = vec![];
    while let Some(piece) = writer.next_piece() {
        bytes.extend_from_slice(&(piece.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// The state that [`snapshot_bytes`] made `bytes` of.
///
/// # Errors
/// [`SnapshotError`] when they are anything else.
pub fn state_of_snapshot(mut bytes: &[u8]) -> Result<State, SnapshotError> {
    let mut reader = SnapshotReader::default();
    loop {
        let length = SnapshotError::Length { length: bytes.len() };
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or(length)?;
        let (piece, rest) = rest.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or(length)?;
        bytes = rest;
        if let Some(state) = reader.take(piece)? {
            return if bytes.is_empty() { Ok(state) } else { Err(SnapshotError::Done) };
        }
    }
}
