//! The worked example: how machines are written, composed into a node, simulated and checked.
//!
//! Two machines run on every node. The [journal] keeps named logs for clients: what it acknowledges is durable. The
//! [echo] mesh lets nodes exchange messages with deadlines and retries; its answers carry the length of the node's
//! journal, which makes it a reader of state that may not be durable yet. [`node`] composes the two, [`clients`] use
//! them, [`checks`] watch.
//!
//! None of this is part of the production node.

pub mod checks;
pub mod clients;
pub mod echo;
pub mod journal;
pub mod node;
pub mod wire;

#[cfg(test)]
mod tests;

pub use checks::{ECHO_1, ECHO_2, LOG_1, LOG_2, VERS_1};
pub use wire::{NEWEST_VERSION, OLDEST_VERSION, PAYLOAD_BYTES_MAX};

use crate::scenario::{Plan, Scenario};
use crate::streams::Streams;
use crate::subject::{Subject, Surroundings};

/// The example as something to be simulated.
#[derive(Debug)]
pub struct Example;

impl Subject for Example {
    type Application = node::ExampleNode;
    type Clients = clients::JournalClients;
    type Checks = checks::ExampleChecks;

    const STREAMS: bool = false;
    const SECTIONS: &'static [&'static str] = &["echo", "journal"];

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
        clients::JournalClients::new(scenario, streams)
    }

    fn checks(scenario: &Scenario) -> Self::Checks {
        checks::ExampleChecks::new(scenario)
    }
}
