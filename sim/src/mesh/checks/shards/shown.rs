//! The entries of one shard's logs, as messages have shown them, and which of them are acknowledged.
//!
//! An entry is named by its place and its epoch. Of each it is known what it says, and under which epoch the one before it was
//! written: so from any entry the whole log before it can be read off.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use relaymesh_core::epoch::Epoch;
use relaymesh_core::replication::{LogSequence, Position};

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Stands for what it says.
    pub(super) hash: u64,
    /// The epoch of the entry before it.
    pub(super) before: Epoch,
}

/// An entry that is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// The epoch it was written under.
    pub(super) entry: Epoch,
    /// An epoch under which it counted as acknowledged: whoever owns the shard under a later one has it.
    pub(super) under: Epoch,
}

/// What the walk back through a log comes upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The entry there has this epoch.
    Epoch(Epoch),
    /// Nobody has shown what is there.
    Unknown,
    /// The log ends before.
    Nothing,
}

/// Two logs have different entries at that place, both of which are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    pub(super) at: u64,
    pub(super) was: Fixed,
    pub(super) is: Epoch,
}

/// All logs of one shard that were ever shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    entries: BTreeMap<(u64, Epoch), Entry>,
    /// Those that are acknowledged, from the first one on.
    fixed: Vec<Fixed>,
    /// Where each epoch begins.
    pub(super) starts: BTreeMap<Epoch, u64>,
    /// Where each command stands; nothing where it stands at several places.
    commands: BTreeMap<u64, Option<Position>>,
}

impl Shown {
    /// An entry is shown. What was known of it, where that is something else.
    pub(super) fn entry(&mut self, at: Position, entry: Entry) -> Result<bool, Entry> {
        let known = *self.entries.entry((at.sequence.0, at.epoch)).or_insert(entry);
        let is_new = known == entry;
        if is_new { Ok(is_new) } else { Err(known) }
    }

    /// Whether somebody has shown that entry before.
    pub(super) fn has(&self, at: Position) -> bool {
        self.entries.contains_key(&(at.sequence.0, at.epoch))
    }

    /// A command stands there.
    pub(super) fn command(&mut self, hash: u64, at: Position) {
        let place = self.commands.entry(hash).or_insert(Some(at));
        if *place != Some(at) {
            *place = None;
        }
    }

    /// Where a command stands, if that is one place.
    pub(super) fn place_of(&self, hash: u64) -> Option<Position> {
        self.commands.get(&hash).copied().flatten()
    }

    /// How far entries are acknowledged.
    pub(super) fn mark(&self) -> u64 {
        self.fixed.len() as u64
    }

    /// The acknowledged entry there.
    pub(super) fn fixed_at(&self, at: u64) -> Option<Fixed> {
        self.fixed.get(usize::try_from(at.checked_sub(1)?).ok()?).copied()
    }

    /// The last entry that was acknowledged under an epoch that `is_before`.
    pub(super) fn last_fixed(&self, is_before: impl Fn(Epoch) -> bool) -> Option<(u64, Fixed)> {
        let last = self.fixed.iter().rposition(|fixed| is_before(fixed.under))?;
        Some((last as u64 + 1, self.fixed[last]))
    }

    /// What is at a place of the log that has `tip`.
    pub(super) fn at(&self, tip: Position, place: u64) -> At {
        if tip.sequence.0 < place {
            return At::Nothing;
        }
        let mut epoch = tip.epoch;
        for sequence in (place + 1..=tip.sequence.0).rev() {
            let Some(entry) = self.entries.get(&(sequence, epoch)) else { return At::Unknown };
            epoch = entry.before;
        }
        At::Epoch(epoch)
    }

    /// The log that has `tip` is acknowledged up to `upto`, under that epoch. Those that are so now for the first time.
    pub(super) fn fix(&mut self, tip: Position, upto: LogSequence, under: Epoch) -> Result<u64, Contradiction> {
        let upto = upto.0;
        if upto > tip.sequence.0 || upto == 0 {
            return Ok(0);
        }
        let At::Epoch(mut epoch) = self.at(tip, upto) else { return Ok(0) };
        let mark = self.mark();
        let mut new = Vec::new();
        for sequence in (mark + 1..=upto).rev() {
            new.push(Fixed { entry: epoch, under });
            let Some(entry) = self.entries.get(&(sequence, epoch)) else { return Ok(0) };
            epoch = entry.before;
        }
        let (at, is) = (mark.min(upto), epoch);
        if let Some(was) = self.fixed_at(at).filter(|was| was.entry != is) {
            return Err(Contradiction { at, was, is });
        }
        let count = new.len() as u64;
        self.fixed.extend(new.into_iter().rev());
        Ok(count)
    }
}
