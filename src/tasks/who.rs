//! `relaymesh workers` and `agents`: who works, and at what.

use super::arguments::Place;
use super::client::Shards;
use super::everywhere::{Unreached, conclude, or_unreached};
use crate::error::{Error, Exit};
use crate::mesh::ask_any;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::output::{Output, Tone, cell, grouped, note, rendered};
use relaymesh_core::identity::{Incarnation, NodeId};
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::task::answer::{Answer, Query};
use relaymesh_core::task::command::Policy;
use relaymesh_core::task::desk::{Question, Told};
use relaymesh_core::task::wire::Offered;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that are asked which workers they have heard of: each knows all of them, unless it has just begun.
const ASKED_MAX: usize = 16;

/// How long one of them is waited for where the answer is a mere courtesy.
const SOON: std::time::Duration = std::time::Duration::from_millis(500);

/// A worker, as people and programs see it.
#[derive(Debug, Serialize)]
struct Worker {
    node: String,
    id: String,
    agents: Vec<String>,
    labels: BTreeMap<String, String>,
    /// Steps that it could take; nothing of one that was not heard of lately.
    free: Option<u16>,
    /// Steps that it has of each agent.
    running: BTreeMap<String, u64>,
}

/// An agent, likewise.
#[derive(Debug, Default, Serialize)]
struct Agent {
    agent: String,
    /// Workers that have it.
    offered_by: Vec<String>,
    paused: bool,
    /// Steps that wait for a worker.
    ready: u64,
    running: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_backoff_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_backoff_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

/// Everything that is known.
struct Known {
    workers: BTreeMap<Incarnation, Worker>,
    unreached: Vec<Unreached>,
}

pub(super) async fn workers(place: &Place, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(place).await?;
    let known = known(place, &shards).await?;
    let mut rows: Vec<&Worker> = known.workers.values().collect();
    rows.sort_by_key(|row| (&row.node, &row.id));
    if output.is_json() {
        output.json(&rows)?;
        return Ok(conclude(&known.unreached));
    }
    let mut table = output.table(&["node", ">free", ">runs", "what", "agents", "labels", "id"]);
    for row in rows {
        let what: Vec<String> = row.running.iter().map(|(agent, count)| format!("{agent} × {count}")).collect();
        let labels: Vec<String> = row.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
        table.add_row([
            cell(Tone::Strong, &row.node),
            cell(Tone::Plain, row.free.map_or_else(|| "?".into(), |free| free.to_string())),
            cell(Tone::Plain, grouped(row.running.values().sum())),
            cell(Tone::Plain, what.join(", ")),
            cell(Tone::Plain, row.agents.join(", ")),
            cell(Tone::Plain, labels.join(", ")),
            cell(Tone::Dim, &row.id),
        ]);
    }
    output.print(&rendered(&table))?;
    if known.workers.is_empty() {
        note("no worker was heard of lately; a node works unless it was started with `--capacity 0`");
    }
    Ok(conclude(&known.unreached))
}

pub(super) async fn agents(place: &Place, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(place).await?;
    let mut known = known(place, &shards).await?;
    let mut agents: BTreeMap<String, Agent> = BTreeMap::new();
    for worker in known.workers.values() {
        worker.agents.iter().for_each(|agent| at(&mut agents, agent).offered_by.push(worker.node.clone()));
        worker.running.iter().for_each(|(agent, count)| at(&mut agents, agent).running += count);
    }
    let mut all_paused = false;
    for shard in shards.all() {
        let take = |answer| {
            let Answer::Agents { is_paused, agents: rows, next } = answer else { return Err(Error::OtherAnswer) };
            all_paused |= is_paused;
            for row in rows {
                let agent = at(&mut agents, row.agent.as_str());
                agent.paused |= row.is_paused;
                agent.ready += row.ready;
                if let Some(policy) = &row.policy {
                    agent.has(policy);
                }
            }
            Ok(next)
        };
        or_unreached(shard, shards.pages(shard, |after| Query::Agents { after }, take).await, &mut known.unreached)?;
    }
    for (name, agent) in &mut agents {
        agent.agent.clone_from(name);
        agent.paused |= all_paused;
        agent.offered_by.sort();
        agent.offered_by.dedup();
    }
    let rows: Vec<&Agent> = agents.values().collect();
    match output.is_json() {
        true => output.json(&rows)?,
        false => show(&rows, output)?,
    }
    Ok(conclude(&known.unreached))
}

fn show(rows: &[&Agent], output: &Output) -> Result<(), Error> {
    let mut table = output.table(&["agent", ">ready", ">runs", "state", "offered by", "policy"]);
    for row in rows {
        let (tone, state) = match (row.paused, row.offered_by.is_empty()) {
            (true, _) => (Tone::Warn, "paused"),
            (false, true) => (Tone::Bad, "nobody has it"),
            (false, false) => (Tone::Good, "ready"),
        };
        table.add_row([
            cell(Tone::Strong, &row.agent),
            cell(Tone::Plain, grouped(row.ready)),
            cell(Tone::Plain, grouped(row.running)),
            cell(tone, state),
            cell(Tone::Plain, row.offered_by.join(", ")),
            cell(Tone::Plain, row.policy()),
        ]);
    }
    output.print(&rendered(&table))
}

fn at<'a>(agents: &'a mut BTreeMap<String, Agent>, name: &str) -> &'a mut Agent {
    agents.entry(name.to_owned()).or_default()
}

