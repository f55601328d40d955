//! The driver: hands a process what reaches it.
//!
//! The same duties as the production shell has, and like there no branch on what a message says.

use super::run::World;
use super::wires::Origin;
use super::{Happening, Inbound};
use crate::subject::{Checks, Outcome, Subject, Surroundings};
use crate::time::TrueTime;
use crate::trace::EventKind;
use alloc::format;
use core::fmt::Debug;
use relaymesh_core::codec::Body;
use relaymesh_core::envelope::{OpenError, Opened, open, tag_of};
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::machine::{CauseId, Ctx};
use relaymesh_core::node::{Application, Delivery, Event, Node};
use relaymesh_core::time::Duration;

/// Inputs that wait for a frozen process; further packets are dropped, as a socket buffer would.
const BACKLOG_MAX: usize = 4_096;

impl<S: Subject> World<S> {
    /// A process begins on `host`.
    pub(super) fn boot(&mut self, host: u32, life: u32) {
        let it = self.host(host);
        if it.life != life || it.node.is_some() || it.held_down > 0 || it.is_absent {
            return;
        }
        if it.asleep.is_some() {
            // Whoever wakes the machine starts the process.
            return;
        }
        let seat = self.host_mut(host).seat();
        let application = S::application(&Surroundings {
            scenario: &self.scenario,
            seat: &seat,
            nodes: &self.node_ids,
            host,
            life,
            endpoint: self.host(host).endpoint,
        });
        let it = &mut self.hosts[host as usize];
        let cause = it.start_cause;
        it.node = Some(Node::new(seat, application));
        it.disk.begin_process();
        it.store_failed = false;
        it.written = (WriteNumber(0), cause);
        it.reads_done = self.now;
        let (lowest, last) = (it.disk.lowest_slot(), it.disk.last_slot());
        self.engine_checks.booted(host, &self.hosts[host as usize].disk);
        self.checks.booted(host, self.now);
        let event = self.begin(EventKind::Boot, Some(host), cause);
        self.engine_checks.objects_found(host, &self.hosts[host as usize].disk, &mut self.found);
        self.trace.bytes(&lowest.0.to_le_bytes());
        self.trace.bytes(&last.unwrap_or_default().0.to_le_bytes());
        self.trace.note(|| format!("the process starts on a store of slots {lowest} to {}", last.unwrap_or_default()));
        self.handle(host, event, Event::Boot { lowest, last });
    }

    /// Something reaches a process: now, or when it has time.
    pub(super) fn arrive(&mut self, host: u32, inbound: Inbound) {
        let it = &mut self.hosts[host as usize];
        if !it.is_frozen(self.now) && it.backlog.is_empty() {
            self.take(host, inbound);
            return;
        }
        match inbound {
            // What a stream carries waits: the stream has its own bound.
            Inbound::Packet { place } if it.backlog.len() >= BACKLOG_MAX && !self.packets.get(place).rides() => {
                self.drop_packet(place);
            }
            other => it.backlog.push_back(other),
        }
    }

    /// A process that was frozen or busy goes on with what waits.
    pub(super) fn resume(&mut self, host: u32) {
        while !self.host(host).is_frozen(self.now) {
            let Some(inbound) = self.host_mut(host).backlog.pop_front() else { return };
            self.take(host, inbound);
        }
    }

    /// Stops a process until then; what reaches it meanwhile waits.
    pub(super) fn pause(&mut self, host: u32, until: TrueTime) {
        let it = &mut self.hosts[host as usize];
        if until > it.paused_until {
            it.paused_until = until;
            let life = it.life;
            self.queue.schedule(until, Happening::Resumes { host, life });
        }
    }

