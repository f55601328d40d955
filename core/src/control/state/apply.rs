//! The one dispatcher: every committed entry passes here, in log order, on every node.

use super::clients::Turn;
use super::command::{Command, Entry, LeaderCommand};
use super::lineage::Bump;
use super::outcome::{Answer, Outcome, Refusal};
use super::shared::Voters;
use super::table::State;
use super::{Change, EndCause, SessionId};
use crate::codec::BodyVersion;
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::Incarnation;
use crate::machine::Sink;
use serde::{Deserialize, Serialize};

/// Where an entry stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct At {
    /// Its index.
    pub index: u64,
    /// The Raft term in which it was appended.
    pub term: u64,
}

/// Why an entry could not be applied here. The node must stop following the log: to leave the entry out would make its
/// state differ from everybody's. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotApply {
    /// Entries of a version that is newer than this build are in use from there on (rule V4).
    #[error("entry {index} needs {version}, this build knows up to {newest}; upgrade this node")]
    BuildTooOld {
        /// The entry.
        index: u64,
        /// The version.
        version: BodyVersion,
        /// The newest this build knows.
        newest: BodyVersion,
    },
    /// It is not the next one, which is a defect of whoever reads the log.
    #[error("entry {found} after entry {applied}")]
    OutOfOrder {
        /// The entry.
        found: u64,
        /// The last one applied.
        applied: u64,
    },
}

impl State {
    /// Takes the next committed entry; an empty one stands for what the group keeps to itself. `speaks` is the newest
    /// version that this build understands: a matter of the build, so that it is no part of the state.
    ///
    /// O(log n), but for the end of a session, O(its scopes), and for bumps and the lifting of a quarantine, O(scopes).
    ///
    /// # Errors
    /// [`CannotApply`] when this node must not go on. An entry that makes no sense is no error: it is refused, everywhere.
    pub fn apply(
        &mut self,
        at: At,
        entry: &[u8],
        speaks: BodyVersion,
        out: &mut impl Sink<Change>,
    ) -> Result<Outcome, CannotApply> {
        if Some(at.index) != self.applied.checked_add(1) {
            return Err(CannotApply::OutOfOrder { found: at.index, applied: self.applied });
        }
        let version = Entry::version_of(entry);
        let known = if version > self.activated { None } else { Some(Entry::from_bytes(entry)) };
        let needs = match &known {
            // Whoever stops here, and not at the first entry in it, acts under nothing that others may take away in it.
            Some(Ok(Entry::Leader { term, command: LeaderCommand::Activate { version } }))
                if *term == at.term && Some(*version) == self.next_version() =>
            {
                self.activated.max(*version)
            }
            _ => self.activated,
        };
        if needs > speaks {
            return Err(CannotApply::BuildTooOld { index: at.index, version: needs, newest: speaks });
        }
        (self.applied, self.term) = (at.index, at.term);
        self.chain = self.chain.extend(at.index, at.term, entry);
        if entry.is_empty() {
            return Ok(Outcome::Done(Answer::Nothing));
        }
        Ok(match known {
            None => Outcome::Refused(Refusal::NotActivated { version, activated: self.activated }),
            Some(Err(_)) => Outcome::Refused(Refusal::Malformed),
            Some(Ok(entry)) => self.dispatch(at, entry, out),
        })
    }

    fn dispatch(&mut self, at: At, entry: Entry, out: &mut impl Sink<Change>) -> Outcome {
        match entry {
            Entry::Register { client } => {
                let token = self.token(at);
                self.register(client, token, out).into()
            }
            Entry::Client { client, registered, sequence, unanswered, command } => {
                match self.turn(client, registered, sequence, unanswered) {
                    Turn::Done(outcome) => outcome,
                    Turn::Refused(refusal) => Outcome::Refused(refusal),
                    Turn::Fresh => {
                        let outcome = self.client_command(at, client, *command, out).into();
                        self.remember(client, sequence, &outcome);
                        outcome
                    }
                }
            }
            Entry::Leader { term, .. } if term != at.term => {
                Outcome::Refused(Refusal::OtherTerm { proposed: term, logged: at.term })
            }
            Entry::Leader { command, .. } => self.leader_command(at, command, out).into(),
        }
    }

