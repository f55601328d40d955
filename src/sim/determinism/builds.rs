//! Other builds of the same source: how they are made, and how they are asked for hashes and traces.

use crate::cli::Selection;
use crate::error::Error;
use crate::output::note;
use crate::sim::execute::execute;
use crate::sim::files::{Library, Source, current_folder};
use relaymesh_sim::trace::Divergence;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The profile this program was built with.
pub(super) const THIS_PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };
const WASM: &str = "wasm32-unknown-unknown";
/// Runs the wasm example under node; see there for its arguments.
const RUNNER: &str = include_str!("wasm_runner.mjs");

/// A build, or why there is none.
pub(super) enum Built {
    Ready(Build),
    Skipped(String),
}

/// Something that runs scenarios.
pub(super) enum Build {
    /// This program, built with the other profile.
    Native(PathBuf),
    /// The simulator as a wasm module, for node.
    Wasm(PathBuf),
}

/// This program, built with the other profile.
pub(super) fn other_profile() -> Result<(&'static str, Built), Error> {
    let (name, flag) = if cfg!(debug_assertions) { ("release", "--release") } else { ("debug", "--profile=dev") };
    let Some(root) = source_tree()? else { return Ok((name, Built::Skipped(no_source()))) };
    if !answers(cargo(), "--version") {
        return Ok((name, Built::Skipped("no `cargo` to build with".into())));
    }
    note(format_args!("building the {name} profile …"));
    let program = build(&root, &["--bin", "relaymesh", flag], |artifact| artifact.executable.map(PathBuf::from))?;
    Ok((name, Built::Ready(Build::Native(program))))
}

/// The simulator as wasm32.
pub(super) fn wasm() -> Result<(&'static str, Built), Error> {
    let skipped = |reason: &str| Ok(("wasm", Built::Skipped(reason.into())));
    let Some(root) = source_tree()? else { return skipped(&no_source()) };
    if !answers("node".into(), "--version") {
        return skipped("no `node` to run it");
    }
    if !answers(cargo(), "--version") || !has_target(&root) {
        return skipped("the target is not installed; `rustup target add wasm32-unknown-unknown` adds it");
    }
    note("building for wasm32 …");
    let arguments = ["-p", "relaymesh-sim", "--example", "wasm", "--target", WASM, "--release"];
    let module = build(&root, &arguments, |artifact| {
        artifact.filenames.into_iter().map(PathBuf::from).find(|path| path.extension().is_some_and(|it| it == "wasm"))
    })?;
    Ok(("wasm", Built::Ready(Build::Wasm(module))))
}

fn no_source() -> String {
    "no source tree here to build from".into()
}

