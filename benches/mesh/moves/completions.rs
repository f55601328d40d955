//! How many tasks are completed, and when: each shard is asked how many of its tasks have ended, again and again.

use super::super::client::Client;
use relaymesh_core::shards::ShardId;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The node that is asked.
const NODE: usize = 0;
/// Between an answer of a shard and the next question. The watching costs the nodes as much whatever happens.
const PAUSE: Duration = Duration::from_millis(100);

/// The shards are being watched.
pub(crate) struct Completions {
    running: JoinSet<()>,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen of all shards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// In no order.
    steps: Vec<Step>,
}

/// Some tasks of a shard were completed between two answers.
#[derive(Clone, Copy, Debug)]
struct Step {
    shard: u32,
    after: Instant,
    until: Instant,
    tasks: u64,
}

impl Completions {
    pub(crate) fn watch(client: &Client) -> Self {
        let (mut running, seen) = (JoinSet::new(), Arc::new(Mutex::new(Seen::default())));
        for shard in client.shards() {
            running.spawn(watch(client.clone(), shard, seen.clone()));
        }
        Self { running, seen }
    }

    pub(crate) fn stop(self) -> Seen {
        drop(self.running);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn watch(client: Client, shard: ShardId, seen: Arc<Mutex<Seen>>) {
    let mut last: Option<(Instant, u64)> = None;
    loop {
        // Nobody may be there to answer: the next answer tells of all that was completed meanwhile.
        if let Ok(counts) = client.counts_in(NODE, shard).await {
            let (now, before) = (Instant::now(), last.replace((Instant::now(), counts.ended)));
            if let Some((after, ended)) = before.filter(|(_, ended)| counts.ended > *ended) {
                let step = Step { shard: shard.number, after, until: now, tasks: counts.ended - ended };
                seen.lock().unwrap_or_else(PoisonError::into_inner).steps.push(step);
            }
        }
        sleep(PAUSE).await;
    }
}

impl Seen {
    /// Completed between two moments: what two answers tell of is spread evenly between them.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> f64 {
        let part = |step: &Step| {
            let within = step.until.min(to).saturating_duration_since(step.after.max(from)).as_secs_f64();
            step.tasks as f64 * within / (step.until - step.after).as_secs_f64().max(f64::MIN_POSITIVE)
        };
        self.steps.iter().map(part).sum()
    }

    /// The longest time, of those that end between two moments, in which no answer told of a completion, of any shard.
    pub(crate) fn longest_pause(&self, from: Instant, to: Instant) -> Duration {
        longest(self.steps.iter(), from, to)
    }

    /// The same of one shard, of that which has the longest. It is told no finer than the pause between two questions.
    pub(crate) fn longest_pause_of_a_shard(&self, from: Instant, to: Instant) -> Duration {
        let shards = self.steps.iter().map(|step| step.shard).max().map_or(0, |last| last + 1);
        let of = |shard| longest(self.steps.iter().filter(|step| step.shard == shard), from, to);
        (0..shards).map(of).max().unwrap_or_default()
    }
}

fn longest<'a>(steps: impl Iterator<Item = &'a Step>, from: Instant, to: Instant) -> Duration {
    let mut ends: Vec<Instant> = steps.map(|step| step.until).collect();
    ends.sort_unstable();
    let is_within = |pair: &&[Instant]| pair[1] >= from && pair[1] <= to;
    ends.windows(2).filter(is_within).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
