//! The other end of a node's sockets, without a node: it keeps the rules as far as a story wants.

use crate::ledger::{Note, V1};
use crate::stage::{CLUSTER, key, soon};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{
    ANSWER_BYTES, Acceptor, Class, Dialler, Envelope, GREETING_BYTES, Keyring, PROOF_BYTES, Party, Purpose, seal,
};
use relaymesh_core::identity::{BootIncarnation, GossipDomain, Incarnation, NodeId, StoreIncarnation, Tenant};
use relaymesh_core::machine::CauseId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Someone who may hold the cluster's key.
pub(crate) struct Stranger {
    pub(crate) node: NodeId,
    pub(crate) ring: Keyring,
}

impl Stranger {
    pub(crate) fn new(number: u8) -> Self {
        Self { node: NodeId::from_bytes([number; 16]), ring: Keyring::new(key(1).key) }
    }

    fn party(&self) -> Party {
        Party { cluster: CLUSTER, node: self.node }
    }

    /// Opens a stream to a node and proves itself, if it can.
    pub(crate) async fn dial(&self, endpoint: Endpoint, purpose: Purpose) -> Option<(TcpStream, NodeId)> {
        let mut stream = soon(TcpStream::connect(endpoint.0)).await.unwrap();
        let dialler = Dialler::new(&self.ring, self.party(), purpose, [number_of(&stream); 16]);
        stream.write_all(dialler.greeting()).await.unwrap();
        let mut answer = [0; ANSWER_BYTES];
        soon(stream.read_exact(&mut answer)).await.ok()?;
        let (node, proof) = dialler.finish(&answer).ok()?;
        stream.write_all(&proof).await.unwrap();
        Some((stream, node))
    }

    /// Waits for a node to open a stream, and proves itself.
    pub(crate) async fn accept(&self, listener: &TcpListener) -> (TcpStream, NodeId, Purpose) {
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        let mut greeting = [0; GREETING_BYTES];
        soon(stream.read_exact(&mut greeting)).await.unwrap();
        let nonce = [number_of(&stream); 16];
        let (acceptor, answer) = Acceptor::answer(&self.ring, self.party(), nonce, &greeting).unwrap();
        stream.write_all(&answer).await.unwrap();
        let mut proof = [0; PROOF_BYTES];
        soon(stream.read_exact(&mut proof)).await.unwrap();
        let (node, purpose) = acceptor.finish(self.party(), &proof).unwrap();
        (stream, node, purpose)
    }

    /// A sealed packet of this stranger's.
    pub(crate) fn packet(&self, to: NodeId, class: Class, number: u64) -> Vec<u8> {
        let envelope = Envelope {
            cluster: CLUSTER,
            domain: GossipDomain(0),
            tenant: Tenant(0),
            source: Incarnation { node: self.node, store: StoreIncarnation(1), boot: BootIncarnation(1) },
            destination: to,
            next_hop: to,
            ttl: 1,
            class,
            sequence: number,
            cause: CauseId(0),
            version: V1,
            speaks: V1,
        };
        let mut packet = Vec::new();
        seal(&self.ring, &envelope, &Note { number, gated: false, padding: vec![] }, 1 << 20, &mut packet).unwrap();
        packet
    }
}

/// Enough of a nonce for a stranger.
fn number_of(stream: &TcpStream) -> u8 {
    stream.local_addr().unwrap().port() as u8
}

/// Writes a frame.
pub(crate) async fn write_frame(stream: &mut TcpStream, packet: &[u8]) {
    let frame = [&(packet.len() as u32).to_le_bytes()[..], packet].concat();
    // A node that closes the stream meanwhile is what some stories are about.
    let _ = stream.write_all(&frame).await;
}

/// Reads until the other end closes the stream, and returns how much came before.
pub(crate) async fn read_to_the_end(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    // A connection that was reset has ended, too.
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    bytes.len()
}
