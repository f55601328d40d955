//! Who is granted a shard, and how whoever had it before ceased to have it: OWNR-2.

use super::super::{MeshChecks, OWNR_2};
use super::agreed::{Step, has_ended};
use crate::check::Findings;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::control::state::{Change, Command, ShardCommand, State};
use relaymesh_core::epoch::Epoch;
use relaymesh_core::identity::Incarnation;
use relaymesh_core::shards::{ReplicaId, ShardId, ShardRecord};

/// Owners as they were agreed on.
#[derive(Debug, Default)]
pub(in super::super) struct Granted {
    /// Of each shard the last epoch, whose it is, and the set.
    last: BTreeMap<ShardId, Last>,
    /// Whose each epoch is.
    all: BTreeMap<(ShardId, Epoch), Incarnation>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Last {
    epoch: Epoch,
    owner: Option<Incarnation>,
    in_sync: BTreeSet<ReplicaId>,
}

impl MeshChecks {
    /// OWNR-2: an entry has changed the records of shards.
    pub(super) fn owners_changed(&mut self, state: &State, step: &Step, changes: &[Change], found: &mut Findings) {
        for change in changes {
            let Change::Shard { shard } = change else { continue };
            let Some(record) = state.shard(shard) else { continue };
            let now = Last { epoch: record.epoch, owner: record.owner, in_sync: record.in_sync.clone() };
            let before = self.shards.granted.last.insert(*shard, now);
            let is_new = before.is_none();
            // Of a new shard all members have all that there is.
            let before = before.unwrap_or_else(|| Last { in_sync: record.in_sync.clone(), ..Last::default() });
            if !is_new && (before.epoch, before.owner) == (record.epoch, record.owner) {
                continue;
            }
            self.exercised.ownr_2 += 1;
            let wrong = wrong(state, (step, changes), (*shard, record), &before);
            if let Some(wrong) = wrong {
                let (before, after) = (before.owner, record.owner);
                let hosts = [before, after].into_iter().flatten().filter_map(|it| self.number(it.node));
                let hosts: Vec<u32> = hosts.collect();
                let detail =
                    format!("entry {} makes {after:?} owner of {shard} behind {before:?}: {wrong}", step.index);
                found.fail(OWNR_2, &hosts, detail);
            }
            if let Some(owner) = record.owner {
                self.shards.granted.all.insert((*shard, record.epoch), owner);
                // It may have heard of it first.
                if let Some(host) = self.shards.owners.acts(*shard, record.epoch) {
                    self.acts_as_granted(host, *shard, record.epoch, found);
                }
            }
        }
    }

    /// OWNR-2, from the other side: somebody acts as owner. The owner may know of its grant before the checker does; of one that
    /// there has never been it is known as soon as there is a later one.
    pub(super) fn acts_as_granted(&mut self, host: u32, shard: ShardId, epoch: Epoch, found: &mut Findings) {
        let granted = &self.shards.granted;
        if granted.last.get(&shard).is_none_or(|last| last.epoch < epoch) {
            return;
        }
        self.exercised.ownr_2 += 1;
        let granted = self.shards.granted.all.get(&(shard, epoch));
        if granted.and_then(|granted| self.number(granted.node)) != Some(host) {
            let detail = format!("n{host} acts under {epoch} of {shard}, which is granted to {granted:?}");
            found.fail(OWNR_2, &[host], detail);
        }
    }
}

/// What is wrong with another epoch or owner of a shard.
fn wrong(
    state: &State,
    (step, changes): (&Step, &[Change]),
    (shard, record): (ShardId, &ShardRecord),
    before: &Last,
) -> Option<&'static str> {
    let (epoch, owner) = (before.epoch, before.owner);
    let is_bump = changes.iter().any(|change| matches!(change, Change::Epoch { .. }));
    if is_bump && record.owner == owner && record.epoch.lease == epoch.lease && record.epoch > epoch {
        return None;
    }
    let has_handed_over = match (&step.command, owner) {
        (Some((client, Command::Shard(ShardCommand::HandOver { shard: of, epoch: under, .. }))), Some(owner)) => {
            *client == owner && *of == shard && *under == epoch
        }
        _ => false,
    };
    let has_stopped = owner.is_none_or(|owner| has_handed_over || has_ended(changes, owner));
    let Some(next) = record.owner else {
        return (!has_stopped).then_some("nobody has it any more, and its owner has neither handed it over nor ended");
    };
    if !has_stopped {
        Some("its owner has neither handed it over nor ended")
    } else if record.epoch.cluster < epoch.cluster || record.epoch.lease != epoch.lease + 1 {
        Some("its epoch is not the next one")
    } else if state.own_session(next).is_none() {
        Some("the next one has no session")
    } else if !before.in_sync.contains(&ReplicaId::from(next)) {
        Some("the next one does not have all that is acknowledged")
    } else {
        None
    }
}
