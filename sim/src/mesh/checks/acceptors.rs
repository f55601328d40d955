//! What nodes accept under which epoch: LEASE-3. No clock excuses anything here, nor does a restart.

use super::{LEASE_3, MeshChecks};
use crate::check::Findings;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::control::state::Scope;
use relaymesh_core::epoch::Epoch;
use relaymesh_core::mesh::fence::Reply;

/// What each node has accepted.
#[derive(Debug)]
pub(super) struct Acceptors {
    /// The newest epoch for each scope.
    accepted: Vec<BTreeMap<Scope, Epoch>>,
    /// How many stores each node has lost.
    stores: Vec<u32>,
    /// Which store of the node each client asked.
    asked: BTreeMap<u32, u32>,
}

impl Acceptors {
    pub(super) fn new(nodes: u32) -> Self {
        let nodes = nodes as usize;
        Self { accepted: vec![BTreeMap::new(); nodes], stores: vec![0; nodes], asked: BTreeMap::new() }
    }

    pub(super) fn store_lost(&mut self, host: u32) {
        self.accepted[host as usize].clear();
        self.stores[host as usize] += 1;
    }

    pub(super) fn asked(&mut self, client: u32, host: u32) {
        self.asked.insert(client, self.stores[host as usize]);
    }
}

impl MeshChecks {
    /// A node was asked whether a write counts.
    pub(super) fn accept_answered(
        &mut self,
        (client, host): (u32, u32),
        (scope, epoch): (Scope, Epoch),
        reply: &Reply,
        found: &mut Findings,
    ) {
        let acceptors = &mut self.control.acceptors;
        if acceptors.asked.get(&client) != Some(&acceptors.stores[host as usize]) {
            // The answer may come from a store that is gone.
            return;
        }
        match reply {
            Reply::Accepted => {
                let newest = acceptors.accepted[host as usize].entry(scope).or_insert(epoch);
                self.exercised.lease_3 += u64::from(*newest != epoch);
                if *newest > epoch {
                    let detail = format!("n{host} accepts a write for {scope} under {epoch}, after one under {newest}");
                    found.fail(LEASE_3, &[host], detail);
                }
                *newest = epoch.max(*newest);
            }
            Reply::Stale(conflict) => {
                self.exercised.lease_3 += 1;
                if conflict.actual != epoch || conflict.scope != scope || conflict.expected <= epoch {
                    let detail = format!("n{host} refuses a write for {scope} under {epoch} with {conflict:?}");
                    found.fail(LEASE_3, &[host], detail);
                }
            }
            _ => {}
        }
    }
}
