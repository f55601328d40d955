//! What was done when, and what one stretch of it comes to.

use super::super::cost::Cost;
use super::super::figures::Spans;
use super::super::problem::Problem;
use super::super::processes::Mesh;
use super::clients::Journal;
use super::completions::Seen;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The window in which a rate counts, and how far apart windows begin.
const WINDOW: Duration = Duration::from_secs(1);
const STRIDE: Duration = Duration::from_millis(500);

/// Stretches, one after the other.
pub(crate) struct Timeline(Vec<Stretch>);

/// What a stretch is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// No shard moves: what follows is held against it, as far as the next steady one.
    Steady,
    /// Shards move.
    Moving,
}

struct Stretch {
    name: &'static str,
    kind: Kind,
    from: Instant,
    to: Instant,
    cost: Cost,
    load: f64,
}

/// What a stretch comes to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) seconds: f64,
    pub(crate) completed_per_second: f64,
    /// In windows of half a second, one after the other.
    pub(crate) windows_per_second: Vec<f64>,
    /// In the window with the least, of those that begin in it: the last ones reach beyond its end.
    pub(crate) least_completed_per_second: f64,
    /// Of the mean of the steady stretch before, which has the same nodes and the same disk; where it is steady, of the first.
    pub(crate) share_of_steady: f64,
    pub(crate) least_share_of_steady: f64,
    /// Without a completion, of any shard.
    pub(crate) longest_pause_ms: f64,
    /// Without one of the shard where it took longest.
    pub(crate) longest_pause_of_a_shard_ms: f64,
    /// From a task's first submission to its acknowledgement.
    pub(crate) acknowledged: Spans,
    /// Cores that all nodes had in the mean, and that the clients had.
    pub(crate) nodes_cores: f64,
    pub(crate) clients_cores: f64,
    /// Load of the machine at the end, over a minute.
    pub(crate) machine_load: f64,
}

impl Timeline {
    pub(crate) fn begin() -> Self {
        Self(Vec::new())
    }

    /// Does something, and remembers when.
    pub(crate) async fn during(
        &mut self,
        name: &'static str,
        kind: Kind,
        mesh: &Mesh,
        what: impl Future<Output = Result<(), Problem>>,
    ) -> Result<(), Problem> {
        super::say(name);
        let (from, before) = (Instant::now(), Cost::so_far(mesh));
        what.await?;
        let cost = Cost::so_far(mesh).each(&before, 1);
        self.0.push(Stretch { name, kind, from, to: Instant::now(), cost, load: machine_load() });
        Ok(())
    }

    /// Rates of all stretches, held against the steady ones.
    pub(crate) fn phases(&self, seen: &Seen, journal: &Journal) -> Vec<Phase> {
        let steady = |stretches: &[Stretch]| {
            let last = stretches.iter().rfind(|stretch| stretch.kind == Kind::Steady);
            last.map_or(f64::NAN, |last| per_second(seen, last.from, last.to))
        };
        let phase = |(at, stretch): (usize, &Stretch)| {
            let before = if stretch.kind == Kind::Steady { &self.0[..=0] } else { &self.0[..at] };
            stretch.phase(steady(before), seen, journal)
        };
        self.0.iter().enumerate().map(phase).collect()
    }
}

impl Stretch {
    fn phase(&self, steady: f64, seen: &Seen, journal: &Journal) -> Phase {
        let (from, to) = (self.from, self.to);
        let beginnings =
            std::iter::successors(Some(from), |begin| Some(*begin + STRIDE)).take_while(|begin| *begin < to);
        // What is steady has no beyond: shards begin to move there.
        let windows = beginnings.filter(|begin| self.kind == Kind::Moving || *begin + WINDOW <= to);
        let least = windows.map(|begin| per_second(seen, begin, begin + WINDOW)).fold(f64::INFINITY, f64::min);
        let halves = std::iter::successors(Some(from), |begin| Some(*begin + STRIDE)).take_while(|begin| *begin < to);
        let (completed, seconds) = (per_second(seen, from, to), (to - from).as_secs_f64());
        let all = journal.of_clients.values().flatten().filter(|one| one.at >= from && one.at <= to);
        Phase {
            name: self.name,
            kind: self.kind,
            seconds,
            completed_per_second: completed,
            windows_per_second: halves.map(|begin| per_second(seen, begin, begin + STRIDE)).collect(),
            least_completed_per_second: least,
            share_of_steady: completed / steady,
            least_share_of_steady: least / steady,
            longest_pause_ms: seen.longest_pause(from, to).as_secs_f64() * 1e3,
            longest_pause_of_a_shard_ms: seen.longest_pause_of_a_shard(from, to).as_secs_f64() * 1e3,
            acknowledged: Spans::of(all.map(|one| one.after)),
            nodes_cores: self.cost.nodes_core_ms() / 1e3 / seconds,
            clients_cores: self.cost.clients_core_ms / 1e3 / seconds,
            machine_load: self.load,
        }
    }
}

fn per_second(seen: &Seen, from: Instant, to: Instant) -> f64 {
    seen.between(from, to) / (to - from).as_secs_f64()
}

/// Zero where it is not told.
fn machine_load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}
