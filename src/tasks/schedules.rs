//! `relaymesh schedule-add`, `schedules`, `schedule-pause` and `schedule-remove`: tasks that recur.

use super::arguments::{Place, Urgency, label, name};
use super::client::Shards;
use super::everywhere::{conclude, or_unreached};
use super::submit::{now, read, span};
use crate::cli::duration;
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, rendered};
use crate::wall;
use clap::Args;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::task::answer::{Answer, Query};
use relaymesh_core::task::command::{Command, Scheduled, Submit, What};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::schedule::{Cron, Schedule};
use relaymesh_core::task::view::ScheduleView;
use relaymesh_core::task::workflow::{JSON_BYTES_MAX, Name, Workflow};
use relaymesh_core::time::WallTime;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// Its name; one that is there is replaced
    #[arg(value_parser = name)]
    name: Name,
    #[command(flatten)]
    place: Place,
    /// When it is due: minute, hour, day of month, month, day of week; or `@daily` and its like
    #[arg(long, value_name = "EXPRESSION", required_unless_present = "every", conflicts_with = "every")]
    cron: Option<String>,
    /// Time zone of the expression
    #[arg(long, value_name = "ZONE", default_value = "UTC", conflicts_with = "every")]
    zone: String,
    /// Due each so long, from now on; 1 second to 366 days
    #[arg(long, value_name = "TIME", value_parser = duration)]
    every: Option<Duration>,
    /// Who is to do it
    #[arg(long, value_name = "AGENT", value_parser = name, required_unless_present = "workflow", conflicts_with = "workflow")]
    agent: Option<Name>,
    /// Or a workflow, from a JSON file
    #[arg(long, value_name = "FILE")]
    workflow: Option<PathBuf>,
    /// Input, as text
    #[arg(long, value_name = "TEXT")]
    input: Option<String>,
    /// How urgent
    #[arg(long, value_name = "PRIORITY", default_value = "normal")]
    priority: Urgency,
    /// A label, for people; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = label)]
    label: Vec<(Name, String)>,
    /// How long a task is kept when it has ended [default: 7 days]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    retention: Option<Duration>,
    /// Leave out what becomes due while the last task is open
    #[arg(long)]
    skip_while_open: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NameArguments {
    /// Which
    #[arg(value_parser = name)]
    name: Name,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArguments {
    #[command(flatten)]
    schedule: NameArguments,
    /// Let it go on
    #[arg(long)]
    resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    place: Place,
}

/// A schedule, as people and programs see it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    due: String,
    what: Option<String>,
    state: &'static str,
    next_unix_ms: Option<u64>,
    last_unix_ms: Option<u64>,
    last_task: Option<String>,
    fired: u64,
    missed: u64,
}

pub(super) async fn add(arguments: AddArguments) -> Result<Exit, Error> {
    let AddArguments { name, place, cron, zone, every, agent, workflow, .. } = &arguments;
    let schedule = match (cron, every) {
        (Some(expression), _) => Cron::parse(expression, zone).map(Schedule::Cron),
        (None, every) => Schedule::every(span(every.unwrap_or_default()), now()),
    };
    let schedule = schedule.map_err(Error::BadSchedule)?;
    let what = match (agent, workflow) {
        (_, Some(path)) => {
            let failed = |problem| Error::BadWorkflow { path: path.clone(), problem };
            What::Workflow(Workflow::from_json(&read(path, JSON_BYTES_MAX as u64 + 1)?).map_err(failed)?)
        }
        (agent, None) => {
            let agent = agent.clone().ok_or(Error::OtherAnswer)?;
            What::agent(agent)
        }
    };
    let id = Scheduled::id(&place.namespace, name);
    // Where one is open at a time, it is also the one for `submit --unique` with that key.
    let unique = arguments.skip_while_open.then(|| name.clone());
    let id = unique.as_ref().map_or(id, |unique| id.beside(&Submit::place_of(&place.namespace, unique)));
    let submit = Submit {
        input: arguments.input.as_ref().map(|text| Payload::inline(text.as_bytes())),
        priority: arguments.priority.into(),
        labels: arguments.label.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect(),
        retention: arguments.retention.map(span),
        unique,
        ..Submit::new(id, what)
    };
    let scheduled = Scheduled { name: name.clone(), schedule, submit: Box::new(submit) };
    tell(place, name, &Command::Schedule(Box::new(scheduled))).await
}

