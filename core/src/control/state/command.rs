//! What the log holds: commands of clients and of the leader, typed, versioned and bounded.

use super::limits::{ENTRY_BYTES, VOTERS_MAX};
use super::names::{Name, Scope, Text, Value};
use super::shared::Cordon;
use super::{PlacementCommand, Registration, SessionId, ShardCommand};
use crate::codec::{BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{Incarnation, NodeId, StoreIncarnation};
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The oldest version of entries that is still understood.
pub const OLDEST: BodyVersion = BodyVersion(1);
/// The newest one that this build can write. What a process understands it is told: an older build is simulated that way.
pub const NEWEST: BodyVersion = BodyVersion(2);

/// The version that came with shards: of the commands about them, and of all that is said and stored of them.
pub const SHARDS: BodyVersion = BodyVersion(2);

/// One entry of the control group's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Entry {
    /// A process makes itself known as a client.
    Register {
        /// Which.
        client: Incarnation,
    },
    /// A client's command: takes effect once, however often it stands in the log.
    Client {
        /// Whose.
        client: Incarnation,
        /// Under which registration.
        registered: Registration,
        /// Which of its commands; counts from 0.
        sequence: u64,
        /// The lowest sequence whose answer the client still awaits, this one included.
        unanswered: u64,
        /// What to do.
        command: Box<Command>,
    },
    /// A command of the leader's own. Each of them does nothing the second time.
    Leader {
        /// The Raft term that it leads; in the log under any other, the command is void (rule E3).
        term: u64,
        /// What to do.
        command: LeaderCommand,
    },
}

/// What clients can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Nothing: shows that the log takes commands.
    Nothing,
    /// A session for the client.
    Open {
        /// How long it lives without being renewed.
        ttl: Duration,
        /// How far two clocks may diverge over that time.
        epsilon: Duration,
    },
    /// The client's session is over; it has stopped all that it did under it (rule E4).
    Close,
    /// The client's session wants to hold a scope: now, or when its turn comes.
    Campaign {
        /// Which.
        scope: Scope,
    },
    /// It does not want to any more.
    Withdraw {
        /// Which.
        scope: Scope,
    },
    /// The holder has stopped for good: to the next one (rule S2).
    Release {
        /// Which scope.
        scope: Scope,
        /// Which grant of it.
        granted: FenceToken,
    },
    /// The holder has stopped for good: to that node, before all who wait.
    Transfer {
        /// Which scope.
        scope: Scope,
        /// Which grant of it.
        granted: FenceToken,
        /// To whom.
        to: NodeId,
    },
    /// Forget a scope that nobody holds or wants, whether it is known or not. Of version 1, and proposed by nobody any more.
    Forget {
        /// Which.
        scope: Scope,
    },
    /// Raise the cluster's epoch by one.
    BumpEpoch {
        /// The epoch that the operator saw: two of them do not bump twice by mistake.
        expected: ClusterEpoch,
        /// Why.
        reason: Text,
        /// Who.
        actor: Text,
    },
    /// Keep a node from being given anything new, or no longer.
    Cordon {
        /// Which.
        node: NodeId,
        /// How.
        cordon: Cordon,
    },
    /// Switch a flag.
    SetFlag {
        /// Which.
        name: Name,
        /// On or off.
        on: bool,
    },
    /// From now on a feature may be used in that version.
    RaiseFeature {
        /// Which.
        name: Name,
        /// At least the one before.
        version: u32,
    },
    /// Change a shared setting.
    SetSetting {
        /// Which.
        name: Name,
        /// To what; nothing removes it.
        value: Option<Value>,
        /// Only if it is in that version; 0 stands for not set.
        expected: Option<u64>,
    },
    /// Read a register by way of the log. For tests.
    Read {
        /// Which.
        register: Name,
    },
    /// Write a register. For tests.
    Write {
        /// Which.
        register: Name,
        /// What.
        value: u64,
    },
    /// Write a register if it holds what is expected. For tests.
    CompareAndSet {
        /// Which.
        register: Name,
        /// What it must hold; nothing stands for never written.
        expected: Option<u64>,
        /// What to write.
        value: u64,
    },
    /// An operator takes a named scope out of the state that nobody holds or waits for. Of version 2.
    Retire {
        /// Which.
        scope: Scope,
    },
    /// Something about a shard. Of version 2.
    Shard(ShardCommand),
    /// Something about where shards ought to be. Of version 2.
    Placement(PlacementCommand),
}

