//! What replicas write again before the journal is trimmed: one replica after the other, a bounded part in each event.

use super::machine::{Action, Host, Sees};
use crate::machine::{Ctx, Sink};
use crate::record::Sequence;
use crate::replication::{self, Service};
use crate::shards::ShardId;

/// Parts of replicas, each bounded, that are written in one event.
const PARTS_MAX: usize = 8;

/// How far the checkpoint under way has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    cut: Sequence,
    /// The last replica that is done.
    done: Option<ShardId>,
    is_over: bool,
}

impl<S: Service> Host<S> {
    /// Whether everything that is needed of the records before `cut` was written again.
    pub fn has_checkpoint(&self, cut: Sequence) -> bool {
        self.checkpoint.cut == cut && self.checkpoint.is_over
    }

    /// Writes the next part of it. A replica that begins meanwhile has nothing from before the cut.
    pub(super) fn checkpoint(&mut self, ctx: &mut Ctx<'_>, sees: Sees<'_>, cut: Sequence, out: &mut impl Sink<Action>) {
        if self.checkpoint.cut != cut {
            self.checkpoint = Checkpoint { cut, ..Checkpoint::default() };
        }
        for _ in 0..PARTS_MAX {
            let Some(shard) = self.slots.behind(self.checkpoint.done.as_ref()) else {
                self.checkpoint.is_over = true;
                return;
            };
            self.tell(ctx, sees, shard, replication::Event::Checkpoint(cut), out);
            if self.slots.replica(&shard).is_some_and(|replica| replica.has_checkpoint(cut)) {
                self.checkpoint.done = Some(shard);
            }
        }
    }
}
