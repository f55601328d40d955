//! Rules T2 and T2a: a claim is an entry, which gives the fence, and is answered the same when it is asked again.

use super::*;
use crate::epoch::FenceToken;
use crate::task::answer::JobInput;

#[test]
fn the_fence_is_the_place_of_the_entry_and_rises_with_each_attempt() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let mut last = FenceToken::new(ClusterEpoch(0), 0);
    for attempt in 1..=3 {
        let job = shard.take();
        assert_eq!(job.fence, FenceToken::new(ClusterEpoch(1), shard.sequence));
        assert_eq!(job.attempt, attempt);
        assert!(job.fence > last);
        last = job.fence;
        shard.report(&job, failed(true));
        shard.at(1_000 * u64::from(attempt)).drain();
    }
}

#[test]
fn a_claim_asked_again_is_answered_what_the_worker_still_has() {
    let mut shard = Shard::default();
    ["1", "2", "3"].into_iter().for_each(|key| shard.add(one(key, "x")));
    let claim = shard.next_claim(1, &["x"], 2);
    let first = shard.claim_as(claim.clone());
    assert_eq!(first.len(), 2);
    assert_eq!(shard.claim_as(claim.clone()), first);
    shard.succeed(&first[0]);
    assert_eq!(shard.claim_as(claim.clone()), first[1..]);
    assert_eq!(shard.counts().ready, 1, "the third is left to others");
    // Given back, and claimed under another number, it is not of the first claim any more.
    shard.report(&first[1], Outcome::GivenBack);
    assert_eq!(shard.claim(1, &["x"], 9).len(), 2);
    let answer = shard.apply(&Command::Claim(Box::new(claim)));
    assert_eq!(answer, Answer::Refused(Refusal::StaleClaim { offered: 1, taken: 2 }));
}

/// The first copy of a claim finds nothing and is answered so; the worker does not wait for another answer. What comes
/// meanwhile must not go to the second copy: nobody would do it, for as long as the worker lives.
#[test]
fn a_claim_that_found_nothing_finds_nothing_when_it_comes_again() {
    let mut shard = Shard::default();
    let claim = shard.next_claim(1, &["x"], 1);
    assert_eq!(shard.claim_as(claim.clone()), []);
    shard.add(one("1", "x"));
    assert_eq!(shard.claim_as(claim.clone()), []);
    assert_eq!(shard.states("1"), "ready");
    assert_eq!(shard.claim(1, &["x"], 1).len(), 1);
    let answer = shard.apply(&Command::Claim(Box::new(claim)));
    assert_eq!(answer, Answer::Refused(Refusal::StaleClaim { offered: 1, taken: 2 }));
}

#[test]
fn a_worker_is_given_what_it_has_agents_and_labels_for() {
    let mut shard = Shard::default();
    let needs = |needs| What::Agent { agent: name("x"), needs, timeout: None, retry: None, concurrency_key: None };
    shard.add(Submit { what: needs(labels(&[("zone", "a"), ("gpu", "yes")])), ..one("1", "x") });
    shard.add(one("2", "y"));
    assert_eq!(shard.claim(1, &["x"], 9), []);
    let mut claim = shard.next_claim(1, &["x", "y"], 9);
    claim.labels = labels(&[("gpu", "yes"), ("zone", "b")]);
    assert!(shard.tasks.has_for(&Claim { number: 99, ..claim.clone() }));
    let given = shard.claim_as(claim);
    assert_eq!(given.iter().map(|job| job.agent.as_str()).collect::<Vec<_>>(), ["y"]);
    let mut claim = shard.next_claim(1, &["x"], 9);
    claim.labels = labels(&[("gpu", "yes"), ("other", ""), ("zone", "a")]);
    assert!(shard.tasks.has_for(&claim));
    assert_eq!(shard.claim_as(claim).len(), 1);
}

#[test]
fn a_claim_that_is_too_much_is_refused() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let before = shard.tasks.clone();
    let claim = shard.next_claim(1, &["x"], 1);
    let many = |count: usize| (0..count).map(|at| name(&format!("x{at}"))).collect::<Vec<_>>();
    let refused = [
        Claim { count: 257, ..claim.clone() },
        Claim { agents: many(257), ..claim.clone() },
        Claim { labels: many(17).into_iter().map(|name| (name, "".into())).collect(), ..claim.clone() },
    ];
    for claim in refused {
        let answer = shard.apply(&Command::Claim(Box::new(claim)));
        assert!(matches!(answer, Answer::Refused(Refusal::TooMuch { .. })), "{answer:?}");
    }
    assert_eq!(shard.tasks, before);
}

#[test]
fn a_job_has_all_that_the_worker_needs() {
    let mut shard = Shard::default();
    let steps = [
        step("a", ""),
        step("b", r#""input":{"of":{"$from":"a"},"in":{"$from":"workflow.input"}},"timeoutMs":7000,"dependsOn":["a"]"#),
        step("c", r#""forEach":{"$from":"a","path":"/list"},"input":{"$from":"item"}"#),
    ];
    let traceparent = Some("00-1-2-01".into());
    let input = Some(Payload::inline(b"\"in\""));
    shard.add(Submit { input: input.clone(), traceparent: traceparent.clone(), ..flow("1", &steps.join(",")) });
    let a = shard.take();
    assert_eq!(a.lists, [(StepIndex(2), "/list".into())]);
    assert_eq!((a.timeout, &a.traceparent, a.task), (super::super::TIMEOUT, &traceparent, id("1")));
    assert_eq!(shard.report(&a, listed(&[(2, 2)])), Answer::Reported);
    shard.drain();
    let jobs = shard.claim(1, &["x"], 9);
    let JobInput::Made { step, workflow, outputs } = &jobs[0].input else { panic!("it is made") };
    assert_eq!((step.id.as_str(), workflow), ("b", &input));
    assert_eq!(outputs, &[(StepIndex(0), Payload::inline(b"[]"))]);
    assert_eq!(jobs[0].timeout, seconds(7));
    assert_eq!(jobs[1..].iter().map(|job| job.item).collect::<Vec<_>>(), [Some(0), Some(1)]);
    assert!(jobs[1..].iter().all(|job| matches!(&job.input, JobInput::Made { outputs, .. } if outputs.len() == 1)));
}

#[test]
fn a_claim_gives_less_where_the_answer_has_no_room_for_more() {
    let mut shard = Shard::default();
    let input = Some(Payload::inline(&[0; 16 << 10]));
    (0..20).for_each(|key| shard.add(Submit { input: input.clone(), ..one(&format!("{key}"), "x") }));
    let given = shard.claim(1, &["x"], 20).len();
    assert!((1..=9).contains(&given), "{given} of 16 KiB each");
    assert_eq!(shard.counts().running, given as u64);
    assert!((0..20).any(|_| shard.claim(1, &["x"], 20).is_empty()), "the others follow");
    assert_eq!(shard.counts().running, 20);
}
