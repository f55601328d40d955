//! The nodes: processes of their own, made a mesh of with the commands that an operator would type.
//!
//! Each has a standard input that nobody writes to, and ends when it is closed, so that none outlives this process even where
//! it is killed.

use super::options::Options;
use super::problem::Problem;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_relaymesh");
/// What nodes are called, in the order in which they start. The first three are the control group.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// The namespace that is measured.
pub(crate) const NAMESPACE: &str = "default";
/// How long the mesh may take to become ready. Far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at what is waited for.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// A folder of its own, which goes with it. Its path is short: that of a socket in it may not be long.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(within: Option<&Path>) -> Result<Self, Problem> {
        let within = within.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let path = within.join(format!("rb-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|problem| Problem::File { path: path.clone(), problem })?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A node that runs. Dropped, it is killed, and waited for.
pub(crate) struct Node {
    pub(crate) folder: PathBuf,
    /// What people call it.
    pub(crate) name: &'static str,
    /// As the cluster calls it.
    pub(crate) id: String,
    endpoint: String,
    process: Child,
    /// Kept open, so that the node can write.
    _said: BufReader<ChildStdout>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Node {
    /// Starts it at a port that the system chooses, and waits until it says where it is.
    fn start(mut command: Command, name: &'static str, folder: PathBuf, log: &Path) -> Result<Self, Problem> {
        let failed = |problem| Problem::File { path: log.to_path_buf(), problem };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log).map_err(failed)?);
        let mut process = command.spawn().map_err(Problem::Runtime)?;
        let said = process.stdout.take().ok_or_else(|| Problem::Runtime(std::io::ErrorKind::BrokenPipe.into()));
        let mut node =
            Self { folder, name, id: String::new(), endpoint: String::new(), process, _said: BufReader::new(said?) };
        let mut line = String::new();
        node._said.read_line(&mut line).map_err(failed)?;
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        let ["node", id, "of", "cluster", _, "at", endpoint] = words[..] else {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            return Err(Problem::NotStarted { name, log });
        };
        (node.id, node.endpoint) = (id.to_owned(), endpoint.to_owned());
        Ok(node)
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Runs a command on it until it succeeds.
    async fn done(&self, what: &'static str, words: &[&str]) -> Result<(), Problem> {
        let begun = Instant::now();
        loop {
            let output = Command::new(PROGRAM).args(words).arg("--dir").arg(&self.folder).output();
            let output = output.map_err(Problem::Runtime)?;
            if output.status.success() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let last = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Problem::Never { what, seconds: PATIENCE.as_secs(), last });
            }
            sleep(PAUSE).await;
        }
    }
}

/// Nodes that agree on who they are, and serve a namespace.
pub(crate) struct Mesh(pub(crate) Vec<Node>);

impl Mesh {
    /// So many nodes, three at least.
    pub(crate) async fn start(place: &Place, options: &Options, nodes: usize) -> Result<Self, Problem> {
        let mut mesh = Self(Vec::new());
        for _ in 0..nodes {
            mesh.add(place, options).await?;
        }
        let (shards, copies) = (options.shards.to_string(), options.copies.to_string());
        let founded = ["cluster-init", "--with", NAMES[1], "--with", NAMES[2]];
        let declared = ["namespace-declare", NAMESPACE, "--shards", &shards, "--copies", &copies, "--minimum", "2"];
        mesh.0[0].done("a control group of three", &founded).await?;
        mesh.0[0].done("a control group that knows of shards", &["cluster-activate", "2"]).await?;
        mesh.0[0].done("a namespace", &declared).await?;
        Ok(mesh)
    }

    /// One more node. Whatever else there is to do goes on while it starts.
    pub(crate) async fn add(&mut self, place: &Place, options: &Options) -> Result<(), Problem> {
        let name = NAMES[self.0.len()];
        let (folder, log) = (place.path().join(name), place.path().join(format!("{name}.log")));
        let mut command = Command::new(PROGRAM);
        command.arg("node").arg("--dir").arg(&folder).args(["--name", name, "--end-with-stdin"]);
        command.args(["--capacity", &options.capacity.to_string()]);
        match self.0.first() {
            None => drop(command.arg("--new-cluster")),
            Some(first) => {
                command.arg("--key-file").arg(first.folder.join("keyring")).args(["--seed", &first.endpoint]);
            }
        }
        let started = spawn_blocking(move || Node::start(command, name, folder, &log)).await;
        self.0.push(started.map_err(|problem| Problem::Runtime(problem.into()))??);
        Ok(())
    }
}
