//! The processes of a mesh on one machine: started, looked after, ended.
//!
//! A node is a child whose standard input is a pipe that nobody writes to: when the pipe is closed, by us or because we are
//! no more, the node ends itself. So none outlives this process for longer than it takes to notice.

use super::error::DevError;
use super::folder::Root;
use crate::error::Error;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::time::sleep;

/// How long a node may take to end.
const GOOD_BYE: Duration = Duration::from_secs(10);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Bytes of a log that are shown when its node has ended.
const TAIL_BYTES: usize = 1_000;

/// The nodes, each with its process while it has one.
pub(super) struct Nodes {
    pub(super) root: Root,
    pub(super) all: Vec<Node>,
    /// Agents that each runs at once.
    capacity: u16,
}

/// A node.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) endpoint: String,
    log: PathBuf,
    process: Option<Child>,
}

impl Nodes {
    /// Those of the folder; none runs yet.
    pub(super) fn of(root: Root, capacity: u16) -> Self {
        let node = |(name, endpoint): (String, &String)| Node {
            dir: root.node(&name),
            log: root.log(&name),
            endpoint: endpoint.clone(),
            process: None,
            name,
        };
        let all = root.names().zip(&root.endpoints).map(node).collect();
        Self { root, all, capacity }
    }

    /// Starts all of them.
    pub(super) async fn start(&mut self) -> Result<(), Error> {
        for at in 0..self.all.len() {
            self.root.await_free(at).await?;
        }
        for at in 0..self.all.len() {
            self.start_one(at)?;
        }
        Ok(())
    }

    /// Starts one, where it listened before; where that is taken by now, the system chooses.
    pub(super) fn start_one(&mut self, at: usize) -> Result<(), Error> {
        if !is_free(&self.all[at].endpoint) {
            let endpoint = super::folder::free_endpoints(1)?.remove(0);
            self.all[at].endpoint.clone_from(&endpoint);
            self.root.moves(at, endpoint)?;
        }
        let node = &mut self.all[at];
        let log = OpenOptions::new().create(true).append(true).open(&node.log);
        let log = log.map_err(|problem| Error::Write { path: node.log.clone(), problem })?;
        // What runs is the image that this process runs, also where its file was replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("relaymesh").arg("node").arg("--dir").arg(&node.dir);
        command.args(["--name", &node.name, "--listen", &node.endpoint, "--capacity", &self.capacity.to_string()]);
        command.arg("--seeds-file").arg(self.root.seeds()).arg("--end-with-stdin");
        command.stdin(Stdio::piped()).stdout(copy(&log)?).stderr(log);
        // A Ctrl-C at the terminal is for us alone: we end them.
        let child = command.process_group(0).spawn().map_err(Error::Runtime)?;
        node.process = Some(child);
        self.root.runs(self.all.iter().map(Node::pid))
    }

    /// Fails when one has ended that should run.
    pub(super) fn all_run(&mut self) -> Result<(), Error> {
        for node in &mut self.all {
            if let Some(Some(_)) = node.process.as_mut().map(|child| child.try_wait().unwrap_or_default()) {
                node.process = None;
                let (name, log) = (node.name.clone(), node.log.clone());
                return Err(DevError::Ended { name, tail: tail(&log), log }.into());
            }
        }
        Ok(())
    }

    /// The first one that has ended since it was looked for last, and how.
    pub(super) fn ended(&mut self) -> Option<(usize, ExitStatus)> {
        self.all.iter_mut().enumerate().find_map(|(at, node)| {
            let status = node.process.as_mut()?.try_wait().ok()??;
            node.process = None;
            Some((at, status))
        })
    }

    /// Ends all of them, and waits until they have.
    pub(super) async fn stop(&mut self) {
        for node in &mut self.all {
            drop(node.process.as_mut().and_then(|child| child.stdin.take()));
        }
        let mut waited = Duration::ZERO;
        while self.all.iter_mut().any(Node::runs) && waited < GOOD_BYE {
            sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
        self.all.iter_mut().for_each(Node::kill);
    }
}

impl Node {
    /// Its process, while it has one.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Whether it has one that has not ended.
    pub(super) fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Nothing is left behind, however we end.
impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy(log: &File) -> Result<File, Error> {
    log.try_clone().map_err(Error::Runtime)
}

/// Whether nobody listens there now. Somebody may a moment later; then the node says so and ends.
fn is_free(endpoint: &str) -> bool {
    std::net::TcpListener::bind(endpoint).is_ok() && std::net::UdpSocket::bind(endpoint).is_ok()
}

/// What a node has written last.
fn tail(log: &std::path::Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let end = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL_BYTES)..]).into_owned();
    end.lines().map(|line| format!("  {line}\n")).collect::<String>().trim_end().to_owned()
}
