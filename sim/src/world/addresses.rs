//! Who lives where: the endpoints of hosts, and how a process finds those of the seeds.

use super::run::World;
use super::{Happening, Inbound};
use crate::network::Carried;
use crate::subject::Subject;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::Class;
use relaymesh_core::identity::NodeId;
use relaymesh_core::machine::CauseId;
use relaymesh_core::time::Duration;

/// Bytes that ask who listens, and that tell.
const INQUIRY_BYTES: usize = 120;
/// The port of hosts that have not moved often.
const PORT: u16 = 7_946;

/// Who lives at which endpoint.
#[derive(Debug)]
pub(super) struct Addresses {
    residents: BTreeMap<Endpoint, u32>,
    /// Endpoints that were left, with who left them: the next who moves gets the oldest of another.
    vacated: Vec<(Endpoint, u32)>,
    /// Endpoints that each host was given for the first time.
    fresh: Vec<u32>,
}

impl Addresses {
    /// So many hosts, each at its first endpoint.
    pub(super) fn new(hosts: u32) -> Self {
        Self {
            residents: (0..hosts).map(|host| (endpoint_of(host, 0), host)).collect(),
            vacated: Vec::new(),
            fresh: (0..hosts).map(|_| 0).collect(),
        }
    }

    /// Who lives there now.
    pub(super) fn resident(&self, endpoint: Endpoint) -> Option<u32> {
        self.residents.get(&endpoint).copied()
    }

    /// The host leaves its endpoint for another: one that somebody else has left, or one where nobody has lived yet.
    pub(super) fn moves(&mut self, host: u32, from: Endpoint) -> Endpoint {
        let left_by_another = self.vacated.iter().position(|(_, who)| *who != host);
        let to = match left_by_another {
            Some(at) => self.vacated.remove(at).0,
            None => {
                let fresh = &mut self.fresh[host as usize];
                *fresh += 1;
                endpoint_of(host, *fresh)
            }
        };
        self.residents.remove(&from);
        self.residents.insert(to, host);
        self.vacated.push((from, host));
        to
    }
}

/// The endpoint that a host gets when it is given one for the first time, after so many others.
pub(super) const fn endpoint_of(host: u32, earlier: u32) -> Endpoint {
    let [low, high, ..] = host.to_le_bytes();
    let [round, rounds, ..] = earlier.to_le_bytes();
    Endpoint::v4([10, round, high, low], PORT + rounds as u16)
}

/// A question that is on its way to a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inquiry {
    asker: u32,
    life: u32,
    seed: u32,
    endpoint: Endpoint,
    cause: CauseId,
}

/// A node that was found, where, and the event that asked.
pub(super) type Discovery = (NodeId, Endpoint, CauseId);

impl<S: Subject> World<S> {
    /// A process asks at the endpoint of each seed who listens there.
    pub(super) fn seek(&mut self, host: u32, cause: CauseId) {
        let life = self.host(host).life;
        for seed in self.scenario.mesh.seeds_of(self.scenario.nodes, host) {
            let inquiry = Inquiry { asker: host, life, seed, endpoint: self.host(seed).endpoint, cause };
            if let Some(delay) = self.leg(host, seed) {
                let place = self.inquiries.put(inquiry);
                self.queue.schedule(self.now + delay, Happening::Inquiry { place });
            }
        }
    }

    /// A question reaches the endpoint of a seed. Whoever has a key in common with the asker answers.
    pub(super) fn inquiry_arrives(&mut self, place: u32) {
        let Inquiry { asker, life, seed, endpoint, cause } = self.inquiries.take(place);
        let (it, from) = (self.host(seed), self.host(asker));
        let listens = it.node.is_some() && !it.is_frozen(self.now) && it.endpoint == endpoint;
        if !listens || !it.keys.shares(&from.keys) || from.life != life {
            return;
        }
        let node = it.id;
        if let Some(delay) = self.leg(seed, asker) {
            let place = self.discoveries.put((node, endpoint, cause));
            let inbound = Inbound::Found { place };
            self.queue.schedule(self.now + delay, Happening::Arrives { host: asker, life, inbound });
        }
    }

    /// How long a short message of a stream takes; `None` when it does not get across at once. To itself a host needs no
    /// network.
    fn leg(&mut self, from: u32, to: u32) -> Option<Duration> {
        if from == to {
            return Some(Duration::ZERO);
        }
        match self.network.carry(self.now, from, to, Class::Control, INQUIRY_BYTES) {
            Carried::Across(delay) => Some(delay),
            Carried::Lost | Carried::NotBefore(_) => None,
        }
    }

    /// The host gets another endpoint.
    pub(super) fn move_host(&mut self, host: u32) {
        let from = self.host(host).endpoint;
        let to = self.addresses.moves(host, from);
        let it = self.host_mut(host);
        it.endpoint = to;
        it.moves += 1;
    }

    /// Where what a process sends to `to` goes: to whoever lives where the process believes that node to be.
    pub(super) fn way(&mut self, host: u32, node: NodeId, to: u32) -> Way {
        if !S::STREAMS {
            return Way::To { host: to, endpoint: self.host(to).endpoint };
        }
        let Some(endpoint) = self.host(host).book.get(&node).copied() else { return Way::Unknown };
        match self.addresses.resident(endpoint) {
            Some(host) => Way::To { host, endpoint },
            None => Way::Nobody,
        }
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To a host, which may be another than its sender believes.
    To {
        /// Which.
        host: u32,
        /// Where it lives.
        endpoint: Endpoint,
    },
    /// To an endpoint where nobody lives.
    Nobody,
    /// The sender does not know where to send it.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_hosts_live_at_one_endpoint() {
        let mut addresses = Addresses::new(300);
        let mut homes: Vec<Endpoint> = (0..300).map(|host| endpoint_of(host, 0)).collect();
        for step in 0..4_000_u32 {
            let host = step * 7 % 300;
            let home = homes[host as usize];
            homes[host as usize] = addresses.moves(host, home);
            assert_ne!(homes[host as usize], home);
        }
        let distinct: alloc::collections::BTreeSet<_> = homes.iter().collect();
        assert_eq!(distinct.len(), 300);
        for (host, home) in (0..).zip(&homes) {
            assert_eq!(addresses.resident(*home), Some(host));
        }
    }

    #[test]
    fn the_second_to_move_gets_what_the_first_has_left() {
        let mut addresses = Addresses::new(2);
        let (first, second) = (endpoint_of(0, 0), endpoint_of(1, 0));
        let fresh = addresses.moves(0, first);
        assert!(fresh != first && fresh != second && addresses.resident(first).is_none());
        assert_eq!(addresses.moves(1, second), first);
        assert_eq!(addresses.resident(first), Some(1));
    }
}
