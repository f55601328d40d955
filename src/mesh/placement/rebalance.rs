//! `relaymesh mesh shards rebalance`: a plan made, approved, given up, or the last one taken back.

use super::arguments::RebalanceArguments;
use super::ask::{ask_placement, moves, placement};
use super::plan::{moves_in_words, show_moves};
use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::output::{Output, note};
use crate::tasks::arguments::Place;
use crate::wall::spelled;
use relaymesh_core::shards::host::Reply as Told;
use relaymesh_core::shards::host::plan_view::PlanAsked;
use relaymesh_core::time::WallTime;
use std::time::Duration;

/// The pause before it is looked again how far a plan is.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn run(arguments: &RebalanceArguments, output: &Output) -> Result<Exit, Error> {
    let place = &arguments.place;
    block_on(async {
        if let Some(plan) = arguments.cancel {
            agreed(ask_placement(place, PlanAsked::Cancel { plan }).await?)?;
            note(format_args!("plan {plan} is given up; what it has moved stays"));
            return Ok(Exit::Held);
        }
        if let Some(plan) = arguments.approve {
            approve(place, plan, arguments.at).await?;
            return follow(arguments, plan).await;
        }
        let asked = PlanAsked::Draft {
            strategy: arguments.strategy.map(Into::into),
            seed: None,
            moves_max: arguments.all.then_some(u32::MAX),
            parallel: arguments.parallel,
            is_back: arguments.back,
        };
        let plan = match ask_placement(place, asked).await? {
            Told::Planned { plan, .. } => plan,
            Told::NothingToMove => {
                note("all is where it ought to be: there is nothing to move");
                let names = Names::of(members(&place.folder.dir).await?);
                let (view, _) = placement(place).await?;
                for node in &view.doubtful {
                    note(format_args!(
                        "  {} is given nothing yet: it has to be well for a while first",
                        names.name(*node)
                    ));
                }
                return Ok(Exit::Held);
            }
            _ => return Err(Error::OtherAnswer),
        };
        let names = Names::of(members(&place.folder.dir).await?);
        let moves = moves(place, plan).await?;
        show_moves(&names, &moves, output)?;
        let shards = moves_in_words(moves.len() as u64);
        if arguments.yes {
            approve(place, plan, arguments.at).await?;
            return follow(arguments, plan).await;
        }
        note(format_args!(
            "plan {plan} would move {shards}; nothing has been done\n  `relaymesh mesh shards rebalance --approve {plan}` carries it out"
        ));
        Ok(Exit::Held)
    })
}

async fn approve(place: &Place, plan: u64, at: Option<WallTime>) -> Result<(), Error> {
    let (view, _) = placement(place).await?;
    let found = view.plan.as_ref().filter(|found| found.id == plan && !found.is_approved);
    let checksum = found.and_then(|found| found.checksum).ok_or(Error::NoPlan { plan })?;
    agreed(ask_placement(place, PlanAsked::Approve { plan, version: view.version, checksum, at }).await?)
}

fn agreed(told: Told) -> Result<(), Error> {
    match told {
        Told::Agreed => Ok(()),
        _ => Err(Error::OtherAnswer),
    }
}

/// Tells how far a plan is, until it is over.
async fn follow(arguments: &RebalanceArguments, plan: u64) -> Result<Exit, Error> {
    if arguments.no_wait {
        note(format_args!("plan {plan} is being carried out; `relaymesh mesh shards plan` shows how far it is"));
        return Ok(Exit::Held);
    }
    if let Some(at) = arguments.at {
        let at = spelled(at.as_unix_nanos() / 1_000_000_000);
        note(format_args!("replicas come in; owners change at {at}, all at once"));
    }
    let mut last = None;
    loop {
        let (view, _) = placement(&arguments.place).await?;
        match view.plan.as_ref().filter(|found| found.id == plan) {
            Some(found) => {
                let far = (found.moved, found.moves);
                if last.replace(far) != Some(far) {
                    note(format_args!("{} of {} have moved", far.0, moves_in_words(far.1)));
                }
            }
            None => {
                let past = view.past.iter().find(|past| past.plan == plan);
                let is_whole = past.is_some_and(|past| past.is_whole);
                if is_whole {
                    note("all have moved");
                    return Ok(Exit::Held);
                }
                return Err(Error::PlanGivenUp { plan });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
