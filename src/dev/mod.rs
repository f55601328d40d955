//! `relaymesh dev`: a whole mesh on this machine, in processes of their own, for trying things out.
//!
//! | file | holds |
//! | --- | --- |
//! | `folder` | what is kept on disk |
//! | `nodes` | the processes |
//! | `ready` | what an operator would type to make a mesh of them |
//! | `demo` | a workflow that survives the death of the node that works on it |

pub(crate) mod arguments;
mod demo;
pub(crate) mod error;
mod folder;
mod nodes;
mod ready;

use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::output::{Output, note};
use crate::wall::Stopwatch;
use arguments::DevArguments;
use folder::Root;
use nodes::Nodes;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

/// Where the mesh is unless it is said.
const FOLDER: &str = "relaymesh-dev";
/// Agents that each node runs at once.
const CAPACITY: u16 = 4;
/// How long after its end a node is started again.
const RESTART_AFTER: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What ends this command.
pub(crate) struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::Runtime);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A mesh that runs, for scripts.
#[derive(Debug, Serialize)]
struct Running {
    folder: PathBuf,
    ready_after_seconds: f64,
    nodes: Vec<RunningNode>,
}

#[derive(Debug, Serialize)]
struct RunningNode {
    name: String,
    /// What `--dir` of other commands takes.
    dir: PathBuf,
    endpoint: String,
    process: Option<u32>,
}

impl Running {
    fn new(nodes: &Nodes, clock: Stopwatch) -> Self {
        let node = |node: &nodes::Node| RunningNode {
            name: node.name.clone(),
            dir: node.dir.clone(),
            endpoint: node.endpoint.clone(),
            process: node.pid(),
        };
        let folder = nodes.root.path.clone();
        Self { folder, ready_after_seconds: clock.seconds(), nodes: nodes.all.iter().map(node).collect() }
    }
}

pub(crate) fn run(arguments: &DevArguments, output: &Output) -> Result<Exit, Error> {
    if arguments.demo {
        return demo::run(arguments, output);
    }
    block_on(async {
        let mut ends = Ends::listen()?;
        let path = arguments.dir.clone().unwrap_or_else(|| FOLDER.into());
        let clock = Stopwatch::start();
        let root = Root::open(&path, arguments.nodes.map(usize::from))?;
        let mut nodes = Nodes::of(root, CAPACITY);
        let served = async {
            nodes.start().await?;
            ready::ready(&mut nodes).await?;
            welcome(&nodes, clock, output)?;
            watch(&mut nodes).await
        };
        let ended = tokio::select! {
            biased;
            () = ends.come() => Ok(Exit::Held),
            failed = served => failed,
        };
        note(format_args!("ending {}; start it again to go on with its data", path.display()));
        // Who is in a hurry asks again.
        tokio::select! {
            () = ends.come() => {}
            () = nodes.stop() => {}
        }
        ended
    })
}

/// Starts again what has ended, until this command is to end.
async fn watch(nodes: &mut Nodes) -> Result<Exit, Error> {
    let mut due: Vec<(usize, Stopwatch)> = Vec::new();
    loop {
        while let Some((at, how)) = nodes.ended() {
            let (name, after) = (&nodes.all[at].name, RESTART_AFTER.as_secs());
            note(format_args!("node {name} has ended ({how}); the others go on; it is started again in {after} s"));
            due.push((at, Stopwatch::start()));
        }
        for (at, since) in std::mem::take(&mut due) {
            if since.elapsed() < RESTART_AFTER {
                due.push((at, since));
                continue;
            }
            nodes.start_one(at)?;
            note(format_args!("node {} is started again", nodes.all[at].name));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What there is, and what to try next.
fn welcome(nodes: &Nodes, clock: Stopwatch, output: &Output) -> Result<(), Error> {
    if output.is_json() {
        return output.json(&Running::new(nodes, clock));
    }
    let (program, root) = (program(), nodes.root.path.display());
    let dir = quoted(&nodes.all[0].dir);
    let logs = std::path::absolute(nodes.root.path.join("logs")).unwrap_or_default();
    let input = serde_json::json!({ "folder": logs, "title": "Logs of the nodes" });
    let workflow = quoted(&nodes.root.path.join("report.json"));
    let processes: Vec<String> =
        nodes.all.iter().filter_map(|node| Some(format!("{} (process {})", node.name, node.pid()?))).collect();
    note(format_args!(
        "a mesh of {} runs in {root}, ready after {:.1} s: {}\nCtrl-C ends it. Try, in another terminal:\n",
        crate::output::counted(nodes.all.len() as u64, "node"),
        clock.seconds(),
        processes.join(", "),
    ));
    let mut lines = vec![
        format!("{program} submit --agent echo --input hello --wait --dir {dir}"),
        format!("{program} submit-workflow {workflow} --input '{input}' --wait --dir {dir}"),
        format!("{program} tasks --dir {dir}"),
        format!("{program} members --dir {dir}"),
    ];
    if let Some((last, pid)) =
        nodes.all.last().and_then(|node| Some((node, node.pid()?))).filter(|_| nodes.all.len() > 2)
    {
        lines.push(format!("kill -9 {pid}    # node {}: the others go on", last.name));
    }
    output.print(&lines.iter().map(|line| format!("  {line}\n")).collect::<String>())
}

/// How this program can be called from where we are.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    // Found in PATH it is called by its name, by a path otherwise: of both the caller's shell can make something.
    quoted(&called)
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./+=:@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
