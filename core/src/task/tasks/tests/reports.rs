//! Rule T3: a report counts only with the fence of the attempt that runs.

use super::*;
use crate::task::view::Conflict;

fn conflicts(shard: &Shard) -> Vec<Conflict> {
    match shard.read(&Query::Conflicts) {
        Answer::Conflicts(conflicts) => conflicts,
        other => panic!("conflicts are {other:?}"),
    }
}

#[test]
fn a_report_that_is_repeated_is_answered_as_the_first_and_changes_nothing() {
    for outcome in [succeeded("1"), failed(true), failed(false), Outcome::GivenBack, Outcome::Stopped] {
        let mut shard = Shard::default();
        shard.add(one("1", "x"));
        let job = shard.take();
        assert_eq!(shard.report(&job, outcome.clone()), Answer::Reported);
        let after = shard.tasks.clone();
        assert_eq!(shard.report(&job, outcome.clone()), Answer::Reported, "{outcome:?}");
        assert_eq!(shard.tasks, after, "{outcome:?}");
        assert_eq!(conflicts(&shard), []);
    }
}

#[test]
fn a_report_of_an_attempt_that_was_ended_is_refused_and_recorded() {
    let mut shard = Shard::default();
    shard.at(5).add(one("1", "x"));
    let first = shard.take();
    shard.end(1, 1, Ended::Silent);
    let none = Refusal::Stale { offered: first.fence, now: None };
    assert_eq!(shard.report(&first, succeeded("1")), Answer::Refused(none));
    shard.at(100).drain();
    let second = shard.claim(1, &["x"], 1).remove(0);
    let other = Refusal::Stale { offered: first.fence, now: Some(second.fence) };
    assert_eq!(shard.report(&first, succeeded("1")), Answer::Refused(other), "the same worker, an earlier attempt");
    let (step, offered) = (first.step, first.fence);
    let conflict = |at, expected| Conflict { at: wall(at), step, offered, expected };
    assert_eq!(conflicts(&shard), [conflict(100, Some(second.fence)), conflict(5, None)]);
    assert_eq!(shard.report(&second, succeeded("2")), Answer::Reported);
    let done = StepStatus::Succeeded { output: Some(Payload::inline(b"2")) };
    assert_eq!(shard.step("1", 0).state, done);
    // What was committed stays, whoever comes later.
    assert!(matches!(shard.report(&first, succeeded("1")), Answer::Refused(Refusal::Stale { .. })));
    assert_eq!(shard.step("1", 0).state, done);
}

#[test]
fn a_fence_that_nobody_was_given_is_refused() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let job = shard.take();
    for fence in [job.fence.log_index() - 1, job.fence.log_index() + 1] {
        let fence = crate::epoch::FenceToken::new(ClusterEpoch(1), fence);
        let answer = shard.report(&Job { fence, ..job.clone() }, succeeded("1"));
        assert_eq!(answer, Answer::Refused(Refusal::Stale { offered: fence, now: Some(job.fence) }));
    }
    let nobody = StepStatus::Running { worker: worker(1), fence: job.fence };
    assert_eq!(shard.step("1", 0).state, nobody);
    let nowhere = super::super::StepKey { row: 1, ..job.step };
    assert_eq!(shard.report(&Job { step: nowhere, ..job }, succeeded("1")), Answer::Refused(Refusal::NoStep));
}

#[test]
fn as_many_conflicts_are_kept_as_one_answer_names() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let job = shard.take();
    shard.end(1, 1, Ended::Gone);
    for second in 0..100 {
        shard.at(second);
        assert!(matches!(shard.report(&job, failed(true)), Answer::Refused(Refusal::Stale { .. })));
    }
    let kept = conflicts(&shard);
    assert_eq!(kept.len(), 64);
    assert!(kept.iter().zip((0..100).rev()).all(|(conflict, second)| conflict.at == wall(second)));
}

#[test]
fn an_output_in_a_blob_needs_the_blob_and_refers_to_it_once() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let job = shard.take();
    let large = || Outcome::Succeeded { output: blob(1), counts: vec![] };
    assert_eq!(shard.report(&job, large()), Answer::Refused(Refusal::NoBlob));
    assert_eq!(shard.states("1"), "running", "it may be put, and reported again");
    shard.bring(1);
    assert_eq!(shard.report(&job, large()), Answer::Reported);
    assert_eq!(shard.report(&job, large()), Answer::Reported);
    assert_eq!(shard.references(1), 1);
}

#[test]
fn a_report_that_is_too_much_is_refused_and_the_attempt_runs_on() {
    let mut shard = Shard::default();
    shard.bring(1);
    shard.add(one("1", "x"));
    let job = shard.take();
    let before = shard.tasks.clone();
    let refused = [
        Outcome::Failed { is_worth_retrying: true, words: "w".repeat(1_025).into() },
        Outcome::Succeeded { output: Payload::inline(&[0; (16 << 10) + 1]), counts: vec![] },
        Outcome::Succeeded { output: Payload::Blob { address: address(1), bytes: 10_000_001 }, counts: vec![] },
        Outcome::Succeeded { output: blob(1), counts: vec![(StepIndex(0), 10_001)] },
    ];
    for outcome in refused {
        let answer = shard.report(&job, outcome);
        assert!(matches!(answer, Answer::Refused(Refusal::TooMuch { .. })), "{answer:?}");
    }
    assert_eq!(shard.tasks, before);
    assert_eq!(shard.references(1), 0);
}

/// A worker that counts lists which it was not asked for changes nothing of other steps.
#[test]
fn counts_are_taken_for_steps_that_are_repeated_for_that_output_alone() {
    let mut shard = Shard::default();
    let steps =
        [step("a", ""), step("b", ""), step("c", r#""forEach":{"$from":"b"}"#), step("d", r#""dependsOn":["a"]"#)];
    shard.add(flow("1", &steps.join(",")));
    let jobs = shard.claim(1, &["x"], 2);
    shard.report(&jobs[0], listed(&[(0, 1), (1, 1), (2, 7), (3, 1), (9, 1), (65_535, 1)]));
    shard.report(&jobs[1], listed(&[(2, 2)]));
    shard.drain();
    assert_eq!(shard.states("1"), "succeeded succeeded expanded ready ready ready");
}
