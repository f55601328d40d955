//! Exactly-once commands: who may give them, and what was answered (Ongaro 2014 §6.3).

use super::limits::{CLIENTS_MAX, WINDOW};
use super::table::State;
use super::{Answer, Change, EndCause, Outcome, Refusal, Table};
use crate::epoch::FenceToken;
use crate::identity::Incarnation;
use crate::machine::Sink;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A registration of a client: named by its entry, so that a late duplicate of it makes nobody known again (rule X4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Registration(pub FenceToken);

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What is known of a client's commands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) registered: Registration,
    /// The client has the answers to all below.
    pub(super) unanswered: u64,
    /// Outcomes from there on.
    pub(super) outcomes: BTreeMap<u64, Outcome>,
}

/// What to do with a command of a client.
pub(super) enum Turn {
    /// It is new.
    Fresh,
    /// It was executed: with this outcome.
    Done(Outcome),
    /// It is not to be executed, and nothing is remembered of it.
    Refused(Refusal),
}

impl State {
    /// A client makes itself known. A later boot of the same store means that the earlier one is no more: its session and
    /// its registration end (rule E5).
    pub(super) fn register(
        &mut self,
        client: Incarnation,
        token: FenceToken,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        if let Some(known) = self.clients.get(&client) {
            return Ok(Answer::Registered(known.registered));
        }
        // An incarnation orders by node, store, boot: those of one store stand together.
        let first = Incarnation { boot: Default::default(), ..client };
        let same_store = self.clients.range(first..).map(|(known, _)| *known);
        let lives: Vec<Incarnation> =
            same_store.take_while(|known| (known.node, known.store) == (client.node, client.store)).collect();
        if let Some(newest) = lives.iter().map(|known| known.boot).max().filter(|newest| *newest > client.boot) {
            return Err(Refusal::OldBoot { boot: client.boot, newest });
        }
        if self.clients.len() - lives.len() >= CLIENTS_MAX {
            return Err(Refusal::full(Table::Clients, CLIENTS_MAX));
        }
        for earlier in lives {
            if let Some(session) = self.owners.get(&earlier).copied() {
                self.end(session, token, EndCause::Restarted, out);
            }
            self.clients.remove(&earlier);
        }
        let registered = Registration(token);
        self.clients.insert(client, Client { registered, unanswered: 0, outcomes: BTreeMap::new() });
        Ok(Answer::Registered(registered))
    }

    /// Whether a command is new. What the client has answers to is forgotten.
    pub(super) fn turn(
        &mut self,
        client: Incarnation,
        registered: Registration,
        sequence: u64,
        unanswered: u64,
    ) -> Turn {
        let Some(row) = self.clients.get_mut(&client).filter(|row| row.registered == registered) else {
            return Turn::Refused(Refusal::UnknownClient);
        };
        let floor = row.unanswered.max(unanswered);
        // A client that awaits nothing names the command itself.
        if sequence < floor || sequence - floor >= WINDOW {
            return Turn::Refused(Refusal::OutOfWindow { sequence, first: floor, window: WINDOW });
        }
        row.unanswered = floor;
        row.outcomes = row.outcomes.split_off(&floor);
        match row.outcomes.get(&sequence) {
            Some(outcome) => Turn::Done(outcome.clone()),
            None => Turn::Fresh,
        }
    }

    pub(super) fn remember(&mut self, client: Incarnation, sequence: u64, outcome: &Outcome) {
        if let Some(row) = self.clients.get_mut(&client) {
            row.outcomes.insert(sequence, outcome.clone());
        }
    }

    /// Forgets a client that holds nothing.
    pub(super) fn evict(&mut self, client: Incarnation, registered: Registration) -> Result<Answer, Refusal> {
        if self.owners.contains_key(&client) {
            return Err(Refusal::InUse);
        }
        match self.clients.get(&client) {
            Some(row) if row.registered == registered => {
                self.clients.remove(&client);
                Ok(Answer::Set)
            }
            _ => Err(Refusal::UnknownClient),
        }
    }

    /// The registration that would be missed least, once the table is three quarters full: the oldest of a client without a
    /// session. For the leader to propose its eviction. O(n).
    pub fn to_evict(&self) -> Option<(Incarnation, Registration)> {
        if self.clients.len() < CLIENTS_MAX / 4 * 3 {
            return None;
        }
        let idle = self.clients.iter().filter(|(client, _)| !self.owners.contains_key(client));
        idle.map(|(client, row)| (*client, row.registered)).min_by_key(|(_, registered)| *registered)
    }

    /// The registration of a client, if it is known.
    pub fn registration(&self, client: Incarnation) -> Option<Registration> {
        self.clients.get(&client).map(|row| row.registered)
    }
}
