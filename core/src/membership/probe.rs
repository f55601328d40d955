//! Probing: who is asked, who vouches, and what follows when nobody does (SWIM §3.1, Lifeguard §IV-A).

use super::clockwork::Due;
use super::coordinate::Coordinate;
use super::machine::{Action, Membership};
use super::observation::MembershipObservation;
use super::table::{Row, Slot};
use super::upkeep::SEEKERS;
use super::verdict::Status;
use super::wire::Message;
use crate::envelope::Class;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::time::{Duration, Time};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Weight of a new round trip in the average, as a divisor.
const ROUND_TRIP_GAIN: u64 = 8;
/// Unanswered direct probes in a row after which a link counts as down.
const LINK_DOWN_AFTER: u8 = 2;

/// A lap of more turns than this forgets those that are over. Only members that come and go make it so long.
const ORDER_MAX: usize = 16_384;

/// Why a node is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reason {
    /// It was its turn.
    Round,
    /// Somebody suspects it.
    Jury,
    /// It is dead, and may be back.
    Dead,
    /// Somebody asked, under that number.
    For(NodeId, u32),
}

/// A probe under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Probe {
    slot: Slot,
    target: NodeId,
    reason: Reason,
    began: Time,
    /// When nobody is waited for any more.
    ends: Time,
    /// Whether others were asked.
    is_indirect: bool,
    relays: u32,
    nacks: u32,
}

/// The probes under way and the order of the rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Probes {
    under_way: BTreeMap<u32, Probe>,
    last: u32,
    /// Everyone once, in random order, before anyone a second time (SWIM §4.3).
    order: Vec<Slot>,
    turn: usize,
}

impl Probes {
    /// A member that is new, or back, takes a random turn of this lap, unless it still has one.
    pub(super) fn enlist(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let to_come = self.order.get(self.turn..).unwrap_or_default();
        if to_come.contains(&slot) {
            return;
        }
        let at = self.turn + ctx.below(to_come.len() as u64 + 1) as usize;
        self.order.push(slot);
        let last = self.order.len() - 1;
        self.order.swap(at, last);
        // What had its turn makes room, so that a lap does not outgrow the view.
        if self.turn > 0 && self.order.len() > ORDER_MAX {
            self.order.drain(..self.turn);
            self.turn = 0;
        }
    }

    fn shuffle(&mut self, ctx: &mut Ctx<'_>) {
        for at in (1..self.order.len()).rev() {
            let other = ctx.below(at as u64 + 1) as usize;
            self.order.swap(at, other);
        }
        self.turn = 0;
    }

    fn is_probing(&self, slot: Slot) -> bool {
        self.under_way.values().any(|probe| probe.slot == slot && matches!(probe.reason, Reason::Round | Reason::Jury))
    }
}

impl Membership {
    /// The node's turn to probe.
    pub(super) fn begin_round(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        self.clockwork.set(Due::Probe, ctx.now + self.stretched(self.settings.probe_interval));
        if let Some(slot) = self.next_in_turn(ctx) {
            self.probe(ctx, slot, Reason::Round, out);
        }
    }

    /// Lifeguard §IV-A: a node that may itself be slow asks less often and waits longer.
    fn stretched(&self, span: Duration) -> Duration {
        span.saturating_mul(u64::from(self.own.ailing) + 1)
    }

    fn next_in_turn(&mut self, ctx: &mut Ctx<'_>) -> Option<Slot> {
        for _ in 0..=self.probes.order.len() {
            if self.probes.turn >= self.probes.order.len() {
                self.enlist_all();
                self.probes.shuffle(ctx);
            }
            let slot = *self.probes.order.get(self.probes.turn)?;
            self.probes.turn += 1;
            if slot != self.own.slot() && self.table.get(slot).is_some_and(Row::is_reachable) {
                return Some(slot);
            }
        }
        None
    }

    /// A new lap: everyone who is a member now.
    fn enlist_all(&mut self) {
        let own = self.own.slot();
        let members = self.table.iter().filter(|(slot, row)| *slot != own && row.verdict.status.is_member());
        self.probes.order = members.map(|(slot, _)| slot).collect();
    }

    /// Somebody else suspects a member: a few of those who hear it look for themselves, so that the suspicion is soon
    /// confirmed by several or refuted.
    pub(super) fn serve_on_jury(&mut self, ctx: &mut Ctx<'_>, slot: Slot, out: &mut impl Sink<Action>) {
        let is_drawn = self.is_juror(ctx);
        let can = self.own.is_member() && self.table.at(slot).is_reachable() && !self.probes.is_probing(slot);
        if is_drawn && can {
            self.probe(ctx, slot, Reason::Jury, out);
        }
    }

    /// Whether this node is one of the few that look into an accusation.
    pub(super) fn is_juror(&self, ctx: &mut Ctx<'_>) -> bool {
        ctx.below(u64::from(self.table.members().max(1))) < u64::from(self.settings.jurors)
    }

