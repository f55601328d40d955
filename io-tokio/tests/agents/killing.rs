//! Runs that are killed.

use crate::stage::{Stage, another, arguments, failed, is_dead, is_gone, pids, role, says, soon, succeeded};
use relaymesh_io_tokio::agents::{Kill, RunKey, Why};
use std::io::{BufRead, BufReader, Write};
use std::process::{Stdio, id};

#[tokio::test]
async fn an_agent_may_say_good_bye() {
    let stage = Stage::with(
        // It starts nothing: a process that is told before it is what it is to be would not listen.
        "trap 'printf bye >&2; exit 0' TERM; printf 'progress: 1 ready\n' >&2; while :; do :; done",
        "kill_grace_ms = 300000",
    );
    let mut run = stage.begin("");
    assert_eq!(says(&mut run).await, "ready");
    let (why, retry, stderr) = failed(stage.kill(run).await);
    assert_eq!((why, retry), (Why::Killed, true));
    assert!(stderr.ends_with("bye"), "{stderr}");
}

#[tokio::test]
async fn so_may_what_it_started_after_its_own_end() {
    let stage = Stage::with(
        "sh -c 'trap \"printf late >&2; exit\" TERM; printf \"progress: 1 ready\\n\" >&2; while :; do :; done' & wait",
        "kill_grace_ms = 300000",
    );
    let mut run = stage.begin("");
    assert_eq!(says(&mut run).await, "ready");
    let (why, _, stderr) = failed(stage.kill(run).await);
    assert_eq!(why, Why::Killed);
    assert!(stderr.ends_with("late"), "{stderr}");
}

#[tokio::test]
async fn whoever_ignores_the_order_dies_all_the_same() {
    let stage = Stage::with(
        "trap '' TERM; sleep 1000 & printf 'progress: 1 %s %s %s\n' $$ $! $PPID >&2; while :; do wait; done",
        "kill_grace_ms = 30",
    );
    let mut run = stage.begin("");
    let processes = pids(&says(&mut run).await);
    assert_eq!(failed(stage.kill(run).await).0, Why::Killed);
    assert!(processes.into_iter().all(is_gone));
}

#[tokio::test]
async fn a_run_that_has_just_begun_can_be_killed() {
    let stage = Stage::new("sleep 1000");
    let run = stage.begin("");
    assert_eq!(failed(stage.kill(run).await).0, Why::Killed);
    assert_eq!(stage.runner.under_way(), 0);
}

#[tokio::test]
async fn a_second_order_changes_nothing() {
    let stage = Stage::with(
        "trap '' TERM; printf 'progress: 1 ready\n' >&2; while :; do sleep 1000; done",
        "kill_grace_ms = 30",
    );
    let mut run = stage.begin("");
    assert_eq!(says(&mut run).await, "ready");
    stage.runner.kill(RunKey(1), Kill::WithGrace);
    assert_eq!(failed(stage.kill(run).await).0, Why::Killed);
    assert!(!stage.runner.kill(RunKey(1), Kill::WithGrace), "it is over");
}

/// An agent whose claim is over: another attempt may run already.
#[tokio::test]
async fn at_once_there_is_no_grace_also_where_it_was_being_used() {
    for first in [None, Some(Kill::WithGrace)] {
        let stage = Stage::with(
            "trap 'printf \"progress: 2 leaving\n\" >&2; sleep 1000' TERM; printf 'progress: 1 ready\n' >&2; sleep 1000 & wait",
            "kill_grace_ms = 300000",
        );
        let mut run = stage.begin("");
        assert_eq!(says(&mut run).await, "ready");
        if let Some(first) = first {
            assert!(stage.runner.kill(RunKey(1), first));
            assert_eq!(says(&mut run).await, "leaving");
        }
        assert!(stage.runner.kill(RunKey(1), Kill::AtOnce));
        let (why, _, stderr) = failed(soon(run.outcome()).await.unwrap());
        assert_eq!((why, stderr.contains("leaving")), (Why::Killed, first.is_some()));
    }
}

/// An agent that starts a daemon: a process in a session of its own, whose parent ends.
const IS_ONE: &str = "has become a daemon";
const MAKES_A_DAEMON: &str = "killing::a_daemon_and_who_starts_it";

fn with_a_daemon(then: &str) -> Stage {
    let program = std::env::current_exe().unwrap();
    let words = arguments(MAKES_A_DAEMON, "parent").map(|word| format!("'{word}'")).join(" ");
    // What the test harness prints goes nowhere.
    let script = format!("\"{}\" {words} > /dev/null; {then}", program.display());
    Stage::of(&format!(
        "command = 'sh'\nargs = ['-c', \"\"\"{}\"\"\"]\nkill_grace_ms = 30",
        script.replace('"', "\\\"")
    ))
}

#[test]
#[ignore = "another process of the stories below"]
#[expect(clippy::zombie_processes, reason = "what becomes of it is what the stories are about")]
fn a_daemon_and_who_starts_it() {
    match role().as_deref() {
        Some("parent") => {
            let mut daemon = another(MAKES_A_DAEMON, "daemon");
            let mut daemon = daemon.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines().map(Result::unwrap);
            assert!(lines.any(|line| line.contains(IS_ONE)));
        }
        Some("daemon") => {
            rustix::process::setsid().unwrap();
            writeln!(std::io::stderr(), "progress: 1 {}", id()).unwrap();
            println!("{IS_ONE}");
            loop {
                std::thread::park();
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn a_daemon_does_not_outlive_a_run_that_is_killed() {
    let stage = with_a_daemon("sleep 1000");
    let mut run = stage.begin("");
    let daemon = pids(&says(&mut run).await)[0];
    assert!(!is_dead(daemon));
    assert_eq!(failed(stage.kill(run).await).0, Why::Killed);
    assert!(is_gone(daemon));
}

#[tokio::test]
async fn nor_one_that_succeeds() {
    let stage = with_a_daemon("cat");
    let mut run = stage.begin("done");
    let daemon = pids(&says(&mut run).await)[0];
    assert_eq!(succeeded(soon(run.outcome()).await.unwrap()), "done");
    assert!(is_gone(daemon));
}

#[tokio::test]
async fn an_agent_that_kills_the_process_above_it_dies_with_it() {
    let stage = Stage::new("sleep 1000 & printf 'progress: 1 %s %s\n' $$ $! >&2; read line; kill -9 $PPID; wait");
    let mut run = stage.begin("go\n");
    let said = says(&mut run).await;
    assert_eq!(failed(soon(run.outcome()).await.unwrap()).0, Why::Unwatched);
    assert!(pids(&said).into_iter().all(is_dead));
}
