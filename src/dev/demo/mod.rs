//! `relaymesh dev --demo`: a workflow survives the death of the node that works on it, told as it happens.
//!
//! | file | holds |
//! | --- | --- |
//! | `files` | what the workflow works on, and whether it came out right |
//! | `story` | what happens to the workflow, and the kill |

mod files;
mod story;

use super::arguments::DevArguments;
use super::error::DevError;
use super::folder::Root;
use super::nodes::Nodes;
use super::{Ends, ready};
use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::output::{Output, Tone, counted, grouped, note};
use crate::wall::Stopwatch;
use serde::Serialize;
use std::path::PathBuf;
use story::Story;

/// Agents that each node runs at once: few, so that there is something left to do when one is killed.
const CAPACITY: u16 = 2;

/// What came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    /// The task.
    id: String,
    files: u32,
    bytes: u64,
    packed_bytes: u64,
    /// The node that was killed.
    killed: String,
    /// Whether the task's shard was its own.
    killed_owned_the_task: bool,
    /// Steps that it was at.
    interrupted: Vec<String>,
    /// From the kill to the first step that another node began or ended.
    seconds_until_it_went_on: f64,
    /// From the submission to the end.
    seconds: f64,
    /// What the last step put out.
    report: String,
}

pub(super) fn run(arguments: &DevArguments, output: &Output) -> Result<Exit, Error> {
    let missing = files::missing_tools();
    if !missing.is_empty() {
        return Err(DevError::NoTool(missing).into());
    }
    let path = arguments.dir.clone().unwrap_or_else(own_folder);
    let done = block_on(async {
        let mut ends = Ends::listen()?;
        let root = Root::open(&path, arguments.nodes.map(usize::from))?;
        let mut nodes = Nodes::of(root, CAPACITY);
        let told = tokio::select! {
            biased;
            () = ends.come() => Ok(None),
            told = tell(&mut nodes) => told.map(Some),
        };
        nodes.stop().await;
        told
    })?;
    let Some(outcome) = done else {
        note(format_args!("interrupted; {} is kept", path.display()));
        return Ok(Exit::Failed);
    };
    print(&outcome, output)?;
    match arguments.dir {
        None => drop(std::fs::remove_dir_all(&path)),
        Some(_) => note(format_args!("{} is kept: `relaymesh dev --dir {0}` goes on there", path.display())),
    }
    Ok(Exit::Held)
}

/// A folder that nobody else has.
fn own_folder() -> PathBuf {
    std::env::temp_dir().join(format!("relaymesh-demo-{}", std::process::id()))
}

async fn tell(nodes: &mut Nodes) -> Result<Outcome, Error> {
    let (clock, root) = (Stopwatch::start(), nodes.root.path.clone());
    nodes.start().await?;
    ready::ready(nodes).await?;
    let named = |node: &super::nodes::Node| format!("{} (process {})", node.name, node.pid().unwrap_or_default());
    let names: Vec<String> = nodes.all.iter().map(named).collect();
    note(format_args!(
        "A mesh of real processes, in {}, ready after {:.1} s: {}.",
        root.display(),
        clock.seconds(),
        names.join(", ")
    ));
    let folder = std::path::absolute(root.join("files")).unwrap_or_else(|_| root.join("files"));
    let bytes = files::make(&folder)?;
    note(format_args!("{} of log made up, {} bytes in all.", counted(files::COUNT.into(), "file"), grouped(bytes)));
    let mut story = Story::begin(nodes, &folder).await?;
    story.until_the_end().await?;
    let report = story.report().await?;
    let packed_bytes = files::check(&folder, &report).map_err(|what| DevError::Wrong { what, root })?;
    note(format_args!(
        "Checked here, without the agents: {} hold what they held, and each sum in the report is right.",
        counted(files::COUNT.into(), "compressed file")
    ));
    let killed = story.killed()?;
    Ok(Outcome {
        id: story.id.to_string(),
        files: files::COUNT,
        bytes,
        packed_bytes,
        killed: killed.name.clone(),
        killed_owned_the_task: killed.was_owner,
        interrupted: killed.interrupted.clone(),
        seconds_until_it_went_on: killed.seconds_until_it_went_on.unwrap_or_default(),
        seconds: story.seconds,
        report,
    })
}

fn print(outcome: &Outcome, output: &Output) -> Result<(), Error> {
    if output.is_json() {
        return output.json(outcome);
    }
    let verdict = format!(
        "Held: node {} was killed, every step was committed once, and what came out is right ({:.1} s).",
        outcome.killed, outcome.seconds
    );
    output.print(&format!("\n{}\n\n{}\n", outcome.report.trim_end(), output.paint(Tone::Good, verdict)))
}
