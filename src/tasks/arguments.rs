//! What can be typed for tasks.

pub(crate) mod operate;

use super::schedules;
use crate::cli::duration;
use crate::mesh::arguments::FolderArguments;
use clap::{Args, Subcommand, ValueEnum};
use relaymesh_core::control::state::Name as Namespace;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::task::answer::Status;
use relaymesh_core::task::command::CancelMode;
use relaymesh_core::task::workflow::{Name, Priority};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Make a namespace, in which tasks can be submitted
    #[command(after_help = "\
Asked once, of any node, after `cluster-init` and `cluster-activate 2`. How many shards it has is fixed for good; what is
submitted is acknowledged when it is on at least `--minimum` disks.

Example:
  relaymesh namespace-declare default --shards 8 --dir /tmp/mesh-a")]
    NamespaceDeclare(DeclareArguments),
    /// Submit a task: one step, done by an agent
    #[command(after_help = "\
It prints the task's id once the task would survive the loss of any one node. Submitted again under the same key it is the
same task. `parked` says that no owner could be reached: it is on as many disks as said, and begins by itself later.

Examples:
  relaymesh submit --agent echo --input hello --dir /tmp/mesh-a
  relaymesh submit --agent compress --input-file big.log --key big.log-2026-11-30 --dir /tmp/mesh-a
  relaymesh submit --agent sleep --input 500 --wait --dir /tmp/mesh-a")]
    Submit(SubmitArguments),
    /// Submit a workflow: steps that depend on one another, from a JSON file
    #[command(after_help = "\
docs/workflows.md has the format.

Examples:
  relaymesh submit-workflow docs/examples/report.json --dir /tmp/mesh-a
  relaymesh submit-workflow build.json --input-file commit.json --wait --dir /tmp/mesh-a")]
    SubmitWorkflow(WorkflowArguments),
    /// Show a task: its state, its steps, what they came to, and what happened when
    Task(TaskArguments),
    /// List tasks, the newest first
    Tasks(TasksArguments),
    /// Stop a task
    #[command(after_help = "\
soft: what runs may end, and nothing else begins. hard: what runs is killed, too. The task is `cancelling` until every
agent of it has been confirmed to be dead, or the claim it ran under has ended.")]
    Cancel(CancelArguments),
    /// Have what is dead of a task begin again
    Replay(TaskArguments),
    /// Answer a step that waits for a person
    Approve(ApproveArguments),
    #[command(flatten)]
    Operate(operate::OperateCommand),
    /// Have a task recur: by a cron expression, or each so long
    #[command(after_help = "\
docs/schedules.md has expressions, time zones, and what becomes of due times that nobody came to.

Examples:
  relaymesh schedule-add nightly --cron '30 2 * * *' --zone Europe/Berlin --agent echo --input hello --dir /tmp/mesh-a
  relaymesh schedule-add report --every 1h --workflow docs/examples/report.json --skip-while-open --dir /tmp/mesh-a")]
    ScheduleAdd(schedules::AddArguments),
    /// List what recurs
    Schedules(schedules::ListArguments),
    /// Have nothing made of a schedule for a while; what becomes due meanwhile is not made up for
    SchedulePause(schedules::PauseArguments),
    /// Remove a schedule; the tasks that it has made stay
    ScheduleRemove(schedules::NameArguments),
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Its namespace
    #[arg(long, value_name = "NAME", value_parser = namespace, default_value = "default")]
    pub(crate) namespace: Namespace,
}

