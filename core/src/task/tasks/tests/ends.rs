//! Rule T4: claims end by their number, and what they had is tried again.

use super::*;
use crate::task::view::Happened;

fn three(shard: &mut Shard) -> Vec<Job> {
    ["1", "2", "3"].into_iter().for_each(|key| shard.add(one(key, "x")));
    shard.claim(1, &["x"], 3)
}

#[test]
fn an_end_ends_the_claims_up_to_its_number_and_those_of_that_worker_alone() {
    for why in [Ended::Silent, Ended::Gone] {
        let mut shard = Shard::default();
        ["1", "2", "3", "4"].into_iter().for_each(|key| shard.add(one(key, "x")));
        let first = shard.claim(1, &["x"], 1);
        let second = shard.claim(1, &["x"], 1);
        let other = shard.claim(2, &["x"], 1);
        assert_eq!(shard.end(1, 1, why), no_more());
        let states = ["1", "2", "3", "4"].map(|key| shard.states(key));
        assert_eq!(states, ["delayed", "running", "running", "ready"]);
        assert!(!shard.tasks.is_running(first[0].step, worker(1), first[0].fence));
        assert!(shard.tasks.is_running(second[0].step, worker(1), second[0].fence));
        assert!(shard.tasks.is_running(other[0].step, worker(2), other[0].fence));
        let happened: Vec<Happened> = shard.step("1", 0).history.iter().map(|moment| moment.what).collect();
        assert_eq!(happened, [Happened::Ready, Happened::Claimed(worker(1)), Happened::ClaimEnded(why)]);
        assert!(shard.step("1", 0).words.is_some());
    }
}

/// The owner decides that the lease has ended; the report comes and is committed; the worker claims the step anew; the end of
/// the old claim must not end the new one.
#[test]
fn a_late_end_does_not_end_the_next_attempt() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let first = shard.take();
    shard.report(&first, Outcome::GivenBack);
    let second = shard.take();
    assert_eq!(shard.end(1, 1, Ended::Silent), no_more());
    assert!(shard.tasks.is_running(second.step, worker(1), second.fence));
    assert_eq!(shard.tasks.workers().collect::<Vec<_>>(), [(worker(1), 2)]);
}

#[test]
fn an_end_that_is_repeated_does_nothing() {
    let mut shard = Shard::default();
    three(&mut shard);
    shard.end(1, 1, Ended::Silent);
    let after = shard.tasks.clone();
    assert_eq!(shard.end(1, 1, Ended::Silent), no_more());
    assert_eq!(shard.end(7, 1, Ended::Gone), no_more());
    assert_eq!(shard.tasks, after);
}

#[test]
fn a_worker_of_which_all_claims_have_ended_is_forgotten() {
    let mut shard = Shard::default();
    let jobs = three(&mut shard);
    jobs.iter().for_each(|job| shard.succeed(job));
    assert_eq!(shard.tasks.workers().count(), 1);
    shard.end(1, 1, Ended::Silent);
    assert_eq!(shard.tasks.workers().count(), 0);
}

#[test]
fn an_end_of_many_goes_on_piece_by_piece() {
    let mut shard = Shard::default();
    (0..600).for_each(|key| shard.add(one(&format!("{key}"), "x")));
    (0..3).for_each(|_| drop(shard.claim(1, &["x"], 200)));
    let mut left = vec![];
    while shard.end(1, 3, Ended::Gone) == (Answer::Done { has_more: true }) {
        left.push(shard.counts().running);
        assert_eq!(shard.tasks.workers().count(), 1, "it is known until all is over");
    }
    assert_eq!(left, [344, 88]);
    assert_eq!((shard.counts().running, shard.tasks.workers().count()), (0, 0));
}

/// A task that kills whoever runs it: an ended claim is an attempt.
#[test]
fn a_task_that_takes_its_workers_down_is_dead_in_the_end() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    for number in 1..=3 {
        assert_eq!(shard.claim(number, &["x"], 1).len(), 1);
        shard.end(number, 1, Ended::Gone);
        shard.at(1_000 * u64::from(number)).drain();
    }
    assert_eq!((shard.states("1"), shard.status("1")), ("dead".into(), Status::Dead));
    assert_eq!(shard.claim(4, &["x"], 1), []);
}

/// An end looks at what it ends, and at nothing of newer claims.
#[test]
fn an_end_ends_as_many_at_once_whatever_else_its_worker_has() {
    let mut shard = Shard::default();
    (0..900).for_each(|key| shard.add(one(&format!("{key:03}"), "x")));
    // The tasks of the first claims are the last in the order of the steps.
    let held: Vec<Job> = (0..3).flat_map(|_| shard.claim(2, &["x"], 200)).collect();
    (0..3).for_each(|_| drop(shard.claim(1, &["x"], 100)));
    held.iter().for_each(|job| drop(shard.report(job, Outcome::GivenBack)));
    (0..3).for_each(|_| drop(shard.claim(1, &["x"], 200)));
    let mut left = vec![];
    while shard.end(1, 3, Ended::Silent) == (Answer::Done { has_more: true }) {
        left.push(shard.counts().running);
    }
    assert_eq!((left, shard.counts().running), (vec![644], 600));
    assert_eq!(shard.tasks.claim_of(worker(1)), Some(6), "its newer claims live");
}
