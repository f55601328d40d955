//! The driver's other half: does what a process asks.
//!
//! Every checker that watches what leaves a node stands at the points where it leaves.

use super::run::World;
use super::wires::Seal;
use super::{Happening, Inbound};
use crate::disk::Bytes;
use crate::subject::{Checks, Outcome, Subject};
use alloc::format;
use relaymesh_core::codec::Body;
use relaymesh_core::envelope::{KeyChange, seal, tag_of};
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::{Action, Application, Effect, Observed, Outgoing, StopReason, StoreFailure};
use relaymesh_core::observe::Concern;
use relaymesh_core::time::Duration;

/// Time after which the operator starts a process that stopped by itself.
const OPERATOR_DELAY: Duration = Duration::from_millis(200);
/// The longest time a computation outside the machine takes.
const COMPUTE_MAX: Duration = Duration::from_millis(2);

impl<S: Subject> World<S> {
    pub(super) fn perform(&mut self, host: u32, event: CauseId, effect: Effect<S::Application>) {
        if self.host(host).node.is_none() {
            return;
        }
        self.effects_seen += 1;
        let cause = effect.cause;
        self.trace.bytes(&[tag_of_action(&effect.action)]);
        self.trace.bytes(&cause.0.to_le_bytes());
        match effect.action {
            Action::Append { write, sequence, frame } => {
                let bytes: Bytes = self.scratch.frame(&frame).into();
                self.trace.bytes(tag_of(&bytes));
                self.trace.bytes(&write.0.to_le_bytes());
                self.trace.note(|| format!("write {write}: record {sequence}"));
                let it = &mut self.hosts[host as usize];
                it.written = (write, event);
                let (disk, found) = (&it.disk, &mut self.found);
                let version = self.engine_checks.appended(host, event, write, sequence, &bytes, disk, found);
                if let Some(version) = version {
                    self.checks.wrote(host, version, &mut self.found);
                }
                if !it.store_failed {
                    let result = it.disk.store(&it.disk_condition, write, sequence, bytes);
                    self.written(host, event, result);
                }
            }
            Action::Erase { write, from } => {
                self.trace.bytes(&from.0.to_le_bytes());
                self.trace.note(|| format!("write {write}: erase from slot {from} on"));
                let it = &mut self.hosts[host as usize];
                it.written = (write, event);
                self.engine_checks.erased(host, event, write, from, &it.disk, &mut self.found);
                if !it.store_failed {
                    let result = it.disk.erase(&it.disk_condition, write, from);
                    self.written(host, event, result);
                }
            }
            Action::Trim { write, from, below } => {
                self.trace.bytes(&from.0.to_le_bytes());
                self.trace.bytes(&below.0.to_le_bytes());
                self.trace.note(|| format!("write {write}: empty slots {from} to before {below}"));
                let it = &mut self.hosts[host as usize];
                it.written = (write, event);
                self.engine_checks.trimmed(host, event, write, from, below, &it.disk, &mut self.found);
                if !it.store_failed {
                    let result = it.disk.trim(&it.disk_condition, write, from, below);
                    self.written(host, event, result);
                }
            }
            Action::Load { ticket, sequence } => self.load(host, event, ticket, sequence),
            Action::Compute { id, work } => {
                self.trace.printed(format_args!("{id:?}"));
                self.trace.note(|| format!("compute {id:?}"));
                let place = self.work.put((id, work, event));
                let delay = self.compute_delay.span(Duration::ZERO, COMPUTE_MAX);
                self.later(delay, host, Inbound::Computed { place });
            }
            Action::Send(outgoing) => self.send(host, cause, &outgoing),
            Action::Reply { id, reply, not_after } => {
                self.trace.bytes(&id.0.to_le_bytes());
                self.trace_body(&reply);
                self.trace.note(|| format!("reply to {id}: {reply:?}"));
                let it = &self.hosts[host as usize];
                match self.checks.reply_shows_state(&reply) {
                    true => self.engine_checks.left(host, cause, &it.disk, &mut self.found),
                    false => self.engine_checks.spoke(host, &it.disk, &mut self.found),
                }
                if let Some(not_after) = not_after {
                    self.engine_checks.limited(host, it.clock.monotonic(self.now), not_after, &mut self.found);
                }
                self.answer(id, Outcome::Reply(reply), cause);
            }
            Action::Refuse { id, refusal } => {
                self.trace.bytes(&id.0.to_le_bytes());
                self.trace.printed(refusal);
                self.trace.note(|| format!("refuse {id}: {refusal}"));
                self.answer(id, Outcome::Refused(refusal), cause);
            }
            Action::Seek => {
                self.trace.note(|| "ask the seeds who is there".into());
                self.seek(host, event);
            }
            Action::Locate { node, endpoint } => {
                self.trace.bytes(node.as_bytes());
                self.trace.printed(endpoint);
                self.trace.note(|| format!("{node:?} is at {endpoint}"));
                self.host_mut(host).book.insert(node, endpoint);
            }
            Action::Forget(node) => {
                self.trace.bytes(node.as_bytes());
                self.trace.note(|| format!("forget {node:?}"));
                self.host_mut(host).book.remove(&node);
            }
            Action::Keyring(change) => self.change_keys(host, event, change),
            Action::Observe(observed) => self.observe(host, cause, &observed),
            Action::Stop(reason) => self.process_stops(host, &reason),
            Action::Keep { write, object, frame } => self.keep(host, event, write, object, frame),
            Action::Discard { write, object } => self.discard_object(host, event, write, object),
            Action::Fetch { ticket, object } => self.fetch(host, event, ticket, object),
            Action::List { ticket, after } => self.list(host, event, ticket, after),
        }
    }