impl Agent {
    fn has(&mut self, policy: &Policy) {
        let millis = |span: relaymesh_core::time::Duration| span.as_nanos() / 1_000_000;
        if let Some(retry) = policy.retry {
            self.attempts = Some(retry.attempts_max);
            (self.base_backoff_ms, self.max_backoff_ms) = (Some(millis(retry.base)), Some(millis(retry.max)));
        }
        self.timeout_ms = policy.timeout.map(millis);
    }

    fn policy(&self) -> String {
        let retry = self.attempts.map(|attempts| {
            let (base, max) = (self.base_backoff_ms.unwrap_or_default(), self.max_backoff_ms.unwrap_or_default());
            format!("{attempts} attempts, back-off {base} to {max} ms")
        });
        let timeout = self.timeout_ms.map(|millis| format!("timeout {millis} ms"));
        retry.into_iter().chain(timeout).collect::<Vec<_>>().join(", ")
    }
}

/// Agents that workers are known to have; nothing where nobody could tell.
pub(super) async fn offered(place: &Place, shards: &Shards<'_>) -> Option<BTreeSet<String>> {
    let mut offers = BTreeSet::new();
    let mut has_heard = false;
    for node in shards.owners().into_iter().take(ASKED_MAX) {
        let heard = tokio::time::timeout(SOON, heard_by(place, node)).await;
        if let Ok(Ok(Some(heard))) = heard {
            has_heard = true;
            offers.extend(heard.iter().flat_map(|it| &it.offer.agents).map(ToString::to_string));
        }
    }
    has_heard.then_some(offers)
}

/// What owners have heard, and what the shards say.
async fn known(place: &Place, shards: &Shards<'_>) -> Result<Known, Error> {
    let names = Names::of(members(&place.folder.dir).await?);
    let mut known = Known { workers: BTreeMap::new(), unreached: Vec::new() };
    for node in shards.owners().into_iter().take(ASKED_MAX) {
        match heard_by(place, node).await? {
            Some(heard) => heard.into_iter().for_each(|it| known.hear(&names, it)),
            None => note(format_args!("node {} did not say in time which workers it knows", names.name(node))),
        }
    }
    for shard in shards.all() {
        let take = |answer| {
            let Answer::Workers { workers, next } = answer else { return Err(Error::OtherAnswer) };
            for row in workers {
                let worker = known.worker(&names, row.worker);
                for (agent, count) in row.running {
                    *worker.running.entry(agent.to_string()).or_default() += u64::from(count);
                }
            }
            Ok(next)
        };
        let asked = shards.pages(shard, |after| Query::Workers { after }, take).await;
        or_unreached(shard, asked, &mut known.unreached)?;
    }
    // A claim of long ago, by one that was not heard of since, says nothing.
    known.workers.retain(|_, worker| worker.free.is_some() || !worker.running.is_empty());
    Ok(known)
}

impl Known {
    fn worker(&mut self, names: &Names, worker: Incarnation) -> &mut Worker {
        self.workers.entry(worker).or_insert_with(|| Worker {
            node: names.name(worker.node),
            id: worker.node.to_string(),
            agents: Vec::new(),
            labels: BTreeMap::new(),
            free: None,
            running: BTreeMap::new(),
        })
    }

    fn hear(&mut self, names: &Names, heard: Offered) {
        let worker = self.worker(names, heard.worker);
        worker.agents = heard.offer.agents.iter().map(ToString::to_string).collect();
        worker.labels = heard.offer.labels.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        worker.free = Some(heard.free);
    }
}

/// The workers that a node has heard of; nothing where it does not answer.
async fn heard_by(place: &Place, of: NodeId) -> Result<Option<Vec<Offered>>, Error> {
    let (mut heard, mut after) = (Vec::new(), None);
    loop {
        match ask_any(&place.folder.dir, Request::Desk(Question::Offers { of, after })).await? {
            Reply::Desk(Told::Offers { offers, next }) => {
                heard.extend(offers);
                after = next;
                if after.is_none() {
                    return Ok(Some(heard));
                }
            }
            Reply::Desk(Told::Silent | Told::Busy) => return Ok(None),
            _ => return Err(Error::OtherAnswer),
        }
    }
}
