//! The times of sessions, by profile. `docs/control.md` has the arithmetic.

use crate::membership::settings::Profile;
use crate::time::Duration;

/// Of how many renewals a time to live is made.
const RENEWALS: u64 = 4;
/// Of how many tries.
const TRIES: u64 = 16;

/// The times of a session. What a node asks for; what holds for a session is replicated with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// How long a session lives without being renewed.
    pub ttl: Duration,
    /// How far two monotonic clocks may diverge over one `ttl`.
    pub epsilon: Duration,
    /// The longest span, both together, that any session of the cluster may ever have; fixed when it is made.
    pub span_max: Duration,
}

impl Settings {
    /// How long after sending a renewal that was acknowledged the holder may act (rules T2 and T4).
    pub const fn view(&self) -> Duration {
        view(self.ttl, self.epsilon)
    }
    /// Pause between two renewals.
    pub const fn renew_interval(&self) -> Duration {
        renew_interval(self.ttl)
    }
    /// Pause between two tries at one.
    pub const fn retry_interval(&self) -> Duration {
        retry_interval(self.ttl)
    }
}

/// How long the holder's view lasts from sending.
pub(super) const fn view(ttl: Duration, epsilon: Duration) -> Duration {
    ttl.saturating_sub(epsilon)
}

/// How long the leader waits from receiving.
pub(super) const fn span(ttl: Duration, epsilon: Duration) -> Duration {
    ttl.saturating_add(epsilon)
}

pub(super) const fn renew_interval(ttl: Duration) -> Duration {
    Duration::from_nanos(ttl.as_nanos() / RENEWALS)
}

pub(super) const fn retry_interval(ttl: Duration) -> Duration {
    // A time to live has a lower bound, so that this is never zero.
    Duration::from_nanos(ttl.as_nanos() / TRIES)
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        let ms = Duration::from_millis;
        match profile {
            Profile::Local => Self { ttl: ms(600), epsilon: ms(50), span_max: ms(5_000) },
            Profile::Lan => Self { ttl: ms(1_200), epsilon: ms(100), span_max: ms(5_000) },
            Profile::Wan => Self { ttl: ms(6_000), epsilon: ms(500), span_max: ms(30_000) },
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Profile::default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_renews_often_enough_and_fits_into_a_quarantine() {
        for (_, profile) in Profile::ALL {
            let settings = Settings::from(profile);
            let tries = settings.view().saturating_sub(settings.renew_interval());
            assert!(tries >= settings.retry_interval().saturating_mul(9), "nine tries after the first");
            assert!(settings.ttl + settings.epsilon <= settings.span_max);
        }
    }
}
