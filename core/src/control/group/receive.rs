//! A snapshot taken from the leader, piece by piece: decoded and stored as it comes, and in effect only when it is
//! whole, sound, and taken by the crate.

use super::check::Fault;
use super::machine::Action;
use super::member::Member;
use super::members::VoterId;
use super::observation::GroupObservation;
use super::wire::{Blob, Body, Record, SnapshotMeta};
use super::{At, Replicated, convert};
use crate::machine::Sink;
use crate::time::Time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use raft::Ready;
use raft::eraftpb::{self, MessageType};

/// A snapshot that is coming in.
#[derive(Clone, Debug)]
pub(super) struct Incoming<S: Replicated> {
    meta: SnapshotMeta,
    reader: S::Reader,
    pieces: Vec<Blob>,
    /// Once it is whole.
    state: Option<S>,
    /// When something of it came last.
    heard: Time,
}

impl<S: Replicated> Incoming<S> {
    pub(super) const fn heard(&self) -> Time {
        self.heard
    }

    fn next(&self) -> u32 {
        self.pieces.len() as u32
    }
}

impl<S: Replicated> Member<S> {
    pub(super) fn take_piece(
        &mut self,
        (from, term): (VoterId, u64),
        meta: SnapshotMeta,
        number: u32,
        bytes: Blob,
        out: &mut impl Sink<Action<S>>,
    ) -> Result<(), Fault> {
        if term < self.raft.raft.term || self.disk.is_installing() {
            return Ok(());
        }
        let index = meta.index;
        if index <= self.raft.raft.raft_log.committed {
            // It needs none of it: what it has comes to light with the next append.
            self.send(from, self.raft.raft.term, Body::Wants { index, number: meta.pieces }, out);
            return Ok(());
        }
        if self.incoming.as_ref().is_none_or(|incoming| incoming.meta != meta) && number == 0 {
            let (reader, pieces) = (S::Reader::default(), Vec::new());
            let heard = self.clock.now;
            self.incoming = Some(Incoming { meta: meta.clone(), reader, pieces, state: None, heard });
        }
        let mut wanted = 0;
        if let Some(mut incoming) = self.incoming.take_if(|incoming| incoming.meta == meta) {
            if number == incoming.next() {
                incoming.heard = self.clock.now;
                self.take_next(&mut incoming, bytes, out)?;
            }
            wanted = incoming.next();
            self.incoming = Some(incoming);
        }
        self.send(from, self.raft.raft.term, Body::Wants { index, number: wanted }, out);
        self.offer(from, term);
        Ok(())
    }

    fn take_next(
        &mut self,
        incoming: &mut Incoming<S>,
        bytes: Blob,
        out: &mut impl Sink<Action<S>>,
    ) -> Result<(), Fault> {
        let number = incoming.next();
        let state = S::take_piece(&mut incoming.reader, &bytes.0).map_err(|_| Fault::Snapshot)?;
        if state.is_some() != (number + 1 == incoming.meta.pieces) {
            return Err(Fault::Snapshot);
        }
        incoming.state = state;
        let index = incoming.meta.index;
        self.write(Record::Piece { index, number, bytes: bytes.clone(), is_installed: true }, out);
        incoming.pieces.push(bytes);
        Ok(())
    }

    /// Lets the crate judge a snapshot that is whole.
    fn offer(&mut self, from: VoterId, term: u64) {
        let Some(incoming) = self.incoming.as_ref().filter(|incoming| incoming.state.is_some()) else { return };
        let snapshot = convert::snapshot(&incoming.meta);
        let mut message = eraftpb::Message { from: from.0, to: self.id.0, term, ..Default::default() };
        message.set_msg_type(MessageType::MsgSnapshot);
        message.set_snapshot(snapshot);
        self.step(message);
        if self.raft.snap().is_none() {
            self.incoming = None;
        }
    }

    /// Puts a snapshot that the crate has taken in place of everything. Its index.
    pub(super) fn install(&mut self, ready: &Ready, out: &mut impl Sink<Action<S>>) -> Option<u64> {
        let index = Some(ready.snapshot().get_metadata().index).filter(|index| *index > 0)?;
        let Some(Incoming { meta, pieces, state: Some(state), .. }) = self.incoming.take() else {
            panic!("the crate has taken a snapshot up to {index} that nobody offered");
        };
        assert!(meta.index == index, "the crate has taken another snapshot than the one offered");
        self.write(Record::Base { meta: meta.clone(), dropped: index, is_installed: true }, out);
        self.applied = At { index, term: meta.term };
        self.members = meta.members.clone();
        self.state = Some(state);
        self.build = None;
        self.pieces = Arc::new(pieces);
        let count = u64::from(meta.pieces);
        self.raft.mut_store().install(meta);
        out.push(Action::Restated);
        out.push(Action::Members);
        self.observe(GroupObservation::Installed { index, pieces: count }, out);
        self.halt_if_too_old(out);
        Some(index)
    }
}
