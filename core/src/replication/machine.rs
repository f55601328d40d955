//! What can happen to a replica, what it asks for, and the one dispatcher.

use super::blobs::Putting;
use super::install::Piece;
use super::observation::ReplicationObservation;
use super::service::Service;
use super::state::{Phase, Replica};
use super::step::Step;
use super::wire::{Message, Record};
use crate::blob::{BlobError, BlobObject};
use crate::epoch::Epoch;
use crate::identity::NodeId;
use crate::machine::{Ctx, Machine, Sink};
use crate::record::Sequence;
use crate::shards::{Change, ReplicaId, ShardRecord};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Names a submission or a read under way; the node's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What can happen to a replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The node's copy of the control state has this record of the shard.
    Known(Box<ShardRecord>),
    /// These replicas ought to have a copy: whoever owns the shard brings them in, and others out.
    Placed(BTreeSet<ReplicaId>),
    /// A replica is run by another process than before.
    Returned(ReplicaId),
    /// The last instant of the node's view of its session; nothing while it is not valid.
    View(Option<Time>),
    /// A client submits a command.
    Submit {
        /// To be named in the reply.
        ticket: Ticket,
        /// What, for the state above the log.
        command: Box<[u8]>,
    },
    /// A client asks.
    Read {
        /// To be named in the reply.
        ticket: Ticket,
        /// What.
        query: Box<[u8]>,
    },
    /// Another replica of the shard says something.
    Message {
        /// Who.
        from: ReplicaId,
        /// What.
        message: Message,
    },
    /// A proposal of this replica was refused: it can commit no more.
    Refused {
        /// The version it was conditional on.
        version: u64,
    },
    /// Every record up to this one is durable.
    Durable(Sequence),
    /// The node is to own the shard no more: drain, stop, and let it go to that node if that can be (rules H1 to H4).
    HandOver {
        /// To whom; nothing leaves it to the control group.
        to: Option<NodeId>,
        /// To stop then and not before, if that is given. Nothing is taken meanwhile.
        at: Option<Time>,
    },
    /// Write a bounded part of what is still needed of the records before this one. To be told again, when all that was
    /// written is durable, and also when nothing was, until [`Replica::has_checkpoint`] says that nothing is left.
    Checkpoint(Sequence),
    /// A client puts an object of a blob, its manifest first.
    Put {
        /// To be named in the reply.
        ticket: Ticket,
        /// Which.
        object: BlobObject,
        /// Its bytes.
        bytes: Box<[u8]>,
    },
    /// A client asks for an object of a blob.
    Get {
        /// To be named in the reply.
        ticket: Ticket,
        /// Which.
        object: BlobObject,
    },
    /// An object that was to be kept is durable.
    Kept(BlobObject),
    /// An object was fetched.
    Fetched {
        /// Which.
        object: BlobObject,
        /// Its bytes; nothing where it is missing or damaged.
        bytes: Option<Vec<u8>>,
    },
    /// The store has these objects of the shard, among others.
    Listed(Vec<BlobObject>),
    /// A deadline may have passed.
    Wake,
}

