//! One event as people read it, and why it happened.

use crate::time::TrueTime;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use relaymesh_core::machine::CauseId;

/// One event with what followed from it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub event: CauseId,
    /// When, in true time.
    pub at: TrueTime,
    /// Where; `None` for the world and its clients.
    pub host: Option<u32>,
    /// The event it follows from; zero for none.
    pub cause: CauseId,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.map_or_else(|| String::from("world"), |host| format!("n{host}"));
        write!(f, "{:>8} {:>12} {host:<5} ", self.event.to_string(), self.at.to_string())?;
        f.write_str(&self.text)?;
        match self.cause.0 {
            0 => Ok(()),
            _ => write!(f, "  (because of {})", self.cause),
        }
    }
}

/// The event and everything it follows from, first cause first. Empty when there is no such event.
///
/// O(length of the chain): lines are numbered without gaps from 1.
pub fn chain_of_causes(lines: &[Line], event: CauseId) -> Vec<&Line> {
    let find = |id: CauseId| lines.get(usize::try_from(id.0).ok()?.checked_sub(1)?);
    let mut chain: Vec<&Line> = core::iter::successors(find(event), |line| find(line.cause)).collect();
    chain.reverse();
    chain
}
