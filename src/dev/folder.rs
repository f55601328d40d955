//! The folder of a mesh on one machine.
//!
//! | name | what it is |
//! | --- | --- |
//! | `lock` | held while a process runs the mesh, so that two cannot |
//! | `seeds` | where each node listens, one a line, in order: how they find one another, and what a restart goes by |
//! | `processes` | the process of each, likewise |
//! | `agents.toml` | the agents that they run |
//! | `report.json` | a workflow for them |
//! | `logs/` | what they have written |
//! | `a/`, `b/`, … | the folders of the nodes |

use super::error::DevError;
use crate::error::Error;
use crate::whole::write_whole;
use relaymesh_core::envelope::ClusterKey;
use relaymesh_core::identity::ClusterId;
use relaymesh_io_tokio::entropy;
use relaymesh_io_tokio::folder::{Folder, FolderError};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::sleep;

/// The workflow that a new folder is given, and the agents that it needs.
pub(super) const WORKFLOW: &str = include_str!("../../docs/examples/report.json");
const AGENTS: &str = include_str!("../../docs/examples/report.toml");

/// How long nodes of an earlier run, which notice by themselves that nobody is there any more, are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Ports tried for each node: what is free for streams may be taken for datagrams.
const ATTEMPTS: usize = 32;

/// A folder that this process alone uses.
pub(super) struct Root {
    pub(super) path: PathBuf,
    /// Where each node listens.
    pub(super) endpoints: Vec<String>,
    /// Whether it was made just now.
    pub(super) is_new: bool,
    _lock: File,
}

impl Root {
    /// Takes it into use; makes it where it is not there, with so many nodes.
    pub(super) fn open(path: &Path, nodes: Option<usize>) -> Result<Self, Error> {
        let failed = |problem| Error::Write { path: path.into(), problem };
        let is_there = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        let seeds = path.join("seeds");
        if is_there && !path.join("lock").exists() {
            return Err(DevError::NotOurs(path.into()).into());
        }
        fs::create_dir_all(path).map_err(failed)?;
        let lock = lock(path)?;
        let is_new = !seeds.exists();
        let endpoints = match is_new {
            true => free_endpoints(nodes.unwrap_or(3))?,
            false => read(&seeds)?.lines().map(str::to_owned).collect(),
        };
        if let Some(asked) = nodes.filter(|asked| *asked != endpoints.len()) {
            return Err(DevError::OtherCount { root: path.into(), there: endpoints.len(), asked }.into());
        }
        let root = Self { path: path.into(), endpoints, is_new, _lock: lock };
        root.furnish()?;
        Ok(root)
    }

    /// What a new folder, or one that was not finished, lacks. The seeds come last: with them it is no new one any more.
    fn furnish(&self) -> Result<(), Error> {
        let logs = self.path.join("logs");
        fs::create_dir_all(&logs).map_err(|problem| Error::Write { path: logs, problem })?;
        if self.is_new {
            write_whole(&self.path.join("agents.toml"), AGENTS)?;
            write_whole(&self.path.join("report.json"), WORKFLOW)?;
            self.give_keys()?;
            self.write_seeds()?;
        }
        let agents = read(&self.path.join("agents.toml"))?;
        self.names().try_for_each(|name| write_whole(&self.node(&name).join("agents.toml"), &agents))
    }

    /// One cluster's key for all. Of a start that was cut short the first node may have one.
    fn give_keys(&self) -> Result<(), Error> {
        let key = match self.path.join("a/keyring") {
            there if there.exists() => crate::mesh::node::read_key(&there)?,
            _ => {
                let cluster = ClusterId::from_bytes(entropy::draw().map_err(Error::Entropy)?);
                ClusterKey::generate(cluster, entropy::draw().map_err(Error::Entropy)?).map_err(Error::Key)?
            }
        };
        self.names().try_for_each(|name| match Folder::give_first_key(&self.node(&name), &key) {
            Ok(()) | Err(FolderError::HasKeyring(_)) => Ok(()),
            Err(problem) => Err(Error::Folder(Box::new(problem))),
        })
    }

    fn write_seeds(&self) -> Result<(), Error> {
        write_whole(&self.seeds(), self.endpoints.join("\n") + "\n")
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> + use<> {
        ('a'..='z').map(String::from).take(self.endpoints.len())
    }

    pub(super) fn node(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    pub(super) fn seeds(&self) -> PathBuf {
        self.path.join("seeds")
    }

    /// A node listens elsewhere from now on.
    pub(super) fn moves(&mut self, at: usize, endpoint: String) -> Result<(), Error> {
        self.endpoints[at] = endpoint;
        self.write_seeds()
    }

    /// These processes run.
    pub(super) fn runs(&self, pids: impl Iterator<Item = Option<u32>>) -> Result<(), Error> {
        let lines: String = pids.map(|pid| pid.map(|pid| pid.to_string()).unwrap_or_default() + "\n").collect();
        write_whole(&self.path.join("processes"), lines)
    }

    /// Waits until no process of an earlier run uses the folder of a node.
    pub(super) async fn await_free(&self, at: usize) -> Result<(), Error> {
        let name = self.names().nth(at).unwrap_or_default();
        let mut waited = Duration::ZERO;
        while !is_free(&self.node(&name)) {
            if waited >= PATIENCE {
                let processes = fs::read_to_string(self.path.join("processes")).unwrap_or_default();
                let pid = processes.lines().nth(at).and_then(|line| line.parse().ok());
                return Err(DevError::Stale { name, pid }.into());
            }
            sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
        Ok(())
    }
}

/// Whether no process holds the lock of a node's folder.
fn is_free(node: &Path) -> bool {
    File::open(node.join("lock")).map_or(true, |lock| !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = path.join("lock");
    let failed = |problem| Error::Write { path: file.clone(), problem };
    let lock = OpenOptions::new().create(true).write(true).truncate(false).open(&file).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DevError::InUse(path.into()).into()),
        Err(TryLockError::Error(problem)) => Err(failed(problem)),
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|problem| Error::Read { path: path.into(), problem })
}

/// Places on this machine that nobody else has, for streams and datagrams alike. They are held until all are found, so that
/// they differ.
pub(super) fn free_endpoints(count: usize) -> Result<Vec<String>, Error> {
    let mut held: Vec<(TcpListener, UdpSocket)> = Vec::new();
    for _ in 0..count {
        held.push(free_endpoint().map_err(Error::Runtime)?);
    }
    held.iter().map(|(streams, _)| Ok(streams.local_addr().map_err(Error::Runtime)?.to_string())).collect()
}

fn free_endpoint() -> std::io::Result<(TcpListener, UdpSocket)> {
    let mut attempt = 1;
    loop {
        let streams = TcpListener::bind("127.0.0.1:0")?;
        match UdpSocket::bind(streams.local_addr()?) {
            Ok(datagrams) => return Ok((streams, datagrams)),
            Err(problem) if attempt == ATTEMPTS => return Err(problem),
            Err(_) => attempt += 1,
        }
    }
}
