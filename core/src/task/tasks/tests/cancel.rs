//! Rule T8: a cancel, at every state of a step.

use super::*;
use CancelMode::{Hard, Soft};

fn cancelling() -> Answer {
    Answer::Cancel(Status::Cancelling)
}

/// Nothing of it is given out behind the cancel, chores done or not.
fn is_over(shard: &mut Shard, states: &str) {
    assert_eq!(shard.claim(1, &["x"], 9), []);
    shard.drain();
    assert_eq!((shard.states("1").as_str(), shard.status("1")), (states, Status::Cancelled));
    assert_eq!(shard.cancel("1", Hard), Answer::Cancel(Status::Cancelled));
    assert_eq!(shard.replay("1", 0), Answer::Refused(Refusal::Status { status: Status::Cancelled }));
}

#[test]
fn what_has_not_begun_is_cancelled_at_once() {
    for mode in [Soft, Hard] {
        let steps = [
            step("ready", ""),
            step("delayed", r#""delayMs":5000"#),
            r#"{"id":"asking","approval":"may it?"}"#.into(),
            step("waiting", r#""dependsOn":["ready"]"#),
        ];
        let mut shard = Shard::default();
        shard.add(flow("1", &steps.join(",")));
        assert_eq!(shard.states("1"), "ready delayed asking waiting");
        assert_eq!(shard.cancel("1", mode), cancelling());
        assert_eq!(shard.decide("1", "asking", true), Answer::Refused(Refusal::Status { status: Status::Cancelling }));
        is_over(&mut shard, "cancelled cancelled cancelled cancelled");
        shard.at(9).drain();
        assert_eq!(shard.counts().ready, 0);
    }
}

#[test]
fn what_runs_is_cancelled_when_its_worker_says_so() {
    for (mode, to_stop) in [(Soft, 0), (Hard, 1)] {
        for outcome in [Outcome::Stopped, Outcome::GivenBack, failed(true), failed(false)] {
            let mut shard = Shard::default();
            shard.add(one("1", "x"));
            let job = shard.take();
            assert_eq!(shard.cancel("1", mode), cancelling());
            shard.drain();
            assert_eq!((shard.states("1"), shard.status("1")), ("running".into(), Status::Cancelling));
            assert_eq!(shard.tasks.to_stop(worker(1)).count(), to_stop);
            assert_eq!(shard.report(&job, outcome.clone()), Answer::Reported);
            is_over(&mut shard, "cancelled");
            assert_eq!(shard.report(&job, outcome), Answer::Reported, "again");
        }
    }
}

#[test]
fn what_runs_is_cancelled_when_its_claim_has_ended() {
    for why in [Ended::Silent, Ended::Gone] {
        let mut shard = Shard::default();
        shard.add(one("1", "x"));
        let job = shard.take();
        shard.cancel("1", Hard);
        shard.drain();
        shard.end(1, 1, why);
        is_over(&mut shard, "cancelled");
        assert!(matches!(shard.report(&job, succeeded("1")), Answer::Refused(Refusal::Stale { .. })));
    }
}

#[test]
fn what_was_done_before_the_worker_heard_of_the_cancel_is_done() {
    for mode in [Soft, Hard] {
        let mut shard = Shard::default();
        shard.add(one("1", "x"));
        let job = shard.take();
        shard.cancel("1", mode);
        shard.drain();
        shard.succeed(&job);
        assert_eq!((shard.states("1"), shard.status("1")), ("succeeded".into(), Status::Succeeded));
    }
}

#[test]
fn a_soft_cancel_lets_what_runs_end_and_nothing_else_begin() {
    for rest in ["", r#","delayMs":5000"#] {
        let mut shard = Shard::default();
        let steps = [step("a", ""), step("b", &format!(r#""dependsOn":["a"]{rest}"#))];
        shard.add(flow("1", &steps.join(",")));
        let job = shard.take();
        shard.cancel("1", Soft);
        shard.drain();
        shard.succeed(&job);
        is_over(&mut shard, "succeeded cancelled");
    }
}

#[test]
fn a_soft_cancel_may_become_a_hard_one_and_not_the_other_way_round() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    shard.take();
    for (mode, to_stop, now) in [(Soft, 0, Soft), (Hard, 1, Hard), (Soft, 1, Hard)] {
        assert_eq!(shard.cancel("1", mode), cancelling());
        shard.drain();
        assert_eq!(shard.tasks.to_stop(worker(1)).count(), to_stop);
        assert_eq!(shard.view("1").unwrap().cancel, Some((now, "why not".into())));
    }
}

#[test]
fn instances_are_cancelled_made_or_not() {
    for (drained, mode) in [(0, Soft), (1, Hard), (2, Soft)] {
        let mut shard = Shard::default();
        let steps = [step("a", ""), step("b", r#""forEach":{"$from":"a"}"#), step("c", r#""dependsOn":["b"]"#)];
        shard.add(flow("1", &steps.join(",")));
        shard.does("a", listed(&[(1, 300)]));
        (0..drained).for_each(|_| drop(shard.due()));
        let running = shard.claim(1, &["x"], 2);
        assert_eq!(shard.cancel("1", mode), cancelling());
        assert_eq!(shard.claim(1, &["x"], 9), []);
        shard.drain();
        let status = if running.is_empty() { Status::Cancelled } else { Status::Cancelling };
        assert_eq!(shard.status("1"), status, "after {drained}");
        running.iter().for_each(|job| drop(shard.report(job, Outcome::Stopped)));
        assert_eq!((shard.status("1"), shard.step("1", 1).state), (Status::Cancelled, StepStatus::Cancelled));
        check::holds(&shard.tasks, &shard.blobs);
    }
}

/// As with a step that is there once: what was done is done.
#[test]
fn instances_that_all_ran_to_their_end_have_succeeded_in_spite_of_a_soft_cancel() {
    let mut shard = Shard::default();
    let steps = [step("a", ""), step("b", r#""forEach":{"$from":"a"}"#)];
    shard.add(flow("1", &steps.join(",")));
    shard.does("a", listed(&[(1, 2)]));
    shard.drain();
    let jobs = shard.claim(1, &["x"], 2);
    shard.cancel("1", Soft);
    shard.drain();
    jobs.iter().for_each(|job| shard.succeed(job));
    assert_eq!(
        (shard.states("1"), shard.status("1")),
        ("succeeded succeeded succeeded succeeded".into(), Status::Succeeded)
    );
}

#[test]
fn a_cancel_of_what_has_ended_says_how_it_ended() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let job = shard.take();
    shard.succeed(&job);
    assert_eq!(shard.cancel("1", Hard), Answer::Cancel(Status::Succeeded));
    assert_eq!(shard.cancel("2", Hard), Answer::Refused(Refusal::NoTask));
    assert_eq!(shard.view("1").unwrap().cancel, None);
}

/// Whoever was ready first of another task goes first, whatever of a cancelled one is still in the way.
#[test]
fn what_is_cancelled_takes_nobodys_turn() {
    let mut shard = Shard::default();
    for (key, agent) in [("1", "x"), ("2", "x"), ("3", "y")] {
        shard.add(one(key, agent));
    }
    shard.cancel("1", Soft);
    let given: Vec<SubmissionId> = shard.claim(1, &["x", "y"], 1).iter().map(|job| job.task).collect();
    assert_eq!(given, [id("2")]);
}
