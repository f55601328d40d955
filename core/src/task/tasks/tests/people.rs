//! Pauses, policies, and what is shown to people.

use super::*;

#[test]
fn no_step_of_a_paused_agent_is_given_out_and_of_none_while_all_are_paused() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    shard.add(one("2", "y"));
    let pause = |agent: Option<&str>, is_paused| Command::Pause { agent: agent.map(name), is_paused };
    let given = |shard: &Shard| shard.clone().claim(1, &["x", "y"], 9).len();
    for (command, expected) in [
        (pause(Some("x"), true), 1),
        (pause(None, true), 0),
        (pause(Some("x"), false), 0),
        (pause(Some("y"), true), 0),
        (pause(None, false), 1),
        (pause(Some("y"), false), 2),
    ] {
        assert_eq!(shard.apply(&command), no_more());
        assert_eq!(given(&shard), expected, "{command:?}");
        let claim = Claim { number: 99, ..shard.clone().next_claim(1, &["x", "y"], 1) };
        assert_eq!(shard.tasks.has_for(&claim), expected > 0);
    }
    shard.apply(&pause(Some("x"), true));
    assert_eq!(shard.step("1", 0).state, StepStatus::Ready { ahead: 0, is_paused: true });
}

#[test]
fn what_runs_when_its_agent_is_paused_runs_on() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let job = shard.take();
    shard.apply(&Command::Pause { agent: Some(name("x")), is_paused: true });
    shard.succeed(&job);
    assert_eq!(shard.status("1"), Status::Succeeded);
}

#[test]
fn what_is_said_of_nothing_leaves_nothing() {
    let mut shard = Shard::default();
    shard.apply(&Command::Pause { agent: Some(name("x")), is_paused: true });
    shard.apply(&Command::Pause { agent: Some(name("x")), is_paused: false });
    shard.apply(&Command::Policy { agent: name("y"), policy: None });
    assert_eq!(shard.tasks, Tasks::default());
}

#[test]
fn tasks_are_listed_the_newest_first_page_by_page() {
    let mut shard = Shard::default();
    (0..150).for_each(|key| shard.add(one(&format!("{key}"), "x")));
    for job in shard.claim(1, &["x"], 100) {
        shard.succeed(&job);
    }
    for (status, expected) in [(None, 0..150), (Some(Status::Succeeded), 0..100), (Some(Status::Open), 100..150)] {
        let (mut found, mut before) = (vec![], None);
        loop {
            let Answer::Tasks { tasks, next } = shard.read(&Query::Tasks { status, before }) else { panic!("tasks") };
            assert!(tasks.len() <= 64);
            found.extend(tasks.iter().map(|task| task.id));
            before = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found, expected.rev().map(|key| id(&format!("{key}"))).collect::<Vec<_>>());
    }
}

#[test]
fn words_that_are_too_long_are_refused() {
    let mut shard = Shard::default();
    shard.add(flow("1", r#"{"id":"b","approval":"go on?"}"#));
    let before = shard.tasks.clone();
    let words = || "w".repeat(1_025).into();
    let commands = [
        Command::Cancel { task: id("1"), mode: CancelMode::Soft, reason: words() },
        Command::Decide { task: id("1"), step: name("b"), item: None, is_approved: true, words: words() },
    ];
    for command in commands {
        assert!(matches!(shard.apply(&command), Answer::Refused(Refusal::TooMuch { .. })));
    }
    assert_eq!(shard.tasks, before);
}

#[test]
fn an_approval_that_nobody_answers_in_time_is_rejected() {
    let mut shard = Shard::default();
    let steps =
        format!("{},{}", r#"{"id":"ok","approval":"go on?","timeoutMs":60000}"#, step("a", r#""dependsOn":["ok"]"#));
    shard.at(10).add(flow("1", &steps));
    shard.add(flow("2", r#"{"id":"ok","approval":"for ever?"}"#));
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(70)));
    shard.at(69).drain();
    assert_eq!(shard.states("1"), "asking waiting");
    shard.at(70).drain();
    assert_eq!((shard.states("1"), shard.status("1")), ("dead waiting".into(), Status::Dead));
    assert_eq!(shard.step("1", 0).words.as_deref(), Some("nobody answered in time"));
    assert_eq!(shard.decide("1", "ok", true), Answer::Refused(Refusal::NotAsking));
    assert_eq!(shard.states("2"), "asking");
    // Asked again, it has its time anew; who answers in time is heard.
    shard.replay("1", 0);
    shard.at(100).drain();
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(160)));
    assert_eq!(shard.decide("1", "ok", true), no_more());
    shard.at(160).drain();
    assert_eq!(shard.states("1"), "succeeded ready");
}

#[test]
fn an_approval_of_a_cancelled_task_is_waited_for_no_more() {
    let mut shard = Shard::default();
    shard.at(10).add(flow("1", r#"{"id":"ok","approval":"go on?","timeoutMs":60000}"#));
    shard.cancel("1", CancelMode::Soft);
    // Both are due at once.
    shard.at(70).drain();
    assert_eq!((shard.states("1"), shard.status("1")), ("cancelled".into(), Status::Cancelled));
    assert!(shard.tasks.next_due(shard.now) > Some(wall(70)), "only its retention is left");
}
