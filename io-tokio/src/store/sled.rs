//! Slots in a sled tree. Objects have another one of the same database; what is theirs alone stands in `objects`.
//!
//! A slot's key is its number, eight bytes, most significant first. A frame is cut into pieces of at most
//! [`PIECE_BYTES`]; the first has the slot's own key, the others that key and their number in two bytes, so that a slot's
//! pieces stand together and in order. The reason: a leaf of sled 0.34 that outgrows a quarter of a segment becomes a
//! file of its own, which sled never syncs. With pieces this small no leaf does.
//!
//! What `flush` of sled 0.34 promises it does not keep: it writes the log with `sync_file_range`, which leaves the
//! drive's cache and the file's length alone (spacejam/sled#1452). So [`SledStore::sync`] follows it with fdatasync of
//! the log.

use super::Held;
use super::objects::is_object_key;
use super::staged::Staged;
use crate::folder::file::sync_folder;
use relaymesh_core::node::StoreFailure;
use relaymesh_core::object::ObjectId;
use relaymesh_core::record::Sequence;
use relaymesh_core::record::anchor::TRIMMED_FROM;
use sled::{Db, IVec, Tree};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Bytes of one piece. A leaf holds some 27 pieces at most, and 128 KiB are too much for it.
pub(super) const PIECE_BYTES: usize = 4 << 10;
/// Memory for pages that were read or written lately.
const CACHE_BYTES: u64 = 64 << 20;
/// Bytes of a frame that its pieces' numbers reach for.
const FRAME_BYTES_MAX: usize = PIECE_BYTES << 16;
const KEY_BYTES: usize = 8;
const SLOTS: &str = "slots";
const OBJECTS: &str = "objects";
/// The file that sled keeps all pages in.
const LOG: &str = "db";

/// Why a store cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made or opened.
    #[error("cannot open the store in {}: {problem}", .path.display())]
    Open {
        /// Where it is.
        path: PathBuf,
        /// Why it failed.
        problem: sled::Error,
    },
    /// Another process has it, or an earlier node of this process still finishes what it was told.
    #[error("the store in {} is in use; stop what uses it, or give this node a folder of its own", .0.display())]
    InUse(PathBuf),
    /// Its files cannot be made durable.
    #[error("cannot sync the store in {}: {problem}", .path.display())]
    Sync {
        /// Where it is.
        path: PathBuf,
        /// Why it failed.
        problem: io::Error,
    },
    /// It cannot be told which objects there are.
    #[error(
        "the objects of the store cannot be listed: {0}; the disk may be failing; keep a copy of the store for inspection"
    )]
    List(sled::Error),
    /// It holds keys that are no slots, or no objects.
    #[error("the store in {} was not written by this program; give the node a folder of its own", .0.display())]
    Foreign(PathBuf),
    /// A slot cannot be read, which is not the same as an empty one: what it holds may have been promised to others.
    #[error("slot {slot} cannot be read: {problem}; the disk may be failing; keep a copy of the store for inspection")]
    Read {
        /// The slot.
        slot: Sequence,
        /// Why it failed.
        problem: sled::Error,
    },
}

/// The slots of one journal, and the objects beside it. Every call blocks on the disk.
pub(super) struct SledStore {
    // Kept so that the database is closed after the trees.
    tree: Tree,
    pub(super) objects: Tree,
    db: Db,
    log: File,
    staged: Staged,
    pub(super) staged_objects: Staged,
    /// Objects that `staged_objects` changes.
    pub(super) changed: BTreeSet<ObjectId>,
    lowest: Sequence,
    last: Option<Sequence>,
}

