//! How nodes outside the group keep a copy: deltas that fit exactly where the copy ends, and how fresh it is.
//!
//! Who sends what to whom does not belong here.

use super::apply::{At, CannotApply};
use super::limits::{DELTA_ENTRIES, ENTRY_BYTES};
use super::table::{Chain, State};
use super::{Change, Conflict, Lineage};
use crate::codec::BodyVersion;
use crate::machine::Sink;
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An entry as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoggedEntry {
    /// The Raft term in which it was appended.
    pub term: u64,
    /// Its bytes; none for what the group keeps to itself.
    pub bytes: Box<[u8]>,
}

/// Entries behind a state, from a node that has applied them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delta {
    /// The history they belong to.
    pub lineage: Lineage,
    /// The last index of the state they fit on.
    pub applied: u64,
    /// The entries, in order.
    pub entries: Vec<LoggedEntry>,
    /// The hash over all entries up to and with the last of these.
    pub chain: Chain,
}

/// Why a delta was not taken. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaRefused {
    /// It begins behind the copy's end: something is missing. Ask again, or for a snapshot.
    #[error("entries after {found}, this copy ends at {applied}")]
    Gap {
        /// Where it begins.
        found: u64,
        /// Where the copy ends.
        applied: u64,
    },
    /// It ends before the copy does: it is late.
    #[error("entries that this copy has")]
    Known,
    /// The copy took another turn somewhere, or an entry was changed on the way. Ask for a snapshot.
    #[error("entries of another log")]
    OtherLog,
    /// It is of another recovery of the same epoch.
    #[error(transparent)]
    OtherHistory(#[from] Conflict),
    /// It is larger than allowed.
    #[error("a delta of {entries} entries, one of them of {bytes} bytes")]
    TooLarge {
        /// Entries in it.
        entries: usize,
        /// Bytes of the longest.
        bytes: usize,
    },
    /// This node must stop following. What came before the entry was applied.
    #[error(transparent)]
    CannotApply(#[from] CannotApply),
}

impl State {
    /// Applies the entries of a delta that fits exactly: with them the copy has the hash over all entries that their
    /// sender has (rule F2). `speaks` as in [`State::apply`].
    ///
    /// # Errors
    /// [`DeltaRefused`]; the state is unchanged, but for [`DeltaRefused::CannotApply`].
    pub fn follow(
        &mut self,
        delta: &Delta,
        speaks: BodyVersion,
        out: &mut impl Sink<Change>,
    ) -> Result<(), DeltaRefused> {
        let longest = delta.entries.iter().map(|entry| entry.bytes.len()).max().unwrap_or(0);
        if delta.entries.len() > DELTA_ENTRIES || longest > ENTRY_BYTES {
            return Err(DeltaRefused::TooLarge { entries: delta.entries.len(), bytes: longest });
        }
        self.lineage.meets(delta.lineage)?;
        let (found, applied) = (delta.applied, self.applied);
        if found > applied {
            return Err(DeltaRefused::Gap { found, applied });
        }
        if found < applied {
            return Err(DeltaRefused::Known);
        }
        let numbered = (applied + 1..).zip(&delta.entries);
        let chain = numbered.fold(self.chain, |chain, (index, entry)| chain.extend(index, entry.term, &entry.bytes));
        if delta.chain != chain {
            return Err(DeltaRefused::OtherLog);
        }
        for entry in &delta.entries {
            let at = At { index: self.applied + 1, term: entry.term };
            self.apply(at, &entry.bytes, speaks, out)?;
        }
        Ok(())
    }
}

/// Requests whose answers are awaited, at most.
const AWAITED_MAX: usize = 32;

/// How old a copy may be: counted from sending the request that it has caught up with (rule F3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Freshness {
    next: u64,
    /// When each request left.
    sent: BTreeMap<u64, Time>,
    /// What was answered: the index that a confirmed leader had committed, and when the request left.
    answered: BTreeMap<u64, Time>,
    as_of: Option<Time>,
}

impl Freshness {
    /// A request leaves now: its number, for the answer to name.
    pub fn ask(&mut self, now: Time) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.sent.len() >= AWAITED_MAX {
            self.sent.pop_first();
        }
        self.sent.insert(number, now);
        number
    }

    /// A leader, confirmed after the request arrived, had committed up to `committed`; the copy is at `applied`.
    pub fn answer(&mut self, number: u64, committed: u64, applied: u64) {
        let Some(sent) = self.sent.remove(&number) else { return };
        if self.answered.len() >= AWAITED_MAX {
            self.answered.pop_last();
        }
        let at = self.answered.entry(committed).or_insert(sent);
        *at = sent.max(*at);
        self.applied(applied);
    }

    /// The copy is at `applied`.
    pub fn applied(&mut self, applied: u64) {
        while let Some((committed, sent)) = self.answered.first_key_value().map(|(index, sent)| (*index, *sent))
            && committed <= applied
        {
            self.answered.pop_first();
            self.as_of = self.as_of.max(Some(sent));
        }
    }

    /// How stale the copy is at most; nothing when that is not known.
    pub fn staleness(&self, now: Time) -> Option<Duration> {
        self.as_of.map(|as_of| now.since(as_of))
    }
}