impl Place {
    /// A namespace, as the node in a folder knows it.
    pub(crate) fn of(folder: &std::path::Path, namespace: Namespace) -> Self {
        Self { folder: FolderArguments { dir: folder.to_owned() }, namespace }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DeclareArguments {
    /// Its name
    #[arg(value_parser = namespace)]
    pub(crate) namespace: Namespace,
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Its shards, 1 to 4096, for good
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) shards: u32,
    /// Copies of each
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) copies: u8,
    /// Copies that have to hold something before it is acknowledged, at least
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) minimum: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Submission {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Idempotency key: submitted again under it, it is the same task [default: a new one each time]
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Input, as text
    #[arg(long, value_name = "TEXT", conflicts_with = "input_file")]
    pub(crate) input: Option<String>,
    /// Input, from a file; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
    /// How urgent
    #[arg(long, value_name = "PRIORITY", default_value = "normal")]
    pub(crate) priority: Urgency,
    /// Not before so long from now
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) delay: Option<Duration>,
    /// A label, for people; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = label)]
    pub(crate) label: Vec<(Name, String)>,
    /// How long it is kept when it has ended [default: 7 days]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) retention: Option<Duration>,
    /// While a task with this key is open no other is made: that one is named instead
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) unique: Option<Name>,
    /// Wait until it has ended, and print what it came to; exit code 1 if that is not success
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArguments {
    /// Who is to do it
    #[arg(long, value_name = "AGENT", value_parser = name)]
    pub(crate) agent: Name,
    #[command(flatten)]
    pub(crate) submission: Submission,
    /// How long an attempt may take [default: 5 minutes, or what the agent's policy says]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Attempts in all, 1 to 100 [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) attempts: Option<u16>,
    /// A label that the worker must have; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = label)]
    pub(crate) needs: Vec<(Name, String)>,
    /// Of all tasks and steps with this key only so many run at once as `limit` says, or one
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) concurrency_key: Option<Name>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowArguments {
    /// The definition
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) submission: Submission,
}

#[derive(Debug, Args)]
pub(crate) struct TaskArguments {
    /// Its id, as `submit` printed it
    #[arg(value_parser = id)]
    pub(crate) id: SubmissionId,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct TasksArguments {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Only those in this state
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<State>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArguments {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    /// Whether what runs is killed
    #[arg(long, value_name = "MODE", default_value = "hard")]
    pub(crate) mode: Mode,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArguments {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    /// Which step
    #[arg(long, value_name = "STEP", value_parser = name)]
    pub(crate) step: Name,
    /// No: the step is dead
    #[arg(long)]
    pub(crate) reject: bool,
    /// What to say with it: the output of the step, or why it is dead
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) words: String,
}

/// How urgent a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Urgency {
    High,
    Normal,
    Low,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::High => Self::High,
            Urgency::Normal => Self::Normal,
            Urgency::Low => Self::Low,
        }
    }
}

/// How a task is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Soft,
    Hard,
}

impl From<Mode> for CancelMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Soft => Self::Soft,
            Mode::Hard => Self::Hard,
        }
    }
}

/// What has become of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    Open,
    Cancelling,
    Succeeded,
    Dead,
    Cancelled,
}

impl From<State> for Status {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Cancelling => Self::Cancelling,
            State::Succeeded => Self::Succeeded,
            State::Dead => Self::Dead,
            State::Cancelled => Self::Cancelled,
        }
    }
}

fn namespace(text: &str) -> Result<Namespace, String> {
    Namespace::new(text).map_err(|problem| problem.to_string())
}

pub(crate) fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|problem| problem.to_string())
}

pub(crate) fn label(text: &str) -> Result<(Name, String), String> {
    let (key, value) = text.split_once('=').ok_or("write NAME=TEXT, such as team=billing")?;
    Ok((name(key)?, value.into()))
}

fn id(text: &str) -> Result<SubmissionId, String> {
    let wrong = || format!("an id has {} hexadecimal digits, as `relaymesh tasks` shows them", 2 * SubmissionId::BYTES);
    let digits = text.as_bytes();
    if digits.len() != 2 * SubmissionId::BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let mut bytes = [0; SubmissionId::BYTES];
    for (byte, pair) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(&text[2 * pair..2 * pair + 2], 16).map_err(|_| wrong())?;
    }
    Ok(SubmissionId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        let shown = SubmissionId::from_bytes([0xAB; 16]).to_string();
        assert_eq!(id(&shown), Ok(SubmissionId::from_bytes([0xAB; 16])));
        for wrong in ["", "ab", &"zz".repeat(16), &"é".repeat(16)] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
