//! `relaymesh node`: one node of the mesh, until it is told to stop.

use super::arguments::NodeArguments;
use super::block_on;
use crate::error::{Error, Exit};
use crate::output::note;
use relaymesh_core::control::state::Seat;
use relaymesh_core::envelope::ClusterKey;
use relaymesh_core::identity::ClusterId;
use relaymesh_core::membership::{self, Identity, Profile};
use relaymesh_core::mesh::{MeshNode, NEWEST_VERSION, Reply, Request};
use relaymesh_core::node::StopReason;
use relaymesh_core::task::wire::Offer;
use relaymesh_core::task::workflow::Name;
use relaymesh_io_tokio::agents::{self, Catalog, Runner, Shim, attend};
use relaymesh_io_tokio::folder::{Folder, FolderError};
use relaymesh_io_tokio::settings::{Listen, Seeds, Settings};
use relaymesh_io_tokio::{Handle, Stopped, entropy, start};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a good-bye may take.
const GOOD_BYE: Duration = Duration::from_secs(10);

pub(super) fn run(arguments: &NodeArguments) -> Result<Exit, Error> {
    prepare(arguments)?;
    block_on(serve(arguments))
}

/// Gives a new folder its first key: the one given, or that of a new cluster.
fn prepare(arguments: &NodeArguments) -> Result<(), Error> {
    let key = match (&arguments.key_file, arguments.new_cluster) {
        (Some(file), _) => read_key(file)?,
        (None, true) => {
            let cluster = ClusterId::from_bytes(entropy::draw().map_err(Error::Entropy)?);
            ClusterKey::generate(cluster, entropy::draw().map_err(Error::Entropy)?).map_err(Error::Key)?
        }
        (None, false) => return Ok(()),
    };
    match Folder::give_first_key(&arguments.dir, &key) {
        // A node that is started again the same way keeps the keys it has.
        Ok(()) | Err(FolderError::HasKeyring(_)) => Ok(()),
        Err(problem) => Err(Error::Folder(Box::new(problem))),
    }
}

/// The key in a file: the first line that is not empty, so that another node's keyring will do.
pub(crate) fn read_key(file: &Path) -> Result<ClusterKey, Error> {
    let failed = |problem| Error::KeyFile { path: file.into(), problem };
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let mode = std::fs::metadata(file).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let file = file.display();
        note(format_args!("anybody on this machine may read the key in {file}; `chmod 600 {file}` keeps it to you"));
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    ClusterKey::parse(line).map_err(Error::Key)
}

async fn serve(arguments: &NodeArguments) -> Result<Exit, Error> {
    let folder = Folder::open(&arguments.dir).map_err(|problem| match problem {
        FolderError::NoKeyring(path) => Error::NoKeyring { path },
        problem => Error::Folder(Box::new(problem)),
    })?;
    let timing = membership::settings::Profile::named(&arguments.profile).unwrap_or_default();
    let described = Arc::new(describe(arguments));
    let name = arguments.name.clone().unwrap_or_default();
    let settings = Settings {
        listen: Listen {
            address: arguments.listen,
            advertise: arguments.advertise,
            allow_plaintext_network: arguments.allow_plaintext_network,
        },
        seeds: Seeds { places: arguments.seed.clone(), file: arguments.seeds_file.clone() },
        control: true,
        ..Settings::default()
    };
    let identity = |node, endpoint| Identity {
        node,
        endpoint,
        speaks: NEWEST_VERSION.0,
        name: name.clone().into(),
        profile: Arc::clone(&described),
    };
    let probe = relaymesh_core::endpoint::Endpoint(arguments.listen);
    identity(folder.identity().node(), probe).check().map_err(Error::Description)?;
    // Signals are listened to before anyone can know that the node runs.
    let (mut ends, mut interrupts) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut machines = relaymesh_core::mesh::Settings::from(timing);
    let place = &mut machines.shards.plans.seat;
    *place = Seat { weight: arguments.weight, zone: arguments.zone.unwrap_or(place.zone) };
    let compose = |seat: &relaymesh_core::node::Seat, endpoint| {
        MeshNode::new(seat, machines.clone(), identity(seat.node, endpoint))
    };
    let bench = bench(arguments)?;
    let handle = start(folder, settings, compose).await.map_err(|problem| Error::Start(Box::new(problem)))?;
    let working = bench.map(|(runner, offer)| tokio::spawn(attend(handle.clone(), runner, offer, arguments.capacity)));
    println!("node {} of cluster {} at {}", handle.node(), handle.cluster(), handle.endpoint());
    let abandoned = abandoned(arguments.end_with_stdin)?;
    tokio::select! {
        biased;
        _ = ends.recv() => {}
        _ = interrupts.recv() => {}
        ended = handle.stopped() => return conclude(ended),
        () = abandoned => return end(&handle, working).await,
    }
    // A good-bye waits for the disk and for others to hear it: not for ever, and not for who is in a hurry.
    tokio::select! {
        biased;
        _ = ends.recv() => {}
        _ = interrupts.recv() => {}
        () = tokio::time::sleep(GOOD_BYE) => note("stopping without a good-bye: it took too long"),
        () = leave(&handle) => {}
    }
    end(&handle, working).await
}

