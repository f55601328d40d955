//! The state of membership and its one dispatcher.

use super::clockwork::Clockwork;
use super::coordinate::Coordinate;
use super::description::{Description, DescriptionError, Interner, Profile};
use super::exchange::Exchanges;
use super::gossip::Bucket;
use super::judge::PassedOn;
use super::observation::MembershipObservation;
use super::own::Own;
use super::probe::Probes;
use super::rumors::Rumors;
use super::settings::Settings;
use super::suspicion::Suspicion;
use super::table::{Slot, Table};
use super::verdict::Status;
use super::view::{Refusal, Reply, Request};
use super::wire::{Message, Record};
use crate::endpoint::Endpoint;
use crate::envelope::{Class, Envelope, KeyChange, KeyIds};
use crate::identity::{BootIncarnation, Incarnation, NodeId, RequestId, StoreIncarnation};
use crate::machine::{Ctx, Machine, Sink};
use crate::record::Sequence;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What can happen to membership.
#[derive(Debug)]
pub enum Event {
    /// The node may speak.
    Start {
        /// The life that begins.
        life: Incarnation,
        /// The keys it holds.
        keys: KeyIds,
    },
    /// A deadline may have passed.
    Wake,
    /// A member, or somebody who wants to be one, says something.
    Message {
        /// Who says it, and how.
        envelope: Envelope,
        /// What.
        message: Message,
    },
    /// Records up to this one are durable.
    Durable(Sequence),
    /// What was written so far is to be given up, and what is needed of it to be written again.
    Checkpoint,
    /// A node listens at the endpoint of a seed.
    Found {
        /// Who.
        node: NodeId,
        /// Where.
        endpoint: Endpoint,
    },
    /// The keyring has changed.
    Keys(KeyIds),
    /// An operator asks.
    Request(RequestId, Request),
}

/// What membership asks for.
#[derive(Debug)]
pub enum Action {
    /// Tell a node something.
    Send {
        /// Whom.
        to: NodeId,
        /// By datagram or on a stream.
        class: Class,
        /// What.
        message: Message,
    },
    /// Remember something.
    Write(Record),
    /// Answer an operator.
    Reply(RequestId, Reply),
    /// Look for the seeds.
    Seek,
    /// From now on the node lives there.
    Locate(NodeId, Endpoint),
    /// The node lives nowhere any more.
    Forget(NodeId),
    /// Change the keyring.
    Keyring(KeyChange),
    /// Let operators see something.
    Observe(MembershipObservation),
}

/// What a node says about itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Who it is.
    pub node: NodeId,
    /// Where others reach it.
    pub endpoint: Endpoint,
    /// The newest wire version it understands.
    pub speaks: u8,
    /// What people call it.
    pub name: Box<str>,
    /// The rest.
    pub profile: Arc<Profile>,
}

impl Identity {
    /// Whether a description of it stays within its bounds, whatever the rest of it will be.
    ///
    /// # Errors
    /// [`DescriptionError`] says what is too large.
    pub fn check(&self) -> Result<(), DescriptionError> {
        self.describe(StoreIncarnation(0), BootIncarnation(0)).check()
    }

    pub(super) fn describe(&self, store: StoreIncarnation, boot: BootIncarnation) -> Description {
        Description {
            version: 0,
            store,
            boot,
            endpoint: self.endpoint,
            health: 100,
            keys: KeyIds::default(),
            speaks: self.speaks,
            name: self.name.clone(),
            profile: Arc::clone(&self.profile),
        }
    }
}

/// The membership of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    pub(super) settings: Settings,
    pub(super) own: Own,
    pub(super) table: Table,
    pub(super) interner: Interner,
    pub(super) rumors: Rumors,
    pub(super) passed_on: PassedOn,
    pub(super) suspicions: BTreeMap<Slot, Suspicion>,
    pub(super) probes: Probes,
    pub(super) exchanges: Exchanges,
    pub(super) clockwork: Clockwork,
    pub(super) coordinate: Coordinate,
    pub(super) bucket: Bucket,
}

impl Membership {
    /// Membership of a node that has not started yet.
    ///
    /// # Panics
    /// When the identity is too large for a description; see [`Identity::check`].
    pub fn new(settings: Settings, identity: Identity) -> Self {
        assert!(identity.check().is_ok(), "the driver checks what the node is told to say about itself");
        Self {
            own: Own::new(identity),
            table: Table::new(),
            interner: Interner::default(),
            rumors: Rumors::bounded(settings.bounds.members as usize * 2),
            settings,
            passed_on: PassedOn::default(),
            suspicions: BTreeMap::new(),
            probes: Probes::default(),
            exchanges: Exchanges::default(),
            clockwork: Clockwork::default(),
            coordinate: Coordinate::default(),
            bucket: Bucket::default(),
        }
    }

    /// Takes a record back after a restart.
    pub fn replay(&mut self, record: Record) {
        let Record::Reserved { upto } = record;
        self.own.recover(upto);
    }

