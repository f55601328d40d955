//! Exchanges, as they are on the wire: each step brings what the step before called for (SYNC-1).

use super::{MeshChecks, SYNC_1};
use crate::check::Findings;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::Status;
use relaymesh_core::membership::wire::{DEPTH_MAX, Member, Message as Said, RowSummary};
use relaymesh_core::time::Duration;

/// Clocks and the truth round differently, by less than this.
const SLACK: Duration = Duration::from_millis(5);

/// The exchanges under way.
#[derive(Clone, Debug)]
pub(super) struct Exchanges {
    is_watched: bool,
    /// Opened by whom under which number, with whom and when.
    opened: BTreeMap<(u32, u32), (u32, TrueTime)>,
    /// What a step that has just arrived calls for.
    owed: Option<Owed>,
}

/// Descriptions that a node owes to another, at once.
#[derive(Clone, Debug)]
struct Owed {
    by: u32,
    to: u32,
    exchange: u32,
    at: TrueTime,
    members: BTreeSet<NodeId>,
}

impl Exchanges {
    pub(super) fn new(is_watched: bool) -> Self {
        Self { is_watched, opened: BTreeMap::new(), owed: None }
    }

    /// A process begins or ends.
    pub(super) fn reset(&mut self, host: u32) {
        self.opened.retain(|(by, _), _| *by != host);
        self.owed.take_if(|owed| owed.by == host);
    }

    /// The node does not look at the message that came last.
    pub(super) fn refused(&mut self) {
        self.owed = None;
    }

    fn brings(&mut self, host: u32, to: u32, number: u32, members: &[Member], now: TrueTime) {
        if let Some(owed) = self.owed.as_mut().filter(|owed| (owed.by, owed.to, owed.exchange) == (host, to, number))
            && owed.at == now
        {
            for member in members {
                owed.members.remove(&member.node);
            }
        }
    }
}

impl MeshChecks {
    /// `host` takes a step of an exchange.
    pub(super) fn exchanges_sent(&mut self, host: u32, to: u32, said: &Said, found: &mut Findings) {
        self.look_at_exchanges(found);
        match said {
            Said::SyncDigests { exchange, .. } if self.exchanges.is_watched => {
                self.exchanges.opened.insert((host, *exchange), (to, found.now));
            }
            Said::SyncAnswer { exchange, members, .. } | Said::SyncMembers { exchange, members } => {
                self.exchanges.brings(host, to, *exchange, members, found.now);
            }
            _ => {}
        }
    }

    /// A step has reached `host`. Whether it looks at it, it says at once.
    pub(super) fn exchanges_heard(&mut self, host: u32, from: u32, said: &Said, found: &mut Findings) {
        self.look_at_exchanges(found);
        self.exchanges.owed = None;
        // Who says good-bye answers nobody any more.
        if !self.exchanges.is_watched || self.suspicions.is_leaving(host) || self.truth.has_left(host) {
            return;
        }
        let (exchange, members) = match said {
            Said::SyncRows { exchange, rows, differing, depth } => {
                let is_open = self.was_opened(host, from, *exchange, found.now);
                let lacking = if is_open { self.lacking(host, rows, differing, *depth) } else { BTreeSet::new() };
                (*exchange, lacking)
            }
            Said::SyncAnswer { exchange, wanted, .. } => (*exchange, self.known_of(host, wanted)),
            _ => return,
        };
        if !members.is_empty() {
            self.exercised.sync_1 += 1;
            self.exchanges.owed = Some(Owed { by: host, to: from, exchange, at: found.now, members });
        }
    }

    /// Whether the exchange was opened, and surely has not run out of time: its first answer counts.
    fn was_opened(&mut self, host: u32, from: u32, exchange: u32, now: TrueTime) -> bool {
        let Some((with, at)) = self.exchanges.opened.remove(&(host, exchange)) else { return false };
        let patience = self.truth.at_least(host, self.settings.sync_timeout, self.clock_ppb);
        with == from && now.since(at) + SLACK < patience
    }

    /// Members that `host` knows in what differs, and of which the other has no row.
    fn lacking(&self, host: u32, rows: &[RowSummary], differing: &[u8], depth: u8) -> BTreeSet<NodeId> {
        let theirs: BTreeSet<NodeId> = rows.iter().map(|row| row.node).collect();
        let shift = DEPTH_MAX - depth.min(DEPTH_MAX);
        let differs = |node: &NodeId| differing.contains(&((u16::from(node.as_bytes()[0]) >> shift) as u8));
        let known: Vec<NodeId> = self.views.members(host).map(node_id).collect();
        known.into_iter().filter(|node| differs(node) && !theirs.contains(node)).collect()
    }

    /// Those of `wanted` of whom `host` has a description.
    fn known_of(&self, host: u32, wanted: &[NodeId]) -> BTreeSet<NodeId> {
        let is_known = |node: &&NodeId| {
            let held = self.number(**node).and_then(|subject| self.views.get(host, subject).status);
            held.is_some_and(Status::is_member)
        };
        wanted.iter().filter(is_known).copied().collect()
    }

    /// SYNC-1: what was called for has been brought.
    pub(super) fn look_at_exchanges(&mut self, found: &mut Findings) {
        let Some(owed) = self.exchanges.owed.take_if(|owed| owed.at < found.now) else { return };
        let lacks: Vec<Option<u32>> = owed.members.iter().map(|node| self.number(*node)).collect();
        if !lacks.is_empty() {
            let detail = format!("n{} owed n{} in an exchange what it knows of {lacks:?}", owed.by, owed.to);
            found.fail(SYNC_1, &[owed.by, owed.to], detail);
        }
    }
}
