//! How runs end by themselves.

use crate::stage::{Stage, failed, is_gone, job, pids, says, soon, succeeded};
use relaymesh_io_tokio::agents::{Outcome, Why};

#[tokio::test]
async fn what_an_agent_writes_is_its_output() {
    let stage = Stage::new("printf 'got: '; cat");
    assert_eq!(succeeded(stage.outcome("some input").await), "got: some input");
}

#[tokio::test]
async fn exit_codes_mean_what_the_agent_says_they_mean() {
    let stage = Stage::with(r#"exit "$(cat)""#, "exit = { success = [0, 7], dead = [65] }");
    for code in ["0", "7"] {
        assert_eq!(succeeded(stage.outcome(code).await), "");
    }
    for (code, retry) in [(1, true), (65, false), (255, true)] {
        let (why, may_retry, _) = failed(stage.outcome(&code.to_string()).await);
        assert_eq!((why, may_retry), (Why::Exit(code), retry));
    }
}

#[tokio::test]
async fn a_signal_is_no_exit_code() {
    // One that nobody can have it ignore: whoever starts the tests may ignore others, and agents inherit that.
    let (why, retry, _) = failed(Stage::new("kill -KILL $$").outcome("").await);
    assert_eq!((why, retry), (Why::Signal(9), true));
}

#[tokio::test]
async fn the_end_of_what_it_complains_about_is_kept() {
    let stage = Stage::with("printf 'a long story' >&2; printf ', its end' >&2; exit 1", "stderr_bytes_max = 7");
    assert_eq!(failed(stage.outcome("").await), (Why::Exit(1), true, "its end".into()));
}

#[tokio::test]
async fn input_that_nobody_reads_holds_nothing_up() {
    let input = "x".repeat(5_000_000);
    for script in ["exit 0", "exec <&-; exit 0", "printf '' | cat"] {
        assert_eq!(succeeded(Stage::new(script).outcome(&input).await), "", "{script}");
    }
}

#[tokio::test]
async fn large_input_passes_through_whole() {
    let input: String = (0..700_000).map(|number| format!("{number} ")).collect();
    let stage = Stage::of("command = 'cat'\noutput_bytes_max = 10_000_000");
    assert!(input.len() > 4_700_000 && succeeded(stage.outcome(&input).await) == input);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    for (command, words) in [("no-such-program-anywhere", "os error 2"), ("/dev/null", "os error 13")] {
        let (why, retry, _) = failed(Stage::of(&format!("command = '{command}'")).outcome("in vain").await);
        assert!(retry && matches!(&why, Why::NotStarted { error } if error.contains(command)), "{why}");
        assert!(why.to_string().contains(words), "{why}");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let stage = Stage::of("command = 'cat'\ndirectory = '/no/such/folder'");
    let (why, ..) = failed(stage.outcome("").await);
    assert!(why.to_string().contains("`directory` /no/such/folder"), "{why}");
}

#[tokio::test]
async fn an_agent_that_this_node_does_not_have_is_an_outcome() {
    let stage = Stage::new("exit 0");
    let run = stage.runner.run(job("other", 1, "")).unwrap();
    assert_eq!(
        soon(run.outcome()).await,
        Some(Outcome::Failed { retry: true, why: Why::UnknownAgent, stderr: vec![] })
    );
}

#[tokio::test]
async fn built_in_agents_are_there_without_being_listed() {
    let stage = Stage::new("exit 0");
    let run = stage.runner.run(job("echo", 1, "hello")).unwrap();
    assert_eq!(succeeded(soon(run.outcome()).await.unwrap()), "hello");
    let run = stage.runner.run(job("fail", 1, r#"{"dead": true}"#)).unwrap();
    assert_eq!(failed(soon(run.outcome()).await.unwrap()), (Why::OnPurpose, false, String::new()));
}

#[tokio::test]
async fn what_an_agent_leaves_behind_does_not_outlive_it() {
    // The rest holds its output open, too, and would keep a reader waiting.
    let stage = Stage::new("sleep 1000 & printf 'progress: 1 %s %s %s\n' $$ $! $PPID >&2; cat; exit 0");
    let mut run = stage.begin("done");
    let processes = pids(&says(&mut run).await);
    assert_eq!(succeeded(soon(run.outcome()).await.unwrap()), "done");
    assert!(processes.into_iter().all(is_gone), "agent, what it started, and the process above it");
}