    fn client_command(
        &mut self,
        at: At,
        client: Incarnation,
        command: Command,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        let token = self.token(at);
        let session = self.own_session(client).ok_or(Refusal::NoSession);
        match command {
            Command::Nothing => Ok(Answer::Nothing),
            Command::Open { ttl, epsilon } => self.open(SessionId(token), client, ttl, epsilon, out),
            Command::Close => {
                self.end(session?, token, EndCause::Closed, out);
                Ok(Answer::Ended)
            }
            Command::Campaign { scope } => self.campaign(scope, session?, token, out),
            Command::Withdraw { scope } => self.withdraw(scope, session?, out),
            Command::Release { scope, granted } => self.release(scope, session?, granted, token, out),
            Command::Transfer { scope, granted, to } => self.transfer(scope, session?, granted, to, token, out),
            Command::Forget { scope } => self.forget(scope),
            Command::Retire { scope } => self.retire(scope),
            Command::BumpEpoch { expected, reason, actor } => {
                let found = self.lineage.epoch;
                let next = found.0.checked_add(1).filter(|_| expected == found).map(ClusterEpoch);
                let epoch = next.ok_or(Refusal::Outdated { expected: expected.0, found: found.0 })?;
                self.bump(Bump { index: at.index, epoch, by: client.node, reason, actor }, out);
                Ok(Answer::Epoch(epoch))
            }
            Command::Cordon { node, cordon } => {
                let answer = self.shared.set_cordon(node, cordon)?;
                out.push(Change::Cordon { node });
                self.fill_all(token, out);
                self.give_all(token, out);
                Ok(answer)
            }
            Command::SetFlag { name, on } => self.shared.set_flag(name, on),
            Command::RaiseFeature { name, version } => self.shared.raise_feature(name, version),
            Command::SetSetting { name, value, expected } => self.shared.set(name, value, expected, at.index),
            Command::Read { register } => Ok(Answer::Value(self.register_value(&register))),
            Command::Write { register, value } => self.shared.write(register, value),
            Command::CompareAndSet { register, expected, value } => {
                self.shared.compare_and_set(register, expected, value)
            }
            Command::Shard(command) => self.shard_command(token, client, command, out),
            Command::Placement(command) => self.placement_command(at.index, client, command, out),
        }
    }

    fn leader_command(
        &mut self,
        at: At,
        command: LeaderCommand,
        out: &mut impl Sink<Change>,
    ) -> Result<Answer, Refusal> {
        match command {
            LeaderCommand::End { session } => {
                let has_ended = self.end(session, self.token(at), EndCause::Expired, out);
                if has_ended { Ok(Answer::Ended) } else { Err(Refusal::NoSession) }
            }
            LeaderCommand::Lift { epoch } => {
                if !self.is_quarantined || epoch != self.lineage.epoch {
                    return Err(Refusal::Outdated { expected: epoch.0, found: self.lineage.epoch.0 });
                }
                self.is_quarantined = false;
                out.push(Change::Lifted);
                self.fill_all(self.token(at), out);
                self.give_all(self.token(at), out);
                Ok(Answer::Set)
            }
            LeaderCommand::Evict { client, registered } => self.evict(client, registered),
            LeaderCommand::RecordVoters { members } => {
                self.voters = Voters { version: at.index, members };
                Ok(Answer::Set)
            }
            LeaderCommand::Activate { version } => {
                if Some(version) != self.next_version() {
                    let (expected, found) = (u64::from(version.0), u64::from(self.activated.0));
                    return Err(Refusal::Outdated { expected, found });
                }
                self.activated = version;
                Ok(Answer::Set)
            }
        }
    }

    /// The version that may be activated.
    fn next_version(&self) -> Option<BodyVersion> {
        self.activated.0.checked_add(1).map(BodyVersion)
    }

    fn token(&self, at: At) -> FenceToken {
        FenceToken::new(self.lineage.epoch, at.index)
    }
}
