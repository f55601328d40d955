//! DUR-1, DUR-2, ORD-1, REC-1, TRIM-1, INC-1 and WIRE-1, for any application. OBJ-1 stands in `objects`.
//!
//! The ledger of a host holds what its processes have written to each slot, in the order in which they wrote. The disk
//! tells what is truly on the platter. Both are facts of the world; nothing here relies on a node's own account.

use super::expected::Expected;
use super::objects::Shelf;
use super::trimming::{Anchor, lacks_what_is_marked, start_of};
use super::{DUR_1, DUR_2, Findings, INC_1, OBJ_1, ORD_1, REC_1, TRIM_1, WIRE_1};
use crate::disk::{Bytes, Disk};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::codec::{BodyVersion, DecodeError};
use relaymesh_core::envelope::{KeyIds, OpenError};
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::identity::Incarnation;
use relaymesh_core::machine::CauseId;
use relaymesh_core::record::Sequence;
use relaymesh_core::time::Time;

/// The engine's checkers for all hosts.
#[derive(Debug)]
pub struct EngineChecks {
    hosts: Vec<Watched>,
    pub(super) exercised: Exercised,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exercised {
    pub(super) obj_1: u64,
    dur_1: u64,
    dur_2: u64,
    ord_1: u64,
    rec_1: u64,
    trim_1: u64,
    inc_1: u64,
    wire_1: u64,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    /// Writes of this process that were not durable when last looked at, with the event that emitted each.
    unsynced: VecDeque<(CauseId, WriteNumber)>,
    ledger: Vec<Bytes>,
    /// The last slot that this process has written.
    written_to: usize,
    /// Slots that were written before this process got its first word of durability: its journal must be whole up to
    /// there before it speaks.
    founded: Option<usize>,
    /// Whether this process has written since something last left the gate: only then does the gate prove anything.
    wrote: bool,
    /// Whether this process has let anything be seen yet.
    spoke: bool,
    /// Whether a mark vouches for a rotten slot: this process must notice and must not speak.
    must_not_speak: bool,
    /// The process that has spoken last, and what it called itself.
    named: Option<(u32, Incarnation)>,
    /// Whether the store was replaced since then.
    renewed: bool,
    /// Whether something durable was changed since then.
    rotted: bool,
    /// The number of the last packet of this process that waited at the gate.
    last_gated: CauseId,
    objects: Shelf,
}

impl Watched {
    /// The journal goes on from `at`, and what stood there is no part of it any more. That must not be a record that
    /// was durable and sound: it continues what is kept, so recovery had no reason to drop it.
    fn cut(&mut self, host: u32, at: Sequence, disk: &Disk, found: &mut Findings) {
        let slot = (at.0 - 1) as usize;
        if self.ledger.get(slot).is_some_and(|known| disk.holds(at, known)) {
            found.fail(REC_1, &[host], format!("record {at} was durable and sound, and recovery dropped it"));
        }
        self.ledger.truncate(slot);
    }
}

impl EngineChecks {
    /// Watches `hosts` hosts.
    pub fn new(hosts: u32) -> Self {
        Self { hosts: (0..hosts).map(|_| Watched::default()).collect(), exercised: Exercised::default() }
    }

    /// A process begins on what `disk` shows.
    pub fn booted(&mut self, host: u32, disk: &Disk) {
        let watched = &mut self.hosts[host as usize];
        watched.unsynced.clear();
        watched.founded = None;
        watched.spoke = false;
        watched.written_to = 0;
        watched.last_gated = CauseId(0);
        watched.must_not_speak = lacks_what_is_marked(disk);
    }

    /// The host's disk was replaced.
    pub fn store_replaced(&mut self, host: u32) {
        let watched = &mut self.hosts[host as usize];
        watched.ledger.clear();
        watched.objects.clear();
        watched.renewed = true;
    }

    pub(super) fn shelf(&mut self, host: u32) -> &mut Shelf {
        &mut self.hosts[host as usize].objects
    }

    /// A node has asked for something to be written.
    pub(super) fn wrote(&mut self, host: u32, cause: CauseId, write: WriteNumber) {
        let watched = &mut self.hosts[host as usize];
        watched.unsynced.push_back((cause, write));
        watched.wrote = true;
    }

    /// A process calls the store damaged: only a store that is may be given up.
    pub fn given_up(&mut self, host: u32, disk: &Disk, found: &mut Findings) {
        if disk.rotten_slots().next().is_none() {
            found.fail(REC_1, &[host], "took a crash for damage: nothing durable has changed in this store".into());
        }
    }

    /// A durable record was changed. If no mark vouches for it, the store may even look empty and be founded anew.
    pub fn store_rotted(&mut self, host: u32) {
        let watched = &mut self.hosts[host as usize];
        watched.rotted = true;
        // The process under way may not find the marks any more that were there when it began.
        watched.must_not_speak = false;
    }

    /// A process is told for how far its writes are durable.
    pub fn persisted(&mut self, host: u32, disk: &Disk) {
        let watched = &mut self.hosts[host as usize];
        while watched.unsynced.pop_front_if(|(_, write)| *write <= disk.durable()).is_some() {}
        if watched.founded.is_none() {
            // What an earlier process wrote beyond this one's boot record was never part of what this one goes by.
            watched.ledger.truncate(watched.written_to);
            watched.founded = Some(watched.ledger.len());
        }
    }