impl SledStore {
    /// Opens the store at `path`, or makes one there, durably.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |problem| StoreError::Open { path: path.to_owned(), problem };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|problem| failed(sled::Error::Io(problem)))?;
        refuse_used(path)?;
        // Without a flusher of its own: an idle store must not wake the machine.
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let db = config.open().map_err(failed)?;
        let tree = db.open_tree(SLOTS).map_err(failed)?;
        let objects = db.open_tree(OBJECTS).map_err(failed)?;
        db.flush().map_err(failed)?;
        let log = made_durable(path).map_err(|problem| StoreError::Sync { path: path.to_owned(), problem })?;
        let slot_at = |end: sled::Result<Option<(IVec, IVec)>>| match end.map_err(failed)? {
            None => Ok(None),
            Some((key, _)) => slot_of(&key).map(Some).ok_or_else(|| StoreError::Foreign(path.to_owned())),
        };
        let last = slot_at(tree.last())?;
        let lowest = slot_at(tree.range(key_of(TRIMMED_FROM)..).next().transpose())?.unwrap_or_default();
        let ends = [objects.first().map_err(failed)?, objects.last().map_err(failed)?];
        if ends.iter().flatten().any(|(key, _)| !is_object_key(key)) {
            return Err(StoreError::Foreign(path.to_owned()));
        }
        let (staged, staged_objects, changed) = (Staged::default(), Staged::default(), BTreeSet::new());
        Ok(Self { tree, objects, db, log, staged, staged_objects, changed, lowest, last })
    }

    /// The slots that were not empty when it was opened.
    pub(super) const fn held(&self) -> Held {
        Held { lowest: self.lowest, last: self.last }
    }

    /// Replaces what a slot holds. To be seen after [`apply`](Self::apply), durable after [`sync`](Self::sync).
    pub(super) fn stage(&mut self, slot: Sequence, frame: &[u8]) -> Result<(), StoreFailure> {
        assert!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes: lower `record_bytes`", frame.len());
        if Some(slot) <= self.last {
            // Pieces of what stood there before must not stay behind the new ones.
            self.stage_removal(slot, slot.next())?;
        }
        self.last = self.last.max(Some(slot));
        let mut pieces = frame.chunks(PIECE_BYTES);
        self.staged.insert(&key_of(slot)[..], pieces.next().unwrap_or_default());
        for (number, piece) in (1..=u16::MAX).zip(pieces) {
            self.staged.insert(&piece_key(slot, number)[..], piece);
        }
        Ok(())
    }

    /// Empties every slot from `from` on.
    pub(super) fn stage_erase(&mut self, from: Sequence) -> Result<(), StoreFailure> {
        self.stage_removal(from, Sequence(u64::MAX))?;
        self.last = self.last.min(from.0.checked_sub(1).map(Sequence));
        Ok(())
    }

    /// Stages the removal of the slots from `from` to before `to`, those staged but not applied included.
    pub(super) fn stage_removal(&mut self, from: Sequence, to: Sequence) -> Result<(), StoreFailure> {
        self.apply()?;
        for key in self.tree.range(key_of(from)..key_of(to)).keys() {
            self.staged.remove(key.map_err(|problem| failure_of(&problem))?);
        }
        Ok(())
    }

    /// Writes what was staged, so that it is read from now on. Objects come first: a record may speak of them.
    pub(super) fn apply(&mut self) -> Result<(), StoreFailure> {
        self.changed.clear();
        self.staged_objects.apply(&self.objects).map_err(|problem| failure_of(&problem))?;
        self.staged.apply(&self.tree).map_err(|problem| failure_of(&problem))
    }

    /// Makes durable what was applied.
    pub(super) fn sync(&mut self) -> Result<(), StoreFailure> {
        self.db.flush().map_err(|problem| failure_of(&problem))?;
        self.log.sync_data().map_err(|problem| match is_full(&problem) {
            true => StoreFailure::Full,
            false => StoreFailure::Sync,
        })
    }

    /// What a slot holds, `None` when it is empty.
    pub(super) fn read(&self, slot: Sequence) -> Result<Option<Vec<u8>>, StoreError> {
        let mut frame: Option<Vec<u8>> = None;
        for piece in self.tree.range(key_of(slot)..key_of(slot.next())) {
            let (_, piece) = piece.map_err(|problem| StoreError::Read { slot, problem })?;
            frame.get_or_insert_default().extend_from_slice(&piece);
        }
        Ok(frame)
    }
}

