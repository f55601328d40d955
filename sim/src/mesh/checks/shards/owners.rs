//! Who acts as owner of a shard, and who has promised what: OWNR-1, FENC-1.
//!
//! A process is a host and how often it was started: what a restart forgets, a checker does not.

use super::super::{FENC_1, MeshChecks, OWNR_1};
use crate::check::Findings;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::epoch::Epoch;
use relaymesh_core::replication::Message;
use relaymesh_core::shards::ShardId;

/// Owners by epoch, and promises by store.
#[derive(Debug)]
pub(in super::super) struct Owners {
    /// Who acts for a shard under an epoch: the host, and which of its processes.
    acting: BTreeMap<(ShardId, Epoch), (u32, u64)>,
    /// The newest epoch under which the store of each host has said anything, as owner or as a replica that follows: it has
    /// promised to accept nothing older.
    promised: Vec<BTreeMap<ShardId, Epoch>>,
}

impl Owners {
    pub(super) fn new(nodes: u32) -> Self {
        Self { acting: BTreeMap::new(), promised: vec![BTreeMap::new(); nodes as usize] }
    }

    /// Who has acted under an epoch, if anybody has.
    pub(super) fn acts(&self, shard: ShardId, epoch: Epoch) -> Option<u32> {
        self.acting.get(&(shard, epoch)).map(|(host, _)| *host)
    }

    pub(super) fn store_lost(&mut self, host: u32) {
        self.promised[host as usize].clear();
    }
}

/// Whether only the owner of an epoch says so.
pub(super) fn is_of_owner(message: &Message) -> bool {
    use Message::{Append, Fetch, Promise, Snapshot};
    matches!(message, Promise { .. } | Append { .. } | Fetch { .. } | Snapshot { .. })
}

impl MeshChecks {
    /// OWNR-1 and FENC-1: a replica says something.
    pub(super) fn owner_sent(&mut self, host: u32, shard: ShardId, message: &Message, found: &mut Findings) {
        let (epoch, life) = (message.epoch(), self.lives[host as usize]);
        if matches!(message, Message::Fenced { .. }) {
            return;
        }
        let owners = &mut self.shards.owners;
        let promised = owners.promised[host as usize].entry(shard).or_insert(epoch);
        self.exercised.fenc_1 += u64::from(*promised != epoch);
        if epoch < *promised {
            let what = if is_of_owner(message) { "acts as owner" } else { "accepts" };
            let detail = format!("n{host} {what} under {epoch} of {shard}, after it has promised {promised}");
            found.fail(FENC_1, &[host], detail);
        }
        *promised = epoch.max(*promised);
        if !is_of_owner(message) {
            return;
        }
        self.acts_as_granted(host, shard, epoch, found);
        self.exercised.ownr_1 += 1;
        let (owners, record) = (&mut self.shards.owners, &mut self.record);
        let (first, of) = *owners.acting.entry((shard, epoch)).or_insert_with(|| {
            record.tenures.extend(record.is_kept.then_some((found.now, shard, host)));
            (host, life)
        });
        if (first, of) != (host, life) {
            let detail = format!(
                "n{host}, process {life}, acts under {epoch} of {shard}, under which n{first}, process {of}, has acted"
            );
            found.fail(OWNR_1, &[first, host], detail);
        }
    }
}
