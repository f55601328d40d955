//! One task at a time: how long until it is acknowledged, and until it is seen to have succeeded.
//!
//! Owners stamp what happens to a task by the wall clock, which all processes here share. So it can be told which part of the
//! time passed before the task was taken into the log, until a worker had taken it, and until it was done. A stamp is set when
//! an entry is made, before any disk has it; each part therefore has the syncs of the entry at its beginning.
//!
//! A task is looked at with a pause of a millisecond, which is how late its success may be seen. Looked at without one
//! (`--tight`), two processes keep two cores busy, and single syncs of a third one may take a hundred times as long.

use super::client::{Client, Submitted};
use super::figures::Spans;
use super::options::Options;
use super::problem::Problem;
use relaymesh_core::task::answer::Status;
use relaymesh_core::task::view::{Happened, TaskView};
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;

/// The node that is asked.
const NODE: usize = 0;
/// Before each task, so that the one before leaves nothing under way; a little different each time, so that no clockwork of
/// the nodes keeps step with it.
const PAUSE: Duration = Duration::from_millis(40);
/// Between two looks at a task.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// Tasks that are not counted: workers have yet to find the owners.
const WARM_UP: usize = 20;

/// What one task at a time comes to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Idle {
    /// Tasks in shards that the node which was asked owns itself.
    pub(crate) own: Trips,
    /// Tasks in shards of another node.
    pub(crate) others: Trips,
    /// All of them.
    pub(crate) all: Trips,
    pub(crate) parts: Parts,
    /// Questions until a task was seen to have succeeded, in the mean.
    pub(crate) looks: f64,
    /// In the logs of all shards, for each task: submitted, claimed, reported, and claims that found nothing.
    pub(crate) entries_per_task: f64,
    /// Submissions that were not acknowledged at once, and are not counted.
    pub(crate) left_out: usize,
}

/// From the submission on.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Trips {
    pub(crate) acknowledged: Spans,
    pub(crate) succeeded: Spans,
}

/// Where the time to success goes.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Parts {
    /// Sent, until its owner takes it into the log.
    pub(crate) taken: Spans,
    /// Until a worker's claim is taken into the log: the first entry on all disks, an offer, a claim.
    pub(crate) claimed: Spans,
    /// Until its report is: the second entry on all disks, the answer to the claim, the agent, the report.
    pub(crate) reported: Spans,
    /// Until it is seen: the third entry on all disks, and an answer.
    pub(crate) seen: Spans,
}

/// One task.
struct Trip {
    is_own: bool,
    acknowledged: Duration,
    succeeded: Duration,
    parts: [Duration; 4],
    looks: u32,
}

pub(crate) async fn measure(client: &Client, options: &Options) -> Result<Idle, Problem> {
    let (tasks, is_tight) = (options.idle_tasks, options.is_tight);
    for number in 0..WARM_UP {
        trip(client, &format!("warm-{number}"), is_tight).await?;
    }
    let (mut trips, before) = (Vec::new(), client.entries().await?);
    for number in 0..tasks {
        sleep(PAUSE + Duration::from_micros(number as u64 * 7_919 % 20_000)).await;
        trips.extend(trip(client, &format!("idle-{number}"), is_tight).await?);
    }
    sleep(PAUSE).await;
    let entries = client.entries().await? - before;
    let some = |is_wanted: fn(&Trip) -> bool| Trips {
        acknowledged: Spans::of(trips.iter().filter(|it| is_wanted(it)).map(|it| it.acknowledged)),
        succeeded: Spans::of(trips.iter().filter(|it| is_wanted(it)).map(|it| it.succeeded)),
    };
    let part = |at: usize| Spans::of(trips.iter().map(|trip| trip.parts[at]));
    Ok(Idle {
        own: some(|trip| trip.is_own),
        others: some(|trip| !trip.is_own),
        all: some(|_| true),
        parts: Parts { taken: part(0), claimed: part(1), reported: part(2), seen: part(3) },
        looks: trips.iter().map(|trip| f64::from(trip.looks)).sum::<f64>() / trips.len().max(1) as f64,
        entries_per_task: entries as f64 / tasks.max(1) as f64,
        left_out: tasks - trips.len(),
    })
}

/// Nothing where it was not acknowledged at once, which is no idle mesh.
async fn trip(client: &Client, key: &str, is_tight: bool) -> Result<Option<Trip>, Problem> {
    let (begun, sent) = (Instant::now(), wall());
    if client.submit(NODE, key).await != Submitted::Acknowledged {
        return Ok(None);
    }
    let acknowledged = begun.elapsed();
    let mut looks = 1;
    // Without its steps, which is the shortest answer.
    while client.task(NODE, key, u32::MAX).await?.status == Status::Open {
        looks += 1;
        if !is_tight {
            sleep(LOOK_PAUSE).await;
        }
    }
    let (succeeded, seen) = (begun.elapsed(), wall());
    let view = client.task(NODE, key, 0).await?;
    let Some([claimed, reported]) = stamps(&view) else {
        return Err(Problem::Answer { what: "what became of a task", answer: format!("{view:?}") });
    };
    let stamps = [sent, view.created.as_unix_nanos(), claimed, reported, seen];
    let parts = [0, 1, 2, 3].map(|at| Duration::from_nanos(stamps[at + 1].saturating_sub(stamps[at])));
    Ok(Some(Trip { is_own: client.is_owner(NODE, key), acknowledged, succeeded, parts, looks }))
}

/// When its only step was claimed, and when it succeeded; nothing where it did not, or not at the first attempt.
fn stamps(view: &TaskView) -> Option<[u64; 2]> {
    let [step] = &view.steps[..] else { return None };
    let at = |wanted: fn(&Happened) -> bool| {
        let moment = step.history.iter().find(|moment| wanted(&moment.what))?;
        Some(moment.at.as_unix_nanos())
    };
    let is_done = view.status == Status::Succeeded && step.attempts == 1;
    let claimed = at(|what| matches!(what, Happened::Claimed(_)))?;
    is_done.then_some([claimed, at(|what| matches!(what, Happened::Succeeded))?])
}

fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
