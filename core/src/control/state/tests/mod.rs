//! Rules of the replicated state, each by itself. `docs/control.md` has their names.

mod clients;
mod entries;
mod golden;
mod lineage;
mod plans;
mod scopes;
mod sessions;
mod shards;
mod shared;
mod snapshots;

use super::*;
use crate::codec::BodyVersion;
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// A log with one writer, and the state of all that is in it.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) state: State,
    pub(crate) changes: Vec<Change>,
    pub(crate) entries: Vec<LoggedEntry>,
    pub(crate) term: u64,
    sequences: BTreeMap<Incarnation, u64>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let lineage = Lineage { epoch: ClusterEpoch(1), recovery: RecoveryId(1) };
        let state = State::new(Genesis { lineage, span_max: Duration::from_secs(5) });
        Self { state, changes: vec![], entries: vec![], term: 1, sequences: BTreeMap::new() }
    }

    pub(crate) fn append(&mut self, entry: &Entry) -> Outcome {
        self.append_bytes(&entry.to_bytes().unwrap())
    }

    pub(crate) fn append_bytes(&mut self, bytes: &[u8]) -> Outcome {
        let at = At { index: self.state.applied() + 1, term: self.term };
        self.changes.clear();
        self.entries.push(LoggedEntry { term: self.term, bytes: bytes.into() });
        self.state.apply(at, bytes, NEWEST, &mut self.changes).unwrap()
    }

    /// The next command of a client that has all answers so far.
    pub(crate) fn entry(&mut self, client: Incarnation, command: Command) -> Entry {
        let registered = self.state.registration(client).expect("the client is registered");
        let sequence = self.sequences.entry(client).or_default();
        *sequence += 1;
        let command = command.into();
        Entry::Client { client, registered, sequence: *sequence, unanswered: *sequence, command }
    }

    pub(crate) fn command(&mut self, client: Incarnation, command: Command) -> Outcome {
        let entry = self.entry(client, command);
        self.append(&entry)
    }

    pub(crate) fn leader(&mut self, command: LeaderCommand) -> Outcome {
        self.append(&Entry::Leader { term: self.term, command })
    }

    /// Entries of that version may be used from now on.
    pub(crate) fn activate(&mut self, version: u8) {
        let outcome = self.leader(LeaderCommand::Activate { version: BodyVersion(version) });
        assert_eq!(outcome, Outcome::Done(Answer::Set));
    }

    /// A registered client.
    pub(crate) fn client(&mut self, node: u8, boot: u64) -> Incarnation {
        let client = life(node, boot);
        let outcome = self.append(&Entry::Register { client });
        assert!(matches!(outcome, Outcome::Done(Answer::Registered(_))), "{outcome:?}");
        client
    }

    /// A client with a session.
    pub(crate) fn member(&mut self, node: u8) -> (Incarnation, SessionId) {
        self.opens(node, 1)
    }

    /// A process of a node that registers and has a session.
    pub(crate) fn opens(&mut self, node: u8, boot: u64) -> (Incarnation, SessionId) {
        let client = self.client(node, boot);
        let (ttl, epsilon) = (Duration::from_millis(1_200), Duration::from_millis(100));
        match self.command(client, Command::Open { ttl, epsilon }) {
            Outcome::Done(Answer::Opened(session)) => (client, session),
            outcome => panic!("{outcome:?}"),
        }
    }

    pub(crate) fn campaign(&mut self, client: Incarnation, scope: Scope) -> Answer {
        match self.command(client, Command::Campaign { scope }) {
            Outcome::Done(answer) => answer,
            Outcome::Refused(refusal) => panic!("{refusal}"),
        }
    }

    pub(crate) fn lease(&self, scope: Scope) -> Lease {
        *self.state.lease(&scope).expect("the scope is held")
    }
}

pub(crate) fn life(node: u8, boot: u64) -> Incarnation {
    let (store, boot) = (StoreIncarnation(u64::from(node)), BootIncarnation(boot));
    Incarnation { node: NodeId::from_bytes([node; 16]), store, boot }
}

pub(crate) fn named(name: &str) -> Scope {
    Scope::Named(Name::new(name).unwrap())
}

pub(crate) fn token(cluster: u64, index: u64) -> FenceToken {
    FenceToken::new(ClusterEpoch(cluster), index)
}
