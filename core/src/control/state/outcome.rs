//! What became of an entry. Part of the state: a client that asks again is told the same.

use super::scopes::Lease;
use super::{Registration, SessionId};
use crate::codec::BodyVersion;
use crate::epoch::ClusterEpoch;
use crate::identity::{BootIncarnation, NodeId};
use crate::shards::ChangeRefused;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect.
    Done(Answer),
    /// It changed nothing.
    Refused(Refusal),
}

impl From<Result<Answer, Refusal>> for Outcome {
    fn from(result: Result<Answer, Refusal>) -> Self {
        result.map_or_else(Self::Refused, Self::Done)
    }
}

/// How an entry took effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// There was nothing to do.
    Nothing,
    /// The client is known under this registration.
    Registered(Registration),
    /// The client's session.
    Opened(SessionId),
    /// The session has ended.
    Ended,
    /// The scope is held by the client's session.
    Granted(Lease),
    /// It is held by another; the client is in line.
    Waiting,
    /// The client is not in line any more.
    Withdrawn,
    /// The scope is no longer the client's.
    Released,
    /// The scope is now held by a session of that node.
    Transferred {
        /// Which.
        to: NodeId,
    },
    /// That node could not take it: the scope went to the next in line, or to nobody.
    PassedOn,
    /// The cluster's epoch; older sessions may not know it yet (rule C2).
    Epoch(ClusterEpoch),
    /// The change was made.
    Set,
    /// What the register holds.
    Value(Option<u64>),
    /// Not written: the register holds this.
    Differs(Option<u64>),
}

/// Why an entry changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no entry. The same for every build that knows the version.
    #[error("malformed entry")]
    Malformed,
    /// Its version may not be used yet.
    #[error(
        "entry {version}, where up to {activated} is activated; upgrade every voter, then `relaymesh cluster-activate` it"
    )]
    NotActivated {
        /// The entry's.
        version: BodyVersion,
        /// The newest that may be used.
        activated: BodyVersion,
    },
    /// The client, or that registration of it, is not in the table: register, and do not assume anything about commands
    /// that were not answered.
    #[error("unknown client; register again, and look up what became of commands that were not answered")]
    UnknownClient,
    /// A later process of the same store has registered.
    #[error("{boot} is over: boot {newest} of the same store has registered")]
    OldBoot {
        /// The client's.
        boot: BootIncarnation,
        /// The later one.
        newest: BootIncarnation,
    },
    /// The client has the answer already, or has too many commands under way.
    #[error("command {sequence} is outside {first} to {first} + {window}; await answers first")]
    OutOfWindow {
        /// The command's.
        sequence: u64,
        /// The lowest that would be looked at.
        first: u64,
        /// How many there may be.
        window: u64,
    },
    /// The client has no session.
    #[error("no session; open one first")]
    NoSession,
    /// A session with such times would be unsafe, or outlast a quarantine.
    #[error("ttl {ttl} with ε {epsilon}: 2 ε must be less than the ttl, and both together at most {span_max}")]
    BadSpan {
        /// The time to live.
        ttl: Duration,
        /// The bound on clocks.
        epsilon: Duration,
        /// The most that both may be.
        span_max: Duration,
    },
    /// That grant is not in force, or not the client's.
    #[error("not the holder under that grant")]
    NotHolder {
        /// The grant in force.
        lease: Option<Lease>,
    },
    /// The client holds the scope.
    #[error("holds the scope; release it instead")]
    Holds,
    /// Somebody holds it or waits for it, or the client has a session.
    #[error("still in use")]
    InUse,
    /// It was changed meanwhile.
    #[error("expected version {expected}, found {found}; look again")]
    Outdated {
        /// What was expected.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A leader's command that got into another term.
    #[error("proposed by the leader of term {proposed}, logged in term {logged}")]
    OtherTerm {
        /// The proposer's.
        proposed: u64,
        /// The entry's.
        logged: u64,
    },
    /// A table is full.
    #[error("no room for more {what}: {limit} is the limit")]
    Full {
        /// Of what there are too many.
        what: Table,
        /// How many there may be.
        limit: u64,
    },
    /// The scope is not in the state: nobody ever held it or waited for it, or it was retired. Of version 2.
    #[error("no such scope; `mesh leaders status` shows all there are")]
    UnknownScope,
    /// Every cluster has this scope for ever. Of version 2.
    #[error("the scope `global` is not retired: every cluster has it")]
    NotRetirable,
    /// There is no such shard.
    #[error("no such shard; declare it first")]
    NoShard,
    /// The shard's record does not allow that.
    #[error(transparent)]
    Shard(#[from] ChangeRefused),
    /// There is no such plan, it is not that far, or it is farther.
    #[error(
        "no such plan, or not one of which that can be asked now; `relaymesh mesh shards plan` shows how it stands"
    )]
    NoPlan,
    /// The plan does not lead to that table.
    #[error(
        "expected a table with the checksum {expected:016x}, the plan leads to {found:016x}; look at the plan again"
    )]
    OtherPlan {
        /// What was expected.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// Such a plan there cannot be.
    #[error("a plan that there cannot be: rows of sites that take nothing, or too much of something")]
    BadPlan,
    /// A node that the plan gives something has gone, or takes nothing new any more.
    #[error("node {node} can take nothing any more; make another plan")]
    Lost {
        /// Which node.
        node: NodeId,
    },
    /// A shard moves still.
    #[error("shard {shard} is not where it is to be yet")]
    Moving {
        /// Which shard.
        shard: u32,
    },
    /// So many shards do not change owners at once.
    #[error("at most {limit} shards can change owners at one time; make a plan of fewer, or name no time")]
    TooManyMoves {
        /// Shards.
        limit: u16,
    },
    /// What a plan moves has to move: it does not wait for a set time.
    #[error("that plan moves what has to move, and waits for no time; leave the time out")]
    Urgent,
}

/// A table with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Table {
    /// Sessions.
    Sessions,
    /// Scopes.
    Scopes,
    /// Candidates for one scope.
    Candidates,
    /// Clients.
    Clients,
    /// Cordoned nodes.
    Cordons,
    /// Flags.
    Flags,
    /// Features.
    Features,
    /// Settings.
    Settings,
    /// Registers.
    Registers,
    /// Shards.
    Shards,
    /// What nodes say of themselves as places for shards.
    Seats,
}

impl core::fmt::Display for Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Sessions => "sessions",
            Self::Scopes => "scopes",
            Self::Candidates => "candidates for one scope",
            Self::Clients => "clients",
            Self::Cordons => "cordoned nodes",
            Self::Flags => "flags",
            Self::Features => "features",
            Self::Settings => "settings",
            Self::Registers => "registers",
            Self::Shards => "shards",
            Self::Seats => "nodes that shards can be placed on",
        })
    }
}

impl Refusal {
    pub(super) fn full(what: Table, limit: usize) -> Self {
        Self::Full { what, limit: limit as u64 }
    }
}
