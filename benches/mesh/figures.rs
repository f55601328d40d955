//! Quantiles.

use serde::Serialize;
use std::time::Duration;

/// How long something took, over many times. Milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spans {
    pub(crate) count: usize,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Spans {
    /// Zeros where there are none.
    pub(crate) fn of(spans: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = spans.into_iter().collect();
        sorted.sort_unstable();
        let at = |percent: usize| match sorted.len() {
            0 => 0.0,
            count => sorted[(count - 1) * percent / 100].as_secs_f64() * 1e3,
        };
        Self { count: sorted.len(), median_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}
