//! The tables of the state, and what can be read from them.

use super::At;
use super::clients::Client;
use super::lineage::{Bump, Lineage};
use super::placement::{Placement, Seat};
use super::scopes::Tenure;
use super::sessions::{Session, SessionId};
use super::shared::{Shared, Voters};
use super::{Cordon, Name, OLDEST, Scope, Setting};
use crate::codec::BodyVersion;
use crate::epoch::ClusterEpoch;
use crate::identity::{Incarnation, NodeId};
use crate::shards::{ShardId, ShardRecord};
use crate::time::Duration;
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// What a cluster begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Genesis {
    /// Its first history.
    pub lineage: Lineage,
    /// The longest span, time to live and ε together, that any session may ever have: how long a quarantine lasts.
    pub span_max: Duration,
}

/// The hash over all entries so far: two states that have it in common have applied the same entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chain(pub [u8; 16]);

impl Chain {
    /// The chain with one entry more.
    pub(super) fn extend(self, index: u64, term: u64, entry: &[u8]) -> Self {
        self.hash(&[&index.to_le_bytes(), &term.to_le_bytes(), entry])
    }

    /// The chain of another history that begins here.
    pub(super) fn branch(self, lineage: Lineage) -> Self {
        self.hash(&[b"recovery", &lineage.epoch.0.to_le_bytes(), &lineage.recovery.0.to_le_bytes()])
    }

    fn hash(self, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 chain of control entries");
        hasher.update(&self.0);
        for part in parts {
            hasher.update(part);
        }
        let mut chain = [0; 16];
        chain.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(chain)
    }
}

/// The replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) applied: u64,
    /// The Raft term of that entry.
    pub(super) term: u64,
    pub(super) chain: Chain,
    pub(super) lineage: Lineage,
    pub(super) is_quarantined: bool,
    pub(super) span_max: Duration,
    pub(super) activated: BodyVersion,
    pub(super) last_bump: Option<Bump>,
    pub(super) voters: Voters,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    /// Each owner's session. Follows from the sessions, so it is not stored twice.
    pub(super) owners: BTreeMap<Incarnation, SessionId>,
    pub(super) scopes: BTreeMap<Scope, Tenure>,
    pub(super) clients: BTreeMap<Incarnation, Client>,
    pub(super) shared: Shared,
    pub(super) shards: BTreeMap<ShardId, ShardRecord>,
    /// What nodes are as places for shards.
    pub(super) seats: BTreeMap<NodeId, Seat>,
    /// Where shards ought to be, by namespace.
    pub(super) placements: BTreeMap<Name, Placement>,
}

impl State {
    /// The state before the first entry.
    pub fn new(genesis: Genesis) -> Self {
        Self {
            applied: 0,
            term: 0,
            chain: Chain::default().branch(genesis.lineage),
            lineage: genesis.lineage,
            is_quarantined: false,
            span_max: genesis.span_max,
            activated: OLDEST,
            last_bump: None,
            voters: Voters::default(),
            sessions: BTreeMap::new(),
            owners: BTreeMap::new(),
            scopes: BTreeMap::new(),
            clients: BTreeMap::new(),
            shared: Shared::default(),
            shards: BTreeMap::new(),
            seats: BTreeMap::new(),
            placements: BTreeMap::new(),
        }
    }

    /// The index of the last entry applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }
    /// Where the last entry applied stands in the log.
    pub fn at(&self) -> At {
        At { index: self.applied, term: self.term }
    }
    /// The hash over all entries so far.
    pub fn chain(&self) -> Chain {
        self.chain
    }
    /// Which history this is.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }
    /// The cluster's epoch.
    pub fn cluster_epoch(&self) -> ClusterEpoch {
        self.lineage.epoch
    }
    /// Whether nothing is granted, after a recovery.
    pub fn is_quarantined(&self) -> bool {
        self.is_quarantined
    }
    /// The newest version of entries that may be used.
    pub fn activated(&self) -> BodyVersion {
        self.activated
    }
    /// The last bump of the epoch, if there was one.
    pub fn last_bump(&self) -> Option<&Bump> {
        self.last_bump.as_ref()
    }
    /// Who votes, as last recorded.
    pub fn voters(&self) -> &Voters {
        &self.voters
    }
    /// All sessions, oldest first.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }
    /// A session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }
    /// The session of one process.
    pub fn own_session(&self, owner: Incarnation) -> Option<SessionId> {
        self.owners.get(&owner).copied()
    }
    /// All scopes, in order.
    pub fn scopes(&self) -> impl Iterator<Item = (&Scope, &Tenure)> {
        self.scopes.iter()
    }
    /// A scope.
    pub fn scope(&self, scope: &Scope) -> Option<&Tenure> {
        self.scopes.get(scope)
    }
    /// Whether a node may be given anything new.
    pub fn cordon(&self, node: NodeId) -> Cordon {
        self.shared.cordon(node)
    }
    /// All nodes that may not.
    pub fn cordons(&self) -> impl Iterator<Item = (NodeId, Cordon)> {
        self.shared.cordons.iter().map(|(node, cordon)| (*node, *cordon))
    }
    /// Whether a flag is on; one that was never set is off.
    pub fn flag(&self, name: &Name) -> bool {
        self.shared.flags.get(name).copied().unwrap_or(false)
    }
    /// The version in which a feature may be used; 0 stands for not at all.
    pub fn feature(&self, name: &Name) -> u32 {
        self.shared.features.get(name).copied().unwrap_or(0)
    }
    /// A shared setting.
    pub fn setting(&self, name: &Name) -> Option<&Setting> {
        self.shared.settings.get(name)
    }
    /// What a register holds. A linearizable read needs a confirmed state first.
    pub fn register_value(&self, name: &Name) -> Option<u64> {
        self.shared.registers.get(name).copied()
    }
}