    /// A node has asked for a frame to be stored. `disk` is as it was before. Returns the body's version when it is a
    /// record of the application.
    #[allow(clippy::too_many_arguments, reason = "the facts of one write, each of another kind")]
    pub fn appended(
        &mut self,
        host: u32,
        cause: CauseId,
        write: WriteNumber,
        at: Sequence,
        bytes: &Bytes,
        disk: &Disk,
        found: &mut Findings,
    ) -> Option<BodyVersion> {
        self.wrote(host, cause, write);
        let watched = &mut self.hosts[host as usize];
        if let Some(anchor) = Anchor::read(at, bytes) {
            let problem = anchor.problem(&watched.ledger, disk).filter(|_| !disk.is_rotten());
            if let Some(problem) = problem {
                found.fail(TRIM_1, &[host], format!("the anchor in slot {at} {problem}"));
            }
            return None;
        }
        if at.0 == 0 {
            found.fail(REC_1, &[host], "what was written to slot 0 is no anchor".into());
            return None;
        }
        watched.written_to = at.0 as usize;
        let slot = (at.0 - 1) as usize;
        if watched.ledger.get(slot).is_none_or(|known| known != bytes) {
            watched.cut(host, at, disk, found);
            watched.ledger.push(bytes.clone());
        }
        if !is_frame_of(at, bytes) {
            found.fail(REC_1, &[host], format!("what was written to slot {at} is not a frame of that slot"));
            return None;
        }
        (bytes[4] == APPLICATION_KIND).then_some(BodyVersion(bytes[5]))
    }

    /// A node has asked for slots to be emptied. `disk` is as it was before.
    pub fn erased(
        &mut self,
        host: u32,
        cause: CauseId,
        write: WriteNumber,
        from: Sequence,
        disk: &Disk,
        found: &mut Findings,
    ) {
        let watched = &mut self.hosts[host as usize];
        watched.unsynced.push_back((cause, write));
        watched.cut(host, from, disk, found);
    }

    /// A node has asked for slots to be emptied since the journal starts behind them. `disk` is as it was before.
    #[allow(clippy::too_many_arguments, reason = "the facts of one write, each of another kind")]
    pub fn trimmed(
        &mut self,
        host: u32,
        cause: CauseId,
        write: WriteNumber,
        from: Sequence,
        below: Sequence,
        disk: &Disk,
        found: &mut Findings,
    ) {
        self.hosts[host as usize].unsynced.push_back((cause, write));
        self.exercised.trim_1 += 1;
        let start = start_of(disk.durable_slots());
        if from.0 <= 1 || below.0 > start && !disk.is_rotten() {
            let detail = format!("empties slots {from} to before {below}, where the journal durably starts at {start}");
            found.fail(TRIM_1, &[host], detail);
        }
    }

    /// Something that waits at the gate has left a node.
    pub fn left(&mut self, host: u32, cause: CauseId, disk: &Disk, found: &mut Findings) {
        let watched = &mut self.hosts[host as usize];
        self.exercised.dur_1 += u64::from(core::mem::take(&mut watched.wrote));
        let durable = disk.durable();
        while watched.unsynced.pop_front_if(|(_, write)| *write <= durable).is_some() {}
        if let Some((written_by, write)) = watched.unsynced.front()
            && *written_by <= cause
        {
            let detail = format!(
                "what follows from event {cause} left the node while write {write} of event {written_by} was not durable"
            );
            found.fail(DUR_1, &[host], detail);
        }
        self.rests_on_objects(host, cause, disk, found);
        self.spoke(host, disk, found);
    }

    /// Something has left a node, gated or not.
    pub fn spoke(&mut self, host: u32, disk: &Disk, found: &mut Findings) {
        let watched = &mut self.hosts[host as usize];
        if core::mem::replace(&mut watched.spoke, true) {
            return;
        }
        self.exercised.rec_1 += 1;
        if watched.must_not_speak {
            found.fail(REC_1, &[host], "speaks although a record that was once synced is damaged".into());
        }
        if !disk.is_rotten()
            && let Some(problem) = compare(&watched.ledger, watched.founded.unwrap_or(usize::MAX), disk)
        {
            found.fail(REC_1, &[host], problem);
        }
    }

    /// A packet has left a node under this name. A process keeps its name, and a later one of the same store has a
    /// later boot.
    pub fn named(&mut self, host: u32, life: u32, name: Incarnation, found: &mut Findings) {
        let watched = &mut self.hosts[host as usize];
        self.exercised.inc_1 += 1;
        let is_legal = match watched.named {
            None => true,
            Some((same, known)) if same == life => name == known,
            Some((_, known)) if watched.renewed => name.store != known.store,
            // What no mark vouched for may be forgotten, the newest boot record included.
            Some(_) if watched.rotted => true,
            Some((_, known)) => name.store == known.store && name.boot > known.boot,
        };
        if !is_legal {
            found.fail(INC_1, &[host], format!("process {life} calls itself {name:?} after {:?}", watched.named));
        }
        if watched.named.is_none_or(|(known, _)| known != life) {
            watched.named = Some((life, name));
            watched.renewed = false;
            watched.rotted = false;
        }
    }

