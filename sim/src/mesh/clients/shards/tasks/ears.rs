//! Of each node, who attaches to its worker and takes orders.

use super::super::{Part, Shared};
use super::stories::POISON;
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::string::String;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::task::wire::Offer;
use relaymesh_core::task::worker::view::{Order, Reply as Told, Request as Asked};
use relaymesh_core::task::workflow::Name;
use relaymesh_core::time::Duration;

/// How long orders are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pause where nobody listens.
const AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(in super::super) struct Ears {
    host: u32,
    stream: Stream,
    is_attached: bool,
    rest_until: TrueTime,
}

impl Ears {
    pub(in super::super) fn new(host: u32, stream: Stream) -> Self {
        Self { host, stream, is_attached: false, rest_until: TrueTime(0) }
    }
}

fn offer() -> Offer {
    let agents = ["work", "list", "join", POISON].iter().filter_map(|name| Name::new(name).ok()).collect();
    Offer { agents, labels: alloc::vec::Vec::new() }
}

impl Part for Ears {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        let begins = TrueTime(0) + shared.tasks.workers_from.0;
        if self.rest_until.max(begins) > now {
            return Turn::Rest(self.rest_until.max(begins));
        }
        let request = match self.is_attached {
            true => Asked::Next,
            false => Asked::Attach { offer: offer(), capacity: shared.tasks.capacity },
        };
        Turn::Ask { host: self.host, request: Request::Work(request), timeout: PATIENCE }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        match outcome {
            Outcome::Reply(Reply::Work(Told::Attached)) => self.is_attached = true,
            Outcome::Reply(Reply::Work(Told::Orders(orders))) => {
                for order in orders {
                    match order {
                        Order::Run(run) => shared.agents.begin(self.host, now, &run, &mut self.stream),
                        Order::Kill { run, .. } => shared.agents.kill(self.host, now, run, &mut self.stream),
                    }
                }
            }
            // Orders may have been lost with the answer, and a real runner lives and dies with its node: another one begins.
            Outcome::TimedOut | Outcome::Unreachable | Outcome::Reply(Reply::Work(Told::NotAttached)) => {
                shared.agents.die(self.host);
                (self.is_attached, self.rest_until) = (false, now + AGAIN);
            }
            _ => self.rest_until = now + AGAIN,
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        None
    }
}
