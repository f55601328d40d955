//! Agents under the shipped binary: its hidden mode stands between a node and an agent. What an agent may do, and all the
//! ways in which it ends, are stories of `io-tokio/tests/agents`.

use relaymesh_io_tokio::agents::{Attempt, Catalog, Job, Outcome, RunKey, Runner, Settings, Shim, Why};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::timeout;

const PROGRAM: &str = env!("CARGO_BIN_EXE_relaymesh");
const AGENT: &str = "[[agent]]\nname = 'it'\ncommand = 'sh'\nargs = ['-c', 'cat; exit 3']\nexit = { success = [3] }";

/// A folder of one test's own: what one runner finds in its folder it removes.
fn scratch(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("agents-{}-{test}", std::process::id()))
}

#[tokio::test]
async fn an_agent_runs_under_the_shipped_binary() {
    let settings = Settings { shim: Shim::of(PROGRAM, ["agent-shim"]), scratch: scratch("shipped"), runs_max: 1 };
    let runner = Runner::new(Catalog::parse(AGENT).unwrap(), settings).unwrap();
    let attempt = Attempt::default();
    let job = Job { key: RunKey(1), agent: "it".into(), input: "hello".into(), attempt, timeout: None };
    let run = runner.run(job).unwrap();
    let outcome = timeout(Duration::from_secs(60), run.outcome()).await.unwrap();
    assert_eq!(outcome, Some(Outcome::Succeeded { output: "hello".into() }));
    std::fs::remove_dir(scratch("shipped")).expect("nothing is left in it");
}

#[tokio::test]
async fn a_binary_that_does_not_know_the_mode_is_no_success() {
    let settings = Settings { shim: Shim::of(PROGRAM, ["--version"]), scratch: scratch("other"), runs_max: 1 };
    let runner = Runner::new(Catalog::parse(AGENT).unwrap(), settings).unwrap();
    let attempt = Attempt::default();
    let job = Job { key: RunKey(1), agent: "it".into(), input: Vec::new(), attempt, timeout: None };
    let outcome = timeout(Duration::from_secs(60), runner.run(job).unwrap().outcome()).await.unwrap();
    // It ends before it was told the job, or after.
    let is_no_success = matches!(&outcome, Some(Outcome::Failed { why: Why::Unwatched | Why::NotStarted { .. }, .. }));
    assert!(is_no_success, "{outcome:?}");
}

#[test]
fn a_person_who_types_it_is_told_what_it_is() {
    let output = Command::new(PROGRAM).arg("agent-shim").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a node runs an agent"));
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("agent-shim"));
}
