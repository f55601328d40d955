//! `relaymesh submit` and `submit-workflow`.

use super::arguments::{Place, Submission, SubmitArguments, WorkflowArguments};
use super::client::{Shards, Submitted};
use super::show;
use super::who;
use crate::error::{Error, Exit};
use crate::output::{Output, counted, note};
use relaymesh_core::replication::once::{KEY_BYTES_MAX, SubmissionId};
use relaymesh_core::task::answer::Answer;
use relaymesh_core::task::command::{Command, Submit, What};
use relaymesh_core::task::workflow::{Does, JSON_BYTES_MAX, Retry, Step, Workflow};
use relaymesh_core::time::{Duration, WallTime};
use relaymesh_io_tokio::entropy;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What was submitted, for scripts.
#[derive(Debug, Serialize)]
struct Receipt {
    id: String,
    key: String,
    /// `submitted`, `known`, `parked`, or `open` for another one with the same unique key.
    outcome: &'static str,
    /// Disks that a parked one is on.
    copies: Option<u8>,
    /// Agents that no worker has that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_agents: Vec<String>,
}

pub(super) async fn task(arguments: SubmitArguments, output: &Output) -> Result<Exit, Error> {
    let SubmitArguments { agent, submission, timeout, attempts, needs, concurrency_key } = arguments;
    let retry = attempts.map(|attempts_max| Retry { attempts_max, ..Retry::default() });
    let needs = needs.into_iter().map(|(name, text)| (name, text.into())).collect();
    let what = What::Agent { agent, needs, timeout: timeout.map(span), retry, concurrency_key };
    submit(submission, what, output).await
}

pub(super) async fn workflow(arguments: WorkflowArguments, output: &Output) -> Result<Exit, Error> {
    let text = read(&arguments.file, JSON_BYTES_MAX as u64 + 1)?;
    let failed = |problem| Error::BadWorkflow { path: arguments.file.clone(), problem };
    let workflow = Workflow::from_json(&text).map_err(failed)?;
    submit(arguments.submission, What::Workflow(workflow), output).await
}

async fn submit(submission: Submission, what: What, output: &Output) -> Result<Exit, Error> {
    let Submission { place, key, input, input_file, priority, delay, label, retention, unique, wait } = submission;
    let key = key.map_or_else(new_key, Ok)?;
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::BadKey { limit: KEY_BYTES_MAX as u64 });
    }
    let shards = Shards::of(&place).await?;
    let id = SubmissionId::of(&place.namespace, key.as_bytes());
    // All with one unique key are in one shard, which knows what is open.
    let id = unique.as_ref().map_or(id, |unique| id.beside(&Submit::place_of(&place.namespace, unique)));
    let shard = shards.of_task(&id);
    let input = match (input, input_file) {
        (Some(text), _) => Some(text.into_bytes()),
        (None, Some(file)) => Some(read(&file, relaymesh_core::task::payload::PAYLOAD_BYTES_MAX + 1)?),
        (None, None) => None,
    };
    let input = match input {
        Some(bytes) => Some(shards.payload(shard, &bytes).await?),
        None => None,
    };
    let agents = agents(&what);
    let submit = Submit {
        input,
        priority: priority.into(),
        not_before: delay.map(|delay| now().saturating_add(span(delay))),
        labels: label.into_iter().map(|(name, text)| (name, text.into())).collect(),
        retention: retention.map(span),
        unique,
        ..Submit::new(id, what)
    };
    let submitted = shards.submit(shard, key.as_bytes(), &Command::Submit(Box::new(submit))).await;
    let mut id = id;
    let (outcome, copies) = match submitted.map_err(|problem| named(problem, id, &key))? {
        Submitted::Taken(Answer::Submitted { is_known: false, .. }) => ("submitted", None),
        Submitted::Taken(Answer::Unique { task, .. }) => {
            id = task;
            ("open", None)
        }
        Submitted::Taken(_) | Submitted::Before => ("known", None),
        Submitted::Parked(copies) => ("parked", Some(copies)),
    };
    // Said of a task that is there: a worker with the agent may come at any time.
    let unknown_agents = match copies {
        None => unknown(&place, &shards, agents).await,
        Some(_) => Vec::new(),
    };
    let receipt = Receipt { id: id.to_string(), key, outcome, copies, unknown_agents };
    tell(&receipt, output)?;
    match wait {
        true => show::wait(&shards, id, output).await,
        false => Ok(Exit::Held),
    }
}

fn agents(what: &What) -> BTreeSet<String> {
    match what {
        What::Agent { agent, .. } => [agent.to_string()].into(),
        What::Workflow(workflow) => {
            let agent = |step: &Step| match &step.does {
                Does::Agent { agent, .. } => Some(agent.to_string()),
                Does::Approval { .. } => None,
            };
            workflow.steps.iter().filter_map(agent).collect()
        }
    }
}

/// Those that no worker has that is known; says so to people.
async fn unknown(place: &Place, shards: &Shards<'_>, agents: BTreeSet<String>) -> Vec<String> {
    let Some(offered) = who::offered(place, shards).await else { return Vec::new() };
    let unknown: Vec<String> = agents.difference(&offered).cloned().collect();
    if !unknown.is_empty() {
        let there: Vec<String> = offered.into_iter().collect();
        note(format_args!(
            "no worker that is known has the agent `{}`; there are {}\n  it waits until one does; `relaymesh agents` shows who has which",
            unknown.join("`, `"),
            there.join(", ")
        ));
    }
    unknown
}

/// Who does not know what became of a submission needs its key to find out.
fn named(problem: Error, id: SubmissionId, key: &str) -> Error {
    match problem {
        Error::OutcomeUnknown => Error::SubmissionUnknown { id: id.to_string(), key: key.into() },
        problem => problem,
    }
}

fn tell(receipt: &Receipt, output: &Output) -> Result<(), Error> {
    if output.is_json() {
        return output.json(receipt);
    }
    match receipt.copies {
        Some(copies) => {
            note(format_args!("parked on {}: it begins when an owner can be reached", counted(copies.into(), "disk")))
        }
        None if receipt.outcome == "open" => {
            note("a task with this unique key is open; this is its id, and no other was made")
        }
        None if receipt.outcome == "known" => note("it was submitted before under this key"),
        None => {}
    }
    output.print(&format!("{}\n", receipt.id))
}

/// A key that nobody else has.
fn new_key() -> Result<String, Error> {
    let bytes: [u8; 16] = entropy::draw().map_err(Error::Entropy)?;
    let mut key = String::from("cli-");
    // Into a string nothing fails.
    let _ = bytes.iter().try_for_each(|byte| write!(key, "{byte:02x}"));
    Ok(key)
}

/// At most so many bytes of a file, or of stdin.
pub(super) fn read(file: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let failed = |problem| Error::Read { path: file.into(), problem };
    let mut bytes = Vec::new();
    match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?,
        false => std::fs::File::open(file).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?,
    };
    Ok(bytes)
}

pub(super) fn span(span: std::time::Duration) -> Duration {
    Duration::from_nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

pub(super) fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_unix_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
