//! `relaymesh members` and `relaymesh leave`: what a running node knows of the mesh, and its good-bye.

use super::arguments::{FolderArguments, MembersArguments};
use super::{ask, block_on};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, note};
use relaymesh_core::membership::{MemberView, Reply, Request, Status};
use relaymesh_core::time::Duration;
use serde::Serialize;
use std::path::Path;

/// One member, as people and programs see it.
#[derive(Debug, Serialize)]
pub(super) struct Member {
    /// Its id.
    id: String,
    /// What it is called.
    name: String,
    /// alive, suspect, dead or left.
    status: &'static str,
    /// Whether it counts as alive for placement.
    counts: bool,
    /// Seconds until it counts, if it stays healthy.
    counts_in_seconds: Option<f64>,
    /// Seconds since its status changed.
    since_seconds: f64,
    /// Where it is reached.
    endpoint: Option<String>,
    /// own, direct, indirect or untried.
    link: &'static str,
    /// Round trip in milliseconds.
    rtt_ms: Option<f64>,
    /// Round trip that the coordinates predict, in milliseconds.
    predicted_rtt_ms: Option<f64>,
    /// Its health in percent, by its own account.
    health: Option<u8>,
    /// Incarnation.
    incarnation: u64,
    role: String,
    region: String,
    zone: String,
    version: String,
    labels: std::collections::BTreeMap<String, String>,
    /// Keys that it opens packets with; the first one seals.
    keys: Vec<String>,
}

pub(super) fn run(arguments: &MembersArguments, output: &Output) -> Result<Exit, Error> {
    block_on(async {
        loop {
            let members = members(&arguments.folder.dir).await?;
            show(&members, output)?;
            let Some(pause) = arguments.watch else { return Ok(Exit::Held) };
            tokio::time::sleep(pause).await;
        }
    })
}

pub(super) fn leave(arguments: &FolderArguments, output: &Output) -> Result<Exit, Error> {
    block_on(async {
        ask(&arguments.dir, Request::Leave).await?;
        if !output.is_json() {
            note("the node has left; stop it, or start it again to rejoin");
        }
        Ok(Exit::Held)
    })
}

/// Everyone that the node in `folder` knows.
pub(crate) async fn members(folder: &Path) -> Result<Vec<MemberView>, Error> {
    match ask(folder, Request::Members).await? {
        Reply::Members(members) => Ok(members),
        _ => Err(Error::OtherAnswer),
    }
}

fn show(members: &[MemberView], output: &Output) -> Result<(), Error> {
    let mut rows: Vec<Member> = members.iter().map(Member::from).collect();
    rows.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    if output.is_json() {
        return output.json(&rows);
    }
    let mut table =
        output.table(&["name", "status", "counts", ">for", "endpoint", "link", ">rtt", ">health", "zone", "id"]);
    for row in &rows {
        let tone = match row.status {
            "alive" => Tone::Good,
            "suspect" => Tone::Warn,
            "dead" => Tone::Bad,
            _ => Tone::Dim,
        };
        let counts = match (row.counts, row.counts_in_seconds) {
            (true, _) => "yes".to_owned(),
            (false, Some(seconds)) => format!("in {seconds:.0} s"),
            (false, None) => "no".to_owned(),
        };
        let number = |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.2} ms"));
        table.add_row([
            cell(Tone::Strong, &row.name),
            cell(tone, row.status),
            cell(Tone::Plain, counts),
            cell(Tone::Plain, format!("{:.0} s", row.since_seconds)),
            cell(Tone::Plain, row.endpoint.as_deref().unwrap_or_default()),
            cell(Tone::Plain, row.link),
            cell(Tone::Plain, number(row.rtt_ms)),
            cell(Tone::Plain, row.health.map_or_else(String::new, |health| format!("{health} %"))),
            cell(Tone::Plain, &row.zone),
            cell(Tone::Dim, &row.id),
        ]);
    }
    output.print(&format!("{table}\n"))
}

impl From<&MemberView> for Member {
    fn from(view: &MemberView) -> Self {
        let millis = |span: Duration| span.as_nanos() as f64 / 1e6;
        let description = view.description.as_deref();
        let profile = description.map(|description| &*description.profile);
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let labels = profile.map(|profile| profile.labels.iter());
        Self {
            id: view.node.to_string(),
            name: text(description.map(|it| &*it.name)),
            status: view.status.name(),
            counts: view.in_good_standing && view.status != Status::Left,
            counts_in_seconds: view.counts_in.map(Duration::as_secs_f64),
            since_seconds: view.since.as_secs_f64(),
            endpoint: description.map(|it| it.endpoint.to_string()),
            link: view.link.name(),
            rtt_ms: view.round_trip.map(millis),
            predicted_rtt_ms: view.predicted.map(millis),
            health: description.map(|it| it.health),
            incarnation: view.incarnation.0,
            role: text(profile.map(|it| &*it.role)),
            region: text(profile.map(|it| &*it.region)),
            zone: text(profile.map(|it| &*it.zone)),
            version: text(profile.map(|it| &*it.software)),
            labels: labels.into_iter().flatten().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            keys: description.map(|it| it.keys.iter().map(|key| key.to_string()).collect()).unwrap_or_default(),
        }
    }
}
