//! The view: a row for each member that was heard of, and a digest of them all.
//!
//! Rows stand in slots that stay where they are; a sorted directory finds them. Digests are kept up to date row by row,
//! so that comparing two views costs what their difference does.

use super::coordinate::Coordinate;
use super::description::{Description, Edition, mix};
use super::replay::Windows;
use super::standing::Hold;
use super::verdict::{IncarnationNumber, Status, Verdict};
use super::wire::{DEPTH_MAX, Member, RowSummary};
use crate::identity::NodeId;
use crate::time::{Duration, Time};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Where a row stands. Reused once its row is forgotten.
pub(super) type Slot = u32;

/// What is known of one member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) node: NodeId,
    pub(super) verdict: Verdict,
    /// Who stands behind the verdict.
    pub(super) accuser: NodeId,
    /// `None` while only its id was heard of: it cannot be reached then.
    pub(super) description: Option<Arc<Description>>,
    /// Which one that is. Kept beside it since exchanges go through many rows and look at nothing else of it.
    edition: Edition,
    /// When its status changed last.
    pub(super) since: Time,
    /// What keeps it from counting as alive.
    pub(super) hold: Hold,
    pub(super) windows: Windows,
    pub(super) round_trip: Option<Duration>,
    pub(super) coordinate: Option<Coordinate>,
    /// Direct probes that went unanswered in a row. Link liveness, not node liveness: others may reach it.
    pub(super) unanswered: u8,
    /// When it last spoke while it was held dead, and an exchange was begun for that.
    pub(super) reunited_at: Option<Time>,
}

impl Row {
    fn new(node: NodeId, verdict: Verdict, accuser: NodeId, now: Time) -> Self {
        Self {
            node,
            verdict,
            accuser,
            description: None,
            edition: Edition::default(),
            since: now,
            hold: Hold::default(),
            windows: Windows::default(),
            round_trip: None,
            coordinate: None,
            unanswered: 0,
            reunited_at: None,
        }
    }

    /// Which description is held, as far as two views must agree on it; zeros for none.
    pub(super) fn edition(&self) -> Edition {
        self.edition
    }

    /// Whether a summary claims more than a member can have got to since.
    pub(super) fn is_led_astray_by(&self, other: &RowSummary) -> bool {
        let version = IncarnationNumber(self.edition().version.max(self.verdict.incarnation.0));
        self.verdict.incarnation.is_leap(other.verdict.incarnation)
            || version.is_leap(IncarnationNumber(other.edition.version))
    }

    /// Whether it is one of the mesh and can be spoken to.
    pub(super) fn is_reachable(&self) -> bool {
        self.verdict.status.is_member() && self.description.is_some()
    }

    /// Its word that it is alive, for others. Nobody passes on that of the dead.
    pub(super) fn member(&self) -> Option<Member> {
        let description = self.description.clone().filter(|_| self.verdict.status.is_member())?;
        Some(Member { node: self.node, incarnation: self.verdict.incarnation, description })
    }

    /// Stands for what others must agree on.
    fn digest(&self) -> u64 {
        let id = self.node.as_bytes();
        let halves = [0, 8].map(|at| id[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        let status = self.verdict.status as u64;
        let Edition { version, life } = self.edition();
        [halves[0], halves[1], self.verdict.incarnation.0, status, version, life].into_iter().fold(1, mix)
    }
}

/// Every row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Table {
    rows: Vec<Option<Row>>,
    /// Sorted by id.
    directory: Vec<(NodeId, Slot)>,
    /// What rows are called, as far as a hash tells: finds two of one name.
    names: BTreeSet<(u64, Slot)>,
    free: Vec<Slot>,
    /// By the leading bits of the id.
    sums: Vec<u64>,
    members: u32,
}

impl Table {
    pub(super) fn new() -> Self {
        let sums = vec![0; 1 << DEPTH_MAX];
        Self { rows: Vec::new(), directory: Vec::new(), names: BTreeSet::new(), free: Vec::new(), sums, members: 0 }
    }

    /// Rows, the dead included.
    pub(super) fn len(&self) -> u32 {
        self.directory.len() as u32
    }

    /// Members that are alive or suspected.
    pub(super) fn members(&self) -> u32 {
        self.members
    }

    /// Slots, the empty ones included: what a random draw is bounded by.
    pub(super) fn slots(&self) -> u32 {
        self.rows.len() as u32
    }

    /// Finds a row. O(log n).
    pub(super) fn find(&self, node: NodeId) -> Option<Slot> {
        let at = self.directory.binary_search_by_key(&node, |(id, _)| *id).ok()?;
        Some(self.directory[at].1)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Row> {
        self.rows.get(slot as usize)?.as_ref()
    }

    /// The row of a node. O(log n).
    pub(super) fn row(&self, node: NodeId) -> Option<&Row> {
        self.get(self.find(node)?)
    }

    /// The row in a slot that is known to be taken.
    pub(super) fn at(&self, slot: Slot) -> &Row {
        match self.get(slot) {
            Some(row) => row,
            None => panic!("slot {slot} of the view is empty"),
        }
    }

    /// Changes what others need not agree on.
    pub(super) fn local(&mut self, slot: Slot) -> &mut Row {
        match self.rows.get_mut(slot as usize) {
            Some(Some(row)) => row,
            _ => panic!("slot {slot} of the view is empty"),
        }
    }

    /// Adds a row. O(n) moves of directory entries.
    pub(super) fn insert(&mut self, node: NodeId, verdict: Verdict, accuser: NodeId, now: Time) -> Slot {
        let row = Some(Row::new(node, verdict, accuser, now));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.rows[slot as usize] = row;
                slot
            }
            None => {
                self.rows.push(row);
                (self.rows.len() - 1) as Slot
            }
        };
        let place = self.directory.partition_point(|(id, _)| *id < node);
        self.directory.insert(place, (node, slot));
        self.account(slot, true);
        slot
    }

