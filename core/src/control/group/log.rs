//! The log in memory, as the crate reads it.
//!
//! The crate reads synchronously, so all entries behind the last compaction are here; what is durable is known in
//! `ready`.

use super::convert::conf_state;
use super::members::{Members, VoterId};
use super::wire::SnapshotMeta;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

/// Bytes that an entry is counted for besides its content.
const ENTRY_OVERHEAD: usize = 24;

/// The log behind the last compaction.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The entry before the first one: index and term.
    dropped: (u64, u64),
    entries: VecDeque<Entry>,
    /// Bytes of the entries behind the snapshot.
    bytes: u64,
    /// What the member starts with; not kept up to date.
    hard: HardState,
    /// What the log stands on. `None` only while a new member has not got anything.
    base: Option<SnapshotMeta>,
}

pub(super) fn bytes_of(entry: &Entry) -> usize {
    ENTRY_OVERHEAD + entry.data.len() + entry.context.len()
}

impl Log {
    /// The index of the first entry that is one of those sought. O(n).
    pub(super) fn find(&self, is_sought: impl Fn(&Entry) -> bool) -> Option<u64> {
        self.entries.iter().find(|entry| is_sought(entry)).map(|entry| entry.index)
    }

    /// The log of a member that starts.
    pub(super) fn new(
        base: Option<SnapshotMeta>,
        dropped: (u64, u64),
        entries: VecDeque<Entry>,
        hard: HardState,
    ) -> Self {
        let mut made = Self { dropped, entries, bytes: 0, hard, base };
        made.weigh();
        made
    }

    /// Bytes of the entries that the snapshot does not hold.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn weigh(&mut self) {
        let base = self.base.as_ref().map_or(0, |base| base.index);
        let behind = self.entries.iter().rev().take_while(|entry| entry.index > base);
        self.bytes = behind.map(|entry| bytes_of(entry) as u64).sum();
    }

    /// The entry before the last so many before `index`, or before so many bytes of them.
    pub(super) fn behind(&self, index: u64, entries: u64, bytes: u64) -> u64 {
        let mut kept = 0;
        let mut at = index;
        while at > self.dropped.0 && index - at < entries {
            kept += self.get(at).map_or(0, |entry| bytes_of(entry) as u64);
            if kept > bytes {
                break;
            }
            at -= 1;
        }
        at
    }

    pub(super) fn base(&self) -> Option<&SnapshotMeta> {
        self.base.as_ref()
    }

    pub(super) fn first(&self) -> u64 {
        self.dropped.0 + 1
    }

    pub(super) fn last(&self) -> u64 {
        self.dropped.0 + self.entries.len() as u64
    }

    fn place(&self, index: u64) -> Option<usize> {
        index.checked_sub(self.first()).and_then(|place| usize::try_from(place).ok())
    }

    pub(super) fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(self.place(index)?)
    }

    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.dropped.0 {
            return Some(self.dropped.1);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// Takes entries in, in place of all from the first one on.
    pub(super) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        let place = self.place(first.index).filter(|place| *place <= self.entries.len());
        let Some(place) = place else {
            panic!("entry {} does not follow {}..={}", first.index, self.first(), self.last());
        };
        // A leader's entries take the place of others rarely, and of few.
        let replaced: u64 = self.entries.drain(place..).map(|entry| bytes_of(&entry) as u64).sum();
        self.bytes -= replaced;
        self.bytes += entries.iter().map(|entry| bytes_of(entry) as u64).sum::<u64>();
        self.entries.extend(entries);
    }

    /// A snapshot of the leader takes the place of everything.
    pub(super) fn install(&mut self, meta: SnapshotMeta) {
        self.entries.clear();
        self.dropped = (meta.index, meta.term);
        self.base = Some(meta);
        self.weigh();
    }

    /// The log stands on a snapshot of its own making from now on.
    pub(super) fn rebase(&mut self, meta: SnapshotMeta, dropped: u64) {
        if let Some(term) = self.term_of(dropped).filter(|_| dropped > self.dropped.0) {
            let gone = usize::try_from(dropped - self.dropped.0).unwrap_or(usize::MAX).min(self.entries.len());
            self.entries.drain(..gone);
            self.dropped = (dropped, term);
        }
        self.base = Some(meta);
        self.weigh();
    }
}

impl Storage for Log {
    fn initial_state(&self) -> Result<RaftState> {
        let members = self.base.as_ref().map(|base| conf_state(&base.members)).unwrap_or_default();
        Ok(RaftState { hard_state: self.hard.clone(), conf_state: members })
    }

    fn entries(&self, low: u64, high: u64, max: impl Into<Option<u64>>, _: GetEntriesContext) -> Result<Vec<Entry>> {
        if low < self.first() {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let max = max.into().unwrap_or(u64::MAX);
        let mut bytes = 0;
        let mut taken = Vec::new();
        for index in low..high {
            let Some(entry) = self.get(index) else { break };
            bytes += bytes_of(entry) as u64;
            if bytes > max && !taken.is_empty() {
                break;
            }
            taken.push(entry.clone());
        }
        Ok(taken)
    }

    fn term(&self, index: u64) -> Result<u64> {
        self.term_of(index).ok_or(Error::Store(match index < self.first() {
            true => StorageError::Compacted,
            false => StorageError::Unavailable,
        }))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    /// What the snapshot is; its pieces travel by themselves.
    fn snapshot(&self, request: u64, to: u64) -> Result<Snapshot> {
        match &self.base {
            // One that does not know of its receiver would be refused; a newer one is being made.
            Some(base) if base.index >= request && base.members.get(VoterId(to)).is_some() => {
                Ok(super::convert::snapshot(base))
            }
            _ => Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable)),
        }
    }
}

/// Members of a member that has nothing yet.
pub(super) fn nobody() -> Members {
    Members { next: 1, ..Members::default() }
}
