//! What operators ask for: the group founded, the state shown, scopes held, epochs bumped, registers read and written,
//! voters changed.

use super::desk::{Asker, Purpose};
use super::forward::Who;
use super::machine::{Action, Control};
use super::view::{Founding, Refusal, Reply, Request, SCOPES_SHOWN_MAX, ScopeStatus, Status};
use crate::codec::BodyVersion;
use crate::control::commands;
use crate::control::group::{self, Voter};
use crate::control::state::limits::SCOPES_MAX;
use crate::control::state::{Answer, At, Command, Entry, Genesis, LeaderCommand, Lineage, Outcome, Scope, State};
use crate::epoch::ClusterEpoch;
use crate::lease::client::{self, Ask};
use crate::machine::Sink;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Operators who may wait for an epoch to be known everywhere.
const WAITING_MAX: usize = 64;

/// Where a log begins: at the entry that its founders agree on without having to vote.
const FOUNDED: At = At { index: 1, term: 1 };

/// Operators who wait until nobody writes under an older epoch any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    epochs: Vec<(ClusterEpoch, Who)>,
}

impl Control {
    pub(super) fn request(&mut self, now: Time, who: Who, request: Request, out: &mut impl Sink<Action>) {
        if let Err(why) = self.begin_request(now, who, request, out) {
            self.reply(who, Reply::Refused(why), out);
        }
    }

    fn begin_request(
        &mut self,
        now: Time,
        who: Who,
        request: Request,
        out: &mut impl Sink<Action>,
    ) -> Result<(), Refusal> {
        if self.life.is_none() {
            return Err(Refusal::NotStarted);
        }
        self.check_build()?;
        let Some(request) = self.pass_on(now, who, request, out)? else { return Ok(()) };
        let operator = Purpose::Operator(who);
        match request {
            Request::Found(founding) => self.found(who, founding),
            Request::Status => {
                let status = self.status(now)?;
                self.reply(who, Reply::Status(status), out);
            }
            Request::Backup { number } => {
                let reply = self.back_up(number)?;
                self.reply(who, reply, out);
            }
            Request::Restore { number, bytes } => {
                let reply = self.take_back(number, &bytes.0)?;
                self.reply(who, reply, out);
            }
            Request::Recover(recovery) => self.begin_recovery(now, who, recovery, out)?,
            Request::Hold(scope) => self.ask_client(who, Ask::Hold(scope), out)?,
            Request::Drop(scope) => self.ask_client(who, Ask::Drop(scope), out)?,
            Request::Transfer { scope, to } => self.ask_client(who, Ask::Transfer { scope, to }, out)?,
            Request::Close => self.ask_client(who, Ask::Close, out)?,
            Request::BumpEpoch { expected, reason, actor } => {
                self.leads()?;
                self.has_room()?;
                self.submit(Asker::Bump(who), Command::BumpEpoch { expected, reason, actor });
            }
            Request::AwaitEpoch(epoch) => {
                self.leads()?;
                self.has_room()?;
                self.await_epoch(who, epoch, out);
            }
            Request::Read(register) => self.ask_group(Purpose::Read(who, register), group::Request::Confirm),
            Request::Write { .. } | Request::CompareAndSet { .. } | Request::Cordon { .. }
                if self.state().is_none() =>
            {
                return Err(Refusal::NotMember);
            }
            Request::Write { register, value } => {
                self.submit(Asker::Operator(who), Command::Write { register, value });
            }
            Request::CompareAndSet { register, expected, value } => {
                self.submit(Asker::Operator(who), Command::CompareAndSet { register, expected, value });
            }
            Request::Cordon { node, cordon } => self.submit(Asker::Operator(who), Command::Cordon { node, cordon }),
            Request::Cordons => {
                let state = self.state().ok_or(Refusal::NotMember)?;
                let cordons = state.cordons().take(SCOPES_SHOWN_MAX).collect();
                self.reply(who, Reply::Cordons(cordons, state.cordons().count() as u64), out);
            }
            Request::ChangeVoters { add, remove } => {
                self.may_join(&add)?;
                self.ask_group(operator, group::Request::Change { add, remove });
            }
            Request::Lead(to) => self.ask_group(operator, group::Request::Transfer { to }),
            Request::Activate { version } => {
                let (term, version) = (self.leads()?, BodyVersion(version));
                self.may_activate(now, version)?;
                let ticket = self.desk.ticket(operator);
                self.propose(term, LeaderCommand::Activate { version }, ticket);
            }
            Request::Retire(scope) => self.retire(who, scope)?,
        }
        Ok(())
    }

    fn has_room(&self) -> Result<(), Refusal> {
        if self.waiting.epochs.len() < WAITING_MAX { Ok(()) } else { Err(Refusal::Overloaded) }
    }

    /// All founders begin with the same first entry, which says who votes.
    fn found(&mut self, who: Who, founding: Founding) {
        let ticket = self.desk.ticket(Purpose::Operator(who));
        if let Some(state) = founding.state(self.speaks()) {
            let Founding { nonce, voters, .. } = founding;
            self.inbox.group(group::Event::Found(
                ticket,
                Box::new(group::Founding { nonce, voters, state, at: FOUNDED, is_recovery: false }),
            ));
        }
    }

