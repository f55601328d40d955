//! Who pauses an agent now and then, in all shards, and has it go on.

use super::super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::format;
use alloc::string::String;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::shards::state::task_command;
use relaymesh_core::task::command::Command;
use relaymesh_core::task::workflow::Name;
use relaymesh_core::time::Duration;

/// Whom.
const AGENT: &str = "join";
/// How long an agent is paused, and how long not.
const SPANS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

#[derive(Debug)]
pub(in super::super) struct Pauser {
    stream: Stream,
    rest_until: TrueTime,
    /// What is being said of the agent.
    is_paused: bool,
    /// Shards that have been told.
    told: u32,
}

impl Pauser {
    pub(in super::super) fn new(stream: Stream) -> Self {
        Self { stream, rest_until: TrueTime(0), is_paused: true, told: 0 }
    }
}

impl Part for Pauser {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if !offering && self.is_paused {
            (self.is_paused, self.told) = (false, 0);
        }
        if self.told == shared.load.shards {
            if !offering {
                return Turn::Done;
            }
            (self.is_paused, self.told) = (!self.is_paused, 0);
            self.rest_until = now + self.stream.span(SPANS.0, SPANS.1);
        }
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        let command = Command::Pause { agent: Name::new(AGENT).ok(), is_paused: self.is_paused };
        let (shard, command) = (shared.shard(self.told), task_command(&command).unwrap_or_default());
        ask(shared.some_member(&mut self.stream), Question::Submit { shard, command }, PATIENCE)
    }

    fn outcome(&mut self, _: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        match answer(outcome) {
            Some(Answer::Done(_)) => self.told += 1,
            _ => self.rest_until = now + AGAIN,
        }
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        let is_left = self.is_paused || self.told < shared.load.shards;
        is_left.then(|| format!("agent {AGENT} to go on in all shards, and {} have been told", self.told))
    }
}
