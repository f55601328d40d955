//! The folder of scenarios as a whole. That each holds is for the matrix to show.

use crate::tree::{files, text};
use crate::{none, one};
use relaymesh_sim::scenario::{FaultKind, Scenario, parse};
use std::collections::BTreeSet;

/// Tags, and what each set is for.
const TAGS: &[(&str, &str)] = &[
    ("quick", "run on each change"),
    ("large", "many nodes; minutes, not seconds"),
    ("long", "many tasks; minutes, and gigabytes"),
];

/// Fewer stories than this do not cover what can go wrong.
const SCENARIOS_MIN: usize = 15;

fn scenarios() -> Vec<(String, Scenario)> {
    let paths = files().into_iter().filter(|file| file.starts_with("scenarios/"));
    paths
        .map(|path| {
            let scenario = parse(&text(&path).unwrap()).unwrap_or_else(|error| panic!("{path}: {error}"));
            (path, scenario)
        })
        .collect()
}

fn misnamed(path: &str, scenario: &Scenario) -> Option<String> {
    let expected = format!("scenarios/{}.toml", scenario.name);
    (path != expected).then(|| format!("{path}: its name says {expected}"))
}

fn strange_tags(path: &str, scenario: &Scenario) -> Vec<String> {
    let strange = scenario.tags.iter().filter(|tag| !TAGS.iter().any(|(known, _)| known == tag));
    let mut problems: Vec<_> = strange.map(|tag| format!("{path}: nobody knows the tag `{tag}`")).collect();
    if scenario.tags.is_empty() {
        problems.push(format!("{path}: has no tag, so no set runs it"));
    }
    problems
}

fn unused_faults<'a>(scenarios: impl Iterator<Item = &'a Scenario>) -> Vec<String> {
    let used: BTreeSet<FaultKind> = scenarios.flat_map(|scenario| scenario.faults.iter().map(|f| f.kind)).collect();
    let unused = FaultKind::ALL.iter().filter(|kind| !used.contains(kind));
    unused.map(|kind| format!("no scenario has the fault `{}`", kind.name())).collect()
}

#[test]
fn every_scenario_is_called_like_its_file_and_belongs_to_a_known_set() {
    let all = scenarios();
    assert!(all.len() >= SCENARIOS_MIN, "{} scenarios", all.len());
    none(all.iter().filter_map(|(path, scenario)| misnamed(path, scenario)).collect());
    none(all.iter().flat_map(|(path, scenario)| strange_tags(path, scenario)).collect());
    for (tag, _) in TAGS {
        assert!(all.iter().any(|(_, scenario)| scenario.tags.iter().any(|t| t == tag)), "nothing is tagged `{tag}`");
    }
}

#[test]
fn every_kind_of_fault_has_a_scenario() {
    none(unused_faults(scenarios().iter().map(|(_, scenario)| scenario)));
}

#[test]
fn every_rule_for_scenarios_finds_what_it_forbids() {
    let (path, scenario) = scenarios().into_iter().find(|(_, scenario)| scenario.name == "calm").unwrap();
    one(misnamed("scenarios/storm.toml", &scenario).into_iter().collect(), "calm");
    let tagged = |tags: &[&str]| Scenario { tags: tags.iter().map(ToString::to_string).collect(), ..scenario.clone() };
    one(strange_tags(&path, &tagged(&["quick", "qiuck"])), "qiuck");
    one(strange_tags(&path, &tagged(&[])), "no tag");
    assert_eq!(unused_faults([scenario.clone()].iter()).len(), FaultKind::ALL.len(), "nothing goes wrong in `calm`");
}
