//! The session as this process sees it: opened, renewed, and valid for so long after the sending of what was acknowledged.

use super::{Action, Client, Ticket};
use crate::control::commands::Way;
use crate::control::state::{Command, SessionId};
use crate::identity::NodeId;
use crate::lease::observation::LeaseObservation;
use crate::lease::settings::{renew_interval, retry_interval, view};
use crate::lease::wire::{Message, Renew};
use crate::machine::Sink;
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// Renewals whose answers are awaited; of older ones the answers are of no use any more.
const SENT_MAX: usize = 32;

/// A session that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Open {
    id: SessionId,
    ttl: Duration,
    epsilon: Duration,
}

/// The session, and what is known of its life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct View {
    open: Option<Open>,
    /// The command that opens it.
    opening: Option<Ticket>,
    /// When to ask for one again.
    open_at: Time,
    /// The node is leaving.
    is_closed: bool,
    /// When each renewal that was not answered left, by its number.
    sent: BTreeMap<u64, Time>,
    next_number: u64,
    /// When the next one leaves.
    renew_at: Time,
    /// Valid before this instant.
    valid_until: Time,
    /// Siblings were told that it is valid.
    is_told_valid: bool,
    way: Way,
}

impl View {
    pub(super) fn session(&self) -> Option<SessionId> {
        self.open.map(|open| open.id)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn is_told_valid(&self) -> bool {
        self.is_told_valid
    }

    /// The last instant of the view, if that has not passed.
    pub(super) fn not_after(&self, now: Time) -> Option<Time> {
        let is_valid = self.open.is_some() && now < self.valid_until;
        is_valid.then(|| Time::from_nanos(self.valid_until.as_nanos() - 1))
    }

    pub(super) fn leads(&mut self, leader: Option<NodeId>) {
        if self.way.leads(leader) && !self.sent.is_empty() {
            self.renew_at = Time::ZERO;
        }
    }

    pub(super) fn vote(&mut self, voters: Box<[NodeId]>) {
        self.way.vote(voters);
    }

    /// The session is over, whatever it was.
    pub(super) fn end(&mut self) {
        self.open = None;
        self.sent.clear();
        self.valid_until = Time::ZERO;
        self.is_told_valid = false;
    }

    /// No session any more; says whether there may be one to end.
    pub(super) fn close(&mut self) -> bool {
        let is_open = self.open.is_some() || self.opening.is_some();
        self.end();
        self.is_closed = true;
        is_open
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.is_closed {
            return None;
        }
        match self.open {
            None => self.opening.is_none().then_some(self.open_at),
            Some(_) if self.is_told_valid => Some(self.renew_at.min(self.valid_until)),
            Some(_) => Some(self.renew_at),
        }
    }
}

impl Client {
    pub(super) fn opened(&mut self, now: Time, id: SessionId, ttl: Duration, epsilon: Duration) {
        if self.view.is_closed || self.session() == Some(id) {
            return;
        }
        self.view.end();
        self.view.open = Some(Open { id, ttl, epsilon });
        self.view.opening = None;
        self.view.renew_at = now;
    }

    /// Asks for a session if there is none, and renews the one that there is.
    pub(super) fn keep_session(&mut self, now: Time, out: &mut impl Sink<Action>) {
        if self.life.is_none() || self.view.is_closed {
            return;
        }
        let Some(open) = self.view.open else { return self.ask_for_session(now, out) };
        if now < self.view.renew_at {
            return;
        }
        // One that has lapsed gains nothing by hurry, and the voters have others to answer.
        let is_lapsed = now >= self.view.valid_until && self.view.valid_until > Time::ZERO;
        let pause = if is_lapsed { renew_interval(open.ttl) } else { retry_interval(open.ttl) };
        self.view.renew_at = now.saturating_add(pause);
        if !self.view.sent.is_empty() {
            self.view.way.timed_out();
        }
        self.send_renewal(now, out);
    }

    fn ask_for_session(&mut self, now: Time, out: &mut impl Sink<Action>) {
        if self.view.opening.is_some() || now < self.view.open_at {
            return;
        }
        let ticket = self.ticket();
        self.view.opening = Some(ticket);
        self.view.open_at = now.saturating_add(self.settings.renew_interval());
        let (ttl, epsilon) = (self.settings.ttl, self.settings.epsilon);
        out.push(Action::Submit { ticket, command: Command::Open { ttl, epsilon } });
    }

    fn send_renewal(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let (Some(session), Some(to)) = (self.session(), self.view.way.target()) else { return };
        let number = self.view.next_number;
        self.view.next_number += 1;
        if self.view.sent.len() >= SENT_MAX {
            self.view.sent.pop_first();
        }
        self.view.sent.insert(number, now);
        out.push(Action::Send { to, message: Message::Renew(Renew { session, number, epoch: self.epoch }) });
    }

    pub(super) fn message(&mut self, now: Time, from: NodeId, message: Message, out: &mut impl Sink<Action>) {
        match message {
            Message::Renewed { session, number } if Some(session) == self.session() => {
                self.view.way.answered(from);
                self.renewed(now, number, out);
            }
            Message::NotLeader { hint } if self.view.way.redirected(from, hint) => self.send_renewal(now, out),
            // What is not for this session is late. Renewals are the keeper's.
            _ => {}
        }
    }

    /// A renewal was acknowledged: the view counts from its sending (rule T2).
    fn renewed(&mut self, now: Time, number: u64, out: &mut impl Sink<Action>) {
        let (Some(open), Some(sent)) = (self.view.open, self.view.sent.get(&number).copied()) else { return };
        self.view.sent = self.view.sent.split_off(&(number + 1));
        self.view.valid_until = self.view.valid_until.max(sent.saturating_add(view(open.ttl, open.epsilon)));
        self.view.renew_at = sent.saturating_add(renew_interval(open.ttl)).max(now);
        let Some(not_after) = self.view.not_after(now).filter(|_| !self.view.is_told_valid) else { return };
        self.view.is_told_valid = true;
        out.push(Action::Resumed { not_after });
        self.announce_all(now, out);
    }

    /// The view lapses by itself; whether the session has ended is for the log to say (rule E2).
    pub(super) fn notice_lapse(&mut self, now: Time, out: &mut impl Sink<Action>) {
        if self.view.is_told_valid && self.view.not_after(now).is_none() {
            self.view.is_told_valid = false;
            let scopes = self.scopes.all_announced().count() as u64;
            out.push(Action::Observe(LeaseObservation::Suspended { scopes }));
            out.push(Action::Suspended);
        }
    }

    /// Whether the answer was about the session.
    pub(super) fn opening_answered(&mut self, now: Time, ticket: Ticket) -> bool {
        let is_own = self.view.opening == Some(ticket);
        if is_own {
            // If it was granted, the state will say so; if that takes long, another try does no harm.
            self.view.opening = None;
            self.view.open_at = now.saturating_add(self.settings.renew_interval());
        }
        is_own
    }
}
