//! The node itself: phases, journal, gate and the inbox between siblings.

use super::application::{Application, Input, LoadError};
use super::contract::{Action, Effect, Event, Outgoing, Refusal, Scratch, StopReason};
use super::loads::{Reading, Ticket};
use super::observation::NodeObservation;
use super::outbox::{Outbox, StepSink, visible_again};
use super::overload::is_shed;
use super::startup::{Fed, Read, Sizes, Startup};
use crate::codec::{Body, BodyVersion};
use crate::envelope::{Envelope, KeyIds};
use crate::gate::{Release, WriteNumber};
use crate::identity::{BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, StoreIncarnation};
use crate::limits::Limits;
use crate::machine::{CauseId, Ctx};
use crate::record::{Frame, Kind, Recovered, Sequence};
use crate::time::Time;
use alloc::boxed::Box;

/// Where a node sits and what it may use: everything that is settled before its process starts.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its gossip domain.
    pub domain: GossipDomain,
    /// Itself.
    pub node: NodeId,
    /// The store incarnation to found when the store is empty: drawn at random by the driver.
    pub fresh_store: StoreIncarnation,
    /// The newest body version this build understands.
    pub speaks: BodyVersion,
    /// The keys that the driver holds when the process starts.
    pub keys: KeyIds,
    /// Its bounds.
    pub limits: Limits,
}

/// One process of one node.
pub struct Node<A: Application> {
    pub(super) seat: Seat,
    phase: Phase,
    pub(super) outbox: Outbox<A>,
    application: A,
}

enum Phase {
    /// Before [`Event::Boot`].
    New,
    /// The journal is being read.
    Reading { startup: Box<Startup>, lowest: Sequence },
    /// Waiting for the boot record to become durable.
    Founding(WriteNumber),
    /// The node speaks.
    Running,
    /// It never will again.
    Stopped,
}

impl<A: Application> Node<A> {
    /// A process that has not read its store yet.
    pub fn new(seat: Seat, application: A) -> Self {
        let outbox = Outbox::new(seat.fresh_store, &seat.limits);
        Self { seat, phase: Phase::New, outbox, application }
    }

