//! The record of a shard: its epoch, its owner, and the set of replicas that hold all that is acknowledged.
//!
//! Pure transitions, each applied by a committed entry of the control group, the same on every node. `docs/shard-log.md`
//! has the rules' names. What a refused transition leaves is the record as it was.

use super::ReplicaId;
use crate::epoch::{ClusterEpoch, Epoch};
use crate::identity::{Incarnation, NodeId};
use crate::replication::Position;
use alloc::collections::BTreeSet;
use serde::{Deserialize, Serialize};

/// Replicas in one set, at most.
pub const IN_SYNC_MAX: usize = 8;
/// Replicas that a shard may be meant to have: one less, so that another can come in before one goes out.
pub const COPIES_MAX: u8 = IN_SYNC_MAX as u8 - 1;

/// What the control group knows of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The epoch under which the owner writes: the shard's own part rises with each grant, the cluster's with each bump.
    pub epoch: Epoch,
    /// The control entry that changed the record last: what a conditional change names.
    pub version: u64,
    /// The process that may act under the epoch (rule U7).
    pub owner: Option<Incarnation>,
    /// Who holds all that is acknowledged.
    pub in_sync: BTreeSet<ReplicaId>,
    /// The set is never smaller than this.
    pub minimum: u8,
    /// Replicas that there are to be.
    pub copies: u8,
    /// How many shards its namespace has, for ever.
    pub of: u32,
    /// A recovery has voided the set: nothing is granted until it is rebuilt (rule Y1).
    pub is_void: bool,
}

/// A change of the set, as its owner proposes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A replica that holds all that is acknowledged comes in.
    Add(ReplicaId),
    /// One that does not answer, or is wanted elsewhere, goes out.
    Remove(ReplicaId),
    /// Both at once, for a set that may not become smaller, and for a node that came back on another store (rule I7).
    Replace {
        /// Who comes in.
        add: ReplicaId,
        /// Who goes out.
        remove: ReplicaId,
    },
}

impl Change {
    /// Who comes in.
    pub fn added(self) -> Option<ReplicaId> {
        match self {
            Self::Add(add) | Self::Replace { add, .. } => Some(add),
            Self::Remove(_) => None,
        }
    }

    /// Who goes out.
    pub fn removed(self) -> Option<ReplicaId> {
        match self {
            Self::Remove(remove) | Self::Replace { remove, .. } => Some(remove),
            Self::Add(_) => None,
        }
    }
}

/// Why a transition was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum ChangeRefused {
    /// Such a namespace there cannot be.
    #[error("a namespace has 1 to {shards_max} shards, and at most {copies_max} copies of each, not fewer than the minimum", shards_max = super::SHARDS_PER_NAMESPACE_MAX, copies_max = COPIES_MAX)]
    BadShape,
    /// Only the owner changes the set or hands over (rule I1).
    #[error("not the owner of the shard; follow the record")]
    NotOwner,
    /// The record is under another epoch.
    #[error("proposed under epoch {expected}, the record is under {found}; follow the record")]
    OtherEpoch {
        /// The proposal's.
        expected: Epoch,
        /// The record's.
        found: Epoch,
    },
    /// It was changed meanwhile.
    #[error("proposed on version {expected}, the record is in version {found}; look again")]
    Outdated {
        /// The proposal's.
        expected: u64,
        /// The record's.
        found: u64,
    },
    /// The set would be smaller than it may be.
    #[error("{members} members are too few, {minimum} are the minimum; add one first")]
    TooFew {
        /// Members that would be left.
        members: u8,
        /// Members that there must be.
        minimum: u8,
    },
    /// The set would be larger than it may be.
    #[error("no more than {limit} replicas are kept in sync", limit = IN_SYNC_MAX)]
    TooMany,
    /// The owner holds what it acknowledges (rule I9).
    #[error("the owner cannot leave the set; hand over first")]
    OwnerLeaves,
    /// A set has one store of a node (rule I7).
    #[error("another store of that node is a member; replace it instead")]
    SameNode,
    /// It is not a member, or is one already.
    #[error("the set does not allow that change; look again")]
    NoChange,
    /// Somebody owns the shard.
    #[error("the shard has an owner")]
    Owned,
    /// The set is void after a recovery.
    #[error("the set is void since a recovery; rebuild it")]
    Void,
}

