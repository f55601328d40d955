//! The state above the log: what commands mean.

use core::fmt::Debug;
use core::hash::Hash;
use serde::Serialize;

/// A deterministic state machine: equal commands in equal order give equal states and answers on every machine.
pub trait Service: Clone + Debug + Default + PartialEq + Eq + Hash {
    /// What a command or a query comes to.
    type Answer: Clone + Debug + PartialEq + Eq + Hash + Serialize;

    /// Takes the next acknowledged command. Total: one that makes no sense is answered so, and changes nothing.
    fn apply(&mut self, command: &[u8]) -> Self::Answer;

    /// Answers a query; changes nothing.
    fn read(&self, query: &[u8]) -> Self::Answer;
}
