//! Runs agents for a node: as many at once as it may, each until nothing of it is left.

use super::builtin::BuiltIn;
use super::catalog::Catalog;
use super::child::{self, Asked};
use super::job::{Event, Job, Outcome, Progress, RunKey, Why};
use super::kill::{Kill, Killed};
use super::shim::Shim;
use super::start::{Plan, RunFolder};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::pending;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// Shortest time between two [`Event::Progress`] of one run.
const PROGRESS_PAUSE: Duration = Duration::from_millis(250);

/// How agents are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the process above each agent is started.
    pub shim: Shim,
    /// The folder in which each run gets one of its own, called `run-` and a number. It is made if it is not there. No
    /// other runner may use it at the same time, since what an earlier one left in it is removed.
    pub scratch: PathBuf,
    /// Runs at once.
    pub runs_max: usize,
}

/// Why there is no runner.
#[derive(Debug, thiserror::Error)]
#[error("the folder for runs of agents, {}, cannot be made or emptied: {problem}", .scratch.display())]
pub struct RunnerError {
    /// The folder.
    pub scratch: PathBuf,
    /// Why not.
    pub problem: io::Error,
}

/// Why a job was not taken. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many runs are under way.
    #[error("{0} agents run already, as many as may; wait until one has ended")]
    Full(usize),
    /// A run of that key is under way.
    #[error("run {} is under way already", .0.0)]
    UnderWay(RunKey),
    /// The runner was told to stop.
    #[error("the agents of this node are being stopped")]
    Stopping,
}

/// Runs agents. Dropped, it lets every run be killed, as [`Runner::stop`] does, but does not wait for it.
#[derive(Debug)]
pub struct Runner {
    catalog: Catalog,
    settings: Settings,
    runs: Arc<Runs>,
}

impl Runner {
    /// A runner for these agents and the built-in ones.
    ///
    /// # Errors
    /// [`RunnerError`] when the scratch folder cannot be used.
    pub fn new(catalog: Catalog, settings: Settings) -> Result<Self, RunnerError> {
        let failed = |problem| RunnerError { scratch: settings.scratch.clone(), problem };
        empty(&settings).map_err(failed)?;
        Ok(Self { catalog, settings, runs: Arc::default() })
    }

    /// Begins a run. It ends by itself, by [`Runner::kill`] or in its time, whether or not anyone listens to the
    /// [`Run`]. Must be called within a runtime.
    ///
    /// # Errors
    /// [`Refused`]. An agent that does not exist is no error, but an [`Outcome`].
    pub fn run(&self, job: Job) -> Result<Run, Refused> {
        let (kill, killed) = Killed::channel();
        let place = self.runs.take(job.key, kill, self.settings.runs_max)?;
        let (progress, seen) = watch::channel(None);
        let (done, outcome) = oneshot::channel();
        let work = self.work(job, killed, progress);
        tokio::spawn(async move {
            let outcome = work.await;
            // Whoever hears of the end may use its key and its place at once.
            drop(place);
            // Whoever wanted to know may have gone.
            let _ = done.send(outcome);
        });
        Ok(Run { seen, outcome: Some(outcome), next_at: Instant::now() })
    }

    /// Kills a run. Its outcome is [`Why::Killed`] once all of it is dead. Says whether such a run was under way; a second order
    /// changes nothing, unless it leaves less time than the first.
    pub fn kill(&self, key: RunKey, how: Kill) -> bool {
        match self.runs.lock().under_way.get(&key) {
            Some(kill) => {
                Killed::order(kill, how);
                true
            }
            None => false,
        }
    }

    /// Runs under way.
    pub fn under_way(&self) -> usize {
        self.runs.lock().under_way.len()
    }

