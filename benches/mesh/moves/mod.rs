//! Tasks are submitted and completed the whole time, while a node is drained, taken back, and another one joins.
//!
//! | file | holds |
//! | --- | --- |
//! | `operator` | the commands that an operator would type, and what they say |
//! | `clients` | who submits, and the journal of what was acknowledged |
//! | `completions` | how many tasks are completed, and when |
//! | `timeline` | what was done when, and what one stretch of it comes to |
//! | `kinds` | stretches of one kind taken together |
//! | `check` | the journal against the mesh |
//! | `report` | what came out, for people and for programs |
//!
//! Four nodes with three copies of each shard, so that one of them can be drained; then a fifth. Every node has a worker, also
//! the one that is drained: it goes on working, and its clients go on asking it.

mod check;
mod clients;
mod completions;
mod kinds;
mod operator;
mod report;
mod timeline;

use super::client::Client;
use super::disk;
use super::load::drained;
use super::options::Options;
use super::problem::Problem;
use super::processes::{Mesh, PATIENCE, PAUSE, Place};
use super::say;
use clients::Clients;
use completions::Completions;
use operator::{Operator, Peer};
use report::{Foretold, Report};
use std::time::{Duration, Instant};
use timeline::{Kind, Timeline};
use tokio::time::sleep;

const NODES: usize = 4;
/// Before anything is measured: workers have yet to find the owners.
const WARM_UP: Duration = Duration::from_secs(3);

pub(super) async fn measure(place: &Place, options: &Options) -> Result<Report, Problem> {
    let mut report = Report::begin(options, place.path());
    say("the disk by itself");
    report.disk_before = disk::measure(place.path(), options.disk_time).await?;
    say("a mesh of four processes");
    let mesh = Mesh::start(place, options, NODES).await?;
    let operator = Operator::of(&mesh, options);
    let client = evened_out(&mesh, &operator, options).await?;
    let (clients, completions) =
        (Clients::start(&client, options.clients[0], options.rate), Completions::watch(&client));
    sleep(WARM_UP).await;
    let mut story = Story { options, mesh, operator, timeline: Timeline::begin(), report };
    story.all(place).await?;
    let Story { mesh, timeline, mut report, .. } = story;
    say("what was acknowledged");
    let journal = clients.stop().await?;
    let counts = drained(&client).await?;
    report.tasks = check::all(&client, &journal, counts).await?;
    report.phases = timeline.phases(&completions.stop(), &journal);
    drop(mesh);
    say("the disk by itself, again");
    report.disk_after = disk::measure(place.path(), options.disk_time).await?;
    report.end(journal);
    Ok(report)
}

/// A mesh whose nodes own as much as each other, and its clients.
async fn evened_out(mesh: &Mesh, operator: &Operator, options: &Options) -> Result<Client, Problem> {
    Client::ready(mesh, options).await?;
    for node in &mesh.0 {
        is_open(operator, node.name).await?;
    }
    operator.rebalance().await?;
    Client::ready(mesh, options).await
}

/// What happens to the nodes.
struct Story<'a> {
    options: &'a Options,
    mesh: Mesh,
    operator: Operator,
    timeline: Timeline,
    report: Report,
}

impl Story<'_> {
    async fn all(&mut self, place: &Place) -> Result<(), Problem> {
        self.rests("four nodes", self.options.load_time).await?;
        for _ in 0..self.options.rounds {
            self.one_is_drained_and_taken_back().await?;
        }
        self.a_fifth_joins(place).await
    }

    async fn one_is_drained_and_taken_back(&mut self) -> Result<(), Problem> {
        let operator = &self.operator;
        let node = busiest(operator).await?;
        let said = operator.simulate(&["--drain", &node]).await?;
        self.timeline.during("`drain`, until it returns", Kind::Moving, &self.mesh, operator.drain(&node)).await?;
        self.report.foretold.push(Foretold::of("drained", said, operator.diff().await?));
        self.rests("three nodes and the drained one", self.options.load_time / 2).await?;
        self.operator.uncordon(&node).await?;
        is_open(&self.operator, &node).await?;
        self.rebalances("`rebalance` to four, one taken back", "taken back").await?;
        self.rests("four nodes again", self.options.load_time / 2).await
    }

    async fn a_fifth_joins(&mut self, place: &Place) -> Result<(), Problem> {
        let zone = self.operator.peers().await?.pop().map(|peer| peer.zone).unwrap_or_default();
        let said = self.operator.simulate(&["--add", &zone]).await?;
        let started = Instant::now();
        self.mesh.add(place, self.options).await?;
        is_open(&self.operator, self.mesh.0[NODES].name).await?;
        self.report.open_after_seconds = started.elapsed().as_secs_f64();
        self.rests("five nodes, the fifth without shards", self.options.load_time / 2).await?;
        self.rebalances("`rebalance` to five", "joined, said when it was there").await?;
        let moved = self.operator.diff().await?;
        self.report.foretold.push(Foretold::of("joined, said before it was there", said, moved));
        self.rests("five nodes", self.options.load_time / 2).await?;
        self.report.peers = self.operator.peers().await?;
        Ok(())
    }

    async fn rebalances(&mut self, name: &'static str, what: &'static str) -> Result<(), Problem> {
        let operator = &self.operator;
        let said = operator.simulate(&[]).await?;
        self.timeline.during(name, Kind::Moving, &self.mesh, operator.rebalance()).await?;
        self.report.foretold.push(Foretold::of(what, said, operator.diff().await?));
        Ok(())
    }

    async fn rests(&mut self, name: &'static str, time: Duration) -> Result<(), Problem> {
        self.timeline.during(name, Kind::Steady, &self.mesh, rest(time)).await
    }
}

async fn rest(time: Duration) -> Result<(), Problem> {
    sleep(time).await;
    Ok(())
}

/// The node that owns the most, other than the one that is asked.
async fn busiest(operator: &Operator) -> Result<String, Problem> {
    let peers = operator.peers().await?;
    let others = peers.into_iter().filter(|peer| peer.name != operator.asked());
    Ok(others.max_by_key(|peer| peer.owned).map(|peer| peer.name).unwrap_or_default())
}

/// Waits until a node is a place for shards like the others: one that has come has to be well for a while.
async fn is_open(operator: &Operator, name: &str) -> Result<(), Problem> {
    let begun = Instant::now();
    let is_it = |peer: &Peer| peer.name == name && peer.standing == "open";
    loop {
        let peers = operator.peers().await?;
        if peers.iter().any(is_it) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            let what = "a node that is a place for shards";
            return Err(Problem::Never { what, seconds: PATIENCE.as_secs(), last: format!("{peers:?}") });
        }
        sleep(PAUSE * 10).await;
    }
}
