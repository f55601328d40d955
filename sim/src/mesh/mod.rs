//! The production node as something to be simulated: the mesh, its operators, and the checkers that watch it.
//!
//! [`clients`] are operators, an auditor, and those who use the control group; [`truth`] knows which hosts are well, from
//! outside; [`views`] is what operators could read off every node; [`checks`] holds the one against the other; [`measure`]
//! turns runs into figures.

pub mod checks;
pub mod clients;
mod failover;
pub mod margin;
pub mod measure;
mod takeover;
pub mod truth;
pub mod views;

#[cfg(test)]
mod tests;

pub use checks::MeshChecks;

use crate::scenario::{Plan, Profile as Timing, Scenario};
use crate::streams::Streams;
use crate::subject::{Subject, Surroundings};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use relaymesh_core::membership::{self, Identity, Profile};
use relaymesh_core::mesh::{MeshNode, Settings};
use relaymesh_core::time::Duration;

/// The production node.
#[derive(Debug)]
pub struct Mesh;

impl Subject for Mesh {
    type Application = MeshNode;
    type Clients = clients::MeshClients;
    type Checks = MeshChecks;

    const STREAMS: bool = true;
    const SECTIONS: &'static [&'static str] = &["mesh", "control", "shards", "tasks"];

    fn application(around: &Surroundings<'_>) -> MeshNode {
        let identity = Identity {
            node: around.seat.node,
            endpoint: around.endpoint,
            speaks: around.seat.speaks.0,
            name: format!("n{}", around.host).into(),
            profile: Arc::new(metadata(around.scenario.mesh.metadata_bytes, "")),
        };
        MeshNode::new(around.seat, settings(around.scenario), identity)
    }

    fn clients(scenario: &Scenario, plan: &Plan, streams: &mut Streams) -> clients::MeshClients {
        clients::MeshClients::new(scenario, plan, streams)
    }

    fn checks(scenario: &Scenario) -> MeshChecks {
        MeshChecks::new(scenario)
    }
}

/// The settings of every node of a scenario.
pub fn settings(scenario: &Scenario) -> Settings {
    let profile = match scenario.mesh.profile {
        Timing::Local => membership::settings::Profile::Local,
        Timing::Lan => membership::settings::Profile::Lan,
        Timing::Wan => membership::settings::Profile::Wan,
    };
    let mut settings = Settings::from(profile);
    if scenario.shards.blob_clients > 0 {
        let (shards, seconds) = (&mut settings.shards, Duration::from_secs);
        (shards.replica.blob_grace, shards.replica.blob_wait) = (seconds(3), seconds(3));
        (shards.sweep_every, shards.sweep_pause) = (seconds(2), Duration::from_millis(200));
    }
    settings
}

/// That many bytes of metadata, as a mesh would have them: a few words, the rest labels.
pub fn metadata(bytes: u16, mark: &str) -> Profile {
    let words: [&str; 4] = ["worker", "eu-west", "eu-west-1", "0.1.0"];
    let mut left = usize::from(bytes).saturating_sub(mark.len());
    let mut take = |text: &str| -> Box<str> {
        let taken = &text[..text.len().min(left)];
        left -= taken.len();
        taken.into()
    };
    let [role, region, zone, software] = words.map(&mut take);
    let padding: Box<str> = "x".repeat(left).into();
    let labels = if left > 0 || !mark.is_empty() { vec![(mark.into(), padding)] } else { vec![] };
    Profile { role, region, zone, software, labels, ..Profile::default() }
}