impl ShardRecord {
    /// A new shard that nobody owns yet: its members hold the same, that is, nothing.
    ///
    /// # Errors
    /// [`ChangeRefused`] when the set is smaller than the minimum, too large, or names a node twice.
    pub fn new(
        cluster: ClusterEpoch,
        version: u64,
        in_sync: BTreeSet<ReplicaId>,
        minimum: u8,
    ) -> Result<Self, ChangeRefused> {
        let epoch = Epoch { cluster, lease: 0 };
        let (minimum, copies) = (minimum.max(1), (in_sync.len() as u8).max(minimum));
        let record = Self { epoch, version, owner: None, in_sync, minimum, copies, of: 1, is_void: false };
        record.check()?;
        Ok(record)
    }

    /// The same as one of so many shards, of which there are to be so many replicas.
    #[must_use]
    pub fn shaped(self, of: u32, copies: u8) -> Self {
        Self { of, copies: copies.max(self.minimum), ..self }
    }

    /// What its namespace was declared with, and no recovery changes: shards, replicas of each, and the minimum.
    pub fn shape(&self) -> (u32, u8, u8) {
        (self.of, self.copies, self.minimum)
    }

    /// Whether the set is one that a record may have: large enough, small enough, no node twice.
    ///
    /// # Errors
    /// [`ChangeRefused`] says what is wrong with it.
    pub fn check(&self) -> Result<(), ChangeRefused> {
        self.check_set(&self.in_sync)
    }

    /// Whether this process may act for the shard under the record's epoch.
    pub fn is_owned_by(&self, process: Incarnation) -> bool {
        self.owner == Some(process)
    }

    /// Whether that node has a copy of all that is acknowledged; an owner always has.
    pub fn is_on(&self, node: NodeId) -> bool {
        self.in_sync.iter().any(|member| member.node == node)
    }

    /// Whether this record tells more than `other`.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.epoch, self.version) > (other.epoch, other.version)
    }

    /// A member becomes the owner, under a new epoch (rule U1).
    ///
    /// # Errors
    /// [`ChangeRefused`] when somebody owns the shard, the set is void, or the process runs on no member.
    pub fn grant(&mut self, version: u64, to: Incarnation) -> Result<(), ChangeRefused> {
        if self.is_void {
            return Err(ChangeRefused::Void);
        }
        if self.owner.is_some() {
            return Err(ChangeRefused::Owned);
        }
        if !self.in_sync.contains(&to.into()) {
            return Err(ChangeRefused::NoChange);
        }
        self.epoch.lease = self.epoch.lease.checked_add(1).ok_or(ChangeRefused::NoChange)?;
        (self.version, self.owner) = (version, Some(to));
        Ok(())
    }

    /// The owner's session has ended. Says whether this process was the owner.
    pub fn vacate(&mut self, version: u64, process: Incarnation) -> bool {
        let was_owner = self.is_owned_by(process);
        if was_owner {
            (self.version, self.owner) = (version, None);
        }
        was_owner
    }

    /// The owner has stopped for good (rule H1): nobody owns the shard. The condition is the epoch alone (rule H3).
    ///
    /// # Errors
    /// [`ChangeRefused`] from anybody else, or under another epoch.
    pub fn hand_over(&mut self, version: u64, by: Incarnation, epoch: Epoch) -> Result<(), ChangeRefused> {
        self.check_owner(by, epoch)?;
        self.vacate(version, by);
        Ok(())
    }

    /// The owner changes the set (rule I1).
    ///
    /// # Errors
    /// [`ChangeRefused`] says which condition did not hold.
    pub fn change(
        &mut self,
        version: u64,
        by: Incarnation,
        epoch: Epoch,
        expected: u64,
        change: Change,
    ) -> Result<(), ChangeRefused> {
        self.check_owner(by, epoch)?;
        if expected != self.version {
            return Err(ChangeRefused::Outdated { expected, found: self.version });
        }
        if change.removed() == Some(by.into()) {
            return Err(ChangeRefused::OwnerLeaves);
        }
        let mut set = self.in_sync.clone();
        if change.removed().is_some_and(|removed| !set.remove(&removed)) {
            return Err(ChangeRefused::NoChange);
        }
        if change.added().is_some_and(|added| !set.insert(added)) {
            return Err(ChangeRefused::NoChange);
        }
        self.check_set(&set)?;
        (self.in_sync, self.version) = (set, version);
        Ok(())
    }

    /// The cluster's epoch has risen; owner and set stay (rule Y5).
    pub fn bump(&mut self, version: u64, cluster: ClusterEpoch) {
        (self.epoch.cluster, self.version) = (cluster, version);
    }

    /// Another history has begun: the record is not to be relied on (rule Y1).
    pub fn void(&mut self, version: u64, cluster: ClusterEpoch) {
        self.bump(version, cluster);
        (self.owner, self.is_void) = (None, true);
    }

    fn check_owner(&self, by: Incarnation, epoch: Epoch) -> Result<(), ChangeRefused> {
        if epoch != self.epoch {
            return Err(ChangeRefused::OtherEpoch { expected: epoch, found: self.epoch });
        }
        if self.is_owned_by(by) { Ok(()) } else { Err(ChangeRefused::NotOwner) }
    }

    fn check_set(&self, set: &BTreeSet<ReplicaId>) -> Result<(), ChangeRefused> {
        if set.len() > IN_SYNC_MAX {
            return Err(ChangeRefused::TooMany);
        }
        if set.len() < usize::from(self.minimum) {
            return Err(ChangeRefused::TooFew { members: set.len() as u8, minimum: self.minimum });
        }
        // Replicas order by node, so that two stores of one stand side by side.
        let is_twice = set.iter().zip(set.iter().skip(1)).any(|(one, next)| one.node == next.node);
        if is_twice { Err(ChangeRefused::SameNode) } else { Ok(()) }
    }
}

