//! What is written again before the journal is trimmed: one replica after the other, then what this node keeps of others'
//! submissions, a bounded part in each event.

use super::machine::{Action, Host, Sees};
use super::wire::Record;
use crate::machine::{Ctx, Sink};
use crate::record::Sequence;
use crate::replication::once::SubmissionId;
use crate::replication::{self, Service};
use crate::shards::ShardId;

/// Parts of replicas, each bounded, that are written in one event.
const PARTS_MAX: usize = 8;
/// Submissions that are written again in one event, and bytes of their commands, but for the last.
const KEPT_MAX: usize = 64;
const KEPT_BYTES: usize = 128 << 10;

/// How far the checkpoint under way has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    cut: Sequence,
    /// The last replica that is done.
    done: Option<ShardId>,
    /// The last submission that is.
    kept: Option<(ShardId, SubmissionId)>,
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
                return self.checkpoint_parked(ctx, out);
            };
            self.tell(ctx, sees, shard, replication::Event::Checkpoint(cut), out);
            if self.slots.replica(&shard).is_some_and(|replica| replica.has_checkpoint(cut)) {
                self.checkpoint.done = Some(shard);
            }
        }
    }

    /// Writes some of what is parked again. What is parked meanwhile stands behind the cut by itself, and what is forgotten
    /// is said to be so behind what is written here.
    fn checkpoint_parked(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let mut bytes = 0;
        for _ in 0..KEPT_MAX {
            let Some((submission, since)) = self.parked.behind(self.checkpoint.kept) else {
                self.checkpoint.is_over = true;
                return;
            };
            bytes += submission.command.0.len();
            self.checkpoint.kept = Some((submission.shard, submission.id));
            self.write(ctx, Record::Parked { submission: submission.into(), since }, out);
            if bytes > KEPT_BYTES {
                return;
            }
        }
    }
}
