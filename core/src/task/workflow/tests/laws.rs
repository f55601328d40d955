//! What holds of every definition.

use super::drawn::{Draft, drafts, id, json, printed, write};
use super::reading::{EXAMPLE, read};
use crate::codec::{decode_value, encode_value};
use crate::task::workflow::*;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use proptest::collection::vec as list_of;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

fn encoded(workflow: &Workflow) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(workflow, 1 << 20, &mut bytes).unwrap();
    bytes
}

/// The names of what a step waits for, sorted.
fn waits(workflow: &Workflow, step: &Step) -> Vec<String> {
    let mut ids: Vec<_> =
        step.depends_on.iter().map(|on| String::from(workflow.step(*on).unwrap().id.as_str())).collect();
    ids.sort();
    ids
}

/// What an input becomes, the slow and simple way: numbers may lose digits, so both sides are compared as values.
fn filled(input: &Value, outputs: &impl Fn(&str) -> Value) -> Option<Value> {
    match input {
        Value::Object(entries) if entries.contains_key("$from") => {
            let path = entries.get("path").and_then(Value::as_str).unwrap_or_default();
            outputs(entries["$from"].as_str().unwrap()).pointer(path).cloned()
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| Some((key.clone(), filled(value, outputs)?)));
            entries.collect::<Option<_>>().map(Value::Object)
        }
        Value::Array(items) => items.iter().map(|item| filled(item, outputs)).collect::<Option<_>>().map(Value::Array),
        other => Some(other.clone()),
    }
}

/// What an output is as a value; `None` where it is not text.
fn value_of(bytes: &[u8]) -> Option<Value> {
    let text = core::str::from_utf8(bytes).ok()?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into())))
}

