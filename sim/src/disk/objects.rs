//! Objects on a disk. They suffer what slots suffer, and besides rot by the share.

use super::places::{OBJECTS, Operation, Place};
use super::{Bytes, Disk, DiskCondition, HALF, flip_bit};
use alloc::vec::Vec;
use core::ops::Bound;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::node::{LISTED_MAX, StoreFailure};
use relaymesh_core::object::ObjectId;
use relaymesh_core::time::Duration;

impl Disk {
    /// Writes an object, into the cache.
    ///
    /// # Errors
    /// [`StoreFailure`] when the disk is full or the write fails; the object is as it was.
    pub fn keep(
        &mut self,
        condition: &DiskCondition,
        write: WriteNumber,
        object: ObjectId,
        bytes: Bytes,
    ) -> Result<(), StoreFailure> {
        self.admit(condition)?;
        self.write(write, Operation::Store(Place::Object(object), bytes));
        Ok(())
    }

    /// Removes an object, in the cache.
    ///
    /// # Errors
    /// [`StoreFailure`] when the write fails; the object is as it was.
    pub fn discard(
        &mut self,
        condition: &DiskCondition,
        write: WriteNumber,
        object: ObjectId,
    ) -> Result<(), StoreFailure> {
        self.admit(condition)?;
        self.write(write, Operation::Empty(Place::Object(object)));
        Ok(())
    }

    /// Reads an object, from the cache, and says how long that takes.
    pub fn fetch(&mut self, condition: &DiskCondition, object: ObjectId) -> (Duration, Option<Vec<u8>>) {
        self.read_place(condition, Place::Object(object))
    }

    /// Names the first objects behind `after` that a process finds, whether they are all, and how long that takes.
    pub fn list(&mut self, condition: &DiskCondition, after: Option<ObjectId>) -> (Duration, Vec<ObjectId>, bool) {
        let (from, to) = condition.read;
        let delay = self.draws.read_time.decide().span(from, to).saturating_mul(condition.slowdown);
        let from = after.map_or(Bound::Included(OBJECTS), |after| Bound::Excluded(Place::Object(after)));
        let mut behind = self.cache.bytes.range((from, Bound::Unbounded)).filter_map(|(at, _)| at.object());
        let objects = behind.by_ref().take(LISTED_MAX).collect();
        let is_last = behind.next().is_none();
        (delay, objects, is_last)
    }

    /// Damages a share of the durable objects for good, one half of them by a flipped bit, the others by taking them
    /// away, but none for which anything newer is to be written. Returns which.
    pub fn rot_objects(&mut self, share: u64) -> Vec<ObjectId> {
        let clean: Vec<Place> = self.clean_places().filter(|at| *at >= OBJECTS).collect();
        let mut struck = Vec::new();
        for at in clean {
            if !self.draws.rot_objects.decide().happens(share) {
                continue;
            }
            let mut rotten = None;
            if self.draws.rot_objects.decide().happens(HALF) {
                self.faults.gone_objects += 1;
            } else {
                self.faults.rotten_objects += 1;
                let mut bytes = self.platter.bytes.get(&at).map(|bytes| bytes.to_vec()).unwrap_or_default();
                flip_bit(&mut self.draws.rot_objects, &mut bytes);
                rotten = Some(Bytes::from(bytes));
            }
            self.platter.rot(at, rotten.clone());
            self.cache.rot(at, rotten);
            struck.extend(at.object());
        }
        struck
    }

    /// All objects on the platter, for checkers.
    pub fn durable_objects(&self) -> impl Iterator<Item = (ObjectId, &Bytes)> {
        self.platter.bytes.iter().filter_map(|(place, bytes)| Some((place.object()?, bytes)))
    }

    /// What is on the platter under the id of an object, for checkers.
    pub fn durable_object(&self, object: ObjectId) -> Option<&Bytes> {
        self.platter.bytes.get(&Place::Object(object))
    }

    /// What a process finds under the id of an object, for checkers.
    pub fn cached_object(&self, object: ObjectId) -> Option<&Bytes> {
        self.cache.bytes.get(&Place::Object(object))
    }
}
