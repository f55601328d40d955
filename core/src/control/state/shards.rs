//! Shards: who owns each, and which replicas hold all that is acknowledged (`docs/shard-log.md`).
//!
//! The transitions are [`ShardRecord`]'s own. Here is who may ask for them, and who comes next: a member with a session
//! the one that suits the shard best, one that is cordoned last.

use super::limits::SHARDS_MAX;
use super::table::State;
use super::{Answer, Change, Cordon, Name, Refusal, SessionId, Table};
use crate::codec::encode_value;
use crate::epoch::{ClusterEpoch, Epoch, FenceToken};
use crate::identity::{BootIncarnation, Incarnation, NodeId};
use crate::machine::Sink;
use crate::shards::{
    self, COPIES_MAX, ChangeRefused, ReplicaId, SHARDS_PER_NAMESPACE_MAX, ShardId, ShardRecord, weight,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes of the record of a shard, at most.
const RECORD_BYTES_MAX: usize = 4_096;
/// Shards that one command declares, at most.
pub const DECLARED_AT_ONCE: u32 = 64;

/// What can be asked about a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ShardCommand {
    /// There is such a namespace: the next of its shards, with empty replicas on the nodes that suit them best of those
    /// that have a session. What is there already stays as it is.
    Declare {
        /// Which.
        namespace: Name,
        /// All shards that it is to have.
        shards: u32,
        /// The first one that this command is about; it is about [`DECLARED_AT_ONCE`] at most.
        first: u32,
        /// Replicas that there are to be.
        copies: u8,
        /// How many there must be at least.
        minimum: u8,
    },
    /// The owner changes the set.
    Change {
        /// Of which shard.
        shard: ShardId,
        /// Under which epoch.
        epoch: Epoch,
        /// On which version of the record.
        version: u64,
        /// How.
        change: shards::Change,
    },
    /// The owner has stopped for good: to that node, or to the member that suits best.
    HandOver {
        /// Which shard.
        shard: ShardId,
        /// Under which epoch.
        epoch: Epoch,
        /// To whom.
        to: Option<NodeId>,
    },
    /// After a recovery: go on with that record, as [`rebuilt`](crate::shards::rebuilt).
    Rebuild {
        /// Which shard.
        shard: ShardId,
        /// On which version of the void record.
        version: u64,
        /// What replicas kept.
        record: Box<ShardRecord>,
    },
}

impl State {
    pub(super) fn shard_command(
        &mut self,
        token: FenceToken,
        client: Incarnation,
        command: ShardCommand,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        let index = token.log_index();
        match command {
            ShardCommand::Declare { namespace, shards, first, copies, minimum } => {
                self.declare(token, namespace, (shards, first), (copies, minimum), out)
            }
            ShardCommand::Change { shard, epoch, version, change } => {
                let record = self.shards.get_mut(&shard).ok_or(Refusal::NoShard)?;
                record.change(index, client, epoch, version, change)?;
                out.push(Change::Shard { shard });
                Ok(Answer::Set)
            }
            ShardCommand::HandOver { shard, epoch, to } => {
                let record = self.shards.get_mut(&shard).ok_or(Refusal::NoShard)?;
                record.hand_over(index, client, epoch)?;
                self.give(shard, index, to, Some(client));
                out.push(Change::Shard { shard });
                Ok(Answer::Set)
            }
            ShardCommand::Rebuild { shard, version, record } => self.rebuild(token, shard, (version, *record), out),
        }
    }

    fn declare(
        &mut self,
        token: FenceToken,
        namespace: Name,
        (shards, first): (u32, u32),
        (copies, minimum): (u8, u8),
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        let is_shape = (1..=SHARDS_PER_NAMESPACE_MAX).contains(&shards) && minimum >= 1 && minimum <= copies;
        if !is_shape || copies > COPIES_MAX || first >= shards {
            return Err(ChangeRefused::BadShape.into());
        }
        let numbers = first..shards.min(first.saturating_add(DECLARED_AT_ONCE));
        let of = |number| ShardId { namespace, number };
        // Also of those that are not looked at now: a namespace has one shape.
        let first_of_all = self.shards.range(of(0)..=of(u32::MAX)).next().map(|(_, record)| record.shape());
        if first_of_all.is_some_and(|found| found != (shards, copies, minimum)) {
            return Err(Refusal::InUse);
        }
        let missing: Vec<ShardId> = numbers.map(of).filter(|shard| !self.shards.contains_key(shard)).collect();
        if self.shards.len() + missing.len() > SHARDS_MAX {
            return Err(Refusal::full(Table::Shards, SHARDS_MAX));
        }
        let able = self.able_replicas();
        if able.len() < usize::from(minimum) {
            return Err(ChangeRefused::TooFew { members: able.len() as u8, minimum }.into());
        }
        for shard in missing {
            let members = shards::best(&shard, able.iter().copied(), usize::from(copies));
            let record = ShardRecord::new(token.cluster(), token.log_index(), members, minimum)?;
            self.shards.insert(shard, record.shaped(shards, copies));
            self.give(shard, token.log_index(), None, None);
            out.push(Change::Shard { shard });
        }
        if self.complete_table(token.log_index(), namespace)? {
            out.push(Change::Plan { namespace });
        }
        Ok(Answer::Set)
    }