/// Has each of these steps wait for the next one, and the last one for the first.
fn plant(drafts: &mut [Draft], ring: &[usize]) {
    let ranks: Vec<usize> = ring.iter().map(|at| drafts[*at].rank).collect();
    for (nth, at) in ring.iter().enumerate() {
        drafts[*at].depends_on.insert(ranks[(nth + 1) % ranks.len()]);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(drafts in drafts()) {
        let workflow = read(&write(&drafts));
        prop_assert_eq!(workflow.steps.len(), drafts.len());
        for (step, draft) in workflow.steps.iter().zip(&drafts) {
            prop_assert_eq!(step.id.as_str(), id(draft.rank));
            let mut expected: Vec<_> = draft.waits().into_iter().map(id).collect();
            expected.sort();
            prop_assert_eq!(waits(&workflow, step), expected);
        }
    }

    #[test]
    fn what_is_read_can_be_shown_encoded_and_checked(drafts in drafts()) {
        let workflow = read(&write(&drafts));
        prop_assert_eq!(workflow.check(), Ok(()));
        prop_assert_eq!(&read(&workflow.to_json()), &workflow);
        prop_assert_eq!(&decode_value::<Workflow>(&encoded(&workflow)).unwrap(), &workflow);
    }

    #[test]
    fn the_order_has_every_step_after_what_it_waits_for(drafts in drafts()) {
        let workflow = read(&write(&drafts));
        let graph = workflow.graph();
        let rank = |step: StepIndex| graph.order().iter().position(|other| *other == step).unwrap();
        prop_assert_eq!(graph.order().len(), workflow.steps.len());
        let mut edges = 0;
        for (at, step) in workflow.steps.iter().enumerate() {
            let own = StepIndex(at as u16);
            prop_assert!(graph.dependents(own).is_sorted());
            edges += graph.dependents(own).len();
            for on in &step.depends_on {
                prop_assert!(rank(*on) < rank(own));
                prop_assert!(graph.dependents(*on).contains(&own));
            }
        }
        prop_assert_eq!(edges, workflow.steps.iter().map(|step| step.depends_on.len()).sum::<usize>());
    }

    #[test]
    fn a_planted_cycle_is_found(mut drafts in drafts(), ring in list_of(any::<Index>(), 2..5)) {
        let mut ring: Vec<usize> = ring.iter().map(|at| at.index(drafts.len())).collect();
        ring.sort_unstable();
        ring.dedup();
        plant(&mut drafts, &ring);
        let json = write(&drafts);
        match Workflow::from_json(json.as_bytes()).map_err(|error| error.problem) {
            Err(Problem::Itself { .. }) => prop_assert_eq!(ring.len(), 1),
            Err(Problem::Cycle { steps }) => {
                prop_assert!(ring.len() > 1);
                let draft_of = |name: &Name| drafts.iter().find(|draft| id(draft.rank) == name.as_str()).unwrap();
                for (name, next) in steps.iter().zip(steps.iter().cycle().skip(1)) {
                    prop_assert!(draft_of(name).waits().contains(&draft_of(next).rank), "{} -> {}", name, next);
                }
            }
            other => prop_assert!(false, "{:?} of {}", other, json),
        }
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in list_of(any::<u8>(), 0..200)) {
        let _ = Workflow::from_json(&bytes);
        if let Ok(workflow) = decode_value::<Workflow>(&bytes) {
            let _ = (workflow.check(), workflow.graph(), workflow.to_json());
        }
    }

    #[test]
    fn a_definition_with_mistakes_is_refused_or_is_another_one(
        drafts in drafts(),
        mistakes in list_of((any::<Index>(), prop::sample::select(&b"{}[]\",:0a\\$ "[..]), 0..3u8), 1..3),
    ) {
        let mut json = write(&drafts).into_bytes();
        for (at, byte, kind) in mistakes {
            match (at.index(json.len()), kind) {
                (at, 0) => json[at] = byte,
                (at, 1) => json.insert(at, byte),
                (at, _) => _ = json.remove(at),
            }
        }
        if let Ok(workflow) = Workflow::from_json(&json) {
            prop_assert_eq!(workflow.check(), Ok(()));
            prop_assert_eq!(&read(&workflow.to_json()), &workflow);
        }
    }

    #[test]
    fn what_a_peer_mangles_is_refused_or_is_a_workflow(
        drafts in drafts(),
        flips in list_of((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&read(&write(&drafts)));
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(workflow) = decode_value::<Workflow>(&bytes) {
            let _ = (workflow.graph(), workflow.to_json());
            if workflow.check().is_ok() {
                prop_assert_eq!(&read(&workflow.to_json()), &workflow);
            }
        }
    }

    #[test]
    fn an_input_becomes_what_the_simple_way_makes_of_it(
        input in json(),
        given in list_of(printed(), 4),
        is_repeated in any::<bool>(),
    ) {
        let text = input.write(3, is_repeated);
        let each = if is_repeated { r#""forEach":{"$from":"s-0"},"# } else { "" };
        let steps: Vec<_> = (0..3).map(|rank| format!(r#"{{"id":"{}","agent":"x"}}"#, id(rank))).collect();
        let workflow = read(&format!(r#"{{"steps":[{},{{"id":"own",{each}"agent":"x","input":{text}}}]}}"#, steps.join(",")));
        let outputs: Vec<_> = given.iter().map(|bytes| Output::of(bytes)).collect();
        let lookup = |reference: &Reference| match reference.from {
            Origin::Step(step) => outputs.get(step.position()),
            Origin::Item | Origin::WorkflowInput => outputs.last(),
        };
        let made = workflow.steps[3].input().unwrap().resolve(lookup);

        let bytes_of = |name: &str| &given[(0..3).position(|rank| id(rank) == name).unwrap_or(3)];
        let used = workflow.steps[3].input().unwrap().references().map(|reference| lookup(reference).unwrap());
        if used.filter(|output| output.opaque().is_some()).count() > 0 {
            let is_passed_on = made.as_ref().is_ok_and(|made| given.iter().any(|bytes| **bytes == made[..]));
            prop_assert!(is_passed_on || made.is_err());
            return Ok(());
        }
        let expected = filled(&serde_json::from_str(&text).unwrap(), &|name| value_of(bytes_of(name)).unwrap());
        match (made, expected) {
            (Ok(made), Some(Value::String(text))) => prop_assert_eq!(made, text.into_bytes()),
            (Ok(made), Some(value)) => prop_assert_eq!(serde_json::from_slice::<Value>(&made).unwrap(), value),
            (Err(ResolveError::NoValue { .. }), None) => {}
            (made, expected) => prop_assert!(false, "{:?}, where {:?} is expected", made, expected),
        }
    }

    #[test]
    fn lists_are_cut_into_the_items_that_they_have(bytes in printed(), path in prop::sample::select(alloc::vec!["", "/a", "/a/0"])) {
        let (output, pointer) = (Output::of(&bytes), Pointer::new(path).unwrap());
        let expected = value_of(&bytes).and_then(|value| value.pointer(path).and_then(Value::as_array).cloned());
        let count = count_items(&output, &pointer).ok();
        prop_assert_eq!(count, expected.as_ref().map(|items| items.len() as u32));
        for (at, expected) in expected.unwrap_or_default().iter().enumerate() {
            let item = item(&output, &pointer, at as u32).unwrap();
            let found: Value = serde_json::from_str(item.find(&Pointer::default()).unwrap()).unwrap();
            prop_assert_eq!(&found, expected);
        }
    }
}

#[test]
fn every_prefix_of_an_encoded_definition_is_refused() {
    let bytes = encoded(&read(EXAMPLE));
    for end in 0..bytes.len() {
        assert!(decode_value::<Workflow>(&bytes[..end]).is_err(), "{end}");
    }
}