    /// Takes no job any more, kills every run, and waits until nothing is left of any.
    pub async fn stop(&self) {
        let mut count = self.runs.count.subscribe();
        self.runs.stop();
        // The sender lives as long as the runner.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn work(
        &self,
        job: Job,
        kill: Killed,
        progress: watch::Sender<Option<Progress>>,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let built_in = BuiltIn::of(&job.agent);
        let agent = self.catalog.get(&job.agent).cloned();
        let Settings { shim, scratch, .. } = self.settings.clone();
        async move {
            match (built_in, agent) {
                (Some(built_in), _) => built_in.run(job.input, job.timeout, kill).await,
                (None, Some(agent)) => {
                    let timeout = job.timeout.map_or(agent.timeout, |timeout| timeout.min(agent.timeout));
                    let plan = Plan { shim, agent, attempt: job.attempt, scratch };
                    child::run(plan, Asked { input: job.input, timeout, kill, progress }).await
                }
                (None, None) => Outcome::failed(Why::UnknownAgent),
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.runs.stop();
    }
}

/// Makes the scratch folder, and removes the folders of runs of an earlier runner. One that cannot be removed, since
/// what its node left behind is just being killed, does no harm: no other run gets its name.
fn empty(settings: &Settings) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&settings.scratch)?;
    for entry in std::fs::read_dir(&settings.scratch)? {
        let entry = entry?;
        if RunFolder::is_name(&entry.file_name()) {
            drop(RunFolder::at(entry.path()));
        }
    }
    Ok(())
}

/// What is under way.
#[derive(Debug, Default)]
struct Runs {
    table: Mutex<Table>,
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Table {
    /// The way to kill each run.
    under_way: BTreeMap<RunKey, watch::Sender<Option<Kill>>>,
    is_stopping: bool,
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // No code that holds it can panic halfway through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(
        self: &Arc<Self>,
        key: RunKey,
        kill: watch::Sender<Option<Kill>>,
        runs_max: usize,
    ) -> Result<Place, Refused> {
        let mut table = self.lock();
        let count = table.under_way.len();
        if table.is_stopping {
            return Err(Refused::Stopping);
        }
        match table.under_way.entry(key) {
            Entry::Occupied(_) => return Err(Refused::UnderWay(key)),
            Entry::Vacant(_) if count >= runs_max => return Err(Refused::Full(runs_max)),
            Entry::Vacant(free) => drop(free.insert(kill)),
        }
        self.count.send_replace(count + 1);
        Ok(Place { runs: self.clone(), key })
    }

    fn stop(&self) {
        let mut table = self.lock();
        table.is_stopping = true;
        for kill in table.under_way.values() {
            Killed::order(kill, Kill::WithGrace);
        }
    }
}

/// A run's place among those under way, given back on drop, also after a panic.
struct Place {
    runs: Arc<Runs>,
    key: RunKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.runs.lock();
        table.under_way.remove(&self.key);
        self.runs.count.send_replace(table.under_way.len());
    }
}

/// A run that was begun. Dropped, it goes on unseen.
#[derive(Debug)]
pub struct Run {
    seen: watch::Receiver<Option<Progress>>,
    /// `None` once it was told.
    outcome: Option<oneshot::Receiver<Outcome>>,
    next_at: Instant,
}

impl Run {
    /// What happens next; `None` after the end. Progress that comes faster than four times a second is left out, but for
    /// the latest; the end waits for none of it. Can be dropped and called anew without loss.
    pub async fn next(&mut self) -> Option<Event> {
        let outcome = self.outcome.as_mut()?;
        tokio::select! {
            biased;
            outcome = outcome => {
                self.outcome = None;
                Some(Event::Ended(told(outcome)))
            }
            progress = progress(&mut self.seen, self.next_at) => {
                self.next_at = Instant::now() + PROGRESS_PAUSE;
                Some(Event::Progress(progress))
            }
        }
    }

    /// How it ended; `None` when [`Run::next`] has told that already.
    pub async fn outcome(self) -> Option<Outcome> {
        Some(told(self.outcome?.await))
    }
}

/// A run whose task went down with its runtime, or by a defect of ours, was killed by that: its socket is closed.
fn told(outcome: Result<Outcome, oneshot::error::RecvError>) -> Outcome {
    outcome.unwrap_or_else(|_| Outcome::failed(Why::Killed))
}

async fn progress(seen: &mut watch::Receiver<Option<Progress>>, not_before: Instant) -> Progress {
    sleep_until(not_before).await;
    while seen.changed().await.is_ok() {
        if let Some(progress) = seen.borrow_and_update().clone() {
            return progress;
        }
    }
    pending().await
}
