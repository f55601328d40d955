//! What is submitted under a key: PARK-1, PARK-2.
//!
//! Each key adds one to a register of its own: what that holds is how often it took effect. Whoever says that it took effect
//! before its entry was shown to anybody has not waited for a second disk.

use super::super::super::clients::shards::KEYED;
use super::super::{MeshChecks, PARK_1, PARK_2};
use crate::check::Findings;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use relaymesh_core::codec::decode_value;
use relaymesh_core::replication::once::{Stored, SubmissionId, open};
use relaymesh_core::replication::registers::{Answer as Told, Command};
use relaymesh_core::replication::{Block, Entry, LogSequence};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Fate, Keeping, Message, Reply, Request};

/// What is known of one key.
#[derive(Debug, Default)]
struct Key {
    register: u64,
    asked: u32,
    refused: u32,
    is_done: bool,
    is_parked: bool,
    /// Somebody was sent its entry.
    is_shown: bool,
    /// Hosts that have said to keep it, and those of them that have not lost their disks since.
    said: BTreeSet<u32>,
    keepers: BTreeSet<u32>,
}

impl Key {
    fn is_kept_by(&mut self, host: u32) {
        self.said.insert(host);
        self.keepers.insert(host);
    }
}

/// All keys of a run.
#[derive(Debug)]
pub(in super::super) struct Keys {
    keys: BTreeMap<(ShardId, SubmissionId), Key>,
    /// What a host asks others to keep, by the number of its question.
    asked: BTreeMap<(u32, u64), (ShardId, SubmissionId)>,
    /// An operator may give up what is acknowledged.
    is_watched: bool,
}

impl Keys {
    pub(super) fn new(is_watched: bool) -> Self {
        Self { keys: BTreeMap::new(), asked: BTreeMap::new(), is_watched }
    }

    pub(super) fn store_lost(&mut self, host: u32) {
        for key in self.keys.values_mut() {
            key.keepers.remove(&host);
        }
    }

    fn name(shard: ShardId, key: &[u8]) -> (ShardId, SubmissionId) {
        (shard, SubmissionId::of(&shard.namespace, key))
    }

    /// A client submits.
    pub(super) fn asked(&mut self, request: &Request) {
        let Request::SubmitOnce { shard, key, command } = request else { return };
        let Ok(Command::Add { register, .. }) = decode_value(&command.0) else { return };
        let key = self.keys.entry(Self::name(*shard, &key.0)).or_default();
        key.register = register;
        key.asked += 1;
    }

    /// Entries are sent.
    fn shown(&mut self, shard: ShardId, block: &Block) {
        for at in block.first().sequence.0..=block.last().sequence.0 {
            let Some(Entry::Command(bytes)) = block.entry(LogSequence(at)) else { continue };
            if let Stored::Once { id, .. } = open(bytes) {
                self.keys.entry((shard, id)).or_default().is_shown = true;
            }
        }
    }

    /// A node says something to another.
    pub(super) fn said(&mut self, host: u32, to: u32, message: &Message) {
        use relaymesh_core::replication::Message as Said;
        match message {
            Message::Replica {
                shard,
                message: Said::Append { block: Some(block), .. } | Said::Fetched { block: Some(block), .. },
                ..
            } => self.shown(*shard, block),
            Message::Keep { number, submission, .. } => {
                self.asked.insert((host, *number), (submission.shard, submission.id));
            }
            Message::Keeping { number, keeping: Keeping::Kept } => {
                let name = self.asked.get(&(to, *number));
                if let Some(key) = name.and_then(|name| self.keys.get_mut(name)) {
                    key.is_kept_by(host);
                }
            }
            _ => {}
        }
    }

    /// What is wrong with what a key came to, where the register holds that in the end.
    fn problem(key: &Key, held: Option<u64>) -> Option<(&'static str, &'static str)> {
        let is_refused = key.refused == key.asked && !key.is_parked && !key.is_done;
        match held {
            Some(2..) => Some((PARK_2, "took effect more than once")),
            Some(_) if is_refused => Some((PARK_2, "took effect, and was refused whenever it was submitted")),
            None if key.is_done => Some((PARK_2, "did not take effect, and was said to have")),
            None if key.is_parked && !key.keepers.is_empty() => Some((PARK_1, "was parked, and did not take effect")),
            _ => None,
        }
    }
}

