//! Names: of tasks, steps and attempts.

use crate::replication::LogSequence;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A task within its shard: the place of the entry that submitted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskNumber(pub LogSequence);

/// A step of a task. The steps of a workflow come first, in the order of its definition; behind them, in the order in which they
/// came to be, the instances of those that are there once for each item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// Of which task.
    pub task: TaskNumber,
    /// Which of its rows, from 0.
    pub row: u32,
}

impl fmt::Display for TaskNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task, self.row)
    }
}
