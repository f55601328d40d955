//! Everybody who asks something of the mesh: [`operators`] of membership, and those who use the [`control`] group or
//! [`shards`].

pub mod control;
pub mod operators;
pub mod shards;

use crate::scenario::{Plan, Scenario};
use crate::streams::Streams;
use crate::subject::{Clients, Outcome, Turn};
use crate::time::TrueTime;
use alloc::string::String;
use alloc::vec::Vec;
use control::ControlClients;
use operators::Operators;
use relaymesh_core::mesh::{MeshNode, Reply, Request};
use shards::ShardClients;

/// All clients of a run.
#[derive(Debug)]
pub struct MeshClients {
    operators: Operators,
    control: ControlClients,
    shards: ShardClients,
}

/// A client, by whom it asks and its number among those.
enum Place {
    Operator(u32),
    Control(u32),
    Shards(u32),
}

impl MeshClients {
    /// The clients of a run of `scenario`.
    pub fn new(scenario: &Scenario, plan: &Plan, streams: &mut Streams) -> Self {
        let control = ControlClients::new(scenario, streams);
        Self { operators: Operators::new(scenario, plan), control, shards: ShardClients::new(scenario, streams) }
    }

    fn place(&self, client: u32) -> Place {
        let Some(client) = client.checked_sub(self.operators.count()) else { return Place::Operator(client) };
        client.checked_sub(self.control.count()).map_or(Place::Control(client), Place::Shards)
    }
}

impl Clients<MeshNode> for MeshClients {
    fn count(&self) -> u32 {
        self.operators.count() + self.control.count() + self.shards.count()
    }

    fn turn(&mut self, client: u32, now: TrueTime, offering: bool) -> Turn<Request> {
        match self.place(client) {
            Place::Operator(it) => self.operators.turn(it, now, offering),
            Place::Control(it) => self.control.turn(it, now, offering),
            Place::Shards(it) => self.shards.turn(it, now, offering, self.control.is_founded()),
        }
    }

    fn outcome(&mut self, client: u32, now: TrueTime, outcome: Outcome<Reply>) {
        match self.place(client) {
            Place::Operator(it) => self.operators.outcome(it, now, outcome),
            Place::Control(it) => self.control.outcome(it, now, outcome),
            Place::Shards(it) => self.shards.outcome(it, now, outcome),
        }
    }

    fn unanswered(&self) -> Vec<(u32, String)> {
        let of =
            |first: u32, waiting: Vec<(u32, String)>| waiting.into_iter().map(move |(it, what)| (first + it, what));
        let (control, shards) = (self.operators.count(), self.operators.count() + self.control.count());
        let of_operators = of(0, self.operators.unanswered());
        of_operators.chain(of(control, self.control.unanswered())).chain(of(shards, self.shards.unanswered())).collect()
    }
}
