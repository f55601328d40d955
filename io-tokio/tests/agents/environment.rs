//! What an agent finds around it.

use crate::stage::{Stage, job, soon, succeeded};
use relaymesh_io_tokio::agents::{Attempt, Job, Outcome};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn variables(output: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    output.lines().map(|line| pair(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

async fn environment(fields: &str, attempt: Attempt) -> BTreeMap<String, String> {
    let stage = Stage::of(&format!("command = 'env'\n{fields}"));
    let run = stage.runner.run(Job { attempt, ..job("it", 1, "") }).unwrap();
    variables(&succeeded(soon(run.outcome()).await.unwrap()))
}

#[tokio::test]
async fn an_agent_is_told_which_attempt_it_is_and_sees_nothing_else() {
    let attempt = Attempt {
        fence: "00000000000000010000000000000042".into(),
        idempotency_key: "order-7".into(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        task: "task-1".into(),
        step: "resize".into(),
        attempt: 3,
    };
    let seen = environment("set = { LANG = 'C', EMPTY = '' }", attempt).await;
    let path = std::env::var("PATH").unwrap();
    let expected = [
        ("EMPTY", ""),
        ("LANG", "C"),
        ("PATH", path.as_str()),
        ("RELAYMESH_ATTEMPT", "3"),
        ("RELAYMESH_FENCE", "00000000000000010000000000000042"),
        ("RELAYMESH_IDEMPOTENCY_KEY", "order-7"),
        ("RELAYMESH_STEP", "resize"),
        ("RELAYMESH_TASK", "task-1"),
        ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn a_variable_of_the_node_is_passed_on_when_it_is_listed() {
    // Whatever this process has: a test cannot set one without unsafe code.
    let is_plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_/.".contains(c));
    let is_usable = |(name, value): &(String, String)| name != "PATH" && is_plain(name) && is_plain(value);
    let (name, value) = std::env::vars().find(is_usable).expect("a process has some variables");
    let unlisted = environment("", Attempt::default()).await;
    assert_eq!(unlisted.get(&name), None);
    let listed = environment(&format!("env = ['{name}', 'RM_NO_SUCH_VARIABLE']"), Attempt::default()).await;
    assert_eq!(listed.get(&name), Some(&value));
    assert_eq!(listed.len(), unlisted.len() + 1, "one that the node does not have is not made up");
}

/// Neither what the node has opened nor what it was started with.
#[tokio::test]
async fn an_agent_holds_its_three_streams_and_nothing_of_the_node() {
    let left = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&left, rustix::io::FdFlags::empty()).unwrap();
    let stage = Stage::of("command = 'ls'\nargs = ['/proc/self/fd']");
    let held = succeeded(stage.outcome("").await);
    // The fourth is the folder that is being read.
    assert_eq!(held.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"], "{left:?} is open in the node");
}

/// The folder of a run that wrote something into it.
async fn folder(stage: &Stage) -> PathBuf {
    let Outcome::Succeeded { output } = stage.outcome("").await else { panic!("it failed") };
    String::from_utf8(output).unwrap().into()
}

#[tokio::test]
async fn each_run_has_a_fresh_folder_which_is_gone_afterwards() {
    let stage = Stage::new("mkdir -p a/b && : > a/b/file && : > fresh && printf %s \"$(pwd -P)\"");
    let (first, second) = (folder(&stage).await, folder(&stage).await);
    assert_ne!(first, second);
    let scratch = stage.scratch.path().canonicalize().unwrap();
    assert!(first.starts_with(&scratch) && second.starts_with(&scratch));
    assert_eq!(scratch.read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_of_the_operators_choice_is_used_and_stays() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().canonicalize().unwrap();
    let stage = Stage::with(": > mark; printf %s \"$(pwd -P)\"", &format!("directory = '{}'", path.display()));
    assert_eq!(folder(&stage).await, path);
    assert!(path.join("mark").exists() && is_empty(stage.scratch.path()));
}

fn is_empty(path: &Path) -> bool {
    path.read_dir().unwrap().next().is_none()
}
