//! Rule T9: what is dead begins again, once for each generation.

use super::*;

fn dead(status: Status) -> Answer {
    Answer::Refused(Refusal::Status { status })
}

#[test]
fn a_replay_begins_again_with_all_attempts_and_a_higher_fence() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let first = shard.take();
    shard.report(&first, failed(false));
    assert_eq!(shard.replay("1", 0), Answer::Done { has_more: true });
    shard.drain();
    let view = shard.view("1").unwrap();
    assert_eq!((view.status, view.generation, view.ended, view.steps[0].attempts), (Status::Open, 1, None, 0));
    let second = shard.take();
    assert_eq!(second.attempt, 1);
    assert!(second.fence > first.fence);
    let late = shard.report(&first, failed(false));
    assert!(matches!(late, Answer::Reported | Answer::Refused(Refusal::Stale { .. })));
    assert!(shard.tasks.is_running(second.step, worker(1), second.fence));
    shard.succeed(&second);
    assert_eq!(shard.status("1"), Status::Succeeded);
}

#[test]
fn of_two_operators_who_replay_one_succeeds() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let job = shard.take();
    shard.report(&job, failed(false));
    shard.replay("1", 0);
    assert_eq!(shard.replay("1", 0), dead(Status::Open));
    shard.drain();
    assert_eq!(shard.replay("1", 0), dead(Status::Open));
    let job = shard.take();
    shard.report(&job, failed(false));
    assert_eq!(shard.replay("1", 0), dead(Status::Dead), "of a generation that is over");
    assert_eq!(shard.replay("1", 1), Answer::Done { has_more: true });
    assert_eq!(shard.view("1").unwrap().generation, 2);
}

#[test]
fn only_what_is_dead_is_replayed() {
    let mut shard = Shard::default();
    assert_eq!(shard.replay("1", 0), Answer::Refused(Refusal::NoTask));
    shard.add(one("1", "x"));
    assert_eq!(shard.replay("1", 0), dead(Status::Open));
    let job = shard.take();
    shard.succeed(&job);
    assert_eq!(shard.replay("1", 0), dead(Status::Succeeded));
}

fn listing(rest: &str) -> Submit {
    let steps = [step("a", ""), step("b", r#""forEach":{"$from":"a"}"#), step("c", r#""dependsOn":["b"]"#)];
    flow("1", &(steps.join(",") + rest))
}

#[test]
fn of_a_workflow_what_is_dead_begins_again_and_what_was_done_is_not_done_again() {
    let mut shard = Shard::default();
    shard.add(listing(&format!(",{}", step("d", ""))));
    let jobs = shard.claim(1, &["x"], 2);
    shard.report(&jobs[0], listed(&[(1, 3)]));
    shard.report(&jobs[1], failed(false));
    shard.drain();
    shard.does("b", failed(false));
    shard.does("b", succeeded("1"));
    shard.does("b", failed(false));
    assert_eq!(shard.states("1"), "succeeded dead waiting dead dead succeeded dead");
    shard.replay("1", 0);
    shard.drain();
    assert_eq!(shard.states("1"), "succeeded expanded waiting ready ready succeeded ready");
    assert_eq!(shard.names(9), ["d", "b.0", "b.2"]);
    shard.end(1, 99, Ended::Silent);
    shard.at(1_000).drain();
    (0..3).for_each(|_| {
        let job = shard.take();
        shard.succeed(&job);
    });
    shard.does("c", succeeded("1"));
    assert_eq!(shard.status("1"), Status::Succeeded);
}

#[test]
fn the_retention_begins_anew_when_a_replayed_task_ends() {
    let mut shard = Shard::default();
    shard.at(0).add(Submit { retention: Some(seconds(10)), ..one("1", "x") });
    let job = shard.take();
    shard.report(&job, failed(false));
    shard.at(9).replay("1", 0);
    shard.drain();
    shard.at(100).drain();
    let job = shard.take();
    shard.succeed(&job);
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(110)));
}

