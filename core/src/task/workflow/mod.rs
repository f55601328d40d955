//! What a workflow is: steps, what each waits for, and how its input is made from what earlier steps gave.
//!
//! - [`Workflow::from_json`] reads what people write, [`Workflow::to_json`] shows it again.
//! - [`Workflow::check`] holds one that came encoded from a peer against the same rules.
//! - [`Workflow::graph`] says who waits for a step; it is derived, never stored or sent.
//! - [`Template::resolve`] makes the input of a step, on the node of the worker that is to run it.
//!
//! Everything here is pure and total: no order of fields, depth or length makes it panic, recurse without a bound, or
//! allocate more than a small multiple of what it was given. The format is described for users in `docs/workflows.md`.
//!
//! Absent on purpose: what has happened to a step (attempts, claims, results), and who runs it.

mod error;
mod graph;
mod json;
mod name;
mod output;
mod pointer;
mod read;
mod rules;
mod template;
#[cfg(test)]
mod tests;
mod write;

pub use error::{Owner, Place, Problem, ResolveError, WorkflowError};
pub use graph::Graph;
pub use name::{Name, NameError, Text, TextError};
pub use output::{Output, count_items, item};
pub use pointer::{Pointer, PointerError};
pub use template::{Origin, Reference, Template};

use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes of the JSON of a definition, as written and as [`Workflow::to_json`] shows it.
pub const JSON_BYTES_MAX: usize = 256 << 10;
/// Steps of a workflow. One is needed at least.
pub const STEPS_MAX: usize = 1_000;
/// Objects and lists around a value of a definition.
pub const DEPTH_MAX: u32 = 32;
/// Steps that one step waits for, those its input refers to included.
pub const DEPENDENCIES_MAX: usize = 64;
/// References in the input of one step.
pub const REFERENCES_MAX: usize = 256;
/// Labels that a step asks of a worker.
pub const LABELS_MAX: usize = 8;
/// Bytes of what a label has to be.
pub const LABEL_BYTES_MAX: usize = 64;
/// Bytes of what an approver is asked.
pub const PROMPT_BYTES_MAX: usize = 1 << 10;
/// The longest delay, timeout or back-off: a year and a day.
pub const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Attempts that a policy may allow.
pub const ATTEMPTS_MAX: u16 = 100;
/// Bytes of the input of one step, once everything is filled in.
pub const INPUT_BYTES_MAX: usize = 10 << 20;
/// Items of one list, and so instances of one step.
pub const ITEMS_MAX: u32 = 10_000;

/// Which step of a workflow, counted from 0 in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepIndex(pub u16);

impl StepIndex {
    /// Where it stands in a list of steps.
    pub const fn position(self) -> usize {
        self.0 as usize
    }

    /// That of a position below [`STEPS_MAX`].
    fn of(position: usize) -> Self {
        Self(u16::try_from(position).unwrap_or(u16::MAX))
    }
}

/// Steps that wait for one another, and make up one piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workflow {
    /// What people call it. Nothing depends on it.
    pub name: Option<Name>,
    /// In the order of the file.
    pub steps: Vec<Step>,
}

/// One step of a [`Workflow`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    /// What other steps call it, unique in its workflow.
    pub id: Name,
    /// What is to be done.
    pub does: Does,
    /// What has to succeed first: sorted, each once, with every step that the input or the list comes from.
    pub depends_on: Vec<StepIndex>,
    /// The list for each item of which the step runs once.
    pub each: Option<Source>,
    /// Before others or after them; that of the submission where nothing is said.
    pub priority: Option<Priority>,
    /// How long one attempt may take, or an approval may be open.
    pub timeout: Option<Duration>,
    /// How failures are retried; as the agent's policy says where nothing is said.
    pub retry: Option<Retry>,
    /// What a worker must be labelled with.
    pub labels: BTreeMap<Name, Text<LABEL_BYTES_MAX>>,
    /// Steps with the same key share a limit of how many run at once.
    pub concurrency_key: Option<Name>,
    /// How long to wait once everything it depends on has succeeded.
    pub delay: Option<Duration>,
}

