//! What a composition of machines looks like to the engine.

use crate::codec::{Body, BodyVersion};
use crate::endpoint::Endpoint;
use crate::envelope::{Class, Envelope, KeyChange, KeyIds};
use crate::identity::{Incarnation, NodeId, RequestId, Tenant};
use crate::machine::Machine;
use crate::object::ObjectId;
use crate::observe::Observe;
use crate::record::Sequence;
use crate::time::Time;
use alloc::vec::Vec;
use core::fmt::Debug;

/// The machines of a node, composed: one dispatcher routes [`Input`] to them and lifts their actions to [`Output`].
pub trait Application: Machine<Event = Input<Self>, Action = Output<Self>> + Sized {
    /// What nodes say to one another.
    type Message: Message + Debug + Clone;
    /// What the journal keeps.
    type Record: Body + Debug;
    /// What clients ask.
    type Request: Body + Debug + Clone;
    /// What clients are told.
    type Reply: Body + Debug + Clone;
    /// What one machine tells a sibling.
    type Local: Debug;
    /// Costly pure work, done outside `handle`.
    type Work: Debug + Clone;
    /// Its result.
    type Done: Debug + Clone;
    /// Names one piece of work among those under way.
    type WorkId: Debug + Copy + Ord;
    /// What the application lets operators see.
    type Observation: Observe + Debug;

    /// Whether the application wants [`Input::Persisted`]. Nearly none does: the gate makes writes look instantly
    /// durable. A replicated log needs it, whose own writes must not count before they are.
    const SEES_PERSISTED: bool = false;

    /// Takes back one record of the journal after a restart, in the order in which it was written. No action may
    /// follow from it. Of a journal that was trimmed the first record is the first one behind a checkpoint's beginning,
    /// whatever it says; one that was not may hold checkpoints that came to nothing.
    fn replay(&mut self, sequence: Sequence, record: Self::Record);

    /// Whether replies of this kind wait at the gate: all that may show something that a crash could undo.
    fn reply_gating(_reply: &Self::Reply) -> Gating {
        Gating::Gated
    }

    /// Does a piece of work. Pure: drivers may run it on any core, and the simulator may delay it.
    fn compute(work: Self::Work) -> Self::Done;
}

/// A message between nodes.
pub trait Message: Body {
    /// Whether messages of this kind wait at the gate. A property of the kind, never a choice at a call site.
    fn gating(&self) -> Gating;
}

/// Whether the gate holds a kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gating {
    /// It may show state that rests on an unsynced write.
    Gated,
    /// It shows nothing that a crash could undo: probes, gossip about others.
    Ungated,
}

/// One message, as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery<M> {
    /// Who sent it, on which lane, for whom, and which body versions its sender understands.
    pub envelope: Envelope,
    /// What it says.
    pub message: M,
}

/// Where a message goes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
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
}

impl Route {
    /// Straight to a neighbour, on the mesh's own behalf.
    pub const fn direct(to: NodeId, class: Class) -> Self {
        Self { to, via: None, ttl: 1, class, tenant: Tenant(0) }
    }
}

/// What can happen to an application.
#[derive(Debug)]
pub enum Input<A: Application> {
    /// The journal is recovered and this boot is durable: the node may speak.
    Start {
        /// The life that begins: what its packets name as their source.
        life: Incarnation,
        /// The keys that the driver holds.
        keys: KeyIds,
    },
    /// A deadline may have passed. May be spurious.
    Wake,
    /// A message arrived.
    Message(Delivery<A::Message>),
    /// A client asks.
    Request {
        /// To be named in the reply.
        id: RequestId,
        /// What it asks.
        request: A::Request,
    },
    /// A sibling has something to tell.
    Local(A::Local),
    /// A piece of work is done.
    Computed {
        /// Which.
        id: A::WorkId,
        /// Its result.
        done: A::Done,
    },
    /// A record was read back.
    Loaded {
        /// Its position.
        sequence: Sequence,
        /// The record.
        record: Result<A::Record, LoadError>,
    },
    /// Every record up to this one is durable. Only for an application that asked for it.
    Persisted {
        /// The last durable record.
        upto: Sequence,
    },
    /// The journal has grown: write again what is still needed of the records before `below`, a bounded part of it, and
    /// push [`Output::Checkpointed`] once nothing is left to write. Asked again, with the same `below`, whenever all that
    /// was written is durable. Whoever needs every record for ever does nothing.
    Checkpoint {
        /// The first record that need not be written again.
        below: Sequence,
    },
    /// The gate dropped something because its `not_after` had passed.
    Late(Visible<A>),
    /// The driver's queue to `peer` in `class` is full: what is sent now is dropped.
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
    /// A node was found at the endpoint of a seed.
    Found {
        /// Who.
        node: NodeId,
        /// Where.
        endpoint: Endpoint,
    },
    /// The keyring has changed.
    Keys(KeyIds),
    /// An object that was to be kept is durable, unless it was discarded or kept anew since. One for each
    /// [`Output::Keep`], in that order.
    Kept {
        /// The object.
        object: ObjectId,
    },
    /// An object was read back. That it was there may be shown and relied on: the gate sees to that.
    Fetched {
        /// The object.
        object: ObjectId,
        /// What was kept under its id when it was read, which was between the question and now.
        bytes: Result<Vec<u8>, ObjectError>,
    },
    /// The objects there are, by their ids alone: one that stands here may be damaged, or may never have become durable.
    /// Whoever relies on one that this process was not told [kept](Input::Kept) fetches it first.
    Objects {
        /// The question: ids behind this one.
        after: Option<ObjectId>,
        /// Ascending; at most [`LISTED_MAX`](super::LISTED_MAX).
        objects: Vec<ObjectId>,
        /// Whether there are none behind these.
        is_last: bool,
    },
}

