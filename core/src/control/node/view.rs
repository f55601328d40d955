//! What operators ask of the control group, and what they are told.

use crate::control::group::wire::Blob;
use crate::control::group::{self, GroupId, Voter};
use crate::control::state::{Cordon, Lease, Lineage, Name, Outcome, RecoveryId, Scope, Text};
use crate::epoch::ClusterEpoch;
use crate::identity::NodeId;
use crate::time::Duration;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Scopes that one answer names, at most.
pub const SCOPES_SHOWN_MAX: usize = 256;

/// How a cluster begins: asked of each of its first voters, with the same words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// Drawn once by whoever founds.
    pub nonce: u128,
    /// Drawn once, too: names the cluster's first history.
    pub recovery: RecoveryId,
    /// The first voters.
    pub voters: BTreeSet<Voter>,
    /// The longest span, time to live and ε together, that any session may ever have.
    pub span_max: Duration,
}

/// Of what another history begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// Of what this node has of a group whose quorum is lost.
    Own,
    /// Of the backup that this node was given.
    Backup,
}

/// Another history is to begin: an explicit act of an operator, who vouches that no quorum of the old one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recovery {
    /// Of what.
    pub source: Source,
    /// An epoch that the operator has seen anywhere; the new one is above it, and above all that members of the mesh know.
    pub above: ClusterEpoch,
    /// Why.
    pub reason: Text,
    /// Who.
    pub actor: Text,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Begin a cluster.
    Found(Founding),
    /// How does it look from here?
    Status,
    /// Let this node hold a scope, now or when its turn comes, until told otherwise.
    Hold(Scope),
    /// Let it hold a scope no more.
    Drop(Scope),
    /// Let it hand a scope that it holds to another node.
    Transfer {
        /// Which scope.
        scope: Scope,
        /// To whom.
        to: NodeId,
    },
    /// Let it end its session and open none: it is about to leave.
    Close,
    /// Raise the cluster's epoch. Asked of the leader; answered once nobody writes under an older one any more.
    BumpEpoch {
        /// The epoch that the operator saw.
        expected: ClusterEpoch,
        /// Why.
        reason: Text,
        /// Who.
        actor: Text,
    },
    /// Answer once nobody writes under an older epoch than this. Asked of the leader.
    AwaitEpoch(ClusterEpoch),
    /// Read a register, linearizably. Asked of the leader.
    Read(Name),
    /// Write a register.
    Write {
        /// Which.
        register: Name,
        /// What.
        value: u64,
    },
    /// Write a register if it holds what is expected.
    CompareAndSet {
        /// Which.
        register: Name,
        /// What it must hold; nothing stands for never written.
        expected: Option<u64>,
        /// What to write.
        value: u64,
    },
    /// Add voters and remove those of some nodes, in one change. Asked of the leader.
    ChangeVoters {
        /// Who is to vote.
        add: Vec<Voter>,
        /// Whose voters are not to any more.
        remove: Vec<NodeId>,
    },
    /// Let another voter lead. Asked of the leader.
    Lead(NodeId),
    /// From now on entries of the next version may be used, which every member understands. Asked of the leader.
    Activate {
        /// The one after what is activated.
        version: u8,
    },
    /// A piece of a backup: the first, and then one after the other until there is none.
    Backup {
        /// Counts from zero.
        number: u32,
    },
    /// A piece of a backup, to be kept until a history begins with it.
    Restore {
        /// Counts from zero.
        number: u32,
        /// Its bytes.
        bytes: Blob,
    },
    /// Begin another history, with this node as the only voter.
    Recover(Recovery),
    /// Take a named scope out of the state that nobody holds or waits for. Needs commands of version 2.
    Retire(Scope),
    /// Keep a node from being given anything new, have it give away what it has, or neither any more.
    Cordon {
        /// Which.
        node: NodeId,
        /// How.
        cordon: Cordon,
    },
    /// Which nodes are kept from being given anything new?
    Cordons,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// This node is one of the founders.
    Founded(GroupId),
    /// How it looks from here.
    Status(Status),
    /// The node goes about it; the status tells how far it came.
    Taken,
    /// A command was executed: this became of it.
    Executed(Outcome),
    /// What the register holds.
    Value(Option<u64>),
    /// Nobody writes under an older epoch any more.
    EpochKnown(ClusterEpoch),
    /// The voters are those asked for.
    Voters(Vec<Voter>),
    /// It was not done, or it is not known whether.
    Refused(Refusal),
    /// A piece of a backup.
    Piece {
        /// The last entry that the backup holds.
        index: u64,
        /// Its bytes; none after the last one.
        piece: Option<Blob>,
    },
    /// The backup is whole.
    Backup {
        /// Which history it is of.
        lineage: Lineage,
        /// The last entry that it holds.
        applied: u64,
    },
    /// Another history has begun here.
    Recovered {
        /// Which.
        lineage: Lineage,
        /// Behind which entry.
        at: u64,
        /// Whose epochs were asked for, and are older.
        answered: Vec<NodeId>,
    },
    /// The nodes that are kept from being given anything new: some of them, in order, and how many there are.
    Cordons(Vec<(NodeId, Cordon)>, u64),
}

