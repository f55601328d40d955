//! Objects in a sled tree of their own.
//!
//! An object's key is its address and its piece, the latter in four bytes, most significant first, so that keys sort as
//! ids do. Frames are cut like those of slots, for the same reason: the first part has the object's own key, the others
//! that key and their number in two bytes.

use super::sled::{PIECE_BYTES, SledStore, StoreError, failure_of};
use relaymesh_core::node::{LISTED_MAX, StoreFailure};
use relaymesh_core::object::{OBJECT_BYTES_MAX, OBJECT_OVERHEAD_BYTES, ObjectId};

const KEY_BYTES: usize = 36;
/// Behind the number of any part.
const LAST_PART: [u8; 2] = [0xff; 2];

impl SledStore {
    /// Replaces an object. To be seen after [`apply`](Self::apply), durable after [`sync`](Self::sync).
    pub(super) fn stage_object(&mut self, object: ObjectId, frame: &[u8]) -> Result<(), StoreFailure> {
        let bytes = frame.len();
        assert!(bytes <= OBJECT_BYTES_MAX + OBJECT_OVERHEAD_BYTES, "an object's frame of {bytes} bytes");
        // Parts of what stood there before must not stay behind the new ones.
        self.stage_discard(object)?;
        let mut parts = frame.chunks(PIECE_BYTES);
        self.staged_objects.insert(&key_of(object)[..], parts.next().unwrap_or_default());
        for (number, part) in (1..=u16::MAX).zip(parts) {
            self.staged_objects.insert(&part_key(object, number.to_be_bytes())[..], part);
        }
        Ok(())
    }

    /// Removes an object.
    pub(super) fn stage_discard(&mut self, object: ObjectId) -> Result<(), StoreFailure> {
        if self.changed.contains(&object) {
            // What is staged of it has no key in the tree yet.
            self.apply()?;
        }
        self.changed.insert(object);
        for key in self.objects.scan_prefix(key_of(object)).keys() {
            self.staged_objects.remove(key.map_err(|problem| failure_of(&problem))?);
        }
        Ok(())
    }

    /// What stands under the id of an object, `None` when nothing does. What cannot be read is not nothing: no bytes,
    /// which are no frame either.
    pub(super) fn object(&self, object: ObjectId) -> Option<Vec<u8>> {
        let mut frame: Option<Vec<u8>> = None;
        for part in self.objects.scan_prefix(key_of(object)).values() {
            match part {
                Ok(part) => frame.get_or_insert_default().extend_from_slice(&part),
                Err(problem) => {
                    tracing::warn!(%problem, ?object, "an object cannot be read; the disk may be failing");
                    return Some(Vec::new());
                }
            }
        }
        frame
    }

    /// The first objects behind `after`, and whether there are no others. One step of the tree for each.
    pub(super) fn objects_behind(&self, after: Option<ObjectId>) -> Result<(Vec<ObjectId>, bool), StoreError> {
        let mut objects = Vec::new();
        let mut next = match after {
            None => self.objects.first(),
            Some(after) => self.objects.get_gt(part_key(after, LAST_PART)),
        };
        while let Some((key, _)) = next.map_err(StoreError::List)? {
            if objects.len() == LISTED_MAX {
                return Ok((objects, false));
            }
            let object = object_of(&key);
            // A key that nobody here has written must not hold the walk up, nor be taken for another object.
            if Some(object) > objects.last().copied() {
                objects.push(object);
            }
            let behind = part_key(object, LAST_PART);
            next = self.objects.get_gt(if key[..] > behind[..] { &key[..] } else { &behind[..] });
        }
        Ok((objects, true))
    }
}

/// Whether a key is one of an object, or of a part of it.
pub(super) fn is_object_key(key: &[u8]) -> bool {
    matches!(key.len(), KEY_BYTES) || key.len() == KEY_BYTES + LAST_PART.len()
}

fn key_of(object: ObjectId) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..32].copy_from_slice(&object.address);
    key[32..].copy_from_slice(&object.piece.to_be_bytes());
    key
}

fn part_key(object: ObjectId, number: [u8; 2]) -> [u8; KEY_BYTES + 2] {
    let mut key = [0; KEY_BYTES + 2];
    key[..KEY_BYTES].copy_from_slice(&key_of(object));
    key[KEY_BYTES..].copy_from_slice(&number);
    key
}