pub(super) async fn remove(arguments: &NameArguments) -> Result<Exit, Error> {
    let NameArguments { name, place } = arguments;
    tell(place, name, &Command::Unschedule { name: name.clone() }).await
}

pub(super) async fn pause(arguments: &PauseArguments) -> Result<Exit, Error> {
    let NameArguments { name, place } = &arguments.schedule;
    tell(place, name, &Command::PauseSchedule { name: name.clone(), is_paused: !arguments.resume }).await
}

async fn tell(place: &Place, name: &Name, command: &Command) -> Result<Exit, Error> {
    let shards = Shards::of(place).await?;
    let shard = shards.of_task(&Scheduled::id(&place.namespace, name));
    shards.execute(shard, command).await?;
    Ok(Exit::Held)
}

pub(super) async fn list(arguments: &ListArguments, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(&arguments.place).await?;
    let (mut found, mut unreached): (Vec<ScheduleView>, _) = (Vec::new(), Vec::new());
    for shard in shards.all() {
        let take = |answer| {
            let Answer::Schedules { schedules, has_more } = answer else { return Err(Error::OtherAnswer) };
            let last = schedules.last().filter(|_| has_more).map(|view| view.name.clone());
            found.extend(schedules);
            Ok(last)
        };
        let asked = shards.pages(shard, |after| Query::Schedules { after }, take).await;
        or_unreached(shard, asked, &mut unreached)?;
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let rows: Vec<Row> = found.iter().map(Row::from).collect();
    if output.is_json() {
        output.json(&rows)?;
        return Ok(conclude(&unreached));
    }
    let mut table = output.table(&["name", "due", "what", "state", "next", "last", ">fired", ">missed"]);
    for (row, view) in rows.iter().zip(&found) {
        let at = |time: Option<WallTime>| time.map(spelled).unwrap_or_default();
        table.add_row([
            cell(Tone::Strong, &row.name),
            cell(Tone::Plain, &row.due),
            cell(Tone::Plain, row.what.as_deref().unwrap_or_default()),
            cell(if row.state == "on" { Tone::Good } else { Tone::Warn }, row.state),
            cell(Tone::Plain, at(view.next)),
            cell(Tone::Dim, at(view.last.map(|(at, _)| at))),
            cell(Tone::Plain, row.fired),
            cell(if row.missed > 0 { Tone::Warn } else { Tone::Plain }, row.missed),
        ]);
    }
    output.print(&rendered(&table))?;
    Ok(conclude(&unreached))
}

impl From<&ScheduleView> for Row {
    fn from(view: &ScheduleView) -> Self {
        let due = match &view.schedule {
            Schedule::Cron(cron) => cron.to_string(),
            Schedule::Every { period, .. } => format!("every {} s", period.as_nanos() / 1_000_000_000),
        };
        let state = match (view.is_paused, view.is_over, view.next) {
            (true, ..) => "paused",
            (_, true, _) => "over",
            // Its owner says so in a moment, or does not know the time zone.
            (_, _, None) => "unknown",
            (_, _, Some(_)) => "on",
        };
        let millis = |at: WallTime| at.as_unix_nanos() / 1_000_000;
        let task = |id: SubmissionId| id.to_string();
        Self {
            name: view.name.to_string(),
            due,
            what: view.what.as_ref().map(ToString::to_string),
            state,
            next_unix_ms: view.next.map(millis),
            last_unix_ms: view.last.map(|(at, _)| millis(at)),
            last_task: view.last.map(|(_, id)| task(id)),
            fired: view.fired,
            missed: view.missed,
        }
    }
}

fn spelled(at: WallTime) -> String {
    wall::spelled(at.as_unix_nanos() / 1_000_000_000)
}
