//! `relaymesh cluster-…`: the control group founded, shown, changed, and its epoch bumped.

use super::arguments::{
    ClusterActivateArguments, ClusterInitArguments, ClusterVotersArguments, EpochBumpArguments, FolderArguments,
};
use super::members::members;
use super::names::Names;
use super::{ask_control, block_on};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, counted, grouped, note, rendered};
use relaymesh_core::control::group::Voter;
use relaymesh_core::control::node::{Founding, Reply, Request, ScopeStatus, Status};
use relaymesh_core::control::state::limits::TEXT_BYTES;
use relaymesh_core::control::state::{Outcome, RecoveryId, Scope, Text};
use relaymesh_core::epoch::ClusterEpoch;
use relaymesh_core::identity::NodeId;
use relaymesh_core::time::Duration;
use relaymesh_io_tokio::entropy;
use serde::Serialize;
use std::path::Path;

/// How long a new group may take to elect its first leader, in pauses between two tries.
const TRIES: u32 = 500;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// What the cluster has agreed on, as people and programs see it.
#[derive(Debug, Serialize)]
struct ClusterState {
    /// Fences whatever was granted under an older one.
    epoch: u64,
    /// Names this history of the cluster.
    recovery: String,
    /// Whether nothing is granted, after a recovery.
    quarantined: bool,
    /// Name of the leader, if it is known.
    leader: Option<String>,
    /// The leader's term; none on a node that only follows.
    term: Option<u64>,
    /// How stale this may be at most, in milliseconds, on a node that only follows.
    stale_ms: Option<f64>,
    /// The last entry that this node has applied.
    applied: u64,
    voters: Vec<VoterState>,
    sessions: u64,
    scopes: u64,
}

#[derive(Debug, Serialize)]
struct VoterState {
    name: String,
    id: String,
    store: String,
    leads: bool,
}

/// One scope, as people and programs see it.
#[derive(Debug, Serialize)]
pub(super) struct ScopeState {
    pub(super) scope: String,
    /// global or named.
    #[serde(rename = "scopeKind")]
    pub(super) kind: &'static str,
    /// Id of the holder.
    #[serde(rename = "leaderId")]
    pub(super) leader_id: Option<String>,
    /// Its name.
    pub(super) leader: Option<String>,
    /// How many times the scope was granted.
    pub(super) term: Option<u64>,
    /// What outside systems fence with: greater is newer, compared number by number.
    #[serde(rename = "fenceToken")]
    pub(super) token: Option<String>,
    /// Nodes that wait for it.
    pub(super) waiting: u64,
}

pub(super) fn init(arguments: &ClusterInitArguments) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    block_on(async {
        let names = Names::of(members(dir).await?);
        let others = voters_named(&names, &arguments.with)?;
        found(dir, &names, arguments.span_max).await?;
        if !others.is_empty() {
            change(dir, others, Vec::new()).await?;
        }
        note(format_args!("the control group is founded, with {}", counted(1 + arguments.with.len() as u64, "voter")));
        Ok(Exit::Held)
    })
}

/// Founds a group in which the node in `dir` votes alone.
pub(crate) async fn found(dir: &Path, names: &Names, span_max: std::time::Duration) -> Result<(), Error> {
    let own = names.own().ok_or(Error::OtherAnswer)?;
    let draw = || entropy::draw().map_err(Error::Entropy);
    let founding = Founding {
        nonce: u128::from_le_bytes(draw()?),
        recovery: RecoveryId(u128::from_le_bytes(draw()?) as u64),
        voters: [own].into(),
        span_max: Duration::from_nanos(u64::try_from(span_max.as_nanos()).unwrap_or(u64::MAX)),
    };
    ask_control(dir, Request::Found(founding)).await.map(drop)
}

pub(super) fn voters(arguments: &ClusterVotersArguments) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    block_on(async {
        let names = Names::of(members(dir).await?);
        let add = voters_named(&names, &arguments.add)?;
        let remove = arguments.remove.iter().map(|name| names.node(name)).collect::<Result<Vec<_>, _>>()?;
        let now = change(dir, add, remove).await?;
        note(format_args!("the control group has {}", counted(now.len() as u64, "voter")));
        Ok(Exit::Held)
    })
}

/// Changes the voters. A group that has just been founded elects its leader first.
pub(crate) async fn change(dir: &Path, add: Vec<Voter>, remove: Vec<NodeId>) -> Result<Vec<Voter>, Error> {
    for _ in 0..TRIES {
        if status(dir).await?.leader.is_some() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    match ask_control(dir, Request::ChangeVoters { add, remove }).await? {
        Reply::Voters(voters) => Ok(voters),
        _ => Err(Error::OtherAnswer),
    }
}

fn voters_named(names: &Names, wanted: &[String]) -> Result<Vec<Voter>, Error> {
    wanted.iter().map(|name| names.voter(name)).collect()
}

pub(super) fn bump_epoch(arguments: &EpochBumpArguments, output: &Output) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    let actor = arguments.actor.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "operator".into());
    block_on(async {
        let expected = match arguments.expected {
            Some(epoch) => ClusterEpoch(epoch),
            None => status(dir).await?.lineage.epoch,
        };
        let (reason, actor) = (text(&arguments.reason), text(&actor));
        match ask_control(dir, Request::BumpEpoch { expected, reason, actor }).await? {
            Reply::EpochKnown(epoch) => {
                output.print(&format!("{}\n", epoch.0))?;
                Ok(Exit::Held)
            }
            Reply::Executed(Outcome::Refused(refusal)) => Err(Error::NotExecuted(refusal)),
            _ => Err(Error::OtherAnswer),
        }
    })
}

