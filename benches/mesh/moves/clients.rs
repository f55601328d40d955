//! Who submits: each client one task after the other, to one node, again under its key until it is acknowledged; without a
//! pause, or at a rate. Who is behind makes up for it.

use super::super::client::{Client, Submitted};
use super::super::load::RETRY;
use super::super::problem::Problem;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Between two looks whether it is time, or all is over.
const BREATH: Duration = Duration::from_millis(20);

/// Clients that submit until they are stopped.
pub(crate) struct Clients {
    running: JoinSet<(usize, Seen)>,
    stop: Arc<AtomicBool>,
}

/// What all clients saw.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// What was acknowledged, of each client.
    pub(crate) of_clients: BTreeMap<usize, Vec<Acknowledged>>,
    /// Submissions that were refused, or not answered, and made again, by the reason.
    pub(crate) retried: BTreeMap<String, u64>,
    /// Submissions that were parked, which is no acknowledgement, and made again.
    pub(crate) parked: u64,
}

/// A task that was acknowledged. Which one follows from its place among those of its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) at: Instant,
    /// From the first submission on, or from when it was due.
    pub(crate) after: Duration,
}

#[derive(Default)]
struct Seen {
    acknowledged: Vec<Acknowledged>,
    retried: BTreeMap<String, u64>,
    parked: u64,
}

/// Under which a task is submitted.
pub(crate) fn key(client: usize, task: usize) -> String {
    format!("moves-{client}-{task}")
}

impl Clients {
    /// As many to each node as to every other, or nearly; `rate` is of all of them together, tasks a second.
    pub(crate) fn start(client: &Client, clients: usize, rate: Option<u32>) -> Self {
        let (mut running, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        let (begun, every) = (Instant::now(), rate.map(|rate| Duration::from_secs(1) / rate));
        for number in 0..clients {
            let (client, stop) = (client.clone(), stop.clone());
            let due = move |task: usize| every.map(|every| begun + every * (task * clients + number) as u32);
            running.spawn(async move { (number, submit(&client, number, due, &stop).await) });
        }
        Self { running, stop }
    }

    /// Each ends what it is at.
    pub(crate) async fn stop(mut self) -> Result<Journal, Problem> {
        self.stop.store(true, Ordering::Relaxed);
        let mut journal = Journal::default();
        while let Some(one) = self.running.join_next().await {
            let (number, seen) = one.map_err(|problem| Problem::Runtime(problem.into()))?;
            journal.of_clients.insert(number, seen.acknowledged);
            journal.parked += seen.parked;
            for (reason, times) in seen.retried {
                *journal.retried.entry(reason).or_default() += times;
            }
        }
        Ok(journal)
    }
}

async fn submit(client: &Client, number: usize, due: impl Fn(usize) -> Option<Instant>, stop: &AtomicBool) -> Seen {
    let (node, mut seen) = (number % client.nodes(), Seen::default());
    while !stop.load(Ordering::Relaxed) {
        let begun = due(seen.acknowledged.len()).unwrap_or_else(Instant::now);
        if begun > Instant::now() {
            sleep(BREATH.min(begun - Instant::now())).await;
            continue;
        }
        let key = key(number, seen.acknowledged.len());
        loop {
            match client.submit(node, &key).await {
                Submitted::Acknowledged => break,
                Submitted::Parked => seen.parked += 1,
                Submitted::Not(reason) => *seen.retried.entry(reason).or_default() += 1,
            }
            sleep(RETRY).await;
        }
        seen.acknowledged.push(Acknowledged { at: Instant::now(), after: begun.elapsed() });
    }
    seen
}
