//! What a node does while too much waits for its disk: it refuses what clients ask, and sheds what need not arrive.

use super::application::Application;
use super::contract::{Action, Event, Refusal, Scratch};
use super::engine::Node;
use super::observation::NodeObservation;
use crate::envelope::Class;
use crate::identity::RequestId;
use crate::machine::Ctx;

impl<A: Application> Node<A> {
    pub(super) fn is_overloaded(&self) -> bool {
        let limits = &self.seat.limits;
        self.outbox.gate.len() >= limits.gate_actions
            || self.outbox.unsynced_writes() >= limits.unsynced_writes
            || self.outbox.unsynced_bytes >= limits.unsynced_bytes
    }

    pub(super) fn refuse_overloaded(&self, ctx: &Ctx<'_>, id: RequestId, scratch: &mut Scratch<A>) {
        let (held_actions, unsynced_writes) = (self.outbox.gate.len() as u64, self.outbox.unsynced_writes());
        scratch.observe(ctx.cause, NodeObservation::RequestRefused { held_actions, unsynced_writes });
        scratch.push(ctx.cause, Action::Refuse { id, refusal: Refusal::Overloaded });
    }

    pub(super) fn shed_packet(&self, ctx: &Ctx<'_>, scratch: &mut Scratch<A>) {
        let (held_actions, unsynced_writes) = (self.outbox.gate.len() as u64, self.outbox.unsynced_writes());
        scratch.observe(ctx.cause, NodeObservation::PacketShed { held_actions, unsynced_writes });
    }

    pub(super) fn refuse_if_request(
        &self,
        ctx: &Ctx<'_>,
        event: &Event<A>,
        refusal: Refusal,
        scratch: &mut Scratch<A>,
    ) {
        if let Event::Request { id, .. } = event {
            scratch.push(ctx.cause, Action::Refuse { id: *id, refusal });
        }
    }
}

/// Whether packets of a class are dropped while the disk cannot keep up. What keeps the mesh alive is not.
pub(super) const fn is_shed(class: Class) -> bool {
    matches!(class, Class::Priority | Class::Bulk)
}
