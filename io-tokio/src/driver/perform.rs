//! The driver's other half: does what the node asks. One arm for each action, and no look at what a message says.

use super::{Driver, Runnable, is_late, told};
use crate::clock;
use crate::handle::{Noticed, RequestError, Stopped};
use crate::keys::KeyOrder;
use crate::store::Order;
use crate::transport::Parcel;
use relaymesh_core::codec::EncodeError;
use relaymesh_core::envelope::{KeyChange, seal};
use relaymesh_core::identity::RequestId;
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::{Action, Effect, Observed, Outgoing, StopReason};
use tokio::task::spawn_blocking;

impl<A: Runnable> Driver<A> {
    pub(super) async fn perform(&mut self, effect: Effect<A>) {
        let cause = effect.cause;
        match effect.action {
            Action::Append { write, sequence, frame } => {
                let frame = self.scratch.frame(&frame).to_vec();
                self.order(Order::Write { write, slot: sequence, frame }).await;
            }
            Action::Erase { write, from } => self.order(Order::Erase { write, from }).await,
            Action::Trim { write, from, below } => self.order(Order::Trim { write, from, below }).await,
            Action::Load { ticket, sequence } => self.order(Order::Read { ticket, slot: sequence }).await,
            Action::Compute { id, work } => self.compute(id, work),
            Action::Send(outgoing) => self.send(cause, &outgoing),
            Action::Reply { id, not_after, .. } if is_late(not_after) => {
                self.common.tally.sends_late.one_more();
                self.answer(id, Err(RequestError::Late));
            }
            Action::Reply { id, reply, .. } => self.answer(id, Ok(reply)),
            Action::Refuse { id, refusal } => self.answer(id, Err(refusal.into())),
            Action::Seek => self.seeking.notify_one(),
            Action::Locate { node, endpoint } => {
                let pressures = self.peers.locate(node, endpoint);
                self.due.extend(pressures.into_iter().map(told));
            }
            Action::Forget(node) => {
                let pressures = self.peers.forget(node);
                self.due.extend(pressures.into_iter().map(told));
            }
            Action::Keyring(change) => self.rekey(change),
            Action::Observe(observed) => self.observe(cause, observed),
            Action::Stop(reason) => self.stop(reason),
            Action::Keep { write, object, frame } => {
                let frame = self.scratch.frame(&frame).to_vec();
                self.order(Order::Keep { write, object, frame }).await;
            }
            Action::Discard { write, object } => self.order(Order::Discard { write, object }).await,
            Action::Fetch { ticket, object } => self.order(Order::Fetch { ticket, object }).await,
            Action::List { ticket, after } => self.order(Order::List { ticket, after }).await,
        }
    }

    /// Hands an order to the disk. When so many wait that the node has long refused work, the driver waits too, rather
    /// than hold more than it may.
    async fn order(&mut self, order: Order) {
        // When the store's thread is gone it has said why, or it will be noticed: see `Sources::next`.
        tokio::select! {
            _ = self.orders.send(order) => {}
            Ok(()) = self.sources.stop.changed() => self.ended = Some(Ok(Stopped::Asked)),
        }
    }

    fn compute(&mut self, id: A::WorkId, work: A::Work) {
        let cores = self.cores.clone();
        self.sources.computed.spawn(async move {
            let _core = cores.acquire_owned().await;
            match spawn_blocking(move || A::compute(work)).await {
                Ok(done) => (id, done),
                Err(problem) => std::panic::resume_unwind(problem.into_panic()),
            }
        });
    }

    fn send(&mut self, cause: CauseId, outgoing: &Outgoing<A::Message>) {
        if is_late(outgoing.not_after) {
            self.common.tally.sends_late.one_more();
            return;
        }
        let mut bytes = Vec::new();
        if let Err(problem) = self.seal(cause, outgoing, &mut bytes) {
            self.common.tally.seals_failed.one_more();
            tracing::error!(%problem, "a message could not be sealed; this is a defect of the machine that made it");
            return;
        }
        let next = outgoing.via.unwrap_or(outgoing.to);
        let parcel = Parcel { bytes, not_after: outgoing.not_after };
        let pressure = self.peers.send(next, outgoing.class, parcel, &mut self.sources.tasks);
        self.due.extend(pressure.map(told));
    }

    fn seal(&self, cause: CauseId, outgoing: &Outgoing<A::Message>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let envelope = self.node.address(cause, outgoing);
        seal(&self.common.keys.borrow(), &envelope, &outgoing.message, self.common.packet_bytes, out)
    }

    fn answer(&mut self, id: RequestId, answer: Result<A::Reply, RequestError>) {
        if let Some(client) = self.clients.remove(&id) {
            // A client that has gone does not hear it.
            let _ = client.send(answer);
        }
    }

    fn rekey(&self, change: KeyChange) {
        if self.keys.try_send(KeyOrder::Change(change)).is_err() {
            self.common.tally.key_changes_failed.one_more();
            tracing::error!(?change, "the keyring was not changed: too many changes wait");
        }
    }

    fn observe(&self, cause: CauseId, what: Observed<A::Observation>) {
        if tracing::enabled!(target: "relaymesh::observation", tracing::Level::DEBUG) {
            let mut fields = String::new();
            what.fields(&mut |name, value| fields.push_str(&format!(" {name}={value}")));
            let name = what.descriptor().name;
            tracing::debug!(target: "relaymesh::observation", %cause, "{name}{fields}");
        }
        // Nobody may be listening.
        let _ = self.noticed.send(Noticed { at: clock::wall(), cause, what });
    }

    fn stop(&mut self, reason: StopReason) {
        tracing::error!(%reason, "the node stops");
        self.ended = Some(Ok(Stopped::Node(reason)));
    }
}
