//! A runner at work for a node: takes the orders of its worker, and says how each run has ended.
//!
//! The worker decides; this carries words. It ends when the node does, once nothing of any run is left.

use super::job::{Attempt, Event, Job, Outcome, Progress, RunKey, Why};
use super::kill::Kill;
use super::runner::{Refused, Run, Runner};
use crate::handle::{Handle, RequestError};
use relaymesh_core::bytes::Blob;
use relaymesh_core::mesh::{MeshNode, Reply, Request};
use relaymesh_core::task::wire::{Offer, Progress as Said};
use relaymesh_core::task::worker::view::{self, Order, RunEnd};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Pause after the node did not take a question.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of what an agent last wrote to its standard error, in what people are told of a failure.
const STDERR_BYTES_MAX: usize = 512;

/// Runs what the worker of this node orders, `capacity` agents at once, until the node has stopped.
pub async fn attend(handle: Handle<MeshNode>, runner: Runner, offer: Offer, capacity: u16) {
    let mut bench = Bench { handle, runner, keys: BTreeMap::new(), last: 0, runs: JoinSet::new() };
    while bench.attach(&offer, capacity).await {
        bench.take_orders().await;
    }
    bench.runner.stop().await;
}

/// Runs under way, by what the worker calls them.
struct Bench {
    handle: Handle<MeshNode>,
    runner: Runner,
    keys: BTreeMap<view::RunKey, RunKey>,
    last: u64,
    runs: JoinSet<view::RunKey>,
}

impl Bench {
    /// Says what this runner has. False once the node has stopped.
    async fn attach(&mut self, offer: &Offer, capacity: u16) -> bool {
        loop {
            let request = view::Request::Attach { offer: offer.clone(), capacity };
            match self.handle.request(Request::Work(request)).await {
                Ok(Reply::Work(view::Reply::Attached)) => return true,
                Ok(Reply::Work(view::Reply::TooMuch)) => {
                    tracing::error!("the node has more agents or labels than a worker may offer; it runs none");
                    return false;
                }
                Err(RequestError::Stopped) => return false,
                Ok(_) | Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Until the worker knows nothing of this runner, or the node has stopped.
    async fn take_orders(&mut self) {
        loop {
            while let Some(Ok(ended)) = self.runs.try_join_next() {
                self.keys.remove(&ended);
            }
            match self.handle.request(Request::Work(view::Request::Next)).await {
                Ok(Reply::Work(view::Reply::Orders(orders))) => {
                    orders.into_iter().for_each(|order| self.follow(order));
                }
                Ok(Reply::Work(view::Reply::NotAttached)) | Err(RequestError::Stopped) => return,
                Ok(_) | Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Run(run) => self.run(*run),
            Order::Kill { run, why } => {
                let how = match why {
                    view::Killed::Cancelled => Kill::WithGrace,
                    view::Killed::ClaimOver => Kill::AtOnce,
                };
                if let Some(run) = self.keys.get(&run) {
                    self.runner.kill(*run, how);
                }
            }
        }
    }

    fn run(&mut self, run: view::Run) {
        self.last += 1;
        let (key, own) = (run.key, RunKey(self.last));
        self.keys.insert(key, own);
        let (handle, begun) = (self.handle.clone(), self.runner.run(job(own, run)));
        self.runs.spawn(async move {
            let end = match begun {
                Ok(run) => ended(&handle, key, run).await,
                Err(Refused::Full(_) | Refused::UnderWay(_) | Refused::Stopping) => RunEnd::NotRun,
            };
            tell(&handle, key, end).await;
            key
        });
    }
}

fn job(key: RunKey, run: view::Run) -> Job {
    let item = run.item.map(|item| format!("[{item}]")).unwrap_or_default();
    let step = format!("{}{item}", run.name.as_ref().map_or("-", |name| name.as_str()));
    let attempt = Attempt {
        // Of one length, so that any store compares it as text; as a number it would be too large for most.
        fence: format!("{:032x}", run.key.fence.as_integer()),
        idempotency_key: format!("{}/{step}", run.task),
        traceparent: run.traceparent.map(String::from).unwrap_or_default(),
        task: run.task.to_string(),
        step,
        attempt: u32::from(run.attempt),
    };
    let timeout = Some(Duration::from_nanos(run.timeout.as_nanos()));
    Job { key, agent: run.agent.as_str().into(), input: run.input.0.into_vec(), attempt, timeout }
}

async fn ended(handle: &Handle<MeshNode>, key: view::RunKey, mut run: Run) -> RunEnd {
    while let Some(event) = run.next().await {
        match event {
            Event::Ended(outcome) => return end_of(outcome),
            Event::Progress(Progress { percent, text }) => {
                let request = view::Request::Progress { run: key, progress: Said::new(percent, &text) };
                // What is lost is followed by something newer, or by the end.
                let _ = handle.request(Request::Work(request)).await;
            }
        }
    }
    RunEnd::NotRun
}

fn end_of(outcome: Outcome) -> RunEnd {
    match outcome {
        Outcome::Succeeded { output } => RunEnd::Succeeded { output: Blob(output.into()) },
        Outcome::Failed { why: Why::Killed, .. } => RunEnd::Killed,
        Outcome::Failed { retry, why, stderr } => {
            let tail = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(STDERR_BYTES_MAX)..]).into_owned();
            let words = if tail.trim().is_empty() { why.to_string() } else { format!("{why}: {}", tail.trim()) };
            RunEnd::Failed { is_worth_retrying: retry, words: words.into() }
        }
    }
}

/// Until the worker knows it, or the node has stopped.
async fn tell(handle: &Handle<MeshNode>, run: view::RunKey, end: RunEnd) {
    loop {
        let request = view::Request::Ended { run, end: end.clone() };
        match handle.request(Request::Work(request)).await {
            Ok(_) | Err(RequestError::Stopped) => return,
            Err(_) => sleep(PAUSE).await,
        }
    }
}
