//! What is under way to one follower: at most a window, sent again when no answer comes.

use super::machine::Action;
use super::pace::{Pace, SPARE_BYTES, is_spare};
use super::position::{LogSequence, Position};
use super::service::Service;
use super::state::{Phase, Replica};
use super::step::Step;
use super::transfer::Transfer;
use super::wire::Message;
use crate::machine::Sink;
use crate::shards::ReplicaId;
use crate::time::Time;
use alloc::collections::VecDeque;

/// What an owner knows of another replica, under its epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    /// What it said when it promised: where its log ends, and what it knows to be acknowledged.
    pub(super) promised: Option<(Position, LogSequence)>,
    /// It holds everything up to there durably.
    pub(super) held: LogSequence,
    /// The first entry that was not sent.
    pub(super) next: LogSequence,
    /// It has said that it holds something: what follows is sent without waiting.
    pub(super) is_streaming: bool,
    /// What was sent and is not held.
    pub(super) under_way: VecDeque<Sent>,
    /// Their bytes.
    pub(super) bytes: u64,
    pub(super) retry_at: Option<Time>,
    /// It is told of the mark then, and again until it answers, though no more than [`TELLS_MAX`] times.
    pub(super) tell_at: Option<Time>,
    /// How often it was, and has not answered.
    pub(super) tells: u8,
    /// The snapshot that it is brought; no entries meanwhile.
    pub(super) transfer: Option<Transfer>,
    pub(super) pace: Pace,
}

/// Times that a peer is told of the mark. One that is gone is not told for ever; when it is back it is told anew.
const TELLS_MAX: u8 = 16;

/// A block under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    first: LogSequence,
    last: LogSequence,
    bytes: u64,
}

impl Peer {
    /// It holds everything up to there.
    pub(super) fn holds(&mut self, upto: LogSequence) {
        self.held = self.held.max(upto);
        self.next = self.next.max(self.held.next());
        self.transfer.take_if(|transfer| transfer.at.sequence <= upto);
        while let Some(sent) = self.under_way.pop_front_if(|sent| sent.last <= upto) {
            self.bytes -= sent.bytes;
        }
    }

    /// It is to be told of the mark, at the latest then.
    pub(super) fn tell(&mut self, at: Time) {
        self.tells = 0;
        self.tell_at = Some(self.tell_at.map_or(at, |before| before.min(at)));
    }

    /// It has said something of what it holds, and so has heard what it was told.
    pub(super) fn has_answered(&mut self) {
        if self.tells > 0 {
            (self.tells, self.tell_at) = (0, None);
        }
    }

    /// Whatever was under way is taken for lost; the next thing sent shows where it stands.
    pub(super) fn restart_at(&mut self, next: LogSequence) {
        self.next = next;
        self.is_streaming = false;
        self.under_way.clear();
        self.bytes = 0;
        self.pace.lost();
    }
}

impl<S: Service> Replica<S> {
    /// Sends every peer what it may be sent now.
    pub(super) fn feed_all(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let Some(tenure) = &self.tenure else { return };
        if tenure.phase.start().is_none() {
            return;
        }
        // A set has few members; those that left are fed no more once they are not placed either.
        let mut next = tenure.peers.keys().next().copied();
        while let Some(peer) = next {
            self.feed(step, peer);
            let tenure = self.tenure.as_ref().expect("feeding ends no tenure");
            next = tenure.peers.range(peer..).map(|(id, _)| *id).find(|id| *id > peer);
        }
    }

    /// Sends a peer the blocks that follow, as far as its window reaches; one at a time until it has answered. One that is spare
    /// gets a few, and the next ones when it holds those and has rested.
    pub(super) fn feed(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, to: ReplicaId) {
        let (log, mark, settings) = (&self.log, self.mark, self.settings);
        let Some(tenure) = &mut self.tenure else { return };
        let (epoch, is_ready) = (tenure.epoch, tenure.phase.start().is_some());
        let is_spare = is_spare(settings.rests, self.record.as_ref(), (tenure.phase, tenure.intention.as_ref()), to);
        let Some(peer) = tenure.peers.get_mut(&to).filter(|peer| is_ready && peer.transfer.is_none()) else { return };
        let is_gentle = peer.pace.is_gentle(is_spare);
        if is_gentle && peer.pace.rest_until.is_some() {
            return;
        }
        let window = match is_gentle {
            true if peer.under_way.is_empty() => SPARE_BYTES,
            true => 0,
            false => settings.window_bytes,
        };
        while peer.next <= log.last().sequence
            && (peer.under_way.is_empty() || (peer.is_streaming && peer.bytes < window))
        {
            let Some(block) = log.blocks_from(peer.next) else { return };
            let (first, last) = (block.first().sequence, block.last().sequence);
            let (before, bytes) = (log.before(first), block.size() as u64 + 1);
            peer.under_way.push_back(Sent { first, last, bytes });
            peer.bytes += bytes;
            (peer.next, peer.tell_at) = (last.next(), None);
            peer.retry_at.get_or_insert(step.now.saturating_add(settings.retry));
            if is_gentle {
                peer.pace.sent(step.now, block.len(), block.size());
            }
            step.send(to, Message::Append { epoch, before, mark, block: Some(block) });
        }
    }

    /// A peer has answered for the first time: what was acknowledged before it did was told only to those who had.
    pub(super) fn tell_late(&mut self, now: Time, to: ReplicaId) {
        let at = now.saturating_add(self.settings.tell);
        let serving = self.tenure.as_mut().filter(|tenure| matches!(tenure.phase, Phase::Serving { .. }));
        let peer = serving.and_then(|tenure| tenure.peers.get_mut(&to));
        // What is under way to it says so itself.
        if let Some(peer) = peer.filter(|peer| peer.under_way.is_empty() && peer.transfer.is_none()) {
            peer.tell(at);
        }
    }

    /// A replica is run by another process than before: that has forgotten what is acknowledged, and may hear of it from nobody
    /// while nothing is written.
    pub(super) fn returned(&mut self, now: Time, replica: ReplicaId) {
        let serving = self.tenure.as_mut().filter(|tenure| matches!(tenure.phase, Phase::Serving { .. }));
        if let Some(peer) = serving.and_then(|tenure| tenure.peers.get_mut(&replica)) {
            peer.tell(now);
        }
    }

    /// What was not answered is sent again; what is acknowledged and was not told is told.
    pub(super) fn wake_peers(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        self.ask_again(step);
        let (log, mark, retry) = (&self.log, self.mark, self.settings.retry);
        let Some(tenure) = &mut self.tenure else { return };
        let epoch = tenure.epoch;
        for (id, peer) in &mut tenure.peers {
            peer.pace.wake(step.now);
            if peer.tell_at.take_if(|at| *at <= step.now).is_some() {
                peer.tells += 1;
                peer.tell_at = (peer.tells < TELLS_MAX).then(|| step.now.saturating_add(retry));
                let before = if log.epoch_at(peer.held).is_some() { log.before(peer.held.next()) } else { log.base() };
                step.send(*id, Message::Append { epoch, before, mark, block: None });
            }
            if peer.retry_at.take_if(|at| *at <= step.now).is_some()
                && let Some(lost) = peer.under_way.front().map(|sent| sent.first)
            {
                peer.restart_at(lost.max(log.base().sequence.next()));
            }
        }
        self.feed_all(step);
    }
}
