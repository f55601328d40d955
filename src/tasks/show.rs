//! `relaymesh task` and `tasks`: what became of what was submitted.

use super::arguments::{TaskArguments, TasksArguments};
use super::client::Shards;
use super::everywhere::{conclude, or_unreached};
use super::stuck::explained;
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, note, rendered};
use crate::wall;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host;
use relaymesh_core::task::answer::{Answer, Query, Refusal, Status};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::view::{Happened, StepStatus, StepView, TaskView};
use relaymesh_core::task::wire::Progress;
use relaymesh_core::task::workflow::Name;
use relaymesh_core::time::WallTime;
use serde::Serialize;
use std::time::Duration;

/// Pause between two looks at a task that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of an output that a table shows.
const SHOWN_BYTES_MAX: usize = 60;

/// A task, as people and programs see it.
#[derive(Debug, Serialize)]
struct Task {
    id: String,
    name: Option<String>,
    status: &'static str,
    priority: &'static str,
    created_unix_ms: u64,
    ended_unix_ms: Option<u64>,
    replays: u32,
    cancelled_because: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step>,
}

/// A step of it.
#[derive(Debug, Serialize)]
struct Step {
    step: Option<String>,
    item: Option<u32>,
    agent: Option<String>,
    state: String,
    attempts: u16,
    progress_percent: Option<u8>,
    progress: Option<String>,
    output: Option<String>,
    output_bytes: Option<u64>,
    error: Option<String>,
    history: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Event {
    at_unix_ms: u64,
    what: String,
}

pub(super) async fn task(arguments: &TaskArguments, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(&arguments.place).await?;
    let (view, shard) = match whole(&shards, arguments.id).await {
        Ok(found) => found,
        Err(problem) => return Err(explained(&shards, shards.of_task(&arguments.id), problem).await),
    };
    print(&shards, shard, &view, output).await?;
    Ok(Exit::Held)
}

/// Waits until a task has ended, and shows it.
pub(super) async fn wait(shards: &Shards<'_>, id: SubmissionId, output: &Output) -> Result<Exit, Error> {
    while !has_ended(shards, id).await? {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (view, shard) = whole(shards, id).await?;
    print(shards, shard, &view, output).await?;
    Ok(if view.status == Status::Succeeded { Exit::Held } else { Exit::Failed })
}

/// Whether it has. It has not while it is parked, nor, as far as is known, while nobody can be asked.
async fn has_ended(shards: &Shards<'_>, task: SubmissionId) -> Result<bool, Error> {
    let without_steps = Query::Task { task, from: u32::MAX };
    match shards.read(shards.of_task(&task), &without_steps).await {
        Ok(Answer::Task(view)) => Ok(view.status.has_ended()),
        Ok(_) => Err(Error::OtherAnswer),
        Err(Error::OutcomeUnknown | Error::TaskRefused(Refusal::NoTask)) => Ok(false),
        Err(Error::ShardRefused(host::Refusal::NoOwner { .. } | host::Refusal::Busy)) => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// A task with all its steps.
pub(crate) async fn whole(shards: &Shards<'_>, task: SubmissionId) -> Result<(TaskView, ShardId), Error> {
    let shard = shards.of_task(&task);
    let Answer::Task(mut view) = shards.read(shard, &Query::Task { task, from: 0 }).await? else {
        return Err(Error::OtherAnswer);
    };
    while let Some(last) = view.steps.last().map(|step| step.row + 1).filter(|next| *next < view.rows) {
        let Answer::Task(more) = shards.read(shard, &Query::Task { task, from: last }).await? else {
            return Err(Error::OtherAnswer);
        };
        if more.steps.is_empty() {
            break;
        }
        view.steps.extend(more.steps);
    }
    Ok((*view, shard))
}

pub(super) async fn tasks(arguments: &TasksArguments, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(&arguments.place).await?;
    let status = arguments.status.map(Status::from);
    let (mut found, mut unreached): (Vec<TaskView>, _) = (Vec::new(), Vec::new());
    for shard in shards.all() {
        let mut of_shard = 0;
        let take = |answer| {
            let Answer::Tasks { tasks, next } = answer else { return Err(Error::OtherAnswer) };
            of_shard += tasks.len();
            found.extend(tasks);
            Ok(next.filter(|_| of_shard <= arguments.limit))
        };
        let asked = shards.pages(shard, |before| Query::Tasks { status, before }, take).await;
        or_unreached(shard, asked, &mut unreached)?;
    }
    found.sort_by_key(|task| std::cmp::Reverse(task.created));
    let hidden = found.len() > arguments.limit;
    found.truncate(arguments.limit);
    let rows: Vec<Task> = found.iter().map(Task::from).collect();
    if output.is_json() {
        output.json(&rows)?;
        return Ok(conclude(&unreached));
    }
    let mut table = output.table(&["id", "name", "status", "priority", "created"]);
    for (row, task) in rows.iter().zip(&found) {
        table.add_row([
            cell(Tone::Strong, &row.id),
            cell(Tone::Plain, row.name.as_deref().unwrap_or_default()),
            cell(tone(task.status), row.status),
            cell(Tone::Plain, row.priority),
            cell(Tone::Dim, at(task.created)),
        ]);
    }
    output.print(&rendered(&table))?;
    if hidden {
        note("there are more; `--limit` shows them, `--status` narrows them");
    }
    Ok(conclude(&unreached))
}

async fn print(shards: &Shards<'_>, shard: ShardId, view: &TaskView, output: &Output) -> Result<(), Error> {
    let mut task = Task::from(view);
    let mut progress = shards.progress(shard, view).await?;
    for step in &view.steps {
        let mut row = Step::from(step);
        if let Some(Progress { percent, text }) = progress.remove(&step.row) {
            row.state = format!("{}, {percent} % {text}", row.state).trim_end().into();
            (row.progress_percent, row.progress) = (Some(percent), Some(text.into()));
        }
        if let StepStatus::Succeeded { output: Some(payload) } = &step.state {
            row.output_bytes = Some(payload.len());
            row.output = text(shards, shard, payload, output.is_json()).await?;
        }
        task.steps.push(row);
    }
    if output.is_json() {
        return output.json(&task);
    }
    let name = task.name.as_deref().unwrap_or_default();
    let head =
        format!("{} {} {}\n", output.paint(Tone::Strong, &task.id), name, output.paint(tone(view.status), task.status));
    output.print(&head)?;
    if let Some(reason) = task.cancelled_because.as_deref().filter(|reason| !reason.is_empty()) {
        output.print(&format!("  cancelled: {reason}\n"))?;
    }
    output.print("\n")?;
    let mut table = output.table(&["step", "agent", "state", ">attempts", "output or error", "since"]);
    for (row, step) in task.steps.iter().zip(&view.steps) {
        let words = row.error.as_deref().or(row.output.as_deref()).unwrap_or_default();
        let tone = match &step.state {
            StepStatus::Succeeded { .. } => Tone::Good,
            StepStatus::Dead => Tone::Bad,
            StepStatus::Cancelled | StepStatus::Asking => Tone::Warn,
            _ => Tone::Plain,
        };
        table.add_row([
            cell(Tone::Strong, label(step)),
            cell(Tone::Plain, row.agent.as_deref().unwrap_or("(a person)")),
            cell(tone, &row.state),
            cell(Tone::Plain, row.attempts),
            cell(Tone::Plain, shortened(words)),
            cell(Tone::Dim, step.history.last().map(|moment| at(moment.at)).unwrap_or_default()),
        ]);
    }
    output.print(&rendered(&table))
}

/// A step as people name it.
pub(crate) fn label(step: &StepView) -> String {
    let name = step.name.as_ref().map_or_else(|| "-".into(), ToString::to_string);
    step.item.map(|item| format!("{name}[{item}]")).unwrap_or(name)
}

/// An output as text: all of it for scripts, where it is text, and what fits for people.
async fn text(shards: &Shards<'_>, shard: ShardId, payload: &Payload, is_whole: bool) -> Result<Option<String>, Error> {
    if payload.blob().is_some() && !is_whole {
        return Ok(Some(format!("({} bytes)", payload.len())));
    }
    Ok(String::from_utf8(shards.content(shard, payload).await?).ok())
}

pub(super) fn shortened(words: &str) -> String {
    let line = words.lines().next().unwrap_or_default();
    match line.len() > SHOWN_BYTES_MAX || line.len() < words.trim_end().len() {
        true => format!("{}…", &line[..line.floor_char_boundary(SHOWN_BYTES_MAX)]),
        false => line.into(),
    }
}

impl From<&TaskView> for Task {
    fn from(view: &TaskView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name.as_ref().map(ToString::to_string),
            status: word(view.status),
            priority: view.priority.as_str(),
            created_unix_ms: millis(view.created),
            ended_unix_ms: view.ended.map(millis),
            replays: view.generation,
            cancelled_because: view.cancel.as_ref().map(|(_, reason)| reason.to_string()),
            steps: Vec::new(),
        }
    }
}

impl From<&StepView> for Step {
    fn from(view: &StepView) -> Self {
        Self {
            step: view.name.as_ref().map(ToString::to_string),
            item: view.item,
            agent: view.agent.as_ref().map(ToString::to_string),
            state: state(view),
            attempts: view.attempts,
            progress_percent: None,
            progress: None,
            output: None,
            output_bytes: None,
            error: view.words.as_ref().map(ToString::to_string),
            history: view
                .history
                .iter()
                .map(|moment| Event { at_unix_ms: millis(moment.at), what: happened(moment.what) })
                .collect(),
        }
    }
}

pub(crate) const fn word(status: Status) -> &'static str {
    match status {
        Status::Open => "open",
        Status::Cancelling => "cancelling",
        Status::Succeeded => "succeeded",
        Status::Dead => "dead",
        Status::Cancelled => "cancelled",
    }
}

pub(super) const fn tone(status: Status) -> Tone {
    match status {
        Status::Open => Tone::Plain,
        Status::Cancelling | Status::Cancelled => Tone::Warn,
        Status::Succeeded => Tone::Good,
        Status::Dead => Tone::Bad,
    }
}

/// What has become of a step, and what it waits for.
pub(crate) fn state(step: &StepView) -> String {
    match &step.state {
        StepStatus::Waiting { left } => waits(*left, step.waits_for.as_ref().map(Name::as_str)),
        StepStatus::Delayed { due } => format!("waits until {}", at(*due)),
        StepStatus::Asking => "waits for an approval".into(),
        StepStatus::Ready { is_paused: true, .. } => "paused".into(),
        StepStatus::Ready { ahead, .. } => format!("ready, {ahead} in front"),
        StepStatus::Running { worker, .. } => format!("runs on {}", &worker.node.to_string()[..8]),
        StepStatus::Expanded { left, count } => format!("{} of {count} done", count - left),
        StepStatus::Succeeded { .. } => "succeeded".into(),
        StepStatus::Dead => "dead".into(),
        StepStatus::Cancelled => "cancelled".into(),
        StepStatus::Limited { limit: Some(limit) } => format!("waits for the limit of {limit}"),
        StepStatus::Limited { limit: None } => "waits for a limit".into(),
    }
}

/// For which step, and how many others.
fn waits(left: u16, first: Option<&str>) -> String {
    match (left, first) {
        (_, None) => format!("waits for {left} steps"),
        (0 | 1, Some(first)) => format!("waits for step {first}"),
        (left, Some(first)) => format!("waits for step {first} and {} more", left - 1),
    }
}

fn happened(what: Happened) -> String {
    match what {
        Happened::Ready => "ready".into(),
        Happened::Claimed(worker) => format!("claimed by {}", worker.node),
        Happened::Succeeded => "succeeded".into(),
        Happened::Failed => "failed, to be tried again".into(),
        Happened::GivenBack => "given back".into(),
        Happened::ClaimEnded(why) => format!("claim ended: {why:?}").to_lowercase(),
        Happened::Died => "dead".into(),
        Happened::Asked => "a person was asked".into(),
        Happened::Cancelled => "cancelled".into(),
        Happened::Replayed => "replayed".into(),
        Happened::Limited => "waits for limits".into(),
    }
}

pub(super) fn millis(at: WallTime) -> u64 {
    at.as_unix_nanos() / 1_000_000
}

pub(super) fn at(at: WallTime) -> String {
    wall::spelled(at.as_unix_nanos() / 1_000_000_000)
}
