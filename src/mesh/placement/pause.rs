//! `relaymesh mesh shards pause` and `resume`: shards that take nothing from clients for a while.

use super::arguments::PauseArguments;
use super::ask::{ask_placement, placement};
use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::output::{counted, note};
use relaymesh_core::control::state::PAUSED_AT_ONCE;
use relaymesh_core::shards::host::plan_view::PlanAsked;
use relaymesh_core::shards::host::{Refusal, Reply as Told};

pub(super) fn run(arguments: &PauseArguments, is_paused: bool) -> Result<Exit, Error> {
    let place = &arguments.place;
    block_on(async {
        let (view, _) = placement(place).await?;
        let all = view.rule.shards;
        let mut shards = arguments.shards.clone();
        shards.sort_unstable();
        shards.dedup();
        if shards.last().is_some_and(|last| *last >= all) {
            return Err(Error::ShardRefused(Refusal::NoShard));
        }
        if shards.is_empty() {
            shards = (0..all).collect();
        }
        // All of them are there: whatever comes between, each part is taken.
        for part in shards.chunks(PAUSED_AT_ONCE) {
            match ask_placement(place, PlanAsked::Pause { shards: part.to_vec(), is_paused }).await? {
                Told::Agreed => {}
                _ => return Err(Error::OtherAnswer),
            }
        }
        let many = counted(shards.len() as u64, "shard");
        match is_paused {
            true => note(format_args!(
                "{many} of {} take nothing from clients, as soon as each node has heard of it; what is under way goes on\n  \
                 `relaymesh mesh shards resume` takes that back",
                place.namespace
            )),
            false => note(format_args!("{many} of {} take what clients ask again", place.namespace)),
        }
        Ok(Exit::Held)
    })
}
