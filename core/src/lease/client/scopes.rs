//! Scopes: what the node wants, what the state says, and what siblings were told.

use super::{Action, CeaseCause, Client, Holding, Ticket};
use crate::control::state::limits::WINDOW;
use crate::control::state::{Command, Lease, Outcome, Scope};
use crate::epoch::FenceToken;
use crate::identity::NodeId;
use crate::lease::observation::LeaseObservation;
use crate::machine::Sink;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Commands about scopes under way at once; the rest of the window is for others.
const UNDER_WAY_MAX: usize = WINDOW as usize / 2;

/// How often the pause is doubled after which a command is given again.
const DOUBLINGS_MAX: u32 = 6;

/// How the session stands with a scope, as the state says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Place {
    #[default]
    None,
    Waits,
    Holds(Lease),
}

/// A grant that was given up, and what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct GivenUp {
    granted: FenceToken,
    to: Option<NodeId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Row {
    is_wanted: bool,
    place: Place,
    /// Never to be acted on again (rule S2). Forgotten when the state shows that it is over.
    given_up: Option<GivenUp>,
    /// What siblings were told to act on.
    announced: Option<Lease>,
    /// The command about it that is under way.
    ticket: Option<Ticket>,
    /// Commands that were answered since the state last said something about it, up to [`DOUBLINGS_MAX`].
    tries: u32,
}

/// All scopes that the node has to do with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scopes {
    rows: BTreeMap<Scope, Row>,
    /// Those that may need a command, and from when on.
    due: BTreeSet<(Time, Scope)>,
    under_way: BTreeMap<Ticket, Scope>,
}

impl Scopes {
    pub(super) fn announced(&self, scope: &Scope) -> Option<Lease> {
        self.rows.get(scope)?.announced
    }

    pub(super) fn all_announced(&self) -> impl Iterator<Item = (&Scope, Lease)> {
        self.rows.iter().filter_map(|(scope, row)| Some((scope, row.announced?)))
    }

    pub(super) fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) fn want(&mut self, scope: Scope) {
        self.rows.entry(scope).or_default().is_wanted = true;
        self.reconsider(scope);
    }

    pub(super) fn waits(&mut self, scope: Scope) {
        let row = self.rows.entry(scope).or_default();
        (row.place, row.tries) = (Place::Waits, 0);
        self.reconsider(scope);
    }

    pub(super) fn holds(&mut self, scope: Scope, lease: Lease) {
        let row = self.rows.entry(scope).or_default();
        (row.place, row.tries) = (Place::Holds(lease), 0);
        row.given_up.take_if(|given_up| given_up.granted != lease.granted);
        if !row.is_wanted {
            // Wanted no more before it was known to be held: nobody is told, and it goes back.
            row.given_up.get_or_insert(GivenUp { granted: lease.granted, to: None });
        }
        self.reconsider(scope);
    }

    pub(super) fn has_none(&mut self, scope: Scope) {
        if let Some(row) = self.rows.get_mut(&scope) {
            (row.place, row.given_up, row.tries) = (Place::None, None, 0);
            self.reconsider(scope);
        }
    }

    /// The state that said so has gone; another says anew. What was given up stays so.
    pub(super) fn forget_places(&mut self) {
        for row in self.rows.values_mut() {
            row.place = Place::None;
        }
    }

    fn reconsider(&mut self, scope: Scope) {
        self.due.insert((Time::ZERO, scope));
    }

    pub(super) fn reconsider_all(&mut self) {
        self.due.extend(self.rows.keys().map(|scope| (Time::ZERO, *scope)));
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let has_room = self.under_way.len() < UNDER_WAY_MAX;
        self.due.first().filter(|_| has_room).map(|(at, _)| *at)
    }
}

impl Row {
    /// What siblings may act on, were the view valid.
    fn active(&self) -> Option<Lease> {
        match self.place {
            Place::Holds(lease) if self.given_up.is_none_or(|given_up| given_up.granted != lease.granted) => {
                Some(lease)
            }
            _ => None,
        }
    }

    /// The command that brings the state closer to what is wanted.
    fn next_command(&self, scope: Scope) -> Option<Command> {
        match (self.place, self.given_up) {
            _ if self.ticket.is_some() => None,
            (Place::Holds(_), Some(GivenUp { granted, to: Some(to) })) => {
                Some(Command::Transfer { scope, granted, to })
            }
            (Place::Holds(_), Some(GivenUp { granted, to: None })) => Some(Command::Release { scope, granted }),
            (Place::None, _) if self.is_wanted => Some(Command::Campaign { scope }),
            (Place::Waits, _) if !self.is_wanted => Some(Command::Withdraw { scope }),
            _ => None,
        }
    }

    fn is_idle(&self) -> bool {
        !self.is_wanted && self.place == Place::None && self.ticket.is_none() && self.announced.is_none()
    }
}

