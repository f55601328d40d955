//! The process between a node and an agent: it starts the agent, and sees to it that nothing of it outlives the node,
//! the order to die, or its own main process.
//!
//! It is the node's own image in a hidden mode ([`main`]). Its standard input is a socket: the node sends what is to be
//! run and the agent's streams, later perhaps an order, and hears how it ended (`wire`). What it watches for, and what
//! it does then, stands in `watch`.
//!
//! What it can do nothing about:
//! - A process that runs as another user (through a setuid program) cannot be signalled, and is not waited for.
//! - What an agent asks of others, such as a container engine, `systemd-run` or `at`, is no process of the agent.
//! - An agent may kill its shim, and so may an operator. The node then kills what is in the shim's session, but not what
//!   has left it. Where node and shim are both killed at the same moment, nobody is left to do it; so the shim goes by
//!   another name than the node, which `pkill` and `killall` do not meet by mistake. Where that is not enough, run the
//!   node in a control group or a container, which the operating system ends as a whole.

mod watch;

use super::wire::{self, Errand, Report};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, getpid, set_child_subreaper, setsid};
use std::ffi::OsString;
use std::fs::remove_dir_all;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use watch::Watch;

/// What the process is called, so that it is not taken for the node.
const NAME: &str = "agent-shim";
const USAGE: u8 = 64;
/// The first descriptor behind input, output and errors.
const STREAMS_END: i32 = 3;

/// How the process above an agent is started: a program that calls [`main`] when it gets these arguments.
#[derive(Clone, Debug)]
pub struct Shim {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Shim {
    /// This very program, with arguments that make it call [`main`]. Also where its file was replaced meanwhile: what
    /// runs is the image that this process runs.
    pub fn own(args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self::of("/proc/self/exe", args)
    }

    /// Another program of the same build.
    pub fn of(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { program: program.into(), args: args.into_iter().map(Into::into).collect() }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg0(NAME).args(&self.args);
        command
    }
}

/// What the process above an agent does, from its first moment to its last. Returns when nothing of the agent is left.
pub fn main() -> ExitCode {
    let Ok((node, (errand, streams))) = listen() else {
        // Where that cannot be said, the exit code says it.
        let _ = writeln!(io::stderr(), "this is how a node runs an agent; it is of no use without one");
        return ExitCode::from(USAGE);
    };
    let (report, node) = match begin(&errand, streams) {
        Ok(agent) => Watch::new(node, agent, errand.grace).until_nothing_is_left(),
        Err(problem) => (Report::NotStarted(problem.raw_os_error().unwrap_or(0)), Some(node)),
    };
    let is_heard = node.is_some_and(|mut node| node.write_all(&report.encode()).is_ok());
    if let (false, Some(folder)) = (is_heard, errand.folder) {
        // Nobody is left who could be told that it failed.
        let _ = remove_dir_all(folder);
    }
    ExitCode::SUCCESS
}

fn listen() -> io::Result<(UnixStream, (Errand, [OwnedFd; 3]))> {
    let node = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let errand = wire::receive(&node)?;
    node.set_nonblocking(true)?;
    Ok((node, errand))
}

/// Starts the agent, as the leader of a process group within a session of ours.
fn begin(errand: &Errand, [input, output, errors]: [OwnedFd; 3]) -> io::Result<Pid> {
    // Only a nicety, so that it may fail.
    let _ = rustix::thread::set_name(c"agent-shim");
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    // Whoever started the node may have left it some that are not closed on exec: a lock, a log, a socket. They are no agent's.
    close_fds::set_fds_cloexec_threadsafe(STREAMS_END, &[]);
    let mut command = Command::new(&errand.program);
    command.args(&errand.args).stdin(input).stdout(output).stderr(errors).process_group(0);
    Ok(Pid::from_child(&command.spawn()?))
}