    /// Hands a process one input.
    fn take(&mut self, host: u32, inbound: Inbound) {
        match inbound {
            Inbound::Packet { place } => self.take_packet(host, place),
            Inbound::Wake => self.take_wake(host),
            Inbound::Request { id, place, cause } => {
                let request = self.requests.take(place);
                let event = self.begin(EventKind::Request, Some(host), cause);
                self.trace.bytes(&id.0.to_le_bytes());
                self.trace_body(&request);
                self.trace.note(|| format!("request {id}: {request:?}"));
                self.handle(host, event, Event::Request { id, request });
            }
            Inbound::Persisted { upto, cause } => {
                self.engine_checks.persisted(host, &self.hosts[host as usize].disk);
                let event = self.begin(EventKind::Disk, Some(host), cause);
                self.engine_checks.objects_told(host, upto, &self.hosts[host as usize].disk, &mut self.found);
                self.trace.bytes(&upto.0.to_le_bytes());
                self.trace.note(|| format!("durable up to write {upto}"));
                self.handle(host, event, Event::Persisted { upto });
                self.sync(host);
            }
            Inbound::StoreFailed { failure, cause } => {
                let event = self.begin(EventKind::Disk, Some(host), cause);
                self.trace.printed(failure);
                self.trace.note(|| format!("{failure}"));
                self.handle(host, event, Event::StoreFailed(failure));
            }
            Inbound::Loaded { place } => self.take_read(host, place),
            Inbound::Computed { place } => {
                let (id, work, cause) = self.work.take(place);
                let event = self.begin(EventKind::Compute, Some(host), cause);
                let done = S::Application::compute(work);
                self.trace.printed(format_args!("{id:?}{done:?}"));
                self.trace.note(|| format!("computed {id:?}: {done:?}"));
                self.handle(host, event, Event::Computed { id, done });
            }
            Inbound::Full { peer, class, cause } => {
                let event = self.begin(EventKind::Pressure, Some(host), cause);
                self.trace.bytes(&[0, class as u8]);
                self.trace.bytes(peer.as_bytes());
                self.trace.note(|| format!("the {class:?} queue to {peer:?} is full"));
                self.handle(host, event, Event::Full { peer, class });
            }
            Inbound::Room { peer, class, cause } => {
                let event = self.begin(EventKind::Pressure, Some(host), cause);
                let life = self.host(host).life;
                self.full_lanes.remove(&(host, life, peer, class));
                self.trace.bytes(&[1, class as u8]);
                self.trace.bytes(peer.as_bytes());
                self.trace.note(|| format!("the {class:?} queue to {peer:?} has room"));
                self.handle(host, event, Event::Room { peer, class });
            }
            Inbound::Found { place } => {
                let (node, endpoint, cause) = self.discoveries.take(place);
                let event = self.begin(EventKind::Found, Some(host), cause);
                self.trace.bytes(node.as_bytes());
                self.trace.printed(endpoint);
                self.trace.note(|| format!("{node:?} was found at {endpoint}"));
                self.handle(host, event, Event::Found { node, endpoint });
            }
            Inbound::Keys { keys, cause } => {
                let event = self.begin(EventKind::Keys, Some(host), cause);
                keys.iter().for_each(|key| self.trace.bytes(&key.0.to_le_bytes()));
                self.trace.note(|| format!("the keyring holds {keys:?}"));
                self.handle(host, event, Event::Keys(keys));
            }
        }
        let cost = self.host(host).event_cost;
        if cost > Duration::ZERO {
            self.slow_events += 1;
            self.pause(host, self.now + cost);
        }
    }

    fn take_packet(&mut self, host: u32, place: u32) {
        let packet = self.take_from_wire(place);
        let event = self.begin(EventKind::Packet, Some(host), packet.seal.cause);
        // The authenticator stands for all bytes of a packet, unless they were changed on the way.
        self.trace.bytes(if packet.origin == Origin::Altered { &packet.bytes } else { tag_of(&packet.bytes) });
        let it = &self.hosts[host as usize];
        let opened: Result<Opened<<S::Application as Application>::Message>, OpenError> =
            open(&it.keys.ring, it.cluster, it.id, it.version, &packet.bytes);
        let expected = self.expected(host, &packet);
        self.engine_checks.opened(host, expected, opened.as_ref().err().copied(), &mut self.found);
        match opened {
            Ok(Opened { envelope, message }) => {
                let from = self.number_of(envelope.source.node);
                self.trace.note(|| format!("from n{from}: {message:?}"));
                self.checks.received(host, from, &envelope, &message, &mut self.found);
                self.handle(host, event, Event::Packet(Delivery { envelope, message }));
            }
            Err(error) => {
                self.refused_packets += 1;
                self.trace.printed(error);
                self.trace.note(|| format!("refused: {error}"));
            }
        }
        self.buffers.push(packet.bytes);
    }

