//! The address book, and the streams that lead to those who stand in it.

use super::lane::Lane;
use super::queue::Queue;
use super::{Common, place};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::Class;
use relaymesh_core::identity::NodeId;
use relaymesh_core::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// A sealed packet on its way out.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    /// The last instant at which it may leave.
    pub(crate) not_after: Option<Time>,
}

impl Parcel {
    pub(crate) fn is_late(&self, now: Time) -> bool {
        self.not_after.is_some_and(|limit| now > limit)
    }
}

/// What the node has to be told of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    Full { peer: NodeId, class: Class },
    Room { peer: NodeId, class: Class },
}

/// Where every located node lives, and the way there.
pub(crate) struct Peers {
    common: Arc<Common>,
    datagrams: Arc<UdpSocket>,
    /// Where streams tell that they have room again.
    pressure: mpsc::Sender<Pressure>,
    book: BTreeMap<NodeId, Peer>,
}

struct Peer {
    endpoint: Endpoint,
    lanes: [Option<Way>; Class::ALL.len()],
}

/// The near end of a stream; dropping it ends the stream.
struct Way {
    queue: Arc<Queue>,
    task: AbortHandle,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peers {
    pub(crate) fn new(common: Arc<Common>, datagrams: Arc<UdpSocket>, pressure: mpsc::Sender<Pressure>) -> Self {
        Self { common, datagrams, pressure, book: BTreeMap::new() }
    }

    /// From now on `node` is to be reached at `endpoint`. Returns what the node has to be told.
    pub(crate) fn locate(&mut self, node: NodeId, endpoint: Endpoint) -> Vec<Pressure> {
        if self.book.get(&node).is_some_and(|peer| peer.endpoint == endpoint) {
            return Vec::new();
        }
        let told = self.forget(node);
        self.book.insert(node, Peer { endpoint, lanes: [const { None }; Class::ALL.len()] });
        told
    }

    /// Nothing is sent to `node` any more. Returns what the node has to be told: queues that are gone are not full.
    pub(crate) fn forget(&mut self, node: NodeId) -> Vec<Pressure> {
        let Some(peer) = self.book.remove(&node) else { return Vec::new() };
        let full = Class::ALL.into_iter().zip(peer.lanes).filter_map(|(class, way)| {
            let way = way?;
            let was_full = way.queue.is_full();
            self.common.tally.sends_broken.add(way.queue.clear().0 as u64);
            was_full.then_some(Pressure::Room { peer: node, class })
        });
        full.collect()
    }

    /// Sends a packet towards `node`. What has no way there is dropped and counted, as a network would. Returns what
    /// the node has to be told. New streams run in `tasks`.
    pub(crate) fn send(
        &mut self,
        node: NodeId,
        class: Class,
        parcel: Parcel,
        tasks: &mut JoinSet<()>,
    ) -> Option<Pressure> {
        let Some(peer) = self.book.get_mut(&node) else {
            self.common.tally.sends_unlocated.one_more();
            return None;
        };
        if !class.is_stream() {
            self.send_datagram(self.book.get(&node)?.endpoint, &parcel);
            return None;
        }
        let (common, endpoint) = (&self.common, peer.endpoint);
        let way = peer.lanes[place(class)].get_or_insert_with(|| {
            let queue = Arc::new(Queue::new(common.bounds.lane_packets, common.bounds.lane_bytes));
            let (common, pressure) = (common.clone(), self.pressure.clone());
            let lane = Lane { common, peer: node, class, endpoint, queue: queue.clone(), pressure };
            Way { queue, task: tasks.spawn(lane.run()) }
        });
        let pushed = way.queue.push(parcel);
        if !pushed.taken {
            common.tally.sends_overflowed.one_more();
        }
        pushed.filled.then_some(Pressure::Full { peer: node, class })
    }

    /// Sends a datagram at once or never.
    fn send_datagram(&self, endpoint: Endpoint, parcel: &Parcel) {
        if !self.common.listen.may_reach(endpoint.0) {
            self.common.tally.endpoints_forbidden.one_more();
        } else if let Err(problem) = self.datagrams.try_send_to(&parcel.bytes, endpoint.0)
            && let Some(total) = self.common.tally.datagrams_failed.one_more()
        {
            tracing::warn!(total, %endpoint, bytes = parcel.bytes.len(), %problem, "a datagram was not sent");
        }
    }
}
