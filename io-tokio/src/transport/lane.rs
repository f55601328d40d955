//! One stream to one peer in one class, opened when there is something to send.

use super::meet::{MeetError, dial};
use super::queue::Queue;
use super::{Common, Parcel, Pressure, frame};
use crate::clock;
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, Purpose};
use relaymesh_core::identity::NodeId;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Bytes that are handed to the operating system at once; a single packet may be larger.
const WRITE_BYTES: usize = 64 << 10;

/// What keeps one stream going. Aborted when its peer is forgotten or moves.
pub(super) struct Lane {
    pub(super) common: Arc<Common>,
    pub(super) peer: NodeId,
    pub(super) class: Class,
    pub(super) endpoint: Endpoint,
    pub(super) queue: Arc<Queue>,
    /// Where it is told that the queue has room again.
    pub(super) pressure: mpsc::Sender<Pressure>,
}

/// How a stream came to its end.
enum End {
    /// Nothing was sent for a while.
    Idle,
    /// The other end closed it, or it broke.
    Broken,
}

impl Lane {
    /// Opens the stream whenever packets wait, and closes it when none came for a while. What waits when it breaks or
    /// cannot be opened is dropped, as a network would.
    pub(super) async fn run(self) {
        let mut delay = self.common.bounds.redial_min;
        let mut not_before = Instant::now();
        loop {
            self.queue.wait().await;
            sleep_until(not_before).await;
            let end = match self.open().await {
                Ok(stream) => {
                    delay = self.common.bounds.redial_min;
                    self.carry(stream).await
                }
                Err(problem) => {
                    self.failed(&problem);
                    delay = (2 * delay).min(self.common.bounds.redial_max);
                    End::Broken
                }
            };
            if matches!(end, End::Broken) {
                not_before = Instant::now() + delay;
                self.drop_all().await;
            }
        }
    }

    async fn open(&self) -> Result<TcpStream, MeetError> {
        let (stream, node) = dial(&self.common, self.endpoint.0, Purpose::Packets(self.class)).await?;
        if node != self.peer {
            return Err(MeetError::Other(node));
        }
        self.common.tally.dials_done.one_more();
        Ok(stream)
    }

    fn failed(&self, problem: &MeetError) {
        if let Some(total) = self.common.tally.dials_failed.one_more() {
            let (peer, class, endpoint) = (self.peer, self.class, self.endpoint);
            tracing::warn!(total, %peer, ?class, %endpoint, %problem, "a stream could not be opened");
        }
    }

    /// Sends what waits until the stream ends.
    async fn carry(&self, stream: TcpStream) -> End {
        let (mut from_peer, mut to_peer) = stream.into_split();
        let (mut parcels, mut bytes) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                () = self.queue.wait() => {}
                () = ended(&mut from_peer) => return End::Broken,
                () = sleep(self.common.bounds.lane_idle) => {
                    let _ = to_peer.shutdown().await;
                    return End::Idle;
                }
            }
            let relieved = self.queue.take(WRITE_BYTES, &mut parcels);
            self.frame(&mut parcels, &mut bytes);
            if relieved {
                self.tell_room().await;
            }
            match timeout(self.common.bounds.frame, to_peer.write_all(&bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return End::Broken,
            }
        }
    }

    /// Frames what may still leave.
    fn frame(&self, parcels: &mut Vec<Parcel>, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.shrink_to(2 * WRITE_BYTES);
        for parcel in parcels.drain(..) {
            if parcel.is_late(clock::now()) {
                self.common.tally.sends_late.one_more();
            } else {
                frame::append(&[&parcel.bytes], bytes);
            }
        }
    }

    async fn drop_all(&self) {
        let (dropped, relieved) = self.queue.clear();
        self.common.tally.sends_broken.add(dropped as u64);
        if relieved {
            self.tell_room().await;
        }
    }

    async fn tell_room(&self) {
        // The driver drains this as long as it lives.
        let _ = self.pressure.send(Pressure::Room { peer: self.peer, class: self.class }).await;
    }
}

/// Returns when the other end closes the stream or says anything, which it has no right to.
async fn ended(from_peer: &mut OwnedReadHalf) {
    let _ = from_peer.read(&mut [0]).await;
}
