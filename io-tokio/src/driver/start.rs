//! Putting a driver together.

use super::sources::Sources;
use super::{Driver, Runnable};
use crate::control::{self, ServeError};
use crate::entropy::{self, EntropyError};
use crate::folder::Folder;
use crate::handle::{DriverError, Ended, Handle, Shared};
use crate::keys::{self, Keys};
use crate::settings::Settings;
use crate::store::{self, Held, Keeper, StoreError};
use crate::transport::{self, Bound, Common, Inbox, ListenError, Peers};
use relaymesh_core::codec::{Body, BodyVersion};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Keyring, Party};
use relaymesh_core::identity::{RequestId, StoreIncarnation};
use relaymesh_core::machine::Seeded;
use relaymesh_core::node::{Node, Scratch, Seat};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

/// Requests on their way to the driver, and what else may wait for it.
const WAITING_MAX: usize = 256;
/// Attempts to open a store that is still in use, and the wait between two.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Why a node did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its control socket cannot be made.
    #[error(transparent)]
    Control(#[from] ServeError),
    /// No random numbers.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A part of the program panicked while it started.
    #[error("a part of the program failed while it started; its log says where")]
    Panicked,
}

/// Starts the node whose folder this is. `compose` makes its application, once it is known where the node sits and where
/// others reach it.
///
/// The node is still reading its journal when this returns: until that is done it refuses requests as
/// [`Starting`](relaymesh_core::node::Refusal::Starting).
///
/// # Errors
/// [`StartError`]; the folder is free again.
pub async fn start<A: Runnable>(
    folder: Folder,
    settings: Settings,
    compose: impl FnOnce(&Seat, Endpoint) -> A,
) -> Result<Handle<A>, StartError> {
    let bound = transport::bind(&settings.listen).await?;
    let (keeper, thread) = open(&folder, &settings).await?;
    let control = match settings.control {
        true => Some(control::listen(folder.path())?),
        false => None,
    };

    let endpoint = bound.endpoint;
    let seat = seat::<A>(&folder, &settings)?;
    let application = compose(&seat, endpoint);
    let seed = u64::from_le_bytes(entropy::draw()?);
    let (ring, keys) = watch::channel(folder.ring().clone());
    let common = Arc::new(common(&seat, &settings, keys));
    let (ended, has_ended) = watch::channel(None);
    let wires = Wires { seed, bound, keeper, ring, has_ended };
    let held = wires.keeper.held;
    let (driver, handle) = connect(Node::new(seat, application), &folder, settings, common, wires);

    let mut tasks = JoinSet::new();
    if let Some(listener) = control {
        tasks.spawn(control::serve(listener, handle.clone()));
    }
    tokio::spawn(async move {
        let result = run_to_the_end(driver, held, thread).await;
        tasks.shutdown().await;
        control::remove(folder.path());
        drop(folder);
        ended.send_replace(Some(result));
    });
    Ok(handle)
}

/// Opens the store. The folder is this node's alone; what still has the store is on its way out: a thread of an earlier
/// node in this process, sled's own included, or a child process that is just being started.
async fn open(folder: &Folder, settings: &Settings) -> Result<(Keeper, JoinHandle<()>), StartError> {
    for _ in 0..ATTEMPTS {
        match open_once(folder, settings).await {
            Err(StartError::Store(StoreError::InUse(_))) => sleep(PAUSE).await,
            done => return done,
        }
    }
    open_once(folder, settings).await
}

async fn open_once(folder: &Folder, settings: &Settings) -> Result<(Keeper, JoinHandle<()>), StartError> {
    let (path, limits) = (folder.store(), settings.limits.clone());
    let opened = spawn_blocking(move || store::open(&path, &limits)).await;
    Ok(opened.map_err(|_| StartError::Panicked)??)
}

/// What a driver is made of besides its node.
struct Wires {
    seed: u64,
    bound: Bound,
    keeper: Keeper,
    ring: watch::Sender<Keyring>,
    has_ended: watch::Receiver<Option<Ended>>,
}

