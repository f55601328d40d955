//! What the machines of the control group let operators see.

use crate::control::group::GroupObservation;
use crate::identity::NodeId;
use crate::lease::LeaseObservation;
use crate::observe::{Descriptor, Observe, Value};

crate::observations! {
    /// What is seen of histories: which one this node goes by, and whether it can.
    pub enum HistoryObservation {
        /// Another history has begun here.
        Counter State Count "relaymesh_control_recoveries_total" => Recovered { epoch: u64, recovery: u64, index: u64 },
        /// A leader goes by another recovery of the same epoch: two recoveries of one cluster. Nothing of it was taken.
        Counter Health Count "relaymesh_control_other_histories_total" => Other { node: NodeId, epoch: u64, own: u64, other: u64 },
        /// This node goes by a later history, and has given up its seat in the group of the one before.
        Counter State Count "relaymesh_control_seats_given_up_total" => GaveUpSeat { epoch: u64 },
        /// The cluster uses commands that this build does not understand: this process takes no part any more.
        Counter Health Count "relaymesh_control_builds_too_old_total" => BuildTooOld { speaks: u64 },
    }
}

/// An observation of any machine of the control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlObservation {
    /// Of consensus.
    Group(GroupObservation),
    /// Of sessions and leases.
    Lease(LeaseObservation),
    /// Of histories.
    History(HistoryObservation),
}

impl From<HistoryObservation> for ControlObservation {
    fn from(observation: HistoryObservation) -> Self {
        Self::History(observation)
    }
}

impl Observe for ControlObservation {
    const ALL: &'static [Descriptor] = &JOINED;

    fn descriptor(&self) -> &'static Descriptor {
        match self {
            Self::Group(observation) => observation.descriptor(),
            Self::Lease(observation) => observation.descriptor(),
            Self::History(observation) => observation.descriptor(),
        }
    }

    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Group(observation) => observation.fields(visit),
            Self::Lease(observation) => observation.fields(visit),
            Self::History(observation) => observation.fields(visit),
        }
    }
}

const PARTS: [&[Descriptor]; 3] = [GroupObservation::ALL, LeaseObservation::ALL, HistoryObservation::ALL];

const JOINED: [Descriptor; PARTS[0].len() + PARTS[1].len() + PARTS[2].len()] = {
    let mut joined = [PARTS[0][0]; PARTS[0].len() + PARTS[1].len() + PARTS[2].len()];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut of_part = 0;
        while of_part < PARTS[part].len() {
            joined[at] = PARTS[part][of_part];
            (at, of_part) = (at + 1, of_part + 1);
        }
        part += 1;
    }
    joined
};
