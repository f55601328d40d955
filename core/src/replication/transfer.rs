//! Bringing a snapshot to a follower that needs what the log has no more: a few pieces ahead of what it has (rules Z1, Z3).

use super::machine::Action;
use super::observation::ReplicationObservation;
use super::pace::{Pace, is_spare};
use super::position::Position;
use super::service::Service;
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::state::Replica;
use super::step::Step;
use super::wire::Message;
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::shards::ReplicaId;
use crate::time::{Duration, Time};

/// A snapshot on its way to one follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transfer {
    /// Which.
    pub(super) at: Position,
    /// It has so many of the first pieces, durably.
    held: u32,
    /// The first piece that was not sent.
    next: u32,
    /// A spare replica is sent those before this one, and then rests.
    batch: u32,
    heard: Time,
    pub(super) retry_at: Time,
}

impl Transfer {
    /// Pieces that may be under way.
    fn ahead(&self, pace: &Pace, is_spare: bool, settings: &Settings) -> u32 {
        match pace.is_gentle(is_spare) {
            true if pace.rest_until.is_some() => 0,
            true => self.batch.saturating_sub(self.held),
            false => settings.pieces_ahead.max(1),
        }
    }

    /// Whether a piece may be sent that is not made yet, so many ahead of those it has.
    fn wants(&self, snapshot: &Snapshot, ahead: u32) -> bool {
        self.next as usize == snapshot.pieces.len() && self.next < self.held.saturating_add(ahead)
    }

    /// Sends what was made, as far as the window reaches.
    fn send<A>(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<A>>>,
        snapshot: &Snapshot,
        (ahead, retry): (u32, Duration),
        (to, epoch): (ReplicaId, Epoch),
    ) -> bool {
        let before = self.next;
        while self.next < self.held.saturating_add(ahead) {
            let Some((bytes, is_last)) = snapshot.piece(self.next) else { break };
            let (at, number) = (self.at, self.next);
            step.send(to, Message::Snapshot { epoch, at, number, is_last, bytes });
            self.next += 1;
            self.retry_at = step.now.saturating_add(retry);
        }
        self.next > before
    }
}

impl<S: Service> Replica<S> {
    /// A follower's log agrees at most below what this one begins with.
    pub(super) fn begin_transfer(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, to: ReplicaId) {
        let Some(at) = self.begin_snapshot() else { return };
        let retry_at = step.now.saturating_add(self.settings.retry);
        let next = self.log.base().sequence.next();
        let peer = self.tenure.as_mut().and_then(|tenure| tenure.peers.get_mut(&to));
        let Some(peer) = peer.filter(|peer| peer.transfer.is_none()) else { return };
        peer.restart_at(next);
        peer.retry_at = None;
        peer.pace.brought();
        peer.transfer = Some(Transfer {
            at,
            held: 0,
            next: 0,
            batch: self.settings.pieces_ahead.max(1),
            heard: step.now,
            retry_at,
        });
        self.send_pieces(step);
    }

    /// A follower has so many pieces.
    pub(super) fn snapshot_held(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        at: Position,
        pieces: u32,
    ) {
        let Some(peer) = self.tenure.as_mut().and_then(|tenure| tenure.peers.get_mut(&from)) else { return };
        let Some(transfer) = peer.transfer.as_mut().filter(|transfer| transfer.at == at) else { return };
        let Some(snapshot) = &self.snapshot else { return };
        let made = snapshot.pieces.len() as u32;
        if pieces > made && snapshot.is_whole {
            let reason = "holds pieces that there are not";
            return step.observe(ReplicationObservation::Rejected { from: from.node, reason });
        }
        // It may have more from a snapshot of the same state, given up since: these are made again, and not sent.
        let pieces = pieces.min(made);
        transfer.heard = step.now;
        // Less than before: it has begun anew. Neither is it sent twice what is under way.
        transfer.next = if pieces < transfer.held { pieces } else { transfer.next.max(pieces) };
        transfer.held = pieces;
        transfer.batch = transfer.batch.min(pieces.saturating_add(self.settings.pieces_ahead.max(1)));
        transfer.retry_at = step.now.saturating_add(self.settings.retry);
        if transfer.held >= transfer.batch {
            transfer.batch = transfer.held.saturating_add(self.settings.pieces_ahead.max(1));
            peer.pace.held_pieces(step.now, self.settings.rests);
        }
        self.send_pieces(step);
    }

    /// Sends every follower that is brought a snapshot what it may be sent now.
    fn send_pieces(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let (Some(snapshot), Some(tenure)) = (&self.snapshot, &mut self.tenure) else { return };
        let (epoch, record, intention, settings) =
            (tenure.epoch, self.record.as_ref(), &tenure.intention, &self.settings);
        for (id, peer) in &mut tenure.peers {
            let Some(transfer) = &mut peer.transfer else { continue };
            let is_spare = is_spare(settings.rests, record, (tenure.phase, intention.as_ref()), *id);
            let ahead = transfer.ahead(&peer.pace, is_spare, settings);
            if transfer.send(step, snapshot, (ahead, settings.retry), (*id, epoch)) && peer.pace.is_gentle(is_spare) {
                peer.pace.sent_piece(step.now);
            }
        }
    }

    /// Whether a follower could be sent a piece that is not made yet.
    pub(super) fn is_piece_wanted(&self) -> bool {
        let Some(snapshot) = self.snapshot.as_ref().filter(|snapshot| !snapshot.is_whole) else { return false };
        let Some(tenure) = &self.tenure else { return false };
        tenure.peers.iter().any(|(id, peer)| {
            let (settings, around) = (&self.settings, (tenure.phase, tenure.intention.as_ref()));
            peer.transfer.is_some_and(|transfer| {
                let is_spare = is_spare(settings.rests, self.record.as_ref(), around, *id);
                transfer.wants(snapshot, transfer.ahead(&peer.pace, is_spare, settings))
            })
        })
    }

    /// Makes one piece that is wanted, and sends it.
    pub(super) fn go_on_with_transfers(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        if self.is_piece_wanted() {
            self.make_piece();
            self.send_pieces(step);
        }
    }

    /// What was not answered is sent again; who has not answered for long is asked what its log has, later.
    pub(super) fn wake_transfers(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let next = self.log.base().sequence.next();
        let Some(tenure) = &mut self.tenure else { return };
        for peer in tenure.peers.values_mut() {
            let Some(transfer) = peer.transfer.as_mut().filter(|transfer| transfer.retry_at <= step.now) else {
                continue;
            };
            transfer.next = transfer.held;
            peer.pace.lost();
            transfer.retry_at = step.now.saturating_add(self.settings.retry);
            if transfer.heard.saturating_add(self.settings.snapshot_wait) <= step.now {
                peer.transfer = None;
                peer.restart_at(next);
            }
        }
        self.send_pieces(step);
        self.feed_all(step);
    }

    /// The log begins later than before: peers go on from there, and say so if they cannot.
    pub(super) fn lift_peers(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let base = self.log.base();
        assert!(base.sequence <= self.mark, "the log begins with what is acknowledged");
        let Some(tenure) = &mut self.tenure else { return };
        for peer in tenure.peers.values_mut().filter(|peer| peer.next <= base.sequence) {
            peer.restart_at(base.sequence.next());
        }
        self.feed_all(step);
    }
}
