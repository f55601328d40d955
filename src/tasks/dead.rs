//! Dead tasks, many at once: begun again, or written out.

use super::arguments::operate::{DeadArguments, ExportArguments, ReplayArguments};
use super::client::Shards;
use super::everywhere::{Unreached, conclude, is_of_shard, or_unreached};
use super::show::{at, label, millis, whole};
use super::submit::{now, span};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, counted, note, rendered};
use crate::whole::write_whole;
use indicatif::ProgressBar;
use relaymesh_core::shards::ShardId;
use relaymesh_core::task::answer::{Answer, Query, Status};
use relaymesh_core::task::command::Command;
use relaymesh_core::task::view::{StepStatus, TaskView};
use relaymesh_core::time::WallTime;
use serde::Serialize;
use std::collections::BTreeMap;

/// A dead task, as people and programs see it.
#[derive(Debug, Serialize)]
struct Dead {
    id: String,
    name: Option<String>,
    priority: &'static str,
    created_unix_ms: u64,
    died_unix_ms: Option<u64>,
    replays: u32,
    labels: BTreeMap<String, String>,
    /// Those that are dead.
    steps: Vec<DeadStep>,
}

#[derive(Debug, Serialize)]
struct DeadStep {
    step: String,
    agent: Option<String>,
    attempts: u16,
    /// What it said last.
    error: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Serialize)]
struct Batch {
    dry_run: bool,
    tasks: Vec<Replayed>,
    /// There may be more than were asked for.
    has_more: bool,
    unreached: Vec<Unreached>,
}

#[derive(Debug, Serialize)]
struct Replayed {
    id: String,
    name: Option<String>,
    died_unix_ms: Option<u64>,
    /// `dead`, `replayed`, or why it was not.
    outcome: String,
}

/// Dead tasks that were found.
struct Found {
    tasks: Vec<(ShardId, TaskView)>,
    has_more: bool,
    unreached: Vec<Unreached>,
}

