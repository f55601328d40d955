//! How long a suspect has to refute: the more members suspect it independently, the shorter (Lifeguard §IV-B).

use super::settings::Settings;
use crate::identity::NodeId;
use crate::time::{Duration, Time};

/// Accusers remembered of one suspect: the first one and as many confirmations as count.
const ACCUSERS: usize = 8;

/// A suspicion under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Suspicion {
    pub(super) began: Time,
    accusers: [Option<NodeId>; ACCUSERS],
    /// Somebody else has waited in vain already.
    pub(super) is_overdue_elsewhere: bool,
    /// Others were asked whether they know better, and have time to answer until then.
    pub(super) asked_until: Option<Time>,
}

impl Suspicion {
    pub(super) fn new(began: Time, accuser: NodeId) -> Self {
        let mut accusers = [None; ACCUSERS];
        accusers[0] = Some(accuser);
        Self { began, accusers, is_overdue_elsewhere: false, asked_until: None }
    }

    /// Adds an accuser. Whether that is news.
    pub(super) fn confirm(&mut self, accuser: NodeId, settings: &Settings) -> bool {
        if self.accusers.contains(&Some(accuser)) {
            return false;
        }
        let counted = (settings.confirmations as usize + 1).min(ACCUSERS);
        match self.accusers[..counted].iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(accuser);
                true
            }
            None => false,
        }
    }

    pub(super) fn accusers(&self) -> u32 {
        self.accusers.iter().flatten().count() as u32
    }

    /// When the suspect is dead, in a mesh of `members`, unless it refutes.
    pub(super) fn ends(&self, members: u32, settings: &Settings) -> Time {
        let span = match self.is_overdue_elsewhere {
            true => shortest(members, settings),
            false => timeout(self.accusers() - 1, members, settings),
        };
        self.began.saturating_add(span).max(self.asked_until.unwrap_or(Time::ZERO))
    }
}

/// How long a suspicion with that many confirmations lasts in a mesh of `members`.
pub fn timeout(confirmations: u32, members: u32, settings: &Settings) -> Duration {
    let shortest = shortest(members, settings);
    let longest = shortest.saturating_mul(u64::from(settings.suspicion_beta));
    // Besides the suspect, one member accuses; only the others can confirm.
    let expected = settings.confirmations.min(members.saturating_sub(2));
    if expected == 0 {
        // Nobody else could confirm: neither at once nor for ever.
        return shortest.saturating_mul(2);
    }
    let progress = log2_thousandths(confirmations.min(expected) + 1) * 1_000 / log2_thousandths(expected + 1);
    let span = longest.saturating_sub(shortest).as_nanos();
    longest.saturating_sub(Duration::from_nanos(span / 1_000 * progress))
}

/// The shortest suspicion in a mesh of `members`.
pub fn shortest(members: u32, settings: &Settings) -> Duration {
    // log₁₀ n = log₂ n / log₂ 10
    let log10 = log2_thousandths(members.max(1)) * 1_000 / 3_322;
    let thousandths = (u64::from(settings.suspicion_alpha) * log10 / 1_000).max(u64::from(settings.suspicion_floor));
    Duration::from_nanos(settings.probe_interval.as_nanos() / 1_000 * thousandths)
}

/// The binary logarithm of a positive number, in thousandths, to within three of them.
fn log2_thousandths(number: u32) -> u64 {
    let whole = number.ilog2();
    // Squaring the mantissa doubles the logarithm: each overflow past two is one more binary digit.
    let mut mantissa = (u64::from(number) << 32) >> whole;
    let mut fraction = 0;
    for digit in 1..=10 {
        mantissa = ((u128::from(mantissa) * u128::from(mantissa)) >> 32) as u64;
        if mantissa >= 2 << 32 {
            mantissa >>= 1;
            fraction += 1 << (10 - digit);
        }
    }
    u64::from(whole) * 1_000 + fraction * 1_000 / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right_to_within_three_thousandths() {
        let known = [(1, 0), (2, 1_000), (3, 1_585), (7, 2_807), (10, 3_322), (100, 6_644), (1_000, 9_966)];
        for (number, truth) in known {
            let found = log2_thousandths(number);
            assert!(found.abs_diff(truth) < 3, "{number}: {found} instead of {truth}");
        }
    }

    #[test]
    fn confirmations_shorten_a_suspicion_from_the_longest_to_the_shortest() {
        let settings = Settings::default();
        let spans: alloc::vec::Vec<_> =
            (0..5).map(|count| timeout(count, 1_000, &settings).as_nanos() / 1_000_000).collect();
        assert!(spans.is_sorted_by(|one, next| one >= next));
        assert_eq!(spans[0], 6 * spans[3]);
        assert_eq!((spans[3], spans[4]), (shortest(1_000, &settings).as_nanos() / 1_000_000, spans[3]));
    }

    #[test]
    fn an_accuser_counts_once() {
        let settings = Settings::default();
        let [one, other] = [1, 2].map(|byte| NodeId::from_bytes([byte; 16]));
        let mut suspicion = Suspicion::new(Time::ZERO, one);
        assert!(!suspicion.confirm(one, &settings));
        assert!(suspicion.confirm(other, &settings));
        assert!(!suspicion.confirm(other, &settings));
        assert_eq!(suspicion.accusers(), 2);
    }
}
