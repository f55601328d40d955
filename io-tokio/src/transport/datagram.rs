//! Datagrams of other nodes.

use super::{Common, Inbox};
use relaymesh_core::envelope::Class;
use relaymesh_core::node::{Delivery, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::sleep;

/// The largest datagram there is.
const DATAGRAM_BYTES: usize = 64 << 10;
/// Wait after the operating system handed over an error instead of a datagram.
const PAUSE: Duration = Duration::from_millis(10);

/// Takes datagrams for as long as the node lives.
pub(crate) async fn receive<M: Message>(common: Arc<Common>, socket: Arc<UdpSocket>, inbox: Inbox<M>) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((bytes, _)) => take(&common, &buffer[..bytes], &inbox),
            Err(problem) => {
                if let Some(total) = common.tally.datagrams_failed.one_more() {
                    tracing::warn!(total, %problem, "a datagram was not received");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Where it came from is not looked at: who made a packet is in the packet, and what a cluster key proves is the same
/// whatever the way it took.
fn take<M: Message>(common: &Common, packet: &[u8], inbox: &Inbox<M>) {
    match common.open::<M>(packet) {
        Ok(opened) if opened.envelope.class != Class::Gossip => {
            common.tally.packets_misplaced.one_more();
        }
        Ok(opened) => {
            let delivery = Delivery { envelope: opened.envelope, message: opened.message };
            if let Err(TrySendError::Full(_)) = inbox.lane(Class::Gossip).try_send(delivery) {
                common.tally.datagrams_overflowed.one_more();
            }
        }
        Err(problem) => common.refused(problem),
    }
}
