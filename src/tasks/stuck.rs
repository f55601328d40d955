//! Why a shard does not answer: who owns it, for how long nothing of it has moved, and whether anybody decides.

use super::client::Shards;
use crate::error::Error;
use crate::mesh::ask_any;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use relaymesh_core::control::node as control;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Refusal, Row};
use std::fmt;
use std::time::{Duration, Instant};

/// How long it is looked whether anything moves.
const LOOK_FOR: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the node that was asked knows of a shard that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    shard: ShardId,
    /// What its owner is called, if it has one.
    owner: Option<String>,
    /// Nothing has moved while it was looked; unknown to a node that has no copy.
    stands_still: Option<bool>,
    /// The node knows of a leader of the control group.
    has_leader: bool,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shard, owner, stands_still, has_leader } = self;
        let span = LOOK_FOR.as_secs();
        write!(f, "{shard} does not answer: ")?;
        match (owner, stands_still) {
            (Some(owner), Some(true)) => {
                write!(f, "as far as this node knows, its owner {owner} has not advanced for {span} s")?;
            }
            (Some(owner), None) => write!(f, "this node does not reach its owner {owner}")?,
            (Some(owner), Some(false)) => write!(f, "{owner} is taking it over")?,
            (None, Some(false)) => write!(f, "it is being given an owner")?,
            (None, _) => write!(f, "it has had no owner for {span} s")?,
        }
        match (has_leader, stands_still) {
            (false, _) => write!(
                f,
                ", and there is no majority of the control group that this node could reach\n  start the other nodes, or heal \
                 the network; what was parked then begins by itself"
            ),
            (true, Some(true) | None) => {
                write!(f, "\n  look at `relaymesh mesh shards list` and `relaymesh mesh members`")
            }
            (true, Some(false)) => write!(f, "\n  ask again in a moment"),
        }
    }
}

/// What is wrong with the shard, where it was asked in vain; any other problem is what it was.
pub(super) async fn explained(shards: &Shards<'_>, shard: ShardId, problem: Error) -> Error {
    if !matches!(problem, Error::ShardRefused(Refusal::NoOwner { .. }) | Error::OutcomeUnknown) {
        return problem;
    }
    look(shards, shard).await.map_or(problem, Error::ShardStuck)
}

async fn look(shards: &Shards<'_>, shard: ShardId) -> Result<Stuck, Error> {
    let (begun, first) = (Instant::now(), shards.row(shard).await?);
    let mut last = first.clone();
    while begun.elapsed() < LOOK_FOR && what_moves(&last) == what_moves(&first) {
        tokio::time::sleep(LOOK_EVERY).await;
        last = shards.row(shard).await?;
    }
    let folder = &shards.place().folder.dir;
    let names = Names::of(members(folder).await?);
    let owner = last.record.owner.map(|owner| names.name(owner.node));
    let has_leader = match ask_any(folder, Request::Control(control::Request::Status)).await? {
        Reply::Control(control::Reply::Status(status)) => status.leader.is_some(),
        _ => false,
    };
    let is_same = what_moves(&last) == what_moves(&first);
    let stands_still = (last.own.is_some() || !is_same).then_some(is_same);
    Ok(Stuck { shard, owner, stands_still, has_leader })
}

/// What of a shard changes while it gets on: an owner that reaches nobody only writes more that is not acknowledged.
fn what_moves(row: &Row) -> impl PartialEq + use<> {
    (row.record.version, row.own.as_ref().map(|own| own.acknowledged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use relaymesh_core::control::state::Name;

    #[test]
    fn what_is_said_depends_on_what_is_known() {
        let shard = ShardId { namespace: Name::new("default").unwrap(), number: 3 };
        let said = |owner: Option<&str>, stands_still, has_leader| {
            let owner = owner.map(Into::into);
            Stuck { shard, owner, stands_still, has_leader }.to_string()
        };
        assert!(
            said(Some("b"), Some(true), false)
                .contains("its owner b has not advanced for 3 s, and there is no majority")
        );
        assert!(said(Some("b"), Some(true), true).contains("mesh shards list"));
        assert!(said(Some("b"), Some(false), true).contains("b is taking it over\n  ask again"));
        assert!(said(Some("b"), None, true).contains("does not reach its owner b"));
        assert!(said(None, Some(true), true).contains("no owner for 3 s"));
        assert!(said(None, Some(false), true).contains("being given an owner"));
    }
}
