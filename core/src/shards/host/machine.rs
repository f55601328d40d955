//! The one dispatcher, and what a replica asks for.

use super::asks::{Asks, By};
use super::checkpoint::Checkpoint;
use super::commands::Commands;
pub(super) use super::events::{Action, Event, Sees};
use super::keep::Gathers;
use super::load::{Loads, Meter};
use super::objects::Objects;
use super::observation::{HostObservation, ShardsObservation};
use super::parked::Parked;
use super::place::Places;
use super::plans::Plans;
use super::rebuild::Rebuilding;
use super::reference::Reference;
use super::settings::Settings;
use super::slots::Slots;
use super::tickets::{Asker, Tickets};
use super::view::{Refusal, Reply, Request, SHARDS_SHOWN_MAX, Table};
use super::wire::{Answer, Message, Record};
use crate::control::state::State;
use crate::identity::{Incarnation, RequestId};
use crate::machine::{Ctx, Sink};
use crate::replication::once::{Once, Told};
use crate::replication::{self, Service};
use crate::shards::ShardId;
use crate::time::Time;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// The shards of one node.
#[derive(Clone, Debug)]
pub struct Host<S: Service> {
    pub(super) settings: Settings,
    pub(super) life: Option<Incarnation>,
    pub(super) slots: Slots<S>,
    /// Shards whose record has changed and was not looked at.
    pub(super) to_learn: BTreeSet<ShardId>,
    /// The state was replaced, and not all of its records were looked at.
    pub(super) is_behind: bool,
    /// Shards of this node whose answers may leave, since the view of the session is valid again.
    pub(super) to_wake: BTreeSet<ShardId>,
    pub(super) places: Places,
    pub(super) plans: Plans,
    pub(super) reference: Reference,
    pub(super) meter: Meter,
    pub(super) loads: Loads,
    pub(super) asks: Asks,
    pub(super) tickets: Tickets,
    pub(super) commands: Commands,
    /// Submissions that this node keeps until they have taken effect.
    pub(super) parked: Parked,
    pub(super) gathers: Gathers,
    pub(super) checkpoint: Checkpoint,
    pub(super) rebuilding: Rebuilding,
    pub(super) objects: Objects,
    /// What a replica asks for, while it is looked at. Empty between events.
    scratch: Vec<replication::Action<Told<S::Answer>>>,
    /// Whose deadline has passed. Empty between events.
    due: Vec<ShardId>,
}

