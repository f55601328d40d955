//! Those who submit tasks, and what runs the agents of every node.
//!
//! | file | holds |
//! | --- | --- |
//! | `stories` | what is submitted: tasks and small workflows |
//! | `submitters` | submit, cancel, and ask in the end what became of it |
//! | `recurrers` | have tasks recur |
//! | `pausers` | pause an agent now and then |
//! | `ears` | of each node: attaches, and takes orders |
//! | `hands` | of each node: says how runs ended |
//! | `agents` | what agents do, how long that takes, and what dies with a node |
//!
//! What an agent gives follows from its input, so that checkers know what a workflow has to come to, however often a step was
//! run; and it is marked with the fence of the attempt that gave it, so that they know whose it is.

mod agents;
mod ears;
mod hands;
mod pausers;
mod recurrers;
mod stories;
mod submitters;

pub(super) use agents::Agents;
pub(in crate::mesh) use agents::{MARK, output_of};
pub(super) use ears::Ears;
pub(super) use hands::Hands;
pub(super) use pausers::Pauser;
pub(super) use recurrers::Recurrer;
pub(in crate::mesh) use stories::{APPROVED, limits, schedules};
pub(super) use submitters::Submitter;
