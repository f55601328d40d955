//! The hello on a real stream: bytes and time limits around what [`core`](relaymesh_core::envelope) decides.

use super::Common;
use crate::entropy::{self, EntropyError};
use relaymesh_core::envelope::{ANSWER_BYTES, Acceptor, Dialler, GREETING_BYTES, HelloError, PROOF_BYTES, Purpose};
use relaymesh_core::identity::NodeId;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeetError {
    /// Its other end is not on this machine.
    #[error("the endpoint is outside this machine, and the plaintext network is not allowed")]
    Forbidden,
    /// It took too long.
    #[error("the other end did not answer in time")]
    TimedOut,
    /// It broke, or the other end closed it: what one does that refuses a hello.
    #[error("the stream broke: {0}; the other end may hold another key or belong to another cluster")]
    Io(#[from] io::Error),
    /// The other end was not believed.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// Another node answers there.
    #[error("another node answers at the endpoint: {0}")]
    Other(NodeId),
    /// No nonce could be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Opens a stream to `endpoint` and learns who listens there.
pub(super) async fn dial(
    common: &Common,
    endpoint: SocketAddr,
    purpose: Purpose,
) -> Result<(TcpStream, NodeId), MeetError> {
    if !common.listen.may_reach(endpoint) {
        common.tally.endpoints_forbidden.one_more();
        return Err(MeetError::Forbidden);
    }
    let dialled = timeout(common.bounds.dial, TcpStream::connect(endpoint)).await;
    let mut stream = dialled.map_err(|_| MeetError::TimedOut)??;
    stream.set_nodelay(true)?;
    let greeted = timeout(common.bounds.hello, greet(common, purpose, &mut stream)).await;
    let node = greeted.map_err(|_| MeetError::TimedOut)??;
    Ok((stream, node))
}

async fn greet(
    common: &Common,
    purpose: Purpose,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<NodeId, MeetError> {
    let nonce = entropy::draw()?;
    let dialler = Dialler::new(&common.keys.borrow(), common.me, purpose, nonce);
    stream.write_all(dialler.greeting()).await?;
    let mut answer = [0; ANSWER_BYTES];
    stream.read_exact(&mut answer).await?;
    let (node, proof) = dialler.finish(&answer)?;
    stream.write_all(&proof).await?;
    Ok(node)
}

/// Learns who opened a stream, and what for.
pub(super) async fn welcome(
    common: &Common,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(NodeId, Purpose), MeetError> {
    let greeted = timeout(common.bounds.hello, answer(common, stream)).await;
    greeted.map_err(|_| MeetError::TimedOut)?
}

async fn answer(
    common: &Common,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(NodeId, Purpose), MeetError> {
    let nonce = entropy::draw()?;
    let mut greeting = [0; GREETING_BYTES];
    stream.read_exact(&mut greeting).await?;
    let (acceptor, answer) = Acceptor::answer(&common.keys.borrow(), common.me, nonce, &greeting)?;
    stream.write_all(&answer).await?;
    let mut proof = [0; PROOF_BYTES];
    stream.read_exact(&mut proof).await?;
    Ok(acceptor.finish(common.me, &proof)?)
}