impl Client {
    pub(super) fn drop_scope(&mut self, now: Time, scope: Scope, out: &mut impl Sink<Action>) {
        let Some(row) = self.scopes.rows.get_mut(&scope) else { return };
        row.is_wanted = false;
        self.give_up(now, scope, None, out);
    }

    pub(super) fn hand_over(&mut self, now: Time, scope: Scope, to: NodeId, out: &mut impl Sink<Action>) {
        self.give_up(now, scope, Some(to), out);
    }

    /// Stops for good; only then is anybody told (rule S2).
    fn give_up(&mut self, now: Time, scope: Scope, to: Option<NodeId>, out: &mut impl Sink<Action>) {
        let Some(row) = self.scopes.rows.get_mut(&scope) else { return };
        if let Some(lease) = row.active() {
            row.given_up = Some(GivenUp { granted: lease.granted, to });
        }
        self.scopes.reconsider(scope);
        self.announce(now, scope, out);
    }

    /// Tells siblings what has changed for them.
    pub(super) fn announce(&mut self, now: Time, scope: Scope, out: &mut impl Sink<Action>) {
        let not_after = self.view.not_after(now).filter(|_| self.view.is_told_valid());
        let Some(row) = self.scopes.rows.get_mut(&scope) else { return };
        let active = row.active();
        let grant = |lease: &Lease| (lease.session, lease.granted);
        if let Some(told) = row.announced
            && active.as_ref().map(grant) != Some(grant(&told))
        {
            row.announced = None;
            let is_handed = row.given_up.is_some_and(|given_up| given_up.to.is_some());
            let cause = if is_handed { CeaseCause::HandedOver } else { CeaseCause::GivenUp };
            out.push(Action::Ceased { scope, token: told.token, cause });
            out.push(Action::Observe(LeaseObservation::Leadership { held: 0, term: told.term }));
        }
        let Some(lease) = active else { return };
        if row.announced.is_some_and(|told| told.token == lease.token) {
            return;
        }
        // A newer token is told at once, also while suspended: the old one must not be used after.
        let is_held = row.announced.is_some();
        let Some(not_after) = not_after.or(is_held.then_some(Time::ZERO)) else { return };
        row.announced = Some(lease);
        let holding = Holding { scope, token: lease.token, term: lease.term, not_after };
        out.push(if is_held { Action::Reissued { holding } } else { Action::Became { holding } });
        if !is_held {
            out.push(Action::Observe(LeaseObservation::Leadership { held: 1, term: lease.term }));
        }
    }

    pub(super) fn announce_all(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let scopes: Vec<Scope> = self.scopes.rows.keys().copied().collect();
        for scope in scopes {
            self.announce(now, scope, out);
        }
    }

    /// The session is over, and with it everything held and waited for.
    pub(super) fn cease_all(&mut self, cause: CeaseCause, out: &mut impl Sink<Action>) {
        for (scope, row) in &mut self.scopes.rows {
            (row.place, row.given_up, row.tries) = (Place::None, None, 0);
            if let Some(told) = row.announced.take() {
                out.push(Action::Ceased { scope: *scope, token: told.token, cause });
                out.push(Action::Observe(LeaseObservation::Leadership { held: 0, term: told.term }));
            }
        }
        self.scopes.reconsider_all();
    }

    /// Commands for scopes where state and wish differ.
    pub(super) fn submit_due(&mut self, now: Time, out: &mut impl Sink<Action>) {
        if self.session().is_none() {
            // Nothing can be asked for without one; its opening reconsiders everything.
            self.scopes.due.clear();
            return;
        }
        while self.scopes.under_way.len() < UNDER_WAY_MAX
            && let Some((at, scope)) = self.scopes.due.first().copied()
            && at <= now
        {
            self.scopes.due.pop_first();
            let Some(row) = self.scopes.rows.get(&scope) else { continue };
            if row.is_idle() {
                self.scopes.rows.remove(&scope);
            } else if let Some(command) = row.next_command(scope) {
                let ticket = self.ticket();
                self.scopes.under_way.insert(ticket, scope);
                self.scopes.rows.entry(scope).or_default().ticket = Some(ticket);
                out.push(Action::Submit { ticket, command });
            }
        }
    }

    /// A command was executed, or its answer is lost. What became of the scope the state says; should it say nothing for a
    /// while, the command is given again, which is safe. But each costs an entry, and a copy that lags behind many of them
    /// would lag the more: so each time after twice as long.
    pub(super) fn answered(&mut self, now: Time, ticket: Ticket, _: Option<Outcome>) {
        if self.opening_answered(now, ticket) {
            return;
        }
        let Some(scope) = self.scopes.under_way.remove(&ticket) else { return };
        if let Some(row) = self.scopes.rows.get_mut(&scope) {
            row.ticket.take_if(|own| *own == ticket);
            let pause = self.settings.retry_interval().saturating_mul(1 << row.tries);
            row.tries = (row.tries + 1).min(DOUBLINGS_MAX);
            self.scopes.due.insert((now.saturating_add(pause), scope));
        }
    }
}
