//! `docs/dependencies.md` says of each crate why it earns its place; the rest of the line is checked against Cargo.

use crate::crates::METADATA;
use crate::tree::text;
use crate::{none, one};
use std::collections::{BTreeMap, BTreeSet};

/// What Cargo knows of a dependency, as the table spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    version: BTreeSet<String>,
    used_by: BTreeSet<String>,
    licence: String,
}

impl Known {
    fn row(&self, name: &str, why: &str) -> String {
        let list = |items: &BTreeSet<String>| items.iter().cloned().collect::<Vec<_>>().join(", ");
        format!("| {name} | {} | {} | {why} | {} |", list(&self.version), list(&self.used_by), self.licence)
    }
}

/// Each crate of others that a package of the workspace names, and the fuzz targets' own.
fn known() -> BTreeMap<String, Known> {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for package in METADATA.members() {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            let entry = known.entry(dependency.name.clone()).or_default();
            entry.version.insert(dependency.req.clone());
            entry.used_by.insert(user(&package.name, dependency.kind.as_deref()));
            let found = METADATA.packages.iter().find(|package| package.name == dependency.name);
            entry.licence = found.and_then(|package| package.license.clone()).unwrap_or_default();
        }
    }
    for name in fuzz_only() {
        known.entry(name).or_default().used_by.insert("fuzz".into());
    }
    known
}

fn user(package: &str, kind: Option<&str>) -> String {
    let folder = package.strip_prefix("relaymesh-").unwrap_or("root");
    match kind {
        None => folder.into(),
        Some("dev") => format!("{folder} (tests)"),
        Some(kind) => format!("{folder} ({kind})"),
    }
}

/// The fuzz targets are a workspace of their own, which Cargo does not look at here.
fn fuzz_only() -> Vec<String> {
    let manifest: toml::Table = toml::from_str(&text("tests/fuzz/Cargo.toml").unwrap()).unwrap();
    let outer = manifest["dependencies"].as_table().unwrap().iter().filter(|(_, value)| value.get("path").is_none());
    let ours = |name: &str| METADATA.members().any(|package| package.dependencies.iter().any(|d| d.name == name));
    outer.map(|(name, _)| name.clone()).filter(|name| !ours(name)).collect()
}

/// The cells of each row of the table below its head.
fn rows(text: &str) -> Vec<Vec<String>> {
    let table = text.lines().filter(|line| line.starts_with("| ")).skip(2);
    table.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn differences(known: &BTreeMap<String, Known>, rows: &[Vec<String>]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows {
        let [name, version, used_by, why, licence] = &row[..] else {
            problems.push(format!("not five cells: {row:?}"));
            continue;
        };
        let Some(known) = known.get(name) else {
            problems.push(format!("{name}: listed, but nothing depends on it"));
            continue;
        };
        if !seen.insert(name.clone()) {
            problems.push(format!("{name}: listed twice"));
        }
        let written = format!("| {name} | {version} | {used_by} | {why} | {licence} |");
        // Of the fuzz targets' own crates Cargo says nothing here.
        if written != known.row(name, why) && !known.version.is_empty() {
            problems.push(format!("{name}: should be {}", known.row(name, why)));
        }
        if why.is_empty() {
            problems.push(format!("{name}: why does it earn its place?"));
        }
    }
    let missing = known.iter().filter(|(name, _)| !seen.contains(*name));
    problems.extend(missing.map(|(name, known)| format!("{name}: not listed: {}", known.row(name, "WHY"))));
    problems
}

#[test]
fn each_dependency_has_its_line_and_each_line_its_dependency() {
    none(differences(&known(), &rows(&text("docs/dependencies.md").unwrap())));
}

#[test]
fn every_kind_of_difference_is_found() {
    let strings = |items: &[&str]| items.iter().map(ToString::to_string).collect();
    let serde = Known { version: strings(&["~1.0"]), used_by: strings(&["core", "sim"]), licence: "MIT".into() };
    let known = BTreeMap::from([("serde".to_owned(), serde)]);
    let check = |table: &str| differences(&known, &rows(&format!("| crate | … |\n| --- | … |\n{table}")));

    none(check("| serde | ~1.0 | core, sim | bodies | MIT |"));
    one(check(""), "not listed");
    one(check("| serde | ~1.0 | core | bodies | MIT |"), "should be");
    one(check("| serde | ~1.0 | core, sim |  | MIT |"), "why");
    one(check("| serde | ~1.0 | core, sim | bodies | MIT |\n| left-pad | 1 | core | pads | MIT |"), "left-pad");
    one(check("| serde | ~1.0 | core, sim | a | MIT |\n| serde | ~1.0 | core, sim | b | MIT |"), "twice");
    one(check("| serde | ~1.0 | core, sim | bodies | MIT |\n| x | y |"), "five cells");
}
