//! What passes between a node and its driver.

use super::application::Application;
use super::loads::Ticket;
use super::observation::NodeObservation;
use super::{Delivery, Visible};
use crate::codec::BodyVersion;
use crate::endpoint::Endpoint;
use crate::envelope::{Class, KeyChange, KeyIds};
use crate::gate::WriteNumber;
use crate::identity::{NodeId, RequestId, Tenant};
use crate::machine::CauseId;
use crate::object::ObjectId;
use crate::observe::{Descriptor, Observe, Value};
use crate::record::{Damage, Sequence};
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

/// What the driver tells a node.
#[derive(Debug)]
pub enum Event<A: Application> {
    /// The first event of a process.
    Boot {
        /// The lowest slot that is not empty, those below [`TRIMMED_FROM`](crate::record::anchor::TRIMMED_FROM) left out;
        /// zero when there is none.
        lowest: Sequence,
        /// The last slot that is not empty; `None` for an empty store.
        last: Option<Sequence>,
    },
    /// The deadline asked for, or any other instant.
    Wake,
    /// A packet was opened and found authentic.
    Packet(Delivery<A::Message>),
    /// A client asks.
    Request {
        /// The driver's number for it.
        id: RequestId,
        /// What it asks.
        request: A::Request,
    },
    /// Every write up to this one is durable.
    Persisted {
        /// The last durable write.
        upto: WriteNumber,
    },
    /// A write or sync has failed. The driver does not try it again.
    StoreFailed(StoreFailure),
    /// The content of a slot, in the order in which loads were asked for.
    Loaded {
        /// The load answered.
        ticket: Ticket,
        /// The slot.
        sequence: Sequence,
        /// Its bytes; `None` for an empty slot.
        bytes: Option<Vec<u8>>,
    },
    /// Work is done.
    Computed {
        /// Which.
        id: A::WorkId,
        /// Its result.
        done: A::Done,
    },
    /// The queue to `peer` in `class` is full.
    Full {
        /// The peer.
        peer: NodeId,
        /// The lane.
        class: Class,
    },
    /// The queue to `peer` in `class` has room again.
    Room {
        /// The peer.
        peer: NodeId,
        /// The lane.
        class: Class,
    },
    /// An answer to [`Action::Seek`]: this node listens at one of the seeds' endpoints, and holds the cluster's key.
    Found {
        /// Who.
        node: NodeId,
        /// Where.
        endpoint: Endpoint,
    },
    /// The keyring has changed.
    Keys(KeyIds),
    /// What stands under the id of an object.
    Fetched {
        /// The fetch answered.
        ticket: Ticket,
        /// The object.
        object: ObjectId,
        /// Its frame; `None` where there is none. What cannot be read is not nothing: bytes that are no frame.
        bytes: Option<Vec<u8>>,
    },
    /// The objects there are.
    Listed {
        /// The list answered.
        ticket: Ticket,
        /// Ids behind the one asked for, ascending; at most [`LISTED_MAX`](super::LISTED_MAX).
        objects: Vec<ObjectId>,
        /// Whether there are none behind these.
        is_last: bool,
    },
}

/// How a store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFailure {
    /// A write was refused.
    #[error("a write to the store failed")]
    Write,
    /// A sync was refused: what it covered may or may not be durable, and the cache no longer knows.
    #[error("a sync of the store failed")]
    Sync,
    /// No room is left.
    #[error("the store is full")]
    Full,
}

/// What a node asks its driver to do, with the event it follows from.
#[derive(Debug)]
pub struct Effect<A: Application> {
    /// The event it follows from.
    pub cause: CauseId,
    /// What to do.
    pub action: Action<A>,
}