/// 300 instances, so that a replay takes several entries.
fn dead_instances(shard: &mut Shard) {
    shard.add(listing(""));
    shard.does("a", listed(&[(1, 300)]));
    shard.drain();
    for _ in 0..2 {
        let jobs = shard.claim(1, &["x"], 256);
        jobs.iter().for_each(|job| drop(shard.report(job, failed(false))));
    }
    assert_eq!(shard.status("1"), Status::Dead);
}

#[test]
fn a_replay_of_many_instances_begins_them_in_their_order() {
    let mut shard = Shard::default();
    dead_instances(&mut shard);
    shard.replay("1", 0);
    shard.drain();
    let names = [shard.names(256), shard.names(256)].concat();
    assert_eq!(names, (0..300).map(|item| format!("b.{item}")).collect::<Vec<_>>());
}

/// A cancel overtakes a replay that is under way: what has not begun again does not, and the task ends.
#[test]
fn a_cancel_in_the_middle_of_a_replay_ends_the_task() {
    for entries in 0..5 {
        let mut shard = Shard::default();
        dead_instances(&mut shard);
        shard.replay("1", 0);
        (0..entries).for_each(|_| drop(shard.due()));
        let running = shard.claim(1, &["x"], 2);
        shard.cancel("1", CancelMode::Soft);
        shard.drain();
        running.iter().for_each(|job| drop(shard.report(job, Outcome::Stopped)));
        assert_eq!(shard.status("1"), Status::Cancelled, "after {entries} entries");
        check::holds(&shard.tasks, &shard.blobs);
    }
}

/// The piece of the replay that ends between a step and its instances is the one that matters.
#[test]
fn a_cancel_between_a_step_and_its_instances_ends_the_task() {
    for before in 250..258 {
        let mut shard = Shard::default();
        let mut steps: Vec<String> = (0..before).map(|at| step(&format!("s{at}"), "")).collect();
        steps.push(step("b", r#""forEach":{"$from":"s0"}"#));
        shard.add(flow("1", &steps.join(",")));
        while let Some(jobs) = Some(shard.claim(1, &["x"], 256)).filter(|jobs| !jobs.is_empty()) {
            for job in jobs {
                let is_instance = job.item.is_some();
                shard.report(&job, if is_instance { failed(false) } else { listed(&[(before, 3)]) });
            }
            shard.drain();
        }
        shard.replay("1", 0);
        shard.due();
        shard.cancel("1", CancelMode::Hard);
        shard.drain();
        assert_eq!(shard.status("1"), Status::Cancelled, "{before} steps before");
    }
}

/// What dies behind a replay has died in the new generation: it is for the next replay.
#[test]
fn what_dies_while_a_replay_is_under_way_is_not_replayed_by_it() {
    let mut shard = Shard::default();
    let rest: Vec<String> = (3..600).map(|at| step(&format!("s{at}"), "")).collect();
    shard.add(listing(&format!(",{}", rest.join(","))));
    for _ in 0..3 {
        for job in shard.claim(1, &["x"], 256) {
            let outcome = if job.step.row == 0 { failed(false) } else { succeeded("1") };
            shard.report(&job, outcome);
        }
    }
    assert_eq!(shard.status("1"), Status::Dead);
    shard.replay("1", 0);
    // As soon as anything can be done it is, and all instances die.
    while shard.due() != no_more() {
        for job in shard.claim(1, &["x"], 9) {
            let outcome = if job.step.row == 0 { listed(&[(1, 2)]) } else { failed(false) };
            shard.report(&job, outcome);
        }
    }
    for job in shard.claim(1, &["x"], 9) {
        let outcome = if job.step.row == 0 { listed(&[(1, 2)]) } else { failed(false) };
        shard.report(&job, outcome);
        shard.drain();
    }
    for job in shard.claim(1, &["x"], 9) {
        shard.report(&job, failed(false));
    }
    check::holds(&shard.tasks, &shard.blobs);
    assert_eq!((shard.status("1"), shard.counts().ready), (Status::Dead, 0));
    shard.replay("1", 1);
    shard.drain();
    for job in shard.claim(1, &["x"], 9) {
        shard.succeed(&job);
    }
    shard.does("c", succeeded("1"));
    assert_eq!(shard.status("1"), Status::Succeeded);
}
