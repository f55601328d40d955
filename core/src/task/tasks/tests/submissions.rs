//! Rule T1: a task is made once, by its name.

use super::*;
use crate::task::workflow::STEPS_MAX;

#[test]
fn a_submission_is_made_once_whatever_has_become_of_it() {
    let mut shard = Shard::default();
    let known = |status| Answer::Submitted { is_known: true, status };
    let new = Answer::Submitted { is_known: false, status: Status::Open };
    assert_eq!(shard.submit(one("1", "x")), new);
    assert_eq!(shard.submit(one("1", "x")), known(Status::Open));
    assert_eq!(shard.submit(flow("1", &step("a", ""))), known(Status::Open), "what it says does not matter");
    let job = shard.take();
    assert_eq!(shard.submit(one("1", "x")), known(Status::Open));
    shard.succeed(&job);
    assert_eq!(shard.submit(one("1", "x")), known(Status::Succeeded));
    assert_eq!(shard.counts().tasks, 1);
}

/// A queue of so many that whoever remembers only the last ones has forgotten it.
#[test]
fn a_task_that_waits_long_is_known_however_many_came_behind_it() {
    let mut shard = Shard::default();
    (0..3_000).for_each(|number| shard.add(one(&format!("{number}"), "x")));
    assert!(matches!(shard.submit(one("0", "x")), Answer::Submitted { is_known: true, .. }));
    assert_eq!(shard.counts().tasks, 3_000);
}

#[test]
fn a_full_shard_takes_none_and_makes_none() {
    let mut shard = Shard::default();
    let limit = super::super::TASKS_MAX as u64;
    (0..limit).for_each(|number| shard.add(one(&format!("{number}"), "x")));
    assert_eq!(shard.submit(one("more", "x")), Answer::Refused(Refusal::Full { limit }));
    assert!(matches!(shard.submit(one("7", "x")), Answer::Submitted { is_known: true, .. }), "what it has it knows");
    let job = shard.take();
    shard.succeed(&job);
    shard.at(10).apply(&Command::Purge { before: wall(10) });
    shard.drain();
    shard.add(one("more", "x"));
}

#[test]
fn what_is_too_long_is_refused_and_nothing_changes() {
    let mut shard = Shard::default();
    shard.bring(1);
    let long = |length: usize| Some("t".repeat(length).into());
    let many = |count: usize| (0..count).map(|at| (name(&format!("l{at}")), "".into())).collect::<Vec<_>>();
    let agent = |needs| What::Agent { agent: name("x"), needs, timeout: None, retry: None, concurrency_key: None };
    let base = || Submit { input: Some(blob(1)), ..one("1", "x") };
    let refused = [
        Submit { input: Some(Payload::inline(&[0; (16 << 10) + 1])), ..base() },
        Submit { input: Some(Payload::Blob { address: address(1), bytes: 10_000_001 }), ..base() },
        Submit { input: Some(Payload::Blob { address: address(1), bytes: 0 }), ..base() },
        Submit { labels: many(17), ..base() },
        Submit { labels: labels(&[("a", &"t".repeat(65))]), ..base() },
        Submit { principal: long(1_025), ..base() },
        Submit { traceparent: long(129), ..base() },
        Submit { what: agent(many(17)), ..base() },
    ];
    let before = shard.tasks.clone();
    for submit in refused {
        let answer = shard.submit(submit);
        assert!(matches!(answer, Answer::Refused(Refusal::TooMuch { .. })), "{answer:?}");
    }
    assert_eq!(shard.tasks, before);
    assert_eq!(shard.references(1), 0);
    shard.add(Submit { labels: many(16), principal: long(1_024), what: agent(many(16)), ..base() });
    assert_eq!(shard.references(1), 1);
}

#[test]
fn an_input_in_a_blob_needs_the_blob() {
    let mut shard = Shard::default();
    let submit = || Submit { input: Some(blob(1)), ..one("1", "x") };
    assert_eq!(shard.submit(submit()), Answer::Refused(Refusal::NoBlob));
    assert_eq!(shard.tasks, Tasks::default());
    shard.bring(1);
    shard.add(submit());
    shard.submit(submit());
    assert_eq!(shard.references(1), 1, "a submission that is known refers to nothing");
}

