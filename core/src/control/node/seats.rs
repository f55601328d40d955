//! Who may hold anything: members of the group, for nobody else has a copy of the state to learn from what it holds.
//!
//! A voter that is removed may not hear of that, since nobody sends it anything any more. So the leader takes no more
//! renewals of it, and its session ends as that of a process that is silent; nor does it get another. Both goes once
//! nodes outside the group follow the state.

use super::machine::{Action, Control};
use super::wire::Message;
use crate::control::commands;
use crate::control::group::{Members, Voter};
use crate::control::state::{Command, Entry, Outcome, Refusal};
use crate::identity::Incarnation;
use crate::lease::client::{self, Ask};
use crate::machine::Sink;

impl Control {
    /// Who belongs to the group from now on.
    pub(super) fn seat(&mut self, members: &Members) {
        let was_seated = self.life.is_some_and(|life| self.is_seated(life));
        self.seats = members.iter().map(|(_, voter)| voter).collect();
        // Who was removed learns of no grant: it stops for good, and may hold again as another process. A new member may
        // have a state from before it was one.
        match self.life {
            // Nobody else has a session: a node that belongs to no group has nobody to ask for one.
            Some(life) if self.is_seated(life) && !was_seated => self.inbox.client(client::Event::Start { life }),
            Some(life) if !self.is_seated(life) && was_seated => self.inbox.client(client::Event::Ask(Ask::Close)),
            _ => {}
        }
    }

    /// Whether a process runs on a member, as far as is known here.
    pub(super) fn is_seated(&self, process: Incarnation) -> bool {
        self.seats.contains(&Voter { node: process.node, store: process.store })
    }

    /// Whether this node, if it leads, lets a process hold anything.
    pub(super) fn may_hold(&self, process: Incarnation) -> bool {
        self.tending.term().is_none() || self.is_seated(process)
    }

    /// Refuses to let a process get hold of something that it would not learn of. Whether it did.
    pub(super) fn refuses(
        &mut self,
        from: Incarnation,
        number: u64,
        entry: &Entry,
        out: &mut impl Sink<Action>,
    ) -> bool {
        let Entry::Client { command, .. } = entry else { return false };
        let gets = matches!(**command, Command::Open { .. } | Command::Campaign { .. });
        if !gets || self.may_hold(from) {
            return false;
        }
        let outcome = Outcome::Refused(Refusal::NoSession);
        self.send(from.node, Message::Commands(commands::Message::Done { number, outcome }), out);
        true
    }
}
