//! Streams and datagrams between nodes.
//!
//! One endpoint is a TCP listener and a UDP socket on the same address and port. Packets of [`Class::Gossip`] go as one
//! datagram each; every other class to a peer has a stream of its own, opened when first needed, proved by the
//! [hello](relaymesh_core::envelope::Dialler), and written by the side that opened it alone. Nothing is taken from a
//! stream before its other end has proved that it holds the cluster's key, and from then on only packets that name that
//! end as their source.
//!
//! What is absent: encryption (see [`Listen`](crate::settings::Listen)), any knowledge of what a packet says, and
//! any decision about whom to speak to: peers come from [`Action::Locate`](relaymesh_core::node::Action::Locate) alone.

mod bind;
mod datagram;
pub(crate) mod frame;
mod inbound;
mod lane;
mod meet;
mod peers;
mod queue;
mod seek;

pub use bind::ListenError;

pub(crate) use bind::{Bound, bind};
pub(crate) use datagram::receive;
pub(crate) use inbound::accept;
pub(crate) use peers::{Parcel, Peers, Pressure};
pub(crate) use seek::seek;

use crate::settings::{Bounds, Listen};
use crate::tally::Tally;
use relaymesh_core::codec::{Body, BodyVersion};
use relaymesh_core::envelope::{Class, Keyring, OpenError, Opened, Party, open};
use relaymesh_core::node::{Delivery, Message};
use tokio::sync::{mpsc, watch};

/// What every task of the transport knows.
pub(crate) struct Common {
    pub(crate) me: Party,
    /// The newest body version this build understands.
    pub(crate) speaks: BodyVersion,
    pub(crate) packet_bytes: usize,
    pub(crate) listen: Listen,
    pub(crate) keys: watch::Receiver<Keyring>,
    pub(crate) bounds: Bounds,
    pub(crate) tally: Tally,
}

impl Common {
    fn open<M: Body>(&self, packet: &[u8]) -> Result<Opened<M>, OpenError> {
        open(&self.keys.borrow(), self.me.cluster, self.me.node, self.speaks, packet)
    }

    /// Counts a packet that did not open. What is in it is not repeated: it cannot be trusted.
    fn refused(&self, problem: OpenError) {
        if let Some(total) = self.tally.packets_refused.one_more() {
            tracing::warn!(total, %problem, "a packet was refused");
        }
    }
}

/// Where opened packets wait for the node, each class by itself, so that none waits for another.
pub(crate) struct Inbox<M> {
    lanes: [mpsc::Sender<Delivery<M>>; Class::ALL.len()],
}

/// The node's end of an [`Inbox`].
pub(crate) struct Arrivals<M> {
    lanes: [mpsc::Receiver<Delivery<M>>; Class::ALL.len()],
}

impl<M> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        Self { lanes: self.lanes.clone() }
    }
}

impl<M: Message> Inbox<M> {
    /// Queues for at most `packets` of each class.
    pub(crate) fn new(packets: usize) -> (Self, Arrivals<M>) {
        let [control, priority, bulk, gossip] = Class::ALL.map(|_| mpsc::channel(packets));
        let inbox = Self { lanes: [control.0, priority.0, bulk.0, gossip.0] };
        (inbox, Arrivals { lanes: [control.1, priority.1, bulk.1, gossip.1] })
    }

    fn lane(&self, class: Class) -> &mpsc::Sender<Delivery<M>> {
        &self.lanes[place(class)]
    }
}

impl<M> Arrivals<M> {
    /// The next packet of any class, no class before another.
    pub(crate) async fn next(&mut self) -> Option<Delivery<M>> {
        let [control, priority, bulk, gossip] = &mut self.lanes;
        tokio::select! {
            Some(packet) = control.recv() => Some(packet),
            Some(packet) = priority.recv() => Some(packet),
            Some(packet) = bulk.recv() => Some(packet),
            Some(packet) = gossip.recv() => Some(packet),
            else => None,
        }
    }
}

/// The place of a class among all.
fn place(class: Class) -> usize {
    Class::ALL.iter().position(|other| *other == class).unwrap_or_default()
}
