//! What is asked of every shard of a namespace: pause, policy, limit, purge. Each is told; those that could not be reached are named.

use super::arguments::Place;
use super::arguments::operate::{PolicyArguments, PurgeArguments, WhichArguments};
use super::client::Shards;
use super::submit::{now, span};
use crate::error::{Error, Exit};
use crate::output::{Output, counted, note};
use relaymesh_core::shards::{ShardId, host};
use relaymesh_core::task::answer::Answer;
use relaymesh_core::task::command::{Command, Policy};
use relaymesh_core::task::workflow::Retry;
use relaymesh_core::time::WallTime;
use serde::Serialize;

/// A shard that gave no answer.
#[derive(Debug, Serialize)]
pub(super) struct Unreached {
    shard: u32,
    why: String,
}

/// What became of it.
#[derive(Debug, Serialize)]
struct Everywhere {
    /// Shards that did it.
    shards: u64,
    /// Those that did not, or did not say so.
    unreached: Vec<Unreached>,
}

/// Whether the other shards may be asked when one comes to that: it is about this one.
pub(super) fn is_of_shard(problem: &Error) -> bool {
    match problem {
        Error::OutcomeUnknown => true,
        Error::ShardRefused(refusal) => matches!(refusal, host::Refusal::NoOwner { .. } | host::Refusal::Busy),
        _ => false,
    }
}

/// Remembers a shard that could not be reached; whatever else went wrong is for whoever asked.
pub(super) fn or_unreached(
    shard: ShardId,
    asked: Result<(), Error>,
    unreached: &mut Vec<Unreached>,
) -> Result<(), Error> {
    match asked {
        Err(problem) if is_of_shard(&problem) => unreached.push(Unreached::new(shard, &problem)),
        asked => return asked,
    }
    Ok(())
}

/// Shards that could not be reached, for people; and the exit code that follows.
pub(super) fn conclude(unreached: &[Unreached]) -> Exit {
    for shard in unreached {
        note(format_args!("shard {} could not be reached: {}", shard.shard, shard.why));
    }
    match unreached.is_empty() {
        true => Exit::Held,
        false => Exit::Failed,
    }
}

impl Unreached {
    pub(super) fn new(shard: ShardId, problem: &Error) -> Self {
        Self { shard: shard.number, why: problem.to_string() }
    }
}

pub(super) async fn pause(arguments: &WhichArguments, is_paused: bool, output: &Output) -> Result<Exit, Error> {
    let agent = arguments.agent.clone();
    everywhere(&arguments.place, &Command::Pause { agent, is_paused }, output).await
}

pub(super) async fn policy(arguments: &PolicyArguments, output: &Output) -> Result<Exit, Error> {
    let PolicyArguments { attempts, base_backoff, max_backoff, timeout, .. } = arguments;
    let default = Retry::default();
    let says_retry = attempts.is_some() || base_backoff.is_some() || max_backoff.is_some();
    let retry = says_retry.then(|| {
        let base = base_backoff.map_or(default.base, span);
        let max = max_backoff.map_or_else(|| default.max.max(base), span);
        Retry { attempts_max: attempts.unwrap_or(default.attempts_max), base, max }
    });
    let policy = (!arguments.clear).then_some(Policy { retry, timeout: timeout.map(span) });
    everywhere(&arguments.place, &Command::Policy { agent: arguments.agent.clone(), policy }, output).await
}

pub(super) async fn purge(arguments: &PurgeArguments, output: &Output) -> Result<Exit, Error> {
    let age = span(arguments.ended_before).as_nanos();
    let before = WallTime::from_unix_nanos(now().as_unix_nanos().saturating_sub(age));
    everywhere(&arguments.place, &Command::Purge { before }, output).await
}

/// Has every shard do it, again and again where there is more to do.
pub(super) async fn everywhere(place: &Place, command: &Command, output: &Output) -> Result<Exit, Error> {
    let shards = Shards::of(place).await?;
    let mut done = Everywhere { shards: 0, unreached: Vec::new() };
    for shard in shards.all() {
        loop {
            match shards.execute(shard, command).await {
                Ok(Answer::Done { has_more: true }) if matches!(command, Command::Purge { .. }) => {}
                Ok(Answer::Done { .. }) => break done.shards += 1,
                Ok(_) => return Err(Error::OtherAnswer),
                Err(problem) if is_of_shard(&problem) => break done.unreached.push(Unreached::new(shard, &problem)),
                Err(problem) => return Err(problem),
            }
        }
    }
    match output.is_json() {
        true => output.json(&done)?,
        false => note(format_args!("{} told", counted(done.shards, "shard"))),
    }
    Ok(conclude(&done.unreached))
}
