//! Renewals: taken in memory, held until a round that began after they arrived has confirmed the term, then answered.

use super::{Action, Keeper, Role};
use crate::control::state::SessionId;
use crate::identity::{Incarnation, NodeId};
use crate::lease::observation::LeaseObservation;
use crate::lease::wire::{Message, Renew};
use crate::machine::Sink;
use crate::time::{Duration, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Renewals of one session that may wait; a later one takes the place of the last.
const WAITING_MAX: usize = 4;

/// A renewal that waits for a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    from: NodeId,
    number: u64,
    /// The first round that begins after it arrived.
    round: u64,
}

/// Rounds under way and those who wait for them. One round serves all who came before it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rounds {
    /// The number of the last round begun. Never used twice, not even in another term.
    begun: u64,
    /// When the last round was begun, if neither it nor a later one has been confirmed.
    under_way: Option<(Time, Duration)>,
    /// Of sessions that are known, so it is bounded as they are.
    waiting: BTreeMap<SessionId, Vec<Waiting>>,
}

impl Rounds {
    pub(super) fn clear(&mut self) {
        self.under_way = None;
        self.waiting.clear();
    }

    pub(super) fn retry_at(&self) -> Option<Time> {
        self.under_way.map(|(at, retry)| at.saturating_add(retry))
    }

    fn begin(&mut self, now: Time, retry: Duration) -> u64 {
        self.begun += 1;
        self.under_way = Some((now, retry));
        self.begun
    }

    fn wait(&mut self, session: SessionId, from: NodeId, number: u64) {
        let round = self.begun + 1;
        let waiting = self.waiting.entry(session).or_default();
        // Those that wait for a round under way keep their place: else one who asks again faster than a round takes would
        // never be answered.
        if waiting.len() >= WAITING_MAX || waiting.last().is_some_and(|last| last.round == round) {
            waiting.pop();
        }
        waiting.push(Waiting { from, number, round });
    }

    /// Of each session the newest renewal that `round` confirms.
    fn confirmed(&mut self, round: u64) -> Vec<(SessionId, Waiting)> {
        let mut confirmed = Vec::new();
        self.waiting.retain(|session, waiting| {
            let served = waiting.iter().take_while(|waiting| waiting.round <= round).count();
            confirmed.extend(served.checked_sub(1).map(|last| (*session, waiting[last])));
            waiting.drain(..served);
            !waiting.is_empty()
        });
        confirmed
    }

    fn has_unserved(&self) -> bool {
        self.waiting.values().flatten().any(|waiting| waiting.round > self.begun)
    }
}

impl Keeper {
    pub(super) fn renewal(&mut self, now: Time, from: Incarnation, renew: Renew, out: &mut impl Sink<Action>) {
        let to = from.node;
        if let Role::Following { leader } = self.role {
            return out.push(Action::Send { to, message: Message::NotLeader { hint: leader } });
        }
        // Of a session that is not known nothing is said: its owner learns the end from the log, as everybody does.
        let Some(kept) = self.sessions.get_mut(&renew.session) else { return };
        if kept.owner != from {
            return out.push(Action::Observe(LeaseObservation::Refused { node: to }));
        }
        if kept.is_ending {
            return;
        }
        self.deadlines.remove(&(kept.due, renew.session));
        (kept.heard, kept.due) = (now, now.saturating_add(kept.span()));
        self.deadlines.insert((kept.due, renew.session));
        if renew.epoch >= self.lineage.epoch {
            self.behind.remove(&renew.session);
        }
        self.rounds.wait(renew.session, to, renew.number);
        self.begin_round(now, out);
    }

    pub(super) fn ready(&mut self, now: Time, term: u64, out: &mut impl Sink<Action>) {
        if let Role::Leading { term: own, is_ready, .. } = &mut self.role
            && *own == term
        {
            *is_ready = true;
            self.begin_round(now, out);
        }
    }

    /// Begins a round if somebody waits for one and none is under way.
    fn begin_round(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let Role::Leading { term, is_ready: true, .. } = self.role else { return };
        if self.rounds.under_way.is_none() && self.rounds.has_unserved() {
            let round = self.rounds.begin(now, self.settings.retry_interval());
            out.push(Action::BeginRound { term, round });
        }
    }

    /// A round that got no answer is begun again; it serves those who came meanwhile, too.
    pub(super) fn retry_round(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let Role::Leading { term, .. } = self.role else { return };
        if self.rounds.retry_at().is_some_and(|at| at <= now) {
            let round = self.rounds.begin(now, self.settings.retry_interval());
            out.push(Action::BeginRound { term, round });
        }
    }

    pub(super) fn confirmed(&mut self, now: Time, term: u64, round: u64, out: &mut impl Sink<Action>) {
        let Role::Leading { term: own, is_ready: true, .. } = self.role else { return };
        if own != term || round > self.rounds.begun {
            return;
        }
        if round == self.rounds.begun {
            self.rounds.under_way = None;
        }
        for (session, waiting) in self.rounds.confirmed(round) {
            // Its end may have been proposed, or committed, while it waited (rule R3).
            if self.sessions.get(&session).is_some_and(|kept| !kept.is_ending) {
                let message = Message::Renewed { session, number: waiting.number };
                out.push(Action::Send { to: waiting.from, message });
            }
        }
        self.begin_round(now, out);
    }
}