    /// Changes what others must agree on.
    pub(super) fn judge(&mut self, slot: Slot, verdict: Verdict, accuser: NodeId, now: Time) {
        self.account(slot, false);
        let row = self.local(slot);
        if row.verdict.status != verdict.status {
            row.since = now;
        }
        row.verdict = verdict;
        row.accuser = accuser;
        self.account(slot, true);
    }

    /// Takes a description over.
    pub(super) fn describe(&mut self, slot: Slot, description: Arc<Description>) {
        self.account(slot, false);
        self.forget_name(slot);
        self.names.insert((hash_of(&description.name), slot));
        let row = self.local(slot);
        row.edition = description.edition();
        row.description = Some(description);
        self.account(slot, true);
    }

    /// Forgets a row.
    pub(super) fn remove(&mut self, slot: Slot) {
        self.account(slot, false);
        self.forget_name(slot);
        let node = self.at(slot).node;
        self.directory.retain(|(id, _)| *id != node);
        self.rows[slot as usize] = None;
        self.free.push(slot);
    }

    /// Another member of that name. O(log n), unless many have it.
    pub(super) fn namesake(&self, slot: Slot, name: &str) -> Option<NodeId> {
        let hash = hash_of(name);
        let same_hash = self.names.range((hash, Slot::MIN)..=(hash, Slot::MAX)).map(|(_, other)| *other);
        let others = same_hash.filter(|other| *other != slot).map(|other| self.at(other));
        let is_called_so = |row: &&Row| {
            row.verdict.status.is_member() && row.description.as_ref().is_some_and(|held| &*held.name == name)
        };
        others.filter(is_called_so).map(|row| row.node).min()
    }

    fn forget_name(&mut self, slot: Slot) {
        if let Some(name) = self.at(slot).description.as_ref().map(|held| hash_of(&held.name)) {
            self.names.remove(&(name, slot));
        }
    }

    fn account(&mut self, slot: Slot, add: bool) {
        let row = self.at(slot);
        let (digest, bucket, is_member) =
            (row.digest(), row.node.as_bytes()[0] as usize, row.verdict.status.is_member());
        if is_member {
            // The dead and the gone are forgotten by everyone in their own time, so nobody need agree on them.
            let sum = &mut self.sums[bucket];
            *sum = if add { sum.wrapping_add(digest) } else { sum.wrapping_sub(digest) };
        }
        match (is_member, add) {
            (true, true) => self.members += 1,
            (true, false) => self.members -= 1,
            _ => {}
        }
    }

    /// Every row with its slot, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Row)> {
        self.directory.iter().map(|(_, slot)| (*slot, self.at(*slot)))
    }

    /// How many digests suit a view of this size: about eight rows each.
    pub(super) fn depth(&self) -> u8 {
        let wanted = (self.len() / 8).max(1).ilog2() as u8;
        wanted.min(DEPTH_MAX)
    }

    /// Two to the power of `depth` digests.
    pub(super) fn digests(&self, depth: u8) -> Vec<u64> {
        let per_digest = 1 << (DEPTH_MAX - depth.min(DEPTH_MAX));
        self.sums.chunks(per_digest).map(|sums| sums.iter().fold(0, |all: u64, sum| all.wrapping_add(*sum))).collect()
    }

    /// The rows that the digests numbered `buckets` stand for; `buckets` is sorted.
    pub(super) fn of_digests<'a>(&'a self, depth: u8, buckets: &'a [u8]) -> impl Iterator<Item = &'a Row> {
        buckets.iter().flat_map(move |bucket| {
            let shift = DEPTH_MAX - depth.min(DEPTH_MAX);
            let (first, last) = ((u32::from(*bucket)) << shift, (u32::from(*bucket) + 1) << shift);
            let start = self.directory.partition_point(|(id, _)| u32::from(id.as_bytes()[0]) < first);
            let within = move |(id, _): &&(NodeId, Slot)| u32::from(id.as_bytes()[0]) < last;
            self.directory[start..].iter().take_while(within).map(|(_, slot)| self.at(*slot))
        })
    }

    /// Rows that are dead or gone.
    pub(super) fn gone(&self) -> u32 {
        self.len() - self.members
    }

    /// The row that has been dead or gone for longest, `own` excepted.
    pub(super) fn oldest_gone(&self, own: Slot) -> Option<Slot> {
        let gone = self.iter().filter(|(slot, row)| *slot != own && row.verdict.status >= Status::Dead);
        gone.min_by_key(|(_, row)| (row.since, row.node)).map(|(slot, _)| slot)
    }
}

fn hash_of(name: &str) -> u64 {
    name.bytes().fold(name.len() as u64, |hash, byte| mix(hash, byte.into()))
}
