//! Where two runs of one seed first differ.

use super::Line;
use alloc::string::{String, ToString};
use core::fmt;

/// The first event at which two traces differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The position of the event, from 1.
    pub event: u64,
    /// The last line both have in common, if any.
    pub common: Option<String>,
    /// What the first run did.
    pub one: Option<String>,
    /// What the second run did.
    pub other: Option<String>,
}

/// Compares two traces line by line.
pub fn first_divergence(one: &[Line], other: &[Line]) -> Option<Divergence> {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    if same == one.len() && same == other.len() {
        return None;
    }
    Some(Divergence {
        event: same as u64 + 1,
        common: same.checked_sub(1).map(|last| one[last].to_string()),
        one: one.get(same).map(Line::to_string),
        other: other.get(same).map(Line::to_string),
    })
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_end = |line: &Option<String>| line.clone().unwrap_or_else(|| "(the run had ended)".to_string());
        writeln!(f, "the runs differ from event {} on", self.event)?;
        if let Some(common) = &self.common {
            writeln!(f, "  both:   {common}")?;
        }
        writeln!(f, "  first:  {}", or_end(&self.one))?;
        write!(f, "  second: {}", or_end(&self.other))
    }
}
