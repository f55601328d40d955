//! The production node as something to be simulated: the mesh, its operators, and the checkers that watch it.
//!
//! [`clients`] are operators, an auditor, and those who use the control group; [`truth`] knows which hosts are well, from
//! outside; [`views`] is what operators could read off every node; [`checks`] holds the one against the other; [`measure`]
//! turns runs into figures.

pub mod checks;
pub mod clients;
mod cut_over;
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
use relaymesh_core::control::state::{Name, Seat};
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
    const SECTIONS: &'static [&'static str] = &["mesh", "control", "shards", "placement", "tasks"];

    fn application(around: &Surroundings<'_>) -> MeshNode {
        let identity = Identity {
            node: around.seat.node,
            endpoint: around.endpoint,
            speaks: around.seat.speaks.0,
            name: format!("n{}", around.host).into(),
            profile: Arc::new(metadata(around.scenario.mesh.metadata_bytes, "")),
        };
        let mut settings = settings(around.scenario);
        settings.shards.plans.seat = place(around);
        MeshNode::new(around.seat, settings, identity)
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
    if scenario.placement.is_given() {
        let (plans, load) = (&mut settings.shards.plans, &scenario.placement);
        (plans.every, plans.settle) = (Duration::from_millis(300), Duration::from_secs(2));
        (plans.cool_down, plans.wave_max) = (Duration::from_secs(3), Duration::from_secs(20));
        (plans.gone_after, plans.parallel, plans.is_automatic) = (load.gone_after.0, load.parallel, load.automatic);
    }
    settings
}

/// What a host is as a place for shards.
fn place(around: &Surroundings<'_>) -> Seat {
    let (load, host) = (&around.scenario.placement, around.host);
    let seat = Seat::default();
    let zone = match load.zones {
        0 => seat.zone,
        zones => Name::new(&format!("zone-{}", host % zones)).unwrap_or(seat.zone),
    };
    let is_heavy = (load.weights && host.is_multiple_of(3)) || (load.reweighs && !around.life.is_multiple_of(2));
    Seat { weight: if is_heavy { 2 * seat.weight } else { seat.weight }, zone }
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
