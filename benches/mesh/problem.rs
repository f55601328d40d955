//! What can go wrong. Nothing is left running in any case.

use relaymesh_io_tokio::control::AskError;
use std::io;
use std::path::PathBuf;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// The operating system gives no runtime, or no signals.
    #[error("cannot begin: {0}")]
    Runtime(io::Error),
    /// A file or folder cannot be used.
    #[error("cannot use {}: {problem}; --dir names another place", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: io::Error,
    },
    /// A node did not start.
    #[error("node {name} did not say where it is; it has written:\n{log}")]
    NotStarted {
        /// Its name.
        name: &'static str,
        /// What it has written.
        log: String,
    },
    /// The mesh did not become ready.
    #[error("{what} did not come about within {seconds} s; last: {last}")]
    Never {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        seconds: u64,
        /// What was said last.
        last: String,
    },
    /// A node could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A node answered with something that was not asked for.
    #[error("to {what} the answer was {answer}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// The answer.
        answer: String,
    },
    /// What was acknowledged is not there, or has not succeeded.
    #[error(
        "{acknowledged} tasks were acknowledged; {there} are there, and {failed} have not succeeded: this is a defect"
    )]
    Lost {
        /// Acknowledged.
        acknowledged: u64,
        /// In the shards.
        there: u64,
        /// Of all, those that ended otherwise than by success.
        failed: u64,
    },
    /// A command that an operator would type has failed.
    #[error("`relaymesh {words}` has failed: {said}")]
    Command {
        /// What was typed.
        words: String,
        /// What it said, to people or to programs.
        said: String,
    },
    /// An acknowledged task has not succeeded, or not once, or with another output than its own.
    #[error("task {key} was acknowledged, and did not succeed exactly once: {view}; this is a defect")]
    NotOnce {
        /// Under which it was submitted.
        key: String,
        /// The task as it is.
        view: String,
    },
    /// Tasks are left, and become no fewer.
    #[error("{0} tasks are left, and become no fewer")]
    Stuck(u64),
    /// By a signal.
    #[error("told to end; the nodes have ended")]
    ToldToEnd,
}
