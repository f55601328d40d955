//! DUR-1, DUR-2, REC-1 and WIRE-1, for any application.
//!
//! The ledger of a host holds what its processes have written to each slot, in the order in which they wrote. The disk
//! tells what is truly on the platter. Both are facts of the world; nothing here relies on a node's own account.

use super::{DUR_1, DUR_2, Findings, REC_1, WIRE_1};
use crate::disk::{Bytes, Disk};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::machine::CauseId;
use relaymesh_core::record::Sequence;
use relaymesh_core::time::Time;

/// The engine's checkers for all hosts.
#[derive(Debug)]
pub struct EngineChecks {
    hosts: Vec<Watched>,
    exercised: Exercised,
}

#[derive(Clone, Copy, Debug, Default)]
struct Exercised {
    dur_1: u64,
    dur_2: u64,
    rec_1: u64,
    wire_1: u64,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    /// Writes of this process that were not durable when last looked at, with the event that emitted each.
    unsynced: VecDeque<(CauseId, WriteNumber)>,
    ledger: Vec<Bytes>,
    /// Slots that were written before this process got its first word of durability: its journal must be whole up to
    /// there before it speaks.
    founded: Option<usize>,
    /// Whether this process has let anything be seen yet.
    spoke: bool,
    /// Slots whose durable bytes were changed for good.
    rotten: Vec<Sequence>,
    /// Whether a mark vouches for a rotten slot: this process must notice and must not speak.
    must_not_speak: bool,
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
        let vouched_for =
            |rotten: &Sequence| disk.cached_slots().any(|(at, bytes)| at != *rotten && mark_of(bytes) >= *rotten);
        watched.must_not_speak = watched.rotten.iter().any(vouched_for);
    }

    /// The host's disk was replaced.
    pub fn store_replaced(&mut self, host: u32) {
        let watched = &mut self.hosts[host as usize];
        watched.ledger.clear();
        watched.rotten.clear();
    }

    /// A durable record was changed.
    pub fn store_rotted(&mut self, host: u32, at: Sequence) {
        self.hosts[host as usize].rotten.push(at);
    }

    /// A process is told for how far its writes are durable.
    pub fn persisted(&mut self, host: u32) {
        let watched = &mut self.hosts[host as usize];
        watched.founded.get_or_insert(watched.ledger.len());
    }

    /// A node has asked for a frame to be stored.
    pub fn appended(&mut self, host: u32, cause: CauseId, write: WriteNumber, at: Sequence, bytes: &Bytes) {
        let watched = &mut self.hosts[host as usize];
        watched.unsynced.push_back((cause, write));
        let slot = (at.0 - 1) as usize;
        if watched.ledger.get(slot).is_some_and(|known| known == bytes) {
            return;
        }
        watched.ledger.truncate(slot);
        watched.ledger.push(bytes.clone());
    }

    /// A node has asked for slots to be emptied.
    pub fn erased(&mut self, host: u32, cause: CauseId, write: WriteNumber, from: Sequence) {
        let watched = &mut self.hosts[host as usize];
        watched.unsynced.push_back((cause, write));
        watched.ledger.truncate((from.0 - 1) as usize);
    }

    /// Something that waits at the gate has left a node.
    pub fn left(&mut self, host: u32, cause: CauseId, disk: &Disk, found: &mut Findings) {
        let watched = &mut self.hosts[host as usize];
        self.exercised.dur_1 += u64::from(!watched.ledger.is_empty());
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
        if watched.rotten.is_empty()
            && let Some(problem) = compare(&watched.ledger, watched.founded.unwrap_or(usize::MAX), disk)
        {
            found.fail(REC_1, &[host], problem);
        }
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

    /// A packet that was changed on the way has arrived.
    pub fn altered(&mut self, host: u32, accepted: bool, found: &mut Findings) {
        self.exercised.wire_1 += 1;
        if accepted {
            found.fail(WIRE_1, &[host], "a packet with flipped bits was accepted".into());
        }
    }

    /// How often each invariant was put to the test.
    pub fn exercised(&self) -> [(&'static str, u64); 4] {
        let Exercised { dur_1, dur_2, rec_1, wire_1 } = self.exercised;
        [(DUR_1, dur_1), (DUR_2, dur_2), (REC_1, rec_1), (WIRE_1, wire_1)]
    }
}

/// The platter must hold the ledger, and nothing but the ledger; the first `founded` records of it without exception.
fn compare(ledger: &[Bytes], founded: usize, disk: &Disk) -> Option<String> {
    let mut expected = (1..).map(Sequence).zip(ledger);
    for (at, bytes) in disk.durable_slots() {
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

/// The synced mark of a frame, read from its place in the header; zero when there is none.
fn mark_of(frame: &Bytes) -> Sequence {
    Sequence(frame.get(24..32).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes))
}
