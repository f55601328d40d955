//! What clients write, add and read: SHRD-1, at the end of the run.
//!
//! What a node refused did not happen, so that nobody may see anything of it. What it does not know, or nobody answered, may
//! have happened at any time since, or never.

use super::super::super::clients::shards::{COUNTERS, LANE_BITS};
use super::super::{MeshChecks, SHRD_1};
use crate::check::Findings;
use crate::check::counter::{Count, misplaced};
use crate::check::linearizable::{Deed, Operation, Verdict, check};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::codec::decode_value;
use relaymesh_core::replication::registers::{Answer as Told, Command};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Reply, Request};

/// States of one register's search. Far more than any run has needed.
const STATES_MAX: usize = 1 << 20;

/// A register of a shard.
type Place = (ShardId, u64);

/// An operation that a client waits for.
#[derive(Clone, Copy, Debug)]
struct Pending {
    place: Place,
    /// Its number in the history.
    at: usize,
    command: Command,
    is_logged: bool,
}

/// The histories of all registers and counters.
#[derive(Debug)]
pub(in super::super) struct Stories {
    registers: BTreeMap<Place, Vec<Operation>>,
    counters: BTreeMap<Place, Vec<Count>>,
    under_way: BTreeMap<u32, Pending>,
    /// Counts what clients do and hear.
    instant: u64,
    /// Clocks stray by more than ε, so that reads that are not in the log may be late (rule V2).
    reads_may_be_late: bool,
}

impl Stories {
    pub(super) fn new(reads_may_be_late: bool) -> Self {
        let (registers, counters, under_way) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { registers, counters, under_way, instant: 0, reads_may_be_late }
    }

    /// A client asks something. Its last operation, if it still waits, is one whose outcome nobody will know.
    pub(super) fn asked(&mut self, client: u32, request: &Request) {
        self.instant += 1;
        self.under_way.remove(&client);
        let (shard, bytes, is_logged) = match request {
            Request::Submit { shard, command } => (*shard, command, true),
            Request::Read { shard, query } => (*shard, query, false),
            _ => return,
        };
        let Ok(command) = decode_value::<Command>(&bytes.0) else { return };
        let invoked = self.instant;
        let (register, deed) = match command {
            Command::Write { register, value } | Command::Refer { register, value, .. } => {
                (register, Deed::Wrote(value))
            }
            Command::CompareAndSet { register, expected, value } => (register, Deed::Swapped { expected, value }),
            Command::Read { register } | Command::Add { register, .. } => (register, Deed::Read(None)),
        };
        let place = (shard, register);
        let at = if register < COUNTERS {
            let history = self.registers.entry(place).or_default();
            history.push(Operation { invoked, returned: None, deed });
            history.len() - 1
        } else {
            let lane = match command {
                Command::Add { by, .. } => Some((by.trailing_zeros() / LANE_BITS) as usize),
                _ => None,
            };
            let history = self.counters.entry(place).or_default();
            history.push(Count { invoked, returned: None, lane });
            history.len() - 1
        };
        self.under_way.insert(client, Pending { place, at, command, is_logged });
    }

    /// It did not happen.
    fn refused(&mut self, pending: Pending) {
        if let Some(operation) = self.registers.get_mut(&pending.place).and_then(|it| it.get_mut(pending.at)) {
            operation.deed = Deed::Read(None);
        }
        if let Some(count) = self.counters.get_mut(&pending.place).and_then(|it| it.get_mut(pending.at)) {
            count.lane = None;
        }
    }

    /// It came to this. What is wrong with that by itself.
    fn done(&mut self, pending: Pending, told: Told) -> Result<(), ()> {
        self.instant += 1;
        let is_late = self.reads_may_be_late && !pending.is_logged;
        let returned = self.instant;
        let (held, differs) = match told {
            Told::Holds(value) => (value, false),
            Told::Differs(value) => (value, true),
            // What it would have referred to is not there.
            Told::NoBlob if matches!(pending.command, Command::Refer { .. }) => {
                self.refused(pending);
                return Ok(());
            }
            Told::Full | Told::Malformed | Told::NoBlob => return Err(()),
        };
        let deed = match pending.command {
            Command::Read { .. } if !differs => Deed::Read(held),
            Command::Write { value, .. } | Command::Refer { value, .. } if !differs && held == Some(value) => {
                Deed::Wrote(value)
            }
            Command::CompareAndSet { expected, value, .. } if !differs && held == Some(value) => {
                Deed::Swapped { expected, value }
            }
            Command::CompareAndSet { expected, .. } if differs => Deed::Differed { expected, found: held },
            Command::Add { .. } if !differs => Deed::Read(held),
            _ => return Err(()),
        };
        if is_late {
            return Ok(());
        }
        if let Some(operation) = self.registers.get_mut(&pending.place).and_then(|it| it.get_mut(pending.at)) {
            *operation = Operation { returned: Some(returned), deed, ..*operation };
        }
        if let Some(count) = self.counters.get_mut(&pending.place).and_then(|it| it.get_mut(pending.at)) {
            count.returned = Some((returned, held.unwrap_or(0)));
        }
        Ok(())
    }
}

impl MeshChecks {
    /// A client learns what became of its operation.
    pub(super) fn operation_answered(&mut self, (client, host): (u32, u32), reply: &Reply, found: &mut Findings) {
        let stories = &mut self.shards.stories;
        let Some(pending) = stories.under_way.remove(&client) else { return };
        match reply {
            Reply::Done(bytes) => {
                let told = decode_value(&bytes.0).unwrap_or(Told::Malformed);
                if stories.done(pending, told).is_err() {
                    let detail = format!("n{host} answers {:?} with {told:?}", pending.command);
                    found.fail(SHRD_1, &[host], detail);
                }
            }
            Reply::Refused(_) => stories.refused(pending),
            _ => {}
        }
    }

    /// SHRD-1: of each register and counter there is a story in which each operation happened at once.
    pub(in super::super) fn check_stories(&mut self, found: &mut Findings) {
        let stories = &self.shards.stories;
        for ((shard, register), history) in &stories.registers {
            self.exercised.shrd_1 += history.iter().filter(|operation| operation.returned.is_some()).count() as u64;
            match check(history, STATES_MAX) {
                Verdict::Linearizable => {}
                Verdict::Impossible { stuck } => {
                    let (begun, ended) = (history[stuck].invoked, history[stuck].returned.unwrap_or(u64::MAX));
                    let is_near =
                        |it: &&Operation| it.invoked <= ended && it.returned.is_none_or(|returned| returned >= begun);
                    let near: Vec<&Operation> = history.iter().filter(is_near).take(12).collect();
                    let detail =
                        format!("register {register} of {shard} has no place for {:?} among {near:?}", history[stuck]);
                    found.fail(SHRD_1, &[], detail);
                }
                Verdict::Undecided => {
                    let detail =
                        format!("the story of register {register} of {shard} takes more than {STATES_MAX} states");
                    found.fail(SHRD_1, &[], detail);
                }
            }
        }
        for ((shard, counter), history) in &stories.counters {
            self.exercised.shrd_1 += history.iter().filter(|count| count.returned.is_some()).count() as u64;
            if let Some(at) = misplaced(history, LANE_BITS) {
                let detail = format!("counter {} of {shard} has no place for {:?}", counter - COUNTERS, history[at]);
                found.fail(SHRD_1, &[], detail);
            }
        }
    }
}
