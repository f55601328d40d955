//! Taking over: from the record that names this process as owner to the start of its epoch (rules U1 to U9).

use super::block::Block;
use super::flow::Peer;
use super::log::Fit;
use super::machine::Action;
use super::observation::ReplicationObservation;
use super::position::{LogSequence, Position};
use super::service::Service;
use super::state::{Phase, Replica, Tenure};
use super::step::Step;
use super::wire::{Message, Record};
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::shards::{ReplicaId, ShardRecord};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;

impl<S: Service> Replica<S> {
    /// The control group's newest word on the shard.
    pub(super) fn learn(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, record: Box<ShardRecord>) {
        if record.is_void {
            // What was known before is what a recovery goes by (rule Y1).
            self.stopped = None;
            return self.step_down(step);
        }
        if self.record.as_ref().is_some_and(|known| !record.is_newer_than(known)) {
            return;
        }
        step.write(Record::Known(record.clone()));
        let (epoch, is_own) = (record.epoch, record.is_owned_by(self.process));
        self.intended.take_if(|(_, version, _)| *version < record.version);
        self.record = Some(*record);
        self.stopped.take_if(|stopped| stopped.epoch != epoch || !is_own);
        match self.tenure.as_ref().map(|tenure| tenure.epoch) {
            Some(own) if is_own && own == epoch => self.set_changed(step),
            _ if is_own && epoch > self.promised => self.take_over(step, epoch),
            Some(_) => self.step_down(step),
            None => {}
        }
    }

    /// This process is the owner under a new epoch. A tenure that it had is over (rule U9).
    fn take_over(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, epoch: Epoch) {
        self.step_down(step);
        self.promise_own(step, epoch);
        step.observe(ReplicationObservation::TakingOver { cluster: epoch.cluster.0, epoch: epoch.lease });
        self.tenure = Some(Tenure {
            epoch,
            phase: Phase::Promising,
            began: step.now,
            phase_ends: step.now.saturating_add(self.settings.takeover_wait),
            peers: BTreeMap::new(),
            intention: None,
            impatient_at: None,
            open: Default::default(),
            pending: VecDeque::new(),
            blocks: VecDeque::new(),
            drained_by: None,
            stops_at: None,
            successor: None,
            puts: BTreeMap::new(),
            dropping: BTreeSet::new(),
            lap: None,
        });
        self.meet_peers(step);
        self.ask_for_promises(step);
    }

    fn ask_for_promises(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let Some(epoch) = self.tenure.as_ref().map(|tenure| tenure.epoch) else { return };
        for member in self.required() {
            step.send(member, Message::Promise { epoch });
        }
        let again_at = Some(step.now.saturating_add(self.settings.promise_retry()));
        if let Some(tenure) = &mut self.tenure {
            tenure.peers.values_mut().for_each(|peer| peer.retry_at = again_at);
        }
    }

    /// Those that have not promised are asked once more.
    pub(super) fn ask_again(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let again_at = step.now.saturating_add(self.settings.promise_retry());
        let members: alloc::vec::Vec<ReplicaId> = self.required().collect();
        let Some(tenure) = self.tenure.as_mut().filter(|tenure| tenure.phase == Phase::Promising) else { return };
        let epoch = tenure.epoch;
        for (id, peer) in &mut tenure.peers {
            let is_due = peer.retry_at.take_if(|at| *at <= step.now).is_some();
            if is_due && peer.promised.is_none() && members.contains(id) {
                peer.retry_at = Some(again_at);
                step.send(*id, Message::Promise { epoch });
            }
        }
    }

    /// All of the set have promised, this replica durably, too.
    pub(super) fn adopt_if_all_promised(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let Some(tenure) = &self.tenure else { return };
        let has_promised = |member: &ReplicaId| tenure.peers.get(member).is_some_and(|peer| peer.promised.is_some());
        if tenure.phase == Phase::Promising
            && self.is_promise_durable()
            && self.required().all(|member| has_promised(&member))
        {
            self.adopt(step);
        }
    }

    fn is_promise_durable(&self) -> bool {
        self.tenure.as_ref().is_some_and(|tenure| tenure.epoch <= self.durable_promise)
    }

    /// Adopts the highest log that was told of, the own one first (rule U3).
    fn adopt(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let own = self.log.last();
        let wait = self.settings.takeover_wait;
        self.blobs.forget_gate();
        let members: alloc::vec::Vec<ReplicaId> = self.required().collect();
        let Some(tenure) = &mut self.tenure else { return };
        let told = members.iter().filter_map(|member| Some((*member, tenure.peers.get(member)?.promised?)));
        let highest = told.max_by_key(|(_, (end, _))| *end).filter(|(_, (end, _))| *end > own);
        let Some((from, (upto, mark))) = highest else { return self.start(step) };
        tenure.phase = Phase::Fetching { from, upto };
        tenure.phase_ends = step.now.saturating_add(wait);
        let (epoch, after) = (tenure.epoch, mark.max(self.mark).min(own.sequence));
        step.send(from, Message::Fetch { epoch, after });
    }

    /// An owner wants what is here behind an entry.
    pub(super) fn fetch(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        epoch: Epoch,
        after: LogSequence,
    ) {
        if !self.accepts(step, from, epoch) {
            return;
        }
        let block = after.0.checked_add(1).and_then(|next| self.log.block_of(LogSequence(next))).cloned();
        let before = match &block {
            Some(block) => self.log.before(block.first().sequence),
            None => self.log.last(),
        };
        step.send(from, Message::Fetched { epoch, before, block });
    }

