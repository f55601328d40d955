//! What a replica is made of.

use super::above::Above;
use super::blobs::{BlobTable, Blobs, Lap, Putting};
use super::block::Open;
use super::checkpoint::Checkpoint;
use super::flow::Peer;
use super::install::Incoming;
use super::log::Log;
use super::machine::Ticket;
use super::position::{LogSequence, Position};
use super::replay::Replaying;
use super::service::Service;
use super::settings::Settings;
use super::snapshot::Snapshot;
use crate::blob::BlobAddress;
use crate::epoch::Epoch;
use crate::identity::{Incarnation, NodeId};
use crate::record::Sequence;
use crate::shards::{Change, Kept, ReplicaId, ShardRecord};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use serde::{Deserialize, Serialize};

/// One replica of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica<S: Service> {
    pub(super) settings: Settings,
    /// The process that it runs in.
    pub(super) process: Incarnation,
    /// Nothing older is accepted.
    pub(super) promised: Epoch,
    /// The newest record known.
    pub(super) record: Option<ShardRecord>,
    /// Who ought to have a copy.
    pub(super) placed: BTreeSet<ReplicaId>,
    pub(super) log: Log,
    /// Entries up to there are durable here.
    pub(super) durable: LogSequence,
    /// The newest promise that is durable here.
    pub(super) durable_promise: Epoch,
    /// What is written and not durable, and in which record.
    pub(super) unsynced: VecDeque<(Sequence, Unsynced)>,
    /// Entries up to there are known to be acknowledged.
    pub(super) mark: LogSequence,
    /// Entries up to there are in the state above.
    pub(super) applied: LogSequence,
    pub(super) above: Above<S>,
    /// What this replica has of the blobs.
    pub(super) blobs: Blobs,
    /// What this process does as owner.
    pub(super) tenure: Option<Tenure>,
    /// A tenure that is to be handed over and has stopped.
    pub(super) stopped: Option<Stopped>,
    /// The last instant of the node's view of its session.
    pub(super) view: Option<Time>,
    /// Answers that wait for that view.
    pub(super) answers: VecDeque<(Ticket, S::Answer)>,
    /// The newest change that this store has proposed, or is about to, until what came of it is known (rule I6).
    pub(super) intended: Option<(Epoch, u64, Change)>,
    /// The snapshot being taken, or kept.
    pub(super) snapshot: Option<Snapshot>,
    /// The own snapshot that is durable is of that entry.
    pub(super) durable_snapshot: LogSequence,
    pub(super) checkpoint: Option<Checkpoint>,
    /// An owner's snapshot, half of it.
    pub(super) incoming: Option<Incoming<S>>,
    /// Until the first event.
    pub(super) replaying: Option<Box<Replaying<S>>>,
}

/// What waits for the own disk (rules P2, W3, Z4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unsynced {
    /// A promise.
    Promise(Epoch),
    /// Entries, up to that one.
    Entries(LogSequence),
    /// The own snapshot of that entry, all of it (rule Z4).
    Snapshot(LogSequence),
}

/// One process's time as owner, under one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tenure {
    pub(super) epoch: Epoch,
    pub(super) phase: Phase,
    pub(super) began: Time,
    /// When the phase is over, answers or not.
    pub(super) phase_ends: Time,
    /// Everybody else who is in the set, proposed for it, or placed.
    pub(super) peers: BTreeMap<ReplicaId, Peer>,
    pub(super) intention: Option<Intention>,
    /// When a member that keeps entries from being acknowledged is proposed for removal.
    pub(super) impatient_at: Option<Time>,
    /// Commands for the next block.
    pub(super) open: Open,
    /// Who waits for which entry.
    pub(super) pending: VecDeque<(LogSequence, Ticket)>,
    /// The last entry of each own block that is not acknowledged.
    pub(super) blocks: VecDeque<LogSequence>,
    /// Nothing more is taken: the shard is to be handed over, at the latest then.
    pub(super) drained_by: Option<Time>,
    /// It does not stop before that, until that is over.
    pub(super) stops_at: Option<Time>,
    pub(super) successor: Option<NodeId>,
    /// Blobs that clients put, and that no applied entry brings yet.
    pub(super) puts: BTreeMap<BlobAddress, Putting>,
    /// Blobs that entries under way drop.
    pub(super) dropping: BTreeSet<BlobAddress>,
    /// Since when blobs that nothing refers to are waited for.
    pub(super) lap: Option<Lap>,
}

