//! Many runs, and their end together.

use crate::stage::{Stage, failed, is_gone, job, pids, says, settings, soon};
use relaymesh_io_tokio::agents::{Catalog, Kill, Outcome, Refused, RunKey, Runner, Why};
use std::fs;

#[tokio::test]
async fn no_more_run_at_once_than_may() {
    let stage = Stage::new("sleep 1000");
    let runs: Vec<_> = (1..=4).map(|key| stage.runner.run(job("it", key, "")).unwrap()).collect();
    assert_eq!(stage.runner.under_way(), 4);
    assert_eq!(stage.runner.run(job("echo", 5, "")).unwrap_err(), Refused::Full(4));
    assert_eq!(stage.runner.run(job("echo", 4, "")).unwrap_err(), Refused::UnderWay(RunKey(4)));
    assert!(stage.runner.kill(RunKey(2), Kill::AtOnce) && !stage.runner.kill(RunKey(5), Kill::AtOnce));
    let mut runs = runs.into_iter();
    assert_eq!(failed(soon(runs.nth(1).unwrap().outcome()).await.unwrap()).0, Why::Killed);
    // Its place and its key are free as soon as its end is known.
    let again = stage.runner.run(job("echo", 2, "again")).unwrap();
    assert_eq!(soon(again.outcome()).await, Some(Outcome::Succeeded { output: "again".into() }));
}

#[tokio::test]
async fn when_all_is_stopped_nothing_is_left() {
    let stage = Stage::with("sleep 1000 & printf 'progress: 1 %s %s\n' $$ $! >&2; wait", "kill_grace_ms = 100");
    let mut runs: Vec<_> = (1..=3).map(|key| stage.runner.run(job("it", key, "")).unwrap()).collect();
    let mut processes = Vec::new();
    for run in &mut runs {
        processes.extend(pids(&says(run).await));
    }
    // Nobody listens to this one.
    drop(runs.pop());
    soon(stage.runner.stop()).await;
    assert!(processes.into_iter().all(is_gone));
    assert_eq!(stage.scratch.path().read_dir().unwrap().count(), 0);
    assert_eq!(stage.runner.run(job("echo", 9, "")).unwrap_err(), Refused::Stopping);
    for run in runs {
        assert_eq!(failed(soon(run.outcome()).await.unwrap()).0, Why::Killed);
    }
}

#[tokio::test]
async fn runs_do_not_outlive_their_runner() {
    let stage = Stage::new("sleep 1000 & printf 'progress: 1 %s %s\n' $$ $! >&2; wait");
    let mut run = stage.begin("");
    let processes = pids(&says(&mut run).await);
    drop(stage);
    assert_eq!(failed(soon(run.outcome()).await.unwrap()).0, Why::Killed);
    assert!(processes.into_iter().all(is_gone));
}

#[tokio::test]
async fn what_an_earlier_runner_left_behind_is_removed_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let scratch = place.path().join("new/scratch");
    fs::create_dir_all(scratch.join("run-00000000000000aa/deep")).unwrap();
    fs::create_dir(scratch.join("run-mine")).unwrap();
    fs::write(scratch.join("note"), "").unwrap();
    Runner::new(Catalog::default(), settings(&scratch)).unwrap();
    let mut left: Vec<_> = scratch.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["note", "run-mine"]);
}

#[tokio::test]
async fn a_scratch_folder_that_cannot_be_used_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Runner::new(Catalog::default(), settings(&file)).unwrap_err();
    assert!(refused.to_string().contains(file.to_str().unwrap()), "{refused}");
}
