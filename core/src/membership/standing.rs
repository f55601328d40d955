//! Who counts as alive for placement: the view that does not flap.
//!
//! A status follows every rumor; what is placed on nodes must not. A member loses its good standing when it dies or when
//! several others suspect it, and gets it back after it was healthy for a while. Each relapse doubles that while, and so
//! does a member that goes on falling ill: it must be healthy for about as long as it was unsteady. So a node on a bad
//! link ends up outside and stays there until the link is mended, whatever luck it has (the idea of route flap damping,
//! RFC 2439 §2.3).

use super::clockwork::Due;
use super::machine::{Action, Membership};
use super::observation::MembershipObservation;
use super::table::Slot;
use super::verdict::Status;
use crate::machine::{Ctx, Sink};
use crate::time::{Duration, Time};

/// A hold is doubled at most this often.
const RELAPSES_MAX: u8 = 6;
/// A member that behaved for this many times its hold has a relapse forgiven.
const FORGIVE_AFTER: u64 = 10;

/// What keeps a member from counting as alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hold {
    is_on: bool,
    /// How long the member must be healthy, relapses not counted.
    dwell: Duration,
    relapses: u8,
    /// When the while was last set or doubled.
    doubled_at: Time,
    /// Whether it has been well since it last fell ill.
    was_well: bool,
    /// When it was last seen to be unhealthy.
    unhealthy_at: Time,
}

impl Hold {
    /// The member turned out to be unhealthy; it must be healthy for `dwell` from when it is well again. Whether it
    /// counted until now.
    pub(super) fn begin(&mut self, now: Time, dwell: Duration) -> bool {
        let is_new = !self.is_on;
        if is_new {
            let quiet = now.since(self.unhealthy_at).as_nanos();
            let forgiven = quiet / self.span().as_nanos().saturating_mul(FORGIVE_AFTER).max(1);
            let is_first = self.dwell == Duration::ZERO;
            let left = self.relapses.saturating_sub(forgiven.min(u64::from(RELAPSES_MAX)) as u8);
            self.relapses = if is_first || forgiven > 0 { left } else { (left + 1).min(RELAPSES_MAX) };
            (self.is_on, self.dwell, self.doubled_at) = (true, dwell, now);
        } else if self.was_well && now.since(self.doubled_at) >= self.span() {
            (self.relapses, self.doubled_at) = ((self.relapses + 1).min(RELAPSES_MAX), now);
        }
        self.dwell = self.dwell.max(dwell);
        (self.unhealthy_at, self.was_well) = (now, false);
        is_new
    }

    /// The member is well again: its healthy while begins now. Means nothing for one in good standing.
    pub(super) fn recovers(&mut self, now: Time) {
        self.was_well = true;
        self.prolong(now);
    }

    /// The member is, or was until now, unhealthy. Means nothing for one in good standing.
    pub(super) fn prolong(&mut self, now: Time) {
        if self.is_on {
            self.unhealthy_at = now;
        }
    }

    /// The member is healthy, and counts again if it was for long enough. Whether that is so.
    pub(super) fn end(&mut self, now: Time) -> bool {
        let is_over = self.until().is_some_and(|until| now >= until);
        if is_over {
            self.is_on = false;
        }
        is_over
    }

    /// Whether the member does not count.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// When the member counts again, if it stays healthy.
    pub(super) fn until(&self) -> Option<Time> {
        self.is_on.then(|| self.unhealthy_at.saturating_add(self.span()))
    }

    fn span(&self) -> Duration {
        self.dwell.saturating_mul(1 << self.relapses)
    }
}

impl Membership {
    /// Whether the member counts as alive for placement.
    pub(super) fn is_in_good_standing(&self, slot: Slot) -> bool {
        let row = self.table.at(slot);
        row.verdict.status.is_member() && !row.hold.is_on() && !self.is_corroborated(slot)
    }

    /// Whether enough members suspect it for that not to be one accuser's fault: two, where there are two.
    fn is_corroborated(&self, slot: Slot) -> bool {
        let needed = self.table.members().saturating_sub(1).clamp(1, 2);
        self.suspicions.get(&slot).is_some_and(|suspicion| suspicion.accusers() >= needed)
    }