/// How far a take-over has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Waits for promises (rules P1, P2, U2).
    Promising,
    /// Gets what it adopts from that replica, up to there (rules U3, U4).
    Fetching { from: ReplicaId, upto: Position },
    /// Waits until every required member holds its start (rule U6).
    Starting { start: LogSequence },
    /// Serves.
    Serving { start: LogSequence },
}

impl Phase {
    /// The start of the epoch, once it is written.
    pub(super) fn start(self) -> Option<LogSequence> {
        match self {
            Self::Promising | Self::Fetching { .. } => None,
            Self::Starting { start } | Self::Serving { start } => Some(start),
        }
    }
}

/// A change of the set that was decided on and may commit, as far as is known (rules I2, I5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Intention {
    pub(super) version: u64,
    pub(super) change: Change,
    pub(super) again_at: Time,
}

/// A tenure that is over, and is to be given to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stopped {
    pub(super) epoch: Epoch,
    pub(super) to: Option<NodeId>,
    pub(super) again_at: Time,
}

/// What a replica is to its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// It follows.
    Follower,
    /// It owns the shard and does not serve yet.
    TakingOver(Epoch),
    /// It owns the shard and serves.
    Serving(Epoch),
}

impl<S: Service> Replica<S> {
    /// An empty replica of a process that may speak.
    pub fn new(process: Incarnation, settings: Settings) -> Self {
        Self {
            settings,
            process,
            promised: Epoch::default(),
            record: None,
            placed: BTreeSet::new(),
            log: Log::default(),
            durable: LogSequence(0),
            durable_promise: Epoch::default(),
            unsynced: VecDeque::new(),
            mark: LogSequence(0),
            applied: LogSequence(0),
            above: Above::default(),
            blobs: Blobs::default(),
            tenure: None,
            stopped: None,
            view: None,
            answers: VecDeque::new(),
            intended: None,
            snapshot: None,
            durable_snapshot: LogSequence(0),
            checkpoint: None,
            incoming: None,
            replaying: None,
        }
    }

    /// The journal is read: this process speaks for the replica from now on.
    pub fn begin(&mut self, process: Incarnation) {
        self.process = process;
    }

    /// Which replica this is.
    pub fn id(&self) -> ReplicaId {
        self.process.into()
    }

    /// What it has kept, for a recovery of the whole (rule Y1). To be told when all that was written is durable.
    pub fn kept(&self) -> Kept {
        Kept {
            replica: self.id(),
            process: self.process,
            promised: self.promised,
            record: self.record.clone(),
            intended: self.intended,
            end: self.log.last(),
        }
    }

    /// What it is to its shard.
    pub fn standing(&self) -> Standing {
        match &self.tenure {
            None => Standing::Follower,
            Some(tenure) if self.is_serving() => Standing::Serving(tenure.epoch),
            Some(tenure) => Standing::TakingOver(tenure.epoch),
        }
    }

    /// The newest epoch promised.
    pub fn promised(&self) -> Epoch {
        self.promised
    }

    /// The newest record of the shard known.
    pub fn record(&self) -> Option<&ShardRecord> {
        self.record.as_ref()
    }

    /// The newest change that this store has proposed and that may have committed for all it knows (rule Y2).
    pub fn intended(&self) -> Option<(Epoch, u64, Change)> {
        self.intended
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Entries up to there are known to be acknowledged.
    pub fn mark(&self) -> LogSequence {
        self.mark
    }

    /// Entries up to there are in the state.
    pub fn applied(&self) -> LogSequence {
        self.applied
    }

    /// The state that the acknowledged entries amount to.
    pub fn service(&self) -> &S {
        &self.above.service
    }

    /// The blobs that the acknowledged entries amount to.
    pub fn blob_table(&self) -> &BlobTable {
        &self.above.blobs
    }

    /// A serving owner has applied everything that was acknowledged before its epoch (rule V3).
    pub(super) fn is_serving(&self) -> bool {
        let phase = self.tenure.as_ref().map(|tenure| tenure.phase);
        matches!(phase, Some(Phase::Serving { start }) if self.applied >= start)
    }

    /// Everybody that has to hold an entry before it is acknowledged, this replica aside (rules W1, W4, I2).
    pub(super) fn required(&self) -> impl Iterator<Item = ReplicaId> {
        let own = self.id();
        let members = self.record.iter().flat_map(|record| record.in_sync.iter().copied());
        let intention = self.tenure.as_ref().and_then(|tenure| tenure.intention);
        let added = intention.and_then(|intention| intention.change.added());
        members.chain(added).filter(move |replica| *replica != own)
    }
}
