//! The worked example: how machines are written, composed into a node, simulated and checked.
//!
//! Three machines run on every node. The [journal] keeps named logs for clients: what it acknowledges is durable. The
//! [shelf] keeps objects for them, beside the node's journal. The
//! [echo] mesh lets nodes exchange messages with deadlines and retries; its answers carry the length of the node's
//! journal, which makes it a reader of state that may not be durable yet. [`node`] composes them; [`clients`] and
//! [`keepers`] use them, together the [`crowd`]; [`checks`] watch.
//!
//! None of this is part of the production node.

pub mod checks;
pub mod clients;
pub mod crowd;
pub mod echo;
pub mod journal;
pub mod keepers;
pub mod node;
mod object_checks;
pub mod shelf;
pub mod wire;

#[cfg(test)]
mod tests;

pub use checks::{ECHO_1, ECHO_2, LOG_1, LOG_2, VERS_1};
pub use object_checks::OBJ_2;
pub use wire::{NEWEST_VERSION, OLDEST_VERSION, PAYLOAD_BYTES_MAX};

use crate::scenario::{Plan, Scenario};
use crate::streams::Streams;
use crate::subject::{Subject, Surroundings};

/// The example as something to be simulated.
#[derive(Debug)]
pub struct Example;

impl Subject for Example {
    type Application = node::ExampleNode;
    type Clients = crowd::Crowd;
    type Checks = checks::ExampleChecks;

    const STREAMS: bool = false;
    const SECTIONS: &'static [&'static str] = &["echo", "journal", "objects"];

    fn application(around: &Surroundings<'_>) -> Self::Application {
        let load = *around.scenario.echo;
        let settings = echo::Settings {
            window: load.window,
            payload_bytes: load.payload_bytes,
            pause: load.pause.0,
            timeout: load.timeout.0,
            retries: load.retries,
            answer_within: load.answer_within.0,
        };
        node::ExampleNode::new(around.seat, around.nodes, settings)
    }

    fn clients(scenario: &Scenario, _plan: &Plan, streams: &mut Streams) -> Self::Clients {
        crowd::Crowd::new(scenario, streams)
    }

    fn checks(scenario: &Scenario) -> Self::Checks {
        checks::ExampleChecks::new(scenario)
    }
}