/// Why not. Unless said otherwise nothing changed, and asking again is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The node has not started.
    #[error("this node has not started yet; try again in a moment")]
    NotStarted,
    /// The group says so.
    #[error(transparent)]
    Group(#[from] group::Refusal),
    /// The node has no copy of the state.
    #[error("this node knows of no control group yet; found one with `relaymesh cluster-init`, or wait a moment")]
    NotMember,
    /// The process has ended its session for good.
    #[error(
        "this process has ended its session, since it was told to or was removed; restart it to hold anything again"
    )]
    Closed,
    /// It is not known whether the command was executed: **it may have been**.
    #[error("it is not known whether the command was executed; look at the state before asking again")]
    Unknown,
    /// Too much is asked for at once.
    #[error("too much is waiting on this node; try again in a moment")]
    Overloaded,
    /// The epoch was raised, but this node stopped leading before it was known everywhere.
    #[error("the epoch has risen, but this node does not lead any more; ask the leader when it is known everywhere")]
    NotKnownYet(ClusterEpoch),
    /// There is a leader, and so a quorum.
    #[error(
        "{leader} leads the control group, so its quorum is not lost; stop its voters first if their state is to be given up"
    )]
    Led {
        /// Who.
        leader: NodeId,
    },
    /// Another node has more of the log.
    #[error("{node} has entries that this node does not have; recover there, or stop it if that is to be given up")]
    Behind {
        /// Which.
        node: NodeId,
    },
    /// No backup was handed over, or not all of it.
    #[error("this node was not given a whole backup")]
    NoBackup,
    /// A piece is damaged, of another backup, or of another build.
    #[error("the backup is damaged, or was written by a newer build")]
    BadBackup,
    /// Another operator has begun with a backup meanwhile.
    #[error("another backup was begun on this node meanwhile; begin again")]
    OtherPiece,
    /// What the backup or another node says leaves no room.
    #[error("an epoch, a term or an index is so large that none is left above it; the backup or a node is broken")]
    NoNumberLeft,
    /// A node's build does not understand what is to be used, or is in use.
    #[error(
        "the build of {node} does not understand commands of version {needs}; start a newer build there, or take it out"
    )]
    TooOld {
        /// Which node.
        node: NodeId,
        /// What it would have to understand.
        needs: u8,
    },
    /// A member of the group has not been heard of lately, so that nobody knows what its build understands.
    #[error("{node} has not been heard of lately, and may run an older build; start it, or let it vote no more")]
    Unheard {
        /// Which.
        node: NodeId,
    },
}

/// What the cluster has agreed on, as one node knows it: committed, but perhaps not the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which history, and its epoch.
    pub lineage: Lineage,
    /// Whether nothing is granted, after a recovery.
    pub is_quarantined: bool,
    /// Who votes.
    pub voters: Vec<Voter>,
    /// Who leads, as far as known.
    pub leader: Option<NodeId>,
    /// The Raft term; nothing where this node follows from outside the group.
    pub term: Option<u64>,
    /// How stale what is shown may be at most, where that is known: the copy of a node that follows.
    pub staleness: Option<Duration>,
    /// The last entry applied.
    pub applied: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Scopes that were ever held and not retired.
    pub scopes_total: u64,
    /// The first of them, at most [`SCOPES_SHOWN_MAX`].
    pub scopes: Vec<ScopeStatus>,
}

/// How a scope looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeStatus {
    /// Which.
    pub scope: Scope,
    /// The grant in force: its holder and token.
    pub lease: Option<Lease>,
    /// How many wait for it.
    pub waiting: u64,
}
