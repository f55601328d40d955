//! Retries: how often, and how soon again (rules T5 and T6).

use super::*;
use crate::task::command::Policy;
use crate::task::workflow::Retry;

fn with(key: &str, attempts_max: u16, base: Duration, max: Duration) -> Submit {
    let retry = Some(Retry { attempts_max, base, max });
    Submit {
        what: What::Agent { agent: name("x"), needs: vec![], timeout: None, retry, concurrency_key: None },
        ..one(key, "x")
    }
}

/// When the step is due again, in nanoseconds from now.
fn pause(shard: &Shard, key: &str) -> u64 {
    match shard.step(key, 0).state {
        StepStatus::Delayed { due } => due.as_unix_nanos() - shard.now.as_unix_nanos(),
        other => panic!("it is {other:?}"),
    }
}

#[test]
fn the_bound_of_the_pause_doubles_up_to_the_longest() {
    let mut shard = Shard::default();
    let bounds = [1u64, 2, 4, 5, 5, 5, 5].map(|seconds| seconds * 1_000_000_000);
    (0..200).for_each(|key| shard.add(with(&format!("{key}"), 100, seconds(1), seconds(5))));
    for (attempt, bound) in bounds.into_iter().enumerate() {
        let jobs = shard.claim(1, &["x"], 200);
        assert_eq!(jobs.len(), 200);
        jobs.iter().for_each(|job| assert_eq!(shard.report(job, failed(true)), Answer::Reported));
        let pauses: Vec<u64> = (0..200).map(|key| pause(&shard, &format!("{key}"))).collect();
        assert!(pauses.iter().all(|pause| *pause <= bound), "attempt {attempt}");
        // Full jitter: as many in each quarter, about, and no two alike.
        for quarter in 0..4 {
            let here = pauses.iter().filter(|pause| *pause * 4 / (bound + 1) == quarter).count();
            assert!((25..=80).contains(&here), "attempt {attempt}: {here} of 200 in quarter {quarter}");
        }
        let apart: alloc::collections::BTreeSet<u64> = pauses.into_iter().collect();
        assert_eq!(apart.len(), 200);
        let next = 10 * (attempt as u64 + 1);
        shard.at(next).drain();
    }
}

#[test]
fn a_failure_that_is_not_worth_it_is_not_retried_nor_is_one_too_many() {
    let mut shard = Shard::default();
    shard.add(with("1", 100, seconds(1), seconds(1)));
    let job = shard.take();
    shard.report(&job, failed(false));
    assert_eq!((shard.states("1"), shard.step("1", 0).words.as_deref()), ("dead".into(), Some("no")));
    shard.add(with("2", 2, Duration::ZERO, Duration::ZERO));
    for states in ["delayed", "dead"] {
        let job = shard.take();
        shard.report(&job, failed(true));
        assert_eq!(shard.states("2"), states);
        shard.drain();
    }
    assert_eq!(shard.step("2", 0).attempts, 2);
}

#[test]
fn what_is_given_back_is_ready_at_once_and_counts_as_no_attempt() {
    let mut shard = Shard::default();
    shard.add(with("1", 1, seconds(1), seconds(1)));
    shard.add(one("2", "x"));
    for _ in 0..5 {
        let job = shard.claim(1, &["x"], 2).into_iter().find(|job| job.task == id("1")).unwrap();
        assert_eq!(job.attempt, 1);
        assert_eq!(shard.report(&job, Outcome::GivenBack), Answer::Reported);
        assert_eq!(shard.states("1"), "ready");
    }
    let job = shard.take();
    shard.report(&job, failed(true));
    assert_eq!(shard.states("1"), "dead", "the one attempt that it has was used up");
}

