//! `relaymesh mesh leaders`: who leads what, and who is to.

use super::arguments::{LeadersCommand, LeadersStatusArguments, ScopeArguments};
use super::cluster::{ScopeState, executed, status};
use super::members::members;
use super::names::Names;
use super::{ask_control, ask_fence, block_on};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, grouped, note, rendered};
use relaymesh_core::control::node::{Reply, Request};
use relaymesh_core::mesh::fence;

pub(super) fn run(command: &LeadersCommand, output: &Output) -> Result<Exit, Error> {
    match command {
        LeadersCommand::Status(arguments) => show_all(arguments, output),
        LeadersCommand::Hold(arguments) => tell(arguments, Request::Hold(arguments.scope)),
        LeadersCommand::Drop(arguments) => tell(arguments, Request::Drop(arguments.scope)),
        LeadersCommand::Retire(arguments) => retire(arguments),
        LeadersCommand::Transfer { scope, to } => transfer(scope, to),
        LeadersCommand::Act(arguments) => act(arguments, output),
    }
}

fn show_all(arguments: &LeadersStatusArguments, output: &Output) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    block_on(async {
        loop {
            let names = Names::of(members(dir).await?);
            let status = status(dir).await?;
            let rows: Vec<ScopeState> = status.scopes.iter().map(|scope| ScopeState::new(&names, scope)).collect();
            show(&rows, status.scopes_total, output)?;
            let Some(pause) = arguments.watch else { return Ok(Exit::Held) };
            tokio::time::sleep(pause).await;
        }
    })
}

fn show(rows: &[ScopeState], total: u64, output: &Output) -> Result<(), Error> {
    if output.is_json() {
        return output.json(&rows);
    }
    let mut table = output.table(&["scope", "leader", ">term", "token", ">waiting", "id"]);
    for row in rows {
        let leader = match &row.leader {
            Some(leader) => cell(Tone::Good, leader),
            None => cell(Tone::Warn, "nobody"),
        };
        table.add_row([
            cell(Tone::Strong, &row.scope),
            leader,
            cell(Tone::Plain, row.term.map(grouped).unwrap_or_default()),
            cell(Tone::Plain, row.token.as_deref().unwrap_or_default()),
            cell(Tone::Plain, grouped(row.waiting)),
            cell(Tone::Dim, row.leader_id.as_deref().unwrap_or_default()),
        ]);
    }
    output.print(&format!("{}\n", rendered(&table)))?;
    let hidden = total.saturating_sub(rows.len() as u64);
    if hidden > 0 {
        note(format_args!("{} more are not shown", grouped(hidden)));
    }
    Ok(())
}

fn tell(arguments: &ScopeArguments, request: Request) -> Result<Exit, Error> {
    block_on(async {
        match ask_control(&arguments.folder.dir, request).await? {
            Reply::Taken => Ok(Exit::Held),
            _ => Err(Error::OtherAnswer),
        }
    })
}

fn retire(arguments: &ScopeArguments) -> Result<Exit, Error> {
    executed(block_on(ask_control(&arguments.folder.dir, Request::Retire(arguments.scope)))?)?;
    Ok(Exit::Held)
}

fn transfer(arguments: &ScopeArguments, to: &str) -> Result<Exit, Error> {
    let dir = &arguments.folder.dir;
    let to = block_on(async { Names::of(members(dir).await?).node(to) })?;
    tell(arguments, Request::Transfer { scope: arguments.scope, to })
}

fn act(arguments: &ScopeArguments, output: &Output) -> Result<Exit, Error> {
    let reply = block_on(ask_fence(&arguments.folder.dir, fence::Request::Act(arguments.scope)))?;
    match reply {
        fence::Reply::Acts(token) => {
            output.print(&format!("{token}\n"))?;
            Ok(Exit::Held)
        }
        fence::Reply::NotHeld => Err(Error::NotHeld(arguments.scope)),
        _ => Err(Error::OtherAnswer),
    }
}