/// Where a log ends: what a recovery compares.
pub type LogEnd = Position;

/// What a replica kept, told after a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kept {
    /// Which replica.
    pub replica: ReplicaId,
    /// The process that runs on it now.
    pub process: Incarnation,
    /// The newest epoch it has promised.
    pub promised: Epoch,
    /// The newest record it has.
    pub record: Option<ShardRecord>,
    /// A change that it meant to propose on that record or a later one, with the epoch and version of the condition.
    pub intended: Option<(Epoch, u64, Change)>,
    /// Where its log ends.
    pub end: LogEnd,
}

/// Why a shard was not rebuilt. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum RebuildRefused {
    /// Nobody kept anything of it.
    #[error("no reachable replica has a record of the shard; restore one, or declare the shard anew")]
    NothingKept,
    /// Somebody who may have what is acknowledged is not there (rule Y2).
    #[error(
        "{missing} of the last known set are not reachable; bring them back, or consent to losing what only they hold"
    )]
    Consent {
        /// How many.
        missing: u64,
    },
    /// A replica claims an epoch that leaves none above it.
    #[error("a replica has promised the last epoch that there can be; leave it out")]
    NoRoom,
    /// Those that are there are fewer than the minimum.
    #[error(transparent)]
    Set(#[from] ChangeRefused),
}

/// The newest record that replicas kept, with a change that may have been committed since.
pub fn newest_kept(kept: &[Kept]) -> Option<(&ShardRecord, Option<Change>)> {
    let newest =
        kept.iter().filter_map(|kept| kept.record.as_ref()).max_by_key(|record| (record.epoch, record.version))?;
    let condition = (newest.epoch, newest.version);
    let on_it = |intended: &(Epoch, u64, Change)| (intended.0, intended.1) >= condition;
    let intended = kept.iter().filter_map(|kept| kept.intended).find(on_it).map(|(.., change)| change);
    Some((newest, intended))
}

/// The record with which a shard goes on after a recovery, owned by the replica with the highest log (rules Y1 to Y4).
///
/// `has_consent` says that the operator goes on although members are missing.
///
/// # Errors
/// [`RebuildRefused`] when consent is needed, or nothing can be built.
pub fn rebuilt(
    cluster: ClusterEpoch,
    version: u64,
    kept: &[Kept],
    has_consent: bool,
) -> Result<ShardRecord, RebuildRefused> {
    let (newest, intended) = newest_kept(kept).ok_or(RebuildRefused::NothingKept)?;
    // What was meant may have been committed: whoever it adds may hold what nobody else does.
    let mut last_known = newest.in_sync.clone();
    last_known.extend(intended.and_then(Change::added));
    let is_there = |replica: &ReplicaId| kept.iter().any(|kept| kept.replica == *replica);
    let missing = last_known.iter().filter(|replica| !is_there(replica)).count() as u64;
    if missing > 0 && !has_consent {
        return Err(RebuildRefused::Consent { missing });
    }
    let members = kept.iter().filter(|kept| last_known.contains(&kept.replica));
    let highest = members.clone().max_by_key(|kept| (kept.end, kept.replica)).ok_or(RebuildRefused::NothingKept)?;
    let lease = members.clone().map(|kept| kept.promised.lease).max().unwrap_or(0).max(newest.epoch.lease);
    let lease = lease.checked_add(1).ok_or(RebuildRefused::NoRoom)?;
    let in_sync = members.map(|kept| kept.replica).collect();
    let record = ShardRecord {
        epoch: Epoch { cluster, lease },
        version,
        owner: Some(highest.process),
        in_sync,
        minimum: newest.minimum,
        copies: newest.copies,
        of: newest.of,
        is_void: false,
    };
    record.check()?;
    Ok(record)
}