    /// After a failed write nothing more is written or synced: the process is about to be told, and to end.
    pub(super) fn written(&mut self, host: u32, event: CauseId, result: Result<(), StoreFailure>) {
        if let Err(failure) = result {
            self.host_mut(host).store_failed = true;
            self.later(Duration::ZERO, host, Inbound::StoreFailed { failure, cause: event });
        }
    }

    fn send(&mut self, host: u32, cause: CauseId, outgoing: &Outgoing<<S::Application as Application>::Message>) {
        let it = &self.hosts[host as usize];
        let Some(node) = &it.node else { return };
        if self.checks.shows_state(&outgoing.message) {
            self.engine_checks.left(host, cause, &it.disk, &mut self.found);
            self.engine_checks.in_order(host, cause, &mut self.found);
        } else {
            self.engine_checks.spoke(host, &it.disk, &mut self.found);
        }
        if let Some(not_after) = outgoing.not_after {
            self.engine_checks.limited(host, it.clock.monotonic(self.now), not_after, &mut self.found);
        }
        let to = self.number_of(outgoing.to);
        self.checks.sent(host, to, outgoing, &mut self.found);
        let envelope = node.address(cause, outgoing);
        self.engine_checks.named(host, it.life, envelope.source, &mut self.found);
        let mut bytes = self.buffers.pop().unwrap_or_default();
        bytes.clear();
        let packet_bytes = node.seat().limits.packet_bytes;
        if let Err(error) = seal(&it.keys.ring, &envelope, &outgoing.message, packet_bytes, &mut bytes) {
            panic!("a machine sent a message that cannot be sealed: {error}");
        }
        self.trace.bytes(tag_of(&bytes));
        self.trace.note(|| format!("send to n{to}: {:?}", outgoing.message));
        let sealed = Seal { from: host, to, key: self.host(host).keys.sealing(), cause };
        self.dispatch(sealed, &envelope, &outgoing.message, bytes);
    }

    fn change_keys(&mut self, host: u32, cause: CauseId, change: KeyChange) {
        self.trace.printed(format_args!("{change:?}"));
        self.trace.note(|| format!("change the keyring: {change:?}"));
        let is_done = self.host_mut(host).keys.change(change);
        self.look_at_keys(host, is_done, cause);
    }

    /// Holds a keyring against what it must hold, and lets the process know if it has changed.
    pub(super) fn look_at_keys(&mut self, host: u32, has_changed: bool, cause: CauseId) {
        let ring = &self.hosts[host as usize].keys;
        let (keys, expected) = (ring.ring.ids(), ring.expected());
        if keys != expected {
            self.engine_checks.keyring_differs(host, keys, expected, &mut self.found);
        }
        if has_changed {
            self.later(Duration::ZERO, host, Inbound::Keys { keys, cause });
        }
    }

