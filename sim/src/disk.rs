//! One host's disk: slots, a cache in front of them, and everything that can go wrong between the two.
//!
//! What is written stands in the cache at once and on the platter after a sync. A power loss keeps any subset of what
//! was not synced, each write whole or torn by sectors; a killed process loses nothing, but what it had not synced is
//! still only cached. A failed sync leaves some of its writes on the platter and forgets the rest, though the cache
//! goes on showing them: this is what real page caches do, and why a sync is never tried again.
//!
//! Sectors are smaller here (64 bytes) than on real disks, so that a single record can tear.

use crate::streams::{Stream, Streams};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::machine::Chooser;
use relaymesh_core::node::StoreFailure;
use relaymesh_core::record::Sequence;
use relaymesh_core::time::Duration;

const SECTOR_BYTES: usize = 64;

/// The content of a slot.
pub type Bytes = Rc<[u8]>;

/// How the disk behaves now. Faults change it for a while.
#[derive(Clone, Debug)]
pub struct DiskCondition {
    /// Shortest and longest time a sync takes.
    pub sync: (Duration, Duration),
    /// Shortest and longest time a read takes.
    pub read: (Duration, Duration),
    /// Every time is multiplied by this.
    pub slowdown: u64,
    /// Millionths of the writes torn by a power loss, of those that survive it.
    pub torn: u64,
    /// Millionths of the writes that fail.
    pub write_fails: u64,
    /// Millionths of the syncs that fail.
    pub sync_fails: u64,
    /// Millionths of the reads that return changed bytes.
    pub read_corrupts: u64,
    /// Whether no room is left.
    pub full: bool,
}

/// How often each thing went wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFaults {
    /// Unsynced writes lost by a power loss.
    pub lost_unsynced: u64,
    /// Unsynced writes torn by a power loss.
    pub torn: u64,
    /// Writes that failed.
    pub failed_writes: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Writes refused for lack of room.
    pub full: u64,
    /// Reads that returned changed bytes.
    pub corrupt_reads: u64,
    /// Slots whose durable bytes were changed.
    pub bit_rot: u64,
}

#[derive(Clone, Debug)]
enum Operation {
    Store(Sequence, Bytes),
    Erase(Sequence),
}

/// A disk.
#[derive(Debug)]
pub struct Disk {
    platter: BTreeMap<u64, Bytes>,
    cache: BTreeMap<u64, Bytes>,
    unsynced: VecDeque<(WriteNumber, Operation)>,
    /// How many of `unsynced` the sync under way covers.
    syncing: usize,
    /// The last write of this process that is on the platter together with all before it.
    durable: WriteNumber,
    /// Whether a write of this process missed the platter for good.
    missed: bool,
    faults: DiskFaults,
    latency: Stream,
    survival: Stream,
    failure: Stream,
    corruption: Stream,
}

impl Disk {
    /// An empty disk, with its own streams.
    pub fn new(streams: &mut Streams, host: u32) -> Self {
        Self {
            platter: BTreeMap::new(),
            cache: BTreeMap::new(),
            unsynced: VecDeque::new(),
            syncing: 0,
            durable: WriteNumber(0),
            missed: false,
            faults: DiskFaults::default(),
            latency: streams.open(format!("disk {host} latency")),
            survival: streams.open(format!("disk {host} survival of unsynced writes")),
            failure: streams.open(format!("disk {host} failure")),
            corruption: streams.open(format!("disk {host} corruption")),
        }
    }

    /// Writes a slot, into the cache.
    ///
    /// # Errors
    /// [`StoreFailure`] when the disk is full or the write fails; the slot is as it was.
    pub fn store(
        &mut self,
        condition: &DiskCondition,
        write: WriteNumber,
        at: Sequence,
        bytes: Bytes,
    ) -> Result<(), StoreFailure> {
        self.admit(condition)?;
        self.cache.insert(at.0, bytes.clone());
        self.unsynced.push_back((write, Operation::Store(at, bytes)));
        Ok(())
    }

    /// Empties every slot from `from` on, in the cache.
    ///
    /// # Errors
    /// [`StoreFailure`] when the write fails; the slots are as they were.
    pub fn erase(&mut self, condition: &DiskCondition, write: WriteNumber, from: Sequence) -> Result<(), StoreFailure> {
        self.admit(condition)?;
        self.cache.split_off(&from.0);
        self.unsynced.push_back((write, Operation::Erase(from)));
        Ok(())
    }

    fn admit(&mut self, condition: &DiskCondition) -> Result<(), StoreFailure> {
        if condition.full {
            self.faults.full += 1;
            self.missed = true;
            return Err(StoreFailure::Full);
        }
        if condition.write_fails > 0 && self.failure.decide().happens(condition.write_fails) {
            self.faults.failed_writes += 1;
            self.missed = true;
            return Err(StoreFailure::Write);
        }
        Ok(())
    }

    /// Begins a sync of everything written so far, unless one is under way or nothing is to be synced. Returns how
    /// long it takes.
    pub fn begin_sync(&mut self, condition: &DiskCondition) -> Option<Duration> {
        if self.syncing > 0 || self.unsynced.is_empty() {
            return None;
        }
        self.syncing = self.unsynced.len();
        let (from, to) = condition.sync;
        Some(self.latency.decide().span(from, to).saturating_mul(condition.slowdown))
    }