#[test]
fn a_workflow_that_breaks_a_rule_is_refused() {
    let mut shard = Shard::default();
    let mut submit = flow("1", &[step("a", ""), step("b", "")].join(","));
    let What::Workflow(workflow) = &mut submit.what else { unreachable!() };
    workflow.steps[0].depends_on = vec![StepIndex(1)];
    workflow.steps[1].depends_on = vec![StepIndex(0)];
    assert!(matches!(shard.submit(submit), Answer::Refused(Refusal::Workflow(_))));
    assert_eq!(shard.tasks, Tasks::default());
    let most: Vec<String> = (0..STEPS_MAX).map(|at| step(&format!("s{at}"), "")).collect();
    shard.add(flow("1", &most.join(",")));
    assert_eq!(shard.counts().ready, STEPS_MAX as u64);
}

#[test]
fn a_task_begins_not_before_the_time_that_it_says() {
    let mut shard = Shard::default();
    shard.at(100).add(Submit { not_before: Some(wall(200)), ..one("1", "x") });
    shard.add(Submit { not_before: Some(wall(100)), ..one("2", "x") });
    assert_eq!((shard.states("1"), shard.states("2")), ("delayed".into(), "ready".into()));
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(200)));
    shard.at(199).due();
    assert_eq!(shard.states("1"), "delayed");
    shard.at(200).due();
    assert_eq!(shard.states("1"), "ready");
}

/// Both are meant: a step that waits for no other waits its delay after that time.
#[test]
fn a_delay_is_counted_from_when_the_task_may_begin() {
    let mut shard = Shard::default();
    let steps = [step("a", r#""delayMs":5000"#), step("b", "")].join(",");
    shard.at(100).add(Submit { not_before: Some(wall(200)), ..flow("1", &steps) });
    shard.at(200).drain();
    assert_eq!(shard.states("1"), "delayed ready");
    shard.at(204).drain();
    assert_eq!(shard.states("1"), "delayed ready");
    shard.at(205).drain();
    assert_eq!(shard.states("1"), "ready ready");
}

/// Nobody is to make a shard look through ever more classes at each claim.
#[test]
fn a_shard_has_so_many_kinds_of_agents_and_labels() {
    use super::super::CLASSES_MAX;
    let mut shard = Shard::default();
    let needing = |zone: usize| {
        let needs = labels(&[("zone", &format!("{zone}"))]);
        Submit {
            what: What::Agent { agent: name("x"), needs, timeout: None, retry: None, concurrency_key: None },
            ..one(&format!("{zone}"), "x")
        }
    };
    (2..CLASSES_MAX).for_each(|zone| shard.add(needing(zone)));
    let before = shard.tasks.clone();
    let three = [step("a", ""), step("b", r#""labels":{"zone":"other"}"#), step("c", r#""labels":{"zone":"another"}"#)];
    let answer = shard.submit(flow("three", &three.join(",")));
    let full = Answer::Refused(Refusal::Classes { limit: CLASSES_MAX as u64 });
    assert_eq!(answer, full);
    assert_eq!(shard.tasks, before, "nothing of it is there");
    // As many as there is room for, each counted once; and any number of tasks that need what others do.
    shard.add(flow("two", &[step("a", ""), step("b", r#""labels":{"zone":"2"}"#), step("c", "")].join(",")));
    shard.add(needing(0));
    assert_eq!(shard.submit(needing(1)), full);
    shard.add(Submit { id: id("again"), ..needing(7) });
    // What is purged makes room.
    let job = shard.claim(1, &["x"], 1);
    assert_eq!(job.len(), 1, "the one that needs no label");
    shard.cancel("0", CancelMode::Soft);
    shard.at(1).drain();
    shard.apply(&Command::Purge { before: wall(2) });
    shard.drain();
    shard.add(needing(1));
}
