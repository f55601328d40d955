//! What can go wrong on the command line, what to do about it, and which exit code belongs to it.

pub(crate) use crate::exit::Exit;

use relaymesh_core::control::{node as agreed, state as agreed_state};
use relaymesh_core::envelope::KeyTextError;
use relaymesh_core::lease::acceptor::NotAccepted;
use relaymesh_core::membership;
use relaymesh_core::membership::description::DescriptionError;
use relaymesh_core::node::StopReason;
use relaymesh_io_tokio::control::AskError;
use relaymesh_io_tokio::entropy::EntropyError;
use relaymesh_io_tokio::folder::FolderError;
use relaymesh_io_tokio::{DriverError, StartError};
use relaymesh_sim::scenario::ScenarioError;
use std::path::PathBuf;

/// Why a command could not do its work. No variant leaves anything half written, unless it says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The runtime or its signals cannot be set up.
    #[error("cannot set up the runtime: {0}")]
    Runtime(std::io::Error),
    /// No random numbers.
    #[error(transparent)]
    Entropy(EntropyError),
    /// A key cannot be understood.
    #[error("{0}")]
    Key(KeyTextError),
    /// A file with a key cannot be read.
    #[error("cannot read the key in {}: {problem}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: std::io::Error,
    },
    /// The folder was never given a key.
    #[error(
        "{} is missing\n  begin a new cluster with --new-cluster, or join one with --key-file FILE; the keyring of another node will do",
        .path.display()
    )]
    NoKeyring {
        /// The keyring.
        path: PathBuf,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(Box<FolderError>),
    /// What the node is told to say about itself is too large.
    #[error("{0}")]
    Description(DescriptionError),
    /// What is said of agents cannot be understood.
    #[error(transparent)]
    Agents(Box<relaymesh_io_tokio::agents::CatalogError>),
    /// Agents have no place to run in.
    #[error("{0}")]
    Scratch(relaymesh_io_tokio::agents::RunnerError),
    /// The node did not start.
    #[error("the node did not start: {0}")]
    Start(Box<StartError>),
    /// The node has ended itself.
    #[error("the node has stopped: {}{}", .0, crate::mesh::node::next_step(.0))]
    NodeStopped(StopReason),
    /// The node's driver has failed.
    #[error(transparent)]
    Driver(DriverError),
    /// A running node gave no answer, or none to this.
    #[error(transparent)]
    Ask(Box<AskError>),
    /// A running node refused.
    #[error("refused: {0}")]
    Refused(membership::Refusal),
    /// A running node refused what the cluster was to agree on.
    #[error("refused: {0}")]
    ControlRefused(agreed::Refusal),
    /// A file is no backup, or was changed since.
    #[error("{} is no backup, or not a whole one\n  `relaymesh cluster-backup` writes them; nothing was changed", .path.display())]
    BadBackup {
        /// The file.
        path: PathBuf,
    },
    /// A command was executed, and came to nothing.
    #[error("refused: {0}")]
    NotExecuted(agreed_state::Refusal),
    /// No member goes by that name.
    #[error("no member is called `{name}`{}\n  `relaymesh members` shows who there is; an id works too", did_you_mean(.suggestion))]
    UnknownNode {
        /// The name given.
        name: String,
        /// The closest name there is.
        suggestion: Option<String>,
    },
    /// Several members go by that name.
    #[error("{count} members are called `{name}`\n  name one by its id, which `relaymesh members` shows")]
    AmbiguousNode {
        /// The name given.
        name: String,
        /// How many.
        count: usize,
    },
    /// The node may not act for a scope.
    #[error("this node does not hold {0} now\n  `relaymesh mesh leaders status` shows who does")]
    NotHeld(agreed_state::Scope),
    /// A write does not count any more, or cannot be accepted.
    #[error("refused: {0}")]
    NotAccepted(NotAccepted),
    /// There is no such namespace.
    #[error(
        "there is no namespace `{name}`{}\n  `relaymesh namespace-declare {name} --dir DIR` makes it",
        if .others.is_empty() { String::new() } else { format!("; there are {}", .others.join(", ")) }
    )]
    NoNamespace {
        /// The name given.
        name: String,
        /// Those that there are.
        others: Vec<String>,
    },
    /// Whoever owns a shard refused.
    #[error("refused: {0}")]
    ShardRefused(relaymesh_core::shards::host::Refusal),
    /// A shard does not answer.
    #[error("{0}")]
    ShardStuck(crate::tasks::Stuck),
    /// The tasks of a shard refused.
    #[error("refused: {0}")]
    TaskRefused(relaymesh_core::task::answer::Refusal),
    /// Nobody knows whether it took effect.
    #[error(
        "whether it took effect is not known: its owner did not answer in time\n  look with `relaymesh task` or `tasks` before it is done again"
    )]
    OutcomeUnknown,
    /// Nobody knows whether a plan was made, approved or given up.
    #[error(
        "whether that was done is not known: the cluster did not agree in time\n  `relaymesh mesh shards plan` shows how it stands"
    )]
    PlanUnknown,
    /// There is no such plan to approve.
    #[error("there is no plan {plan} that waits for approval\n  `relaymesh mesh shards plan` shows which there is")]
    NoPlan {
        /// Its number.
        plan: u64,
    },
    /// A plan was given up before its end.
    #[error(
        "plan {plan} was given up before all had moved: a node that it gives something was lost, or took too long\n  `relaymesh mesh shards rebalance` makes another"
    )]
    PlanGivenUp {
        /// Its number.
        plan: u64,
    },
    /// What was to be simulated there cannot be.
    #[error("cannot be simulated: {0}")]
    Simulate(String),
    /// Nobody knows whether a submission was taken.
    #[error(
        "whether task {id} was taken is not known: its owner did not answer in time\n  \
         submit it again with `--key {key}`: under one key it is one task"
    )]
    SubmissionUnknown {
        /// The id that it has, if it is there.
        id: String,
        /// The key that it has.
        key: String,
    },
    /// A workflow is not what it has to be.
    #[error("{}: {problem}\n  nothing was submitted; docs/workflows.md has the format", .path.display())]
    BadWorkflow {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        problem: relaymesh_core::task::workflow::WorkflowError,
    },
    /// A task does not fit into the log.
    #[error(
        "the task is larger than an entry of the log may be\n  nothing was submitted; give large data as the input, or in parts"
    )]
    TaskTooLarge,
    /// An input is too large.
    #[error(
        "the input has more than {limit} bytes\n  nothing was submitted; store it elsewhere, and give the task its place"
    )]
    InputTooLarge {
        /// Bytes that are allowed.
        limit: u64,
    },
    /// A schedule that cannot be.
    #[error("the schedule is refused: {0}")]
    BadSchedule(relaymesh_core::task::schedule::ScheduleError),
    /// There cannot be such a key.
    #[error("an idempotency key has 1 to {limit} bytes; nothing was submitted")]
    BadKey {
        /// Bytes that are allowed.
        limit: u64,
    },
    /// A running node answered something else.
    #[error("the node answered something else; are client and node of the same release?")]
    OtherAnswer,
    /// A mesh on one machine does not do what it should.
    #[error(transparent)]
    Dev(#[from] Box<crate::dev::error::DevError>),
    /// There is no folder of scenarios.
    #[error(
        "no folder `scenarios` in {} or above it\n  \
         run this inside a source tree of RelayMesh, or name a folder with --scenarios DIR", .from.display()
    )]
    NoScenarioFolder {
        /// Where the search began.
        from: PathBuf,
    },
    /// No scenario has that name.
    #[error("no scenario `{name}` in {}{}\n  `relaymesh sim list` shows those there are; a path to a .toml file works too", .folder.display(), did_you_mean(.suggestion))]
    UnknownScenario {
        /// The name given.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// The closest name there is.
        suggestion: Option<String>,
    },
    /// A file is no scenario.
    #[error("{}: {problem}\n  correct the file; docs/scenarios.md lists every field", .path.display())]
    BadScenario {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: ScenarioError,
    },
    /// A `--set` does not fit.
    #[error(
        "--set: {problem}\n  a key is a path of fields, such as `nodes`, `phases.safety` or `fault[0].times`; \
         a value is written as in the file"
    )]
    BadSetting {
        /// What is wrong.
        problem: ScenarioError,
    },
    /// A scenario in the folder has another name than its file.
    #[error("{}: the scenario is named `{name}`\n  rename the file to {name}.toml, or the scenario", .path.display())]
    NameDiffers {
        /// The file.
        path: PathBuf,
        /// The name in it.
        name: String,
    },
    /// The filters leave nothing.
    #[error(
        "no scenario in {} {filter}\n  `relaymesh sim list` shows names and tags; a GLOB knows `*` and `?`", .folder.display()
    )]
    NothingSelected {
        /// Where was looked.
        folder: PathBuf,
        /// What was asked for.
        filter: String,
    },
    /// The run has no such event.
    #[error("event {event} does not exist: the run has events 1 to {last}\n  `--trace FILE` writes them all")]
    NoSuchEvent {
        /// The event asked for.
        event: u64,
        /// The last one there is.
        last: u64,
    },
    /// There is nothing to shrink.
    #[error(
        "seed {seed} of `{scenario}` holds every invariant, so there is nothing to shrink\n  `relaymesh sim chaos --scenario {scenario}` looks for seeds that fail"
    )]
    SeedHolds {
        /// The scenario.
        scenario: String,
        /// The seed.
        seed: u64,
    },
    /// What was shrunk does not fail when it is read back: a defect of ours.
    #[error(
        "the shrunk scenario, read back, no longer breaks {invariant}\n  this is a defect of the simulator; nothing was written"
    )]
    ShrunkHolds {
        /// The invariant.
        invariant: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {problem}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {problem}\n  what was written before it is kept", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: std::io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Print(std::io::Error),
    /// A campaign of another revision would be continued.
    #[error(
        "the campaign in {} was last run with revision {theirs}, and this is {ours}\n  \
         check that revision out, choose another --out, or continue with --new-revision (each summary says which seeds ran under which)",
        .folder.display()
    )]
    OtherRevision {
        /// The campaign.
        folder: PathBuf,
        /// The revision it was run with.
        theirs: String,
        /// The revision that is checked out.
        ours: String,
    },
    /// A file of a campaign does not say what it should.
    #[error("{}: not a file of a campaign: {problem}\n  restore it, or remove it to run its seeds again", .path.display())]
    BadCampaign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another program failed.
    #[error("`{command}` failed:\n{problem}")]
    Tool {
        /// What was called.
        command: String,
        /// What it said.
        problem: String,
    },
}