#[test]
fn what_a_step_says_goes_before_the_policy_of_its_agent_and_that_before_the_defaults() {
    let mut shard = Shard::default();
    let retry = |attempts_max| Some(Retry { attempts_max, base: Duration::ZERO, max: Duration::ZERO });
    let policy = Policy { retry: retry(2), timeout: Some(seconds(9)) };
    let set = |policy| Command::Policy { agent: name("x"), policy };
    shard.add(one("1", "x"));
    assert_eq!(shard.take().timeout, super::super::TIMEOUT);
    assert_eq!(shard.apply(&set(Some(policy))), no_more());
    let steps = [step("a", ""), step("b", r#""retry":{"maxAttempts":1},"timeoutMs":3000"#)];
    shard.add(flow("2", &steps.join(",")));
    let jobs = shard.claim(1, &["x"], 2);
    assert_eq!(jobs.iter().map(|job| job.timeout).collect::<Vec<_>>(), [seconds(9), seconds(3)]);
    jobs.iter().for_each(|job| drop(shard.report(job, failed(true))));
    assert_eq!(shard.states("2"), "delayed dead");
    shard.drain();
    let job = shard.take();
    shard.report(&job, failed(true));
    assert_eq!(shard.states("2"), "dead dead", "by the policy");
    assert_eq!(shard.apply(&set(None)), no_more());
    shard.add(one("3", "x"));
    let job = shard.take();
    assert_eq!(job.timeout, super::super::TIMEOUT);
    shard.report(&job, failed(true));
    assert_eq!(shard.states("3"), "delayed");
}

#[test]
fn a_clock_that_goes_back_makes_nothing_due_and_one_that_jumps_makes_it_due_once() {
    let mut shard = Shard::default();
    shard.at(1_000).add(Submit { not_before: Some(wall(2_000)), ..one("1", "x") });
    shard.at(500).drain();
    assert_eq!(shard.states("1"), "delayed");
    shard.at(9_000).drain();
    let job = shard.take();
    shard.at(2_000).drain();
    assert!(shard.tasks.is_running(job.step, worker(1), job.fence));
    shard.succeed(&job);
    shard.at(9_000).drain();
    assert_eq!(shard.states("1"), "succeeded");
}

#[test]
fn the_history_of_a_step_keeps_the_first_moments_and_the_newest() {
    let mut shard = Shard::default();
    shard.add(with("1", 100, Duration::ZERO, Duration::ZERO));
    for second in 0..50 {
        let job = shard.at(second).take();
        shard.report(&job, failed(true));
        shard.drain();
    }
    let step = shard.step("1", 0);
    assert_eq!((step.attempts, step.history.len()), (50, 24));
    assert!(step.history.is_sorted_by_key(|moment| moment.at));
    assert_eq!((step.history[0].at, step.history[23].at), (wall(0), wall(49)));
}

#[test]
fn attempts_that_cannot_be_are_refused_of_a_task_and_of_a_policy() {
    let mut shard = Shard::default();
    let retry = |attempts_max, base, max| Some(Retry { attempts_max, base, max });
    let whole = Duration::from_millis;
    let nonsense = [
        (None, retry(0, whole(1), whole(1))),
        (None, retry(101, whole(1), whole(1))),
        (None, retry(3, whole(2), whole(1))),
        (None, retry(3, Duration::from_nanos(1), whole(1))),
        (None, retry(3, whole(1), seconds(367 * 86_400))),
        (Some(Duration::ZERO), None),
        (Some(seconds(367 * 86_400)), None),
    ];
    for (timeout, retry) in nonsense {
        let what = What::Agent { agent: name("x"), needs: vec![], timeout, retry, concurrency_key: None };
        let commands = [
            Command::Submit(Box::new(Submit { what, ..one("1", "x") })),
            Command::Policy { agent: name("x"), policy: Some(Policy { retry, timeout }) },
        ];
        for command in commands {
            let answer = shard.apply(&command);
            assert!(matches!(answer, Answer::Refused(Refusal::Attempts(_))), "{timeout:?} {retry:?}: {answer:?}");
        }
    }
    assert_eq!(shard.tasks, Tasks::default());
    let policy = Policy { retry: retry(100, Duration::ZERO, Duration::ZERO), timeout: Some(whole(1)) };
    assert_eq!(shard.apply(&Command::Policy { agent: name("x"), policy: Some(policy) }), no_more());
}

/// The clock was an hour ahead when the pause began, and is not any more: the pause begins anew, and is not an hour long.
#[test]
fn a_clock_that_is_put_back_makes_a_pause_begin_anew() {
    let mut shard = Shard::default();
    shard.at(3_700).add(flow("1", &step("a", "\"delayMs\":5000")));
    assert_eq!(shard.step("1", 0).state, StepStatus::Delayed { due: wall(3_705) });
    shard.at(100);
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(0)), "at once");
    assert_eq!(shard.due(), no_more());
    assert_eq!(shard.step("1", 0).state, StepStatus::Delayed { due: wall(105) });
    shard.at(104).drain();
    assert_eq!(shard.states("1"), "delayed");
    shard.at(105).drain();
    assert_eq!(shard.states("1"), "ready");
    // A time that was named is that time.
    shard.at(3_700).add(Submit { not_before: Some(wall(4_000)), ..one("2", "x") });
    shard.at(200).drain();
    assert_eq!(shard.step("2", 0).state, StepStatus::Delayed { due: wall(4_000) });
}
