//! Streams that other nodes open.

use super::frame::{self, FrameError};
use super::meet::welcome;
use super::{Common, Inbox};
use relaymesh_core::envelope::{Class, Purpose};
use relaymesh_core::identity::NodeId;
use relaymesh_core::node::{Delivery, Message};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Wait after the operating system refused to accept, which it does when no file descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes read from a stream at once.
const READ_BYTES: usize = 16 << 10;

/// Accepts streams for as long as the node lives.
pub(crate) async fn accept<M: Message + Send + 'static>(common: Arc<Common>, listener: TcpListener, inbox: Inbox<M>) {
    let doors = Doors::new(&common);
    let mut streams = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => (stream, address.ip()),
                Err(problem) => {
                    // Of one connection, or of the whole process; neither is a reason to stop listening.
                    if problem.kind() != ErrorKind::ConnectionAborted {
                        tracing::warn!(%problem, "a connection could not be accepted");
                        sleep(PAUSE).await;
                    }
                    continue;
                }
            },
            Some(ended) = streams.join_next() => {
                resume_panic(ended);
                continue;
            }
        };
        let Some(guest) = doors.enter(address) else {
            if let Some(total) = common.tally.streams_turned_away.one_more() {
                tracing::warn!(total, %address, "a connection was turned away: as many are open as may be");
            }
            continue;
        };
        streams.spawn(serve(common.clone(), stream, address, inbox.clone(), guest));
    }
}

/// A panic in a stream's task is a defect of this program, and ends the node as one in its own task would.
fn resume_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn serve<M: Message>(
    common: Arc<Common>,
    mut stream: TcpStream,
    address: IpAddr,
    inbox: Inbox<M>,
    mut guest: Guest,
) {
    match welcome(&common, &mut stream).await {
        Ok((_, Purpose::Seek)) => {}
        Ok((peer, Purpose::Packets(class))) => {
            guest.proved();
            common.tally.streams_accepted.one_more();
            let problem = read_packets(&common, peer, class, stream, &inbox).await;
            if !matches!(problem, Broken::Frame(FrameError::Closed | FrameError::Idle))
                && let Some(total) = common.tally.streams_broken.one_more()
            {
                tracing::warn!(total, %peer, ?class, %address, %problem, "a stream of another node was closed");
            }
        }
        Err(problem) => {
            if let Some(total) = common.tally.hellos_failed.one_more() {
                tracing::warn!(total, %address, %problem, "a connection was closed");
            }
        }
    }
}

/// Why nothing more is read from a stream.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a packet of another node or class than the stream's")]
    Misplaced,
    #[error("the node has stopped")]
    Stopped,
}

async fn read_packets<M: Message>(
    common: &Common,
    peer: NodeId,
    class: Class,
    stream: TcpStream,
    inbox: &Inbox<M>,
) -> Broken {
    let bounds = &common.bounds;
    let mut reader = BufReader::with_capacity(READ_BYTES, stream);
    let mut buffer = Vec::new();
    loop {
        let read = frame::read(&mut reader, common.packet_bytes, bounds.read_idle, bounds.frame, &mut buffer);
        if let Err(problem) = read.await {
            return problem.into();
        }
        match common.open::<M>(&buffer) {
            Ok(opened) if opened.envelope.source.node != peer || opened.envelope.class != class => {
                common.tally.packets_misplaced.one_more();
                return Broken::Misplaced;
            }
            Ok(opened) => {
                // A node that is busy slows its peers down, each class by itself.
                let delivery = Delivery { envelope: opened.envelope, message: opened.message };
                if inbox.lane(class).send(delivery).await.is_err() {
                    return Broken::Stopped;
                }
            }
            // Keys may be changing, or the peer may be of a newer build: the next packet may open.
            Err(problem) => common.refused(problem),
        }
    }
}

/// How many connections may be open: in all, from one address, and before they have proved themselves.
struct Doors {
    total: Arc<Semaphore>,
    unproved: Arc<Semaphore>,
    per_address: usize,
    unproved_per_address: usize,
    addresses: Arc<Mutex<BTreeMap<IpAddr, Open>>>,
}

/// Connections from one address.
#[derive(Default)]
struct Open {
    all: usize,
    unproved: usize,
}

/// One connection's right to be open.
struct Guest {
    address: IpAddr,
    addresses: Arc<Mutex<BTreeMap<IpAddr, Open>>>,
    _total: OwnedSemaphorePermit,
    unproved: Option<OwnedSemaphorePermit>,
}

impl Doors {
    fn new(common: &Common) -> Self {
        let bounds = &common.bounds;
        Self {
            total: Arc::new(Semaphore::new(bounds.inbound_total)),
            unproved: Arc::new(Semaphore::new(bounds.inbound_unproved)),
            per_address: bounds.inbound_per_address,
            unproved_per_address: bounds.inbound_unproved.div_ceil(4).max(2),
            addresses: Arc::default(),
        }
    }

    fn enter(&self, address: IpAddr) -> Option<Guest> {
        let total = self.total.clone().try_acquire_owned().ok()?;
        let unproved = self.unproved.clone().try_acquire_owned().ok()?;
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let open = addresses.entry(address).or_default();
        // One address may not hold all the places of those that have still to prove themselves.
        if open.all >= self.per_address || open.unproved >= self.unproved_per_address {
            return None;
        }
        open.all += 1;
        open.unproved += 1;
        Some(Guest { address, addresses: self.addresses.clone(), _total: total, unproved: Some(unproved) })
    }
}

impl Guest {
    fn proved(&mut self) {
        if self.unproved.take().is_some() {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(open) = addresses.get_mut(&self.address) {
                open.unproved -= 1;
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.proved();
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = addresses.get_mut(&self.address) {
            open.all -= 1;
            if open.all == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
