//! `relaymesh limit`: how many steps of an agent, or with a key, may run at once, and how many may begin.

use super::arguments::operate::LimitArguments;
use super::client::Shards;
use super::everywhere::everywhere;
use super::submit::{now, span};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, grouped, rendered};
use relaymesh_core::shards::ShardId;
use relaymesh_core::task::answer::{Answer, Query};
use relaymesh_core::task::command::Command;
use relaymesh_core::task::limit::{Bounds, Declared, LimitName, Rate};
use serde::Serialize;

/// A limit, as people and programs see it.
#[derive(Debug, Serialize)]
struct Limit {
    limit: String,
    /// Nothing: no limit.
    at_once: Option<u32>,
    rate_count: Option<u32>,
    rate_per_ms: Option<u64>,
    /// Permits that are held: by steps that run, or wait for a worker.
    held: u32,
    /// Of the rate's span, so many have begun, or may at any time.
    spent: u32,
    waiting: u64,
}

pub(super) async fn run(arguments: &LimitArguments, output: &Output) -> Result<Exit, Error> {
    let LimitArguments { which, at_once, rate, clear, place } = arguments;
    let limit = which.name();
    if at_once.is_none() && rate.is_none() && !clear {
        return show(arguments, &limit, output).await;
    }
    let rate = rate.map(|(count, per)| Rate { count, per: span(per) });
    let bounds = (!clear).then_some(Bounds { at_once: *at_once, rate });
    // What is said later counts, whichever shard hears of it first.
    let declared = Declared { version: now().as_unix_nanos(), bounds };
    everywhere(place, &Command::Limit { limit, declared }, output).await
}

async fn show(arguments: &LimitArguments, limit: &LimitName, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(&arguments.place).await?;
    let count = shards.all().count() as u32;
    let shard = ShardId { namespace: arguments.place.namespace, number: limit.shard(count) };
    let Answer::Limit(view) = shards.read(shard, &Query::Limit(limit.clone())).await? else {
        return Err(Error::OtherAnswer);
    };
    let shown = Limit {
        limit: limit.to_string(),
        at_once: view.bounds.at_once,
        rate_count: view.bounds.rate.map(|rate| rate.count),
        rate_per_ms: view.bounds.rate.map(|rate| rate.per.as_nanos() / 1_000_000),
        held: view.held,
        spent: view.spent,
        waiting: view.waiting,
    };
    match output.is_json() {
        true => output.json(&shown)?,
        false => output.print(&table(&shown, output))?,
    }
    Ok(Exit::Held)
}

fn table(shown: &Limit, output: &Output) -> String {
    let at_once = shown.at_once.map_or_else(|| "any number".into(), |count| format!("{count} at once"));
    let rate = shown.rate_count.zip(shown.rate_per_ms).map(|(count, ms)| format!("{count} begin in {ms} ms"));
    let mut table = output.table(&["limit", "may run", "may begin", "permits held", "waiting"]);
    table.add_row([
        cell(Tone::Strong, &shown.limit),
        cell(Tone::Plain, at_once),
        cell(Tone::Plain, rate.unwrap_or_else(|| "at any rate".into())),
        cell(Tone::Plain, grouped(u64::from(shown.held))),
        cell(Tone::Plain, grouped(shown.waiting)),
    ]);
    rendered(&table)
}
