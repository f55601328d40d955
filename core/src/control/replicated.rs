//! The state as what the group replicates: the two know nothing of each other but this.

use super::group::{CannotApply, Damaged, Replicated};
use super::state::{At, Change, Entry, Outcome, SnapshotReader, SnapshotWriter, State};
use crate::codec::BodyVersion;
use crate::machine::Sink;
use alloc::vec::Vec;

impl Replicated for State {
    type Outcome = Outcome;
    type Change = Change;
    type Writer = SnapshotWriter;
    type Reader = SnapshotReader;

    fn apply(
        &mut self,
        at: At,
        entry: &[u8],
        speaks: BodyVersion,
        out: &mut impl Sink<Change>,
    ) -> Result<Outcome, CannotApply> {
        Self::apply(self, at, entry, speaks, out).map_err(|_| CannotApply)
    }

    fn understands(entry: &[u8], speaks: BodyVersion) -> bool {
        Entry::is_understood(entry, speaks)
    }

    fn needs(&self) -> BodyVersion {
        self.activated()
    }

    fn writer(&self) -> SnapshotWriter {
        SnapshotWriter::new(self.clone())
    }

    fn next_piece(writer: &mut SnapshotWriter) -> Option<Vec<u8>> {
        writer.next_piece()
    }

    fn take_piece(reader: &mut SnapshotReader, piece: &[u8]) -> Result<Option<Self>, Damaged> {
        reader.take(piece).map_err(|_| Damaged)
    }
}
