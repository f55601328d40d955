//! The dispatcher: every wire of the production node on one page.

use super::checkpoint::Checkpoint;
use super::errands::Errand;
use super::fence::{self, Fence};
use super::lift::{ControlSink, ShardsSink, from_membership};
use super::observation::{AdmissionObservation, MeshObservation};
use super::wire::{Message, OLDEST_VERSION, Record, Reply, Request};
use crate::control::node::{self as control, Control};
use crate::control::state::{Change, Command, NEWEST};
use crate::envelope::Class;
use crate::identity::{GossipDomain, Incarnation, NodeId, RequestId};
use crate::machine::{Ctx, Lift, Machine, Sink};
use crate::membership::{self, Identity, Membership, settings::Profile};
use crate::node::{Application, Delivery, Gating, Input, Output, Route, Seat, Visible};
use crate::record::Sequence;
use crate::shards::host::Request::{Submit, SubmitOnce};
use crate::shards::host::{self as shards, Host, Sees};
use crate::shards::state::{ShardState, is_of_nodes};
use crate::task;
use crate::task::desk::Desk;
use crate::task::worker::{self, Worker};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

/// The settings of every machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Of membership.
    pub membership: membership::Settings,
    /// Of the control group. The same on all its members, but for what each speaks, which its seat says.
    pub control: control::Settings,
    /// Of shards.
    pub shards: shards::Settings,
    /// Of workers, and those who give work out.
    pub tasks: task::settings::Settings,
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        Self { membership: profile.into(), control: profile.into(), shards: profile.into(), tasks: profile.into() }
    }
}

/// The machines of one process.
pub struct MeshNode {
    pub(super) node: NodeId,
    domain: GossipDomain,
    pub(super) life: Option<Incarnation>,
    membership: Membership,
    pub(super) control: Control,
    pub(super) fence: Fence,
    pub(super) shards: Host<ShardState>,
    pub(super) checkpoint: Checkpoint,
    pub(super) desk: Desk,
    pub(super) worker: Worker,
    /// What shards, desk and worker have for one another. Empty between events.
    pub(super) errands: VecDeque<Errand>,
    /// What control has asked for that concerns shards, while it is handed on. Empty between events.
    for_shards: Vec<shards::Event>,
}

/// What a machine means for a sibling, within the same event of the driver.
#[derive(Debug)]
pub enum Local {
    /// The shards want a command executed.
    Command {
        /// To be named when it is.
        ticket: u64,
        /// What.
        command: Box<Command>,
    },
}

/// Consensus cannot be printed; who is there can.
impl fmt::Debug for MeshNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshNode").field("membership", &self.membership).finish_non_exhaustive()
    }
}

impl MeshNode {
    /// The machines of the node at `seat`.
    ///
    /// # Panics
    /// When `seat` and `identity` name different nodes.
    pub fn new(seat: &Seat, mut settings: Settings, identity: Identity) -> Self {
        assert!(seat.node == identity.node, "a seat is for one node");
        settings.control.group.speaks = seat.speaks.min(NEWEST);
        Self {
            node: seat.node,
            domain: seat.domain,
            life: None,
            membership: Membership::new(settings.membership, identity),
            control: Control::new(settings.control),
            fence: Fence::default(),
            shards: Host::new(settings.shards),
            checkpoint: Checkpoint::default(),
            desk: Desk::new(settings.tasks),
            worker: Worker::new(settings.tasks),
            errands: VecDeque::new(),
            for_shards: Vec::new(),
        }
    }

    /// Who is there, for drivers and siblings.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// What the cluster agrees on, as far as this node knows.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The shards of this node.
    pub fn shards(&self) -> &Host<ShardState> {
        &self.shards
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
        match message {
            Message::Membership(message) => {
                self.tell_membership(ctx, membership::Event::Message { envelope, message }, out);
            }
            // Only what may be lost comes as a datagram.
            Message::Control(message) if envelope.class.is_stream() || message.class() == Class::Gossip => {
                let event = control::Event::Message { from: envelope.source, speaks: envelope.speaks, message };
                self.tell_control(ctx, event, out);
            }
            Message::Shards(message) if envelope.class.is_stream() => {
                self.tell_shards(ctx, shards::Event::Message { from: envelope.source, message }, out);
            }
            Message::Tasks(message) if envelope.class.is_stream() => {
                self.errands.push_back(Errand::Heard { from: envelope.source, message });
            }
            Message::Control(_) | Message::Shards(_) | Message::Tasks(_) => {}
        }
    }

