//! OBJ-1, for any application: what was kept is there, whole, after whatever happened. And DUR-1 of what is fetched.
//!
//! The ledger holds what each process has asked to be kept and discarded, and how far it was told that this is durable.
//! What is on the platter is the disk's to say. Frames are judged by the format's description and not by the code under
//! test.

use super::engine::EngineChecks;
use super::{DUR_1, Findings, OBJ_1};
use crate::disk::{Bytes, Disk};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::machine::CauseId;
use relaymesh_core::object::ObjectId;

/// What a host's processes did to its objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    /// What this process has asked for and was not told of yet, in order; `None` for what it has discarded.
    pending: VecDeque<(WriteNumber, ObjectId, Option<Bytes>)>,
    settled: BTreeMap<ObjectId, Settled>,
    /// What this process was shown of objects that were not on the platter, with the event at which it was.
    shown: Vec<(CauseId, ObjectId, Bytes)>,
}

/// What is known of one object.
#[derive(Clone, Debug, Default)]
struct Settled {
    /// What a process was told to be durable.
    told: Option<Bytes>,
    /// What earlier processes have asked for since then, and were never told of: it may be there, or a part of it.
    maybe: Vec<Option<Bytes>>,
}

impl Settled {
    /// What has to be there: nothing that ever was to take its place says anything else.
    fn expected(&self) -> Option<&Bytes> {
        self.told.as_ref().filter(|told| self.maybe.iter().all(|maybe| maybe.as_ref() == Some(*told)))
    }
}

impl Shelf {
    /// The process is gone. Nobody is told any more what became of what it asked for last.
    fn ended(&mut self) {
        self.shown.clear();
        for (_, object, bytes) in self.pending.drain(..) {
            self.settled.entry(object).or_default().maybe.push(bytes);
        }
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.settled.clear();
        self.shown.clear();
    }

    /// The process asks for another content of an object. What it was shown before is history.
    fn changes(&mut self, write: WriteNumber, object: ObjectId, bytes: Option<Bytes>) {
        self.shown.retain(|(_, shown, before)| *shown != object || Some(before) == bytes.as_ref());
        self.pending.push_back((write, object, bytes));
    }
}

impl EngineChecks {
    /// A node has asked for an object to be kept.
    pub fn kept(
        &mut self,
        host: u32,
        cause: CauseId,
        write: WriteNumber,
        object: ObjectId,
        bytes: &Bytes,
        found: &mut Findings,
    ) {
        self.wrote(host, cause, write);
        if !is_frame_of(object, bytes) {
            found.fail(OBJ_1, &[host], format!("what was written as object {object:?} is not a frame of that object"));
        }
        self.shelf(host).changes(write, object, Some(bytes.clone()));
    }

    /// A node has asked for an object to be discarded.
    pub fn discarded(&mut self, host: u32, cause: CauseId, write: WriteNumber, object: ObjectId) {
        self.wrote(host, cause, write);
        self.shelf(host).changes(write, object, None);
    }

    /// A process is told that its writes up to this one are durable.
    pub fn objects_told(&mut self, host: u32, upto: WriteNumber, disk: &Disk, found: &mut Findings) {
        let shelf = self.shelf(host);
        let mut told = Vec::new();
        while let Some((_, object, bytes)) = shelf.pending.pop_front_if(|(write, ..)| *write <= upto) {
            told.push(object);
            match bytes {
                Some(bytes) => drop(shelf.settled.insert(object, Settled { told: Some(bytes), maybe: Vec::new() })),
                None => drop(shelf.settled.remove(&object)),
            }
        }
        let is_pending = |object: &ObjectId| shelf.pending.iter().any(|(_, pending, _)| pending == object);
        told.retain(|object| !is_pending(object));
        for object in told {
            self.look(host, object, disk, "and the process was told that it is durable", found);
        }
    }

    /// A process is shown what stands under the id of an object.
    pub fn fetched(&mut self, host: u32, event: CauseId, object: ObjectId, bytes: Option<&[u8]>, disk: &Disk) {
        let durable = disk.durable_object(object).map(|durable| &durable[..]);
        let Some(bytes) = bytes.filter(|bytes| is_frame_of(object, bytes) && durable != Some(*bytes)) else { return };
        self.shelf(host).shown.push((event, object, bytes.into()));
    }

    /// Something that waits at the gate has left a node: whatever the process was shown until then is on the platter.
    pub(super) fn rests_on_objects(&mut self, host: u32, cause: CauseId, disk: &Disk, found: &mut Findings) {
        let shown = &mut self.shelf(host).shown;
        shown.retain(|(_, object, bytes)| disk.durable_object(*object) != Some(bytes));
        if let Some((event, object, _)) = shown.iter().find(|(event, ..)| *event <= cause) {
            let detail = format!(
                "what follows from event {cause} left the node while object {object:?}, which event {event} has shown to it, was not durable"
            );
            found.fail(DUR_1, &[host], detail);
        }
    }

    /// A process begins: whatever was durable is there.
    pub fn objects_found(&mut self, host: u32, disk: &Disk, found: &mut Findings) {
        let shelf = self.shelf(host);
        shelf.ended();
        let objects: Vec<ObjectId> = shelf.settled.keys().copied().collect();
        for object in objects {
            self.look(host, object, disk, "and a process begins", found);
        }
    }

    /// Durable objects were changed or taken away: nothing is held against anybody of what stood there.
    pub fn objects_rotted(&mut self, host: u32, objects: &[ObjectId]) {
        let shelf = self.shelf(host);
        shelf.pending.retain(|(_, object, _)| !objects.contains(object));
        shelf.shown.retain(|(_, object, _)| !objects.contains(object));
        objects.iter().for_each(|object| drop(shelf.settled.remove(object)));
    }

    fn look(&mut self, host: u32, object: ObjectId, disk: &Disk, when: &str, found: &mut Findings) {
        let Some(expected) = self.shelf(host).settled.get(&object).and_then(Settled::expected) else { return };
        let (durable, cached) = (disk.durable_object(object), disk.cached_object(object));
        let problem = match (durable, cached) {
            (Some(durable), Some(cached)) if durable == expected && cached == expected => None,
            (None, _) => Some("is not on the platter"),
            (_, None) => Some("is not to be seen"),
            _ => Some("is not what was kept"),
        };
        if let Some(problem) = problem {
            found.fail(OBJ_1, &[host], format!("object {object:?} {problem}, {when}"));
        }
        self.exercised.obj_1 += 1;
    }
}

/// Whether the bytes are a frame of that object.
fn is_frame_of(object: ObjectId, bytes: &[u8]) -> bool {
    let Some((covered, checksum)) = bytes.split_at_checked(bytes.len().saturating_sub(16)) else { return false };
    bytes.len() >= 60
        && bytes[4..36] == object.address
        && bytes[36..40] == object.piece.to_le_bytes()
        && blake3::hash(covered).as_bytes()[..16] == *checksum
}
