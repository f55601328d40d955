//! Typed time: a node's monotonic [`Time`], its [`WallTime`], and [`Duration`] between two instants of one clock.
//!
//! All three count nanoseconds in a `u64`, which lasts 584 years. Nothing here reads a clock: the driver samples
//! time and passes it in through [`Ctx`](crate::machine::Ctx). Calendars and time zones do not belong here.

use core::fmt;
use core::ops::{Add, Sub};
use serde::{Deserialize, Serialize};

/// A span between two instants of the same clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span that can be expressed (584 years).
    pub const MAX: Self = Self(u64::MAX);

    /// `n` nanoseconds.
    pub const fn from_nanos(n: u64) -> Self {
        Self(n)
    }
    /// `n` microseconds.
    pub const fn from_micros(n: u64) -> Self {
        Self(n * 1_000)
    }
    /// `n` milliseconds.
    pub const fn from_millis(n: u64) -> Self {
        Self(n * 1_000_000)
    }
    /// `n` seconds.
    pub const fn from_secs(n: u64) -> Self {
        Self(n * 1_000_000_000)
    }
    /// The span in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
    /// The span in seconds, for people and reports only: never for a decision.
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// The sum, or the longest span where it does not fit.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    /// The difference, or zero where `other` is longer.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
    /// The product, or the longest span where it does not fit.
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1_000_000_000 => write!(f, "{}.{:03}s", n / 1_000_000_000, n / 1_000_000 % 1_000),
            n if n >= 1_000_000 => write!(f, "{}.{:03}ms", n / 1_000_000, n / 1_000 % 1_000),
            n if n >= 1_000 => write!(f, "{}.{:03}µs", n / 1_000, n % 1_000),
            n => write!(f, "{n}ns"),
        }
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// An instant of one node's monotonic clock, which counts suspend and survives no restart.
///
/// Instants of two nodes, or of two boots of one node, cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(u64);

impl Time {
    /// The first instant of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than every instant a clock can show.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `n` nanoseconds after the clock's first.
    pub const fn from_nanos(n: u64) -> Self {
        Self(n)
    }
    /// Nanoseconds since the clock's first instant.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
    /// The span since `earlier`, or zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
    /// The instant `span` earlier, or [`Time::ZERO`] where there is none.
    pub const fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
    /// The instant `span` later, or [`Time::MAX`] where that does not fit.
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0 + span.0)
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0 - span.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000_000, self.0 / 1_000 % 1_000_000)
    }
}

/// Nanoseconds since the Unix epoch, as the node believes. For stamps and due times, never for leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallTime(u64);

impl WallTime {
    /// The wall time `n` nanoseconds after the Unix epoch.
    pub const fn from_unix_nanos(n: u64) -> Self {
        Self(n)
    }
    /// Nanoseconds since the Unix epoch.
    pub const fn as_unix_nanos(self) -> u64 {
        self.0
    }
    /// The time `span` later, or the last one that can be expressed where that does not fit.
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
    /// The span since `earlier`, or zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn spans_read_in_the_unit_that_fits() {
        let shown: alloc::vec::Vec<_> =
            [7, 1_500, 2_030_000, 61_250_000_000].map(|n| Duration::from_nanos(n).to_string()).into();
        assert_eq!(shown, ["7ns", "1.500µs", "2.030ms", "61.250s"]);
    }

    #[test]
    fn a_span_to_the_past_is_zero() {
        assert_eq!(Time::from_nanos(5).since(Time::from_nanos(9)), Duration::ZERO);
    }
}
