//! What an owner sends waits for blobs: entries that bring them (rule B2), and the last piece of a snapshot (rule B10).

use super::local::Gate;
use super::{AHEAD, RECEIVING_MAX};
use crate::blob::BlobAddress;
use crate::epoch::Epoch;
use crate::machine::Sink;
use crate::replication::block::Block;
use crate::replication::machine::Action;
use crate::replication::position::LogSequence;
use crate::replication::service::Service;
use crate::replication::state::{Phase, Replica};
use crate::replication::step::Step;
use crate::replication::wire::Message;
use crate::shards::ReplicaId;
use crate::time::Time;
use alloc::vec::Vec;

/// Blobs of a snapshot that one event looks at.
const LOOKED_AT: usize = 4_096;

impl<S: Service> Replica<S> {
    /// The first entry of a block, from `first` on, that may not be written yet. What it waits for is got from whoever sent it.
    pub(in crate::replication) fn gated_at(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        (from, epoch): (ReplicaId, Epoch),
        block: &Block,
        first: LogSequence,
    ) -> Option<LogSequence> {
        let is_lacking = |(at, address): &(LogSequence, BlobAddress)| !self.blobs.may_bring(address, *at);
        let lacking: Vec<_> = block.brought_from(first).filter(is_lacking).take(AHEAD).collect();
        self.blobs.gate = lacking.first().map(|(at, address)| Gate { address: *address, at: *at, from, epoch });
        for (_, address) in &lacking {
            self.begin_receiving(step, *address, from, RECEIVING_MAX);
        }
        // What the disk had may be there by now, but the entry waits for the next time that it is sent.
        lacking.first().map(|(at, _)| *at)
    }

    /// A blob is here, or done without: the entries behind it may come.
    pub(super) fn passes_gate(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>, address: BlobAddress) {
        let may_pass = |gate: &Gate| gate.address == address;
        if let Some(gate) = self.blobs.gate.filter(may_pass)
            && self.blobs.may_bring(&address, gate.at)
        {
            self.blobs.gate = None;
            let (epoch, last) = (gate.epoch, self.log.last());
            let phase = self.tenure.as_ref().map(|tenure| (tenure.epoch, tenure.phase));
            match phase {
                Some((own, Phase::Fetching { from, .. })) if own == epoch && from == gate.from => {
                    // Not behind the end of the log: what stands there from that entry on may be of another history.
                    step.send(from, Message::Fetch { epoch, after: gate.at.before() });
                }
                Some(_) => {}
                None if self.promised == epoch => step.send(gate.from, Message::Differs { epoch, at_most: last }),
                None => {}
            }
        }
        self.come_on(step.now);
        self.get_blobs_of_snapshot(step);
    }

    /// Something of a blob has come: who takes over and gets what it adopts waits on, and a snapshot that waits for blobs does
    /// not stand still.
    pub(super) fn come_on(&mut self, now: Time) {
        if self.blobs.gate.is_some() {
            self.prolong_fetching(now);
        }
        if let Some(incoming) = self.incoming.as_mut().filter(|it| it.waits_for_blobs) {
            incoming.heard = now;
        }
    }

    /// Whether every blob of the snapshot that is coming in is here, or done without. What is not is got from the owner.
    pub(in crate::replication) fn get_blobs_of_snapshot(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
    ) -> bool {
        let Some(incoming) = self.incoming.as_mut().filter(|it| it.waits_for_blobs) else { return true };
        let (at, from) = (incoming.at.sequence, incoming.from);
        let (mut seen, mut lacking) = (incoming.has_blobs_upto, Vec::new());
        let mut is_all = true;
        for (looked_at, address) in incoming.reader.blobs.behind(seen).enumerate() {
            if looked_at >= LOOKED_AT || lacking.len() >= AHEAD {
                is_all = false;
                break;
            }
            match self.blobs.may_bring(&address, at) {
                true if lacking.is_empty() => seen = Some(address),
                true => {}
                false => lacking.push(address),
            }
        }
        incoming.has_blobs_upto = seen;
        for address in &lacking {
            if !self.blobs.receiving.contains_key(address) {
                self.begin_receiving(step, *address, from, RECEIVING_MAX);
            }
        }
        is_all && lacking.is_empty()
    }
}
