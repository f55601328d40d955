//! What the figures of `sim measure` are in.

use crate::output::grouped;
use serde::Serialize;

/// What a figure is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "bytes/s")]
    BytesPerSecond,
    #[serde(rename = "packets/s")]
    PacketsPerSecond,
    #[serde(rename = "count")]
    Count,
}

impl Unit {
    /// The unit of a figure, which its name tells: a time unless it says otherwise.
    pub(super) fn of(figure: &str) -> Self {
        let counts = ["shards", "false_deaths", "changes_later", "healthy_suppressed", "views"];
        match figure {
            _ if figure.contains("bytes_per_second") => Self::BytesPerSecond,
            _ if figure.starts_with("entries_") || figure.starts_with("false_") => Self::Count,
            _ if figure.contains("packets_per_second") => Self::PacketsPerSecond,
            _ if counts.iter().any(|count| figure.ends_with(count)) => Self::Count,
            _ => Self::Milliseconds,
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::BytesPerSecond => "bytes/s",
            Self::PacketsPerSecond => "packets/s",
            Self::Count => "count",
        }
    }

    /// A value in it.
    pub(super) fn spell(self, value: f64) -> String {
        match self {
            Self::PacketsPerSecond => format!("{value:.1}"),
            Self::Milliseconds | Self::BytesPerSecond | Self::Count => grouped(value.round() as u64),
        }
    }
}