/// What a driver can be asked to do.
#[derive(Debug)]
pub enum Action<A: Application> {
    /// Store a frame in its slot, replacing what is there. Bytes: [`Scratch::frame`].
    Append {
        /// The write's number.
        write: WriteNumber,
        /// The slot.
        sequence: Sequence,
        /// Where the bytes stand in the scratch.
        frame: Range<usize>,
    },
    /// Empty every slot from `from` on.
    Erase {
        /// The write's number.
        write: WriteNumber,
        /// The first slot to empty.
        from: Sequence,
    },
    /// Empty the slots from `from` to before `below`. A crash may lose this, or any part of it. There may be many slots
    /// in between that are empty already; of others there are as many as `Limits::trim_slots` allows.
    Trim {
        /// The write's number.
        write: WriteNumber,
        /// The first slot to empty.
        from: Sequence,
        /// The first slot to keep.
        below: Sequence,
    },
    /// Read a slot.
    Load {
        /// To be named in the answer.
        ticket: Ticket,
        /// The slot.
        sequence: Sequence,
    },
    /// Call [`Application::compute`], on any core.
    Compute {
        /// To be named in the answer.
        id: A::WorkId,
        /// What to compute.
        work: A::Work,
    },
    /// Seal a message and send it.
    Send(Outgoing<A::Message>),
    /// Answer a client.
    Reply {
        /// The request answered.
        id: RequestId,
        /// The answer.
        reply: A::Reply,
        /// The last instant at which it may leave.
        not_after: Option<Time>,
    },
    /// Tell a client that its request was not even looked at.
    Refuse {
        /// The request refused.
        id: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// Ask at the endpoint of every seed who listens there. [`Event::Found`] follows for each that answers; for the
    /// others nothing does.
    Seek,
    /// From now on `node` is to be reached at `endpoint`, and nowhere else.
    Locate {
        /// Who.
        node: NodeId,
        /// Where.
        endpoint: Endpoint,
    },
    /// Forget where `node` is: nothing will be sent to it.
    Forget(NodeId),
    /// Change the keyring; [`Event::Keys`] follows if that was possible.
    Keyring(KeyChange),
    /// Record something for operators.
    Observe(Observed<A::Observation>),
    /// End the process. Nothing follows.
    Stop(StopReason),
    /// Store a frame under the id of an object, replacing what is there. Bytes: [`Scratch::frame`].
    Keep {
        /// The write's number.
        write: WriteNumber,
        /// The object.
        object: ObjectId,
        /// Where the bytes stand in the scratch.
        frame: Range<usize>,
    },
    /// Remove what stands under the id of an object. A crash may lose this, or a part of it.
    Discard {
        /// The write's number.
        write: WriteNumber,
        /// The object.
        object: ObjectId,
    },
    /// Read what stands under the id of an object, after all writes that were asked for before.
    Fetch {
        /// To be named in the answer.
        ticket: Ticket,
        /// The object.
        object: ObjectId,
    },
    /// Name the objects there are, after all writes that were asked for before.
    List {
        /// To be named in the answer.
        ticket: Ticket,
        /// Only ids behind this one.
        after: Option<ObjectId>,
    },
}

/// A message that may leave.
#[derive(Clone, Debug)]
pub struct Outgoing<M> {
    /// To whom.
    pub to: NodeId,
    /// Who gets it next on the way there, if not the receiver itself.
    pub via: Option<NodeId>,
    /// Hops it may take.
    pub ttl: u8,
    /// On which lane.
    pub class: Class,
    /// Whose traffic it is.
    pub tenant: Tenant,
    /// Body version.
    pub version: BodyVersion,
    /// Counts the packets of this boot in the order in which they leave.
    pub sequence: u64,
    /// The last instant at which it may leave.
    pub not_after: Option<Time>,
    /// What it says.
    pub message: M,
}

/// Why a request was not looked at. Nothing changed, and it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The journal is still being recovered.
    #[error("the node is starting; try again in a moment")]
    Starting,
    /// Too much waits for the disk.
    #[error("the node's disk cannot keep up; try again later, or on another node")]
    Overloaded,
    /// The node has stopped.
    #[error("the node has stopped; see its log for the reason")]
    Stopped,
}

/// An observation of the engine or of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed<O> {
    /// Of the engine.
    Node(NodeObservation),
    /// Of the application.
    Application(O),
}

impl<O: Observe> Observed<O> {
    /// What it is called and measured in.
    pub fn descriptor(&self) -> &'static Descriptor {
        match self {
            Self::Node(observation) => observation.descriptor(),
            Self::Application(observation) => observation.descriptor(),
        }
    }

    /// Hands each field to `visit`.
    pub fn fields(&self, visit: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Node(observation) => observation.fields(visit),
            Self::Application(observation) => observation.fields(visit),
        }
    }
}

/// Why a node ended its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// A write or sync failed.
    #[error("{0}; the node stops, since what it holds in memory may never become durable")]
    StoreFailed(#[from] StoreFailure),
    /// The journal cannot have come about by a crash.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A record was written by a build that this one does not understand.
    #[error("record {sequence} is written in {version}, which this build cannot read; start a newer build")]
    Unreadable {
        /// The record.
        sequence: Sequence,
        /// Its version.
        version: BodyVersion,
    },
}

/// Memory that the driver lends a node for one event and that all nodes of a driver share, so that no event allocates.
#[derive(Debug)]
pub struct Scratch<A: Application> {
    pub(super) inbox: VecDeque<A::Local>,
    pub(super) frames: Vec<u8>,
    pub(super) late: VecDeque<Visible<A>>,
    /// What the node asked for, in order. The driver drains it after each event.
    pub effects: Vec<Effect<A>>,
}

impl<A: Application> Scratch<A> {
    /// Empty memory.
    pub const fn new() -> Self {
        Self { inbox: VecDeque::new(), frames: Vec::new(), late: VecDeque::new(), effects: Vec::new() }
    }

    /// The bytes of an [`Action::Append`] or [`Action::Keep`] of the last event.
    pub fn frame(&self, frame: &Range<usize>) -> &[u8] {
        &self.frames[frame.clone()]
    }
}

impl<A: Application> Default for Scratch<A> {
    fn default() -> Self {
        Self::new()
    }
}
