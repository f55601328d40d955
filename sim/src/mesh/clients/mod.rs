//! Everybody who asks something of the mesh: [`operators`] of membership, and those who use the [`control`] group.

pub mod control;
pub mod operators;

use crate::scenario::{Plan, Scenario};
use crate::streams::Streams;
use crate::subject::{Clients, Outcome, Turn};
use crate::time::TrueTime;
use alloc::string::String;
use alloc::vec::Vec;
use control::ControlClients;
use operators::Operators;
use relaymesh_core::mesh::{MeshNode, Reply, Request};

/// All clients of a run.
#[derive(Debug)]
pub struct MeshClients {
    operators: Operators,
    control: ControlClients,
}

impl MeshClients {
    /// The clients of a run of `scenario`.
    pub fn new(scenario: &Scenario, plan: &Plan, streams: &mut Streams) -> Self {
        Self { operators: Operators::new(scenario, plan), control: ControlClients::new(scenario, streams) }
    }
}

impl Clients<MeshNode> for MeshClients {
    fn count(&self) -> u32 {
        self.operators.count() + self.control.count()
    }

    fn turn(&mut self, client: u32, now: TrueTime, offering: bool) -> Turn<Request> {
        match client.checked_sub(self.operators.count()) {
            Some(part) => self.control.turn(part, now, offering),
            None => self.operators.turn(client, now, offering),
        }
    }

    fn outcome(&mut self, client: u32, now: TrueTime, outcome: Outcome<Reply>) {
        match client.checked_sub(self.operators.count()) {
            Some(part) => self.control.outcome(part, now, outcome),
            None => self.operators.outcome(client, now, outcome),
        }
    }

    fn unanswered(&self) -> Vec<(u32, String)> {
        let first = self.operators.count();
        let of_control = self.control.unanswered().into_iter().map(|(part, what)| (first + part, what));
        self.operators.unanswered().into_iter().chain(of_control).collect()
    }
}
