//! The commands of the mesh: run a node, and ask one that runs.

pub(crate) mod arguments;
mod keys;
mod members;
mod node;

use crate::error::{Error, Exit};
use crate::output::Output;
use arguments::MeshCommand;
use relaymesh_core::membership;
use relaymesh_core::mesh::{Reply, Request};
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
    }
}

/// Runs `work` to its end.
fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(work)
}

/// Asks the node that runs in `folder`.
async fn ask(folder: &Path, request: membership::Request) -> Result<membership::Reply, Error> {
    let request = Request::Membership(request);
    match control::ask(folder, &request).await.map_err(|problem| Error::Ask(Box::new(problem)))? {
        Reply::Membership(membership::Reply::Refused(refusal)) => Err(Error::Refused(refusal)),
        Reply::Membership(reply) => Ok(reply),
        other => unreachable!("membership was asked, and {other:?} came back"),
    }
}
