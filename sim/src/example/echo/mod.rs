//! The echo mesh: each node keeps a window of pings under way and sends what is not answered again.
//!
//! Events: messages of peers, deadlines, back-pressure, the journal's growth. Actions: messages and observations.
//! Invariants: an answer repeats its ping's payload (ECHO-1) and leaves in time or not at all (DUR-2); after healing
//! every node gets answers (ECHO-2). Nothing here is durable: a restarted node begins anew.
//!
//! What is absent: membership. The peers are fixed, and a peer that is down is just a ping that is not answered.

mod machine;

pub use machine::Echo;

use super::node::ExampleObservation;
use super::wire::{Message, PAYLOAD_BYTES_MAX, Payload};
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::identity::NodeId;
use relaymesh_core::node::{Delivery, Route};
use relaymesh_core::time::{Duration, Time};

/// How the machine behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Pings under way at once.
    pub window: u16,
    /// Bytes of payload in each.
    pub payload_bytes: u16,
    /// Pause between an answer and the next ping.
    pub pause: Duration,
    /// Time after which a ping is sent again.
    pub timeout: Duration,
    /// Times a ping is sent again.
    pub retries: u8,
    /// Time within which the answer must leave the peer.
    pub answer_within: Duration,
}

/// The longest time limit that a ping may ask an answer to keep.
pub const ANSWER_WITHIN_MAX: Duration = Duration::from_secs(60);

/// What can happen to the machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// The node may speak.
    Start,
    /// A deadline may have passed.
    Wake,
    /// A message arrived.
    Message(Delivery<Message>),
    /// An answer to that peer was dropped because it was late.
    Late(NodeId, Message),
    /// The queue to the peer is full.
    Full(NodeId),
    /// The queue to the peer has room.
    Room(NodeId),
    /// The node's journal has that many entries.
    JournalGrew(u64),
}

/// What the machine asks for.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per message")]
pub enum Action {
    /// Send a message.
    Send {
        /// Where to.
        route: Route,
        /// In which version.
        version: BodyVersion,
        /// What.
        message: Message,
        /// The last instant at which it may leave.
        not_after: Option<Time>,
    },
    /// Let operators see something.
    Observe(ExampleObservation),
}

/// The payload that `node` puts into its ping `sequence`: anyone can tell whether an answer repeats it.
pub fn payload_of(node: NodeId, sequence: u64, length: usize) -> Payload {
    let seed = node.as_bytes()[0] ^ sequence as u8;
    let pattern = |at: usize| seed.wrapping_add(at as u8);
    Payload::filled(length.min(PAYLOAD_BYTES_MAX), pattern).unwrap_or(Payload::EMPTY)
}
