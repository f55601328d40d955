//! A node's own side: its one session, and the scopes that it holds by it.
//!
//! The client asks for a session, renews it, and counts how long it may act from the sending of each renewal that was
//! acknowledged (rule T2). Which scopes it holds it learns from the committed state (rule S5). It keeps a scope that the
//! node wants wanted: after the loss of a session it opens another and gets in line again.
//!
//! Siblings are told: [`Action::Became`] and [`Action::Ceased`] for each scope, [`Action::Suspended`] and
//! [`Action::Resumed`] for all that is held. Between `Suspended` and `Resumed` nothing may be done for any scope, though
//! none is lost yet. A sibling about to act asks [`Client::holding`], and gives what leaves through the gate the
//! `not_after` that stands there (rule S6).
//!
//! What does not belong here: the way of commands to the leader (exactly once; [`Action::Submit`]), and following the
//! state. Invariant: a grant that was given up is never acted on again (rule S2).

mod scopes;
mod view;

use super::observation::LeaseObservation;
use super::settings::Settings;
use super::wire::Message;
use crate::control::state::{Change, Command, Outcome, Scope, SessionId};
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{Incarnation, NodeId};
use crate::machine::{Ctx, Machine, Sink};
use crate::time::Time;
use alloc::boxed::Box;
use scopes::Scopes;
use view::View;

/// Names a command under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What can happen to the client.
#[derive(Clone, Debug)]
pub enum Event {
    /// The node may speak: the process that will own the session.
    Start {
        /// Which.
        life: Incarnation,
    },
    /// Somebody leads the control group, as far as this node knows.
    Leader(Option<NodeId>),
    /// Who votes: where a leader may be found.
    Voters(Box<[NodeId]>),
    /// This node's copy of the state has changed; all changes come here, in order.
    Changed(Change),
    /// Another state took the place of the copy; all that it amounts to.
    Restated(Box<[Change]>),
    /// A message arrived.
    Message {
        /// From whom.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// A command was answered; nothing when its answer is lost for good.
    Answered {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Option<Outcome>,
    },
    /// A sibling, or an operator, wants something.
    Ask(Ask),
    /// A deadline may have passed.
    Wake,
}

/// What can be asked of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Hold this scope, now or when its turn comes, until told otherwise.
    Hold(Scope),
    /// Hold it no more.
    Drop(Scope),
    /// Hand it to that node, if it is held; this node stays in line for it.
    Transfer {
        /// Which scope.
        scope: Scope,
        /// To whom.
        to: NodeId,
    },
    /// The node is leaving: stop everything, end the session, and open none.
    Close,
}

/// What the client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell a voter something; that may be this node itself.
    Send {
        /// Whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Have a command executed exactly once; [`Event::Answered`] follows.
    Submit {
        /// To be named in the answer.
        ticket: Ticket,
        /// What.
        command: Command,
    },
    /// This node holds a scope from now on.
    Became {
        /// Which, under which grant.
        holding: Holding,
    },
    /// It holds it under a newer token: nothing more is to be written under the one before.
    Reissued {
        /// Which, under which grant.
        holding: Holding,
    },
    /// It does not hold a scope any more.
    Ceased {
        /// Which.
        scope: Scope,
        /// Under which token it did.
        token: FenceToken,
        /// Why.
        cause: CeaseCause,
    },
    /// Whether the session lives is not known: do nothing under any lease.
    Suspended,
    /// It lives, and so does everything held by it.
    Resumed {
        /// The last instant, as known now.
        not_after: Time,
    },
    /// Let operators see something.
    Observe(LeaseObservation),
}

/// A scope that this node may act for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    /// Which.
    pub scope: Scope,
    /// What to fence with.
    pub token: FenceToken,
    /// How many times the scope was granted.
    pub term: u64,
    /// The last instant at which anything that depends on it may leave. Renewals move it on: ask again before each use.
    pub not_after: Time,
}

/// Why a scope is held no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CeaseCause {
    /// This node gave it up.
    GivenUp,
    /// This node hands it to another.
    HandedOver,
    /// The session has ended.
    SessionEnded,
    /// The control group has begun another history.
    Recovered,
}

/// The client of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    settings: Settings,
    life: Option<Incarnation>,
    epoch: ClusterEpoch,
    view: View,
    scopes: Scopes,
    next_ticket: u64,
}

