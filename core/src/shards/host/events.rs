//! What can happen to the shards of a node, and what they ask for.

use super::observation::ShardsObservation;
use super::view::{Reply, Request};
use super::wire::{Message, Record};
use crate::control::state::{Change, Command, DOUBTFUL_MAX, Outcome, State};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::membership::Membership;
use crate::object::ObjectId;
use crate::record::Sequence;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What the host sees of its siblings while it handles an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sees<'a> {
    /// The node's copy of the control state.
    pub state: Option<&'a State>,
    /// The last instant of the node's view of its session; nothing while it is not valid.
    pub view: Option<Time>,
    /// Who is there.
    pub members: Option<&'a Membership>,
}

impl Sees<'_> {
    /// Nodes that have a session and are not counted on, in order: the first of them, as many as a plan may leave aside.
    pub(super) fn doubtful(&self) -> Vec<NodeId> {
        let Some((state, members)) = self.state.zip(self.members) else { return Vec::new() };
        let mut doubtful: Vec<NodeId> = state.sessions().map(|(_, session)| session.owner.node).collect();
        doubtful.sort_unstable();
        doubtful.dedup();
        doubtful.retain(|node| !members.counts(*node));
        doubtful.truncate(DOUBTFUL_MAX);
        doubtful
    }
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// The node may speak.
    Start {
        /// The life that begins.
        life: Incarnation,
    },
    /// A deadline may have passed.
    Wake,
    /// Another node says something.
    Message {
        /// Who, as its packet names it.
        from: Incarnation,
        /// What.
        message: Message,
    },
    /// Records up to this one are durable.
    Durable(Sequence),
    /// The records before this one are to be given up: what is needed of them is to be written again. Told as often as it
    /// takes.
    Checkpoint(Sequence),
    /// An operator or a client asks.
    Request(RequestId, Request),
    /// A machine of this node asks something of a shard, as a client would.
    Ask {
        /// To be named in the answer.
        ticket: u64,
        /// What.
        request: Request,
    },
    /// The copy of the control state has changed by this.
    Changed(Change),
    /// All of it may be different.
    Restated,
    /// The view of the session is valid again.
    Resumed,
    /// What became of a command.
    Executed {
        /// Which.
        ticket: u64,
        /// How it ended; nothing where that is not known.
        outcome: Option<Outcome>,
    },
    /// The gate has dropped an answer to another node, whose time was over.
    LateAnswer {
        /// Whom it was for.
        to: NodeId,
        /// The number of the question.
        number: u64,
    },
    /// The gate has dropped a reply whose time was over.
    LateReply(RequestId),
    /// An object is durable.
    Kept(ObjectId),
    /// An object was read; nothing where it is missing or damaged.
    Fetched(ObjectId, Option<Vec<u8>>),
    /// Objects that the store has, and whether there are no others behind them.
    Objects(Vec<ObjectId>, bool),
}

impl Event {
    /// Whether shards have to know of that change.
    pub const fn concerns(change: &Change) -> bool {
        matches!(
            change,
            Change::Shard { .. }
                | Change::Placed { .. }
                | Change::Plan { .. }
                | Change::Opened { .. }
                | Change::Ended { .. }
                | Change::Cordon { .. }
        )
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell another node something. [`Message::gating`] says whether the gate holds it.
    Send {
        /// Whom.
        to: NodeId,
        /// What.
        message: Message,
        /// The last instant at which it may leave.
        not_after: Option<Time>,
    },
    /// Remember something. The first one of an event takes the position `ctx.next_record`, and so on.
    Write(Record),
    /// Answer a request.
    Reply {
        /// Which.
        id: RequestId,
        /// How.
        reply: Reply,
        /// The last instant at which it may leave.
        not_after: Option<Time>,
    },
    /// What a machine of this node asked has come to that.
    Told {
        /// Which question.
        ticket: u64,
        /// What.
        reply: Reply,
    },
    /// Have a command of this process executed by the control group, and say what became of it.
    Command {
        /// To be named then.
        ticket: u64,
        /// What.
        command: Box<Command>,
    },
    /// Let operators see something.
    Observe(ShardsObservation),
    /// Store an object, and say when it is durable.
    Keep {
        /// Which.
        object: ObjectId,
        /// What it holds.
        bytes: Vec<u8>,
    },
    /// Read an object.
    Fetch {
        /// Which.
        object: ObjectId,
    },
    /// An object is needed no more.
    Discard {
        /// Which.
        object: ObjectId,
    },
    /// List the objects of the store.
    ListObjects {
        /// Those behind that one.
        after: Option<ObjectId>,
    },
}