/// What a [`Step`] does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Does {
    /// An agent runs.
    Agent {
        /// Which one.
        agent: Name,
        /// What it is given.
        input: Template,
    },
    /// Somebody is asked.
    Approval {
        /// What they are asked.
        prompt: Text<PROMPT_BYTES_MAX>,
    },
}

/// A list in what an earlier step gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Whose output.
    pub step: StepIndex,
    /// Where in it.
    pub pointer: Pointer,
}

/// What goes first where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// Before the others.
    High,
    /// As everything of which nothing is said.
    #[default]
    Normal,
    /// After the others.
    Low,
}

impl Priority {
    /// All, the most urgent one first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// As users write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// The one that users write like this.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == name)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often something is tried, and how long to wait in between. The wait doubles with each attempt, and is drawn from
/// zero up to that (full jitter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, from 1 to [`ATTEMPTS_MAX`].
    pub attempts_max: u16,
    /// The longest wait after the first attempt.
    pub base: Duration,
    /// The longest wait after any attempt, not below `base`.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts_max: 3, base: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

/// Whether a timeout and a policy of retries are as those of a step may be.
///
/// # Errors
/// [`Problem`] says what is wrong.
pub fn check_attempts(timeout: Option<Duration>, retry: Option<Retry>) -> Result<(), Problem> {
    rules::check_attempts(timeout, retry)
}

impl Workflow {
    /// The step with that index; `None` where there is none.
    pub fn step(&self, index: StepIndex) -> Option<&Step> {
        self.steps.get(index.position())
    }

    /// The step called so. Looks at every step.
    pub fn find(&self, id: &str) -> Option<StepIndex> {
        self.steps.iter().position(|step| step.id.as_str() == id).map(StepIndex::of)
    }

    /// Who waits for whom, and an order in which everything can run. To be kept beside a workflow that is under way.
    pub fn graph(&self) -> Graph {
        Graph::of(&self.steps)
    }

    /// Reads a definition.
    ///
    /// # Errors
    /// [`WorkflowError`] says what is wrong, in which step, and where in the text.
    pub fn from_json(json: &[u8]) -> Result<Self, WorkflowError> {
        let workflow = read::workflow(json)?;
        workflow.check()?;
        Ok(workflow)
    }

    /// The definition as JSON that reads back as this one: compact, and with what was only implied written down.
    pub fn to_json(&self) -> String {
        write::workflow(self)
    }

    /// Whether it keeps every rule, for one that came encoded. All of [`Workflow::from_json`] do.
    ///
    /// # Errors
    /// [`WorkflowError`] says what is wrong, and in which step.
    pub fn check(&self) -> Result<(), WorkflowError> {
        rules::check(self)
    }
}

impl Step {
    /// Whether it is repeated for each item of a list.
    pub fn is_repeated(&self) -> bool {
        self.each.is_some()
    }

    /// The agent that runs; `None` for an approval.
    pub fn agent(&self) -> Option<&Name> {
        match &self.does {
            Does::Agent { agent, .. } => Some(agent),
            Does::Approval { .. } => None,
        }
    }

    /// What the agent is given; `None` for an approval.
    pub fn input(&self) -> Option<&Template> {
        match &self.does {
            Does::Agent { input, .. } => Some(input),
            Does::Approval { .. } => None,
        }
    }

    /// The steps whose outputs it uses, in no particular order, and some more than once.
    fn uses(&self) -> impl Iterator<Item = StepIndex> {
        let of_input = self.input().into_iter().flat_map(Template::references);
        let of_input = of_input.filter_map(|reference| reference.from.step());
        self.each.iter().map(|source| source.step).chain(of_input)
    }
}