    fn requested(&mut self, ctx: &mut Ctx<'_>, id: RequestId, request: Request, out: &mut impl Sink<Output<Self>>) {
        match request {
            Request::Membership(request) => self.tell_membership(ctx, membership::Event::Request(id, request), out),
            Request::Control(request) => self.tell_control(ctx, control::Event::Request(id, request), out),
            Request::Shards(Submit { command, .. } | SubmitOnce { command, .. }) if is_of_nodes(&command.0) => {
                out.push(Output::reply(id, Reply::Shards(shards::Reply::Refused(shards::Refusal::OfNodes))));
            }
            Request::Shards(request) => self.tell_shards(ctx, shards::Event::Request(id, request), out),
            Request::Progress { shard, attempts } => {
                out.push(Output::reply(id, Reply::Progress(self.progress_of(shard, &attempts))));
            }
            Request::Desk(request) => self.ask_desk(ctx, id, request, out),
            Request::Work(request) => self.at_work(ctx, worker::Event::Request(id, request), out),
            Request::Fence(request) => {
                let answer = self.fence.request(ctx.now, ctx.wall, self.control.client(), request);
                if let Some(record) = answer.record {
                    self.control.stores_epoch(self.fence.newest());
                    ctx.next_record = ctx.next_record.next();
                    out.push(Output::Write { version: OLDEST_VERSION, record: Record::Fence(record) });
                }
                if let Some(observation) = answer.observation {
                    out.push(Output::Observe(observation.into()));
                }
                let what = Visible::Reply { id, reply: Reply::Fence(answer.reply) };
                out.push(Output::Show { what, not_after: answer.not_after });
            }
        }
    }

    pub(super) fn tell_membership(
        &mut self,
        ctx: &mut Ctx<'_>,
        event: membership::Event,
        out: &mut impl Sink<Output<Self>>,
    ) {
        let (control, now) = (&mut self.control, ctx.now);
        let lift = |action| {
            if let membership::Action::Locate(node, _) = action {
                control.meets(now, node);
            }
            from_membership(action)
        };
        self.membership.handle(ctx, event, &mut Lift::new(out, lift));
    }

    pub(super) fn tell_control(&mut self, ctx: &mut Ctx<'_>, event: control::Event, out: &mut impl Sink<Output<Self>>) {
        let had_view = self.control.client().not_after(ctx.now).is_some();
        let mut for_shards = core::mem::take(&mut self.for_shards);
        let mut sink = ControlSink { out, epoch: None, announced: None, for_shards: &mut for_shards };
        self.control.handle(ctx, event, &mut sink);
        let ControlSink { epoch, announced, .. } = sink;
        if let Some(record) = epoch.and_then(|epoch| self.fence.raise(epoch)) {
            self.control.stores_epoch(self.fence.newest());
            ctx.next_record = ctx.next_record.next();
            out.push(Output::Write { version: OLDEST_VERSION, record: Record::Fence(record) });
        }
        if let Some(message) = announced {
            let others =
                self.membership.standings().filter(|(node, status, _)| *node != self.node && status.is_member());
            for (node, ..) in others {
                let (route, message) = (Route::direct(node, Class::Control), Message::Control(message.clone()));
                out.push(Output::message(route, OLDEST_VERSION, message));
            }
        }
        if !had_view && self.control.client().not_after(ctx.now).is_some() {
            for_shards.push(shards::Event::Resumed);
        }
        for event in for_shards.drain(..) {
            let ended = match &event {
                shards::Event::Changed(Change::Ended { owner, session, .. }) => Some((*owner, *session)),
                _ => None,
            };
            self.tell_shards(ctx, event, out);
            self.errands.extend(ended.map(|(process, session)| Errand::Gone(process, session)));
        }
        self.for_shards = for_shards;
    }

    pub(super) fn tell_shards(&mut self, ctx: &mut Ctx<'_>, event: shards::Event, out: &mut impl Sink<Output<Self>>) {
        let view = self.control.client().not_after(ctx.now);
        let sees = Sees { state: self.control.state(), view, members: Some(&self.membership) };
        self.shards.handle(ctx, sees, event, &mut ShardsSink { out, errands: &mut self.errands });
    }

    /// An event of all machines.
    fn tell_all(
        &mut self,
        ctx: &mut Ctx<'_>,
        (control, shards, membership): (control::Event, shards::Event, membership::Event),
        out: &mut impl Sink<Output<Self>>,
    ) {
        self.tell_control(ctx, control, out);
        self.tell_shards(ctx, shards, out);
        self.tell_membership(ctx, membership, out);
    }
}

