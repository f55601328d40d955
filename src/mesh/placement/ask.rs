//! What a node is asked about placement.

use crate::error::Error;
use crate::mesh::ask_any;
use crate::tasks::arguments::Place;
use relaymesh_core::control::state::Name;
use relaymesh_core::identity::NodeId;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::plan_view::{PlacementView, PlanAsked};
use relaymesh_core::shards::host::{Refusal, Reply as Told, Request as Question, Row};
use relaymesh_core::shards::placement::{Moved, Site, Table};
use std::collections::BTreeMap;
use std::path::Path;

/// Asks the node in `folder` about shards.
pub(super) async fn ask(folder: &Path, question: Question) -> Result<Told, Error> {
    match ask_any(folder, Request::Shards(question)).await? {
        Reply::Shards(Told::Refused(why)) => Err(Error::ShardRefused(why)),
        Reply::Shards(Told::Unknown) => Err(Error::PlanUnknown),
        Reply::Shards(told) => Ok(told),
        _ => Err(Error::OtherAnswer),
    }
}

/// Asks it about the placement of a namespace.
pub(super) async fn ask_placement(place: &Place, asked: PlanAsked) -> Result<Told, Error> {
    let question = Question::Placement { namespace: place.namespace, asked };
    match ask(&place.folder.dir, question).await {
        Err(Error::ShardRefused(Refusal::NoShard)) => {
            let all = rows(&place.folder.dir).await?;
            let others = all.iter().filter(|row| row.shard.number == 0).map(|row| row.shard.namespace.to_string());
            Err(Error::NoNamespace { name: place.namespace.to_string(), others: others.collect() })
        }
        told => told,
    }
}

/// All shards, as the node knows them.
pub(super) async fn rows(folder: &Path) -> Result<Vec<Row>, Error> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.shard);
        let Told::Shards(table) = ask(folder, Question::List { after }).await? else { return Err(Error::OtherAnswer) };
        if table.rows.is_empty() {
            return Ok(rows);
        }
        rows.extend(table.rows);
    }
}

/// The namespaces that shards are of, in order.
pub(super) fn namespaces(rows: &[Row]) -> Vec<Name> {
    let mut names: Vec<Name> = rows.iter().map(|row| row.shard.namespace).collect();
    names.dedup();
    names
}

/// The nodes that shards can be placed on now, and those of them that are given nothing; nobody where nothing is declared.
pub(super) async fn sites(folder: &Path, rows: &[Row]) -> Result<(BTreeMap<NodeId, Site>, Vec<NodeId>), Error> {
    let Some(namespace) = namespaces(rows).first().copied() else { return Ok((BTreeMap::new(), Vec::new())) };
    let (view, _) = placement(&Place::of(folder, namespace)).await?;
    Ok((view.open_sites.iter().map(|site| (site.node, *site)).collect(), view.doubtful))
}

/// How placement stands, with the table of one version.
pub(super) async fn placement(place: &Place) -> Result<(PlacementView, Table), Error> {
    'again: loop {
        let mut whole: Option<PlacementView> = None;
        loop {
            let after = whole.as_ref().and_then(|view| (view.rows.len() as u32).checked_sub(1));
            let Told::Placement(view) = ask_placement(place, PlanAsked::Show { after }).await? else {
                return Err(Error::OtherAnswer);
            };
            let whole = match &mut whole {
                None => whole.insert(*view),
                Some(whole) if whole.version != view.version => continue 'again,
                Some(whole) => {
                    whole.rows.extend(view.rows);
                    whole
                }
            };
            if whole.rows.len() >= whole.rule.shards as usize {
                break;
            }
        }
        let Some(view) = whole else { return Err(Error::OtherAnswer) };
        let table = Table::told(view.version, view.rule, view.sites.clone(), &view.rows).ok_or(Error::OtherAnswer)?;
        if table.checksum() != view.checksum {
            return Err(Error::OtherAnswer);
        }
        return Ok((view, table));
    }
}

/// What a plan moves, or has moved.
pub(super) async fn moves(place: &Place, plan: u64) -> Result<Vec<Moved>, Error> {
    let mut moves: Vec<Moved> = Vec::new();
    loop {
        let after = moves.last().map(|moved| moved.shard);
        let Told::Moves(some) = ask_placement(place, PlanAsked::Moves { plan, after }).await? else {
            return Err(Error::OtherAnswer);
        };
        if some.is_empty() {
            return Ok(moves);
        }
        moves.extend(some);
    }
}
