//! What lies where: the top level, what no file may contain, and how long a file may be.

use crate::{none, one};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What may lie at the top.
const TOP: &[&str] = &[
    ".ci",
    ".github",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "clippy.toml",
    "core",
    "deny.toml",
    "docs",
    "io-tokio",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "scenarios",
    "sim",
    "src",
    "tests",
];

/// What no file may contain, in halves, so that this one does not either: folders of one person's machine, and
/// registries other than Cargo's own (which only the lock file names).
const FOREIGN: &[(&str, &str)] = &[
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/Us", "ers/"),
    (":\\Us", "ers\\"),
    ("index.cra", "tes.io"),
    ("static.cra", "tes.io"),
    ("spar", "se+http"),
    ("regi", "stry+http"),
    ("registry.npm", "js.org"),
    ("py", "pi.org"),
];

/// The only registry, as the lock file writes it.
const OWN_REGISTRY: (&str, &str) = ("regi", "stry+https://github.com/rust-lang/crates.io-index");

/// Lines that a file may have without its tests; one that grows past that usually holds two ideas.
const LINES_MAX: usize = 400;

/// Files that may be longer, up to the number given, and why.
const LONGER: &[(&str, usize, &str)] = &[];

/// Where the workspace lies.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project, relative to the root: those under version control and those about to be, or simply those
/// there where the sources came without their history.
pub(crate) fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success() && root().join(".git").exists())
        .map(|output| String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect());
    let mut files: Vec<String> = listed.unwrap_or_else(walked);
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    files
}

fn walked() -> Vec<String> {
    let mut folders = vec![PathBuf::new()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap().map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true if entry.file_name() != "target" && entry.file_name() != ".git" => folders.push(path),
                true => {}
                false => files.push(path.to_str().expect("names are UTF-8").replace('\\', "/")),
            }
        }
    }
    files
}

/// The text of a file; `None` when it is not text.
pub(crate) fn text(file: &str) -> Option<String> {
    String::from_utf8(fs::read(root().join(file)).unwrap()).ok()
}

fn misplaced<'a>(files: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let tops: BTreeSet<&str> = files.into_iter().map(|file| file.split('/').next().unwrap_or(file)).collect();
    tops.iter().filter(|top| !TOP.contains(top)).map(|top| format!("`{top}` does not belong at the top")).collect()
}

fn foreign(file: &str, text: &str) -> Vec<String> {
    let own = [OWN_REGISTRY.0, OWN_REGISTRY.1].concat();
    let text = if file == "Cargo.lock" { text.replace(&own, "") } else { text.to_owned() };
    let found = FOREIGN.iter().map(|(a, b)| [*a, *b].concat()).filter(|foreign| text.contains(foreign.as_str()));
    found.map(|foreign| format!("{file}: contains `{foreign}`")).collect()
}

/// Lines before the tests at the end of the file.
fn length(text: &str) -> usize {
    crate::sources::without_tests(text).lines().count()
}

fn too_long(file: &str, lines: usize, longer: &[(&str, usize, &str)]) -> Option<String> {
    match longer.iter().find(|(path, ..)| *path == file) {
        Some((_, max, _)) if lines > *max => Some(format!("{file}: {lines} lines, may have {max}")),
        Some(_) if lines <= LINES_MAX => Some(format!("{file}: {lines} lines, needs no exception any more")),
        None if lines > LINES_MAX => Some(format!("{file}: {lines} lines without tests, may have {LINES_MAX}")),
        _ => None,
    }
}

#[test]
fn the_top_level_holds_what_it_should_and_nothing_else() {
    none(misplaced(files().iter().map(String::as_str)));
    one(misplaced(["core/src/lib.rs", "README.md", "notes.txt"]), "notes.txt");
}

#[test]
fn no_file_names_a_machine_of_ours_or_a_foreign_registry() {
    let problems = |file: &String| text(file).map(|text| foreign(file, &text)).unwrap_or_default();
    none(files().iter().flat_map(problems).collect());

    one(foreign("docs/x.md", &["see /ho", "me/ada/notes"].concat()), "docs/x.md");
    one(foreign("docs/x.md", &["[\"regi", "stry+https://example.org\"]"].concat()), "docs/x.md");
    one(foreign("Cargo.lock", &["source = \"regi", "stry+https://example.org\""].concat()), "Cargo.lock");
    none(foreign("Cargo.lock", &["source = \"", OWN_REGISTRY.0, OWN_REGISTRY.1, "\""].concat()));
    none(foreign("docs/x.md", "see .github/workflows/ci.yml"));
}

#[test]
fn no_file_grows_past_the_length_that_one_idea_needs() {
    let sources = || files().into_iter().filter(|file| file.ends_with(".rs") && !crate::sources::is_test(file));
    none(sources().filter_map(|file| too_long(&file, length(&text(&file)?), LONGER)).collect());
    let gone = LONGER.iter().filter(|(path, ..)| !root().join(path).is_file());
    none(gone.map(|(path, ..)| format!("{path}: has an exception, but is not there")).collect());

    let longer = [("a.rs", 500, "why")];
    assert!(too_long("a.rs", 500, &longer).is_none() && too_long("b.rs", 400, &longer).is_none());
    one(too_long("a.rs", 501, &longer).into_iter().collect(), "501");
    one(too_long("a.rs", 400, &longer).into_iter().collect(), "no exception");
    one(too_long("b.rs", 401, &longer).into_iter().collect(), "401");
}
