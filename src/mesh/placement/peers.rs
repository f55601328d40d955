//! `relaymesh mesh peers`: nodes as places for shards.

use super::arguments::{DrainArguments, PeerArguments};
use super::ask::{rows, sites};
use super::plan::standing;
use crate::error::{Error, Exit};
use crate::mesh::arguments::FolderArguments;
use crate::mesh::cluster::executed;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::mesh::{ask_control, block_on};
use crate::output::{Output, Tone, cell, counted, grouped, note, rendered};
use relaymesh_core::control::node::Request;
use relaymesh_core::control::state::Cordon;
use relaymesh_core::identity::NodeId;
use relaymesh_core::shards::placement::Site;
use serde::Serialize;
use std::time::Duration;

/// The pause before it is looked again what is left on a node.
const PAUSE: Duration = Duration::from_millis(200);

/// A node as a place for shards, as people and programs see it.
#[derive(Debug, Serialize)]
struct Peer {
    name: String,
    zone: String,
    weight: u16,
    /// open, cordoned, draining, or unsteady: given nothing until it was well for long enough.
    standing: &'static str,
    /// Shards that it owns, of all namespaces.
    owned: u64,
    /// Shards of which it has a copy, those among them.
    copies: u64,
    id: String,
}

pub(super) fn list(folder: &FolderArguments, output: &Output) -> Result<Exit, Error> {
    let peers = block_on(async {
        let names = Names::of(members(&folder.dir).await?);
        let all = rows(&folder.dir).await?;
        let (sites, doubtful) = sites(&folder.dir, &all).await?;
        let count =
            |is: &dyn Fn(&relaymesh_core::shards::host::Row) -> bool| all.iter().filter(|row| is(row)).count() as u64;
        let peer = |site: &Site| Peer {
            name: names.name(site.node),
            zone: site.zone.to_string(),
            weight: site.weight,
            standing: if doubtful.contains(&site.node) { "unsteady" } else { standing(site.standing) },
            owned: count(&|row| row.record.owner.is_some_and(|owner| owner.node == site.node)),
            copies: count(&|row| row.record.is_on(site.node)),
            id: site.node.to_string(),
        };
        let mut peers: Vec<Peer> = sites.values().map(peer).collect();
        peers.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(peers)
    })?;
    if output.is_json() {
        output.json(&peers)?;
        return Ok(Exit::Held);
    }
    let mut table = output.table(&["name", "zone", ">weight", "standing", ">owns", ">copies", "id"]);
    for peer in &peers {
        table.add_row([
            cell(Tone::Strong, &peer.name),
            cell(Tone::Plain, &peer.zone),
            cell(Tone::Plain, peer.weight),
            cell(if peer.standing == "open" { Tone::Good } else { Tone::Warn }, peer.standing),
            cell(Tone::Plain, grouped(peer.owned)),
            cell(Tone::Plain, grouped(peer.copies)),
            cell(Tone::Dim, &peer.id),
        ]);
    }
    output.print(&rendered(&table))?;
    if peers.is_empty() {
        note("no namespace is declared yet: there is nothing to place");
    }
    Ok(Exit::Held)
}

pub(super) fn cordon(peer: &PeerArguments) -> Result<Exit, Error> {
    block_on(set(peer, Cordon::Cordoned))?;
    note(format_args!("{} is given nothing new; `relaymesh mesh peers uncordon {0}` takes that back", peer.node));
    Ok(Exit::Held)
}

pub(super) fn uncordon(peer: &PeerArguments) -> Result<Exit, Error> {
    block_on(set(peer, Cordon::None))?;
    note(format_args!(
        "{} may be given what suits it; `relaymesh mesh shards rebalance` makes a plan of that",
        peer.node
    ));
    Ok(Exit::Held)
}

pub(super) fn drain(arguments: &DrainArguments) -> Result<Exit, Error> {
    let peer = &arguments.peer;
    block_on(async {
        let node = set(peer, Cordon::Draining).await?;
        if arguments.no_wait {
            note(format_args!("{} drains; `relaymesh mesh peers list` shows what is left on it", peer.node));
            return Ok(Exit::Held);
        }
        let mut last = None;
        loop {
            let left = rows(&peer.folder.dir).await?.iter().filter(|row| row.record.is_on(node)).count() as u64;
            if left == 0 {
                note(format_args!("nothing is left on {}: it can be stopped", peer.node));
                return Ok(Exit::Held);
            }
            if last.replace(left) != Some(left) {
                note(format_args!("{} left on {}", counted(left, "shard"), peer.node));
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

async fn set(peer: &PeerArguments, cordon: Cordon) -> Result<NodeId, Error> {
    let folder = &peer.folder.dir;
    let node = Names::of(members(folder).await?).node(&peer.node)?;
    executed(ask_control(folder, Request::Cordon { node, cordon }).await?)?;
    Ok(node)
}
