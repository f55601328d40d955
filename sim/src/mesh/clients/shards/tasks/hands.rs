//! Of each node, who says how runs have ended.

use super::super::{Part, Shared};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::string::String;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::task::worker::view::{Reply as Told, Request as Asked, RunKey};
use relaymesh_core::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a node is down that was killed by what it ran.
const KILLED_FOR: Duration = Duration::from_millis(300);
/// How soon it is looked again whether something has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(in super::super) struct Hands {
    host: u32,
    told: Option<RunKey>,
    /// When it was due last that its node was killed.
    killed_at: TrueTime,
    rest_until: TrueTime,
}

impl Hands {
    pub(in super::super) fn new(host: u32) -> Self {
        Self { host, told: None, killed_at: TrueTime(0), rest_until: TrueTime(0) }
    }
}

impl Part for Hands {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        let poisoned = shared.agents.poisoned(self.host).filter(|at| *at <= now && self.killed_at < *at);
        if let Some(at) = poisoned {
            (self.killed_at, self.rest_until) = (at, now + KILLED_FOR);
            return Turn::Kill { host: self.host, lasts: KILLED_FOR };
        }
        match shared.agents.first(self.host) {
            Some((run, running)) if running.ends_at <= now => {
                self.told = Some(run);
                let request = Request::Work(Asked::Ended { run, end: running.end.clone() });
                Turn::Ask { host: self.host, request, timeout: PATIENCE }
            }
            _ => Turn::Rest(now + LOOK_EVERY),
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        match (self.told.take(), outcome) {
            (Some(run), Outcome::Reply(Reply::Work(Told::Taken))) => shared.agents.over(self.host, run),
            (_, Outcome::Unreachable) => {
                shared.agents.die(self.host);
                self.rest_until = now + LOOK_EVERY;
            }
            _ => self.rest_until = now + LOOK_EVERY,
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
