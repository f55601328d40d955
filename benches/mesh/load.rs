//! Many clients at once, each with one submission under way; then until everything that was submitted has succeeded.

use super::client::{Client, Counts, Submitted};
use super::cost::Cost;
use super::figures::Spans;
use super::problem::Problem;
use super::processes::{Mesh, PATIENCE, PAUSE};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Pause before what was refused is submitted again.
pub(crate) const RETRY: Duration = Duration::from_millis(2);

/// What so many clients come to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    /// Tasks that were acknowledged, all of which have succeeded in the end.
    pub(crate) tasks: u64,
    pub(crate) acknowledged_per_second: f64,
    /// One submission, until it is acknowledged.
    pub(crate) acknowledged: Spans,
    /// Tasks that ended while clients submitted.
    pub(crate) completed_per_second: f64,
    /// All tasks, over the time until the last one had ended.
    pub(crate) completed_to_the_last_per_second: f64,
    /// From the end of the submissions until the last task had ended.
    pub(crate) drained_after_seconds: f64,
    /// Submissions that were refused, or not answered, and made again, by the reason.
    pub(crate) retried: BTreeMap<String, u64>,
    /// Submissions that were parked: kept, and not acknowledged.
    pub(crate) parked: u64,
    /// In the logs of all shards, for each task: submitted, claimed, reported, and claims that found nothing.
    pub(crate) entries_per_task: f64,
    /// For each task.
    pub(crate) cost: Cost,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<Duration>,
    retried: BTreeMap<String, u64>,
    parked: u64,
}

pub(crate) async fn measure(client: &Client, mesh: &Mesh, clients: usize, time: Duration) -> Result<Load, Problem> {
    let (before, entries, cost) = (client.counts().await?, client.entries().await?, Cost::so_far(mesh));
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..clients {
        let (client, node) = (client.clone(), number % client.nodes());
        let prefix = format!("load-{clients}-{number}");
        running.spawn(async move { submit(&client, node, &prefix, begun, time).await });
    }
    let mut seen = Seen::default();
    while let Some(one) = running.join_next().await {
        let one = one.map_err(|problem| Problem::Runtime(problem.into()))?;
        seen.acknowledged.extend(one.acknowledged);
        seen.parked += one.parked;
        for (reason, times) in one.retried {
            *seen.retried.entry(reason).or_default() += times;
        }
    }
    let (submitting, then) = (begun.elapsed(), client.counts().await?);
    let after = drained(client).await?;
    let all = begun.elapsed();
    let tasks = after.tasks - before.tasks;
    let acknowledged = seen.acknowledged.len() as u64;
    // Those that were parked, or never answered, may be there as well.
    let failed = client.failed().await?;
    if tasks < acknowledged || failed > 0 {
        return Err(Problem::Lost { acknowledged, there: tasks, failed });
    }
    Ok(Load {
        clients,
        tasks,
        acknowledged_per_second: acknowledged as f64 / submitting.as_secs_f64(),
        acknowledged: Spans::of(seen.acknowledged),
        completed_per_second: (then.ended - before.ended) as f64 / submitting.as_secs_f64(),
        completed_to_the_last_per_second: tasks as f64 / all.as_secs_f64(),
        drained_after_seconds: (all - submitting).as_secs_f64(),
        retried: seen.retried,
        parked: seen.parked,
        entries_per_task: (client.entries().await? - entries) as f64 / tasks.max(1) as f64,
        cost: Cost::so_far(mesh).each(&cost, tasks),
    })
}

/// One client: one task after the other, each again under its key until it is taken.
async fn submit(client: &Client, node: usize, prefix: &str, begun: Instant, time: Duration) -> Seen {
    let mut seen = Seen::default();
    for task in 0.. {
        let (key, one) = (format!("{prefix}-{task}"), Instant::now());
        loop {
            if begun.elapsed() >= time {
                return seen;
            }
            match client.submit(node, &key).await {
                Submitted::Acknowledged => seen.acknowledged.push(one.elapsed()),
                Submitted::Parked => seen.parked += 1,
                Submitted::Not(reason) => {
                    *seen.retried.entry(reason).or_default() += 1;
                    sleep(RETRY).await;
                    continue;
                }
            }
            break;
        }
    }
    seen
}

/// Waits until every task has ended, for as long as those that are left become fewer.
pub(crate) async fn drained(client: &Client) -> Result<Counts, Problem> {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    loop {
        let counts = client.counts().await?;
        let left = counts.tasks - counts.ended;
        if left == 0 {
            return Ok(counts);
        }
        if left < least {
            (least, since) = (left, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(Problem::Stuck(least));
        }
        sleep(PAUSE).await;
    }
}
