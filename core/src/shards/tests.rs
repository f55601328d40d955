//! Rules of the record.

use super::*;
use crate::epoch::{ClusterEpoch, Epoch};
use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use crate::replication::{LogSequence, Position};
use alloc::collections::BTreeSet;

fn process(node: u8, store: u64) -> Incarnation {
    Incarnation { node: NodeId::from_bytes([node; 16]), store: StoreIncarnation(store), boot: BootIncarnation(1) }
}

fn id(node: u8) -> ReplicaId {
    process(node, 1).into()
}

/// Nodes 1 to 3 are the set, and 1 owns the shard.
fn record() -> ShardRecord {
    let mut record = ShardRecord::new(ClusterEpoch(1), 1, (1..=3).map(id).collect(), 2).unwrap();
    record.grant(2, process(1, 1)).unwrap();
    record
}

#[test]
fn only_the_owner_changes_the_set_under_its_epoch_and_on_the_newest_version() {
    let mut record = record();
    let (epoch, remove) = (record.epoch, Change::Remove(id(3)));
    let older = Epoch { lease: 0, ..epoch };
    let refused = |record: &ShardRecord, by, epoch, version| record.clone().change(3, by, epoch, version, remove);
    assert_eq!(refused(&record, process(2, 1), epoch, 2), Err(ChangeRefused::NotOwner));
    assert_eq!(
        refused(&record, process(1, 1), older, 2),
        Err(ChangeRefused::OtherEpoch { expected: older, found: epoch })
    );
    assert_eq!(refused(&record, process(1, 1), epoch, 1), Err(ChangeRefused::Outdated { expected: 1, found: 2 }));
    record.change(3, process(1, 1), epoch, 2, remove).unwrap();
    assert_eq!((record.version, record.in_sync.len()), (3, 2));
    let too_few = record.change(4, process(1, 1), epoch, 3, Change::Remove(id(2)));
    assert_eq!(too_few, Err(ChangeRefused::TooFew { members: 1, minimum: 2 }));
    assert_eq!(record.change(4, process(1, 1), epoch, 3, Change::Remove(id(1))), Err(ChangeRefused::OwnerLeaves));
}

#[test]
fn a_set_has_one_store_of_a_node() {
    let mut record = record();
    let (epoch, other) = (record.epoch, process(3, 9).into());
    let add = record.change(3, process(1, 1), epoch, 2, Change::Add(other));
    assert_eq!(add, Err(ChangeRefused::SameNode));
    record.change(3, process(1, 1), epoch, 2, Change::Replace { add: other, remove: id(3) }).unwrap();
    assert_eq!(record.in_sync, BTreeSet::from([id(1), id(2), other]));
}

#[test]
fn a_grant_needs_a_free_shard_a_member_and_a_set_that_counts() {
    let mut record = record();
    assert_eq!(record.grant(3, process(2, 1)), Err(ChangeRefused::Owned));
    assert!(record.vacate(3, process(1, 1)) && !record.vacate(4, process(1, 1)));
    assert_eq!(record.grant(4, process(9, 1)), Err(ChangeRefused::NoChange));
    record.grant(4, process(2, 1)).unwrap();
    assert_eq!(record.epoch.lease, 2);
    record.void(5, ClusterEpoch(2));
    assert_eq!(record.grant(6, process(2, 1)), Err(ChangeRefused::Void));
}

fn kept(node: u8, record: &ShardRecord, end: (u64, u64)) -> Kept {
    let epoch = Epoch { cluster: ClusterEpoch(1), lease: end.0 };
    let end = Position { epoch, sequence: LogSequence(end.1) };
    let promised = record.epoch;
    Kept { replica: id(node), process: process(node, 1), promised, record: Some(record.clone()), intended: None, end }
}

#[test]
fn a_recovery_goes_on_with_the_highest_log_of_the_newest_set() {
    let old = record();
    let mut new = old.clone();
    new.change(3, process(1, 1), new.epoch, 2, Change::Remove(id(3))).unwrap();
    let all = [kept(1, &new, (1, 4)), kept(2, &old, (1, 5)), kept(3, &old, (1, 9))];
    let rebuilt = rebuilt(ClusterEpoch(2), 1, &all, false).unwrap();
    assert_eq!((rebuilt.owner, rebuilt.in_sync), (Some(process(2, 1)), BTreeSet::from([id(1), id(2)])));
    assert!(rebuilt.epoch > new.epoch);
}

#[test]
fn a_recovery_asks_for_consent_where_somebody_is_missing_that_may_hold_more() {
    let record = record();
    let two = [kept(1, &record, (1, 4)), kept(2, &record, (1, 4))];
    assert_eq!(rebuilt(ClusterEpoch(2), 1, &two, false), Err(RebuildRefused::Consent { missing: 1 }));
    assert!(rebuilt(ClusterEpoch(2), 1, &two, true).is_ok());

    // All of the set are there, but one of them meant to bring in somebody who is not (rule I6).
    let mut intended = [two[0].clone(), two[1].clone(), kept(3, &record, (1, 4))];
    assert!(rebuilt(ClusterEpoch(2), 1, &intended, false).is_ok());
    intended[0].intended = Some((record.epoch, record.version, Change::Add(id(4))));
    assert_eq!(rebuilt(ClusterEpoch(2), 1, &intended, false), Err(RebuildRefused::Consent { missing: 1 }));
}