    pub(super) fn hold_if_corroborated(&mut self, ctx: &mut Ctx<'_>, slot: Slot, out: &mut impl Sink<Action>) {
        if self.is_corroborated(slot) {
            self.hold(ctx, slot, self.settings.suspect_recover_min, out);
        }
    }

    /// The member does not count as alive until it was healthy for `dwell`, or longer after relapses.
    pub(super) fn hold(&mut self, ctx: &mut Ctx<'_>, slot: Slot, dwell: Duration, out: &mut impl Sink<Action>) {
        let row = self.table.local(slot);
        if row.hold.begin(ctx.now, dwell) {
            let (node, seconds) = (row.node, dwell.as_nanos() / 1_000_000_000);
            out.push(Action::Observe(MembershipObservation::Held { node, seconds }));
        }
        self.recovers_in_time(slot);
    }

    /// The member is well again; if something is held against it, its healthy while begins now.
    pub(super) fn recovering(&mut self, ctx: &Ctx<'_>, slot: Slot) {
        self.table.local(slot).hold.recovers(ctx.now);
        self.recovers_in_time(slot);
    }

    fn recovers_in_time(&mut self, slot: Slot) {
        if let Some(until) = self.table.at(slot).hold.until() {
            self.clockwork.set(Due::Recovery(slot), until);
        }
    }

    /// The healthy while may be over.
    pub(super) fn recovered(&mut self, ctx: &mut Ctx<'_>, slot: Slot, out: &mut impl Sink<Action>) {
        let Some(row) = self.table.get(slot) else { return };
        // Whoever is not alive now begins a healthy while when it is again.
        if row.verdict.status != Status::Alive {
            return;
        }
        let node = row.node;
        match self.table.local(slot).hold.end(ctx.now) {
            true => out.push(Action::Observe(MembershipObservation::Recovered { node })),
            false => self.recovers_in_time(slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DWELL: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn nothing_is_held_against_a_member_that_was_always_healthy() {
        let mut hold = Hold::default();
        hold.prolong(at(3));
        assert!(!hold.is_on() && hold.until().is_none());
    }

    #[test]
    fn a_hold_ends_after_a_healthy_while_and_not_before() {
        let mut hold = Hold::default();
        assert!(hold.begin(at(10), DWELL));
        hold.prolong(at(12));
        assert!(!hold.end(at(16)));
        assert!(hold.end(at(17)) && !hold.is_on());
    }

    #[test]
    fn each_relapse_doubles_the_while_up_to_a_bound() {
        let mut hold = Hold::default();
        let mut now = at(0);
        let mut spans = alloc::vec![];
        for _ in 0..9 {
            assert!(hold.begin(now, DWELL));
            let until = hold.until().unwrap();
            spans.push(until.since(now).as_nanos() / 1_000_000_000);
            assert!(hold.end(until));
            now = until;
        }
        assert_eq!(spans, [5, 10, 20, 40, 80, 160, 320, 320, 320]);
    }

    #[test]
    fn a_member_that_goes_on_falling_ill_must_be_healthy_for_about_as_long() {
        let mut hold = Hold::default();
        hold.begin(at(0), DWELL);
        let mut whiles = alloc::vec![];
        for now in 1..=40 {
            hold.recovers(at(now));
            whiles.push(hold.until().unwrap().since(at(now)).as_nanos() / 1_000_000_000);
            hold.begin(at(now), DWELL);
        }
        assert_eq!([whiles[3], whiles[5], whiles[13], whiles[15], whiles[33], whiles[35]], [5, 10, 10, 20, 20, 40]);
    }

    #[test]
    fn a_member_that_is_just_dead_for_long_is_not_unsteady() {
        let mut hold = Hold::default();
        hold.begin(at(0), DWELL);
        hold.begin(at(600), DWELL);
        hold.recovers(at(700));
        assert_eq!(hold.until(), Some(at(705)));
    }

    #[test]
    fn relapses_are_forgiven_after_a_long_quiet_time() {
        let mut hold = Hold::default();
        hold.begin(at(0), DWELL);
        hold.end(at(5));
        hold.begin(at(5), DWELL);
        assert_eq!(hold.until(), Some(at(15)));
        hold.end(at(15));
        hold.begin(at(1_000), DWELL);
        assert_eq!(hold.until(), Some(at(1_005)));
    }
}