/// Why an object could not be fetched. The node goes on: what follows from it is for the application to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Nothing stands under this id.
    #[error("there is no such object")]
    Missing,
    /// What stands there is torn, rotten or another object, also after several readings.
    #[error("the object is damaged")]
    Damaged,
}

/// Why a record could not be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The slot is empty or its bytes are wrong, also after several readings.
    #[error("record {0} is damaged")]
    Damaged(Sequence),
}

/// Something another party can see.
#[derive(Clone, Debug)]
pub enum Visible<A: Application> {
    /// A message to another node.
    Message {
        /// Where it goes.
        route: Route,
        /// In which body version: at most what the receiver understands.
        version: BodyVersion,
        /// The message.
        message: A::Message,
    },
    /// The answer to a client.
    Reply {
        /// The request answered.
        id: RequestId,
        /// The answer.
        reply: A::Reply,
    },
}

/// What an application asks for.
#[derive(Debug)]
pub enum Output<A: Application> {
    /// Append a record in `version`. The first one of an event takes the position `ctx.next_record`, the second the one
    /// after, and so on: one event goes to one machine, so that it can count its own.
    Write {
        /// In which body version: at most what every build that may run here next understands.
        version: BodyVersion,
        /// The record.
        record: A::Record,
    },
    /// Everything needed of the records before this one was written again, so that [`Application::replay`] of this one
    /// and those behind it, on a new process, leads to the state that a replay of all would have led to.
    Checkpointed(Sequence),
    /// Let another party see something, at the latest at `not_after` (see [`gate`](crate::gate)).
    Show {
        /// What.
        what: Visible<A>,
        /// The last instant at which it may leave.
        not_after: Option<Time>,
    },
    /// Tell a sibling, within the same driver event.
    Local(A::Local),
    /// Do costly pure work; [`Input::Computed`] follows.
    Compute {
        /// Which.
        id: A::WorkId,
        /// What.
        work: A::Work,
    },
    /// Read a record back; [`Input::Loaded`] follows. At most [`LOADS_MAX`](super::LOADS_MAX) may be under way.
    Load(Sequence),
    /// Ask at the endpoints of the seeds who listens there; [`Input::Found`] follows for each that answers.
    Seek,
    /// From now on `node` is to be reached at `endpoint`.
    Locate {
        /// Who.
        node: NodeId,
        /// Where.
        endpoint: Endpoint,
    },
    /// Nothing will be sent to this node any more, until it is located again.
    Forget(NodeId),
    /// Change the keyring; [`Input::Keys`] follows if that was possible.
    Keyring(KeyChange),
    /// Let operators see something.
    Observe(A::Observation),
    /// Keep an object, replacing what stands under its id; [`Input::Kept`] follows once it is durable. What is shown from
    /// this step on waits for it, as for a record. Until then a crash may leave the old bytes, the new ones or a damaged
    /// object, unless both are the same.
    ///
    /// At most [`OBJECT_BYTES_MAX`](crate::object::OBJECT_BYTES_MAX) bytes; more is a defect, and asserted.
    Keep {
        /// The object.
        object: ObjectId,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// An object is not needed any more. A crash may lose that: it may be there again, or damaged.
    Discard {
        /// The object.
        object: ObjectId,
    },
    /// Read an object; [`Input::Fetched`] follows, not necessarily in the order asked. At most
    /// [`FETCHES_MAX`](super::FETCHES_MAX) of these and lists may be under way.
    Fetch {
        /// The object.
        object: ObjectId,
    },
    /// Name the objects there are; [`Input::Objects`] follows.
    ListObjects {
        /// Only ids behind this one.
        after: Option<ObjectId>,
    },
}

impl<A: Application> Output<A> {
    /// A message without a time limit.
    pub fn message(route: Route, version: BodyVersion, message: A::Message) -> Self {
        Self::Show { what: Visible::Message { route, version, message }, not_after: None }
    }

    /// A reply without a time limit.
    pub fn reply(id: RequestId, reply: A::Reply) -> Self {
        Self::Show { what: Visible::Reply { id, reply }, not_after: None }
    }
}
