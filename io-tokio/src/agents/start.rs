//! Brings an agent to life: its folder, its environment, its streams, and the shim above it.

use super::catalog::Agent;
use super::job::Attempt;
use super::shim::Shim;
use super::streams::Streams;
use super::wire::{self, Errand};
use crate::entropy::{self, EntropyError};
use rustix::fd::{AsFd, OwnedFd};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, remove_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{Receiver, Sender};

/// All that it takes to start one run.
pub(super) struct Plan {
    pub(super) shim: Shim,
    pub(super) agent: Arc<Agent>,
    pub(super) attempt: Attempt,
    /// Where folders of runs are made.
    pub(super) scratch: PathBuf,
}

/// A run that was started. Dropped, it is killed: the shim notices that its socket is closed.
pub(super) struct Started {
    /// The shim.
    pub(super) child: Child,
    pub(super) control: UnixStream,
    pub(super) streams: Streams,
    pub(super) folder: Option<RunFolder>,
}

/// Why a run was not started. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("its `directory` {} is no folder", .0.display())]
    NoDirectory(PathBuf),
    #[error("no folder for the run could be made in {}: {problem}", .scratch.display())]
    NoFolder { scratch: PathBuf, problem: io::Error },
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    #[error("no pipes could be made: {0}")]
    Streams(io::Error),
    #[error("the process that watches it could not be started: {0}")]
    Shim(io::Error),
    #[error("cannot run `{command}`: {problem}")]
    Command { command: String, problem: io::Error },
    #[error("starting it failed in a way that it should not")]
    Panicked,
}

/// Starts a run. Blocks for as long as the operating system takes to fork. Must be called within a runtime.
pub(super) fn start(plan: &Plan) -> Result<Started, StartError> {
    let agent = &plan.agent;
    let folder = match &agent.directory {
        Some(directory) if directory.is_dir() => None,
        Some(directory) => return Err(StartError::NoDirectory(directory.clone())),
        None => Some(RunFolder::make(&plan.scratch)?),
    };
    let directory = folder.as_ref().map(|folder| folder.0.as_path()).or(agent.directory.as_deref());
    let (ours, shims) = StdStream::pair().map_err(StartError::Streams)?;
    let (agents_streams, streams) = pipes().map_err(StartError::Streams)?;
    let errand = Errand {
        grace: agent.kill_grace,
        folder: folder.as_ref().map(|folder| folder.0.clone()),
        program: agent.command.clone().into(),
        args: agent.args.iter().map(OsString::from).collect(),
    };

    let mut command = plan.shim.command();
    command.env_clear().envs(environment(agent, &plan.attempt)).current_dir(directory.unwrap_or(Path::new("/")));
    command.stdin(OwnedFd::from(shims)).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(StartError::Shim)?;
    // It holds the shim's end of the socket, which only the shim may hold from now on.
    drop(command);
    let sent = wire::send(&ours, &errand, agents_streams.each_ref().map(AsFd::as_fd));
    let control = sent.and_then(|()| ours.set_nonblocking(true)).and_then(|()| UnixStream::from_std(ours));
    match control {
        Ok(control) => Ok(Started { child, control, streams, folder }),
        Err(problem) => {
            // Both ends of the socket are closed by now, or the shim has ended already.
            let _ = child.wait();
            Err(StartError::Shim(problem))
        }
    }
}

/// The agent's ends of its three streams, and the node's.
fn pipes() -> io::Result<([OwnedFd; 3], Streams)> {
    let (input, to) = io::pipe()?;
    let (from, output) = io::pipe()?;
    let (also_from, errors) = io::pipe()?;
    let streams = Streams {
        input: Sender::from_owned_fd(to.into())?,
        output: Receiver::from_owned_fd(from.into())?,
        errors: Receiver::from_owned_fd(also_from.into())?,
    };
    Ok(([input.into(), output.into(), errors.into()], streams))
}

/// All that the agent sees of the world: `PATH`, what it may see of the node's environment, what is set for it, and
/// which attempt it is.
fn environment(agent: &Agent, attempt: &Attempt) -> BTreeMap<OsString, OsString> {
    let passed = std::iter::once("PATH").chain(agent.env.iter().map(String::as_str));
    let passed = passed.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    let set = agent.set.iter().map(|(name, value)| (name.into(), value.into()));
    let told = attempt.environment().map(|(name, value)| (name.into(), value.into()));
    passed.chain(set).chain(told).collect()
}

const RUN_PREFIX: &str = "run-";

/// The folder of one run, removed when the value is dropped.
pub(super) struct RunFolder(PathBuf);

impl RunFolder {
    /// Nobody can guess its name, so that what an earlier run left behind, or still removes, is never met.
    fn make(scratch: &Path) -> Result<Self, StartError> {
        let path = scratch.join(format!("{RUN_PREFIX}{:016x}", u64::from_le_bytes(entropy::draw()?)));
        let failed = |problem| StartError::NoFolder { scratch: scratch.to_owned(), problem };
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self(path))
    }

    /// One that an earlier runner made.
    pub(super) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether a run's folder may be called so.
    pub(super) fn is_name(name: &OsStr) -> bool {
        let number = name.to_str().and_then(|name| name.strip_prefix(RUN_PREFIX));
        number.is_some_and(|number| number.len() == 16 && u64::from_str_radix(number, 16).is_ok())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(problem) = remove_dir_all(&self.0)
            && problem.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%problem, folder = %self.0.display(), "the folder of a run could not be removed");
        }
    }
}
