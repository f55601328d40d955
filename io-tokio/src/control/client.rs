//! The command line's side of the control socket.

use super::wire::{self, Answer, Failure, WireError};
use crate::folder;
use crate::handle::RequestError;
use crate::settings::Bounds;
use crate::transport::frame::{self, FrameError};
use relaymesh_core::codec::{Body, EncodeError};
use relaymesh_core::envelope::{ClusterKey, KeyId};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longer than a node takes to say that it took too long.
const PATIENCE: Duration = Duration::from_secs(45);

/// Why a node gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no node answers at {}: {problem}; is it running, and is this its folder?", .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why it failed.
        problem: io::Error,
    },
    /// The node closed the connection, or took too long. What was asked may or may not have been done.
    #[error("the node broke off: {0}; ask again, and see its log")]
    BrokenOff(String),
    /// The node answered with an error.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The key was not installed, in the node's own words.
    #[error("{0}")]
    Key(String),
    /// The node could not read what was asked, in its own words. Nothing changed.
    #[error("the node does not understand this command ({0}); are client and node of the same release?")]
    Unreadable(String),
    /// The reply is longer than a frame.
    #[error("the reply is too large for one answer; ask for less at once")]
    TooLarge,
    /// The node's answer could not be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// What was to be asked does not fit. Nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Asks the node that runs in the folder at `path`.
///
/// # Errors
/// [`AskError`].
pub async fn ask<Q: Body, R: Body>(path: &Path, request: &Q) -> Result<R, AskError> {
    let frame = wire::request(request, frame_bytes())?;
    match exchange(path, &frame).await? {
        Answer::Reply(reply) => Ok(reply),
        Answer::Failed(failure, words) => Err(failed(failure, words)),
        Answer::Installed(_) => Err(WireError::Kind.into()),
    }
}

/// Hands a key to the node that runs in the folder at `path`, which keeps it and opens packets with it from then on.
///
/// # Errors
/// [`AskError`]; unless it is [`AskError::BrokenOff`], the node's keyring is unchanged.
pub async fn install_key(path: &Path, key: &ClusterKey) -> Result<KeyId, AskError> {
    let mut frame = wire::install(key.reveal().expose());
    let answer = exchange::<NoReply>(path, &frame).await;
    frame.fill(0);
    std::hint::black_box(&frame);
    match answer? {
        Answer::Installed(id) => Ok(id),
        Answer::Failed(failure, words) => Err(failed(failure, words)),
        Answer::Reply(_) => Err(WireError::Kind.into()),
    }
}

fn frame_bytes() -> usize {
    Bounds::default().control_frame_bytes
}

async fn exchange<R: Body>(path: &Path, body: &[u8]) -> Result<Answer<R>, AskError> {
    let path = folder::control_socket(path);
    let connected = UnixStream::connect(&path).await;
    let mut stream = connected.map_err(|problem| AskError::Unreachable { path, problem })?;
    let length = u32::try_from(body.len()).map_err(|_| AskError::TooLarge)?;
    let sent = async {
        stream.write_all(&length.to_le_bytes()).await?;
        stream.write_all(body).await
    };
    match timeout(PATIENCE, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => return Err(AskError::BrokenOff(problem.to_string())),
        Err(_) => return Err(broken_off(&FrameError::Slow)),
    }
    let mut answer = Vec::new();
    let read = frame::read(&mut stream, frame_bytes(), PATIENCE, PATIENCE, &mut answer).await;
    read.map_err(|problem| broken_off(&problem))?;
    Ok(wire::read_answer(&answer)?)
}

fn broken_off(problem: &FrameError) -> AskError {
    AskError::BrokenOff(problem.to_string())
}

fn failed(failure: Failure, words: String) -> AskError {
    match failure {
        Failure::Refused(refusal) => RequestError::Refused(refusal).into(),
        Failure::Busy => RequestError::Busy.into(),
        Failure::Stopped => RequestError::Stopped.into(),
        Failure::Late => RequestError::Late.into(),
        Failure::Unreadable => AskError::Unreadable(words),
        Failure::Key => AskError::Key(words),
        Failure::TooLarge => AskError::TooLarge,
    }
}

/// The reply of a node that was asked nothing.
struct NoReply;

impl Body for NoReply {
    const OLDEST: relaymesh_core::codec::BodyVersion = relaymesh_core::codec::BodyVersion(1);
    const NEWEST: relaymesh_core::codec::BodyVersion = relaymesh_core::codec::BodyVersion(1);

    fn encode(&self, _: relaymesh_core::codec::BodyVersion, _: usize, _: &mut Vec<u8>) -> Result<(), EncodeError> {
        Err(EncodeError::Unsupported)
    }

    fn decode(_: relaymesh_core::codec::BodyVersion, bytes: &[u8]) -> Result<Self, relaymesh_core::codec::DecodeError> {
        Err(relaymesh_core::codec::DecodeError::Malformed { length: bytes.len() })
    }
}