    /// Ends the sync under way.
    ///
    /// # Errors
    /// [`StoreFailure::Sync`]: any of the writes it covered may have reached the platter, and the rest never will.
    pub fn end_sync(&mut self, condition: &DiskCondition) -> Result<(), StoreFailure> {
        let covered = core::mem::take(&mut self.syncing);
        let fails = condition.sync_fails > 0 && self.failure.decide().happens(condition.sync_fails);
        for _ in 0..covered {
            let Some((write, operation)) = self.unsynced.pop_front() else { break };
            if fails && self.survival.decide().happens(crate::streams::MILLION / 2) {
                self.missed = true;
                continue;
            }
            apply(&mut self.platter, operation);
            if !self.missed {
                self.durable = write;
            }
        }
        if fails {
            self.faults.failed_syncs += 1;
            return Err(StoreFailure::Sync);
        }
        Ok(())
    }

    /// The host loses power: the cache is gone, and of what was not synced any subset survives, whole or torn.
    pub fn lose_power(&mut self, condition: &DiskCondition) {
        self.syncing = 0;
        for (_, operation) in core::mem::take(&mut self.unsynced) {
            if self.survival.decide().happens(crate::streams::MILLION / 2) {
                self.faults.lost_unsynced += 1;
                continue;
            }
            match operation {
                Operation::Store(at, bytes) if condition.torn > 0 && self.survival.decide().happens(condition.torn) => {
                    self.faults.torn += 1;
                    let torn = self.tear(at, &bytes);
                    self.platter.insert(at.0, torn);
                }
                whole => apply(&mut self.platter, whole),
            }
        }
        self.cache = self.platter.clone();
    }

    /// The process ends, the host lives on: what was written stays in the cache, and nobody syncs it any more.
    pub fn abandon(&mut self) {
        self.syncing = 0;
    }

    /// Each sector is the new one or what the slot held before.
    fn tear(&mut self, at: Sequence, bytes: &[u8]) -> Bytes {
        let before = self.platter.get(&at.0).cloned().unwrap_or_else(|| Rc::from([]));
        let mut torn = bytes.to_vec();
        for (number, sector) in torn.chunks_mut(SECTOR_BYTES).enumerate() {
            if self.survival.decide().happens(crate::streams::MILLION / 2) {
                let from = number * SECTOR_BYTES;
                for (offset, byte) in sector.iter_mut().enumerate() {
                    *byte = before.get(from + offset).copied().unwrap_or(0);
                }
            }
        }
        torn.into()
    }

    /// Reads a slot, from the cache, and says how long that takes.
    pub fn read(&mut self, condition: &DiskCondition, at: Sequence) -> (Duration, Option<Vec<u8>>) {
        let (from, to) = condition.read;
        let delay = self.latency.decide().span(from, to).saturating_mul(condition.slowdown);
        let mut bytes = self.cache.get(&at.0).map(|bytes| bytes.to_vec());
        if let Some(bytes) = &mut bytes
            && condition.read_corrupts > 0
            && self.corruption.decide().happens(condition.read_corrupts)
        {
            self.faults.corrupt_reads += 1;
            self.flip_bit(bytes);
        }
        (delay, bytes)
    }

    /// Changes one bit of one durable slot for good. Returns the slot, or `None` when the disk is empty.
    pub fn rot(&mut self) -> Option<Sequence> {
        let place = self.corruption.decide().below(self.platter.len().max(1) as u64) as usize;
        let (at, bytes) = self.platter.iter().nth(place)?;
        let at = *at;
        let mut rotten = bytes.to_vec();
        self.flip_bit(&mut rotten);
        let rotten: Bytes = rotten.into();
        self.platter.insert(at, rotten.clone());
        self.cache.insert(at, rotten);
        self.faults.bit_rot += 1;
        Some(Sequence(at))
    }

    fn flip_bit(&mut self, bytes: &mut [u8]) {
        let bit = self.corruption.decide().below(bytes.len().max(1) as u64 * 8) as usize;
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// The disk is replaced by an empty one.
    pub fn replace(&mut self) {
        self.platter.clear();
        self.cache.clear();
        self.unsynced.clear();
        self.syncing = 0;
    }

    /// A new process counts its writes from one.
    pub fn begin_process(&mut self) {
        self.durable = WriteNumber(0);
        self.missed = false;
        // Writes of the process before are still only cached; they belong to no number of this one.
        self.unsynced.iter_mut().for_each(|(write, _)| *write = WriteNumber(0));
    }

    /// The last slot a process finds.
    pub fn last_slot(&self) -> Sequence {
        Sequence(self.cache.last_key_value().map_or(0, |(at, _)| *at))
    }

    /// What is on the platter, for checkers: ascending slots with their bytes.
    pub fn durable_slots(&self) -> impl Iterator<Item = (Sequence, &Bytes)> {
        self.platter.iter().map(|(at, bytes)| (Sequence(*at), bytes))
    }

    /// What a reader finds, for checkers.
    pub fn cached_slots(&self) -> impl Iterator<Item = (Sequence, &Bytes)> {
        self.cache.iter().map(|(at, bytes)| (Sequence(*at), bytes))
    }

    /// The last write of this process that is truly durable, as all before it are; for checkers.
    pub const fn durable(&self) -> WriteNumber {
        self.durable
    }

    /// What went wrong so far.
    pub const fn faults(&self) -> DiskFaults {
        self.faults
    }

    /// The disk's streams, for DRAW-1.
    pub fn streams(&self) -> [&Stream; 4] {
        [&self.latency, &self.survival, &self.failure, &self.corruption]
    }
}

fn apply(platter: &mut BTreeMap<u64, Bytes>, operation: Operation) {
    match operation {
        Operation::Store(at, bytes) => {
            platter.insert(at.0, bytes);
        }
        Operation::Erase(from) => {
            platter.split_off(&from.0);
        }
    }
}