    /// Whether a packet is to be looked at: not one that arrived before, nor one of a process that is no more. Call once
    /// for each packet that was opened, of whatever machine.
    pub fn admit(&mut self, envelope: &Envelope) -> bool {
        let source = envelope.source;
        // Strangers introduce themselves on a stream, whose beginning cannot be replayed.
        let Some(slot) = self.table.find(source.node) else { return envelope.class.is_stream() };
        let row = self.table.local(slot);
        if let Some(description) = &row.description {
            if description.store != source.store {
                // Of a store never heard of, only a stream can bring the first word: a datagram may be older than the
                // store. The windows stay those of the store which is known. Links to it seem dead, since its answers
                // are not looked at, so that an exchange has to be sought.
                if !envelope.class.is_stream() {
                    self.is_strange(source.node);
                }
                return envelope.class.is_stream();
            }
            if source.boot < description.boot {
                return false;
            }
        }
        row.windows.admit((source.store, source.boot), envelope.class, envelope.sequence)
    }

    /// Whether `node` counts as alive for placement.
    pub fn counts(&self, node: NodeId) -> bool {
        self.table.find(node).is_some_and(|slot| self.is_in_good_standing(slot))
    }

    /// What `node` is held to be, if it is known.
    pub fn status(&self, node: NodeId) -> Option<Status> {
        self.table.row(node).map(|row| row.verdict.status)
    }

    /// Every row: who, what it is held to be, and whether it counts as alive. O(n).
    pub fn standings(&self) -> impl Iterator<Item = (NodeId, Status, bool)> {
        self.table.iter().map(move |(slot, row)| (row.node, row.verdict.status, self.is_in_good_standing(slot)))
    }

    fn request(&mut self, ctx: &mut Ctx<'_>, id: RequestId, request: Request, out: &mut impl Sink<Action>) {
        if self.own.is_gone() && !matches!(request, Request::Members | Request::Leave) {
            return out.push(Action::Reply(id, Reply::Refused(Refusal::Gone)));
        }
        match request {
            Request::Members => out.push(Action::Reply(id, Reply::Members(self.members_seen(ctx.now)))),
            Request::Leave => self.leave(ctx, id, out),
            Request::Describe { name, profile } => self.redescribe(ctx, id, name, profile, out),
            Request::UseKey { id: key, force } => self.use_key(id, key, force, out),
            Request::RemoveKey { id: key, force } => self.remove_key(id, key, force, out),
        }
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, envelope: &Envelope, message: Message, out: &mut impl Sink<Action>) {
        let from = envelope.source.node;
        let is_opened_by_another = matches!(&message, Message::SyncDigests { opener, .. } if opener.node != from);
        let is_misplaced = message.needs_stream() && !envelope.class.is_stream();
        if message.check().is_err() || from == self.own.node() || is_opened_by_another || is_misplaced {
            return out.push(Action::Observe(MembershipObservation::Refused { node: from }));
        }
        if self.own.is_silent() {
            return;
        }
        self.heard_from(ctx, from, out);
        match message {
            Message::Ping { probe, rumors } => {
                self.hear(ctx, from, rumors, out);
                self.answer_ping(ctx, from, envelope.class, probe, out);
            }
            Message::Ack { probe, coordinate, rumors } => {
                self.hear(ctx, from, rumors, out);
                self.acked(ctx, from, envelope.class, probe, &coordinate, out);
            }
            Message::PingRequest { probe, target, rumors } => {
                self.hear(ctx, from, rumors, out);
                self.ping_for(ctx, from, probe, target, out);
            }
            Message::Vouch { probe } => self.vouched(ctx, from, probe, out),
            Message::Nack { probe } => self.nacked(from, probe),
            Message::Gossip { rumors } => self.hear(ctx, from, rumors, out),
            Message::SyncDigests { exchange, opener, digests } => {
                self.compare(ctx, from, exchange, opener, &digests, out);
            }
            Message::SyncRows { exchange, rows, differing, depth } => {
                self.answer_rows(ctx, from, exchange, rows, &differing, depth, out);
            }
            Message::SyncAnswer { exchange, opinions, members, wanted } => {
                self.take_answer(ctx, from, exchange, (opinions, members), &wanted, out);
            }
            Message::SyncMembers { members, .. } => self.take_members(ctx, members, out),
        }
    }
}

impl Machine for Membership {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        self.notice_pause(ctx, out);
        match event {
            Event::Start { life, keys } => self.start(ctx, life, keys, out),
            Event::Wake => {}
            Event::Message { envelope, message } => self.message(ctx, &envelope, message, out),
            Event::Durable(upto) => self.durable(ctx, upto, out),
            Event::Checkpoint => self.remember(ctx, out),
            Event::Found { node, endpoint } => self.found(ctx, node, endpoint, out),
            Event::Keys(keys) => self.rekeyed(ctx, keys, out),
            Event::Request(id, request) => self.request(ctx, id, request, out),
        }
        self.do_what_is_due(ctx, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        self.clockwork.next()
    }
}

/// Random peers, none of them twice.
pub(super) type Picks = Vec<Slot>;
