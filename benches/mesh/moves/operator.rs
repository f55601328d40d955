//! The commands that an operator would type, as processes of their own, and what they say as JSON.

use super::super::options::Options;
use super::super::problem::Problem;
use super::super::processes::{Mesh, PROGRAM};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Command;
use tokio::task::spawn_blocking;

/// Who types commands, always at the first node, which is not drained.
pub(crate) struct Operator {
    folder: PathBuf,
    asked: &'static str,
    parallel: Option<u16>,
}

/// A node as a place for shards.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) standing: String,
    pub(crate) owned: u64,
    pub(crate) copies: u64,
}

/// How much moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Moves {
    /// Shards, in any way.
    #[serde(rename = "moves")]
    pub(crate) shards: u64,
    /// Shards that another node comes to own.
    pub(crate) owners: u64,
    /// Copies that are made.
    pub(crate) copies: u64,
}

/// A shard that moves.
#[derive(Debug, Deserialize)]
struct Move {
    owner: bool,
    copies: u64,
}

impl Moves {
    fn of(moves: &[Move]) -> Self {
        Self {
            shards: moves.len() as u64,
            owners: moves.iter().filter(|one| one.owner).count() as u64,
            copies: moves.iter().map(|one| one.copies).sum(),
        }
    }
}

impl Operator {
    pub(crate) fn of(mesh: &Mesh, options: &Options) -> Self {
        Self { folder: mesh.0[0].folder.clone(), asked: mesh.0[0].name, parallel: options.parallel }
    }

    /// The node that is asked.
    pub(crate) fn asked(&self) -> &'static str {
        self.asked
    }

    pub(crate) async fn peers(&self) -> Result<Vec<Peer>, Problem> {
        self.json(&["mesh", "peers", "list"]).await
    }

    /// What would move now, if nodes were as `changes` say.
    pub(crate) async fn simulate(&self, changes: &[&str]) -> Result<Moves, Problem> {
        self.json(&[&["mesh", "shards", "simulate", "--all"], changes].concat()).await
    }

    /// What the newest plan has moved.
    pub(crate) async fn diff(&self) -> Result<Moves, Problem> {
        Ok(Moves::of(&self.json::<Vec<Move>>(&["mesh", "shards", "diff"]).await?))
    }

    /// Until nothing is left on the node.
    pub(crate) async fn drain(&self, node: &str) -> Result<(), Problem> {
        self.done(&["mesh", "peers", "drain", node]).await.map(drop)
    }

    pub(crate) async fn uncordon(&self, node: &str) -> Result<(), Problem> {
        self.done(&["mesh", "peers", "uncordon", node]).await.map(drop)
    }

    /// Until everything is where it ought to be.
    pub(crate) async fn rebalance(&self) -> Result<(), Problem> {
        let parallel = self.parallel.map(|parallel| parallel.to_string());
        let given = parallel.as_deref().map_or_else(Vec::new, |parallel| vec!["--parallel", parallel]);
        self.done(&[&["mesh", "shards", "rebalance", "--all", "--yes"][..], &given].concat()).await.map(drop)
    }

    async fn json<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T, Problem> {
        let said = self.done(&[words, &["-o", "json"]].concat()).await?;
        serde_json::from_str(&said).map_err(|_| Problem::Command { words: words.join(" "), said })
    }

    /// What it says to programs. Clients go on meanwhile.
    async fn done(&self, words: &[&str]) -> Result<String, Problem> {
        let mut command = Command::new(PROGRAM);
        command.args(words).arg("--dir").arg(&self.folder);
        let output =
            spawn_blocking(move || command.output()).await.map_err(|problem| Problem::Runtime(problem.into()))?;
        let output = output.map_err(Problem::Runtime)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
                Err(Problem::Command { words: words.join(" "), said })
            }
        }
    }
}