impl Machine for MeshNode {
    type Event = Input<Self>;
    type Action = Output<Self>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Input<Self>, out: &mut impl Sink<Output<Self>>) {
        self.dispatch(ctx, event, out);
        self.run_errands(ctx, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        let machines = [
            self.membership.next_deadline(),
            self.control.next_deadline(),
            self.shards.next_deadline(),
            self.desk.next_deadline(),
            self.worker.next_deadline(),
        ];
        machines.into_iter().flatten().min()
    }
}

impl MeshNode {
    fn dispatch(&mut self, ctx: &mut Ctx<'_>, event: Input<Self>, out: &mut impl Sink<Output<Self>>) {
        match event {
            Input::Start { life, keys } => {
                self.life = Some(life);
                self.at_work(ctx, worker::Event::Start(life), out);
                let (control, shards) = (control::Event::Start { life }, shards::Event::Start { life });
                self.tell_all(ctx, (control, shards, membership::Event::Start { life, keys }), out);
            }
            Input::Wake => {
                if self.control.next_deadline().is_some_and(|due| due <= ctx.now) {
                    self.tell_control(ctx, control::Event::Wake, out);
                }
                if self.shards.next_deadline().is_some_and(|due| due <= ctx.now) {
                    self.tell_shards(ctx, shards::Event::Wake, out);
                }
                self.wake_tasks(ctx);
                self.tell_membership(ctx, membership::Event::Wake, out);
            }
            Input::Persisted { upto } => {
                let (control, shards) = (control::Event::Durable(upto), shards::Event::Durable(upto));
                self.tell_all(ctx, (control, shards, membership::Event::Durable(upto)), out);
            }
            Input::Checkpoint { below } => self.checkpoint(ctx, below, out),
            Input::Kept { object } => self.tell_shards(ctx, shards::Event::Kept(object), out),
            Input::Fetched { object, bytes } => self.tell_shards(ctx, shards::Event::Fetched(object, bytes.ok()), out),
            Input::Objects { objects, is_last, .. } => {
                self.tell_shards(ctx, shards::Event::Objects(objects, is_last), out);
            }
            Input::Message(delivery) => self.delivered(ctx, delivery, out),
            Input::Request { id, request } => self.requested(ctx, id, request, out),
            Input::Found { node, endpoint } => {
                self.tell_membership(ctx, membership::Event::Found { node, endpoint }, out);
            }
            Input::Keys(keys) => self.tell_membership(ctx, membership::Event::Keys(keys), out),
            Input::Late(Visible::Reply { id, reply: Reply::Shards(_) }) => {
                self.tell_shards(ctx, shards::Event::LateReply(id), out);
            }
            Input::Late(Visible::Message { route, message: Message::Shards(message), .. }) => {
                if let shards::Message::Answer { number, .. } = message {
                    self.tell_shards(ctx, shards::Event::LateAnswer { to: route.to, number }, out);
                }
            }
            // Of all else only what a holder was to be told has a time limit: it holds nothing any more.
            Input::Late(Visible::Reply { id, .. }) => out.push(Output::reply(id, Reply::Fence(fence::Reply::NotHeld))),
            // What meets a full queue is lost, as a network may lose it: all of it is told again, or in other words.
            Input::Full { .. } | Input::Room { .. } | Input::Late(Visible::Message { .. }) => {}
            // No machine reads its records back.
            Input::Loaded { .. } => {}
            Input::Local(Local::Command { ticket, command }) => {
                self.tell_control(ctx, control::Event::Submit { ticket, command }, out);
            }
            Input::Computed { id: never, .. } => match never {},
        }
    }
}

impl Application for MeshNode {
    type Message = Message;
    type Record = Record;
    type Request = Request;
    type Reply = Reply;
    type Local = Local;
    type Work = Infallible;
    type Done = Infallible;
    type WorkId = Infallible;
    type Observation = MeshObservation;

    /// Membership must not use an incarnation before it is durable, nor the control group count its own writes.
    const SEES_PERSISTED: bool = true;

    /// What a worker orders rests on what shards have acknowledged, and on nothing that it has written itself: a disk that is
    /// stuck is not to keep it from having an agent killed (rule T4c of tasks).
    fn reply_gating(reply: &Reply) -> Gating {
        match reply {
            Reply::Work(_) => Gating::Ungated,
            _ => Gating::Gated,
        }
    }

    fn replay(&mut self, _: Sequence, record: Record) {
        match record {
            Record::Membership(record) => self.membership.replay(record),
            Record::Control(record) => self.control.replay(record),
            Record::Shards(record) => self.shards.replay(record),
            Record::Fence(accepted) => {
                self.fence.replay(accepted);
                self.control.stores_epoch(self.fence.newest());
            }
        }
    }

    fn compute(work: Infallible) -> Infallible {
        match work {}
    }
}
