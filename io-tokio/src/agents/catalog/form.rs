//! The form of `agents.toml`, its defaults, and the bounds of each field.

use super::{Agent, BUILT_IN, CatalogError, TIMEOUT_MAX};
use crate::agents::job::{RESERVED_PREFIX, TRACEPARENT};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

const NAME_CHARACTERS_MAX: usize = 64;
/// Bytes of `command` and `args` together, far below what the operating system takes.
const WORDS_BYTES_MAX: usize = 64 << 10;
const VARIABLES_MAX: usize = 256;
const TIMEOUT_MS: RangeInclusive<u64> = 1..=TIMEOUT_MAX.as_millis() as u64;
const OUTPUT_BYTES: RangeInclusive<u64> = 0..=10_000_000;
const STDERR_BYTES: RangeInclusive<u64> = 0..=1 << 20;
const KILL_GRACE_MS: RangeInclusive<u64> = 0..=300_000;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileForm {
    #[serde(default)]
    pub(super) agent: Vec<toml::Table>,
}

/// One agent, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentForm {
    name: String,
    command: String,
    #[serde(default)]
    args: Vec<String>,
    directory: Option<PathBuf>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default = "timeout_ms")]
    timeout_ms: u64,
    #[serde(default = "output_bytes_max")]
    output_bytes_max: u64,
    #[serde(default = "stderr_bytes_max")]
    stderr_bytes_max: u64,
    #[serde(default = "kill_grace_ms")]
    kill_grace_ms: u64,
    #[serde(default)]
    exit: ExitForm,
}

/// What its exit codes mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExitForm {
    #[serde(default = "success")]
    success: Vec<u8>,
    #[serde(default)]
    dead: Vec<u8>,
}

const fn timeout_ms() -> u64 {
    300_000
}

const fn output_bytes_max() -> u64 {
    1 << 20
}

const fn stderr_bytes_max() -> u64 {
    16 << 10
}

const fn kill_grace_ms() -> u64 {
    2_000
}

fn success() -> Vec<u8> {
    vec![0]
}

impl Default for ExitForm {
    fn default() -> Self {
        Self { success: success(), dead: Vec::new() }
    }
}

/// The agent in the table at place `at` of the file, the first one being at 1.
pub(super) fn agent(at: usize, table: toml::Table) -> Result<Agent, CatalogError> {
    let name = table.get("name").and_then(toml::Value::as_str).ok_or(CatalogError::Nameless(at + 1))?.to_owned();
    if BUILT_IN.contains(&name.as_str()) {
        return Err(CatalogError::BuiltIn(name));
    }
    let form = AgentForm::deserialize(table);
    let form = form.map_err(|problem| CatalogError::Form { agent: name.clone(), problem })?;
    form.check().map_err(|(field, problem)| CatalogError::Field { agent: name, field, problem })?;
    Ok(form.into_agent())
}

/// Which field is wrong, and what is wrong with it.
type Mistake = (&'static str, String);

impl AgentForm {
    fn check(&self) -> Result<(), Mistake> {
        self.check_name()?;
        self.check_words()?;
        self.check_variables()?;
        within("timeout_ms", self.timeout_ms, &TIMEOUT_MS)?;
        within("output_bytes_max", self.output_bytes_max, &OUTPUT_BYTES)?;
        within("stderr_bytes_max", self.stderr_bytes_max, &STDERR_BYTES)?;
        within("kill_grace_ms", self.kill_grace_ms, &KILL_GRACE_MS)?;
        self.exit.check()
    }

    fn check_name(&self) -> Result<(), Mistake> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        demand(
            (1..=NAME_CHARACTERS_MAX).contains(&self.name.len()) && self.name.chars().all(is_allowed),
            "name",
            || format!("must have 1 to {NAME_CHARACTERS_MAX} characters of A-Z, a-z, 0-9, `.`, `_` and `-`"),
        )
    }

    fn check_words(&self) -> Result<(), Mistake> {
        let has_path = self.command.contains('/');
        demand(!self.command.is_empty() && (!has_path || self.command.starts_with('/')), "command", || {
            format!("is `{}`; it must be a path from the root, or a name to be found in PATH", self.command)
        })?;
        demand(!self.command.contains('\0'), "command", || "has a zero byte".into())?;
        demand(!self.args.iter().any(|word| word.contains('\0')), "args", || "has a zero byte".into())?;
        let bytes = self.command.len() + self.args.iter().map(|word| word.len() + 1).sum::<usize>();
        demand(bytes <= WORDS_BYTES_MAX, "args", || {
            format!("and `command` have {bytes} bytes; at most {WORDS_BYTES_MAX} are allowed")
        })?;
        let Some(directory) = &self.directory else { return Ok(()) };
        let has_zero = directory.as_os_str().as_encoded_bytes().contains(&0);
        demand(directory.is_absolute() && !has_zero, "directory", || {
            format!("is `{}`; it must be a path from the root", directory.display())
        })
    }

    fn check_variables(&self) -> Result<(), Mistake> {
        let names = || self.env.iter().map(|name| ("env", name)).chain(self.set.keys().map(|name| ("set", name)));
        for (field, name) in names() {
            demand(is_variable(name), field, || {
                format!("names `{name}`; a variable has letters, digits and `_`, and does not begin with a digit")
            })?;
            demand(!name.starts_with(RESERVED_PREFIX) && name != TRACEPARENT, field, || {
                format!("names `{name}`, which the node sets itself for each run")
            })?;
        }
        demand(names().count() <= VARIABLES_MAX, "env", || {
            format!("and `set` name more than {VARIABLES_MAX} variables")
        })?;
        demand(!self.set.values().any(|value| value.contains('\0')), "set", || "has a zero byte".into())
    }

    fn into_agent(self) -> Agent {
        Agent {
            name: self.name,
            command: self.command,
            args: self.args,
            directory: self.directory,
            env: self.env,
            set: self.set,
            timeout: Duration::from_millis(self.timeout_ms),
            output_bytes_max: self.output_bytes_max as usize,
            stderr_bytes_max: self.stderr_bytes_max as usize,
            kill_grace: Duration::from_millis(self.kill_grace_ms),
            success: self.exit.success,
            dead: self.exit.dead,
        }
    }
}

impl ExitForm {
    fn check(&self) -> Result<(), Mistake> {
        demand(!self.success.is_empty(), "exit.success", || "is empty; then no run could succeed".into())?;
        let both = self.dead.iter().find(|code| self.success.contains(code));
        demand(both.is_none(), "exit.dead", || format!("has {}, which `exit.success` has, too", both.unwrap_or(&0)))
    }
}

fn is_variable(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn within(field: &'static str, value: u64, range: &RangeInclusive<u64>) -> Result<(), Mistake> {
    demand(range.contains(&value), field, || format!("is {value}; it must be {} to {}", range.start(), range.end()))
}

fn demand(holds: bool, field: &'static str, problem: impl FnOnce() -> String) -> Result<(), Mistake> {
    if holds { Ok(()) } else { Err((field, problem())) }
}