/// What a replica asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<A> {
    /// Tell another replica something.
    Send {
        /// Whom: a node, on that very store.
        to: ReplicaId,
        /// What.
        message: Message,
    },
    /// Append a record to the journal.
    Write(Record),
    /// Have the control group change the set, on condition of epoch and version. Waits at the gate (rule I6).
    Propose {
        /// Under which epoch.
        epoch: Epoch,
        /// On which version of the record.
        version: u64,
        /// Which change.
        change: Change,
    },
    /// Have the control group give the shard to another; this process has stopped acting under that epoch for good.
    HandOver {
        /// Which epoch.
        epoch: Epoch,
        /// To whom, if that can be.
        to: Option<NodeId>,
    },
    /// Answer a client.
    Reply {
        /// The submission or read.
        ticket: Ticket,
        /// The answer.
        reply: Reply<A>,
        /// The last instant at which it may leave; nothing for what rests on no lease.
        not_after: Option<Time>,
    },
    /// Let operators see something.
    Observe(ReplicationObservation),
    /// Store an object in the place of what is there, and say when it is durable.
    Keep {
        /// Which.
        object: BlobObject,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Read an object.
    Fetch {
        /// Which.
        object: BlobObject,
    },
    /// An object is needed no more.
    Discard {
        /// Which.
        object: BlobObject,
    },
    /// List the objects of the shard before long: there may be some that nobody wants.
    Sweep,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply<A> {
    /// It took effect, and will not be lost; or this is what was asked.
    Done(A),
    /// Nothing happened: this replica does not serve the shard now. Ask there, or look at the record.
    NotServing {
        /// The owner, as far as is known.
        owner: Option<NodeId>,
    },
    /// Nothing happened: too much is under way. Ask again later.
    Busy,
    /// Nothing happened: a command has at most so many bytes. Refer to a blob instead.
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// It may have taken effect, or may still: the replica ceased to own the shard. Ask the owner for the outcome.
    Unknown,
    /// The object is durable here; the blob lacks others. Put that one next.
    Wants {
        /// Which.
        object: u32,
    },
    /// The blob is on every disk that it has to be on.
    Held,
    /// What was asked for.
    Object(Arc<[u8]>),
    /// There is no such blob.
    NoBlob,
    /// No member has an undamaged one any more.
    Lost,
    /// Nothing happened: the bytes are not that object, or there is none of that number.
    BadObject(BlobError),
}

impl<S: Service> Machine for Replica<S> {
    type Event = Event;
    type Action = Action<S::Answer>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action<S::Answer>>) {
        let step = &mut Step::new(ctx, out);
        self.end_replay();
        match event {
            Event::Known(record) => self.learn(step, record),
            Event::Placed(replicas) => self.place(step, replicas),
            Event::Returned(replica) => self.returned(step.now, replica),
            Event::View(until) => self.view(step, until),
            Event::Submit { ticket, command } => self.take_commands(step, [(ticket, &*command)]),
            Event::Read { ticket, query } => self.read(step, ticket, &query),
            Event::Message { from, message } => self.message(step, from, message),
            Event::Refused { version } => self.proposal_refused(step, version),
            Event::Durable(upto) => self.persisted(step, upto),
            Event::HandOver { to, at } => self.hand_over(step, to, at),
            Event::Checkpoint(cut) => self.checkpoint(step, cut),
            Event::Put { ticket, object, bytes } => self.put(step, ticket, object, bytes),
            Event::Get { ticket, object } => self.get(step, ticket, object),
            Event::Kept(object) => self.kept_object(step, object),
            Event::Fetched { object, bytes } => self.fetched_object(step, object, bytes.as_deref()),
            Event::Listed(objects) => self.sweep(step, &objects),
            Event::Wake => self.wake(step),
        }
        self.end(step);
        ctx.next_record = step.next_record;
    }

    fn next_deadline(&self) -> Option<Time> {
        if self.applied < self.mark || self.is_piece_wanted() {
            return Some(Time::ZERO);
        }
        let stopped = self.stopped.as_ref().map(|stopped| stopped.again_at);
        let blobs = [self.receiving_deadline(), self.readings_deadline(), stopped].into_iter().flatten().min();
        let Some(tenure) = &self.tenure else { return blobs };
        let puts = tenure.puts.values().filter(|_| tenure.drained_by.is_none()).filter_map(Putting::deadline);
        let puts = puts.chain(self.idle_deadline()).min();
        let phase = matches!(tenure.phase, Phase::Promising | Phase::Fetching { .. }).then_some(tenure.phase_ends);
        let intention = tenure.intention.as_ref().map(|intention| intention.again_at);
        let own = [phase, tenure.impatient_at, intention, tenure.drained_by, tenure.stops_at, blobs, puts];
        let peers = tenure.peers.values().flat_map(|peer| {
            let transfer = peer.transfer.as_ref().map(|transfer| transfer.retry_at);
            [peer.retry_at, peer.tell_at, transfer, peer.pace.rest_until]
        });
        own.into_iter().chain(peers).flatten().min()
    }
}

impl<S: Service> Replica<S> {
    /// What every event may lead to.
    pub(super) fn end(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        self.apply_some(step);
        self.forget_entries(step);
        self.go_on_with_transfers(step);
        self.release_snapshot();
        self.drop_idle(step);
    }

    /// Messages by whom they concern: replicas that follow, or the owner of exactly that epoch.
    fn message(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, from: ReplicaId, message: Message) {
        match message {
            Message::Promise { epoch } => self.promise(step, from, epoch),
            Message::Append { epoch, before, mark, block } => self.append(step, from, epoch, (before, mark, block)),
            Message::Snapshot { epoch, at, number, is_last, bytes } => {
                self.take_piece(step, from, epoch, Piece { at, number, is_last, bytes });
            }
            Message::Fetch { epoch, after } => self.fetch(step, from, epoch, after),
            Message::Fenced { promised, .. } => self.fenced(step, promised),
            Message::Offer { epoch, address } => self.offered(step, from, epoch, address),
            Message::Want { object, is_repair, .. } => self.wanted(step, from, object, is_repair),
            Message::Given { object, what, .. } => self.given(step, from, object, &what),
            _ if self.tenure.as_ref().is_none_or(|tenure| tenure.epoch != message.epoch()) => {}
            Message::Promised { end, mark, .. } => self.promised_by(step, from, end, mark),
            Message::Held { upto, .. } => self.held_by(step, from, upto),
            Message::Differs { at_most, .. } => self.differs(step, from, at_most),
            Message::SnapshotHeld { at, pieces, .. } => self.snapshot_held(step, from, at, pieces),
            Message::Stored { address, .. } => self.stored_by(step, from, address),
            Message::Fetched { before, block, .. } => self.fetched(step, from, before, block),
        }
    }

    fn wake(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        self.wake_takeover(step);
        self.wake_peers(step);
        self.wake_transfers(step);
        self.wake_set(step);
        self.wake_hand_over(step);
        self.wake_receiving(step);
        self.wake_readings(step);
        self.wake_puts(step);
    }
}