async fn end(handle: &Handle<MeshNode>, working: Option<JoinHandle<()>>) -> Result<Exit, Error> {
    handle.stop();
    let ended = handle.stopped().await;
    if let Some(working) = working {
        // Nothing of an agent is left behind.
        let _ = working.await;
    }
    conclude(ended)
}

/// Comes to its end when standard input does, or never. A thread of its own waits for that, which ends with the process.
fn abandoned(ends_with_stdin: bool) -> Result<impl Future<Output = ()>, Error> {
    let (tell, told) = oneshot::channel::<()>();
    let wait = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = tell.send(());
    };
    if ends_with_stdin {
        std::thread::Builder::new().spawn(wait).map_err(Error::Runtime)?;
    }
    Ok(async move {
        let is_over = ends_with_stdin && told.await.is_ok();
        if !is_over {
            std::future::pending::<()>().await;
        }
    })
}

/// The agents of this node, and what its worker offers; nothing where it is to run none.
fn bench(arguments: &NodeArguments) -> Result<Option<(Runner, Offer)>, Error> {
    if arguments.capacity == 0 {
        return Ok(None);
    }
    let file = arguments.dir.join("agents.toml");
    let catalog = match file.exists() {
        true => Catalog::load(&file).map_err(|problem| Error::Agents(Box::new(problem)))?,
        false => Catalog::default(),
    };
    let agents = catalog.names().filter_map(|name| Name::new(name).ok()).collect();
    let labels = arguments.offers.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    let settings = agents::Settings {
        shim: Shim::own(["agent-shim"]),
        scratch: arguments.dir.join("runs"),
        runs_max: usize::from(arguments.capacity),
    };
    let runner = Runner::new(catalog, settings).map_err(Error::Scratch)?;
    Ok(Some((runner, Offer { agents, labels })))
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Error> {
    signal(kind).map_err(Error::Runtime)
}

/// Says good-bye. A node that cannot, because it is not a member yet or its disk has failed, just stops.
async fn leave(handle: &Handle<MeshNode>) {
    let request = Request::Membership(membership::Request::Leave);
    match handle.request(request).await {
        Ok(Reply::Membership(membership::Reply::Left)) => note("left the mesh"),
        Ok(_) => note("stopping"),
        Err(problem) => note(format_args!("stopping without a good-bye: {problem}")),
    }
}

fn conclude(ended: Result<Stopped, relaymesh_io_tokio::DriverError>) -> Result<Exit, Error> {
    match ended {
        Ok(Stopped::Asked) => Ok(Exit::Held),
        Ok(Stopped::Node(reason)) => Err(Error::NodeStopped(reason)),
        Err(problem) => Err(Error::Driver(problem)),
    }
}

/// What to do about the end of a node.
pub(crate) fn next_step(reason: &StopReason) -> &'static str {
    match reason {
        StopReason::StoreFailed(_) => {
            "\n  make room, or mend the disk, and start it again: what was acknowledged is kept"
        }
        _ => "",
    }
}

/// What the node says about itself.
fn describe(arguments: &NodeArguments) -> Profile {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into();
    Profile {
        role: text(&arguments.role),
        region: text(&arguments.region),
        zone: arguments.zone.map(|zone| zone.to_string()).unwrap_or_default().into(),
        software: env!("CARGO_PKG_VERSION").into(),
        posture: if arguments.allow_plaintext_network { "plaintext" } else { "loopback" }.into(),
        labels: arguments.label.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
        ..Profile::default()
    }
}