    /// Where replicas may be placed: of each node that is not cordoned the store of the process whose session was opened
    /// last. O(sessions).
    pub fn able_replicas(&self) -> Vec<ReplicaId> {
        let mut newest: BTreeMap<NodeId, (SessionId, Incarnation)> = BTreeMap::new();
        for (process, session) in &self.owners {
            let known = newest.entry(process.node).or_insert((*session, *process));
            *known = (*known).max((*session, *process));
        }
        let able = newest.into_iter().filter(|(node, _)| self.cordon(*node) == Cordon::None);
        able.map(|(_, (_, process))| process.into()).collect()
    }

    /// A void record is replaced by what replicas kept; what a quarantine keeps from holders it keeps from owners, too.
    fn rebuild(
        &mut self,
        token: FenceToken,
        shard: ShardId,
        (version, mut record): (u64, ShardRecord),
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        let void = self.shards.get_mut(&shard).ok_or(Refusal::NoShard)?;
        if !void.is_void || void.version != version {
            return Err(Refusal::Outdated { expected: version, found: void.version });
        }
        if record.shape() != void.shape() {
            return Err(ChangeRefused::BadShape.into());
        }
        let owner = record.owner.ok_or(ChangeRefused::NotOwner)?;
        let has_session = self.owners.contains_key(&owner) && record.in_sync.contains(&owner.into());
        if !has_session || self.is_quarantined || record.epoch.cluster != token.cluster() {
            return Err(Refusal::NoSession);
        }
        if record.epoch <= void.epoch {
            return Err(ChangeRefused::OtherEpoch { expected: record.epoch, found: void.epoch }.into());
        }
        record.check()?;
        (record.version, record.is_void) = (token.log_index(), false);
        self.shards.insert(shard, record);
        out.push(Change::Shard { shard });
        Ok(Answer::Set)
    }

    /// A session has ended: each shard of its process goes to another member. O(shards).
    pub(super) fn vacate_shards(&mut self, token: FenceToken, process: Incarnation, out: &mut impl Sink<Change>) {
        let index = token.log_index();
        let vacate = |(shard, record): (&ShardId, &mut ShardRecord)| record.vacate(index, process).then_some(*shard);
        let vacated: Vec<ShardId> = self.shards.iter_mut().filter_map(vacate).collect();
        for shard in vacated {
            self.give(shard, index, None, None);
            out.push(Change::Shard { shard });
        }
    }

    /// Something that kept members from being given a shard has gone. O(shards).
    pub(super) fn give_all(&mut self, token: FenceToken, out: &mut impl Sink<Change>) {
        let free: Vec<ShardId> =
            self.shards.iter().filter(|(_, record)| record.owner.is_none()).map(|(shard, _)| *shard).collect();
        for shard in free {
            if self.give(shard, token.log_index(), None, None) {
                out.push(Change::Shard { shard });
            }
        }
    }

    /// Grants a free shard to a member (rule U1): to one that is cordoned only if there is no other, to the one that hands it
    /// over only if there is no other, to `to` if it can be, and else to the one that suits best.
    fn give(&mut self, shard: ShardId, index: u64, to: Option<NodeId>, from: Option<Incarnation>) -> bool {
        let Some(record) = self.shards.get(&shard).filter(|_| !self.is_quarantined) else { return false };
        let able = record.in_sync.iter().filter_map(|member| self.process_of(*member));
        let rank = |process: &Incarnation| {
            let is_free = self.cordon(process.node) == Cordon::None;
            (is_free, Some(*process) != from, Some(process.node) == to, weight(&shard, process.node), *process)
        };
        let Some(next) = able.max_by_key(rank) else { return false };
        self.shards.get_mut(&shard).is_some_and(|record| record.grant(index, next).is_ok())
    }

    /// The process with a session that runs on a replica's store. O(log n).
    fn process_of(&self, replica: ReplicaId) -> Option<Incarnation> {
        let ReplicaId { node, store } = replica;
        let first = Incarnation { node, store, boot: BootIncarnation::default() };
        let owners = self.owners.range(first..).map(|(owner, _)| *owner);
        owners.take_while(|owner| ReplicaId::from(*owner) == replica).last()
    }

    /// Whether a process with a session runs on a replica's store. O(log n).
    pub fn has_process(&self, replica: ReplicaId) -> bool {
        self.process_of(replica).is_some()
    }

    /// The cluster's epoch has risen (rule Y5).
    pub(super) fn bump_shards(&mut self, index: u64, epoch: ClusterEpoch, out: &mut impl Sink<Change>) {
        for (shard, record) in &mut self.shards {
            record.bump(index, epoch);
            out.push(Change::Shard { shard: *shard });
        }
    }

    /// What the cluster agrees on about a shard.
    pub fn shard(&self, shard: &ShardId) -> Option<&ShardRecord> {
        self.shards.get(shard)
    }

    /// All shards, in order.
    pub fn shards(&self) -> impl Iterator<Item = (&ShardId, &ShardRecord)> {
        self.shards.iter()
    }

    /// A checksum of every record: two nodes that have applied the same have the same. O(shards).
    pub fn shards_checksum(&self) -> u64 {
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 checksum of the table of shards");
        let mut bytes = Vec::new();
        for row in &self.shards {
            bytes.clear();
            let encoded = encode_value(&row, RECORD_BYTES_MAX, &mut bytes);
            assert!(encoded.is_ok(), "a record of a shard is short");
            hasher.update(&bytes);
        }
        let mut checksum = [0; 8];
        checksum.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(checksum)
    }
}