    /// One of the dead may be back.
    pub(super) fn probe_dead(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        // The mesh as a whole asks at a rate that does not grow with it.
        let share = u64::from(self.table.members() / SEEKERS + 1);
        let wait = self.settings.dead_probe_interval.saturating_mul(share);
        let half = Duration::from_nanos(wait.as_nanos() / 2);
        self.clockwork.set(Due::DeadProbe, ctx.now + half + self.part_of(ctx, wait));
        if self.table.gone() == 0 {
            return;
        }
        let is_dead = |row: &Row| row.verdict.status == Status::Dead && row.description.is_some();
        if let Some(slot) = self.pick(ctx, 1, is_dead).first() {
            self.probe(ctx, *slot, Reason::Dead, out);
            // It may have started anew since and know nobody here: then only a stream can introduce this node.
            let node = self.table.at(*slot).node;
            self.open_exchange(ctx, node, out);
        }
    }

    /// Asks `slot` whether it is there.
    fn probe(&mut self, ctx: &mut Ctx<'_>, slot: Slot, reason: Reason, out: &mut impl Sink<Action>) {
        if self.probes.under_way.len() >= self.settings.bounds.probes as usize {
            return;
        }
        let target = self.table.at(slot).node;
        let (first, whole) = match reason {
            Reason::Round | Reason::Jury => {
                (self.stretched(self.settings.probe_timeout), self.stretched(self.settings.probe_interval))
            }
            // A relay says so before the one who asked gives up.
            Reason::For(..) => {
                let patience = Duration::from_nanos(self.settings.probe_timeout.as_nanos() / 5 * 4);
                (patience, self.settings.probe_timeout.saturating_mul(2))
            }
            Reason::Dead => (self.settings.probe_timeout, self.settings.probe_timeout),
        };
        self.probes.last = self.probes.last.wrapping_add(1);
        let number = self.probes.last;
        let ends = ctx.now + whole;
        let probe = Probe { slot, target, reason, began: ctx.now, ends, is_indirect: false, relays: 0, nacks: 0 };
        self.probes.under_way.insert(number, probe);
        self.clockwork.set(Due::ProbeStep(number), ctx.now + first);
        let rumors = self.rumors_for(ctx.now, target);
        out.push(Action::Send { to: target, class: Class::Gossip, message: Message::Ping { probe: number, rumors } });
    }

    /// No direct answer, or none at all.
    pub(super) fn step_probe(&mut self, ctx: &mut Ctx<'_>, number: u32, out: &mut impl Sink<Action>) {
        let Some(probe) = self.probes.under_way.get(&number).copied() else { return };
        let is_known = self.table.get(probe.slot).is_some_and(|row| row.node == probe.target);
        let is_own = matches!(probe.reason, Reason::Round | Reason::Jury);
        if is_known && is_own && !probe.is_indirect {
            // Nobody is accused before others were asked, however late this node is.
            let rest = self.settings.probe_interval.saturating_sub(self.settings.probe_timeout);
            let ends = probe.ends.max(ctx.now + self.stretched(rest));
            if let Some(probe) = self.probes.under_way.get_mut(&number) {
                probe.ends = ends;
            }
            self.clockwork.set(Due::ProbeStep(number), ends);
            return self.ask_others(ctx, number, out);
        }
        if ctx.now >= probe.ends || !is_known {
            self.probes.under_way.remove(&number);
            if is_known {
                self.probe_failed(ctx, &probe, out);
            }
            return;
        }
        self.clockwork.set(Due::ProbeStep(number), probe.ends);
        match probe.reason {
            Reason::For(asker, their_number) => {
                let message = Message::Nack { probe: their_number };
                out.push(Action::Send { to: asker, class: Class::Gossip, message });
            }
            Reason::Round | Reason::Jury | Reason::Dead => {}
        }
    }

    /// Others may reach it, or a stream may where datagrams do not.
    fn ask_others(&mut self, ctx: &mut Ctx<'_>, number: u32, out: &mut impl Sink<Action>) {
        let Some(probe) = self.probes.under_way.get(&number).copied() else { return };
        let target = probe.target;
        self.link_fails(probe.slot, out);
        let relays = self.pick_linked(ctx, self.settings.relays, |row| {
            row.node != target && row.is_reachable() && row.verdict.status == Status::Alive
        });
        for relay in &relays {
            let to = self.table.at(*relay).node;
            let rumors = self.rumors_for(ctx.now, to);
            let message = Message::PingRequest { probe: number, target, rumors };
            out.push(Action::Send { to, class: Class::Gossip, message });
        }
        let rumors = self.rumors_for(ctx.now, target);
        out.push(Action::Send { to: target, class: Class::Control, message: Message::Ping { probe: number, rumors } });
        if let Some(probe) = self.probes.under_way.get_mut(&number) {
            (probe.is_indirect, probe.relays) = (true, relays.len() as u32);
        }
    }