/// The closest folder above that is a workspace.
fn source_tree() -> Result<Option<PathBuf>, Error> {
    let here = current_folder()?;
    let is_workspace = |folder: &&Path| {
        std::fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
    };
    Ok(here.ancestors().find(is_workspace).map(Into::into))
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn answers(program: OsString, argument: &str) -> bool {
    let quiet = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn has_target(root: &Path) -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", WASM]).current_dir(root).output();
    asked.is_ok_and(|it| it.status.success() && Path::new(String::from_utf8_lossy(&it.stdout).trim()).is_dir())
}

/// What cargo says of something it has built.
#[derive(Deserialize)]
struct Artifact {
    #[serde(default)]
    executable: Option<String>,
    #[serde(default)]
    filenames: Vec<String>,
}

/// Builds, with cargo's messages on stderr, and returns what `pick` finds among the last artifacts.
fn build(root: &Path, arguments: &[&str], pick: impl Fn(Artifact) -> Option<PathBuf>) -> Result<PathBuf, Error> {
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--message-format=json-render-diagnostics"]).args(arguments);
    command.current_dir(root).stderr(Stdio::inherit());
    let stdout = output_of(&mut command)?;
    let mut artifacts = stdout.lines().rev().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts.find_map(pick).ok_or_else(|| Error::Tool {
        command: shown(&command),
        problem: "it built nothing; try the command by hand".into(),
    })
}

fn output_of(command: &mut Command) -> Result<String, Error> {
    let failed = |command: &Command, problem: String| Error::Tool { command: shown(command), problem };
    let done = command.output().map_err(|problem| failed(command, problem.to_string()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let said = if said.trim().is_empty() { "what it said stands above" } else { said.trim() };
        return Err(failed(command, format!("{}; {said}", done.status)));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The command as a person would type it; long arguments, such as a whole script, are cut.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let cut = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy();
        word.lines()
            .next()
            .filter(|_| word.lines().count() > 1)
            .map_or(word.to_string(), |first| format!("'{first} …'"))
    };
    words.map(cut).collect::<Vec<_>>().join(" ")
}

impl Build {
    fn name(&self) -> &'static str {
        match self {
            Self::Wasm(_) => "wasm",
            Self::Native(_) if cfg!(debug_assertions) => "release",
            Self::Native(_) => "debug",
        }
    }

    /// The trace hash of each scenario; `sources` are those that `selection` selects.
    pub(super) fn hashes(
        &self,
        library: &Library,
        selection: &Selection,
        sources: &[Source],
        seed: u64,
    ) -> Result<BTreeMap<String, String>, Error> {
        note(format_args!("running {} …", self.name()));
        let mut command = match self {
            Self::Native(program) => {
                let mut command = Command::new(program);
                command.args(["sim", "hashes", "--json", "--seed", &seed.to_string(), "--scenarios"]);
                command.arg(library.folder()?);
                command.args(selection.tag.iter().flat_map(|tag| ["--tag", tag]));
                command.args(selection.scenario.iter().flat_map(|glob| ["--scenario", glob]));
                command
            }
            Self::Wasm(module) => runner(module, seed, None, sources.iter()),
        };
        let stdout = output_of(&mut command)?;
        serde_json::from_str(&stdout)
            .map_err(|error| Error::Tool { command: shown(&command), problem: error.to_string() })
    }

    /// Has both traces written, and finds the first line that differs.
    pub(super) fn divergence(
        &self,
        library: &Library,
        source: &Source,
        seed: u64,
    ) -> Result<Option<Divergence>, Error> {
        let file = |build: &str| {
            std::env::temp_dir().join(format!("relaymesh-{}-seed{seed}-{build}.trace", source.scenario.name))
        };
        let (one, other) = (file(THIS_PROFILE), file(self.name()));
        write_lines(&one, execute(&source.scenario, seed, true).lines)?;
        match self {
            Self::Native(program) => {
                let mut command = Command::new(program);
                command.args(["sim", "run", "--json", "--seed", &seed.to_string()]).arg(&source.path);
                command.arg("--scenarios").arg(library.folder()?).arg("--trace").arg(&other);
                // A verdict is an exit code too; what counts is that the trace is there.
                let _ = command.output();
            }
            Self::Wasm(module) => {
                let mut command = runner(module, seed, Some(&other), std::iter::once(source));
                output_of(&mut command)?;
            }
        }
        note(format_args!("wrote {} and {}", one.display(), other.display()));
        Ok(first_difference(lines(&one)?, lines(&other)?))
    }
}

fn runner<'a>(module: &Path, seed: u64, trace: Option<&Path>, sources: impl Iterator<Item = &'a Source>) -> Command {
    let mut command = Command::new("node");
    command.args(["--input-type=module", "--eval", RUNNER, "--"]).arg(module).arg(seed.to_string());
    command.arg(trace.unwrap_or(Path::new("")));
    command.args(sources.map(|it| &it.path));
    command
}

fn write_lines(path: &Path, lines: Vec<relaymesh_sim::trace::Line>) -> Result<(), Error> {
    let write = || {
        let mut file = std::io::BufWriter::new(File::create(path)?);
        lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
        file.flush()
    };
    write().map_err(|problem| Error::Write { path: path.into(), problem })
}

fn lines(path: &Path) -> Result<impl Iterator<Item = String>, Error> {
    let file = File::open(path).map_err(|problem| Error::Read { path: path.into(), problem })?;
    Ok(BufReader::new(file).lines().map_while(Result::ok))
}

/// As `first_divergence` of the simulator, for traces that were written by other processes.
fn first_difference(
    mut one: impl Iterator<Item = String>,
    mut other: impl Iterator<Item = String>,
) -> Option<Divergence> {
    let (mut common, mut event) = (None, 0);
    loop {
        event += 1;
        match (one.next(), other.next()) {
            (None, None) => return None,
            (one, other) if one == other => common = one,
            (one, other) => return Some(Divergence { event, common, one, other }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_line_that_differs_is_found() {
        let lines = |text: &'static str| text.split(' ').map(String::from);
        let found = first_difference(lines("a b c"), lines("a b d")).unwrap();
        assert_eq!((found.event, found.common.as_deref(), found.other.as_deref()), (3, Some("b"), Some("d")));
        let shorter = first_difference(lines("a"), lines("a b")).unwrap();
        assert_eq!((shorter.event, shorter.one), (2, None));
        assert_eq!(first_difference(lines("a b"), lines("a b")), None);
    }
}
