//! TRIM-1: where a journal starts, read from what stands on the platter.
//!
//! Anchors are judged by the format's description and not by the code under test.

use super::engine::is_frame_of;
use crate::disk::{Bytes, Disk};
use alloc::format;
use alloc::string::String;
use relaymesh_core::record::{Sequence, read_frame};

/// The byte that tells an anchor from records.
const ANCHOR_KIND: u8 = 4;
/// Where its body begins, and in it what follows cluster and node.
const BODY_AT: usize = 52;
const STORE_AT: usize = BODY_AT + 32;

/// An anchor.
pub(super) struct Anchor {
    /// The journal starts here.
    pub(super) first: u64,
    /// Everything up to here was durable.
    covers: u64,
    /// What the first record repeats.
    previous: [u8; 16],
}

impl Anchor {
    /// The anchor in a slot, if there is one.
    pub(super) fn read(at: Sequence, bytes: &Bytes) -> Option<Self> {
        if at.0 > 1 || !is_frame_of(at, bytes) || bytes[4] != ANCHOR_KIND {
            return None;
        }
        let covers = u64::from_le_bytes(bytes[24..32].try_into().ok()?);
        let previous = bytes[32..48].try_into().ok()?;
        let (_, rest) = number(bytes.get(STORE_AT..)?)?;
        Some(Self { first: number(rest)?.0, covers, previous })
    }

    /// What is wrong with it, where these records were written, from the first one ever, and the disk is like that.
    pub(super) fn problem(&self, ledger: &[Bytes], disk: &Disk) -> Option<String> {
        let Self { first, covers, previous } = self;
        let started = start_of(disk.durable_slots());
        let checksum = |sequence: u64| {
            let record = ledger.get(sequence.checked_sub(1)? as usize)?;
            record.last_chunk().copied()
        };
        if *first < started {
            return Some(format!("says that the journal starts at {first}, where it started at {started} before"));
        }
        if checksum(first - 1) != Some(*previous) {
            return Some(format!("does not carry the checksum of record {}", first - 1));
        }
        let is_durable =
            |at: &u64| ledger.get((*at - 1) as usize).is_some_and(|known| disk.holds(Sequence(*at), known));
        let lacking = (started..=*covers).find(|at| !is_durable(at));
        lacking.map(|at| format!("covers record {at}, which is not durable"))
    }
}

/// A number as our bodies have it, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let width = match tag {
        251 => 2,
        252 => 4,
        253 => 8,
        small => return Some((u64::from(*small), rest)),
    };
    let (digits, rest) = rest.split_at_checked(width)?;
    Some((digits.iter().rev().fold(0, |value, digit| value << 8 | u64::from(*digit)), rest))
}

/// Where a journal starts that stands in these slots.
pub(super) fn start_of<'a>(slots: impl Iterator<Item = (Sequence, &'a Bytes)>) -> u64 {
    let places = slots.take_while(|(at, _)| at.0 <= 1);
    places.filter_map(|(at, bytes)| Anchor::read(at, bytes)).map(|anchor| anchor.first).max().unwrap_or(1)
}

/// Whether something that a mark vouches for cannot be read any more.
///
/// What stands below the start is nobody's. Where the newest anchor is rotten, the start is an older one, from which on
/// everything has to be there again.
pub(super) fn lacks_what_is_marked(disk: &Disk) -> bool {
    if disk.rotten_slots().next().is_none() {
        return false;
    }
    let start = start_of(disk.cached_slots());
    let is_part = |at: Sequence| at.0 >= start || at.0 <= 1;
    let marks = disk.cached_slots().filter(|(at, _)| is_part(*at)).filter_map(|(_, bytes)| read_frame(bytes).ok());
    let highest = marks.map(|frame| frame.synced.0).max().unwrap_or_default();
    let is_marked = |at: Sequence| (start..=highest).contains(&at.0);
    let present = disk.cached_slots().filter(|(at, _)| is_marked(*at)).count() as u64;
    present < (highest + 1).saturating_sub(start) || disk.rotten_slots().any(is_marked)
}