    fn link_fails(&mut self, slot: Slot, out: &mut impl Sink<Action>) {
        let row = self.table.local(slot);
        row.unanswered = row.unanswered.saturating_add(1);
        if row.unanswered == LINK_DOWN_AFTER {
            let node = row.node;
            out.push(Action::Observe(MembershipObservation::LinkDown { node }));
        }
    }

    fn probe_failed(&mut self, ctx: &mut Ctx<'_>, probe: &Probe, out: &mut impl Sink<Action>) {
        match probe.reason {
            Reason::Round | Reason::Jury => {
                // Relays that did not even say "not yet" point at this node's own link.
                let silent = probe.relays.saturating_sub(probe.nacks);
                let own_fault = if probe.relays > 0 { silent } else { 1 };
                self.worsen_health(ctx, own_fault);
                let health = u64::from(self.own.ailing);
                out.push(Action::Observe(MembershipObservation::ProbeFailed { node: probe.target, health }));
                self.accuse(ctx, probe.slot, out);
            }
            Reason::Dead | Reason::For(..) => {}
        }
    }

    /// Somebody asks whether this node is there.
    pub(super) fn answer_ping(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        class: Class,
        probe: u32,
        out: &mut impl Sink<Action>,
    ) {
        let rumors = self.rumors_for(ctx.now, from);
        let message = Message::Ack { probe, coordinate: self.coordinate, rumors };
        out.push(Action::Send { to: from, class: if class.is_stream() { Class::Control } else { class }, message });
    }

    /// Somebody wants to know whether `target` answers this node.
    pub(super) fn ping_for(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        probe: u32,
        target: NodeId,
        out: &mut impl Sink<Action>,
    ) {
        if let Some(slot) = self.table.find(target)
            && slot != self.own.slot()
            && self.table.at(slot).description.is_some()
        {
            self.probe(ctx, slot, Reason::For(from, probe), out);
        }
    }

    /// The probed one has answered.
    pub(super) fn acked(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        class: Class,
        number: u32,
        coordinate: &Coordinate,
        out: &mut impl Sink<Action>,
    ) {
        let is_expected = |probe: &mut Probe| probe.target == from && number != 0;
        let Some(probe) = self.take_probe(number, is_expected) else { return };
        let row = self.table.get(probe.slot);
        if row.is_none_or(|row| row.node != from) {
            return;
        }
        if !class.is_stream() && !probe.is_indirect {
            self.measured(ctx, probe.slot, ctx.now.since(probe.began), coordinate, out);
        }
        match probe.reason {
            Reason::Round | Reason::Jury => self.mend_health(),
            Reason::For(asker, their_number) => {
                let message = Message::Vouch { probe: their_number };
                out.push(Action::Send { to: asker, class: Class::Gossip, message });
            }
            Reason::Dead => {}
        }
    }

    /// Another node has had an answer from the probed one.
    pub(super) fn vouched(&mut self, _: &mut Ctx<'_>, _: NodeId, number: u32, _: &mut impl Sink<Action>) {
        if self.take_probe(number, |probe| probe.is_indirect && probe.relays > 0).is_some() {
            self.mend_health();
        }
    }

    /// Another node is there, but has had no answer yet.
    pub(super) fn nacked(&mut self, _: NodeId, number: u32) {
        if let Some(probe) = self.probes.under_way.get_mut(&number) {
            probe.nacks = (probe.nacks + 1).min(probe.relays);
        }
    }

    fn take_probe(&mut self, number: u32, is_expected: impl FnOnce(&mut Probe) -> bool) -> Option<Probe> {
        let probe = self.probes.under_way.get_mut(&number)?;
        if !is_expected(probe) {
            return None;
        }
        self.clockwork.clear(Due::ProbeStep(number));
        self.probes.under_way.remove(&number)
    }

    fn measured(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        round_trip: Duration,
        coordinate: &Coordinate,
        out: &mut impl Sink<Action>,
    ) {
        self.coordinate.learn(ctx, coordinate, round_trip);
        let row = self.table.local(slot);
        (row.coordinate, row.unanswered) = (Some(*coordinate), 0);
        let new = round_trip.as_nanos();
        let average =
            row.round_trip.map_or(new, |old| old.as_nanos() - old.as_nanos() / ROUND_TRIP_GAIN + new / ROUND_TRIP_GAIN);
        row.round_trip = Some(Duration::from_nanos(average));
        let node = row.node;
        out.push(Action::Observe(MembershipObservation::RoundTrip { nanoseconds: new, node }));
    }

    /// Probes that were under way while this node was stopped tell nothing.
    pub(super) fn void_probes(&mut self) {
        for number in core::mem::take(&mut self.probes.under_way).into_keys() {
            self.clockwork.clear(Due::ProbeStep(number));
        }
    }
}
