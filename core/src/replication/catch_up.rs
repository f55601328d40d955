//! Catching up: where a follower's log differs, the owner goes back until they agree, and sends from there.

use super::machine::Action;
use super::position::Position;
use super::service::Service;
use super::state::Replica;
use super::step::Step;
use crate::machine::Sink;
use crate::shards::ReplicaId;
use alloc::collections::BTreeSet;

impl<S: Service> Replica<S> {
    /// A follower's log does not have what stands before what it was sent.
    pub(super) fn differs(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        at_most: Position,
    ) {
        let agrees = self.log.at_most(at_most).sequence;
        let base = self.log.base();
        let Some(tenure) = &mut self.tenure else { return };
        let is_ready = tenure.phase.start().is_some();
        let Some(peer) = tenure.peers.get_mut(&from).filter(|_| is_ready) else { return };
        // An old one: what it holds it has said since, or it is being brought a snapshot.
        if at_most.sequence < peer.held || peer.transfer.is_some() {
            return;
        }
        // What it lacks the log has no more (rule Z1). Above the base it is asked again, further down.
        if at_most.sequence <= base.sequence && at_most != base {
            return self.begin_transfer(step, from);
        }
        peer.restart_at(agrees.max(peer.held).next());
        self.feed(step, from);
    }

    /// Who ought to have a copy: whoever is new is sent the log.
    pub(super) fn place(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, replicas: BTreeSet<ReplicaId>) {
        self.placed = replicas;
        self.meet_peers(step);
        self.consider_change(step);
    }
}
