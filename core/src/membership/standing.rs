//! Who counts as alive for placement: the view that does not flap.
//!
//! A status follows every rumor; what is placed on nodes must not. A member loses its good standing when it dies or when
//! several others suspect it, and gets it back after it was healthy for a while. Each relapse doubles that while, so a
//! node on a bad link ends up outside and stays there until the link is mended (the idea of route flap damping,
//! RFC 2439 §2.3).

use crate::time::{Duration, Time};

/// A hold is doubled at most this often.
const RELAPSES_MAX: u8 = 6;
/// A member that behaved for this many times its hold has a relapse forgiven.
const FORGIVE_AFTER: u64 = 10;

/// What keeps a member from counting as alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hold {
    /// How long the member must be healthy, relapses not counted; zero while nothing is held against it.
    dwell: Duration,
    relapses: u8,
    /// When it was last seen to be unhealthy.
    unhealthy_at: Time,
}

impl Hold {
    /// The member turned out to be unhealthy; it must be healthy for `dwell` from when it is well again.
    pub(super) fn begin(&mut self, now: Time, dwell: Duration) {
        if self.is_over(now) {
            let quiet = now.since(self.unhealthy_at).as_nanos();
            let forgiven = quiet / self.span().as_nanos().saturating_mul(FORGIVE_AFTER).max(1);
            let is_first = self.dwell == Duration::ZERO;
            let left = self.relapses.saturating_sub(forgiven.min(u64::from(RELAPSES_MAX)) as u8);
            self.relapses = if is_first || forgiven > 0 { left } else { (left + 1).min(RELAPSES_MAX) };
            self.dwell = dwell;
        }
        self.dwell = self.dwell.max(dwell);
        self.unhealthy_at = now;
    }

    /// The member is unhealthy, still or again. Means nothing for a member in good standing.
    pub(super) fn prolong(&mut self, now: Time) {
        if !self.is_over(now) {
            self.unhealthy_at = now;
        }
    }

    /// The member is well from now on: its healthy while begins. Means nothing where none was asked for.
    pub(super) fn restart(&mut self, now: Time) {
        self.unhealthy_at = now;
    }

    /// Whether nothing is held against the member.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.dwell == Duration::ZERO || now >= self.until()
    }

    /// When it is over, if the member stays healthy.
    pub(super) fn until(&self) -> Time {
        if self.dwell == Duration::ZERO { Time::ZERO } else { self.unhealthy_at.saturating_add(self.span()) }
    }

    fn span(&self) -> Duration {
        self.dwell.saturating_mul(1 << self.relapses)
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
        assert!(hold.is_over(at(3)));
    }

    #[test]
    fn a_hold_ends_after_a_healthy_while_and_not_before() {
        let mut hold = Hold::default();
        hold.begin(at(10), DWELL);
        hold.prolong(at(12));
        assert!(!hold.is_over(at(16)));
        assert!(hold.is_over(at(17)));
    }

    #[test]
    fn each_relapse_doubles_the_while_up_to_a_bound() {
        let mut hold = Hold::default();
        let mut now = at(0);
        let mut spans = alloc::vec![];
        for _ in 0..9 {
            hold.begin(now, DWELL);
            spans.push(hold.until().since(now).as_nanos() / 1_000_000_000);
            now = hold.until();
        }
        assert_eq!(spans, [5, 10, 20, 40, 80, 160, 320, 320, 320]);
    }

    #[test]
    fn relapses_are_forgiven_after_a_long_quiet_time() {
        let mut hold = Hold::default();
        hold.begin(at(0), DWELL);
        hold.begin(at(5), DWELL);
        assert_eq!(hold.until(), at(15));
        hold.begin(at(1_000), DWELL);
        assert_eq!(hold.until(), at(1_005));
    }
}
