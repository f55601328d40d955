//! What comes encoded: checked by the same rules, and never trusted to have been checked.

use super::reading::{EXAMPLE, read};
use crate::codec::{decode_value, encode_value};
use crate::task::workflow::*;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use serde::de::DeserializeOwned;

fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(value, 1 << 20, &mut bytes).unwrap();
    bytes
}

/// What a peer makes of its own idea of a type.
fn forged<T: DeserializeOwned>(value: &impl Serialize) -> Option<T> {
    decode_value(&encoded(value)).ok()
}

#[derive(Clone, Serialize)]
enum Part {
    Literal(String),
    Reference(Reference),
}

fn template(parts: &[Part]) -> Template {
    forged(&parts.to_vec()).unwrap()
}

fn reference(from: Origin) -> Part {
    Part::Reference(Reference { from, pointer: Pointer::default() })
}

/// The example, with something changed about its last step.
fn changed(change: impl FnOnce(&mut Step)) -> String {
    let mut workflow = read(EXAMPLE);
    change(workflow.steps.last_mut().unwrap());
    workflow.check().map_or_else(|error| error.to_string(), |()| "fine".into())
}

fn with_input(parts: &[Part]) -> String {
    let Does::Agent { agent, .. } = read(EXAMPLE).steps[3].does.clone() else { panic!("an agent") };
    changed(|step| step.does = Does::Agent { agent, input: template(parts) })
}

#[test]
fn names_texts_and_paths_are_checked_as_they_are_decoded() {
    let name = |text: &str| forged::<Name>(&text).is_some();
    assert!(name("a.b-c_9") && name(&"x".repeat(64)));
    assert!(!name("") && !name("a/b") && !name("é") && !name(&"x".repeat(65)));
    let text = |text: &str| forged::<Text<4>>(&text).is_some();
    assert!(text("") && text("1234") && !text("12345"));
    let pointer = |text: &str| forged::<Pointer>(&text).is_some();
    assert!(pointer("") && pointer("/") && pointer("/~0~1/x"));
    assert!(!pointer("x") && !pointer("/~") && !pointer("/~2") && !pointer(&"/".repeat(257)));
}

#[test]
fn what_a_peer_should_have_refused_is_refused() {
    let milliseconds = Duration::from_millis;
    assert_eq!(changed(|_| ()), "fine");
    assert_eq!(
        changed(|step| step.depends_on.push(StepIndex(9))),
        "step `report`: `dependsOn` names step number 10, and there are 4"
    );
    assert_eq!(changed(|step| step.depends_on.push(StepIndex(3))), "step `report`: `dependsOn` names the step itself");
    assert_eq!(
        changed(|step| step.depends_on.reverse()),
        "step `report`: `dependsOn` is not sorted, or names a step twice"
    );
    assert_eq!(
        changed(|step| step.depends_on.push(StepIndex(2))),
        "step `report`: `dependsOn` is not sorted, or names a step twice"
    );
    assert_eq!(
        changed(|step| step.depends_on.truncate(1)),
        "step `report`: `dependsOn` lacks step `checksum`, whose output is used"
    );
    let source = |step| Some(Source { step: StepIndex(step), pointer: Pointer::default() });
    assert_eq!(
        changed(|step| step.each = source(1)),
        "step `report`: `dependsOn` lacks step `compress`, whose output is used"
    );
    assert_eq!(changed(|step| step.each = source(4)), "step `report`: `$from` names step number 5, and there are 4");
    assert_eq!(
        changed(|step| step.id = Name::new("list").unwrap()),
        "step `list`: step number 1 is called so too; ids are unique"
    );
    assert_eq!(
        changed(|step| step.id = Name::new("workflow.input").unwrap()),
        "step `workflow.input`: `item` and `workflow.input` mean something else in `$from`; call the step otherwise"
    );
    assert_eq!(
        changed(|step| step.timeout = Some(Duration::ZERO)),
        "step `report`: `timeoutMs` is 0, where 1 to 31622400000 is allowed"
    );
    assert_eq!(
        changed(|step| step.delay = Some(Duration::from_nanos(1))),
        "step `report`: `delayMs` is not of whole milliseconds"
    );
    assert_eq!(
        changed(|step| step.delay = Some(Duration::from_secs(1 << 30))),
        "step `report`: `delayMs` is 1073741824000, where 0 to 31622400000 is allowed"
    );
    let retry = |attempts_max, base, max| Some(Retry { attempts_max, base, max });
    assert_eq!(
        changed(|step| step.retry = retry(101, milliseconds(1), milliseconds(1))),
        "step `report`: `maxAttempts` is 101, where 1 to 100 is allowed"
    );
    assert_eq!(
        changed(|step| step.retry = retry(1, milliseconds(2), milliseconds(1))),
        "step `report`: `baseBackoffMs` is 2, more than `maxBackoffMs`, which is 1"
    );
    assert_eq!(
        changed(|step| step.does = Does::Approval { prompt: Text::new("?").unwrap() }),
        "step `report`: `priority` is for steps with an `agent`, not for an `approval`"
    );
}

