//! All clients of the example: those of the journals come first, then those of the shelves.

use super::clients::JournalClients;
use super::journal::{Reply, Request};
use super::keepers::Keepers;
use super::node::ExampleNode;
use super::shelf;
use crate::scenario::Scenario;
use crate::streams::Streams;
use crate::subject::{Clients, Outcome, Turn};
use crate::time::TrueTime;
use alloc::string::String;
use alloc::vec::Vec;

/// The clients of one run.
#[derive(Debug)]
pub struct Crowd {
    journal: JournalClients,
    keepers: Keepers,
}

impl Crowd {
    /// The clients of a run of `scenario`.
    pub fn new(scenario: &Scenario, streams: &mut Streams) -> Self {
        Self { journal: JournalClients::new(scenario, streams), keepers: Keepers::new(scenario, streams) }
    }

    /// Its number among the keepers, if a client is one of them.
    fn keeper(&self, client: u32) -> Option<u32> {
        client.checked_sub(self.journal.count())
    }
}

impl Clients<ExampleNode> for Crowd {
    fn count(&self) -> u32 {
        self.journal.count() + self.keepers.count()
    }

    fn turn(&mut self, client: u32, now: TrueTime, offering: bool) -> Turn<Request> {
        let Some(keeper) = self.keeper(client) else { return self.journal.turn(client, now, offering) };
        match self.keepers.turn(keeper, now, offering) {
            Turn::Ask { host, request, timeout } => Turn::Ask { host, request: Request::Shelf(request), timeout },
            Turn::Kill { host, lasts } => Turn::Kill { host, lasts },
            Turn::Rest(until) => Turn::Rest(until),
            Turn::Done => Turn::Done,
        }
    }

    fn outcome(&mut self, client: u32, now: TrueTime, outcome: Outcome<Reply>) {
        let Some(keeper) = self.keeper(client) else { return self.journal.outcome(client, now, outcome) };
        let outcome: Outcome<shelf::Reply> = match outcome {
            Outcome::Reply(Reply::Shelf(reply)) => Outcome::Reply(reply),
            Outcome::Reply(other) => panic!("the shelf was asked, and the journal answers: {other:?}"),
            Outcome::Refused(refusal) => Outcome::Refused(refusal),
            Outcome::Unreachable => Outcome::Unreachable,
            Outcome::TimedOut => Outcome::TimedOut,
        };
        self.keepers.outcome(keeper, now, &outcome);
    }

    fn unanswered(&self) -> Vec<(u32, String)> {
        let first = self.journal.count();
        let keepers = self.keepers.unanswered().into_iter().map(|(keeper, what)| (first + keeper, what));
        self.journal.unanswered().into_iter().chain(keepers).collect()
    }
}