impl Error {
    /// The exit code that belongs to it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoScenarioFolder { .. }
            | Self::UnknownScenario { .. }
            | Self::BadScenario { .. }
            | Self::BadSetting { .. }
            | Self::NameDiffers { .. }
            | Self::NothingSelected { .. }
            | Self::NoSuchEvent { .. }
            | Self::OtherRevision { .. }
            | Self::BadWorkflow { .. }
            | Self::TaskTooLarge
            | Self::InputTooLarge { .. }
            | Self::BadKey { .. }
            | Self::BadSchedule(_)
            | Self::Simulate(_) => Exit::Usage,
            Self::Dev(problem) => problem.exit(),
            Self::PlanUnknown
            | Self::NoPlan { .. }
            | Self::PlanGivenUp { .. }
            | Self::Runtime(_)
            | Self::Entropy(_)
            | Self::Key(_)
            | Self::KeyFile { .. }
            | Self::NoKeyring { .. }
            | Self::Folder(_)
            | Self::Description(_)
            | Self::Agents(_)
            | Self::Scratch(_)
            | Self::Start(_)
            | Self::NodeStopped(_)
            | Self::Driver(_)
            | Self::Ask(_)
            | Self::Refused(_)
            | Self::ControlRefused(_)
            | Self::NotExecuted(_)
            | Self::BadBackup { .. }
            | Self::UnknownNode { .. }
            | Self::AmbiguousNode { .. }
            | Self::NotHeld(_)
            | Self::NotAccepted(_)
            | Self::NoNamespace { .. }
            | Self::ShardRefused(_)
            | Self::ShardStuck(_)
            | Self::TaskRefused(_)
            | Self::OutcomeUnknown
            | Self::SubmissionUnknown { .. }
            | Self::OtherAnswer
            | Self::SeedHolds { .. }
            | Self::ShrunkHolds { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Print(_)
            | Self::BadCampaign { .. }
            | Self::Tool { .. } => Exit::Failed,
        }
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
