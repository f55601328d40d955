//! The shelf: clients keep objects on one node, fetch, list and discard them.
//!
//! Events: requests, and what the node says of its objects. Actions: objects to be kept, fetched, listed and discarded,
//! and replies. "Durable before acknowledged" is not this machine's business; but half of the keeps are answered only
//! when the node has said that they are durable, so that both ways are used.
//! What is absent: memory of what is kept. The disk has that.

mod machine;

pub use machine::Shelf;

use alloc::vec::Vec;
use relaymesh_core::identity::RequestId;
use relaymesh_core::node::ObjectError;
use relaymesh_core::object::ObjectId;
use serde::{Deserialize, Serialize};

/// Requests of each kind that wait.
pub const WAITING_MAX: usize = 32;

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Keep an object.
    Keep {
        /// Which.
        object: ObjectId,
        /// Its bytes.
        data: Vec<u8>,
        /// Whether the answer waits for the node to say that it is durable, rather than at the gate.
        once_told: bool,
    },
    /// Read an object.
    Fetch {
        /// Which.
        object: ObjectId,
    },
    /// Discard an object.
    Discard {
        /// Which.
        object: ObjectId,
    },
    /// Name the objects there are.
    List {
        /// Only those behind this one.
        after: Option<ObjectId>,
    },
}

/// What clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The object is kept.
    Kept,
    /// The object.
    Object {
        /// Its bytes.
        data: Vec<u8>,
    },
    /// The object is discarded.
    Discarded,
    /// The objects there are.
    Objects {
        /// Ascending.
        objects: Vec<ObjectId>,
        /// Whether there are none behind these.
        is_last: bool,
    },
    /// Nothing was done.
    Refused(Refusal),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The object is too large.
    #[error("the object is too large; split it")]
    Size,
    /// Too many requests wait already.
    #[error("too many requests are waiting; try again shortly")]
    Busy,
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// The object cannot be read any more.
    #[error("the object is damaged on this node")]
    Damaged,
}

/// What can happen to the machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client asks.
    Request(RequestId, Request),
    /// An object is durable.
    Kept(ObjectId),
    /// An object was read.
    Fetched(ObjectId, Result<Vec<u8>, ObjectError>),
    /// Objects were listed: which question, the answer, and whether it is all.
    Listed(Option<ObjectId>, Vec<ObjectId>, bool),
}

/// What the machine asks for.
#[derive(Clone, Debug)]
pub enum Action {
    /// Keep an object.
    Keep(ObjectId, Vec<u8>),
    /// Discard an object.
    Discard(ObjectId),
    /// Read an object.
    Fetch(ObjectId),
    /// List the objects behind one.
    List(Option<ObjectId>),
    /// Answer a client.
    Reply(RequestId, Reply),
}