impl Command {
    /// The version of entries that it needs: builds that understand less must not meet it.
    pub const fn version(&self) -> BodyVersion {
        match self {
            Self::Retire { .. } | Self::Shard(_) | Self::Placement(_) => BodyVersion(2),
            _ => OLDEST,
        }
    }
}

/// What only the leader proposes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeaderCommand {
    /// Nothing was heard of a session for its `ttl` and ε: it has ended.
    End {
        /// Which.
        session: SessionId,
    },
    /// All that anybody may have held before the recovery has ended: grants may be made (rule C4).
    Lift {
        /// The epoch of the recovery.
        epoch: ClusterEpoch,
    },
    /// Forget a client that holds no session.
    Evict {
        /// Which.
        client: Incarnation,
        /// Under which registration.
        registered: Registration,
    },
    /// Who votes, as the group has agreed.
    RecordVoters {
        /// All of them.
        members: BTreeMap<NodeId, StoreIncarnation>,
    },
    /// Every voter understands entries of this version: they may be used.
    Activate {
        /// The one after what is activated.
        version: BodyVersion,
    },
}

/// Why bytes are no entry. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// They are longer than an entry may be, or none at all.
    #[error("an entry of {length} bytes, where 1 to {limit} are allowed")]
    Length {
        /// Bytes offered.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// They do not decode.
    #[error("an entry with a {0}")]
    Malformed(#[from] DecodeError),
    /// It is written in a version in which it cannot be: builds that take it for one of theirs do not know what it means.
    #[error("an entry in {found} that needs {needs}")]
    TooEarly {
        /// The version that it is written in.
        found: BodyVersion,
        /// The one that it needs.
        needs: BodyVersion,
    },
    /// It names more voters than there may be.
    #[error("an entry with {count} voters, where {limit} are allowed")]
    Voters {
        /// Voters named.
        count: usize,
        /// Voters allowed.
        limit: usize,
    },
}

impl Entry {
    /// The version that it needs, and is written in.
    pub const fn version(&self) -> BodyVersion {
        match self {
            Self::Client { command, .. } => command.version(),
            Self::Register { .. } | Self::Leader { .. } => OLDEST,
        }
    }

    /// The version that `bytes` are written in; zero, which no entry has, where there are none.
    pub fn version_of(bytes: &[u8]) -> BodyVersion {
        BodyVersion(bytes.first().copied().unwrap_or(0))
    }

    /// The entry as the log holds it: the version, then the body.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] past [`ENTRY_BYTES`], which no entry with bounded texts reaches.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = vec![self.version().0];
        encode_value(self, ENTRY_BYTES - 1, &mut bytes)?;
        Ok(bytes)
    }

    /// The entry that `bytes` hold, all of them.
    ///
    /// # Errors
    /// [`EntryError`] on anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        let length = EntryError::Length { length: bytes.len(), limit: ENTRY_BYTES };
        let [version, body @ ..] = bytes else { return Err(length) };
        if bytes.len() > ENTRY_BYTES {
            return Err(length);
        }
        let found = BodyVersion(*version);
        if !(OLDEST..=NEWEST).contains(&found) {
            return Err(DecodeError::UnknownVersion { found, oldest: OLDEST, newest: NEWEST }.into());
        }
        let entry: Self = decode_value(body)?;
        let needs = entry.version();
        match &entry {
            _ if found < needs => Err(EntryError::TooEarly { found, needs }),
            Self::Leader { command: LeaderCommand::RecordVoters { members }, .. } if members.len() > VOTERS_MAX => {
                Err(EntryError::Voters { count: members.len(), limit: VOTERS_MAX })
            }
            _ => Ok(entry),
        }
    }

    /// Whether `sender` may ask for this entry: a client speaks for itself, and a leader needs no network to ask itself.
    pub fn is_of(&self, sender: Incarnation) -> bool {
        match self {
            Self::Register { client } | Self::Client { client, .. } => *client == sender,
            Self::Leader { .. } => false,
        }
    }

    /// Whether a build that understands entries up to `speaks` can tell what `bytes` mean, be it that they mean nothing:
    /// what may enter the log.
    pub fn is_understood(bytes: &[u8], speaks: BodyVersion) -> bool {
        bytes.is_empty() || (OLDEST..=speaks).contains(&Self::version_of(bytes))
    }
}
