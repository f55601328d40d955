//! `relaymesh node`: one node of the mesh, until it is told to stop.

use super::arguments::NodeArguments;
use super::block_on;
use crate::error::{Error, Exit};
use crate::output::note;
use relaymesh_core::envelope::ClusterKey;
use relaymesh_core::identity::ClusterId;
use relaymesh_core::membership::{self, Identity, Profile};
use relaymesh_core::mesh::{MeshNode, NEWEST_VERSION, Reply, Request};
use relaymesh_io_tokio::folder::{Folder, FolderError};
use relaymesh_io_tokio::settings::{Listen, Seeds, Settings};
use relaymesh_io_tokio::{Handle, Stopped, entropy, start};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

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
pub(super) fn read_key(file: &Path) -> Result<ClusterKey, Error> {
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
    let compose =
        |seat: &relaymesh_core::node::Seat, endpoint| MeshNode::new(seat, timing.into(), identity(seat.node, endpoint));
    let handle = start(folder, settings, compose).await.map_err(|problem| Error::Start(Box::new(problem)))?;
    println!("node {} of cluster {} at {}", handle.node(), handle.cluster(), handle.endpoint());
    tokio::select! {
        biased;
        _ = ends.recv() => {}
        _ = interrupts.recv() => {}
        ended = handle.stopped() => return conclude(ended),
    }
    // A good-bye waits for the disk and for others to hear it: not for ever, and not for who is in a hurry.
    tokio::select! {
        biased;
        _ = ends.recv() => {}
        _ = interrupts.recv() => {}
        () = tokio::time::sleep(GOOD_BYE) => note("stopping without a good-bye: it took too long"),
        () = leave(&handle) => {}
    }
    handle.stop();
    conclude(handle.stopped().await)
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

/// What the node says about itself.
fn describe(arguments: &NodeArguments) -> Profile {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into();
    Profile {
        role: text(&arguments.role),
        region: text(&arguments.region),
        zone: text(&arguments.zone),
        software: env!("CARGO_PKG_VERSION").into(),
        posture: if arguments.allow_plaintext_network { "plaintext" } else { "loopback" }.into(),
        labels: arguments.label.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
        ..Profile::default()
    }
}
