//! Appending: an owner's submissions into blocks, and a follower's taking them over.

use super::block::{BLOCK_BYTES_MAX, Block};
use super::machine::{Action, Reply, Ticket};
use super::observation::ReplicationObservation;
use super::position::{LogSequence, Position};
use super::service::Service;
use super::state::{Phase, Replica, Unsynced};
use super::step::Step;
use super::wire::{Message, Record};
use crate::epoch::Epoch;
use crate::machine::{Ctx, Sink};
use crate::shards::ReplicaId;
use alloc::sync::Arc;

/// Bytes of one command, at most: larger ones refer to blobs.
pub const COMMAND_BYTES_MAX: usize = BLOCK_BYTES_MAX / 4;

impl<S: Service> Replica<S> {
    /// Clients' commands, each as [`Event::Submit`](super::Event::Submit) takes one, and in that order. Whoever has several
    /// submits them at once, so that they share a block. The bytes are copied: the caller may use its buffer again, and a
    /// command costs no allocation.
    pub fn submit<'c>(
        &mut self,
        ctx: &mut Ctx<'_>,
        commands: impl IntoIterator<Item = (Ticket, &'c [u8])>,
        out: &mut impl Sink<Action<S::Answer>>,
    ) {
        let step = &mut Step::new(ctx, out);
        self.take_commands(step, commands);
        self.end(step);
        ctx.next_record = step.next_record;
    }

    /// Commands into the next block, if this replica serves.
    pub(super) fn take_commands<'c>(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        commands: impl IntoIterator<Item = (Ticket, &'c [u8])>,
    ) {
        for (ticket, command) in commands {
            if let Err(reply) = self.take_command(step, ticket, command) {
                step.push(Action::Reply { ticket, reply, not_after: None });
            }
        }
        self.flush(step);
    }

    fn take_command(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        ticket: Ticket,
        command: &[u8],
    ) -> Result<(), Reply<S::Answer>> {
        if command.len() > COMMAND_BYTES_MAX {
            return Err(Reply::TooLarge { limit: COMMAND_BYTES_MAX as u64 });
        }
        let (is_serving, last) = (self.is_serving(), self.log.last().sequence);
        let owner = self.record.as_ref().and_then(|record| record.owner).map(|owner| owner.node);
        let has_room = |open: &super::block::Open| open.has_room(command.len());
        match &mut self.tenure {
            Some(tenure) if is_serving && tenure.drained_by.is_none() => {
                if tenure.pending.len() + self.answers.len() >= self.settings.pending_max {
                    return Err(Reply::Busy);
                }
                if !has_room(&tenure.open) {
                    self.close_block(step);
                    return self.take_command(step, ticket, command);
                }
                tenure.open.push(command);
                tenure.pending.push_back((LogSequence(last.0 + tenure.open.len() as u64), ticket));
                Ok(())
            }
            _ => Err(Reply::NotServing { owner }),
        }
    }

    /// Writes the next block once few enough are under way: while the disks and links are busy, it grows.
    pub(super) fn flush(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let pipeline = self.settings.pipeline_blocks;
        let may = |tenure: &super::state::Tenure| !tenure.open.is_empty() && tenure.blocks.len() < pipeline;
        if self.tenure.as_ref().is_some_and(may) {
            self.close_block(step);
        }
    }

    pub(super) fn close_block(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let sequence = self.log.last().sequence.next();
        let Some(tenure) = &mut self.tenure else { return };
        let Some(block) = tenure.open.close(Position { epoch: tenure.epoch, sequence }) else { return };
        tenure.blocks.push_back(block.last().sequence);
        self.write_block(step, Arc::new(block));
        self.grow_impatient(step);
        self.feed_all(step);
    }

    /// Into log and journal, in the place of whatever stood from its first entry on (rule L3).
    pub(super) fn write_block(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, block: Arc<Block>) {
        let (first, last) = (block.first().sequence, block.last().sequence);
        assert!(first > self.mark, "nobody cuts off what is acknowledged");
        self.forget_from(first);
        self.overwrites(first);
        self.blobs.took(&block);
        self.log.put(block.clone());
        let at = step.write(Record::Entries(block));
        self.unsynced.push_back((at, Unsynced::Entries(last)));
    }

    /// What is about to be cut off is not waited for any more. What is not durable rises along the log: where the last of
    /// it stays, all of it does.
    fn forget_from(&mut self, first: LogSequence) {
        self.durable = self.durable.min(first.before());
        let upto_of = |what: &Unsynced| match what {
            Unsynced::Entries(upto) => Some(*upto),
            Unsynced::Promise(_) | Unsynced::Snapshot(_) => None,
        };
        let last = self.unsynced.iter().rev().find_map(|(_, what)| upto_of(what));
        if last >= Some(first) {
            self.unsynced.retain(|(_, what)| upto_of(what) < Some(first));
        }
    }

    /// An owner's entries, or its word on what is acknowledged.
    pub(super) fn append(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        epoch: Epoch,
        (before, mark, block): (Position, LogSequence, Option<Arc<Block>>),
    ) {
        let is_sound = |block: &Arc<Block>| {
            block.is_sound()
                && block.first().sequence.before() == before.sequence
                && (before.epoch..=epoch).contains(&block.first().epoch)
        };
        if before.epoch > epoch || !block.as_ref().is_none_or(is_sound) {
            return step
                .observe(ReplicationObservation::Rejected { from: from.node, reason: "entries that cannot be" });
        }
        if !self.accepts(step, from, epoch) {
            return;
        }
        if !self.agrees_before(before, block.as_deref()) {
            // What follows entries that wait for a blob is sent again, when they are.
            if self.blobs.is_gated(epoch) {
                return;
            }
            let at_most = self.log.at_most(before);
            return step.send(from, Message::Differs { epoch, at_most });
        }
        let had = self.log.last().sequence;
        let upto = match block.map_or(Ok(None), |block| self.take_block(step, (from, epoch), block).map(Some)) {
            Ok(upto) => upto.unwrap_or(before.sequence),
            Err(reason) => return step.observe(ReplicationObservation::Rejected { from: from.node, reason }),
        };
        self.advance(mark.min(upto));
        // Where all that is new waits for a blob, an answer would only have it sent again.
        if !self.blobs.is_gated(epoch) || self.log.last().sequence > had {
            step.send(from, Message::Held { epoch, upto });
        }
    }

    /// Whether the log has what stands before a peer's entries (rule L2). What a snapshot stands for is acknowledged, so
    /// that nobody's log differs there.
    pub(super) fn agrees_before(&self, before: Position, block: Option<&Block>) -> bool {
        let base = self.log.base().sequence;
        let reaches_base = block.is_some_and(|block| block.last().sequence >= base);
        self.log.has(before) || (before.sequence < base && reaches_base)
    }

    /// A read: answered from what is acknowledged (rule V3).
    pub(super) fn read(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, ticket: Ticket, query: &[u8]) {
        let is_full = self.answers.len() >= self.settings.pending_max;
        let is_owner = matches!(self.tenure.as_ref().map(|tenure| tenure.phase), Some(Phase::Serving { .. }));
        if is_owner && self.is_serving() && !is_full {
            let answer = self.above.service.read(query);
            return self.answer(step, ticket, answer);
        }
        let owner = self.record.as_ref().and_then(|record| record.owner).map(|owner| owner.node);
        let reply = if is_full { Reply::Busy } else { Reply::NotServing { owner } };
        step.push(Action::Reply { ticket, reply, not_after: None });
    }
}
