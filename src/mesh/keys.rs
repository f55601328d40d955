//! `relaymesh keys`: which keys the mesh holds, and how one replaces another without a restart.

use super::arguments::{KeysArguments, KeysCommand};
use super::members::members;
use super::node::read_key;
use super::{ask, block_on};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell};
use relaymesh_core::envelope::{ClusterKey, KeyId};
use relaymesh_core::membership::{MemberView, Request, Status};
use relaymesh_io_tokio::{control, entropy};
use serde::Serialize;
use std::collections::BTreeMap;

/// One key of the mesh.
#[derive(Debug, Default, Serialize)]
struct Coverage {
    key: String,
    /// Members that open packets with it.
    held_by: u32,
    /// Members that seal with it.
    sealing: u32,
    /// Members that have not left, the unreachable included.
    of: u32,
    /// Those that do not hold it.
    missing_on: Vec<String>,
}

pub(super) fn run(arguments: &KeysArguments, output: &Output) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    match &arguments.command {
        KeysCommand::List => block_on(async { list(&members(dir).await?, output) }),
        KeysCommand::New => {
            // The node's own keyring says which cluster the key is for.
            let cluster = read_key(&dir.join("keyring"))?.cluster;
            let key = ClusterKey::generate(cluster, entropy::draw().map_err(Error::Entropy)?).map_err(Error::Key)?;
            output.print(&format!("{}\n", key.reveal().expose()))?;
            Ok(Exit::Held)
        }
        KeysCommand::Install { file } => block_on(async {
            let key = read_key(file)?;
            let id = control::install_key(dir, &key).await.map_err(|problem| Error::Ask(Box::new(problem)))?;
            output.print(&format!("{id}\n"))?;
            Ok(Exit::Held)
        }),
        KeysCommand::Use { key, force } => block_on(async {
            ask(dir, Request::UseKey { id: *key, force: *force }).await?;
            Ok(Exit::Held)
        }),
        KeysCommand::Remove { key, force } => block_on(async {
            ask(dir, Request::RemoveKey { id: *key, force: *force }).await?;
            Ok(Exit::Held)
        }),
    }
}

fn list(members: &[MemberView], output: &Output) -> Result<Exit, Error> {
    let present: Vec<_> = members.iter().filter(|member| member.status != Status::Left).collect();
    let mut keys: BTreeMap<KeyId, Coverage> = BTreeMap::new();
    for member in &present {
        let Some(description) = &member.description else { continue };
        for id in description.keys.iter() {
            let coverage = keys.entry(id).or_default();
            coverage.held_by += 1;
            coverage.sealing += u32::from(description.keys.sealing() == Some(id));
        }
    }
    for (id, coverage) in &mut keys {
        (coverage.key, coverage.of) = (id.to_string(), present.len() as u32);
        let lacks = |member: &&&MemberView| member.description.as_ref().is_none_or(|it| !it.keys.opens(*id));
        let name = |member: &&MemberView| {
            let name = member.description.as_ref().map(|it| it.name.to_string()).filter(|name| !name.is_empty());
            name.unwrap_or_else(|| member.node.to_string())
        };
        coverage.missing_on = present.iter().filter(lacks).map(name).collect();
    }
    let rows: Vec<Coverage> = keys.into_values().collect();
    if output.is_json() {
        output.json(&rows)?;
        return Ok(Exit::Held);
    }
    let mut table = output.table(&["key", ">held by", ">sealing", "missing on"]);
    for row in &rows {
        let tone = if row.missing_on.is_empty() { Tone::Good } else { Tone::Warn };
        table.add_row([
            cell(Tone::Strong, &row.key),
            cell(tone, format!("{} of {}", row.held_by, row.of)),
            cell(Tone::Plain, row.sealing),
            cell(Tone::Plain, row.missing_on.join(", ")),
        ]);
    }
    output.print(&format!("{table}\n"))?;
    Ok(Exit::Held)
}