pub(super) fn activate(arguments: &ClusterActivateArguments) -> Result<Exit, Error> {
    let version = arguments.version;
    executed(block_on(ask_control(&arguments.folder.dir, Request::Activate { version }))?)?;
    note(format_args!("commands of version {version} may be used from now on"));
    Ok(Exit::Held)
}

/// A command that is to be executed was.
pub(crate) fn executed(reply: Reply) -> Result<(), Error> {
    match reply {
        Reply::Executed(Outcome::Done(_)) => Ok(()),
        Reply::Executed(Outcome::Refused(refusal)) => Err(Error::NotExecuted(refusal)),
        _ => Err(Error::OtherAnswer),
    }
}

/// As much of it as is kept, cut between two characters.
pub(super) fn text(text: &str) -> Text {
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Text::new(&text.as_bytes()[..end]).unwrap_or(Text::EMPTY)
}

/// What the node in `folder` knows of the cluster.
pub(crate) async fn status(folder: &Path) -> Result<Status, Error> {
    match ask_control(folder, Request::Status).await? {
        Reply::Status(status) => Ok(status),
        _ => Err(Error::OtherAnswer),
    }
}

pub(super) fn state(arguments: &FolderArguments, output: &Output) -> Result<Exit, Error> {
    let (names, status) = block_on(async {
        let names = Names::of(members(&arguments.dir).await?);
        Ok((names, status(&arguments.dir).await?))
    })?;
    let it = ClusterState::new(&names, &status);
    if output.is_json() {
        output.json(&it)?;
        return Ok(Exit::Held);
    }
    let leader = it.leader.as_deref().unwrap_or("none known");
    let mut head = output.table(&["epoch", ">term", "leader", ">applied", ">sessions", ">scopes", "recovery"]);
    head.add_row([
        cell(if it.quarantined { Tone::Warn } else { Tone::Strong }, it.epoch),
        cell(Tone::Plain, it.term.map(grouped).unwrap_or_default()),
        cell(if it.leader.is_some() { Tone::Good } else { Tone::Bad }, leader),
        cell(Tone::Plain, grouped(it.applied)),
        cell(Tone::Plain, grouped(it.sessions)),
        cell(Tone::Plain, grouped(it.scopes)),
        cell(Tone::Dim, &it.recovery),
    ]);
    let mut voters = output.table(&["voter", "leads", "store", "id"]);
    for voter in &it.voters {
        let leads = if voter.leads { cell(Tone::Good, "yes") } else { cell(Tone::Plain, "") };
        voters.add_row([
            cell(Tone::Strong, &voter.name),
            leads,
            cell(Tone::Dim, &voter.store),
            cell(Tone::Dim, &voter.id),
        ]);
    }
    output.print(&format!("{}\n{}", rendered(&head), rendered(&voters)))?;
    if let Some(stale) = it.stale_ms {
        note(format_args!("a copy, at most {stale:.0} ms old: this node does not belong to the control group"));
    }
    if it.quarantined {
        note("nothing is granted yet: the cluster was recovered, and who held something before may still act");
    }
    Ok(Exit::Held)
}

impl ClusterState {
    fn new(names: &Names, status: &Status) -> Self {
        let voter = |voter: &Voter| VoterState {
            name: names.name(voter.node),
            id: voter.node.to_string(),
            store: voter.store.to_string(),
            leads: status.leader == Some(voter.node),
        };
        Self {
            epoch: status.lineage.epoch.0,
            recovery: status.lineage.recovery.to_string(),
            quarantined: status.is_quarantined,
            leader: status.leader.map(|leader| names.name(leader)),
            term: status.term,
            stale_ms: status.staleness.map(|it| it.as_nanos() as f64 / 1e6),
            applied: status.applied,
            voters: status.voters.iter().map(voter).collect(),
            sessions: status.sessions,
            scopes: status.scopes_total,
        }
    }
}

impl ScopeState {
    pub(super) fn new(names: &Names, status: &ScopeStatus) -> Self {
        let (scope, kind) = match status.scope {
            Scope::Global => ("global".to_owned(), "global"),
            Scope::Named(name) => (name.to_string(), "named"),
        };
        let lease = status.lease;
        Self {
            scope,
            kind,
            leader_id: lease.map(|lease| lease.holder.to_string()),
            leader: lease.map(|lease| names.name(lease.holder)),
            term: lease.map(|lease| lease.term),
            token: lease.map(|lease| lease.token.to_string()),
            waiting: status.waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let long = "ä".repeat(100);
        let cut = text(&long);
        assert_eq!(core::str::from_utf8(cut.as_slice()).unwrap(), "ä".repeat(64));
        assert_eq!(text("why").as_slice(), b"why");
    }
}
