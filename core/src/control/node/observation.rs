//! What the machines of the control group let operators see.

use crate::control::group::GroupObservation;
use crate::lease::LeaseObservation;
use crate::observe::{Descriptor, Observe, Value};

/// An observation of any machine of the control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlObservation {
    /// Of consensus.
    Group(GroupObservation),
    /// Of sessions and leases.
    Lease(LeaseObservation),
}

impl Observe for ControlObservation {
    const ALL: &'static [Descriptor] = &JOINED;

    fn descriptor(&self) -> &'static Descriptor {
        match self {
            Self::Group(observation) => observation.descriptor(),
            Self::Lease(observation) => observation.descriptor(),
        }
    }

    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Group(observation) => observation.fields(visit),
            Self::Lease(observation) => observation.fields(visit),
        }
    }
}

const JOINED: [Descriptor; GroupObservation::ALL.len() + LeaseObservation::ALL.len()] = {
    let (one, other) = (GroupObservation::ALL, LeaseObservation::ALL);
    let mut joined = [one[0]; GroupObservation::ALL.len() + LeaseObservation::ALL.len()];
    let mut at = 0;
    while at < joined.len() {
        joined[at] = if at < one.len() { one[at] } else { other[at - one.len()] };
        at += 1;
    }
    joined
};
