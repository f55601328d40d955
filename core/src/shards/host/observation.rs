//! What the shards of a node let operators see.

use crate::identity::NodeId;
use crate::observe::{Descriptor, Observe, Value};
use crate::replication::ReplicationObservation;

crate::observations! {
    /// What the shards of a node let operators see besides their replicas.
    pub enum HostObservation {
        /// A message was refused: nobody here has, or may have, such a replica.
        Counter Health Count "relaymesh_shard_strange_messages_total" => Strange { from: NodeId, reason: &'static str },
        /// An owner was not found in time, or did not answer.
        Counter Health Count "relaymesh_shard_requests_given_up_total" => GivenUp { waited: u64, unknown: u64 },
        /// The control group refused what a shard has asked of it.
        Counter Health Count "relaymesh_shard_commands_refused_total" => CommandRefused { shard: u64 },
        /// A node has had more to do than it can for long enough to count as half of what it says.
        Counter Health Count "relaymesh_shard_nodes_strained_total" => Strained { node: NodeId, level: u64 },
        /// A submission with a key was parked: no owner took it in time.
        Counter State Count "relaymesh_shard_submissions_parked_total" => Parked { copies: u64, kept: u64 },
        /// A parked submission has taken effect, as an owner says.
        Counter State Count "relaymesh_shard_submissions_returned_total" => Returned { shard: u64, kept: u64 },
        /// A parked submission was given up: whether it took effect before is not known any more, or it is of a lost history.
        Counter State Count "relaymesh_shard_submissions_expired_total" => Expired { shard: u64, kept: u64 },
    }
}

/// An observation of the shards, or of one of their replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardsObservation {
    /// Of the node's part.
    Host(HostObservation),
    /// Of a replica.
    Replica(ReplicationObservation),
}

const PARTS: [&[Descriptor]; 2] = [HostObservation::ALL, ReplicationObservation::ALL];

const JOINED: [Descriptor; PARTS[0].len() + PARTS[1].len()] = {
    let mut joined = [PARTS[0][0]; PARTS[0].len() + PARTS[1].len()];
    let (mut part, mut at, mut to) = (0, 0, 0);
    while part < PARTS.len() {
        while at < PARTS[part].len() {
            joined[to] = PARTS[part][at];
            (at, to) = (at + 1, to + 1);
        }
        (part, at) = (part + 1, 0);
    }
    joined
};

impl Observe for ShardsObservation {
    const ALL: &'static [Descriptor] = &JOINED;

    fn descriptor(&self) -> &'static Descriptor {
        match self {
            Self::Host(observation) => observation.descriptor(),
            Self::Replica(observation) => observation.descriptor(),
        }
    }

    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Host(observation) => observation.fields(visit),
            Self::Replica(observation) => observation.fields(visit),
        }
    }
}