#[test]
fn an_input_that_only_a_peer_could_make_is_refused() {
    let literal = |text: &str| Part::Literal(text.into());
    let not_canonical = "step `report`: `input` is not in the form in which inputs are stored";
    assert_eq!(with_input(&[literal("[1]")]), "fine");
    assert_eq!(with_input(&[reference(Origin::Step(StepIndex(0)))]), "fine");
    assert_eq!(with_input(&[literal("[ 1]")]), not_canonical);
    assert_eq!(with_input(&[literal("[1,"), literal("2]")]), not_canonical);
    assert_eq!(with_input(&[literal(r#"{"$from":"list"}"#)]), not_canonical);
    // A reference inside of a string would let an output write beyond it.
    let inside = [literal("\"a"), reference(Origin::Step(StepIndex(0))), literal("b\"")];
    assert_eq!(with_input(&inside), "step `report`: not JSON: trailing characters");
    let escaped = [literal(r#"["\"#), reference(Origin::WorkflowInput), literal(r#""]"#)];
    assert_ne!(with_input(&escaped), "fine");
    assert_eq!(with_input(&[]), "step `report`: not JSON: EOF while parsing a value");
    assert_eq!(with_input(&[literal("")]), "step `report`: not JSON: EOF while parsing a value");
    assert_eq!(with_input(&[reference(Origin::Item)]), "step `report`: `item` is used, but the step has no `forEach`");
    assert_eq!(
        with_input(&[reference(Origin::Step(StepIndex(7)))]),
        "step `report`: `$from` names step number 8, and there are 4"
    );
    assert_eq!(with_input(&[reference(Origin::Step(StepIndex(3)))]), "step `report`: `$from` names the step itself");
    let many = vec![reference(Origin::WorkflowInput); 257];
    assert_eq!(with_input(&many), "step `report`: 257 references in `input`, where 256 are allowed");
    let deep = [literal(&"[".repeat(100_000)), literal(&"]".repeat(100_000))];
    assert_eq!(with_input(&deep), "step `report`: nested deeper than 32 objects and lists");
}

#[test]
fn what_was_never_checked_does_no_harm() {
    let mut workflow = read(EXAMPLE);
    workflow.steps[0].depends_on = vec![StepIndex(3), StepIndex(3), StepIndex(u16::MAX)];
    assert_eq!(workflow.graph().order(), []);
    workflow.to_json();
    workflow.steps = vec![workflow.steps[1].clone(); 70_000];
    assert!(workflow.graph().order().is_empty());
    assert_eq!(workflow.check().unwrap_err().to_string(), "70000 steps, where 1000 are allowed");
    workflow.steps.clear();
    assert_eq!(workflow.graph().order(), []);
    assert_eq!(workflow.check().unwrap_err().to_string(), "no steps, where one is needed at least");
    let odd = template(&[Part::Literal("\"".into())]);
    assert_eq!(odd.resolve(|_| None), Err(ResolveError::BrokenEscape));
}
