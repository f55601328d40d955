//! The leader's memory of sessions: when each was heard of last, and what follows from that.
//!
//! It runs on every voter and follows every change of the state, so that a new leader knows all sessions; only while its
//! node leads does it measure time, answer renewals and propose ends. A new leadership begins with every time to live in
//! full (rule T5) and owes nothing to the one before.
//!
//! What does not belong here: the log, elections, and the rounds themselves (the group's); what the end of a session does
//! (the state's).

mod endings;
mod renewals;

use super::observation::LeaseObservation;
use super::settings::{Settings, span};
use super::wire::{Message, Renew};
use crate::control::state::{Change, LeaderCommand, Lineage, SessionId};
use crate::epoch::ClusterEpoch;
use crate::identity::{Incarnation, NodeId};
use crate::machine::{Ctx, Machine, Sink};
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use renewals::Rounds;

/// What can happen to the keeper.
#[derive(Clone, Debug)]
pub enum Event {
    /// This node won the election of `term`.
    Led {
        /// The Raft term.
        term: u64,
    },
    /// It has applied an entry of that term (rule R1).
    Ready {
        /// The Raft term.
        term: u64,
    },
    /// It does not lead; perhaps somebody else is known to.
    Deposed {
        /// Who.
        leader: Option<NodeId>,
    },
    /// The state has changed; all changes come here, in order.
    Changed(Change),
    /// Another state took the place of the one so far; all that it amounts to.
    Restated(Box<[Change]>),
    /// A quorum round that began after [`Action::BeginRound`] has confirmed the term (rule R2).
    Confirmed {
        /// The Raft term.
        term: u64,
        /// The round.
        round: u64,
    },
    /// A process renews its session.
    Renewal {
        /// Which process, as its packet says.
        from: Incarnation,
        /// The renewal.
        renew: Renew,
    },
    /// A deadline may have passed.
    Wake,
}

/// What the keeper asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Have a majority confirm that this node still leads `term`, by a round that begins now or later.
    BeginRound {
        /// The Raft term.
        term: u64,
        /// To be named in [`Event::Confirmed`]. A later round may stand for it; one that gets lost is begun again.
        round: u64,
    },
    /// Propose this, if this node still leads `term`. May get lost, and is then proposed again.
    Propose {
        /// The Raft term.
        term: u64,
        /// What.
        command: LeaderCommand,
    },
    /// Answer a process.
    Send {
        /// Which.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Every session older than the epoch has acknowledged it or has ended (rule C2).
    EpochKnown {
        /// Which epoch.
        epoch: ClusterEpoch,
    },
    /// Let operators see something.
    Observe(LeaseObservation),
}

/// What is kept of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kept {
    owner: Incarnation,
    ttl: Duration,
    epsilon: Duration,
    /// When the leader's time for it began: with its last renewal, its opening, or the leadership.
    heard: Time,
    /// When its time is up, or its end is to be proposed again: its place in the deadlines.
    due: Time,
    /// Its end was proposed in this term: it is acknowledged no more (rule R3).
    is_ending: bool,
}

/// Whether this node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Following { leader: Option<NodeId> },
    Leading { term: u64, is_ready: bool },
}

/// The memory of sessions on one voter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keeper {
    settings: Settings,
    role: Role,
    lineage: Lineage,
    sessions: BTreeMap<SessionId, Kept>,
    /// When each session's time is up, or its end is to be proposed again. Empty unless leading.
    deadlines: BTreeSet<(Time, SessionId)>,
    rounds: Rounds,
    /// Nothing is ended before this (rule T6).
    not_before: Time,
    graces: u8,
    quarantine: Option<Quarantine>,
    /// Sessions that are older than the epoch and have not acknowledged it to this leader.
    behind: BTreeSet<SessionId>,
    /// The last epoch that was said to be known.
    told: ClusterEpoch,
}

/// Until when nothing is granted after a recovery (rule C4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Quarantine {
    span: Duration,
    /// When the lifting is to be proposed.
    due: Time,
}

