//! The agents of a node, as an operator wrote them down in `agents.toml`.
//!
//! The form of the file stands in `form`; here is what it means. A file is taken whole or not at all: one mistake, and
//! no agent of it is known. `docs/agents.md` has the table of fields.

mod form;

use form::FileForm;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Names of the built-in agents, which no other can have.
pub const BUILT_IN: [&str; 3] = ["echo", "fail", "sleep"];
/// Agents in one file.
pub const AGENTS_MAX: usize = 256;
/// Bytes of one file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// The longest that an agent may be given.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// One agent that is a child process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// The program: a path from the root, or a name to be found in `PATH`.
    pub command: String,
    /// What the program is given.
    pub args: Vec<String>,
    /// Where it runs; a fresh folder for each run where there is none.
    pub directory: Option<PathBuf>,
    /// Variables of the node's own environment that it may see, besides `PATH`.
    pub env: Vec<String>,
    /// Variables with a value.
    pub set: BTreeMap<String, String>,
    /// Time that a run may take.
    pub timeout: Duration,
    /// Bytes of output that a run may have.
    pub output_bytes_max: usize,
    /// Bytes of its standard error that are kept, from the end.
    pub stderr_bytes_max: usize,
    /// Time between SIGTERM and SIGKILL.
    pub kill_grace: Duration,
    /// Exit codes that mean success.
    pub success: Vec<u8>,
    /// Exit codes after which no other attempt is made. After any that stands in neither list, one is.
    pub dead: Vec<u8>,
}

/// All agents of a node but the built-in ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    agents: BTreeMap<String, Arc<Agent>>,
}

/// Why a file was not taken. None of its agents is known.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The file is there, but cannot be read.
    #[error("cannot read {}: {problem}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: io::Error,
    },
    /// The file is too large.
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It is not TOML, or has something else than `[[agent]]` at the top.
    #[error("the file of agents cannot be read: {0}")]
    Syntax(toml::de::Error),
    /// Too many agents.
    #[error("the file has {0} agents; at most {AGENTS_MAX} are allowed")]
    TooMany(usize),
    /// An agent without a name.
    #[error("the agent at place {0} has no `name`")]
    Nameless(usize),
    /// Two agents have the same name.
    #[error("agent `{0}` is there twice; give one of them another name")]
    Twice(String),
    /// A name that a built-in agent has.
    #[error("agent `{0}`: `name` is that of a built-in agent; choose another")]
    BuiltIn(String),
    /// A field is missing, unknown, or of another type.
    #[error("agent `{agent}`: {problem}")]
    Form {
        /// Which agent.
        agent: String,
        /// What is wrong, with the name of the field.
        problem: toml::de::Error,
    },
    /// A field has a value that it cannot have.
    #[error("agent `{agent}`: `{field}` {problem}")]
    Field {
        /// Which agent.
        agent: String,
        /// Which field.
        field: &'static str,
        /// What is wrong, and what it must be.
        problem: String,
    },
}

impl Catalog {
    /// The agents in the file at `path`; none where there is no such file.
    ///
    /// # Errors
    /// [`CatalogError`], also for the first mistake in any agent.
    pub fn load(path: &Path) -> Result<Self, CatalogError> {
        let failed = |problem| CatalogError::Io { path: path.to_owned(), problem };
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(problem) => return Err(failed(problem)),
        };
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(CatalogError::TooLarge(path.to_owned()));
        }
        Self::parse(&text)
    }

    /// The agents in the text of a file.
    ///
    /// # Errors
    /// [`CatalogError`], for the first mistake.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let file: FileForm = toml::from_str(text).map_err(CatalogError::Syntax)?;
        if file.agent.len() > AGENTS_MAX {
            return Err(CatalogError::TooMany(file.agent.len()));
        }
        let mut agents = BTreeMap::new();
        for (at, table) in file.agent.into_iter().enumerate() {
            let agent = form::agent(at, table)?;
            if let Some(earlier) = agents.insert(agent.name.clone(), Arc::new(agent)) {
                return Err(CatalogError::Twice(earlier.name.clone()));
            }
        }
        Ok(Self { agents })
    }

    /// The agent of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.get(name)
    }

    /// Names of all agents that can be run, built-in ones included, in order of their names within each kind.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        BUILT_IN.into_iter().chain(self.agents.keys().map(String::as_str))
    }
}