    /// A packet that waited at the gate has left a node.
    /// The world counts events up, so that what followed from an earlier one was held earlier.
    pub fn in_order(&mut self, host: u32, cause: CauseId, found: &mut Findings) {
        let watched = &mut self.hosts[host as usize];
        self.exercised.ord_1 += 1;
        if cause < watched.last_gated {
            let last = watched.last_gated;
            found.fail(
                ORD_1,
                &[host],
                format!("what follows from {cause} left the gate after what follows from {last}"),
            );
        }
        watched.last_gated = cause;
    }

    /// Something with a time limit has left a node.
    pub fn limited(&mut self, host: u32, now: Time, not_after: Time, found: &mut Findings) {
        self.exercised.dur_2 += 1;
        if now > not_after {
            found.fail(
                DUR_2,
                &[host],
                format!("left at {now} of the node's clock, but not after {not_after} was promised"),
            );
        }
    }

    /// A packet has arrived: what must become of it is the world's own knowledge.
    pub fn opened(&mut self, host: u32, expected: Expected, refused: Option<OpenError>, found: &mut Findings) {
        self.exercised.wire_1 += u64::from(expected != Expected::Accepted);
        let is_right = match (expected, refused) {
            // A build that was set back meets packets meant for the one before it.
            (Expected::Accepted, None | Some(OpenError::Body(DecodeError::UnknownVersion { .. }))) => true,
            (Expected::Changed | Expected::Forged, Some(_)) => true,
            (Expected::ForeignCluster, Some(OpenError::ForeignCluster(_))) => true,
            // Two keys may share a name.
            (Expected::UnknownKey, Some(OpenError::UnknownKey(_) | OpenError::Forged)) => true,
            (Expected::Misdelivered, Some(OpenError::Misdelivered(_))) => true,
            _ => false,
        };
        if is_right {
            return;
        }
        let became = refused.map_or_else(|| "was accepted".into(), |error| format!("was refused: {error}"));
        found.fail(WIRE_1, &[host], format!("{} {became}", expected.subject()));
    }

    /// A keyring holds other keys, or in another order, than what was asked of it comes to.
    pub fn keyring_differs(&mut self, host: u32, holds: KeyIds, expected: KeyIds, found: &mut Findings) {
        let detail = format!("the keyring holds {holds:?}, where {expected:?} is what was asked for");
        found.fail(WIRE_1, &[host], detail);
    }

    /// How often each invariant was put to the test.
    pub fn exercised(&self) -> [(&'static str, u64); 8] {
        let Exercised { dur_1, dur_2, ord_1, rec_1, trim_1, inc_1, wire_1, obj_1 } = self.exercised;
        [
            (DUR_1, dur_1),
            (DUR_2, dur_2),
            (ORD_1, ord_1),
            (REC_1, rec_1),
            (TRIM_1, trim_1),
            (INC_1, inc_1),
            (WIRE_1, wire_1),
            (OBJ_1, obj_1),
        ]
    }
}

/// The byte that tells a record of the application from those of the engine.
const APPLICATION_KIND: u8 = 3;

/// Whether the bytes are a frame for that slot, judged by the format's description and not by the code under test.
pub(super) fn is_frame_of(at: Sequence, bytes: &Bytes) -> bool {
    let Some((covered, checksum)) = bytes.split_at_checked(bytes.len().saturating_sub(16)) else { return false };
    bytes.len() >= 68 && bytes[8..16] == at.0.to_le_bytes() && blake3::hash(covered).as_bytes()[..16] == *checksum
}

/// From where the journal starts the platter must hold the ledger, and nothing but the ledger; the first `founded`
/// records of it without exception. What stands below is not looked at.
///
/// What a failed sync has kept from being erased is passed over: readers see an empty slot. Such a record does not
/// chain to what is written in its place, so it cannot come back.
fn compare(ledger: &[Bytes], founded: usize, disk: &Disk) -> Option<String> {
    let start = start_of(disk.durable_slots());
    let mut expected = (1..).map(Sequence).zip(ledger).skip((start - 1) as usize).peekable();
    for (at, bytes) in disk.durable_slots().filter(|(at, _)| at.0 >= start) {
        if disk.is_stuck(at) {
            expected.next_if(|(slot, _)| *slot == at);
            continue;
        }
        match expected.next() {
            None => {
                return Some(format!("slot {at} still holds a record beyond the journal's end at {}", ledger.len()));
            }
            Some((slot, _)) if slot != at => return Some(format!("the durable journal has a hole at slot {slot}")),
            Some((_, written)) if written != bytes => {
                return Some(format!("slot {at} holds another record than the one the node goes by"));
            }
            Some(_) => {}
        }
    }
    let missing = expected.next().map(|(slot, _)| slot).filter(|slot| slot.0 <= founded as u64);
    missing.map(|slot| format!("record {slot} is part of the journal but not durable"))
}
