//! A mesh on one machine, and commands on it.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_relaymesh");
/// How long a test waits for what must come. Far longer than it takes on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own, which goes with the test. Its path is short: that of a socket in it may not be long.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rd-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A mesh that runs.
pub(crate) struct Mesh {
    pub(crate) process: Child,
    said: Value,
}

impl Mesh {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["dev", "-o", "json", "--dir"]).arg(folder).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        // One JSON value, whose last line is its brace.
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut text = String::new();
        for line in lines.by_ref() {
            text += &line;
            if line == "}" {
                break;
            }
        }
        Self { process, said: serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem}: {text}")) }
    }

    pub(crate) fn pids(&self) -> Vec<u64> {
        self.said["nodes"].as_array().unwrap().iter().map(|node| node["process"].as_u64().unwrap()).collect()
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.said["nodes"].as_array().unwrap().iter().map(|node| node["endpoint"].to_string()).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.process.id().into());
    }

    /// The folder of its first node.
    pub(crate) fn dir(&self) -> String {
        self.said["nodes"][0]["dir"].as_str().unwrap().to_owned()
    }

    /// Runs a command on its first node.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).args(arguments).args(["--dir", &self.dir()]).output().unwrap()
    }

    /// What it says to programs, where it succeeds.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["-o", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < PATIENCE, "never came about: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

pub(crate) fn runs(pid: &u64) -> bool {
    // One that has ended and was not waited for is none any more.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub(crate) fn signal(name: &str, pid: u64) {
    let line = format!("kill -{name} {pid}");
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
}
