//! What a program holds of a running node.

use crate::driver::Runnable;
use crate::keys::{InstallError, KeyOrder};
use crate::settings::Bounds;
use crate::store::StoreError;
use crate::tally::Counts;
use crate::transport::Common;
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::KeyId;
use relaymesh_core::identity::{ClusterId, NodeId};
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::{Application, Observed, Refusal, StopReason};
use relaymesh_core::secret::SecretKey;
use relaymesh_core::time::WallTime;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// A node that runs. Cloning it gives another handle of the same node; dropping all of them leaves it running.
pub struct Handle<A: Application> {
    pub(crate) shared: Arc<Shared<A>>,
}

pub(crate) struct Shared<A: Application> {
    pub(crate) endpoint: Endpoint,
    pub(crate) asks: mpsc::Sender<Ask<A>>,
    pub(crate) keys: mpsc::Sender<KeyOrder>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) ended: watch::Receiver<Option<Ended>>,
    pub(crate) noticed: broadcast::WeakSender<Noticed<A>>,
    pub(crate) common: Arc<Common>,
}

/// How a node came to its end.
pub(crate) type Ended = Result<Stopped, DriverError>;

/// A request on its way to the node.
pub(crate) struct Ask<A: Application> {
    pub(crate) request: A::Request,
    pub(crate) answer: oneshot::Sender<Result<A::Reply, RequestError>>,
}

/// Why a request has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The node did not look at it. Nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// As many requests are under way as may be. Nothing changed.
    #[error("the node has too many requests under way; try again in a moment")]
    Busy,
    /// The node stopped before it answered. What it had begun may or may not have been done.
    #[error("the node has stopped; see its log for the reason")]
    Stopped,
    /// The answer could not leave within its time limit. What it would have said may no longer hold.
    #[error("the node's answer came too late to be worth anything; ask again")]
    Late,
}

/// Why a node's process is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was told to stop.
    Asked,
    /// The node ended itself.
    Node(StopReason),
}

/// A node that could not go on for a reason of its surroundings.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DriverError {
    /// A slot of the store could not be read.
    #[error("the node has stopped: {0}")]
    Store(Arc<StoreError>),
    /// A part of the program panicked: an invariant did not hold. What was durable still is.
    #[error("the node has stopped after a defect of the program; its log says where; it can be started again")]
    Panicked,
}

/// One observation, as it left the node.
pub struct Noticed<A: Application> {
    /// When, on the node's wall clock.
    pub at: WallTime,
    /// The event it follows from.
    pub cause: CauseId,
    /// What was observed.
    pub what: Observed<A::Observation>,
}

impl<A: Application<Observation: Clone>> Clone for Noticed<A> {
    fn clone(&self) -> Self {
        Self { at: self.at, cause: self.cause, what: self.what.clone() }
    }
}

impl<A: Application> fmt::Debug for Noticed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noticed").field("cause", &self.cause).field("what", &self.what).finish_non_exhaustive()
    }
}

/// Observations from the moment it was asked for. A reader that falls behind loses the oldest ones, and is told how
/// many.
pub struct Observations<A: Application> {
    receiver: broadcast::Receiver<Noticed<A>>,
}

/// What a reader of observations gets.
#[derive(Debug)]
pub enum Sighting<A: Application> {
    /// The next observation.
    Noticed(Noticed<A>),
    /// So many were lost here, since the reader was slow.
    Missed(u64),
}

impl<A: Runnable> Observations<A> {
    /// The next observation, `None` once the node has stopped.
    pub async fn next(&mut self) -> Option<Sighting<A>> {
        match self.receiver.recv().await {
            Ok(noticed) => Some(Sighting::Noticed(noticed)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Sighting::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl<A: Application> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<A: Application> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({} at {})", self.shared.common.me.node, self.shared.endpoint)
    }
}

impl<A: Runnable> Handle<A> {
    /// Asks the node, and waits for its reply.
    ///
    /// # Errors
    /// [`RequestError`], which says whether anything may have changed.
    pub async fn request(&self, request: A::Request) -> Result<A::Reply, RequestError> {
        let (answer, reply) = oneshot::channel();
        self.shared.asks.send(Ask { request, answer }).await.map_err(|_| RequestError::Stopped)?;
        reply.await.unwrap_or(Err(RequestError::Stopped))
    }

    /// Adds a key to the node's keyring, durably. It opens packets from now on; which key seals is for the machines
    /// to say.
    ///
    /// # Errors
    /// [`InstallError`]; the ring is unchanged.
    pub async fn install_key(&self, key: SecretKey) -> Result<KeyId, InstallError> {
        let (done, answer) = oneshot::channel();
        self.shared.keys.send(KeyOrder::Install(key, done)).await.map_err(|_| InstallError::Stopped)?;
        answer.await.unwrap_or(Err(InstallError::Stopped))
    }

    /// Tells the node to stop. What it has written is made durable; what it has not answered stays unanswered. The mesh
    /// is not told: a node that leaves for good is asked to do so by a request first.
    pub fn stop(&self) {
        self.shared.stop.send_replace(true);
    }

    /// Waits until the node has stopped and let go of its folder and sockets.
    ///
    /// # Errors
    /// [`DriverError`] when it could not go on.
    pub async fn stopped(&self) -> Result<Stopped, DriverError> {
        let mut ended = self.shared.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or(Err(DriverError::Panicked)),
            Err(_) => Err(DriverError::Panicked),
        }
    }

    /// What the node observes from now on.
    pub fn observations(&self) -> Observations<A> {
        let receiver = match self.shared.noticed.upgrade() {
            Some(noticed) => noticed.subscribe(),
            // The node has stopped: a stream that has ended.
            None => broadcast::channel(1).1,
        };
        Observations { receiver }
    }

    /// Where other nodes reach it.
    pub fn endpoint(&self) -> Endpoint {
        self.shared.endpoint
    }

    /// Who it is.
    pub fn node(&self) -> NodeId {
        self.shared.common.me.node
    }

    /// Its cluster.
    pub fn cluster(&self) -> ClusterId {
        self.shared.common.me.cluster
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.shared.common.bounds
    }

    /// What the shell has counted so far.
    pub fn counts(&self) -> Counts {
        self.shared.common.tally.counts()
    }
}