impl Client {
    /// The client of a process that may not speak yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            life: None,
            epoch: ClusterEpoch(0),
            view: View::default(),
            scopes: Scopes::default(),
            next_ticket: 0,
        }
    }

    /// The session, if it is known to be open.
    pub fn session(&self) -> Option<SessionId> {
        self.view.session()
    }

    /// The last instant at which anything may be done under a lease; nothing if that has passed.
    pub fn not_after(&self, now: Time) -> Option<Time> {
        self.view.not_after(now)
    }

    /// What this node may do for a scope now. O(log n).
    pub fn holding(&self, scope: &Scope, now: Time) -> Option<Holding> {
        let lease = self.scopes.announced(scope)?;
        let not_after = self.view.not_after(now)?;
        Some(Holding { scope: *scope, token: lease.token, term: lease.term, not_after })
    }

    /// All that this node may act for now. O(n).
    pub fn holdings(&self, now: Time) -> impl Iterator<Item = Holding> {
        let held = self.scopes.all_announced();
        held.filter_map(move |(scope, _)| self.holding(scope, now))
    }

    /// Whether the process has ended its session for good.
    pub fn is_closed(&self) -> bool {
        self.view.is_closed()
    }

    /// Scopes that this node holds, wants, or still has to let go.
    pub fn scopes(&self) -> u64 {
        self.scopes.count()
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn change(&mut self, now: Time, change: Change, out: &mut impl Sink<Action>) {
        match change {
            Change::Opened { session, owner, ttl, epsilon } if Some(owner) == self.life => {
                if self.session().is_some_and(|known| known != session) {
                    self.cease_all(CeaseCause::SessionEnded, out);
                }
                self.opened(now, session, ttl, epsilon);
                self.scopes.reconsider_all();
            }
            Change::Ended { session, .. } if Some(session) == self.session() => {
                self.view.end();
                self.cease_all(CeaseCause::SessionEnded, out);
            }
            Change::Epoch { lineage } => self.epoch = lineage.epoch,
            Change::Waits { scope, session } if Some(session) == self.session() => {
                self.scopes.waits(scope);
            }
            Change::Withdrew { scope, session } if Some(session) == self.session() => {
                self.scopes.has_none(scope);
            }
            Change::Granted { scope, lease } | Change::Reissued { scope, lease }
                if Some(lease.session) == self.session() =>
            {
                self.scopes.holds(scope, lease);
                self.announce(now, scope, out);
            }
            Change::Freed { scope, lease } if Some(lease.session) == self.session() => {
                self.scopes.has_none(scope);
                self.announce(now, scope, out);
            }
            _ => {}
        }
    }

    fn restate(&mut self, now: Time, changes: &[Change], out: &mut impl Sink<Action>) {
        let before = self.session();
        let is_own = |change: &Change| match change {
            Change::Opened { session, owner, .. } if Some(*owner) == self.life => Some(*session),
            _ => None,
        };
        if before.is_some() && changes.iter().find_map(is_own) != before {
            self.view.end();
            self.cease_all(CeaseCause::Recovered, out);
        }
        self.scopes.forget_places();
        for change in changes {
            self.change(now, *change, out);
        }
        self.announce_all(now, out);
    }

    fn ask(&mut self, now: Time, ask: Ask, out: &mut impl Sink<Action>) {
        if self.view.is_closed() {
            return;
        }
        match ask {
            Ask::Hold(scope) => self.scopes.want(scope),
            Ask::Drop(scope) => self.drop_scope(now, scope, out),
            Ask::Transfer { scope, to } => self.hand_over(now, scope, to, out),
            Ask::Close => self.close(out),
        }
    }

    /// Stops everything for good, then ends the session (rule E4).
    fn close(&mut self, out: &mut impl Sink<Action>) {
        self.cease_all(CeaseCause::GivenUp, out);
        self.scopes = Scopes::default();
        if self.view.close() {
            let ticket = self.ticket();
            out.push(Action::Submit { ticket, command: Command::Close });
        }
    }
}

impl Machine for Client {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        // First: what happens now must not find a view valid that has lapsed.
        self.notice_lapse(ctx.now, out);
        match event {
            Event::Start { life } => self.life = Some(life),
            Event::Leader(leader) => self.view.leads(leader),
            Event::Voters(voters) => self.view.vote(voters),
            Event::Changed(change) => self.change(ctx.now, change, out),
            Event::Restated(changes) => self.restate(ctx.now, &changes, out),
            Event::Message { from, message } => self.message(ctx.now, from, message, out),
            Event::Answered { ticket, outcome } => self.answered(ctx.now, ticket, outcome),
            Event::Ask(ask) => self.ask(ctx.now, ask, out),
            Event::Wake => {}
        }
        self.keep_session(ctx.now, out);
        self.submit_due(ctx.now, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        self.life?;
        [self.view.next_deadline(), self.scopes.next_deadline()].into_iter().flatten().min()
    }
}