    fn ask_client(&mut self, who: Who, ask: Ask, out: &mut impl Sink<Action>) -> Result<(), Refusal> {
        if self.client.is_closed() {
            return Err(Refusal::Closed);
        }
        if self.state().is_none() {
            return Err(Refusal::NotMember);
        }
        if matches!(ask, Ask::Hold(_)) && self.client.scopes() >= SCOPES_MAX as u64 {
            return Err(Refusal::Overloaded);
        }
        self.open_session();
        self.inbox.client(client::Event::Ask(ask));
        self.reply(who, Reply::Taken, out);
        Ok(())
    }

    /// Takes a scope out of the state. What the node does not speak itself it does not ask for.
    fn retire(&mut self, who: Who, scope: Scope) -> Result<(), Refusal> {
        let command = Command::Retire { scope };
        if let Some(life) = self.life.filter(|_| self.speaks() < command.version()) {
            return Err(Refusal::TooOld { node: life.node, needs: command.version().0 });
        }
        if self.state().is_none() {
            return Err(Refusal::NotMember);
        }
        self.submit(Asker::Operator(who), command);
        Ok(())
    }

    fn submit(&mut self, ticket: Asker, command: Command) {
        self.inbox.commands(commands::Event::Submit { ticket, command });
    }

    fn status(&self, now: Time) -> Result<Status, Refusal> {
        let Some(state) = self.state() else { return Err(Refusal::NotMember) };
        let recorded = state.voters().members.iter().map(|(node, store)| Voter { node: *node, store: *store });
        let (voters, term) = match (self.following.copy(), self.group.status()) {
            (None, Some(group)) => (group.members.voters().map(|(_, voter)| voter).collect(), Some(group.term)),
            _ => (recorded.collect(), None),
        };
        let scopes = state.scopes().take(SCOPES_SHOWN_MAX).map(|(scope, tenure)| ScopeStatus {
            scope: *scope,
            lease: tenure.lease,
            waiting: tenure.waiting.len() as u64,
        });
        Ok(Status {
            lineage: state.lineage(),
            is_quarantined: state.is_quarantined(),
            voters,
            leader: self.leader,
            term,
            staleness: self.staleness(now),
            applied: state.applied(),
            sessions: state.sessions().count() as u64,
            scopes_total: state.scopes().count() as u64,
            scopes: scopes.collect(),
        })
    }

    /// The epoch has risen. The operator is told when that is known everywhere (rule C2).
    pub(super) fn bumped(&mut self, who: Who, outcome: Option<Outcome>, out: &mut impl Sink<Action>) {
        match outcome {
            Some(Outcome::Done(Answer::Epoch(epoch))) => self.await_epoch(who, epoch, out),
            outcome => self.executed(who, outcome, out),
        }
    }

    fn await_epoch(&mut self, who: Who, epoch: ClusterEpoch, out: &mut impl Sink<Action>) {
        let found = self.state().map_or(ClusterEpoch(0), State::cluster_epoch);
        let reply = if self.tending.term().is_none() || self.has_room().is_err() {
            Reply::Refused(Refusal::NotKnownYet(epoch))
        } else if found >= epoch && self.keeper.is_epoch_known() {
            Reply::EpochKnown(epoch)
        } else {
            return self.waiting.epochs.push((epoch, who));
        };
        self.reply(who, reply, out);
    }

    /// Nobody writes under an older epoch any more.
    pub(super) fn epoch_known(&mut self, known: ClusterEpoch, out: &mut impl Sink<Action>) {
        let (is_known, waiting): (Vec<_>, Vec<_>) =
            self.waiting.epochs.drain(..).partition(|(epoch, _)| *epoch <= known);
        self.waiting.epochs = waiting;
        for (epoch, who) in is_known {
            self.reply(who, Reply::EpochKnown(epoch), out);
        }
    }

    /// This node leads no more: it will not hear who knows the epoch.
    pub(super) fn give_up_waiting(&mut self, out: &mut impl Sink<Action>) {
        for (epoch, who) in core::mem::take(&mut self.waiting.epochs) {
            self.reply(who, Reply::Refused(Refusal::NotKnownYet(epoch)), out);
        }
    }

    /// Tells an operator what became of a command.
    pub(super) fn executed(&mut self, who: Who, outcome: Option<Outcome>, out: &mut impl Sink<Action>) {
        let reply = outcome.map_or(Reply::Refused(Refusal::Unknown), Reply::Executed);
        self.reply(who, reply, out);
    }
}

impl Founding {
    /// What every founder begins with: the state behind the first entry, which says who votes. Nothing where this build cannot
    /// apply that.
    pub fn state(&self, speaks: BodyVersion) -> Option<State> {
        let lineage = Lineage { epoch: ClusterEpoch(1), recovery: self.recovery };
        let mut state = State::new(Genesis { lineage, span_max: self.span_max });
        let members = self.voters.iter().map(|voter| (voter.node, voter.store)).collect();
        let record = Entry::Leader { term: FOUNDED.term, command: LeaderCommand::RecordVoters { members } };
        // Too many voters have no such entry; the group refuses them, too.
        let entry = record.to_bytes().unwrap_or_default();
        state.apply(FOUNDED, &entry, speaks, &mut Vec::new()).ok().map(|_| state)
    }
}
