//! What operators see of any machine of the node.

use crate::control::node::ControlObservation;
use crate::identity::NodeId;
use crate::lease::LeaseObservation;
use crate::membership::MembershipObservation;
use crate::observe::{Descriptor, Observe, Value};
use crate::shards::host::ShardsObservation;

crate::observations! {
    /// What the node lets operators see besides its machines.
    pub enum AdmissionObservation {
        /// A packet had arrived before, or its sender's process is no more.
        Counter Health Count "relaymesh_packets_replayed_total" => Replayed { node: NodeId, sequence: u64 },
        /// A packet came from another gossip domain.
        Counter Health Count "relaymesh_packets_foreign_domain_total" => ForeignDomain { node: NodeId, domain: u64 },
    }
}

/// An observation of any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeshObservation {
    /// Of the way in.
    Admission(AdmissionObservation),
    /// Of membership.
    Membership(MembershipObservation),
    /// Of the control group.
    Control(ControlObservation),
    /// Of shards.
    Shards(ShardsObservation),
}

impl From<LeaseObservation> for MeshObservation {
    fn from(observation: LeaseObservation) -> Self {
        Self::Control(ControlObservation::Lease(observation))
    }
}

impl Observe for MeshObservation {
    const ALL: &'static [Descriptor] = &JOINED;

    fn descriptor(&self) -> &'static Descriptor {
        match self {
            Self::Admission(observation) => observation.descriptor(),
            Self::Membership(observation) => observation.descriptor(),
            Self::Control(observation) => observation.descriptor(),
            Self::Shards(observation) => observation.descriptor(),
        }
    }

    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Admission(observation) => observation.fields(visit),
            Self::Membership(observation) => observation.fields(visit),
            Self::Control(observation) => observation.fields(visit),
            Self::Shards(observation) => observation.fields(visit),
        }
    }
}

const PARTS: [&[Descriptor]; 4] =
    [AdmissionObservation::ALL, MembershipObservation::ALL, ControlObservation::ALL, ShardsObservation::ALL];
const COUNT: usize = PARTS[0].len() + PARTS[1].len() + PARTS[2].len() + PARTS[3].len();

const JOINED: [Descriptor; COUNT] = {
    let mut joined = [PARTS[0][0]; COUNT];
    let (mut part, mut at, mut to) = (0, 0, 0);
    while part < PARTS.len() {
        if at < PARTS[part].len() {
            joined[to] = PARTS[part][at];
            (at, to) = (at + 1, to + 1);
        } else {
            (part, at) = (part + 1, 0);
        }
    }
    joined
};
