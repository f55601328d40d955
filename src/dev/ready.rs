//! From processes to a mesh: who is there, a control group, a namespace whose shards are served.
//!
//! Each step may have been done by an earlier run, or half of it: what is there is looked at first.

use super::error::DevError;
use super::nodes::Nodes;
use crate::error::Error;
use crate::mesh::arguments::FolderArguments;
use crate::mesh::cluster::{change, executed, found, status};
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::mesh::{ask_any, ask_control};
use crate::tasks::arguments::Place;
use crate::tasks::client::Shards;
use crate::wall::Stopwatch;
use relaymesh_core::control::node as control;
use relaymesh_core::control::state::{Name, Refusal, SHARDS};
use relaymesh_core::membership::Status;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host;
use relaymesh_core::task::answer::Query;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// The namespace that a new mesh has.
const NAMESPACE: &str = "default";
/// Its shards. Three nodes on one machine need no more.
const SHARDS_OF_IT: u32 = 4;
/// How long all of it may take. Far longer than it does.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const SPAN_MAX: Duration = Duration::from_secs(30);

/// Where the command line asks about tasks.
pub(super) fn place(dir: &Path) -> Result<Place, Error> {
    let namespace = Name::new(NAMESPACE).map_err(|_| Error::OtherAnswer)?;
    Ok(Place { folder: FolderArguments { dir: dir.into() }, namespace })
}

/// Waits until every node answers, and all of them serve tasks.
pub(super) async fn ready(nodes: &mut Nodes) -> Result<(), Error> {
    let (clock, count) = (Stopwatch::start(), nodes.all.len());
    let dir = nodes.all[0].dir.clone();
    persist(nodes, clock, "that all nodes see one another", || all_meet(&dir, count)).await?;
    persist(nodes, clock, "a control group", || vote(&dir, count)).await?;
    persist(nodes, clock, "a namespace", || declare(&dir, count)).await?;
    persist(nodes, clock, "an owner for each shard", || served(&dir)).await?;
    for at in 1..count {
        let dir = nodes.all[at].dir.clone();
        persist(nodes, clock, "that every node knows all this", || served(&dir)).await?;
    }
    Ok(())
}

/// Tries again until it is done, all nodes running meanwhile.
async fn persist<F: Future<Output = Result<(), Error>>>(
    nodes: &mut Nodes,
    clock: Stopwatch,
    what: &'static str,
    attempt: impl Fn() -> F,
) -> Result<(), Error> {
    loop {
        let problem = match attempt().await {
            Ok(()) => return Ok(()),
            Err(problem) => Box::new(problem),
        };
        nodes.all_run()?;
        let waited = clock.elapsed();
        if waited >= PATIENCE {
            return Err(DevError::NotReady { what, problem, waited, logs: nodes.root.path.join("logs") }.into());
        }
        sleep(PAUSE).await;
    }
}

async fn all_meet(dir: &Path, count: usize) -> Result<(), Error> {
    let alive = |it: &&relaymesh_core::membership::MemberView| it.status == Status::Alive && it.description.is_some();
    match members(dir).await?.iter().filter(alive).count() {
        there if there >= count => Ok(()),
        _ => Err(Error::ControlRefused(control::Refusal::NotStarted)),
    }
}

/// As many vote as can: an odd number.
async fn vote(dir: &Path, count: usize) -> Result<(), Error> {
    let names = Names::of(members(dir).await?);
    let now = match status(dir).await {
        Err(Error::ControlRefused(control::Refusal::NotMember)) => {
            found(dir, &names, SPAN_MAX).await?;
            status(dir).await?
        }
        now => now?,
    };
    let wanted = if count.is_multiple_of(2) { count - 1 } else { count };
    let nodes = ('a'..='z').map(String::from).take(wanted).map(|name| names.voter(&name));
    let missing: Vec<_> = nodes.filter(|it| it.as_ref().map_or(true, |it| !now.voters.contains(it))).collect();
    match missing.into_iter().collect::<Result<Vec<_>, _>>()? {
        none if none.is_empty() => Ok(()),
        add => change(dir, add, Vec::new()).await.map(drop),
    }
}

async fn declare(dir: &Path, count: usize) -> Result<(), Error> {
    let copies = u8::try_from(count.min(3)).unwrap_or(3);
    let namespace = place(dir)?.namespace;
    let shape = host::Request::Declare { namespace, shards: SHARDS_OF_IT, copies, minimum: copies.min(2) };
    loop {
        match ask_any(dir, Request::Shards(shape.clone())).await? {
            Reply::Shards(host::Reply::Declared) => return Ok(()),
            Reply::Shards(host::Reply::Refused(host::Refusal::Control(Refusal::NotActivated {
                activated, ..
            }))) if activated < SHARDS => {
                executed(ask_control(dir, control::Request::Activate { version: activated.0 + 1 }).await?)?;
            }
            Reply::Shards(host::Reply::Refused(refusal)) => return Err(Error::ShardRefused(refusal)),
            _ => return Err(Error::OtherAnswer),
        }
    }
}

/// Whether the owner of each shard answers.
async fn served(dir: &Path) -> Result<(), Error> {
    let place = place(dir)?;
    let shards = Shards::of(&place).await?;
    for shard in shards.all() {
        shards.read(shard, &Query::Counts).await?;
    }
    Ok(())
}
