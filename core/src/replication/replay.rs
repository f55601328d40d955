//! From the journal back to a replica.
//!
//! A journal that was trimmed begins anywhere in the story: with entries whose predecessors are gone, with pieces without
//! the first. What is read so far is a part of what the replica was at that moment, and what is missing was before the
//! cut: it comes again before the checkpoint's end. Records written again say nothing that is not so at that moment, so
//! that one that is not needed changes nothing.

use super::above::{Above, Reader};
use super::block::Block;
use super::log::Log;
use super::position::{LogSequence, Position};
use super::service::Service;
use super::state::Replica;
use super::wire::Record;
use crate::epoch::Epoch;
use alloc::sync::Arc;

/// What cannot be placed yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Replaying<S: Service> {
    /// A snapshot of its own, and of an owner.
    own: Option<Staged<S>>,
    received: Option<Staged<S>>,
    /// Entries behind some that are missing. The epoch of their base is not known.
    floating: Option<Log>,
    /// A snapshot was installed whose first pieces are missing.
    lacks_state: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Staged<S: Service> {
    origin: Option<Epoch>,
    at: Position,
    next: u32,
    reader: Reader<S>,
}

impl<S: Service> Default for Replaying<S> {
    fn default() -> Self {
        Self { own: None, received: None, floating: None, lacks_state: false }
    }
}

impl<S: Service> Replica<S> {
    /// Takes back a record of the journal, in the order in which they were written.
    ///
    /// # Panics
    /// When records do not fit one another: the journal has checked that they are what was written.
    pub fn replay(&mut self, record: Record) {
        let mut replaying = self.replaying.take().unwrap_or_default();
        match record {
            Record::Promised(epoch) => {
                self.promised = self.promised.max(epoch);
                self.durable_promise = self.promised;
            }
            Record::Entries(block) => self.replay_entries(&mut replaying, block),
            Record::Kept(block) => self.replay_kept(&mut replaying, &block),
            Record::Known(record) => {
                self.intended.take_if(|(_, version, _)| *version < record.version);
                self.record = Some(*record);
            }
            // For recoveries of the whole (rule Y2); a restarted process has proposed nothing.
            Record::Intended { epoch, version, change } => self.intended = Some((epoch, version, change)),
            Record::Snapshot { origin, at, number, is_last, bytes } => {
                let slot = if origin.is_some() { &mut replaying.received } else { &mut replaying.own };
                if number == 0 {
                    *slot = Some(Staged { origin, at, next: 0, reader: Reader::default() });
                }
                let whole = stage(slot, (origin, at, number), &bytes, is_last);
                match (is_last, origin) {
                    (true, None) => self.replay_own(&mut replaying, at, whole),
                    (true, Some(_)) => self.replay_received(&mut replaying, at, whole),
                    (false, _) => {}
                }
            }
        }
        self.durable = self.log.last().sequence;
        self.replaying = Some(replaying);
    }

    /// The first event: all has been read back.
    ///
    /// # Panics
    /// When something is missing: a checkpoint has ended without it.
    pub(super) fn end_replay(&mut self) {
        let Some(replaying) = self.replaying.take() else { return };
        assert!(replaying.floating.is_none(), "a checkpoint has ended without the entries that these follow");
        assert!(!replaying.lacks_state, "a checkpoint has ended without the state");
        // What entries bring that are not applied yet is wanted. Nothing is known of what the disk has of it (rule B3).
        let mut next = self.applied.max(self.log.base().sequence).next();
        while let Some(block) = self.log.block_of(next).cloned() {
            self.blobs.took_behind(&block, next);
            next = block.last().sequence.next();
        }
    }

    fn replay_entries(&mut self, replaying: &mut Replaying<S>, block: Arc<Block>) {
        let first = block.first();
        if first.sequence <= self.log.last().sequence.next() {
            replaying.floating = None;
            return self.log.put(block);
        }
        let unknown = Position { sequence: first.sequence.before(), ..first };
        match &mut replaying.floating {
            Some(floating) if floating.base().sequence < first.sequence => floating.put(block),
            floating => floating.insert(Log::behind(unknown)).put(block),
        }
    }

    /// Entries that were in the log: those that are missing.
    fn replay_kept(&mut self, replaying: &mut Replaying<S>, block: &Block) {
        let next = self.log.last().sequence.next();
        let end = replaying.floating.as_ref().map_or(LogSequence(u64::MAX), |floating| floating.base().sequence);
        let last = block.last().sequence.min(end);
        if block.first().sequence <= next && next <= last {
            self.log.put(Arc::new(block.up_to(last).from(next)));
            self.join(replaying);
        }
    }

    /// Entries that were missing are there.
    fn join(&mut self, replaying: &mut Replaying<S>) {
        let last = self.log.last().sequence;
        if let Some(floating) = replaying.floating.take_if(|floating| floating.base().sequence == last) {
            self.log.join(floating);
        }
    }

    /// The own snapshot is whole: the log stands on it, and holds what is known to follow.
    fn replay_own(&mut self, replaying: &mut Replaying<S>, at: Position, whole: Option<Above<S>>) {
        let Some(above) = whole.filter(|_| at.sequence >= self.applied) else { return };
        let covers = |log: &Log| log.base().sequence <= at.sequence && at.sequence <= log.last().sequence;
        if !covers(&self.log) {
            self.log = match replaying.floating.take_if(|floating| covers(floating)) {
                Some(floating) => floating,
                None => Log::behind(at),
            };
        }
        self.log.rebase(at);
        self.join(replaying);
        self.above = above;
        (self.mark, self.applied) = (self.mark.max(at.sequence), at.sequence);
        (self.durable_snapshot, replaying.lacks_state) = (at.sequence, false);
    }

    /// An owner's snapshot took the place of everything, whether or not all of it is still there.
    fn replay_received(&mut self, replaying: &mut Replaying<S>, at: Position, whole: Option<Above<S>>) {
        replaying.floating = None;
        replaying.lacks_state = whole.is_none();
        self.log = Log::behind(at);
        self.above = whole.unwrap_or_default();
        (self.mark, self.applied) = (at.sequence, at.sequence);
    }
}

/// Takes a piece, if it follows; the state, if it was the last one and none is missing.
fn stage<S: Service>(
    slot: &mut Option<Staged<S>>,
    (origin, at, number): (Option<Epoch>, Position, u32),
    bytes: &[u8],
    is_last: bool,
) -> Option<Above<S>> {
    let staged = slot.as_mut().filter(|it| (it.origin, it.at, it.next) == (origin, at, number));
    let Some(staged) = staged else {
        *slot = None;
        return None;
    };
    assert!(staged.reader.take_piece(bytes).is_ok(), "a piece in the journal is sound");
    staged.next += 1;
    let staged = slot.take_if(|_| is_last)?;
    let above = staged.reader.finish();
    assert!(above.is_ok(), "a snapshot in the journal is whole");
    above.ok()
}