pub(super) async fn replay(arguments: &ReplayArguments, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(&arguments.dead.place).await?;
    let found = find(&shards, &arguments.dead).await?;
    let mut batch =
        Batch { dry_run: arguments.dry_run, tasks: Vec::new(), has_more: found.has_more, unreached: found.unreached };
    let bar = ProgressBar::new(found.tasks.len() as u64);
    for (shard, view) in &found.tasks {
        let outcome = match arguments.dry_run {
            true => "dead".into(),
            false => again(&shards, *shard, view).await?,
        };
        let died_unix_ms = view.ended.map(millis);
        let name = view.name.as_ref().map(ToString::to_string);
        batch.tasks.push(Replayed { id: view.id.to_string(), name, died_unix_ms, outcome });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let failed = batch.tasks.iter().filter(|task| !matches!(&*task.outcome, "dead" | "replayed")).count();
    match output.is_json() {
        true => output.json(&batch)?,
        false => show(&batch, &found.tasks, output)?,
    }
    let told = conclude(&batch.unreached);
    Ok(if failed > 0 { Exit::Failed } else { told })
}

/// Has it begin again, unless somebody else has.
async fn again(shards: &Shards<'_>, shard: ShardId, view: &TaskView) -> Result<String, Error> {
    let command = Command::Replay { task: view.id, generation: view.generation };
    match shards.execute(shard, &command).await {
        Ok(_) => Ok("replayed".into()),
        Err(problem @ Error::TaskRefused(_)) => Ok(problem.to_string()),
        Err(problem) if is_of_shard(&problem) => Ok(problem.to_string()),
        Err(problem) => Err(problem),
    }
}

fn show(batch: &Batch, found: &[(ShardId, TaskView)], output: &Output) -> Result<(), Error> {
    let mut table = output.table(&["id", "name", "died", "outcome"]);
    for (task, (_, view)) in batch.tasks.iter().zip(found) {
        let tone = if matches!(&*task.outcome, "dead" | "replayed") { Tone::Plain } else { Tone::Bad };
        table.add_row([
            cell(Tone::Strong, &task.id),
            cell(Tone::Plain, task.name.as_deref().unwrap_or_default()),
            cell(Tone::Dim, view.ended.map(at).unwrap_or_default()),
            cell(tone, task.outcome.lines().next().unwrap_or_default()),
        ]);
    }
    output.print(&rendered(&table))?;
    let count = counted(batch.tasks.len() as u64, "dead task");
    match batch.dry_run {
        true => note(format_args!("{count}; without --dry-run they begin again")),
        false => note(format_args!("{count} looked at")),
    }
    if batch.has_more {
        note("there may be more; `--limit` says how many at most");
    }
    Ok(())
}

pub(super) async fn export(arguments: &ExportArguments, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(&arguments.dead.place).await?;
    let found = find(&shards, &arguments.dead).await?;
    let mut lines = String::new();
    for (_, view) in &found.tasks {
        let (view, _) = whole(&shards, view.id).await?;
        lines += &serde_json::to_string(&Dead::from(&view)).map_err(|problem| Error::Print(problem.into()))?;
        lines.push('\n');
    }
    match &arguments.to {
        Some(file) => write_whole(file, lines)?,
        None => output.print(&lines)?,
    }
    note(counted(found.tasks.len() as u64, "dead task"));
    if found.has_more {
        note("there may be more; `--limit` says how many at most");
    }
    Ok(conclude(&found.unreached))
}

/// Those that were asked for, of all shards, the newest of each first.
async fn find(shards: &Shards<'_>, wanted: &DeadArguments) -> Result<Found, Error> {
    let mut found = Found { tasks: Vec::new(), has_more: false, unreached: Vec::new() };
    let now = now();
    for shard in shards.all() {
        let asked = find_in(shards, shard, (wanted, now), &mut found).await;
        or_unreached(shard, asked, &mut found.unreached)?;
    }
    Ok(found)
}

async fn find_in(
    shards: &Shards<'_>,
    shard: ShardId,
    (wanted, now): (&DeadArguments, WallTime),
    found: &mut Found,
) -> Result<(), Error> {
    let mut before = None;
    loop {
        let query = Query::Tasks { status: Some(Status::Dead), before };
        let Answer::Tasks { tasks, next } = shards.read(shard, &query).await? else {
            return Err(Error::OtherAnswer);
        };
        for view in tasks {
            if !is_wanted(wanted, now, &view) {
                continue;
            }
            if let Some(agent) = &wanted.agent {
                let (whole, _) = whole(shards, view.id).await?;
                let is_of = |step: &&_| dead(step) && step.agent.as_ref() == Some(agent);
                if !whole.steps.iter().any(|step| is_of(&step)) {
                    continue;
                }
            }
            if found.tasks.len() >= wanted.limit {
                found.has_more = true;
                return Ok(());
            }
            found.tasks.push((shard, view));
        }
        before = next;
        if next.is_none() {
            return Ok(());
        }
    }
}

/// By what a list says of it.
fn is_wanted(wanted: &DeadArguments, now: WallTime, view: &TaskView) -> bool {
    let has = |(name, text): &(_, String)| view.labels.iter().any(|(it, value)| it == name && **value == **text);
    let age = now.as_unix_nanos().saturating_sub(view.ended.unwrap_or(now).as_unix_nanos());
    wanted.label.iter().all(has)
        && wanted.older_than.is_none_or(|least| age >= span(least).as_nanos())
        && wanted.younger_than.is_none_or(|most| age <= span(most).as_nanos())
}

fn dead(step: &relaymesh_core::task::view::StepView) -> bool {
    step.state == StepStatus::Dead
}

impl From<&TaskView> for Dead {
    fn from(view: &TaskView) -> Self {
        let step = |step: &relaymesh_core::task::view::StepView| DeadStep {
            step: label(step),
            agent: step.agent.as_ref().map(ToString::to_string),
            attempts: step.attempts,
            error: step.words.as_ref().map(ToString::to_string),
        };
        Self {
            id: view.id.to_string(),
            name: view.name.as_ref().map(ToString::to_string),
            priority: view.priority.as_str(),
            created_unix_ms: millis(view.created),
            died_unix_ms: view.ended.map(millis),
            replays: view.generation,
            labels: view.labels.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
            steps: view.steps.iter().filter(|it| dead(it)).map(step).collect(),
        }
    }
}
