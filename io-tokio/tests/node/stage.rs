//! Machines with a folder each, and nodes that run on them.

use crate::ledger::{Ledger, Reply, Request, Seen};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, ClusterKey};
use relaymesh_core::identity::{ClusterId, NodeId};
use relaymesh_core::node::Observed;
use relaymesh_io_tokio::folder::Folder;
use relaymesh_io_tokio::settings::{Bounds, Settings};
use relaymesh_io_tokio::{Counts, Handle, Observations, Sighting, Stopped, start};
use std::future::Future;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes(*b"cluster of tests");

/// The key of the cluster of tests with this number.
pub(crate) fn key(seed: u8) -> ClusterKey {
    key_of(CLUSTER, seed)
}

pub(crate) fn key_of(cluster: ClusterId, seed: u8) -> ClusterKey {
    ClusterKey::generate(cluster, std::array::from_fn(|at| seed.wrapping_add(at as u8))).unwrap()
}

/// Waits for what must come, and fails when it does not.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), what).await.expect("what the story waits for never came")
}

/// Bounds under which a story need not wait long for an end.
pub(crate) fn brisk() -> Bounds {
    Bounds {
        hello: Duration::from_millis(300),
        frame: Duration::from_millis(500),
        redial_min: Duration::from_millis(1),
        redial_max: Duration::from_millis(20),
        ..Bounds::default()
    }
}

/// A machine: a folder that outlives the nodes that run on it.
pub(crate) struct Machine {
    place: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with_key(&key(1))
    }

    pub(crate) fn with_key(key: &ClusterKey) -> Self {
        let place = tempfile::tempdir().unwrap();
        Folder::give_first_key(place.path(), key).unwrap();
        Self { place }
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(&self, settings: Settings) -> Running {
        Running::start(Folder::open(self.path()).unwrap(), settings).await
    }
}

/// A node that runs, and what it has observed that the story has not looked at yet.
pub(crate) struct Running {
    pub(crate) handle: Handle<Ledger>,
    observations: Observations<Ledger>,
}

impl Running {
    async fn start(folder: Folder, settings: Settings) -> Self {
        let mut running = Self::begin(folder, settings).await;
        running.sees(|seen| matches!(seen, Seen::Started { .. })).await;
        running
    }

    /// Starts a node without waiting until it may speak.
    pub(crate) async fn begin(folder: Folder, settings: Settings) -> Self {
        let handle = start(folder, settings, |_, _| Ledger::default()).await.unwrap();
        let observations = handle.observations();
        Self { handle, observations }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.handle.node()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.handle.endpoint()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.handle.counts()
    }

    pub(crate) async fn ask(&self, request: Request) -> Reply {
        soon(self.handle.request(request)).await.unwrap()
    }

    pub(crate) async fn count(&self) -> u64 {
        match self.ask(Request::Count).await {
            Reply::Number(count) => count,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn tell(&self, to: NodeId, class: Class, number: u64) {
        self.ask(Request::Tell { to, class, number, padding: 0, gated: false }).await;
    }

    pub(crate) async fn locate(&self, other: &Self) {
        self.ask(Request::Locate { node: other.node(), endpoint: other.endpoint() }).await;
    }

    /// Waits for an observation; those before it are gone.
    pub(crate) async fn sees(&mut self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        loop {
            let seen = self.next().await;
            if wanted(&seen) {
                return seen;
            }
        }
    }

    pub(crate) async fn hears(&mut self, number: u64) -> NodeId {
        match self.sees(|seen| matches!(seen, Seen::Heard { number: heard, .. } if *heard == number)).await {
            Seen::Heard { from, .. } => from,
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Seen {
        loop {
            match soon(self.observations.next()).await {
                Some(Sighting::Noticed(noticed)) => match noticed.what {
                    Observed::Application(seen) => return seen,
                    Observed::Node(_) => {}
                },
                other => panic!("no further observation: {other:?}"),
            }
        }
    }

    pub(crate) async fn stop(self) {
        self.handle.stop();
        assert_eq!(soon(self.handle.stopped()).await.unwrap(), Stopped::Asked);
    }
}

/// Two machines with nodes that know where the other is.
pub(crate) async fn pair() -> ([Machine; 2], Running, Running) {
    let machines = [Machine::new(), Machine::new()];
    let settings = || Settings { bounds: brisk(), ..Settings::default() };
    let (one, two) = (machines[0].start_with(settings()).await, machines[1].start_with(settings()).await);
    one.locate(&two).await;
    two.locate(&one).await;
    (machines, one, two)
}