impl MeshChecks {
    /// A client learns what became of a key.
    pub(super) fn key_answered(&mut self, host: u32, request: &Request, reply: &Reply, found: &mut Findings) {
        let (Request::SubmitOnce { shard, key, .. } | Request::Outcome { shard, key }) = request else { return };
        let known = self.shards.keys.keys.get_mut(&Keys::name(*shard, &key.0));
        // What is submitted under other keys, others watch.
        let Some(key) = known.filter(|key| key.register >= KEYED) else { return };
        let answer = match reply {
            Reply::Done(answer) | Reply::Outcome(Fate::Taken(Some(answer))) => Some(answer),
            Reply::Taken | Reply::Outcome(Fate::Taken(None)) => None,
            Reply::Parked { copies, .. } => {
                key.is_parked = true;
                key.is_kept_by(host);
                self.exercised.park_1 += 1;
                let keepers = key.said.len();
                if usize::from(*copies) > keepers {
                    let detail = format!("n{host} says that {copies} disks have what {keepers} have");
                    found.fail(PARK_1, &[host], detail);
                }
                return;
            }
            Reply::Refused(_) => return key.refused += 1,
            _ => return,
        };
        key.is_done = true;
        self.exercised.park_2 += 1;
        if !key.is_shown {
            let detail = format!("n{host} says that {} took effect, whose entry nobody was sent", key.register - KEYED);
            found.fail(PARK_2, &[host], detail);
        }
        let told = answer.map(|answer| decode_value(&answer.0).unwrap_or(Told::Malformed));
        if let Some(told) = told.filter(|told| *told != Told::Holds(Some(1))) {
            let detail = format!("n{host} says that {} came to {told:?}", key.register - KEYED);
            found.fail(PARK_2, &[host], detail);
        }
    }

    /// PARK-1, PARK-2: the run is over, and everything is healed.
    pub(in super::super) fn check_keys(&mut self, found: &mut Findings) {
        let shards = &self.shards;
        if !shards.keys.is_watched {
            return;
        }
        for ((shard, _), key) in shards.keys.keys.iter().filter(|(_, key)| key.register >= KEYED) {
            let Some(state) = shards.digests.newest(shard) else { continue };
            let held = state.service().registers().value(key.register);
            self.exercised.park_2 += 1;
            if let Some((invariant, what)) = Keys::problem(key, held) {
                let detail = format!("{} of {shard} {what}: {key:?}", key.register - KEYED);
                match invariant == PARK_1 {
                    true => found.miss(invariant, &[], detail),
                    false => found.fail(invariant, &[], detail),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(is_parked: bool, is_done: bool, refused: u32) -> Key {
        let keepers = BTreeSet::from([1]);
        Key { register: KEYED, asked: 2, refused, is_done, is_parked, is_shown: true, said: keepers.clone(), keepers }
    }

    fn found(key: &Key, held: Option<u64>) -> Option<&'static str> {
        Keys::problem(key, held).map(|(invariant, _)| invariant)
    }

    #[test]
    fn what_is_parked_has_to_take_effect_while_a_keeper_has_its_disk() {
        assert_eq!(found(&key(true, false, 0), Some(1)), None);
        assert_eq!(found(&key(true, false, 0), None), Some(PARK_1));
        let lost = Key { keepers: BTreeSet::new(), ..key(true, false, 0) };
        assert_eq!(found(&lost, None), None);
    }

    #[test]
    fn a_key_takes_effect_once_where_that_was_said_and_not_at_all_where_it_was_refused() {
        for is_parked in [false, true] {
            assert_eq!(found(&key(is_parked, true, 1), Some(1)), None);
            assert_eq!(found(&key(is_parked, true, 1), None), Some(PARK_2));
            assert_eq!(found(&key(is_parked, false, 1), Some(2)), Some(PARK_2));
        }
        assert_eq!(found(&key(false, false, 2), Some(1)), Some(PARK_2));
        assert_eq!(found(&key(false, false, 2), None), None);
        assert_eq!(found(&key(false, false, 1), Some(1)), None, "once it was not known");
    }
}
