//! One host's disk: slots and objects, a cache in front of them, and everything that can go wrong between the two.
//!
//! What is written stands in the cache at once and on the platter after a sync. A power loss keeps any subset of what
//! was not synced, each write whole or torn by sectors; a killed process loses nothing, but what it had not synced is
//! still only cached. A failed sync leaves some of its writes on the platter and forgets the rest, though the cache
//! may go on showing them: this is what real page caches do, and why a sync is never tried again.
//!
//! Sectors are smaller here (64 bytes) than on real disks, so that a single record can tear.

mod condition;
mod draws;
mod objects;
mod places;

pub use condition::{DiskCondition, DiskFaults};

use self::draws::Draws;
use self::places::{OBJECTS, Operation, Place, Places};
use crate::streams::{MILLION, Stream, Streams};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::rc::Rc;
use alloc::vec::Vec;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::machine::Chooser;
use relaymesh_core::node::StoreFailure;
use relaymesh_core::record::Sequence;
use relaymesh_core::record::anchor::TRIMMED_FROM;
use relaymesh_core::time::Duration;

const SECTOR_BYTES: usize = 64;
/// As likely as not.
const HALF: u64 = MILLION / 2;

/// The content of a slot or an object.
pub type Bytes = Rc<[u8]>;

/// A disk.
#[derive(Debug)]
pub struct Disk {
    platter: Places,
    cache: Places,
    unsynced: VecDeque<(WriteNumber, Operation)>,
    /// How many of `unsynced` the sync under way covers.
    syncing: usize,
    /// The last write of this process that is on the platter together with all before it.
    durable: WriteNumber,
    /// Whether a write of this process missed the platter for good.
    missed: bool,
    /// Places whose erasure was lost in a failed sync while the cache goes on showing them empty: no process can know.
    stuck: BTreeSet<Place>,
    faults: DiskFaults,
    draws: Draws,
}

