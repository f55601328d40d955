//! A runner with one agent, and this program in other roles.

use relaymesh_io_tokio::agents::{
    Attempt, Catalog, Event, Job, Kill, Outcome, Run, RunKey, Runner, Settings, Shim, Why, shim,
};
use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// What only a process started by a story is given.
const ROLE: &str = "relaymesh-test-role=";

/// This program, to run one ignored test in a role.
pub(crate) fn arguments(test: &str, role: &str) -> [String; 6] {
    let role = format!("{ROLE}{role}");
    ["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1", &role].map(str::to_owned)
}

/// The role of this process: `None` where a person runs ignored tests.
pub(crate) fn role() -> Option<String> {
    std::env::args().find_map(|argument| argument.strip_prefix(ROLE).map(str::to_owned))
}

#[test]
#[ignore = "the process above an agent; other stories start it"]
fn as_another_process() {
    if role().is_some() {
        let _ = shim::main();
    }
}

pub(crate) fn own_shim() -> Shim {
    Shim::own(arguments("stage::as_another_process", "shim"))
}

pub(crate) fn settings(scratch: &Path) -> Settings {
    Settings { shim: own_shim(), scratch: scratch.to_owned(), runs_max: 4 }
}

/// A runner that knows the agent `it`.
pub(crate) struct Stage {
    pub(crate) runner: Runner,
    pub(crate) scratch: TempDir,
}

impl Stage {
    /// `it` is a script for `sh`.
    pub(crate) fn new(script: &str) -> Self {
        Self::with(script, "")
    }

    /// With more fields.
    pub(crate) fn with(script: &str, fields: &str) -> Self {
        Self::of(&format!("command = 'sh'\nargs = ['-c', '''{script}''']\n{fields}"))
    }

    /// `it` has these fields.
    pub(crate) fn of(fields: &str) -> Self {
        let catalog = Catalog::parse(&format!("[[agent]]\nname = 'it'\n{fields}")).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        Self { runner: Runner::new(catalog, settings(scratch.path())).unwrap(), scratch }
    }

    pub(crate) fn begin(&self, input: &str) -> Run {
        self.runner.run(job("it", 1, input)).unwrap()
    }

    pub(crate) async fn outcome(&self, input: &str) -> Outcome {
        soon(self.begin(input).outcome()).await.unwrap()
    }

    /// Kills the run, which may use its grace, and waits for its end.
    pub(crate) async fn kill(&self, run: Run) -> Outcome {
        assert!(self.runner.kill(RunKey(1), Kill::WithGrace));
        soon(run.outcome()).await.unwrap()
    }
}

pub(crate) fn job(agent: &str, key: u64, input: &str) -> Job {
    let attempt = Attempt { attempt: 1, ..Attempt::default() };
    Job { key: RunKey(key), agent: agent.into(), input: input.into(), attempt, timeout: None }
}

/// Waits for what must come, and fails when it does not.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what).await.expect("what the story waits for never came")
}

/// What the run says next in a line of progress: the way in which agents tell stories where they are.
pub(crate) async fn says(run: &mut Run) -> String {
    match soon(run.next()).await {
        Some(Event::Progress(progress)) => progress.text,
        other => panic!("{other:?}"),
    }
}

/// The numbers of processes in what a run says.
pub(crate) fn pids(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// Whether nothing is left of a process, not even a zombie.
pub(crate) fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether it runs no more. Where its last parent does not care, a zombie stays.
pub(crate) fn is_dead(pid: u32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.starts_with(" Z") || rest.starts_with(" X"))
}

/// Waits until something holds that no event tells of.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    soon(async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) fn succeeded(outcome: Outcome) -> String {
    match outcome {
        Outcome::Succeeded { output } => String::from_utf8(output).unwrap(),
        Outcome::Failed { why, stderr, .. } => panic!("{why}: {}", String::from_utf8_lossy(&stderr)),
    }
}

/// Why it failed, whether it may be tried again, and the end of what it wrote to its standard error.
pub(crate) fn failed(outcome: Outcome) -> (Why, bool, String) {
    match outcome {
        Outcome::Failed { retry, why, stderr } => (why, retry, String::from_utf8(stderr).unwrap()),
        Outcome::Succeeded { .. } => panic!("it succeeded"),
    }
}

/// This program in a role.
pub(crate) fn another(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments(test, role));
    command
}