/// sled takes a lock of its own, but does not say so in a way that a program could tell from other errors.
fn refuse_used(path: &Path) -> Result<(), StoreError> {
    let Ok(log) = File::open(path.join(LOG)) else { return Ok(()) };
    if let Err(TryLockError::WouldBlock) = log.try_lock() {
        return Err(StoreError::InUse(path.to_owned()));
    }
    // What goes wrong here will go wrong again when the store is opened.
    let _ = log.unlock();
    Ok(())
}

/// Syncs all that sled made when it opened the store, names included, and returns its log.
fn made_durable(path: &Path) -> io::Result<File> {
    File::open(path.join("conf"))?.sync_all()?;
    let log = File::open(path.join(LOG))?;
    log.sync_all()?;
    sync_folder(&path.join("blobs"))?;
    sync_folder(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent)?,
        _ => sync_folder(Path::new("."))?,
    }
    Ok(log)
}

pub(super) fn failure_of(problem: &sled::Error) -> StoreFailure {
    match problem {
        sled::Error::Io(problem) if is_full(problem) => StoreFailure::Full,
        _ => StoreFailure::Write,
    }
}

fn is_full(problem: &io::Error) -> bool {
    matches!(problem.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn key_of(slot: Sequence) -> [u8; KEY_BYTES] {
    slot.0.to_be_bytes()
}

fn piece_key(slot: Sequence, number: u16) -> [u8; KEY_BYTES + 2] {
    let mut key = [0; KEY_BYTES + 2];
    key[..KEY_BYTES].copy_from_slice(&key_of(slot));
    key[KEY_BYTES..].copy_from_slice(&number.to_be_bytes());
    key
}

fn slot_of(key: &IVec) -> Option<Sequence> {
    let slot = key.first_chunk().map(|slot| Sequence(u64::from_be_bytes(*slot)));
    slot.filter(|_| matches!(key.len(), KEY_BYTES) || key.len() == KEY_BYTES + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread of sled's may still hold a store that was dropped a moment ago.
    fn open(place: &tempfile::TempDir) -> SledStore {
        loop {
            match SledStore::open(&place.path().join("store")) {
                Err(StoreError::InUse(_)) => std::thread::yield_now(),
                done => return done.unwrap(),
            }
        }
    }

    fn frame(seed: u64, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (seed as usize * 31 + at * 7 + at / 251) as u8).collect()
    }

    #[test]
    fn slots_come_back_as_they_were_written_also_after_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let sizes = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES, 1 << 20];
        let mut store = open(&place);
        assert_eq!(store.last, None);
        for (slot, bytes) in (1..).zip(sizes) {
            store.stage(Sequence(slot), &frame(slot, bytes)).unwrap();
        }
        store.apply().unwrap();
        store.sync().unwrap();
        drop(store);
        let store = open(&place);
        assert_eq!(store.last, Some(Sequence(sizes.len() as u64)));
        for (slot, bytes) in (1..).zip(sizes) {
            assert!(store.read(Sequence(slot)).unwrap() == Some(frame(slot, bytes)), "{bytes} bytes");
        }
        assert_eq!(store.read(Sequence(99)).unwrap(), None);
    }

    #[test]
    fn what_replaces_a_long_frame_leaves_nothing_of_it_behind() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        store.stage(Sequence(1), &frame(1, 4 * PIECE_BYTES)).unwrap();
        store.stage(Sequence(2), &frame(2, 10)).unwrap();
        store.stage(Sequence(1), &frame(3, 2 * PIECE_BYTES)).unwrap();
        store.apply().unwrap();
        assert!(store.read(Sequence(1)).unwrap() == Some(frame(3, 2 * PIECE_BYTES)));
        assert_eq!(store.read(Sequence(2)).unwrap(), Some(frame(2, 10)));
        assert_eq!(store.last, Some(Sequence(2)));
    }

    #[test]
    fn erased_slots_are_empty_and_can_be_written_again() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        for slot in 1..=5 {
            store.stage(Sequence(slot), &frame(slot, 2 * PIECE_BYTES)).unwrap();
        }
        store.stage_erase(Sequence(3)).unwrap();
        assert_eq!(store.last, Some(Sequence(2)));
        store.stage(Sequence(3), &frame(9, 5)).unwrap();
        store.apply().unwrap();
        store.sync().unwrap();
        drop(store);
        let store = open(&place);
        assert_eq!(store.last, Some(Sequence(3)));
        assert_eq!(store.read(Sequence(3)).unwrap(), Some(frame(9, 5)));
        assert_eq!(store.read(Sequence(4)).unwrap(), None);
    }

    #[test]
    fn slots_below_are_emptied_whole_and_those_of_anchors_are_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        for slot in 0..=6 {
            store.stage(Sequence(slot), &frame(slot, 2 * PIECE_BYTES)).unwrap();
        }
        store.stage_removal(Sequence(2), Sequence(4)).unwrap();
        store.apply().unwrap();
        store.sync().unwrap();
        assert_eq!(store.held().lowest, Sequence(0), "as it was when the store was opened");
        drop(store);
        let store = open(&place);
        assert_eq!(store.held(), Held { lowest: Sequence(4), last: Some(Sequence(6)) });
        let left: Vec<u64> = (0..=6).filter(|slot| store.read(Sequence(*slot)).unwrap().is_some()).collect();
        assert_eq!(left, [0, 1, 4, 5, 6]);
        assert!(store.read(Sequence(0)).unwrap() == Some(frame(0, 2 * PIECE_BYTES)));
    }

    #[test]
    fn sled_never_moves_a_piece_to_a_file_that_it_does_not_sync() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        for slot in 1..=12 {
            store.stage(Sequence(slot), &frame(slot, 1 << 20)).unwrap();
            store.apply().unwrap();
        }
        for slot in 13..=2_000 {
            store.stage(Sequence(slot), &frame(slot, 1_000 + slot as usize % 5_000)).unwrap();
        }
        store.apply().unwrap();
        store.sync().unwrap();
        let blobs = std::fs::read_dir(place.path().join("store/blobs")).unwrap();
        assert_eq!(blobs.count(), 0);
    }

    #[test]
    fn a_store_is_opened_once() {
        let place = tempfile::tempdir().unwrap();
        let _first = open(&place);
        let refused = SledStore::open(&place.path().join("store")).err().unwrap();
        assert!(matches!(&refused, StoreError::InUse(_)), "{refused}");
    }

    #[test]
    fn a_journal_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let _store = open(&place);
        assert_eq!(place.path().join("store").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_full_disk_has_a_name_of_its_own() {
        let io = |kind| sled::Error::Io(io::Error::from(kind));
        assert_eq!(failure_of(&io(ErrorKind::StorageFull)), StoreFailure::Full);
        assert_eq!(failure_of(&io(ErrorKind::QuotaExceeded)), StoreFailure::Full);
        assert_eq!(failure_of(&io(ErrorKind::PermissionDenied)), StoreFailure::Write);
    }

    #[test]
    fn a_sync_that_fails_is_reported() {
        let place = tempfile::tempdir().unwrap();
        let mut store = open(&place);
        // Nothing can be synced to it.
        store.log = File::open("/dev/null").unwrap();
        store.stage(Sequence(1), b"frame").unwrap();
        store.apply().unwrap();
        assert_eq!(store.sync(), Err(StoreFailure::Sync));
    }
}
