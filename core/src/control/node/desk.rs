//! What the group was asked, and on whose behalf: rounds for the keeper, proposals of other nodes, questions of operators.
//!
//! The group answers each ticket once and bounds how many it takes, and so is this table.

use super::forward::Who;
use super::machine::{Action, Control};
use super::view::{Refusal, Reply};
use super::wire::{Follow, Message};
use crate::codec::BodyVersion;
use crate::control::commands;
use crate::control::group::{self, Ticket, Voter};
use crate::control::state::{Entry, LeaderCommand, Name, Outcome};
use crate::identity::{Incarnation, NodeId};
use crate::lease::{client, keeper};
use crate::machine::{Ctx, Sink};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Who wants a command executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// This node's client of leases.
    Client(client::Ticket),
    /// A sibling, by its own number.
    Sibling(u64),
    /// An operator, who is told the outcome.
    Operator(Who),
    /// An operator who bumps the epoch, and is told once it is known.
    Bump(Who),
}

/// What an answer of the group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A round of the keeper.
    Round(u64),
    /// A process wants an entry in the log, under this number of its own.
    Process(NodeId, u64),
    /// A process wants an entry in the log that needs a version which is not activated.
    NotActivated(NodeId, u64, BodyVersion),
    /// A node follows.
    Follow(NodeId, Follow),
    /// A leader tidies up.
    Tend,
    /// An operator wants what the group answers.
    Operator(Who),
    /// An operator reads a register.
    Read(Who, Name),
    /// Another history begins.
    Recovery(Who),
}

/// What the group has not answered yet.
#[derive(Debug, Default)]
pub(super) struct Desk {
    last: u64,
    purposes: BTreeMap<Ticket, Purpose>,
}

impl Desk {
    /// A ticket whose answer is awaited.
    pub(super) fn ticket(&mut self, purpose: Purpose) -> Ticket {
        let ticket = self.nobodys();
        self.purposes.insert(ticket, purpose);
        ticket
    }

    /// A ticket whose answer nobody awaits.
    pub(super) fn nobodys(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }
}

pub(super) type Answer = Result<group::Reply<Outcome>, group::Refusal>;

impl Control {
    pub(super) fn ask_group(&mut self, purpose: Purpose, request: group::Request) {
        let ticket = self.desk.ticket(purpose);
        self.inbox.group(group::Event::Request(ticket, request));
    }

    /// Proposes a command of the leader's own. What becomes of it the log will say.
    pub(super) fn propose(&mut self, term: u64, command: LeaderCommand, ticket: Ticket) {
        let entry = Entry::Leader { term, command };
        let is_activated = self.is_activated(entry.version());
        if let Some(entry) = entry.to_bytes().ok().filter(|_| is_activated) {
            let request = group::Request::Propose { entry: entry.into(), term: Some(term) };
            self.inbox.group(group::Event::Request(ticket, request));
        }
    }

    /// A process wants an entry in the log. One that is none, or another's, is dropped; one that needs a version which is
    /// not activated is refused, and not logged (rule V2).
    pub(super) fn take_entry(&mut self, from: Incarnation, number: u64, bytes: Box<[u8]>) {
        let version = Entry::version_of(&bytes);
        if !self.is_activated(version) {
            return self.refuse_entry(from.node, number, version);
        }
        if !Entry::from_bytes(&bytes).is_ok_and(|entry| entry.is_of(from)) {
            return;
        }
        self.ask_group(Purpose::Process(from.node, number), group::Request::Propose { entry: bytes, term: None });
    }

    /// The group has answered.
    pub(super) fn answered(&mut self, ctx: &Ctx<'_>, ticket: Ticket, answer: Answer, out: &mut impl Sink<Action>) {
        let Some(purpose) = self.desk.purposes.remove(&ticket) else { return };
        match purpose {
            Purpose::Round(round) => {
                if let Ok(group::Reply::Confirmed { term, .. }) = answer {
                    self.inbox.keeper(keeper::Event::Confirmed { term, round });
                }
            }
            Purpose::Process(to, number) => {
                if let Some(message) = to_process(number, answer) {
                    self.send(to, Message::Commands(message), out);
                }
            }
            Purpose::NotActivated(to, number, version) => self.entry_refused((to, number), version, answer, out),
            Purpose::Follow(to, follow) => self.may_serve(ctx.now, to, follow, answer.is_ok(), out),
            Purpose::Tend => self.tended(ctx.now, answer.is_ok()),
            Purpose::Recovery(who) => self.has_recovered(who, answer.map(drop), out),
            Purpose::Operator(who) => self.reply(who, to_operator(answer), out),
            Purpose::Read(who, register) => {
                let value = self.state().and_then(|state| state.register_value(&register));
                let reply = answer.map_or_else(|why| Reply::Refused(why.into()), |_| Reply::Value(value));
                self.reply(who, reply, out);
            }
        }
    }
}

/// What a process is told of its entry; nothing where it had better ask again.
pub(super) fn to_process(number: u64, answer: Answer) -> Option<commands::Message> {
    use group::Refusal::{Halted, Lost, NotLeader, NotMember};
    match answer {
        Ok(group::Reply::Done { outcome, .. }) => Some(commands::Message::Done { number, outcome }),
        Err(NotLeader { hint } | Lost { hint }) => Some(commands::Message::NotLeader { number, hint }),
        Err(NotMember | Halted) => Some(commands::Message::NotLeader { number, hint: None }),
        _ => None,
    }
}

fn to_operator(answer: Answer) -> Reply {
    match answer {
        Ok(group::Reply::Founded(group)) => Reply::Founded(group),
        Ok(group::Reply::Changed(members)) => {
            let voters: Vec<Voter> = members.voters().map(|(_, voter)| voter).collect();
            Reply::Voters(voters)
        }
        Ok(group::Reply::Done { outcome, .. }) => Reply::Executed(outcome),
        Ok(_) => Reply::Taken,
        Err(why) => Reply::Refused(Refusal::Group(why)),
    }
}
