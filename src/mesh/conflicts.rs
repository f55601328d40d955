//! `relaymesh lease-accept` and `lease-conflicts`: whether a write still counts, and which did not.

use super::arguments::{FolderArguments, LeaseAcceptArguments};
use super::members::members;
use super::names::Names;
use super::{ask_fence, block_on};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, grouped, note, rendered};
use relaymesh_core::lease::acceptor::{Conflict, NotAccepted};
use relaymesh_core::mesh::fence::{Reply, Request};
use serde::Serialize;

/// One stale write, as people and programs see it.
#[derive(Debug, Serialize)]
struct Row {
    scope: String,
    /// At least what would have been accepted.
    expected: String,
    /// What the writer came with.
    actual: String,
    /// Name of the writer.
    who: String,
    id: String,
    /// Milliseconds since 1970, by the clock of the node that refused.
    at_unix_ms: u64,
}

#[derive(Debug, Serialize)]
struct Conflicts {
    /// The newest ones, the oldest of them first.
    conflicts: Vec<Row>,
    /// How many older ones are not on record any more.
    dropped: u64,
}

pub(super) fn accept(arguments: &LeaseAcceptArguments) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    block_on(async {
        let who = Names::of(members(dir).await?).node(&arguments.writer)?;
        match ask_fence(dir, Request::Accept { scope: arguments.scope, epoch: arguments.token, who }).await? {
            Reply::Accepted => Ok(Exit::Held),
            Reply::Stale(conflict) => Err(Error::NotAccepted(NotAccepted::Stale(conflict))),
            Reply::Full { limit } => Err(Error::NotAccepted(NotAccepted::Full { limit: limit as usize })),
            _ => Err(Error::OtherAnswer),
        }
    })
}

pub(super) fn list(arguments: &FolderArguments, output: &Output) -> Result<Exit, Error> {
    let (names, reply) = block_on(async {
        let names = Names::of(members(&arguments.dir).await?);
        Ok((names, ask_fence(&arguments.dir, Request::Conflicts).await?))
    })?;
    let Reply::Conflicts { conflicts, dropped } = reply else { return Err(Error::OtherAnswer) };
    let row = |conflict: &Conflict| Row {
        scope: conflict.scope.to_string(),
        expected: conflict.expected.to_string(),
        actual: conflict.actual.to_string(),
        who: names.name(conflict.who),
        id: conflict.who.to_string(),
        at_unix_ms: conflict.when.as_unix_nanos() / 1_000_000,
    };
    let it = Conflicts { conflicts: conflicts.iter().map(row).collect(), dropped };
    if output.is_json() {
        output.json(&it)?;
        return Ok(Exit::Held);
    }
    let mut table = output.table(&["scope", "expected", "actual", "writer", ">at", "id"]);
    for row in &it.conflicts {
        table.add_row([
            cell(Tone::Strong, &row.scope),
            cell(Tone::Plain, &row.expected),
            cell(Tone::Bad, &row.actual),
            cell(Tone::Plain, &row.who),
            cell(Tone::Plain, format!("{}.{:03}", row.at_unix_ms / 1_000, row.at_unix_ms % 1_000)),
            cell(Tone::Dim, &row.id),
        ]);
    }
    output.print(&rendered(&table))?;
    if dropped > 0 {
        note(format_args!("{} older ones are not on record any more", grouped(dropped)));
    }
    Ok(Exit::Held)
}