impl<S: Service> Host<S> {
    /// A process that has not read its journal yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            life: None,
            slots: Slots::default(),
            to_learn: BTreeSet::new(),
            is_behind: false,
            to_wake: BTreeSet::new(),
            places: Places::default(),
            plans: Plans::default(),
            reference: Reference::default(),
            meter: Meter::default(),
            loads: Loads::default(),
            asks: Asks::default(),
            tickets: Tickets::default(),
            commands: Commands::default(),
            parked: Parked::default(),
            gathers: Gathers::default(),
            checkpoint: Checkpoint::default(),
            rebuilding: Rebuilding::default(),
            objects: Objects::default(),
            scratch: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Takes a record back after a restart.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Replica { shard, record } => self.slots.replay(shard, self.settings.replica, record),
            Record::Parked { submission, since } => self.parked.replay(*submission, since),
            Record::Forgotten { shard, id } => self.parked.forget(&shard, &id),
        }
    }

    /// The replica of a shard, if this node has one: for drivers that compare.
    pub fn replica(&self, shard: &ShardId) -> Option<&replication::Replica<Once<S>>> {
        self.slots.replica(shard)
    }

    /// A shard of which a replica was told something since this was asked last.
    pub fn next_touched(&mut self) -> Option<ShardId> {
        self.slots.next_touched()
    }

    /// Takes one event.
    pub fn handle(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, event: Event, out: &mut impl Sink<Action>) {
        // What is said of owners may be old while records are to be looked at that a new state has brought.
        let sees = Sees { view: sees.view.filter(|_| !self.is_behind), ..sees };
        match event {
            Event::Start { life } => {
                self.life = Some(life);
                self.asks.begin(ctx);
                self.slots.begin(life);
                self.objects.begin(ctx.now, self.slots.shards());
                self.learn_all(ctx.now, sees);
            }
            Event::Wake => self.wake(ctx, sees, out),
            Event::Message { from, message } => self.hear(ctx, sees, from, message, out),
            Event::Durable(upto) => {
                self.meter.durable((ctx.now, self.settings.grace), upto);
                while let Some(shard) = self.slots.next_durable(upto) {
                    self.tell(ctx, sees, shard, replication::Event::Durable(upto), out);
                }
            }
            Event::Checkpoint(cut) => self.checkpoint(ctx, sees, cut, out),
            Event::Request(id, request) => self.request(ctx, sees, id, request, out),
            Event::Ask { ticket, request } => self.ask(ctx, sees, By::Sibling(ticket), request, out),
            Event::Changed(change) => self.changed(ctx.now, change),
            Event::Restated => self.learn_all(ctx.now, sees),
            Event::Resumed => self.to_wake.extend(self.slots.owned()),
            Event::Executed { ticket, outcome } => self.executed(ctx, sees, ticket, outcome, out),
            Event::LateAnswer { to, number } => {
                let message = Message::Answer { number, answer: Answer::Unknown };
                out.push(Action::Send { to, message, not_after: None });
            }
            Event::LateReply(id) => out.push(Action::Reply { id, reply: Reply::Unknown, not_after: None }),
            Event::Kept(object) => self.kept(ctx, sees, object, out),
            Event::Fetched(object, bytes) => self.fetched(ctx, sees, (object, bytes), out),
            Event::Objects(objects, is_last) => self.listed(ctx, sees, (objects, is_last), out),
        }
    }

    /// When this machine has to be woken.
    pub fn next_deadline(&self) -> Option<Time> {
        let has_records = !self.to_learn.is_empty() || !self.to_wake.is_empty();
        let has_work = has_records || self.places.has_work() || self.plans.has_work() || self.commands.has_work();
        let work = has_work.then_some(Time::ZERO).filter(|_| self.life.is_some());
        let machines = [
            work,
            self.slots.next_deadline(),
            self.asks.next_deadline(),
            self.places.next_deadline(),
            self.plans.next_deadline(),
            self.reference.next_deadline(),
            self.loads.next_deadline(),
            self.rebuilding.next_deadline(),
            self.commands.next_deadline(),
            self.gathers.next_deadline(),
            self.parked.next_deadline().filter(|_| self.life.is_some()),
            self.objects.next_deadline(),
        ];
        machines.into_iter().flatten().min()
    }

    /// Answers wait for the view of the session, which may be valid now.
    fn wake_some(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        for _ in 0..self.settings.learned_at_once {
            let Some(shard) = self.to_wake.pop_first() else { return };
            self.tell(ctx, sees, shard, replication::Event::Wake, out);
        }
    }

    fn wake(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        // Those that are due now: what they do may make them due again, for the next event.
        let mut due = core::mem::take(&mut self.due);
        self.slots.due(ctx.now, &mut due);
        for shard in due.drain(..) {
            self.tell(ctx, sees, shard, replication::Event::Wake, out);
        }
        self.due = due;
        self.places.wake(ctx.now);
        self.commands.give_up_declaring(ctx.now, out);
        self.wake_asks(ctx, sees, out);
        self.asks_learned(ctx, sees, out);
        self.wake_gathers(ctx, sees, out);
        self.wake_parked(ctx, sees, out);
        self.wake_rebuilding(ctx, sees, out);
        self.objects.wake(ctx.now, out);
        // In no other event: one event of the driver may bring many of those, and what follows from it is bounded.
        self.learn_some(ctx, sees, out);
        self.wake_some(ctx, sees, out);
        self.wake_reference(ctx, sees, out);
        self.wake_loads(ctx, sees, out);
        self.place_some(ctx, sees, out);
        self.plan_some(ctx, sees, out);
        self.commands.give_some(self.settings.commands_at_once, out);
    }

    fn request(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        id: RequestId,
        request: Request,
        out: &mut impl Sink<Action>,
    ) {
        let refused = |why| Action::Reply { id, reply: Reply::Refused(why), not_after: None };
        if self.life.is_none() {
            return out.push(refused(Refusal::NotStarted));
        }
        let Some(state) = sees.state else { return out.push(refused(Refusal::NoGroup)) };
        match request {
            Request::Declare { namespace, shards, copies, minimum } => {
                let until = ctx.now.saturating_add(self.settings.ask_timeout);
                if let Err(why) = self.commands.declare((id, until), namespace, shards, (copies, minimum)) {
                    out.push(refused(why));
                }
            }
            Request::List { after } => {
                let reply = Reply::Shards(self.table(state, after));
                out.push(Action::Reply { id, reply, not_after: None });
            }
            Request::Placement { namespace, asked } => {
                if let Err(why) = self.ask_placement(ctx, sees, id, (namespace, asked), out) {
                    out.push(refused(why));
                }
            }
            Request::Loads => {
                if let Err(why) = self.ask_loads(ctx, state, id, out) {
                    out.push(refused(why));
                }
            }
            Request::Submit { shard, .. } | Request::Put { shard, .. } if state.is_paused(&shard) => {
                out.push(refused(Refusal::Paused));
            }
            Request::SubmitOnce { shard, key, command } => self.ask_once(ctx, sees, id, (shard, &key.0, command), out),
            request => self.ask(ctx, sees, By::Client(id), request, out),
        }
    }

    fn table(&self, state: &State, after: Option<ShardId>) -> Table {
        let version = state.shards().map(|(_, record)| record.version).max().unwrap_or(0);
        let rows = state.shards().filter(|(shard, _)| after.is_none_or(|after| **shard > after));
        let rows = rows.take(SHARDS_SHOWN_MAX).map(|(shard, record)| super::Row {
            shard: *shard,
            record: record.clone(),
            own: self.slots.own(shard, &self.places),
        });
        Table {
            version,
            checksum: state.shards_checksum(),
            shards: state.shards().count() as u64,
            rows: rows.collect(),
        }
    }

    fn hear(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        from: Incarnation,
        message: Message,
        out: &mut impl Sink<Action>,
    ) {
        match message {
            Message::Replica { shard, store, message } => {
                if self.life.is_none_or(|life| life.store != store) {
                    return;
                }
                self.learn_first(ctx, sees, shard, out);
                if !self.is_from_whom_it_may_be(sees, shard, from, &message) {
                    let observation = HostObservation::Strange { from: from.node, reason: "not from whom it may be" };
                    return out.push(Action::Observe(ShardsObservation::Host(observation)));
                }
                self.tell(ctx, sees, shard, replication::Event::Message { from: from.into(), message }, out);
            }
            Message::Ask { number, request } => self.asked(ctx, sees, from.node, number, *request, out),
            Message::Kept { shard, kept } => self.hears_kept(ctx.now, sees, from, shard, *kept),
            Message::Answer { number, answer } => self.answered(ctx, sees, from.node, number, answer, out),
            Message::Once { number, since, submission } if self.life.is_some() => {
                self.take_once(ctx, sees, Asker::There(from.node, number), *submission, since, out);
            }
            Message::Once { .. } => {}
            Message::Keep { number, since, submission } => {
                self.asked_to_keep(ctx, sees, (from.node, number), *submission, since, out);
            }
            Message::Keeping { number, keeping } => self.keeper_says(ctx, sees, from.node, number, keeping, out),
            Message::Clock { number } => {
                let message = Message::ClockShows { number, wall: ctx.wall };
                out.push(Action::Send { to: from.node, message, not_after: None });
            }
            Message::ClockShows { number, wall } => self.clock_shows(ctx.now, from.node, number, wall),
            Message::Load { number } => {
                let load = self.own_load(ctx.now);
                out.push(Action::Send { to: from.node, message: Message::LoadIs { number, load }, not_after: None });
            }
            Message::LoadIs { number, load } => self.load_is(ctx, sees, (from.node, number), load, out),
        }
    }

    /// Tells a replica something, and does what it asks for.
    pub(super) fn tell(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        shard: ShardId,
        event: replication::Event,
        out: &mut impl Sink<Action>,
    ) {
        let mut actions = core::mem::take(&mut self.scratch);
        let first = ctx.next_record;
        self.slots.handle(ctx, sees.view, shard, event, &mut actions);
        let mut at = first;
        for action in actions.drain(..) {
            match action {
                replication::Action::Send { to, message } => {
                    let message = Message::Replica { shard, store: to.store, message };
                    out.push(Action::Send { to: to.node, message, not_after: None });
                }
                replication::Action::Write(record) => {
                    self.slots.wrote(shard, at);
                    self.meter.wrote(ctx.now, at);
                    at = at.next();
                    out.push(Action::Write(Record::Replica { shard, record }));
                }
                replication::Action::Propose { epoch, version, change } => {
                    self.commands.change(shard, epoch, version, change);
                }
                replication::Action::HandOver { epoch, to } => self.commands.hand_over(shard, epoch, to),
                replication::Action::Reply { ticket, reply, not_after } => {
                    self.ticket_done(ctx.now, sees, ticket, reply, not_after, out);
                }
                replication::Action::Observe(observation) => {
                    out.push(Action::Observe(ShardsObservation::Replica(observation)));
                }
                replication::Action::Keep { object, bytes } => {
                    out.push(Action::Keep { object: self.objects.id(shard, object), bytes });
                }
                replication::Action::Fetch { object } => {
                    let object = self.objects.id(shard, object);
                    self.objects.fetch(object, out);
                }
                replication::Action::Discard { object } => {
                    out.push(Action::Discard { object: self.objects.id(shard, object) });
                }
                replication::Action::Sweep => {
                    self.objects.sweep_by(ctx.now.saturating_add(self.settings.sweep_pause));
                }
            }
        }
        self.scratch = actions;
        if self.slots.became_owner(&shard) {
            self.places.work_out(shard);
        }
    }
}
