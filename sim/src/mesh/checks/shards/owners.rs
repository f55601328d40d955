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
    /// The newest epoch under which the store of each host has said anything as a replica that follows.
    followed: Vec<BTreeMap<ShardId, Epoch>>,
}

impl Owners {
    pub(super) fn new(nodes: u32) -> Self {
        Self { acting: BTreeMap::new(), followed: vec![BTreeMap::new(); nodes as usize] }
    }

    pub(super) fn store_lost(&mut self, host: u32) {
        self.followed[host as usize].clear();
    }
}

/// Whether only the owner of an epoch says so.
pub(super) fn is_of_owner(message: &Message) -> bool {
    matches!(message, Message::Promise { .. } | Message::Append { .. } | Message::Fetch { .. })
}

impl MeshChecks {
    /// OWNR-1 and FENC-1: a replica says something.
    pub(super) fn owner_sent(&mut self, host: u32, shard: ShardId, message: &Message, found: &mut Findings) {
        let (epoch, life) = (message.epoch(), self.lives[host as usize]);
        let owners = &mut self.shards.owners;
        let followed = owners.followed[host as usize].get(&shard).copied().unwrap_or_default();
        if matches!(message, Message::Fenced { .. }) {
            return;
        }
        self.exercised.fenc_1 += u64::from(followed > Epoch::default());
        if epoch < followed {
            let what = if is_of_owner(message) { "acts as owner" } else { "accepts" };
            let detail = format!("n{host} {what} under {epoch} of {shard}, after it has promised {followed}");
            found.fail(FENC_1, &[host], detail);
        }
        if !is_of_owner(message) {
            owners.followed[host as usize].insert(shard, epoch.max(followed));
            return;
        }
        self.exercised.ownr_1 += 1;
        let (first, of) = *owners.acting.entry((shard, epoch)).or_insert((host, life));
        if (first, of) != (host, life) {
            let detail = format!(
                "n{host}, process {life}, acts under {epoch} of {shard}, under which n{first}, process {of}, has acted"
            );
            found.fail(OWNR_1, &[first, host], detail);
        }
    }
}
