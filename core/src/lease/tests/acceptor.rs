use super::*;
use crate::epoch::Epoch;
use crate::lease::acceptor::{Accepted, Acceptor, CONFLICTS_MAX, Conflict, NotAccepted};
use alloc::boxed::Box;
use alloc::string::ToString;

fn under(cluster: u64, lease: u64) -> Epoch {
    Epoch { cluster: ClusterEpoch(cluster), lease }
}

fn accept(acceptor: &mut Acceptor, scope: Scope, epoch: Epoch) -> Result<Option<Accepted>, NotAccepted> {
    acceptor.accept(scope, epoch, life(1, 1).node, WallTime::from_unix_nanos(5))
}

#[test]
fn once_something_newer_was_accepted_nothing_older_is() {
    let mut acceptor = Acceptor::default();
    let raised = Accepted::Scope { scope: Scope::Global, epoch: under(1, 9) };
    assert_eq!(accept(&mut acceptor, Scope::Global, under(1, 9)), Ok(Some(raised)));
    assert_eq!(accept(&mut acceptor, Scope::Global, under(1, 9)), Ok(None), "nothing new to remember");
    let refused = accept(&mut acceptor, Scope::Global, under(1, 8)).unwrap_err();
    let (expected, actual, who) = (under(1, 9), under(1, 8), life(1, 1).node);
    let conflict = Conflict { scope: Scope::Global, expected, actual, who, when: WallTime::from_unix_nanos(5) };
    assert_eq!(refused, NotAccepted::Stale(Box::new(conflict)), "rule A4");
    assert!(refused.to_string().contains("1.8") && refused.to_string().contains("1.9"), "{refused}");
    assert_eq!(acceptor.conflicts().copied().collect::<Vec<_>>(), [conflict]);
    assert!(accept(&mut acceptor, named("other"), under(1, 8)).is_ok(), "each scope by itself");
}

#[test]
fn what_is_older_than_the_known_cluster_epoch_is_refused_before_anything_was_accepted_under_it() {
    let mut acceptor = Acceptor::default();
    assert_eq!(acceptor.raise(ClusterEpoch(2)), Some(Accepted::Cluster { epoch: ClusterEpoch(2) }));
    assert_eq!(acceptor.raise(ClusterEpoch(1)), None);
    assert!(accept(&mut acceptor, Scope::Global, under(1, 900)).is_err(), "rule A2");
    assert!(accept(&mut acceptor, Scope::Global, under(2, 1)).is_ok());
}

#[test]
fn a_restart_forgets_nothing_that_was_written_down() {
    let mut acceptor = Acceptor::default();
    let mut written = vec![];
    for lease in [3, 4, 4, 7] {
        written.extend(accept(&mut acceptor, Scope::Global, under(1, lease)).unwrap());
    }
    written.extend(acceptor.raise(ClusterEpoch(1)));
    let mut restarted = Acceptor::default();
    written.into_iter().for_each(|accepted| restarted.replay(accepted));
    assert_eq!(restarted, acceptor);
}

#[test]
fn what_is_written_again_is_all_that_was_remembered_in_parts_of_any_size() {
    let mut acceptor = Acceptor::default();
    acceptor.raise(ClusterEpoch(2));
    for n in 0..10 {
        accept(&mut acceptor, named(&n.to_string()), under(2, 5 + n)).unwrap();
    }
    for part in 1..=12 {
        let (mut restarted, mut after) = (Acceptor::default(), None);
        loop {
            let again: Vec<_> = acceptor.remembered(after.as_ref()).take(part).collect();
            let Some(last) = again.last() else { break };
            after = Some(*last);
            again.into_iter().for_each(|accepted| restarted.replay(accepted));
        }
        assert_eq!(restarted, acceptor);
    }
}

#[test]
fn a_full_memory_refuses_new_scopes_and_forgets_none() {
    let mut acceptor = Acceptor::default();
    for n in 0..4_096 {
        accept(&mut acceptor, named(&n.to_string()), under(1, 5)).unwrap();
    }
    assert_eq!(accept(&mut acceptor, Scope::Global, under(1, 9)), Err(NotAccepted::Full { limit: 4_096 }), "rule A3");
    assert!(accept(&mut acceptor, named("0"), under(1, 4)).is_err());
    assert!(accept(&mut acceptor, named("0"), under(1, 6)).is_ok());
}

#[test]
fn the_record_of_conflicts_is_a_ring() {
    let mut acceptor = Acceptor::default();
    accept(&mut acceptor, Scope::Global, under(1, 900)).unwrap();
    for lease in 0..CONFLICTS_MAX as u64 + 3 {
        accept(&mut acceptor, Scope::Global, under(1, lease)).unwrap_err();
    }
    assert_eq!((acceptor.conflicts().count(), acceptor.dropped()), (CONFLICTS_MAX, 3));
    assert_eq!(acceptor.conflicts().next().unwrap().actual, under(1, 3), "the oldest have gone");
}
