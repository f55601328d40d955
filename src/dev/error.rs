//! What can go wrong with a mesh on one machine.

use crate::error::Exit;
use std::path::PathBuf;
use std::time::Duration;

/// Why it does not run, or did not do what it should. All its processes have ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    /// Another one runs there.
    #[error(
        "{} is in use by another `relaymesh dev`\n  stop that one with Ctrl-C, or name another folder with --dir", .0.display()
    )]
    InUse(PathBuf),
    /// The folder is something else.
    #[error("{} holds something else, and nothing in it was changed\n  name an empty or new folder with --dir", .0.display())]
    NotOurs(PathBuf),
    /// The folder has another number of nodes.
    #[error(
        "the mesh in {} has {there} nodes, not {asked}\n  leave --nodes out, or begin a new one with --dir", .root.display()
    )]
    OtherCount {
        /// The folder.
        root: PathBuf,
        /// Nodes that there are.
        there: usize,
        /// Nodes that were asked for.
        asked: usize,
    },
    /// A node of an earlier run has not ended.
    #[error(
        "node {name} of an earlier run{} has not ended, and uses its folder{}", process(.pid), way_out(.pid)
    )]
    Stale {
        /// Its name.
        name: String,
        /// Its process, if it is known.
        pid: Option<u32>,
    },
    /// A node has ended while the mesh was to become ready.
    #[error("node {name} ended while the mesh started; the end of {}:\n{tail}", .log.display())]
    Ended {
        /// Its name.
        name: String,
        /// Where it has written.
        log: PathBuf,
        /// What it has written last.
        tail: String,
    },
    /// It did not become ready.
    #[error(
        "the mesh is not ready after {:.0} s: {what} does not come about: {problem}\n  \
         the machine may be too busy; {} says more, and starting again goes on from here", .waited.as_secs_f64(), .logs.display()
    )]
    NotReady {
        /// What was waited for.
        what: &'static str,
        /// What was said last.
        problem: Box<crate::error::Error>,
        /// For how long.
        waited: Duration,
        /// Where the nodes have written.
        logs: PathBuf,
    },
    /// A tool that the demo's agents need is not there.
    #[error("the demo needs {}, which this machine does not have\n  install what is missing, and begin again; nothing was done", .0.join(", "))]
    NoTool(Vec<&'static str>),
    /// The demo did not come to its end in time.
    #[error("the demo has not ended after {:.0} s: {what}\n  {} is kept: look at `logs` there", .waited.as_secs_f64(), .root.display())]
    Late {
        /// What it waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// The folder.
        root: PathBuf,
    },
    /// What came out is not what has to.
    #[error("the demo failed: {what}\n  {} is kept: look at `logs` and `files` there", .root.display())]
    Wrong {
        /// What.
        what: String,
        /// The folder.
        root: PathBuf,
    },
}

impl DevError {
    /// The exit code that belongs to it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NotOurs(_) | Self::OtherCount { .. } => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}

impl From<DevError> for crate::error::Error {
    fn from(problem: DevError) -> Self {
        Self::Dev(Box::new(problem))
    }
}

fn process(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn way_out(pid: &Option<u32>) -> String {
    pid.map(|pid| format!("\n  `kill -9 {pid}` ends it; then start again")).unwrap_or_default()
}
