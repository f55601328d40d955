//! The commands of the mesh: run a node, and ask one that runs.

pub(crate) mod arguments;
pub(crate) mod cluster;
mod conflicts;
mod keys;
mod leaders;
pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod placement;
mod recovery;

use crate::error::{Error, Exit};
use crate::output::Output;
use arguments::{MeshCommand, MeshTopic};
use relaymesh_core::control::node as agreed;
use relaymesh_core::membership;
use relaymesh_core::mesh::{Reply, Request, fence};
use relaymesh_io_tokio::control;
use std::future::Future;
use std::path::Path;

/// Does what was typed.
pub(crate) fn run(command: &MeshCommand, output: &Output) -> Result<Exit, Error> {
    match command {
        MeshCommand::Node(arguments) => node::run(arguments),
        MeshCommand::Members(arguments) => members::run(arguments, output),
        MeshCommand::Leave(arguments) => members::leave(arguments, output),
        MeshCommand::Keys(arguments) => keys::run(arguments, output),
        MeshCommand::ClusterInit(arguments) => cluster::init(arguments),
        MeshCommand::ClusterState(arguments) => cluster::state(arguments, output),
        MeshCommand::ClusterVoters(arguments) => cluster::voters(arguments),
        MeshCommand::ClusterEpochBump(arguments) => cluster::bump_epoch(arguments, output),
        MeshCommand::ClusterActivate(arguments) => cluster::activate(arguments),
        MeshCommand::ClusterBackup(arguments) => recovery::back_up(arguments, output),
        MeshCommand::ClusterRecover(arguments) => recovery::recover(arguments, output),
        MeshCommand::LeaseConflicts(arguments) => conflicts::list(arguments, output),
        MeshCommand::LeaseAccept(arguments) => conflicts::accept(arguments),
        MeshCommand::Mesh(MeshTopic::Leaders(command)) => leaders::run(command, output),
        MeshCommand::Mesh(MeshTopic::Shards(command)) => placement::shards(command, output),
        MeshCommand::Mesh(MeshTopic::Peers(command)) => placement::peers(command, output),
    }
}

/// Runs `work` to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(work)
}

/// Asks the node that runs in `folder` about members.
async fn ask(folder: &Path, request: membership::Request) -> Result<membership::Reply, Error> {
    match ask_any(folder, Request::Membership(request)).await? {
        Reply::Membership(membership::Reply::Refused(refusal)) => Err(Error::Refused(refusal)),
        Reply::Membership(reply) => Ok(reply),
        _ => Err(Error::OtherAnswer),
    }
}

/// Asks it about what the cluster agrees on.
pub(crate) async fn ask_control(folder: &Path, request: agreed::Request) -> Result<agreed::Reply, Error> {
    match ask_any(folder, Request::Control(request)).await? {
        Reply::Control(agreed::Reply::Refused(refusal)) => Err(Error::ControlRefused(refusal)),
        Reply::Control(reply) => Ok(reply),
        _ => Err(Error::OtherAnswer),
    }
}

/// Asks its fence.
async fn ask_fence(folder: &Path, request: fence::Request) -> Result<fence::Reply, Error> {
    match ask_any(folder, Request::Fence(request)).await? {
        Reply::Fence(reply) => Ok(reply),
        _ => Err(Error::OtherAnswer),
    }
}

/// Asks it anything.
pub(crate) async fn ask_any(folder: &Path, request: Request) -> Result<Reply, Error> {
    control::ask(folder, &request).await.map_err(|problem| Error::Ask(Box::new(problem)))
}