/// The object that a key belongs to. Of a key that nobody here has written, as much as there is.
fn object_of(key: &[u8]) -> ObjectId {
    let mut whole = [0; KEY_BYTES];
    let bytes = key.len().min(KEY_BYTES);
    whole[..bytes].copy_from_slice(&key[..bytes]);
    let (mut address, mut piece) = ([0; 32], [0; 4]);
    address.copy_from_slice(&whole[..32]);
    piece.copy_from_slice(&whole[32..]);
    ObjectId { address, piece: u32::from_be_bytes(piece) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relaymesh_core::record::Sequence;

    fn object(address: u8, piece: u32) -> ObjectId {
        ObjectId { address: [address; 32], piece }
    }

    fn frame(seed: u8, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| seed.wrapping_add((at * 7 + at / 251) as u8)).collect()
    }

    /// A thread of sled's may still hold a store that was dropped a moment ago.
    fn open(place: &tempfile::TempDir) -> SledStore {
        loop {
            match SledStore::open(&place.path().join("store")) {
                Err(StoreError::InUse(_)) => std::thread::yield_now(),
                done => return done.unwrap(),
            }
        }
    }

    #[test]
    fn objects_come_back_as_they_were_written_beside_slots_and_after_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let sizes = [0, 1, PIECE_BYTES, PIECE_BYTES + 1, OBJECT_BYTES_MAX + OBJECT_OVERHEAD_BYTES];
        let mut store = open(&place);
        for (piece, bytes) in (0..).zip(sizes) {
            store.stage_object(object(7, piece), &frame(piece as u8, bytes)).unwrap();
            store.stage(Sequence(piece.into()), b"slot").unwrap();
        }
        store.apply().unwrap();
        store.sync().unwrap();
        drop(store);
        let store = open(&place);
        assert_eq!(store.held().last, Some(Sequence(4)));
        for (piece, bytes) in (0..).zip(sizes) {
            assert!(store.object(object(7, piece)) == Some(frame(piece as u8, bytes)), "{bytes} bytes");
        }
        assert_eq!(store.object(object(7, 99)), None);
    }

    #[test]
    fn what_replaces_a_large_object_or_discards_it_leaves_nothing_of_it_behind() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        for applies in [false, true] {
            store.stage_object(object(7, 1), &frame(1, 5 * PIECE_BYTES)).unwrap();
            store.stage_object(object(7, 2), &frame(2, 5 * PIECE_BYTES)).unwrap();
            if applies {
                store.apply().unwrap();
            }
            store.stage_object(object(7, 1), &frame(3, 2 * PIECE_BYTES)).unwrap();
            store.stage_discard(object(7, 2)).unwrap();
            store.apply().unwrap();
            assert!(store.object(object(7, 1)) == Some(frame(3, 2 * PIECE_BYTES)));
            assert_eq!(store.objects.len(), 2, "parts");
            assert_eq!(store.objects_behind(None).unwrap(), (vec![object(7, 1)], true));
        }
    }

    #[test]
    fn objects_are_listed_in_the_order_of_ids_by_pages() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        let mut ids: Vec<ObjectId> =
            (0..LISTED_MAX as u32 + 2).map(|n| object((n % 3) as u8, n.wrapping_mul(0x0101_0101))).collect();
        for id in &ids {
            store.stage_object(*id, &frame(1, 3 * PIECE_BYTES)).unwrap();
        }
        store.apply().unwrap();
        ids.sort_unstable();
        let (first, rest) = ids.split_at(LISTED_MAX);
        assert_eq!(store.objects_behind(None).unwrap(), (first.to_vec(), false));
        assert_eq!(store.objects_behind(first.last().copied()).unwrap(), (rest.to_vec(), true));
        assert_eq!(store.objects_behind(rest.last().copied()).unwrap(), (vec![], true));
    }

    #[test]
    fn sled_never_moves_a_part_of_an_object_to_a_file_that_it_does_not_sync() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        for n in 0..400 {
            store.stage_object(object(n as u8, n), &frame(n as u8, 1_000 + n as usize * 161)).unwrap();
            if n % 50 == 0 {
                store.apply().unwrap();
            }
        }
        store.apply().unwrap();
        store.sync().unwrap();
        assert_eq!(std::fs::read_dir(place.path().join("store/blobs")).unwrap().count(), 0);
    }

    #[test]
    fn a_key_that_nobody_here_has_written_holds_no_list_up() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        store.stage_object(object(1, 1), b"one").unwrap();
        store.stage_object(object(2, 1), b"two").unwrap();
        store.apply().unwrap();
        store.objects.insert([&key_of(object(1, 1))[..], &[0xff; 9]].concat(), b"stray").unwrap();
        assert_eq!(store.objects_behind(None).unwrap(), (vec![object(1, 1), object(2, 1)], true));
        store.objects.insert(b"z", b"stray").unwrap();
        store.sync().unwrap();
        drop(store);
        let refused = loop {
            match SledStore::open(&place.path().join("store")) {
                Err(StoreError::InUse(_)) => std::thread::yield_now(),
                done => break done.err().unwrap(),
            }
        };
        assert!(matches!(&refused, StoreError::Foreign(_)), "{refused}");
    }
}
