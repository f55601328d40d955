//! What a person who writes a scenario meets.

use super::*;
use crate::streams::Streams;
use alloc::string::ToString;

const SMALL: &str = r#"
name = "small"
about = "Two nodes lose power."
nodes = 2

[phases]
safety = "1s"
liveness = "1s"

[[fault]]
kind = "crash"
at = "100ms..900ms"
lasts = "50ms"
times = 3
"#;

#[test]
fn an_unknown_field_is_refused_with_its_line_and_a_suggestion() {
    let text = SMALL.replace("liveness", "livness");
    let error = parse(&text).unwrap_err().to_string();
    assert!(error.starts_with("line 8, column 1:"), "{error}");
    assert!(error.contains("did you mean `liveness`?"), "{error}");
}

#[test]
fn an_unknown_kind_of_fault_is_refused_with_a_suggestion() {
    let error = parse(&SMALL.replace("\"crash\"", "\"crsh\"")).unwrap_err().to_string();
    assert!(error.contains("did you mean `crash`?"), "{error}");
}

#[test]
fn a_parameter_that_a_fault_does_not_take_is_refused_by_name() {
    let error = parse(&SMALL.replace("times = 3", "share = \"5%\"")).unwrap_err().to_string();
    assert_eq!(error, "fault[0] (crash).share: has no meaning for crash; remove it");
}

#[test]
fn a_missing_parameter_is_asked_for() {
    let error = parse(&SMALL.replace("lasts = \"50ms\"", "")).unwrap_err().to_string();
    assert_eq!(error, "fault[0] (crash).lasts: is missing; crash needs it");
}

#[test]
fn a_value_can_be_replaced_and_a_wrong_key_cannot() {
    let set = |key: &str, value: &str| parse_with(SMALL, &[(key.to_string(), value.to_string())]);
    assert_eq!(set("nodes", "7").unwrap().nodes, 7);
    assert_eq!(set("phases.safety", "3s").unwrap().phases.safety.to_string(), "3s");
    assert_eq!(set("fault[0].times", "9").unwrap().faults[0].times, 9);
    assert!(set("phase.safety", "3s").unwrap_err().to_string().contains("there is no `phase`"));
    assert!(set("nodez", "3").is_err());
}

#[test]
fn a_plan_follows_from_the_seed_and_can_be_written_down() {
    let scenario = parse(SMALL).unwrap();
    let draw = |scenario: &Scenario, seed| Plan::draw(scenario, &mut Streams::new(seed));
    let plan = draw(&scenario, 5);
    assert_eq!(plan, draw(&scenario, 5));
    assert_ne!(plan, draw(&scenario, 6));
    let fixed = parse(&to_toml(&plan.fix(&scenario))).unwrap();
    assert_eq!(draw(&fixed, 99).faults, plan.faults, "nothing is left to the seed");
}

#[test]
fn a_fault_that_is_removed_leaves_the_others_as_they_were() {
    let text = alloc::format!("{SMALL}\n[[fault]]\nkind = \"kill\"\nat = \"0s..1s\"\nlasts = \"5ms..80ms\"\n");
    let both = parse(&text).unwrap();
    let mut one = both.clone();
    one.faults.remove(0);
    let kill = |scenario| {
        let plan = Plan::draw(&scenario, &mut Streams::new(3));
        plan.faults.into_iter().find(|fault| fault.kind == FaultKind::Kill)
    };
    assert_eq!(kill(both), kill(one));
}

#[test]
fn a_section_of_another_subject_is_refused() {
    let error = parse(&alloc::format!("{SMALL}\n[mesh]\nseeds = 2\n")).unwrap_err().to_string();
    assert_eq!(error, "mesh: has no meaning for the subject `example`; remove it");
}

#[test]
fn what_a_scenario_leaves_to_its_subject_is_written_down() {
    let scenario = parse(SMALL).unwrap();
    assert_eq!(scenario.version, Some(scenario.subject.terms().newest.0));
    let text = to_toml(&scenario);
    assert!(text.contains("subject = \"example\"") && text.contains("[echo]") && !text.contains("[mesh]"), "{text}");
}

#[test]
fn a_build_that_nobody_has_is_refused() {
    let error = parse(&SMALL.replace("nodes = 2", "nodes = 2\nversion = 3")).unwrap_err().to_string();
    assert_eq!(error, "version: no build understands version 3; use 1 to 2");
}

#[test]
fn a_flip_flop_needs_phases_of_some_length() {
    let text = SMALL.replace("times = 3", "amount = \"0s\"").replace("crash", "flip_flop");
    assert_eq!(parse(&text).unwrap_err().to_string(), "fault[0] (flip_flop).amount: must be longer than nothing");
}
