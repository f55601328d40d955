//! What replicas hold in the end: REPL-2. The one place where a checker looks into the nodes: nobody shows a state as a whole.

use super::super::{MeshChecks, REPL_2};
use crate::check::Findings;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::mesh::MeshNode;
use relaymesh_core::replication::blobs::BlobTable;
use relaymesh_core::replication::once::Once;
use relaymesh_core::replication::{LogSequence, Position};
use relaymesh_core::shards::state::ShardState;
use relaymesh_core::shards::{ReplicaId, ShardId, ShardRecord};

/// A replica as it was found.
#[derive(Clone, Debug)]
struct Digest {
    host: u32,
    id: ReplicaId,
    /// The newest record that it knows.
    record: Option<ShardRecord>,
    /// Where its log ends.
    last: Position,
    /// Up to where it knows entries to be acknowledged.
    mark: LogSequence,
    /// What they amount to.
    state: Once<ShardState>,
    /// And which blobs there are.
    blobs: BlobTable,
}

/// All replicas that were found.
#[derive(Debug, Default)]
pub(in super::super) struct Digests {
    found: BTreeMap<ShardId, Vec<Digest>>,
}

impl Digests {
    /// The state that is the newest of a shard's.
    pub(super) fn newest(&self, shard: &ShardId) -> Option<&Once<ShardState>> {
        self.found.get(shard)?.iter().max_by_key(|it| (it.last.epoch, it.mark)).map(|it| &it.state)
    }

    fn add(&mut self, shard: ShardId, digest: Digest) {
        self.found.entry(shard).or_default().push(digest);
    }
}

/// What is wrong with the replicas of a shard, of which there ought to be so many.
fn problem(replicas: &[Digest], copies: usize) -> Option<alloc::string::String> {
    let records = replicas.iter().filter_map(|it| it.record.as_ref());
    let record = records.max_by_key(|record| (record.epoch, record.version))?;
    if record.in_sync.len() < copies {
        return Some(format!("has {} replicas in sync, where {copies} could be: {record:?}", record.in_sync.len()));
    }
    let member = |id: &ReplicaId| replicas.iter().find(|it| it.id == *id);
    if let Some(id) = record.in_sync.iter().find(|id| member(id).is_none()) {
        return Some(format!("has {id} in the set, which is not there: {record:?}"));
    }
    let mut members = record.in_sync.iter().filter_map(member);
    let first = members.next()?;
    let differs = |it: &&Digest| {
        (it.last, it.mark) != (first.last, first.mark) || it.state != first.state || it.blobs != first.blobs
    };
    members.find(differs).map(|it| {
        let known = |it: &Digest| format!("n{} ends at {}, acknowledged up to {}", it.host, it.last, it.mark);
        format!("has members that differ: {}, and {}", known(first), known(it))
    })
}

impl MeshChecks {
    /// The run is over: what is on this node.
    pub(in super::super) fn look_at_replicas(&mut self, host: u32, node: &MeshNode) {
        let shards: Vec<ShardId> = self.shards.all().collect();
        for shard in shards {
            let Some(replica) = node.shards().replica(&shard) else { continue };
            let (record, last, mark) = (replica.record().cloned(), replica.log().last(), replica.mark());
            let (state, blobs) = (replica.service().clone(), replica.blob_table().clone());
            self.shards.blobs.found(host, shard, replica.id(), record.as_ref(), &blobs);
            let digest = Digest { host, id: replica.id(), record, last, mark, state, blobs };
            self.shards.digests.add(shard, digest);
        }
    }

    /// REPL-2: as many replicas as there ought to be are in sync, are there, and hold the same.
    pub(in super::super) fn check_replicas(&mut self, found: &mut Findings) {
        let up = (0..self.truth.members()).filter(|host| self.truth.is_up(*host)).count();
        let copies = usize::from(self.shards.copies).min(up);
        for (shard, replicas) in &self.shards.digests.found {
            self.exercised.repl_2 += 1;
            if let Some(what) = problem(replicas, copies) {
                found.miss(REPL_2, &[], format!("{shard} {what}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::node_id;
    use relaymesh_core::epoch::{ClusterEpoch, Epoch};
    use relaymesh_core::identity::StoreIncarnation;
    use relaymesh_core::replication::Service;
    use relaymesh_core::replication::blobs::References;
    use relaymesh_core::replication::registers::Command;

    fn replica(host: u32) -> ReplicaId {
        ReplicaId { node: node_id(host), store: StoreIncarnation(7) }
    }

    /// A replica whose log has `entries` entries, each of which has written its number.
    fn digest(host: u32, entries: u64, members: &[u32]) -> Digest {
        let set = members.iter().map(|host| replica(*host)).collect();
        let mut state = Once::default();
        for value in 1..=entries {
            let mut blobs = BlobTable::default();
            state.apply(
                Position::default(),
                &Command::Write { register: 0, value }.to_bytes(),
                &mut References::new(&mut blobs, LogSequence(value)),
            );
        }
        let (epoch, sequence) = (Epoch { cluster: ClusterEpoch(1), lease: 1 }, LogSequence(entries));
        let record = ShardRecord::new(ClusterEpoch(1), 5, set, 2).ok();
        let (last, blobs) = (Position { epoch, sequence }, BlobTable::default());
        Digest { host, id: replica(host), record, last, mark: sequence, state, blobs }
    }

    #[test]
    fn repl_2_is_silent_where_members_hold_the_same() {
        let members: Vec<Digest> = [0, 1, 2].map(|host| digest(host, 4, &[0, 1, 2])).into();
        assert_eq!(problem(&members, 3), None);
        // Who is no member may have anything.
        let two: Vec<Digest> = [digest(0, 4, &[0, 1]), digest(1, 4, &[0, 1]), digest(2, 3, &[0, 1])].into();
        assert_eq!(problem(&two, 2), None);
    }

    #[test]
    fn repl_2_finds_members_that_lag_that_differ_that_are_gone_and_that_are_too_few() {
        let finds = |replicas: &[Digest], copies, what: &str| {
            let problem = problem(replicas, copies).unwrap_or_default();
            assert!(problem.contains(what), "{problem}");
        };
        let all = &[0, 1, 2];
        finds(&[digest(0, 4, all), digest(1, 3, all), digest(2, 4, all)], 3, "differ");
        let other = Digest { state: Once::default(), ..digest(1, 4, all) };
        finds(&[digest(0, 4, all), other, digest(2, 4, all)], 3, "differ");
        finds(&[digest(0, 4, all), digest(1, 4, all)], 3, "is not there");
        finds(&[digest(0, 4, &[0, 1]), digest(1, 4, &[0, 1]), digest(2, 4, &[0, 1])], 3, "2 replicas in sync");
    }
}
