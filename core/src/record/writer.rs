//! The end of a journal, where records are added.

use super::anchor::Anchor;
use super::frame::{Chain, Header, Kind, write_frame};
use super::{Genesis, Sequence};
use crate::codec::{self, BodyVersion, EncodeError};
use crate::identity::BootIncarnation;
use alloc::vec::Vec;

/// Frames records one after the other, chaining each to the one before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    end: Sequence,
    chain: Chain,
    boot: BootIncarnation,
    synced: Sequence,
}

impl Writer {
    /// Continues a journal whose last frame stands at `end` with checksum `chain`, of which everything up to `synced`
    /// is known synced.
    pub const fn new(end: Sequence, chain: Chain, boot: BootIncarnation, synced: Sequence) -> Self {
        Self { end, chain, boot, synced }
    }

    /// The position of the last record written.
    pub const fn end(&self) -> Sequence {
        self.end
    }

    /// The boot this writer stamps its records with.
    pub const fn boot(&self) -> BootIncarnation {
        self.boot
    }

    /// The last record known synced.
    pub const fn known_synced(&self) -> Sequence {
        self.synced
    }

    /// The checksum of the last record written, which the next one repeats.
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// Everything up to `upto` is durable: later frames say so.
    pub fn synced(&mut self, upto: Sequence) {
        assert!(upto <= self.end, "a record cannot be synced before it was written");
        self.synced = self.synced.max(upto);
    }

    /// Appends the frame of a genesis record to `out`.
    ///
    /// # Errors
    /// [`EncodeError`]; nothing was written.
    pub fn genesis(&mut self, genesis: &Genesis, out: &mut Vec<u8>) -> Result<Sequence, EncodeError> {
        self.frame(Kind::Genesis, BodyVersion(1), out, |body| codec::encode_value(genesis, 256, body))
    }

    /// Appends the frame of a boot record to `out`.
    ///
    /// # Errors
    /// [`EncodeError`]; nothing was written.
    pub fn boot_record(&mut self, out: &mut Vec<u8>) -> Result<Sequence, EncodeError> {
        self.frame(Kind::Boot, BodyVersion(1), out, |_| Ok(()))
    }

    /// Appends the frame of an application record to `out`; `body` appends the record's bytes.
    ///
    /// # Errors
    /// [`EncodeError`]; nothing was written.
    pub fn application(
        &mut self,
        version: BodyVersion,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<Sequence, EncodeError> {
        self.frame(Kind::Application, version, out, body)
    }

    /// Appends an anchor for `place` to `out`, which covers everything known synced. `chain` is the checksum that the
    /// record at `anchor.first` repeats. It is no record: the journal goes on as if it had not been written.
    ///
    /// # Errors
    /// [`EncodeError`]; nothing was written.
    ///
    /// # Panics
    /// When something that would be emptied is not known synced.
    pub fn anchor(&self, place: Sequence, anchor: &Anchor, chain: Chain, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        assert!(anchor.first.before() <= self.synced, "only what is durable can be trimmed");
        let header = Header {
            sequence: place,
            kind: Kind::Anchor,
            boot: self.boot,
            synced: self.synced,
            previous: chain,
            version: BodyVersion(1),
        };
        write_frame(&header, out, |body| codec::encode_value(anchor, 256, body)).map(|_| ())
    }

    fn frame(
        &mut self,
        kind: Kind,
        version: BodyVersion,
        out: &mut Vec<u8>,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<Sequence, EncodeError> {
        let sequence = self.end.next();
        let header = Header { sequence, kind, boot: self.boot, synced: self.synced, previous: self.chain, version };
        self.chain = write_frame(&header, out, body)?;
        self.end = sequence;
        Ok(sequence)
    }
}