fn seat<A: Runnable>(folder: &Folder, settings: &Settings) -> Result<Seat, EntropyError> {
    Ok(Seat {
        cluster: folder.cluster(),
        domain: settings.domain,
        node: folder.identity().node(),
        fresh_store: StoreIncarnation(u64::from_le_bytes(entropy::draw()?)),
        speaks: speaks::<A>(),
        keys: folder.ring().ids(),
        limits: settings.limits.clone(),
    })
}

/// The newest body version that this build understands, whatever the kind of body.
fn speaks<A: Runnable>() -> BodyVersion {
    A::Message::NEWEST.max(A::Record::NEWEST)
}

fn common(seat: &Seat, settings: &Settings, keys: watch::Receiver<Keyring>) -> Common {
    Common {
        me: Party { cluster: seat.cluster, node: seat.node },
        speaks: seat.speaks,
        packet_bytes: settings.limits.packet_bytes,
        listen: settings.listen,
        keys,
        bounds: settings.bounds.clone(),
        tally: crate::tally::Tally::default(),
    }
}

/// Lays every wire of a driver. Its streams and datagrams run from here on.
fn connect<A: Runnable>(
    node: Node<A>,
    folder: &Folder,
    settings: Settings,
    common: Arc<Common>,
    wires: Wires,
) -> (Driver<A>, Handle<A>) {
    let Wires { seed, bound, keeper, ring, has_ended } = wires;
    let (inbox, arrivals) = Inbox::new(settings.bounds.inbox_packets.max(1));
    let (asks, asked) = mpsc::channel(WAITING_MAX);
    let (pressure, pressed) = mpsc::channel(WAITING_MAX);
    let (finds, found) = mpsc::channel(WAITING_MAX);
    let (key_orders, key_orders_taken) = mpsc::channel(keys::ORDERS_MAX);
    let (keys_told, keys_heard) = mpsc::channel(keys::ORDERS_MAX);
    let (stop, stopping) = watch::channel(false);
    let (noticed, _) = broadcast::channel(settings.bounds.observations.max(1));
    let seeking = Arc::new(Notify::new());
    let datagrams = Arc::new(bound.datagrams);

    let mut tasks = JoinSet::new();
    tasks.spawn(transport::accept(common.clone(), bound.streams, inbox.clone()));
    tasks.spawn(transport::receive(common.clone(), datagrams.clone(), inbox));
    tasks.spawn(transport::seek(common.clone(), settings.seeds, seeking.clone(), finds));
    let keys = Keys { folder: folder.path().to_owned(), ring, common: common.clone(), told: keys_told };
    tasks.spawn(keys.run(key_orders_taken));

    let handle = Handle {
        shared: Arc::new(Shared {
            common: common.clone(),
            endpoint: bound.endpoint,
            asks,
            keys: key_orders.clone(),
            stop,
            ended: has_ended,
            noticed: noticed.downgrade(),
        }),
    };
    let sources = Sources {
        arrivals,
        asks: asked,
        durable: keeper.durable,
        reports: keeper.reports,
        pressure: pressed,
        found,
        keys: keys_heard,
        stop: stopping,
        computed: JoinSet::new(),
        tasks,
        woke: false,
    };
    let driver = Driver {
        node,
        scratch: Scratch::new(),
        chooser: Seeded::new(seed, 0),
        events: 0,
        due: VecDeque::new(),
        peers: Peers::new(common.clone(), datagrams, pressure),
        common,
        orders: keeper.orders,
        keys: key_orders,
        seeking,
        noticed,
        clients: BTreeMap::new(),
        last_request: RequestId(0),
        cores: Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, usize::from))),
        sources,
        ended: None,
    };
    (driver, handle)
}

/// Runs the driver and then waits for the disk: when this returns, nothing of the node is left.
async fn run_to_the_end<A: Runnable>(driver: Driver<A>, held: Held, thread: JoinHandle<()>) -> Ended {
    let result = tokio::spawn(driver.run(held)).await.unwrap_or(Err(DriverError::Panicked));
    let store = spawn_blocking(move || thread.join()).await;
    match (result, store) {
        (Ok(stopped), Ok(Ok(()))) => Ok(stopped),
        (Ok(_), _) => Err(DriverError::Panicked),
        (failed, _) => failed,
    }
}
