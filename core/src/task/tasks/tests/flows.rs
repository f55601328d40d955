//! Workflows (rule T7): what waits for what, lists, and approvals.

use super::*;

#[test]
fn a_step_begins_with_the_entry_that_commits_the_last_success_it_waits_for() {
    let mut shard = Shard::default();
    let steps = [
        step("a", ""),
        step("b", r#""dependsOn":["a"]"#),
        step("c", r#""dependsOn":["a"]"#),
        step("d", r#""dependsOn":["b","c"]"#),
    ];
    shard.add(flow("1", &steps.join(",")));
    assert_eq!(shard.states("1"), "ready waiting waiting waiting");
    assert_eq!(shard.step("1", 3).state, StepStatus::Waiting { left: 2 });
    shard.does("a", succeeded("1"));
    assert_eq!(shard.states("1"), "succeeded ready ready waiting");
    let jobs = shard.claim(1, &["x"], 2);
    shard.succeed(&jobs[1]);
    assert_eq!(shard.step("1", 3).state, StepStatus::Waiting { left: 1 });
    shard.report(&jobs[0], failed(true));
    assert_eq!(shard.states("1"), "succeeded delayed succeeded waiting");
    shard.at(10).drain();
    shard.does("b", succeeded("1"));
    assert_eq!(shard.states("1"), "succeeded succeeded succeeded ready");
    shard.does("d", succeeded("1"));
    assert_eq!(shard.status("1"), Status::Succeeded);
}

#[test]
fn no_failure_releases_a_step_and_the_task_is_dead_once_nothing_else_can_be_done() {
    let mut shard = Shard::default();
    let steps = [step("a", ""), step("b", ""), step("c", r#""dependsOn":["a"]"#), step("d", r#""dependsOn":["b"]"#)];
    shard.add(flow("1", &steps.join(",")));
    shard.does("a", failed(false));
    assert_eq!((shard.states("1"), shard.status("1")), ("dead ready waiting waiting".into(), Status::Open));
    shard.does("b", succeeded("1"));
    assert_eq!(shard.status("1"), Status::Open, "what can be done is done");
    shard.does("d", succeeded("1"));
    assert_eq!((shard.states("1"), shard.status("1")), ("dead succeeded waiting succeeded".into(), Status::Dead));
}

#[test]
fn a_delay_is_counted_from_the_success_that_is_waited_for() {
    let mut shard = Shard::default();
    let steps = [step("a", ""), step("b", r#""dependsOn":["a"],"delayMs":5000"#)];
    shard.at(100).add(flow("1", &steps.join(",")));
    shard.at(200).does("a", succeeded("1"));
    assert_eq!(shard.step("1", 1).state, StepStatus::Delayed { due: wall(205) });
    shard.at(204).drain();
    assert_eq!(shard.states("1"), "succeeded delayed");
    shard.at(205).drain();
    assert_eq!(shard.states("1"), "succeeded ready");
}

fn listing() -> Submit {
    let steps =
        [step("a", ""), step("b", r#""forEach":{"$from":"a"},"priority":"high""#), step("c", r#""dependsOn":["b"]"#)];
    flow("1", &steps.join(","))
}

#[test]
fn a_list_of_nothing_is_done_at_once() {
    let mut shard = Shard::default();
    shard.add(listing());
    shard.does("a", listed(&[(1, 0)]));
    assert_eq!(shard.states("1"), "succeeded succeeded ready");
    assert_eq!(shard.step("1", 1).state, StepStatus::Succeeded { output: None });
    assert_eq!(shard.counts().chores, 0);
}

#[test]
fn a_step_of_a_list_is_there_once_for_each_item_and_succeeds_with_the_last_one() {
    let mut shard = Shard::default();
    shard.add(listing());
    shard.does("a", listed(&[(1, 2)]));
    assert_eq!(shard.step("1", 1).state, StepStatus::Expanded { left: 2, count: 2 });
    shard.drain();
    assert_eq!(shard.states("1"), "succeeded expanded waiting ready ready");
    shard.does("b", succeeded("1"));
    assert_eq!(shard.step("1", 1).state, StepStatus::Expanded { left: 1, count: 2 });
    shard.does("b", succeeded("2"));
    assert_eq!(shard.states("1"), "succeeded succeeded ready succeeded succeeded");
    let outputs = shard.read(&Query::Outputs { task: id("1"), step: StepIndex(1), from: 0 });
    let expected = [Payload::inline(b"1"), Payload::inline(b"2")].into();
    assert_eq!(outputs, Answer::Outputs { is_list: true, outputs: expected, has_more: false });
    shard.does("c", succeeded("3"));
    assert_eq!(shard.status("1"), Status::Succeeded);
}

#[test]
fn a_long_list_is_expanded_piece_by_piece_in_order() {
    let mut shard = Shard::default();
    shard.add(listing());
    shard.does("a", listed(&[(1, 300)]));
    assert_eq!(shard.due(), Answer::Done { has_more: true });
    let made = shard.counts().ready;
    assert!((200..300).contains(&made), "{made} at once");
    let first = shard.names(256);
    assert_eq!(first.len() as u64, made, "what is there runs while the others are made");
    shard.drain();
    let rest = shard.names(256);
    let expected: Vec<String> = (0..300).map(|item| format!("b.{item}")).collect();
    assert_eq!([first, rest].concat(), expected);
}

#[test]
fn the_longest_list_is_done() {
    let mut shard = Shard::default();
    shard.add(listing());
    shard.does("a", listed(&[(1, 10_000)]));
    let entries = shard.drain();
    assert!((10_000 / 256..100).contains(&entries), "{entries} entries");
    while let Some(jobs) = Some(shard.claim(1, &["x"], 256)).filter(|jobs| !jobs.is_empty()) {
        jobs.iter().for_each(|job| drop(shard.report(job, succeeded("1"))));
    }
    assert_eq!(shard.status("1"), Status::Succeeded);
    shard.apply(&Command::Purge { before: wall(1) });
    shard.drain();
    assert_eq!(shard.counts().steps, 0);
}

#[test]
fn a_list_over_a_list_has_as_many_items_as_that_has_instances() {
    let mut shard = Shard::default();
    let steps = [
        step("a", ""),
        step("b", r#""forEach":{"$from":"a","path":"/list"}"#),
        step("c", r#""forEach":{"$from":"b"}"#),
        step("d", r#""forEach":{"$from":"c"},"dependsOn":["a"]"#),
    ];
    shard.add(flow("1", &steps.join(",")));
    let a = shard.does("a", listed(&[(1, 2)]));
    assert_eq!(a.lists.len(), 1, "the others follow from how many instances there are");
    for expected in [["b.0", "b.1"], ["c.0", "c.1"], ["d.0", "d.1"]] {
        shard.drain();
        let jobs = shard.claim(1, &["x"], 9);
        let names: Vec<String> =
            jobs.iter().map(|job| format!("{}.{}", job.name.as_ref().unwrap().as_str(), job.item.unwrap())).collect();
        assert_eq!(names, expected);
        assert!(jobs.iter().all(|job| job.lists.is_empty()));
        jobs.iter().for_each(|job| shard.succeed(job));
    }
    assert_eq!(shard.status("1"), Status::Succeeded);
    assert_eq!(shard.counts().steps, 10);
}

#[test]
fn a_list_over_an_empty_list_is_empty_and_all_of_it_is_done_with_one_entry() {
    let mut shard = Shard::default();
    let steps = [step("a", ""), step("b", r#""forEach":{"$from":"a"}"#), step("c", r#""forEach":{"$from":"b"}"#)];
    shard.add(flow("1", &steps.join(",")));
    shard.does("a", listed(&[(1, 0)]));
    assert_eq!((shard.states("1"), shard.status("1")), ("succeeded succeeded succeeded".into(), Status::Succeeded));
}

#[test]
fn what_is_no_list_cannot_be_repeated_for() {
    let mut shard = Shard::default();
    shard.add(listing());
    shard.does("a", succeeded("7"));
    assert_eq!((shard.states("1"), shard.status("1")), ("succeeded dead waiting".into(), Status::Dead));
    assert!(shard.step("1", 1).words.unwrap().contains("no list"));
}

#[test]
fn an_instance_that_is_dead_takes_its_step_with_it_when_the_others_have_ended() {
    let mut shard = Shard::default();
    shard.add(listing());
    shard.does("a", listed(&[(1, 3)]));
    shard.drain();
    shard.does("b", failed(false));
    assert_eq!(shard.states("1"), "succeeded expanded waiting dead ready ready");
    shard.does("b", succeeded("1"));
    shard.does("b", succeeded("1"));
    assert_eq!(shard.states("1"), "succeeded dead waiting dead succeeded succeeded");
    assert_eq!(shard.status("1"), Status::Dead);
}

#[test]
fn an_approval_asks_once_its_time_has_come_and_is_answered_once() {
    let mut shard = Shard::default();
    let steps = [
        step("a", ""),
        r#"{"id":"b","approval":"go on?","dependsOn":["a"]}"#.into(),
        step("c", r#""dependsOn":["b"]"#),
    ];
    shard.add(flow("1", &steps.join(",")));
    assert_eq!(shard.decide("1", "b", true), Answer::Refused(Refusal::NotAsking), "it is too early");
    assert_eq!(shard.decide("1", "a", true), Answer::Refused(Refusal::NotAsking));
    assert_eq!(shard.decide("1", "q", true), Answer::Refused(Refusal::NoStep));
    assert_eq!(shard.decide("2", "b", true), Answer::Refused(Refusal::NoTask));
    shard.does("a", succeeded("1"));
    assert_eq!(shard.states("1"), "succeeded asking waiting");
    assert_eq!(shard.claim(1, &["x"], 9), [], "no worker does it");
    assert_eq!(shard.decide("1", "b", true), no_more());
    assert_eq!(shard.states("1"), "succeeded succeeded ready");
    let said = StepStatus::Succeeded { output: Some(Payload::inline(b"so be it")) };
    assert_eq!(shard.step("1", 1).state, said);
    assert_eq!(shard.decide("1", "b", false), Answer::Refused(Refusal::NotAsking));
}

#[test]
fn a_rejected_approval_is_dead_with_the_words_and_is_asked_again_by_a_replay() {
    let mut shard = Shard::default();
    let steps = [r#"{"id":"b","approval":"go on?"}"#.into(), step("c", r#""dependsOn":["b"]"#)];
    shard.add(flow("1", &steps.join(",")));
    shard.decide("1", "b", false);
    assert_eq!((shard.states("1"), shard.status("1")), ("dead waiting".into(), Status::Dead));
    assert_eq!(shard.step("1", 0).words.as_deref(), Some("so be it"));
    shard.replay("1", 0);
    shard.drain();
    assert_eq!(shard.states("1"), "asking waiting");
    shard.decide("1", "b", true);
    shard.does("c", succeeded("1"));
    assert_eq!(shard.status("1"), Status::Succeeded);
}

#[test]
fn outputs_that_are_not_there_are_not_promised() {
    let mut shard = Shard::default();
    shard.add(listing());
    let outputs =
        |shard: &Shard, step| match shard.read(&Query::Outputs { task: id("1"), step: StepIndex(step), from: 0 }) {
            Answer::Outputs { outputs, has_more, .. } => (outputs.len(), has_more),
            other => panic!("outputs are {other:?}"),
        };
    assert_eq!(outputs(&shard, 0), (0, false), "whoever asks for more while there is more would ask for ever");
    shard.does("a", listed(&[(1, 3)]));
    shard.drain();
    shard.does("b", succeeded("1"));
    shard.does("b", failed(false));
    assert_eq!((outputs(&shard, 0), outputs(&shard, 1)), ((1, false), (1, false)));
}