    /// Takes one event. What follows from it stands in `scratch.effects`, which the driver drains before the next one.
    pub fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event<A>, scratch: &mut Scratch<A>) {
        debug_assert!(scratch.effects.is_empty(), "the driver left effects of an earlier event behind");
        scratch.frames.clear();
        match event {
            _ if matches!(self.phase, Phase::Stopped) => self.refuse_if_request(ctx, &event, Refusal::Stopped, scratch),
            Event::StoreFailed(failure) => self.stop(ctx, failure.into(), scratch),
            Event::Boot { lowest, last } => self.boot(ctx, lowest, last, scratch),
            Event::Loaded { ticket, sequence, bytes } => self.loaded(ctx, ticket, sequence, bytes.as_deref(), scratch),
            Event::Persisted { upto } => self.persisted(ctx, upto, scratch),
            Event::Keys(keys) => self.rekeyed(ctx, keys, scratch),
            _ if !matches!(self.phase, Phase::Running) => {
                self.refuse_if_request(ctx, &event, Refusal::Starting, scratch);
            }
            Event::Request { id, .. } if self.is_overloaded() => self.refuse_overloaded(ctx, id, scratch),
            Event::Packet(delivery) if is_shed(delivery.envelope.class) && self.is_overloaded() => {
                self.shed_packet(ctx, scratch);
            }
            Event::Wake => self.step(ctx, Input::Wake, scratch),
            Event::Packet(delivery) => self.step(ctx, Input::Message(delivery), scratch),
            Event::Request { id, request } => self.step(ctx, Input::Request { id, request }, scratch),
            Event::Computed { id, done } => self.step(ctx, Input::Computed { id, done }, scratch),
            Event::Full { peer, class } => self.step(ctx, Input::Full { peer, class }, scratch),
            Event::Room { peer, class } => self.step(ctx, Input::Room { peer, class }, scratch),
            Event::Found { node, endpoint } => self.step(ctx, Input::Found { node, endpoint }, scratch),
            Event::Fetched { ticket, bytes, .. } => self.fetched(ctx, ticket, bytes.as_deref(), scratch),
            Event::Listed { ticket, objects, is_last } => self.listed(ctx, ticket, objects, is_last, scratch),
        }
        self.release(ctx, scratch);
    }

    /// When the node wants to be woken.
    pub fn next_deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Running => self.application.next_deadline(),
            _ => None,
        }
    }

    /// The life this process is, once its boot is durable: what its packets name as their source.
    pub fn incarnation(&self) -> Option<Incarnation> {
        matches!(self.phase, Phase::Running).then(|| self.life())
    }

    fn life(&self) -> Incarnation {
        Incarnation { node: self.seat.node, store: self.outbox.store, boot: self.outbox.journal.boot() }
    }

    /// The envelope of a message this node was told to send. Pure: sealing is the driver's.
    pub fn address(&self, cause: CauseId, outgoing: &Outgoing<A::Message>) -> Envelope {
        Envelope {
            cluster: self.seat.cluster,
            domain: self.seat.domain,
            tenant: outgoing.tenant,
            source: self.life(),
            destination: outgoing.to,
            next_hop: outgoing.via.unwrap_or(outgoing.to),
            ttl: outgoing.ttl,
            class: outgoing.class,
            sequence: outgoing.sequence,
            cause,
            version: outgoing.version,
            speaks: self.seat.speaks,
        }
    }

    /// Where the node sits.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The application, for drivers that show its state. Checkers judge by what is visible outside instead.
    pub fn application(&self) -> &A {
        &self.application
    }

    // --- starting -----------------------------------------------------------------------------------------------

    fn boot(&mut self, ctx: &Ctx<'_>, lowest: Sequence, last: Option<Sequence>, scratch: &mut Scratch<A>) {
        assert!(matches!(self.phase, Phase::New), "a process boots once");
        match last {
            Some(last) => {
                self.phase = Phase::Reading { startup: Box::new(Startup::new(last)), lowest };
                self.read_on(ctx, scratch);
            }
            None => self.found(ctx, Recovered::empty(), 0, scratch),
        }
    }

    fn loaded(
        &mut self,
        ctx: &mut Ctx<'_>,
        ticket: Ticket,
        slot: Sequence,
        bytes: Option<&[u8]>,
        scratch: &mut Scratch<A>,
    ) {
        match &mut self.phase {
            Phase::Reading { startup, .. } => {
                let next = Ticket(self.outbox.loads.ticket().0 + 1);
                let fed = startup.feed(ticket, slot, bytes, next).map_err(StopReason::from);
                let taken = fed.and_then(|fed| match fed {
                    Fed::Skipped => Ok(()),
                    Fed::Reread => {
                        scratch.observe(ctx.cause, NodeObservation::SlotReread { sequence: slot.0 });
                        Ok(())
                    }
                    Fed::Anchored(anchor) => {
                        self.outbox.store = anchor.genesis.owned_by(&self.genesis())?.store;
                        Ok(())
                    }
                    Fed::Kept(frame) => self.take_back(&frame),
                });
                match taken {
                    Ok(()) => self.read_on(ctx, scratch),
                    Err(reason) => self.stop(ctx, reason, scratch),
                }
            }
            Phase::Running => self.loaded_while_running(ctx, ticket, slot, bytes, scratch),
            _ => {}
        }
    }

    /// Gives one record of the journal back to its owner.
    fn take_back(&mut self, frame: &Frame<'_>) -> Result<(), StopReason> {
        match frame.kind {
            Kind::Genesis => {
                self.outbox.store = Recovered::check_owner(frame, &self.genesis())?.store;
                Ok(())
            }
            Kind::Boot | Kind::Anchor => Ok(()),
            Kind::Application => {
                let record = self.read_record(frame)?;
                self.application.replay(frame.sequence, record);
                Ok(())
            }
        }
    }

    fn read_record(&self, frame: &Frame<'_>) -> Result<A::Record, StopReason> {
        let unreadable = StopReason::Unreadable { sequence: frame.sequence, version: frame.version };
        if frame.version > self.seat.speaks {
            return Err(unreadable);
        }
        A::Record::decode(frame.version, frame.body).map_err(|_| unreadable)
    }

    fn read_on(&mut self, ctx: &Ctx<'_>, scratch: &mut Scratch<A>) {
        let Phase::Reading { startup, .. } = &mut self.phase else { return };
        while let Some(sequence) = startup.next_to_ask() {
            let ticket = self.outbox.loads.ticket();
            scratch.push(ctx.cause, Action::Load { ticket, sequence });
        }
        if startup.is_complete() {
            let Phase::Reading { startup, lowest } = core::mem::replace(&mut self.phase, Phase::Stopped) else {
                return;
            };
            match startup.finish() {
                Ok(Read { recovered, given_up, sizes: Sizes { covered, grown } }) => {
                    self.outbox.trimming.recovered(recovered.anchor.as_ref(), lowest, (covered, grown));
                    self.found(ctx, recovered, given_up, scratch);
                }
                Err(damage) => self.stop(ctx, damage.into(), scratch),
            }
        }
    }

    /// Makes what was recovered durable, and this boot with it.
    fn found(&mut self, ctx: &Ctx<'_>, mut recovered: Recovered, given_up: u64, scratch: &mut Scratch<A>) {
        // A boot record that rotted away is among the slots given up; its number is not used again.
        let boot = BootIncarnation(recovered.boot.0 + 1 + given_up);
        let rewrite = core::mem::take(&mut recovered.rewrite);
        let anchor = recovered.anchor.take();
        let before = anchor.as_ref().map_or(0, |it| it.anchor.first.0 - 1);
        let anchor = anchor.map(|it| (it.place, it.bytes));
        scratch.observe(
            ctx.cause,
            NodeObservation::JournalRecovered {
                records: recovered.end.0 - before,
                rewritten: rewrite.len() as u64,
                boot: boot.0,
            },
        );
        self.outbox.journal = recovered.writer(boot);
        for (sequence, bytes) in anchor.into_iter().chain(rewrite) {
            let start = scratch.frames.len();
            scratch.frames.extend_from_slice(&bytes);
            self.outbox.append(ctx.cause, sequence, start, scratch);
        }
        if recovered.leftover {
            let (write, from) = (self.outbox.gate.wrote(), recovered.end.next());
            scratch.push(ctx.cause, Action::Erase { write, from });
            scratch.observe(ctx.cause, NodeObservation::JournalErased { from: from.0 });
        }
        if recovered.end == Sequence(0) {
            let genesis = self.genesis();
            self.outbox.store = genesis.store;
            self.outbox.frame(ctx.cause, scratch, |journal, out| journal.genesis(&genesis, out));
        }
        self.outbox.frame(ctx.cause, scratch, |journal, out| journal.boot_record(out));
        self.phase = Phase::Founding(self.outbox.gate.written());
    }

    // --- running ------------------------------------------------------------------------------------------------

    fn persisted(&mut self, ctx: &mut Ctx<'_>, upto: WriteNumber, scratch: &mut Scratch<A>) {
        self.outbox.persisted(upto);
        if A::SEES_PERSISTED && matches!(self.phase, Phase::Running) {
            let upto = self.outbox.journal.known_synced();
            self.hand_over(ctx, Input::Persisted { upto }, scratch);
        }
        self.tell_kept(ctx, scratch);
        if matches!(self.phase, Phase::Founding(founded) if upto >= founded) {
            self.phase = Phase::Running;
            let (life, keys) = (self.life(), self.seat.keys);
            self.hand_over(ctx, Input::Start { life, keys }, scratch);
        }
        if matches!(self.phase, Phase::Running) {
            self.trim(ctx, scratch);
        }
        self.outbox.gate.close_step();
    }

    /// A keyring that changes before the node speaks is told with its start.
    fn rekeyed(&mut self, ctx: &mut Ctx<'_>, keys: KeyIds, scratch: &mut Scratch<A>) {
        self.seat.keys = keys;
        if matches!(self.phase, Phase::Running) {
            self.step(ctx, Input::Keys(keys), scratch);
        }
    }

    fn loaded_while_running(
        &mut self,
        ctx: &mut Ctx<'_>,
        ticket: Ticket,
        sequence: Sequence,
        bytes: Option<&[u8]>,
        scratch: &mut Scratch<A>,
    ) {
        let record = match self.outbox.loads.judge(ticket, bytes) {
            Reading::Unwanted => return,
            Reading::Again(ticket) => {
                scratch.observe(ctx.cause, NodeObservation::SlotReread { sequence: sequence.0 });
                return scratch.push(ctx.cause, Action::Load { ticket, sequence });
            }
            Reading::Good(frame) => self.read_record(&frame).map_err(|_| LoadError::Damaged(sequence)),
            Reading::Damaged => Err(LoadError::Damaged(sequence)),
        };
        self.step(ctx, Input::Loaded { sequence, record }, scratch);
    }

    /// A step: what one event causes.
    pub(super) fn step(&mut self, ctx: &mut Ctx<'_>, input: Input<A>, scratch: &mut Scratch<A>) {
        self.hand_over(ctx, input, scratch);
        self.outbox.gate.close_step();
    }

    /// Hands one event to the application, and then everything its machines tell one another because of it. The caller
    /// closes the step.
    pub(super) fn hand_over(&mut self, ctx: &mut Ctx<'_>, input: Input<A>, scratch: &mut Scratch<A>) {
        let mut next = Some(input);
        let mut steps = 0;
        while let Some(input) = next {
            steps += 1;
            assert!(
                steps <= self.seat.limits.steps_per_event,
                "siblings keep one another busy for ever: check the wiring"
            );
            ctx.next_record = self.outbox.journal.end().next();
            let mut sink = StepSink { cause: ctx.cause, now: ctx.now, outbox: &mut self.outbox, scratch };
            self.application.handle(ctx, input, &mut sink);
            next = scratch.inbox.pop_front().map(Input::Local);
        }
    }

    /// Lets go what is done waiting. A machine whose action is late is told, which is a step of its own.
    fn release(&mut self, ctx: &mut Ctx<'_>, scratch: &mut Scratch<A>) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        for _ in 0..self.seat.limits.steps_per_event {
            while let Some(release) = self.outbox.gate.release(ctx.now) {
                match release {
                    Release::Leave(Effect { cause, action }) => self.outbox.leave(cause, action, scratch),
                    Release::Late(effect) => {
                        let held_actions = self.outbox.gate.len() as u64;
                        scratch.observe(ctx.cause, NodeObservation::ActionLate { held_actions });
                        scratch.late.extend(visible_again(effect.action));
                    }
                }
            }
            if scratch.late.is_empty() {
                return;
            }
            for _ in 0..scratch.late.len() {
                let Some(late) = scratch.late.pop_front() else { break };
                self.step(ctx, Input::Late(late), scratch);
            }
        }
        panic!("a machine answers each late action with another late one");
    }

    pub(super) fn stop(&mut self, ctx: &Ctx<'_>, reason: StopReason, scratch: &mut Scratch<A>) {
        self.phase = Phase::Stopped;
        scratch.push(ctx.cause, Action::Stop(reason));
    }
}
