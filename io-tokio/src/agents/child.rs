//! One run of a child process, from its start until nothing of it is left.

use super::catalog::Agent;
use super::job::{Outcome, Progress, Why};
use super::kill::{Kill, Killed};
use super::processes;
use super::start::{Plan, RunFolder, StartError, Started, start};
use super::streams::{Collected, carry};
use super::wire::{Order, Report};
use rustix::process::Pid;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::process::Child;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// Time beyond the grace that a shim has to end a run, before it is taken for stuck and killed itself.
const SHIM_PATIENCE: Duration = Duration::from_secs(10);
/// Time for what is left in the pipes after the end. Only processes that may not be signalled hold them longer.
const LINGER: Duration = Duration::from_secs(1);
/// Time between two looks at a session whose shim was killed.
const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// What the runner asks of a run.
pub(super) struct Asked {
    pub(super) input: Vec<u8>,
    pub(super) timeout: Duration,
    pub(super) kill: Killed,
    pub(super) progress: watch::Sender<Option<Progress>>,
}

/// Why a run was stopped from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Killed(Kill),
    Late,
    TooLarge,
}

/// Runs one agent.
pub(super) async fn run(plan: Plan, mut asked: Asked) -> Outcome {
    let agent = plan.agent.clone();
    let timeout = asked.timeout;
    let started = spawn_blocking(move || start(&plan)).await.unwrap_or(Err(StartError::Panicked));
    let Started { mut child, control, streams, folder } = match started {
        Ok(started) => started,
        Err(problem) => return not_started(&problem),
    };
    let mut collected = Collected::new(agent.stderr_bytes_max);
    let (too_large, is_too_large) = oneshot::channel();
    let (reports, orders) = control.into_split();
    let stopped = OnceLock::new();
    let shim = Pid::from_child(&child);
    let said = {
        let carrying = carry(streams, &asked.input, agent.output_bytes_max, &mut collected, &asked.progress, too_large);
        let stopping = async {
            let stop = tokio::select! {
                biased;
                how = asked.kill.ordered() => Stop::Killed(how),
                Ok(()) = is_too_large => Stop::TooLarge,
                () = sleep(timeout) => Stop::Late,
            };
            let _ = stopped.set(stop);
            order((stop, asked.kill), &agent, orders, &mut child).await
        };
        until_the_end(carrying, stopping, report(reports, shim)).await
    };
    clear(child, folder).await;
    judge(&agent, said, stopped.get().copied(), timeout, collected)
}

/// Drives all three until the run has ended, and what it wrote has been read.
async fn until_the_end<T>(
    carrying: impl Future<Output = ()>,
    stopping: impl Future<Output = Infallible>,
    report: impl Future<Output = T>,
) -> T {
    tokio::pin!(carrying, stopping, report);
    let mut is_carried = false;
    let said = loop {
        tokio::select! {
            said = &mut report => break said,
            () = &mut carrying, if !is_carried => is_carried = true,
            never = &mut stopping => match never {},
        }
    };
    if !is_carried {
        let _ = timeout(LINGER, carrying).await;
    }
    said
}

/// Gives the order, and another one where there is to be no grace any more; and deals with a shim that does not follow it.
async fn order(
    (stop, mut kill): (Stop, Killed),
    agent: &Agent,
    mut orders: OwnedWriteHalf,
    shim: &mut Child,
) -> Infallible {
    let order = match stop {
        Stop::Killed(Kill::WithGrace) | Stop::Late => Order::Terminate,
        // Another attempt may run already; or it would only write more.
        Stop::Killed(Kill::AtOnce) | Stop::TooLarge => Order::Kill,
    };
    // Where this fails, the shim has ended, and its report tells why.
    let _ = orders.write_all(&[order.byte()]).await;
    if order == Order::Terminate && timeout(agent.kill_grace, kill.at_once()).await.is_ok() {
        let _ = orders.write_all(&[Order::Kill.byte()]).await;
    }
    sleep(SHIM_PATIENCE).await;
    tracing::error!(agent = agent.name, "the process that watches an agent does not answer; it is killed");
    let _ = shim.kill();
    pending().await
}

/// Waits for what the shim says at the end. One that ends without a word was killed; then its session is swept.
async fn report(mut reports: OwnedReadHalf, shim: Pid) -> Option<Report> {
    let mut bytes = [0; Report::BYTES];
    if reports.read_exact(&mut bytes).await.is_ok() {
        return Report::decode(bytes);
    }
    // The shim is not waited for yet, so the number of its session cannot go to another.
    while spawn_blocking(move || processes::kill_session(shim)).await.is_ok_and(|left| left > 0) {
        sleep(SWEEP_PAUSE).await;
    }
    None
}

/// Leaves no zombie and no folder.
async fn clear(mut child: Child, folder: Option<RunFolder>) {
    let cleared = spawn_blocking(move || {
        // It has reported or was killed.
        let _ = child.wait();
        drop(folder);
    });
    // It does not panic.
    let _ = cleared.await;
}

fn not_started(problem: &StartError) -> Outcome {
    Outcome::failed(Why::NotStarted { error: problem.to_string() })
}

fn judge(agent: &Agent, said: Option<Report>, stopped: Option<Stop>, timeout: Duration, it: Collected) -> Outcome {
    let fail = |why, retry| Outcome::Failed { retry, why, stderr: it.errors.into_bytes() };
    match (stopped, said) {
        (_, Some(Report::NotStarted(errno))) => {
            let problem = io::Error::from_raw_os_error(errno);
            not_started(&StartError::Command { command: agent.command.clone(), problem })
        }
        (Some(Stop::Killed(_)), _) => fail(Why::Killed, true),
        (Some(Stop::Late), _) => fail(Why::Timeout(timeout), true),
        _ if it.output.len() > agent.output_bytes_max => {
            fail(Why::OutputTooLarge { limit: agent.output_bytes_max }, true)
        }
        (_, Some(Report::Exited(code))) => match u8::try_from(code) {
            Ok(code) if agent.success.contains(&code) => Outcome::Succeeded { output: it.output },
            known => fail(Why::Exit(code), !known.is_ok_and(|code| agent.dead.contains(&code))),
        },
        (_, Some(Report::Signalled(signal))) => fail(Why::Signal(signal), true),
        (_, None) => fail(Why::Unwatched, true),
    }
}
