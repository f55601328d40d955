//! What the machines write again before the journal is trimmed, in the order in which they write anyway: the control
//! group, the fence, shards, membership.
//!
//! The fence gives up nothing (rule A1), so all that it remembers is written again, some of it in each step. What it comes
//! to remember meanwhile stands behind the cut by itself.

use super::node::MeshNode;
use super::wire::{OLDEST_VERSION, Record};
use crate::control::node as control;
use crate::lease::acceptor::Accepted;
use crate::machine::{Ctx, Sink};
use crate::membership;
use crate::node::Output;
use crate::record::Sequence;
use crate::shards::host as shards;

/// Records of the fence written again in one step.
const FENCE_RECORDS_MAX: usize = 64;

/// How far the checkpoint under way has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    cut: Sequence,
    /// The last record of the fence written again.
    fence: Option<Accepted>,
    is_fence_done: bool,
}

impl MeshNode {
    /// Writes again what is needed of the records before `cut`: the next part of it.
    pub(super) fn checkpoint(&mut self, ctx: &mut Ctx<'_>, cut: Sequence, out: &mut impl Sink<Output<Self>>) {
        let is_new = self.checkpoint.cut != cut;
        if is_new {
            self.checkpoint = Checkpoint { cut, ..Checkpoint::default() };
        }
        self.tell_control(ctx, control::Event::Checkpoint(cut), out);
        self.checkpoint_fence(ctx, out);
        self.tell_shards(ctx, shards::Event::Checkpoint(cut), out);
        if is_new {
            self.tell_membership(ctx, membership::Event::Checkpoint, out);
        }
        let is_done = self.checkpoint.is_fence_done && self.shards.has_checkpoint(cut);
        if is_done && self.control.has_checkpoint(cut) {
            out.push(Output::Checkpointed(cut));
        }
    }

    fn checkpoint_fence(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Output<Self>>) {
        if self.checkpoint.is_fence_done {
            return;
        }
        let mut room = FENCE_RECORDS_MAX;
        for accepted in self.fence.remembered(self.checkpoint.fence.clone().as_ref()) {
            if room == 0 {
                return;
            }
            room -= 1;
            self.checkpoint.fence = Some(accepted);
            ctx.next_record = ctx.next_record.next();
            out.push(Output::Write { version: OLDEST_VERSION, record: Record::Fence(accepted) });
        }
        self.checkpoint.is_fence_done = true;
    }
}