    fn take_wake(&mut self, host: u32) {
        let now = self.now;
        // A wake that was replaced by an earlier or a later one is not this one.
        let Some((_, cause)) = self.host_mut(host).wake.take_if(|(at, _)| *at <= now) else { return };
        let it = self.host(host);
        let due = it.node.as_ref().and_then(Node::next_deadline);
        if due.is_none_or(|due| it.clock.monotonic(self.now) < due) {
            // The deadline has moved: the wake was for nothing, and would have been harmless.
            self.schedule_wake(host, cause);
            return;
        }
        let event = self.begin(EventKind::Wake, Some(host), cause);
        let effects = self.effects_seen;
        self.handle(host, event, Event::Wake);
        if self.effects_seen == effects {
            self.trace.recount(EventKind::Wake, EventKind::IdleWake);
        }
    }

    /// Lets the node handle one event and does what it asks.
    pub(super) fn handle(&mut self, host: u32, event_id: CauseId, event: Event<S::Application>) {
        let it = &mut self.hosts[host as usize];
        let Some(node) = &mut it.node else { return };
        let (now, wall) = (it.clock.monotonic(self.now), it.clock.wall(self.now));
        assert!(now >= it.last_seen, "a monotonic clock ran backwards within one process");
        it.last_seen = now;
        self.trace.bytes(&now.as_nanos().to_le_bytes());
        self.trace.bytes(&wall.as_unix_nanos().to_le_bytes());
        let draws = it.chooser.draws();
        let mut ctx = Ctx::new(now, wall, event_id, &mut it.chooser);
        node.handle(&mut ctx, event, &mut self.scratch);
        it.draws_accounted += it.chooser.draws() - draws;
        let mut effects = core::mem::take(&mut self.scratch.effects);
        for effect in effects.drain(..) {
            self.perform(host, event_id, effect);
        }
        self.scratch.effects = effects;
        self.sync(host);
        self.schedule_wake(host, event_id);
    }

    pub(super) fn schedule_wake(&mut self, host: u32, event: CauseId) {
        let it = &mut self.hosts[host as usize];
        let Some(due) = it.node.as_ref().and_then(Node::next_deadline) else { return };
        let at = it.clock.when(due).max(self.now);
        if it.wake.is_none_or(|(scheduled, _)| at < scheduled) {
            it.wake = Some((at, event));
            let life = it.life;
            self.queue.schedule(at, Happening::Arrives { host, life, inbound: Inbound::Wake });
        }
    }

    /// Schedules the wake anew, after the host's clock has changed its pace.
    pub(super) fn reschedule_wake(&mut self, host: u32) {
        if let Some((_, cause)) = self.host_mut(host).wake.take() {
            self.schedule_wake(host, cause);
        }
    }

    pub(super) fn later(&mut self, delay: Duration, host: u32, inbound: Inbound) {
        let life = self.host(host).life;
        self.queue.schedule(self.now + delay, Happening::Arrives { host, life, inbound });
    }

    /// Frees what stands in a slab for an input that reaches nobody any more.
    pub(super) fn discard(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Packet { place } => self.drop_packet(place),
            Inbound::Loaded { place } => drop(self.reads.take(place)),
            Inbound::Computed { place } => drop(self.work.take(place)),
            Inbound::Found { place } => drop(self.discoveries.take(place)),
            Inbound::Request { id, place, cause } => {
                self.requests.take(place);
                self.answer(id, Outcome::Unreachable, cause);
            }
            _ => {}
        }
    }

    pub(super) fn trace_body<B: Body + Debug>(&mut self, body: &B) {
        self.encoded.clear();
        match body.encode(B::NEWEST, usize::MAX, &mut self.encoded) {
            Ok(()) => {
                self.trace.bytes(&(self.encoded.len() as u64).to_le_bytes());
                self.trace.bytes(&self.encoded);
            }
            Err(error) => self.trace.printed(error),
        }
    }
}