impl Keeper {
    /// The keeper of a node that follows, before it knows any session.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            role: Role::Following { leader: None },
            lineage: Lineage::default(),
            sessions: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            rounds: Rounds::default(),
            not_before: Time::ZERO,
            graces: 0,
            quarantine: None,
            behind: BTreeSet::new(),
            told: ClusterEpoch(0),
        }
    }

    /// Sessions that this leader believes to live, with the span since each was heard of. O(n).
    pub fn heard(&self, now: Time) -> impl Iterator<Item = (SessionId, NodeId, Duration)> {
        self.sessions.iter().map(move |(id, kept)| (*id, kept.owner.node, now.since(kept.heard)))
    }

    /// Whether every session older than the current epoch is known to this leader to have acknowledged it.
    ///
    /// Not before a quarantine is lifted: whoever held something before the recovery is in no list.
    pub fn is_epoch_known(&self) -> bool {
        matches!(self.role, Role::Leading { .. }) && self.behind.is_empty() && self.quarantine.is_none()
    }

    fn term(&self) -> Option<u64> {
        match self.role {
            Role::Leading { term, .. } => Some(term),
            Role::Following { .. } => None,
        }
    }

    fn lead(&mut self, now: Time, term: u64) {
        self.role = Role::Leading { term, is_ready: false };
        self.rounds.clear();
        self.not_before = now;
        self.graces = 0;
        self.told = ClusterEpoch(0);
        self.restart(now);
    }

    /// Every session gets its whole time to live and ε from now on (rule T5).
    fn restart(&mut self, now: Time) {
        self.deadlines.clear();
        for (id, kept) in &mut self.sessions {
            (kept.heard, kept.due, kept.is_ending) = (now, now.saturating_add(kept.span()), false);
            self.deadlines.insert((kept.due, *id));
        }
        let epoch = self.lineage.epoch;
        self.behind = self.sessions.keys().filter(|id| id.0.cluster() < epoch).copied().collect();
        if let Some(quarantine) = &mut self.quarantine {
            *quarantine = Quarantine::new(quarantine.span, now);
        }
    }

    fn follow(&mut self, leader: Option<NodeId>) {
        self.role = Role::Following { leader };
        self.rounds.clear();
        self.deadlines.clear();
        self.behind.clear();
    }

    fn change(&mut self, now: Time, change: Change) {
        match change {
            Change::Opened { session, owner, ttl, epsilon } => {
                let due = now.saturating_add(span(ttl, epsilon));
                self.sessions.insert(session, Kept { owner, ttl, epsilon, heard: now, due, is_ending: false });
                if self.term().is_some() {
                    self.deadlines.insert((due, session));
                }
            }
            Change::Ended { session, .. } => {
                if let Some(kept) = self.sessions.remove(&session) {
                    self.deadlines.remove(&(kept.due, session));
                }
                self.behind.remove(&session);
            }
            Change::Epoch { lineage } => {
                self.lineage = lineage;
                if self.term().is_some() {
                    self.behind = self.sessions.keys().filter(|id| id.0.cluster() < lineage.epoch).copied().collect();
                }
            }
            Change::Quarantined { span, .. } => self.quarantine = Some(Quarantine::new(span, now)),
            Change::Lifted => self.quarantine = None,
            Change::Waits { .. }
            | Change::Withdrew { .. }
            | Change::Granted { .. }
            | Change::Reissued { .. }
            | Change::Freed { .. }
            | Change::Cordon { .. }
            | Change::Shard { .. }
            | Change::Placed { .. }
            | Change::Plan { .. } => {}
        }
    }

    fn restate(&mut self, now: Time, changes: &[Change]) {
        self.sessions.clear();
        self.deadlines.clear();
        self.quarantine = None;
        for change in changes {
            self.change(now, *change);
        }
        if self.term().is_some() {
            self.restart(now);
        }
    }

    /// Says once in a leadership, for each epoch, that nobody writes under an older one any more.
    fn tell_epoch(&mut self, out: &mut impl Sink<Action>) {
        let epoch = self.lineage.epoch;
        if self.is_epoch_known() && self.told < epoch {
            self.told = epoch;
            out.push(Action::EpochKnown { epoch });
        }
    }
}

impl Quarantine {
    fn new(span: Duration, began: Time) -> Self {
        Self { span, due: began.saturating_add(span) }
    }
}

impl Kept {
    fn span(&self) -> Duration {
        span(self.ttl, self.epsilon)
    }
}

impl Machine for Keeper {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        self.notice_pause(ctx.now, out);
        match event {
            Event::Led { term } => self.lead(ctx.now, term),
            Event::Ready { term } => self.ready(ctx.now, term, out),
            Event::Deposed { leader } => self.follow(leader),
            Event::Changed(change) => self.change(ctx.now, change),
            Event::Restated(changes) => self.restate(ctx.now, &changes),
            Event::Confirmed { term, round } => self.confirmed(ctx.now, term, round, out),
            Event::Renewal { from, renew } => self.renewal(ctx.now, from, renew, out),
            Event::Wake => {}
        }
        self.tell_epoch(out);
        self.do_what_is_due(ctx.now, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        let Role::Leading { is_ready, .. } = self.role else { return None };
        let end = self.deadlines.first().map(|(at, _)| (*at).max(self.not_before));
        let lift = self.quarantine.filter(|_| is_ready).map(|quarantine| quarantine.due);
        [end, lift, self.rounds.retry_at()].into_iter().flatten().min()
    }
}

/// The ids of sessions, in a bounded buffer of one event's work.
type Due = Vec<SessionId>;
