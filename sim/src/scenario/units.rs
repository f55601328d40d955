//! How a scenario spells quantities: `"250ms"`, `"1s..9s"`, `"2.5%"`, `"-300ppm"`.
//!
//! All of them end as integers: floating point may differ between machines.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use relaymesh_core::time::Duration;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time: a number with `ns`, `us`, `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A span, or two with `..` between them, of which the seed draws one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanRange {
    /// The shortest.
    pub from: Duration,
    /// The longest.
    pub to: Duration,
}

/// A share in millionths: a number with `%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u64);

/// A clock's rate error in parts per billion: a number with `ppm`, or `%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate(pub i64);

impl SpanRange {
    /// Always this span.
    pub const fn fixed(span: Duration) -> Self {
        Self { from: span, to: span }
    }
}

const SPAN_UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

fn parse_span(text: &str) -> Result<Duration, String> {
    let bad =
        || format!("`{text}` is not a span of time; write a number and a unit, such as \"250ms\", \"1.5s\" or \"2m\"");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, scale) = SPAN_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(bad)?;
    decimal(number, *scale).map(Duration::from_nanos).ok_or_else(bad)
}

/// `number` × `scale`, exactly; `None` where it is not a number, is too large, or has more digits than the scale.
fn decimal(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut value = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.chars() {
        let digit = u64::from(digit.to_digit(10)?);
        if !place.is_multiple_of(10) {
            return None;
        }
        place /= 10;
        value = value.checked_add(digit * place)?;
    }
    Some(value)
}

fn parse_range(text: &str) -> Result<SpanRange, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (parse_span(from.trim())?, parse_span(to.trim())?);
    if from > to {
        return Err(format!("`{text}` ends before it begins; write the shorter span first"));
    }
    Ok(SpanRange { from, to })
}

fn parse_share(text: &str) -> Result<Share, String> {
    let share =
        text.strip_suffix('%').and_then(|number| decimal(number.trim(), 10_000)).filter(|share| *share <= 1_000_000);
    share.map(Share).ok_or_else(|| format!("`{text}` is not a share; write a percentage from \"0%\" to \"100%\""))
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    let (sign, size) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let number = match (size.strip_suffix("ppm"), size.strip_suffix('%')) {
        (Some(number), _) => decimal(number.trim(), 1_000),
        (_, Some(number)) => decimal(number.trim(), 10_000_000),
        _ => None,
    };
    let rate = number.and_then(|number| i64::try_from(number).ok()).filter(|rate| *rate < 1_000_000_000);
    let bad =
        || format!("`{text}` is not a clock rate; write parts per million such as \"200ppm\" or \"-5%\", below 100%");
    rate.map(|rate| Rate(sign * rate)).ok_or_else(bad)
}

struct Spelled(u64, &'static [(&'static str, u64)]);

impl fmt::Display for Spelled {
    /// The largest unit that divides the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = self.1.iter().rev().find(|(_, scale)| self.0.is_multiple_of(*scale)).unwrap_or(&self.1[0]);
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_nanos() {
            0 => f.write_str("0s"),
            nanos => Spelled(nanos, &SPAN_UNITS).fmt(f),
        }
    }
}

impl fmt::Display for SpanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            return Span(self.from).fmt(f);
        }
        write!(f, "{}..{}", Span(self.from), Span(self.to))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 10_000, self.0 % 10_000);
        match format!("{fraction:04}").trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            digits => write!(f, "{whole}.{digits}%"),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.unsigned_abs() / 1_000, self.0.unsigned_abs() % 1_000);
        match format!("{fraction:03}").trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}ppm"),
            digits => write!(f, "{sign}{whole}.{digits}ppm"),
        }
    }
}

macro_rules! spelled {
    ($($type:ident => $parse:ident),+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(text.trim()).map(Into::into).map_err(D::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_string())
            }
        }
    )+};
}

spelled!(Span => parse_span, SpanRange => parse_range, Share => parse_share, Rate => parse_rate);

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_out_reads_back_as_it_was() {
        for text in ["0s", "250ms", "1500us", "2m", "3h", "7ns"] {
            assert_eq!(Span(parse_span(text).unwrap()).to_string(), text);
        }
        for text in ["1s..9s", "5ms"] {
            assert_eq!(parse_range(text).unwrap().to_string(), text);
        }
        for text in ["0%", "2.5%", "100%", "0.0001%"] {
            assert_eq!(parse_share(text).unwrap().to_string(), text);
        }
        for text in ["200ppm", "-0.5ppm", "50000ppm"] {
            assert_eq!(parse_rate(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(parse_span("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_rate("-5%"), Ok(Rate(-50_000_000)));
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_with_an_example() {
        for text in ["5", "ms", "1..2s", "-1s", "1.2.3s", "0.5ns", "99999999999999h"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
        for text in ["101%", "5", "%", "0.00001%"] {
            assert!(parse_share(text).is_err(), "{text}");
        }
        assert!(parse_range("9s..1s").is_err());
        assert!(parse_rate("100%").is_err());
    }
}
