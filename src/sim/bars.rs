//! What figures of shards ought to be at most, held against what they are.

use super::measure::Figure;
use super::unit::Unit;
use serde::Serialize;

/// Which of the measured values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Rank {
    Median,
    P99,
    Max,
}

/// Figures with what they ought to be at most, in milliseconds.
const BARS: [(&str, Rank, f64); 8] = [
    ("owner_crash_to_first_ack", Rank::Median, 1_800.0),
    ("owner_crash_to_first_ack", Rank::P99, 3_000.0),
    ("owner_and_leader_crash_to_first_ack", Rank::P99, 4_500.0),
    ("hand_over_gap", Rank::P99, 50.0),
    // Two times to live of a session.
    ("owner_crash_to_owner", Rank::Max, 2_400.0),
    ("owner_and_leader_crash_to_owner", Rank::Max, 4_500.0),
    ("drain_gap", Rank::Max, 100.0),
    ("cut_over_first_to_last", Rank::Max, 5.0),
];

/// A figure, and what it ought to be at most.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Bar {
    figure: &'static str,
    rank: Rank,
    limit: f64,
    value: Option<f64>,
    /// Whether it is that. What never came about is not.
    pub(super) holds: bool,
}

/// The bars of those figures that have any.
pub(super) fn all<'a>(figures: impl Iterator<Item = &'a Figure>) -> Vec<Bar> {
    let of_figure = |figure: &'a Figure| {
        let its = BARS.iter().filter(move |(name, ..)| *name == figure.figure);
        its.map(move |bar| of(figure, bar))
    };
    figures.flat_map(of_figure).collect()
}

fn of(figure: &Figure, (_, rank, limit): &(&str, Rank, f64)) -> Bar {
    let value = match rank {
        Rank::Median => figure.median,
        Rank::P99 => figure.p99,
        Rank::Max => figure.max,
    };
    let holds = value.is_some_and(|value| value <= *limit);
    Bar { figure: figure.figure, rank: *rank, limit: *limit, value, holds }
}

impl Bar {
    /// In a line.
    pub(super) fn text(&self) -> String {
        let unit = Unit::Milliseconds;
        let rank = match self.rank {
            Rank::Median => "median",
            Rank::P99 => "p99",
            Rank::Max => "max",
        };
        let value = self.value.map_or_else(|| "never".into(), |value| unit.spell(value));
        let sign = if self.holds { "✓" } else { "✗" };
        format!("{sign} {}, {rank}: {value} of at most {} {}", self.figure, unit.spell(self.limit), unit.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_came_about_is_above_every_bar() {
        let figure = |median, p99| Figure::measured("owner_crash_to_first_ack", median, p99);
        let holds = |median, p99| all([figure(median, p99)].iter()).iter().map(|bar| bar.holds).collect::<Vec<_>>();
        assert_eq!(holds(Some(1_800.0), Some(3_000.1)), [true, false]);
        assert_eq!(holds(None, None), [false, false]);
        assert!(all([Figure::measured("formed", Some(1.0), None)].iter()).is_empty());
    }
}
