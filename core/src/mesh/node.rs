//! The dispatcher: every wire of the production node on one page.

use super::wire::{Message, NEWEST_VERSION, OLDEST_VERSION, Record, Reply, Request};
use crate::identity::{GossipDomain, NodeId};
use crate::machine::{Ctx, Lift, Machine, Sink};
use crate::membership::{self, Identity, Membership};
use crate::node::{Application, Delivery, Input, Output, Route, Seat};
use crate::observe::{Descriptor, Observe, Value};
use crate::record::Sequence;
use crate::time::Time;
use core::convert::Infallible;

/// The settings of every machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Of membership.
    pub membership: membership::Settings,
}

crate::observations! {
    /// What the node lets operators see besides its machines.
    pub enum AdmissionObservation {
        /// A packet had arrived before, or its sender's process is no more.
        Counter Health Count "relaymesh_packets_replayed_total" => Replayed { node: NodeId, sequence: u64 },
        /// A packet came from another gossip domain.
        Counter Health Count "relaymesh_packets_foreign_domain_total" => ForeignDomain { node: NodeId, domain: u64 },
    }
}

/// The machines of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeshNode {
    domain: GossipDomain,
    membership: Membership,
}

impl MeshNode {
    /// The machines of the node at `seat`.
    ///
    /// # Panics
    /// When `seat` and `identity` name different nodes.
    pub fn new(seat: &Seat, settings: Settings, identity: Identity) -> Self {
        assert!(seat.node == identity.node, "a seat is for one node");
        Self { domain: seat.domain, membership: Membership::new(settings.membership, identity) }
    }

    /// Who is there, for drivers and siblings.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    fn delivered(&mut self, ctx: &mut Ctx<'_>, delivery: Delivery<Message>, out: &mut impl Sink<Output<Self>>) {
        let Delivery { envelope, message } = delivery;
        let node = envelope.source.node;
        if envelope.domain != self.domain {
            let domain = u64::from(envelope.domain.0);
            let observation = AdmissionObservation::ForeignDomain { node, domain };
            return out.push(Output::Observe(MeshObservation::Admission(observation)));
        }
        if !self.membership.admit(&envelope) {
            let observation = AdmissionObservation::Replayed { node, sequence: envelope.sequence };
            return out.push(Output::Observe(MeshObservation::Admission(observation)));
        }
        let Message::Membership(message) = message;
        let event = membership::Event::Message { envelope, message };
        self.membership.handle(ctx, event, &mut Lift::new(out, from_membership));
    }
}

impl Machine for MeshNode {
    type Event = Input<Self>;
    type Action = Output<Self>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Input<Self>, out: &mut impl Sink<Output<Self>>) {
        let event = match event {
            Input::Start { life, keys } => membership::Event::Start { life, keys },
            Input::Wake => membership::Event::Wake,
            Input::Message(delivery) => return self.delivered(ctx, delivery, out),
            Input::Request { id, request: Request::Membership(request) } => membership::Event::Request(id, request),
            Input::Persisted { upto } => membership::Event::Durable(upto),
            Input::Found { node, endpoint } => membership::Event::Found { node, endpoint },
            Input::Keys(keys) => membership::Event::Keys(keys),
            // Gossip that meets a full queue is lost, as a network may lose it; nothing of it has a time limit.
            Input::Full { .. } | Input::Room { .. } | Input::Late(_) => return,
            // No machine reads its records back.
            Input::Loaded { .. } => return,
            Input::Local(never) | Input::Computed { id: never, .. } => match never {},
        };
        self.membership.handle(ctx, event, &mut Lift::new(out, from_membership));
    }

    fn next_deadline(&self) -> Option<Time> {
        self.membership.next_deadline()
    }
}

fn from_membership(action: membership::Action) -> Output<MeshNode> {
    match action {
        membership::Action::Send { to, class, message } => {
            Output::message(Route::direct(to, class), NEWEST_VERSION, Message::Membership(message))
        }
        membership::Action::Write(record) => {
            Output::Write { version: OLDEST_VERSION, record: Record::Membership(record) }
        }
        membership::Action::Reply(id, reply) => Output::reply(id, Reply::Membership(reply)),
        membership::Action::Seek => Output::Seek,
        membership::Action::Locate(node, endpoint) => Output::Locate { node, endpoint },
        membership::Action::Forget(node) => Output::Forget(node),
        membership::Action::Keyring(change) => Output::Keyring(change),
        membership::Action::Observe(observation) => Output::Observe(MeshObservation::Membership(observation)),
    }
}

impl Application for MeshNode {
    type Message = Message;
    type Record = Record;
    type Request = Request;
    type Reply = Reply;
    type Local = Infallible;
    type Work = Infallible;
    type Done = Infallible;
    type WorkId = Infallible;
    type Observation = MeshObservation;

    /// Membership must not use an incarnation before it is durable.
    const SEES_PERSISTED: bool = true;

    fn replay(&mut self, _: Sequence, record: Record) {
        let Record::Membership(record) = record;
        self.membership.replay(record);
    }

    fn compute(work: Infallible) -> Infallible {
        match work {}
    }
}

/// An observation of any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeshObservation {
    /// Of the way in.
    Admission(AdmissionObservation),
    /// Of membership.
    Membership(membership::MembershipObservation),
}

impl Observe for MeshObservation {
    const ALL: &'static [Descriptor] = &JOINED;

    fn descriptor(&self) -> &'static Descriptor {
        match self {
            Self::Admission(observation) => observation.descriptor(),
            Self::Membership(observation) => observation.descriptor(),
        }
    }

    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value)) {
        match self {
            Self::Admission(observation) => observation.fields(visit),
            Self::Membership(observation) => observation.fields(visit),
        }
    }
}

const JOINED: [Descriptor; AdmissionObservation::ALL.len() + membership::MembershipObservation::ALL.len()] = {
    let (one, other) = (AdmissionObservation::ALL, membership::MembershipObservation::ALL);
    let mut joined = [one[0]; AdmissionObservation::ALL.len() + membership::MembershipObservation::ALL.len()];
    let mut at = 0;
    while at < joined.len() {
        joined[at] = if at < one.len() { one[at] } else { other[at - one.len()] };
        at += 1;
    }
    joined
};
