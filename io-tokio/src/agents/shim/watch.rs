//! Watches one agent, and ends it.
//!
//! | what happens | what follows |
//! | --- | --- |
//! | the agent's main process ends | SIGKILL to all that is left |
//! | the node orders it | SIGTERM to the agent's group, and SIGKILL to all that is left when the grace is over |
//! | the node is gone | SIGKILL to all |
//!
//! *All* is the agent's process group, in one stroke that no fork escapes, and then each child of ours, again and again.
//! Since we are the subreaper of all that the agent ever starts, whatever loses its parent becomes our child; so it is
//! found one round after its parent has died, also when it has left the group and the session. Children are signalled
//! by number, without a race: only we can free the number of a child. The same holds for the group, whose number is that
//! of the agent's main process, for as long as that was not waited for; so that is done after the last stroke.

use crate::agents::processes;
use crate::agents::wire::{Order, Report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, kill_process, kill_process_group, pidfd_open,
    waitid,
};
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Time after which orphans that have ended are buried, while the agent runs.
const ROUND: Duration = Duration::from_secs(5);
/// The first wait for the death of what was signalled; each further one is twice as long.
const TICK_MIN: Duration = Duration::from_millis(1);
/// The longest.
const TICK_MAX: Duration = Duration::from_millis(50);

/// One agent, as its shim sees it.
pub(super) struct Watch {
    /// `None` once the node is gone.
    node: Option<UnixStream>,
    agent: Pid,
    /// Can be read once the agent's main process has ended. Where there is none, we look again and again.
    end: Option<OwnedFd>,
    grace: Duration,
    phase: Phase,
    tick: Duration,
    /// How the agent's main process has ended.
    ended: Option<Report>,
    /// Whether that was waited for, so that its number may be another's by now.
    is_buried: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// SIGTERM was sent.
    Leaving {
        until: Instant,
    },
    Killing,
}

impl Watch {
    pub(super) fn new(node: UnixStream, agent: Pid, grace: Duration) -> Self {
        let end = pidfd_open(agent, PidfdFlags::empty()).ok();
        let node = Some(node);
        Self { node, agent, end, grace, phase: Phase::Running, tick: TICK_MIN, ended: None, is_buried: false }
    }

    /// Returns once the agent and all that it has started are dead, as far as they may be signalled: how the agent
    /// ended, and the node, unless that is gone.
    pub(super) fn until_nothing_is_left(mut self) -> (Report, Option<UnixStream>) {
        loop {
            self.look();
            if self.phase == Phase::Killing
                && self.strike()
                && let Some(report) = self.ended
            {
                return (report, self.node);
            }
            self.wait();
        }
    }

    /// Notices the end of the agent's main process and of the grace.
    fn look(&mut self) {
        if self.ended.is_none() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let status = waitid(WaitId::Pid(self.agent), options);
            self.ended = status.ok().flatten().map(|status| report(&status));
        }
        let is_over = match self.phase {
            Phase::Running => self.ended.is_some(),
            Phase::Leaving { until } => Instant::now() >= until || self.ended.is_some() && self.others().is_empty(),
            Phase::Killing => false,
        };
        if is_over {
            self.enter(Phase::Killing);
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.tick = TICK_MIN;
    }

    /// Kills all that can be seen, and says whether nothing is left that may be signalled.
    fn strike(&mut self) -> bool {
        if !self.is_buried {
            // Nobody may be left in it.
            let _ = kill_process_group(self.agent, Signal::KILL);
            // Whoever is still in the group is doomed now, so that its number may be given up.
            self.is_buried = self.ended.is_some() && is_buried(self.agent);
        }
        if self.is_buried && has_no_children() {
            return true;
        }
        let results: Vec<_> = self.others().into_iter().map(|pid| kill_process(pid, Signal::KILL)).collect();
        // With none at all, one was missed that has become ours just now.
        self.is_buried && !results.is_empty() && results.iter().all(|result| *result == Err(Errno::PERM))
    }

    /// Living children besides the agent's main process. Buries those that have ended.
    fn others(&self) -> Vec<Pid> {
        let children = processes::children(getpid()).filter(|child| child.pid != self.agent || self.is_buried);
        children.filter(|child| !(child.is_dead && is_buried(child.pid))).map(|child| child.pid).collect()
    }

    /// Waits for the node, for the end of the agent's main process, or until it is time to look again.
    fn wait(&mut self) {
        let time = match self.phase {
            Phase::Running if self.end.is_some() => ROUND,
            Phase::Leaving { until } => self.tick.min(until.saturating_duration_since(Instant::now())),
            Phase::Running | Phase::Killing => self.tick,
        };
        self.tick = (self.tick * 2).min(TICK_MAX);
        let time = Timespec::try_from(time).expect("far less than a timespec holds");
        let end = self.end.as_ref().filter(|_| self.ended.is_none());
        let node = self.node.as_ref();
        let node = node.map(|node| PollFd::new(node, PollFlags::IN));
        let mut awaited: Vec<PollFd<'_>> =
            node.into_iter().chain(end.map(|end| PollFd::new(end, PollFlags::IN))).collect();
        // Interrupted or not, everything is looked at afterwards.
        let is_quiet = poll(&mut awaited, Some(&time)) == Ok(0);
        self.listen();
        if self.phase == Phase::Running && is_quiet {
            // For the sake of the burials.
            self.others();
        }
    }

    fn listen(&mut self) {
        let Some(mut node) = self.node.as_ref() else { return };
        let mut byte = [0];
        match node.read(&mut byte) {
            Ok(1) => self.follow(Order::from_byte(byte[0])),
            Err(problem) if matches!(problem.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // There is nobody any more to work for.
            _ => {
                self.node = None;
                self.enter(Phase::Killing);
            }
        }
    }

    fn follow(&mut self, order: Option<Order>) {
        match (order, self.phase) {
            (Some(Order::Terminate), Phase::Running) => {
                // If it has just ended, that is noticed next.
                let _ = kill_process_group(self.agent, Signal::TERM);
                self.enter(Phase::Leaving { until: Instant::now() + self.grace });
            }
            (Some(Order::Kill), Phase::Running | Phase::Leaving { .. }) => self.enter(Phase::Killing),
            _ => {}
        }
    }
}

/// Waits for a process that has ended. False when it has not, or not yet in all its threads.
fn is_buried(pid: Pid) -> bool {
    !matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(None))
}

/// Whether nobody is left. Waits for whoever has ended.
fn has_no_children() -> bool {
    loop {
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

fn report(status: &WaitIdStatus) -> Report {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Report::Exited(code),
        (None, signal) => Report::Signalled(signal.unwrap_or(0)),
    }
}