    /// Begins a sync when something is to be synced and none is under way: one sync covers all that was written
    /// meanwhile.
    pub(super) fn sync(&mut self, host: u32) {
        let it = &mut self.hosts[host as usize];
        if it.node.is_none() || it.store_failed || it.syncing.is_some() || it.written.0 == WriteNumber(0) {
            return;
        }
        let Some(delay) = it.disk.begin_sync(&it.disk_condition) else { return };
        it.syncing = Some(it.written);
        it.sync_number += 1;
        let at = (self.now + delay).max(it.disk_stalled_until);
        let (life, number) = (it.life, it.sync_number);
        self.queue.schedule(at, Happening::SyncEnds { host, life, number });
    }

    /// A sync ends, whether or not the process that asked has time to hear of it.
    pub(super) fn sync_ends(&mut self, host: u32) {
        let it = &mut self.hosts[host as usize];
        if it.disk_stalled_until > self.now {
            let (at, life, number) = (it.disk_stalled_until, it.life, it.sync_number);
            return self.queue.schedule(at, Happening::SyncEnds { host, life, number });
        }
        let Some((upto, cause)) = it.syncing.take() else { return };
        match it.disk.end_sync(&it.disk_condition) {
            Ok(()) => self.arrive(host, Inbound::Persisted { upto, cause }),
            Err(failure) => {
                it.store_failed = true;
                self.arrive(host, Inbound::StoreFailed { failure, cause });
            }
        }
    }

    fn observe(
        &mut self,
        host: u32,
        cause: CauseId,
        observed: &Observed<<S::Application as Application>::Observation>,
    ) {
        let descriptor = observed.descriptor();
        self.trace.bytes(descriptor.name.as_bytes());
        observed.fields(&mut |_, value| self.trace.value(value));
        self.trace.note(|| format!("observe {observed:?}"));
        let it = &self.hosts[host as usize];
        if descriptor.concern == Concern::State {
            self.engine_checks.left(host, cause, &it.disk, &mut self.found);
        }
        match observed {
            Observed::Application(observation) => self.checks.observed(host, observation, &mut self.found),
            Observed::Node(_) => *self.observations.entry(descriptor.name).or_default() += 1,
        }
    }

    /// A process has ended itself. The operator looks at the reason and starts it again.
    fn process_stops(&mut self, host: u32, reason: &StopReason) {
        self.trace.printed(reason);
        self.trace.note(|| format!("the process stops: {reason}"));
        *self.stops.entry(stop_name(reason)).or_default() += 1;
        self.end_process(host);
        match reason {
            StopReason::Damaged(_) => {
                self.engine_checks.given_up(host, &self.hosts[host as usize].disk, &mut self.found);
                self.give_up_store(host);
            }
            StopReason::Unreadable { .. } => {
                self.checks.unreadable(host, &mut self.found);
                self.host_mut(host).version = <S::Application as Application>::Record::NEWEST;
            }
            StopReason::StoreFailed(_) => {}
        }
        self.host_mut(host).start_cause = self.trace.current();
        let life = self.host(host).life;
        self.queue.schedule(self.now + OPERATOR_DELAY, Happening::Boots { host, life });
    }
}

/// Tells actions apart in the trace hash.
const fn tag_of_action<A: Application>(action: &Action<A>) -> u8 {
    match action {
        Action::Append { .. } => 1,
        Action::Erase { .. } => 2,
        Action::Load { .. } => 3,
        Action::Compute { .. } => 4,
        Action::Send(_) => 5,
        Action::Reply { .. } => 6,
        Action::Refuse { .. } => 7,
        Action::Observe(_) => 8,
        Action::Stop(_) => 9,
        Action::Seek => 10,
        Action::Locate { .. } => 11,
        Action::Forget(_) => 12,
        Action::Keyring(_) => 13,
        Action::Trim { .. } => 14,
        Action::Keep { .. } => 15,
        Action::Discard { .. } => 16,
        Action::Fetch { .. } => 17,
        Action::List { .. } => 18,
    }
}

fn stop_name(reason: &StopReason) -> &'static str {
    match reason {
        StopReason::StoreFailed(_) => "stopped_store_failed",
        StopReason::Damaged(_) => "stopped_damaged",
        StopReason::Unreadable { .. } => "stopped_unreadable",
    }
}