    /// Entries of the log that is being adopted. They keep their names (rule L1).
    pub(super) fn fetched(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        from: ReplicaId,
        before: Position,
        block: Option<Arc<Block>>,
    ) {
        let phase = self.tenure.as_ref().map(|tenure| tenure.phase);
        let Some(Phase::Fetching { from: source, upto }) = phase else { return };
        let is_sound = |block: &Arc<Block>| {
            block.is_sound()
                && block.first().sequence.before() == before.sequence
                && block.first().epoch >= before.epoch
                && block.last() <= upto
        };
        if source != from {
            return;
        }
        let Some(block) = block else {
            // Both are members, and what a log begins with is acknowledged: never, unless a recovery put them together.
            // It goes on without this one's log when the time is over.
            let reason = "has nothing of the log that is adopted";
            return step.observe(ReplicationObservation::Rejected { from: from.node, reason });
        };
        if !is_sound(&block) || !self.agrees_before(before, Some(&block)) {
            return;
        }
        let Some(epoch) = self.tenure.as_ref().map(|tenure| tenure.epoch) else { return };
        self.prolong_fetching(step.now);
        let after = match self.take_block(step, (from, epoch), block) {
            Ok(after) => after,
            Err(reason) => return step.observe(ReplicationObservation::Rejected { from: from.node, reason }),
        };
        if self.log.has(upto) {
            return self.start(step);
        }
        if !self.blobs.has_gate(epoch) {
            step.send(from, Message::Fetch { epoch, after });
        }
    }

    /// What is adopted comes on: it is waited for, but not for ever (rule U2a).
    pub(super) fn prolong_fetching(&mut self, now: Time) {
        let (wait, max) = (self.settings.takeover_wait, self.settings.adoption_max);
        let Some(tenure) = &mut self.tenure else { return };
        if let Phase::Fetching { .. } = tenure.phase {
            let last = tenure.began.saturating_add(max);
            tenure.phase_ends = tenure.phase_ends.max(now.saturating_add(wait).min(last));
        }
    }

    /// Puts a block into the log and the journal, as far as it is not there, and waits for no blob (rule B2). Up to where it
    /// is there now.
    ///
    /// # Errors
    /// It would cut off what is acknowledged (rule L4). Nothing changed.
    pub(super) fn take_block(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        sender: (ReplicaId, Epoch),
        block: Arc<Block>,
    ) -> Result<LogSequence, &'static str> {
        let Fit::From(at) = self.log.fit(&block) else { return Ok(block.last().sequence) };
        if at <= self.mark {
            return Err("differs in what is acknowledged");
        }
        let upto = match self.gated_at(step, sender, &block, at) {
            None => block.last().sequence,
            Some(gated) if gated == at => return Ok(at.before()),
            Some(gated) => gated.before(),
        };
        let block = match (at == block.first().sequence, upto == block.last().sequence) {
            (true, true) => block,
            (_, _) => Arc::new(block.up_to(upto).from(at)),
        };
        self.write_block(step, block);
        Ok(upto)
    }

    /// The log ends as it is adopted: the epoch begins behind it.
    fn start(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let sequence = self.log.last().sequence.next();
        let Some(tenure) = &mut self.tenure else { return };
        tenure.phase = Phase::Starting { start: sequence };
        let at = Position { epoch: tenure.epoch, sequence };
        for peer in tenure.peers.values_mut() {
            // Where their logs may agree at most; without an answer, behind what both have acknowledged for all we know.
            let agrees = peer.promised.map_or(self.mark, |(end, _)| self.log.at_most(end).sequence);
            peer.restart_at(agrees.next().max(self.log.base().sequence.next()));
            peer.retry_at = None;
        }
        tenure.blocks.push_back(sequence);
        self.write_block(step, Arc::new(Block::start(at)));
        self.grow_impatient(step);
        self.feed_all(step);
        self.consider_change(step);
    }

    /// Meets those that came into the set, were placed, or are proposed, and forgets those that went.
    pub(super) fn meet_peers(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let own = self.id();
        let mut wanted: alloc::collections::BTreeSet<ReplicaId> = self.required().collect();
        wanted.extend(self.placed.iter().filter(|replica| **replica != own));
        // The last entry at the latest, or a new one would never be asked what it has.
        let next = self.mark.next().min(self.log.last().sequence).max(self.log.base().sequence.next());
        let Some(tenure) = &mut self.tenure else { return };
        tenure.peers.retain(|peer, _| wanted.contains(peer));
        for peer in wanted {
            tenure.peers.entry(peer).or_insert_with(|| Peer { next, ..Peer::default() });
        }
        self.feed_all(step);
    }

    pub(super) fn wake_takeover(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let is_durable = self.is_promise_durable();
        let Some(tenure) = self.tenure.as_mut().filter(|tenure| tenure.phase_ends <= step.now) else { return };
        match tenure.phase {
            // Without its own promise it goes on with nobody's (rule P2).
            Phase::Promising if is_durable => self.adopt(step),
            Phase::Promising => tenure.phase_ends = step.now.saturating_add(self.settings.takeover_wait),
            Phase::Fetching { from, .. } => {
                // It does not answer any more: the highest of the others.
                if let Some(peer) = tenure.peers.get_mut(&from) {
                    peer.promised = None;
                }
                self.adopt(step);
            }
            Phase::Starting { .. } | Phase::Serving { .. } => {}
        }
    }
}
