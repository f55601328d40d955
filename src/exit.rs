//! How a command ends, as scripts see it.

use relaymesh_sim::world::Verdict;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was checked held.
    Held = 0,
    /// The command could not do its work, or what it ran proved nothing.
    Failed = 1,
    /// Something bad happened in a run.
    Safety = 2,
    /// Something good did not happen in time.
    Liveness = 3,
    /// Two runs of one seed differ.
    NonDeterminism = 4,
    /// The command or a scenario was not understood.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Held => Self::Held,
            Verdict::Safety => Self::Safety,
            Verdict::Liveness => Self::Liveness,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_has_the_exit_code_that_the_manual_promises() {
        let code = |verdict| Exit::from(verdict) as u8;
        assert_eq!([Verdict::Held, Verdict::Safety, Verdict::Liveness].map(code), [0, 2, 3]);
        assert_eq!([Exit::Failed, Exit::NonDeterminism, Exit::Usage].map(|exit| exit as u8), [1, 4, 64]);
    }
}
