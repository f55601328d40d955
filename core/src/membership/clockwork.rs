//! What is due when. One ordered set holds every deadline; an entry that no longer means anything does nothing.

use super::machine::{Action, Membership};
use super::observation::MembershipObservation;
use super::table::Slot;
use crate::machine::{Ctx, Sink};
use crate::time::{Duration, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Something that falls due. Each is due at most once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Due {
    /// A round of probing.
    Probe,
    /// The next step of a probe under way.
    ProbeStep(u32),
    /// A round of gossip.
    Gossip,
    /// An exchange with somebody.
    Sync,
    /// The answer in an exchange under way.
    ExchangeEnds(u32),
    /// A probe of somebody dead.
    DeadProbe,
    /// A search for the seeds.
    Seek,
    /// The end of a suspicion.
    Suspicion(Slot),
    /// A member counts as alive again.
    Recovery(Slot),
    /// Forgetting, and looking at how full things are.
    Upkeep,
    /// Enough have heard that this node leaves.
    Left,
}

/// The deadlines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Clockwork {
    ordered: BTreeSet<(Time, Due)>,
    times: BTreeMap<Due, Time>,
}

impl Clockwork {
    /// The next deadline. O(1) on average.
    pub(super) fn next(&self) -> Option<Time> {
        self.ordered.first().map(|(at, _)| *at)
    }

    /// Due at that time, and at no other. O(log n).
    pub(super) fn set(&mut self, due: Due, at: Time) {
        if let Some(before) = self.times.insert(due, at) {
            self.ordered.remove(&(before, due));
        }
        self.ordered.insert((at, due));
    }

    /// Whether it is due at any time.
    pub(super) fn is_set(&self, due: Due) -> bool {
        self.times.contains_key(&due)
    }

    /// When it is due.
    pub(super) fn due_at(&self, due: Due) -> Option<Time> {
        self.times.get(&due).copied()
    }

    pub(super) fn clear(&mut self, due: Due) {
        if let Some(at) = self.times.remove(&due) {
            self.ordered.remove(&(at, due));
        }
    }

    pub(super) fn clear_all(&mut self) {
        self.ordered.clear();
        self.times.clear();
    }

    fn pop(&mut self, now: Time) -> Option<Due> {
        let (at, due) = *self.ordered.first()?;
        if at > now {
            return None;
        }
        self.ordered.pop_first();
        self.times.remove(&due);
        Some(due)
    }
}

/// Deadlines done in one event; the driver wakes the node again for the rest.
const DUE_MAX: usize = 64;

impl Membership {
    pub(super) fn do_what_is_due(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        for _ in 0..DUE_MAX {
            let Some(due) = self.clockwork.pop(ctx.now) else { return };
            match due {
                Due::Probe => self.begin_round(ctx, out),
                Due::ProbeStep(probe) => self.step_probe(ctx, probe, out),
                Due::Gossip => self.gossip(ctx, out),
                Due::Sync => self.sync(ctx, out),
                Due::ExchangeEnds(exchange) => self.exchange_ends(ctx, exchange),
                Due::DeadProbe => self.probe_dead(ctx, out),
                Due::Seek => self.seek(ctx, out),
                Due::Suspicion(slot) => self.suspicion_ends(ctx, slot, out),
                Due::Recovery(slot) => self.recovered(ctx, slot, out),
                Due::Upkeep => self.upkeep(ctx, out),
                Due::Left => self.has_left(ctx, out),
            }
        }
    }

    /// A node that was stopped must not blame others for what it did not hear meanwhile: probes under way are void, and
    /// suspects get the time back.
    pub(super) fn notice_pause(&mut self, ctx: &Ctx<'_>, out: &mut impl Sink<Action>) {
        let Some(due) = self.clockwork.next() else { return };
        let late = ctx.now.since(due);
        if late <= self.settings.probe_timeout {
            return;
        }
        out.push(Action::Observe(MembershipObservation::Paused { nanoseconds: late.as_nanos() }));
        self.worsen_health(ctx, 1);
        self.void_probes();
        self.suspicions.values_mut().for_each(|suspicion| suspicion.began = suspicion.began.saturating_add(late));
        let suspects: Vec<Slot> = self.suspicions.keys().copied().collect();
        suspects.into_iter().for_each(|slot| self.suspicion_ends_in_time(ctx, slot));
        // Whatever else was due in that time happens once, from now on.
        self.clockwork.postpone(ctx.now);
    }

    /// A random part of `span`, so that nodes do not act in step.
    pub(super) fn part_of(&self, ctx: &mut Ctx<'_>, span: Duration) -> Duration {
        Duration::from_nanos(ctx.below(span.as_nanos().max(1)))
    }
}

impl Clockwork {
    /// What is overdue is due now.
    fn postpone(&mut self, now: Time) {
        while let Some((at, due)) = self.ordered.first().copied()
            && at < now
        {
            self.set(due, now);
        }
    }
}