impl Disk {
    /// An empty disk, with its own streams.
    pub fn new(streams: &mut Streams, host: u32) -> Self {
        Self {
            platter: Places::default(),
            cache: Places::default(),
            unsynced: VecDeque::new(),
            syncing: 0,
            durable: WriteNumber(0),
            missed: false,
            stuck: BTreeSet::new(),
            faults: DiskFaults::default(),
            draws: Draws::open(streams, host),
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
        self.write(write, Operation::Store(Place::Slot(at), bytes));
        Ok(())
    }

    /// Empties every slot from `from` on, in the cache.
    ///
    /// # Errors
    /// [`StoreFailure`] when the write fails; the slots are as they were.
    pub fn erase(&mut self, condition: &DiskCondition, write: WriteNumber, from: Sequence) -> Result<(), StoreFailure> {
        self.admit(condition)?;
        let last = self.last_slot().unwrap_or_default().max(from);
        (from.0..=last.0).for_each(|at| self.write(write, Operation::Empty(Place::Slot(Sequence(at)))));
        Ok(())
    }

    /// Empties the slots from `from` to before `below`, in the cache. Those that a process cannot see are left alone.
    ///
    /// # Errors
    /// [`StoreFailure`] when the write fails; the slots are as they were.
    pub fn trim(
        &mut self,
        condition: &DiskCondition,
        write: WriteNumber,
        from: Sequence,
        below: Sequence,
    ) -> Result<(), StoreFailure> {
        self.admit(condition)?;
        let emptied = Place::Slot(from.next())..Place::Slot(below.max(from.next()));
        let seen: Vec<Place> = self.cache.bytes.range(emptied).map(|(at, _)| *at).collect();
        // The first one stands for the order as a whole, so that it is synced also when there is nothing to empty.
        self.write(write, Operation::Empty(Place::Slot(from)));
        seen.into_iter().for_each(|at| self.write(write, Operation::Empty(at)));
        Ok(())
    }

    fn write(&mut self, write: WriteNumber, operation: Operation) {
        self.cache.apply(operation.clone());
        self.unsynced.push_back((write, operation));
    }

    fn admit(&mut self, condition: &DiskCondition) -> Result<(), StoreFailure> {
        if condition.full {
            self.faults.full += 1;
            self.missed = true;
            return Err(StoreFailure::Full);
        }
        if condition.write_fails > 0 && self.draws.write_fails.decide().happens(condition.write_fails) {
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
        Some(self.draws.sync_time.decide().span(from, to).saturating_mul(condition.slowdown))
    }

    /// Ends the sync under way.
    ///
    /// # Errors
    /// [`StoreFailure::Sync`]: any of the writes it covered may have reached the platter, and the rest never will. The
    /// cache goes on showing the rest, or has dropped it.
    pub fn end_sync(&mut self, condition: &DiskCondition) -> Result<(), StoreFailure> {
        let covered = core::mem::take(&mut self.syncing);
        let fails = condition.sync_fails > 0 && self.draws.sync_fails.decide().happens(condition.sync_fails);
        let drops = fails && self.draws.shown_after_failed_sync.decide().happens(HALF);
        for _ in 0..covered {
            let Some((write, operation)) = self.unsynced.pop_front() else { break };
            if fails && self.draws.lost_in_failed_sync.decide().happens(HALF) {
                self.miss(write);
                if drops {
                    self.drop_from_cache(operation.place());
                } else if let Operation::Empty(at) = operation {
                    self.stuck.insert(at);
                }
                continue;
            }
            self.stuck.remove(&operation.place());
            self.platter.apply(operation);
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

    /// A part of the write never reaches the platter.
    fn miss(&mut self, write: WriteNumber) {
        self.missed = true;
        self.durable = self.durable.min(WriteNumber(write.0.saturating_sub(1)));
    }

    /// The cache shows what is on the platter again, unless something newer is to be written there.
    fn drop_from_cache(&mut self, at: Place) {
        if self.unsynced.iter().any(|(_, operation)| operation.place() == at) {
            return;
        }
        match self.platter.bytes.get(&at) {
            Some(bytes) => self.cache.apply(Operation::Store(at, bytes.clone())),
            None => self.cache.apply(Operation::Empty(at)),
        }
        if self.platter.rotten.contains(&at) {
            self.cache.rotten.insert(at);
        }
    }

    /// The host loses power: the cache is gone, and of what was not synced any subset survives, whole or torn.
    pub fn lose_power(&mut self, condition: &DiskCondition) {
        self.syncing = 0;
        for (_, operation) in core::mem::take(&mut self.unsynced) {
            if self.draws.lost_with_power.decide().happens(HALF) {
                self.faults.lost_unsynced += 1;
                continue;
            }
            match operation {
                Operation::Store(at, bytes)
                    if condition.torn > 0 && self.draws.torn.decide().happens(condition.torn) =>
                {
                    self.faults.torn += 1;
                    let torn = self.tear(at, &bytes);
                    self.platter.apply(Operation::Store(at, torn));
                }
                Operation::Empty(at)
                    if condition.torn > 0
                        && self.platter.bytes.contains_key(&at)
                        && self.draws.torn_erasures.decide().happens(condition.torn) =>
                {
                    self.faults.torn_erasures += 1;
                    let nothing = self.platter.bytes.get(&at).map_or(0, |bytes| bytes.len());
                    let torn = self.tear(at, &alloc::vec![0; nothing]);
                    self.platter.apply(Operation::Store(at, torn));
                }
                whole => self.platter.apply(whole),
            }
        }
        self.cache = self.platter.clone();
        self.stuck.clear();
    }

    /// The process ends, the host lives on: what was written stays in the cache, and nobody syncs it any more.
    pub fn abandon(&mut self) {
        self.syncing = 0;
    }

    /// Each sector is the new one or what the place held before.
    fn tear(&mut self, at: Place, bytes: &[u8]) -> Bytes {
        let before = self.platter.bytes.get(&at).cloned().unwrap_or_else(|| Rc::from([]));
        let mut torn = bytes.to_vec();
        for (number, sector) in torn.chunks_mut(SECTOR_BYTES).enumerate() {
            if self.draws.sectors.decide().happens(HALF) {
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
        self.read_place(condition, Place::Slot(at))
    }

    fn read_place(&mut self, condition: &DiskCondition, at: Place) -> (Duration, Option<Vec<u8>>) {
        let (from, to) = condition.read;
        let delay = self.draws.read_time.decide().span(from, to).saturating_mul(condition.slowdown);
        let mut bytes = self.cache.bytes.get(&at).map(|bytes| bytes.to_vec());
        if let Some(bytes) = &mut bytes
            && condition.read_corrupts > 0
            && self.draws.read_corrupts.decide().happens(condition.read_corrupts)
        {
            self.faults.corrupt_reads += 1;
            flip_bit(&mut self.draws.read_bit, bytes);
        }
        (delay, bytes)
    }

    /// Changes one bit of one durable slot for good, one for which nothing newer is to be written. Returns the slot, or
    /// `None` when there is none.
    pub fn rot(&mut self) -> Option<Sequence> {
        let clean: Vec<Place> = self.clean_places().filter(|at| *at < OBJECTS).collect();
        let place = self.draws.rot.decide().below(clean.len().max(1) as u64) as usize;
        let at = *clean.get(place)?;
        let mut rotten = self.platter.bytes.get(&at)?.to_vec();
        flip_bit(&mut self.draws.rot, &mut rotten);
        let rotten: Bytes = rotten.into();
        self.platter.rot(at, Some(rotten.clone()));
        self.cache.rot(at, Some(rotten));
        self.faults.bit_rot += 1;
        at.slot()
    }

    /// Places with durable bytes that are sound, and for which nothing newer is to be written.
    fn clean_places(&self) -> impl Iterator<Item = Place> + '_ {
        let pending: BTreeSet<Place> = self.unsynced.iter().map(|(_, operation)| operation.place()).collect();
        let is_clean = move |at: &Place| !pending.contains(at) && !self.platter.rotten.contains(at);
        self.platter.bytes.keys().copied().filter(is_clean)
    }

    /// The disk is replaced by an empty one.
    pub fn replace(&mut self) {
        self.platter = Places::default();
        self.cache = Places::default();
        self.unsynced.clear();
        self.stuck.clear();
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
    pub fn last_slot(&self) -> Option<Sequence> {
        self.cache.bytes.range(..OBJECTS).next_back().and_then(|(at, _)| at.slot())
    }

    /// The lowest slot a process finds, places of anchors aside; zero for none.
    pub fn lowest_slot(&self) -> Sequence {
        let lowest = self.cache.bytes.range(Place::Slot(TRIMMED_FROM)..OBJECTS).next();
        lowest.and_then(|(at, _)| at.slot()).unwrap_or_default()
    }

    /// What is on the platter, for checkers: ascending slots with their bytes.
    pub fn durable_slots(&self) -> impl Iterator<Item = (Sequence, &Bytes)> {
        self.platter.slots()
    }

    /// Whether a slot holds these bytes both on the platter and for a reader, for checkers.
    pub fn holds(&self, at: Sequence, bytes: &Bytes) -> bool {
        [&self.platter, &self.cache].iter().all(|it| it.bytes.get(&Place::Slot(at)) == Some(bytes))
    }

    /// Whether a slot's erasure was lost without a trace that a process could see, for checkers.
    pub fn is_stuck(&self, at: Sequence) -> bool {
        self.stuck.contains(&Place::Slot(at))
    }

    /// Whether any slot on the platter is rotten, for checkers.
    pub fn is_rotten(&self) -> bool {
        self.platter.rotten_slots().next().is_some()
    }

    /// Rotten slots that a reader meets, for checkers.
    pub fn rotten_slots(&self) -> impl Iterator<Item = Sequence> {
        self.cache.rotten_slots()
    }

    /// What a reader finds, for checkers.
    pub fn cached_slots(&self) -> impl Iterator<Item = (Sequence, &Bytes)> {
        self.cache.slots()
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
    pub fn streams(&self) -> [&Stream; 14] {
        self.draws.all()
    }
}

fn flip_bit(stream: &mut Stream, bytes: &mut [u8]) {
    let bit = stream.decide().below(bytes.len().max(1) as u64 * 8) as usize;
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}
