//! The journal against the mesh: every acknowledged task has succeeded, with its own output, once.

use super::super::client::{Client, Counts};
use super::super::problem::Problem;
use super::super::processes::{PATIENCE, PAUSE};
use super::clients::{Journal, key};
use relaymesh_core::task::answer::Status;
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::view::{Happened, StepStatus, TaskView};
use serde::Serialize;
use std::time::Instant;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What was held against the mesh.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Tasks {
    /// By the clients' journal. Each has succeeded once.
    pub(crate) acknowledged: u64,
    /// In the shards.
    pub(crate) there: u64,
    /// Claims, of all tasks: those above one each were of workers that lost theirs.
    pub(crate) attempts: u64,
}

/// Every key of every client; fails at the first that is not as it has to be.
pub(crate) async fn all(client: &Client, journal: &Journal, counts: Counts) -> Result<Tasks, Problem> {
    let acknowledged = journal.of_clients.values().map(|of| of.len() as u64).sum();
    // A client leaves a task only once it is acknowledged, and there are no other clients.
    if counts.tasks != acknowledged || counts.ended != acknowledged {
        return Err(Problem::Lost { acknowledged, there: counts.tasks, failed: client.failed().await? });
    }
    let mut running = JoinSet::new();
    for (number, of) in &journal.of_clients {
        let (client, number, count) = (client.clone(), *number, of.len());
        running.spawn(async move {
            let mut attempts = 0;
            for task in 0..count {
                attempts += succeeded_once(&client, number % client.nodes(), &key(number, task)).await?;
            }
            Ok::<u64, Problem>(attempts)
        });
    }
    let mut attempts = 0;
    while let Some(one) = running.join_next().await {
        attempts += one.map_err(|problem| Problem::Runtime(problem.into()))??;
    }
    Ok(Tasks { acknowledged, there: counts.tasks, attempts })
}

/// How often it was claimed.
async fn succeeded_once(client: &Client, node: usize, key: &str) -> Result<u64, Problem> {
    let view = answered(client, node, key).await?;
    let output = StepStatus::Succeeded { output: Some(Payload::inline(key.as_bytes())) };
    match &view.steps[..] {
        [step] if view.status == Status::Succeeded && step.state == output => {
            let succeeded = step.history.iter().filter(|moment| moment.what == Happened::Succeeded).count();
            if succeeded == 1 {
                return Ok(step.attempts.into());
            }
        }
        _ => {}
    }
    Err(Problem::NotOnce { key: key.to_owned(), view: format!("{view:?}") })
}

/// A question that is not answered is asked again for a while.
async fn answered(client: &Client, node: usize, key: &str) -> Result<TaskView, Problem> {
    let begun = Instant::now();
    loop {
        match client.task(node, key, 0).await {
            Err(_) if begun.elapsed() < PATIENCE => sleep(PAUSE).await,
            told => return told,
        }
    }
}
